"""`touchlog formats`: what `produce` can read."""

import click

from touchlog.options import Command


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the payload formats that produce reads."""
    from producers.formats import FORMATS

    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps([{"channel": one.channel, "name": one.name, "title": one.title} for one in FORMATS], indent=2))
        return
    from touchlog.render import console, facts_table

    rows = [[one.channel, one.name, one.title] for one in FORMATS]
    console().print(facts_table(["channel", "--format", "what it is"], rows))
