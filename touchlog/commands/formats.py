"""`touchlog formats`: what `produce` can read, with an example each."""

from typing import TYPE_CHECKING

import click

from schemas.topics import CHANNELS
from touchlog.options import Command

if TYPE_CHECKING:
    from producers.format import Format

_EPILOG = """\b
Examples:
  touchlog formats
  touchlog formats post
  touchlog formats email --format mailgun > one.json
  touchlog formats --json

What each field becomes is in docs/formats.md, and how a format of your own is added."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("channel", type=click.Choice(CHANNELS), required=False)
@click.option("--format", "format_name", metavar="NAME", help="Print the example of this format alone.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the examples.")
def command(channel: str | None, format_name: str | None, as_json: bool) -> None:
    """List the payload formats that produce reads; those of one CHANNEL with an example each."""
    from producers.formats import FORMATS, find_format, formats_of

    if format_name is not None:
        if channel is None:
            raise click.UsageError("a format is one channel's; type touchlog formats CHANNEL --format NAME")
        click.echo(find_format(channel, format_name).example.rstrip())
        return
    shown = formats_of(channel) if channel else FORMATS
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps([_told(one) for one in shown], indent=2))
        return
    from touchlog.render import console, facts_table

    out = console()
    out.print(facts_table(["channel", "--format", "what it is"], [[one.channel, one.name, one.title] for one in shown]))
    if channel is None:
        out.print("An example of each: touchlog formats CHANNEL", style="dim")
        return
    for one in shown:
        out.print(f"\n{one.name}", style="bold")
        out.print(one.example.rstrip(), soft_wrap=True)


def _told(one: "Format") -> dict[str, str]:
    return {"channel": one.channel, "name": one.name, "title": one.title, "example": one.example}
