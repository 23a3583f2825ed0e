"""`touchlog metrics`: what counts as a response time, seen and redefined."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog metrics
  touchlog metrics default > metrics.toml
  touchlog metrics load metrics.toml
  touchlog sql "FROM touchlog.response_times WHERE definition = 'business_hours' ORDER BY day DESC"

All of it works while touchlog project runs."""

_LOAD_EPILOG = """\b
Examples:
  touchlog metrics load metrics.toml

The definitions of FILE take the place of those that stand, in one moment. Nothing is folded again: the views
waits and response_times count the whole history by each of them, side by side. A definition that changed needs a
new version; keep the one of before in the file to see both."""

_SHOW = "SELECT * FROM touchlog.metric_definitions"


class _ShowUnlessNamed(click.Group):
    """Without a command of its own it shows what stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"}):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ShowUnlessNamed, epilog=_EPILOG)
def command() -> None:
    """See by which definitions response times are counted, and redefine them after the fact.

    Without a command of its own it shows what stands.
    """


@command.command("show", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("store", "query_timeout")
def show_command(settings: "Settings", as_json: bool) -> None:
    """Show the definitions that stand."""
    from touchlog.client import Reader

    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        _show(reader.sql(_SHOW).to_pylist(), as_json=as_json)


@command.command("load", cls=Command, epilog=_LOAD_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The definitions that stand then, as JSON.")
@with_settings("store", "query_timeout")
def load_command(settings: "Settings", file: Path, as_json: bool) -> None:
    """Count by the definitions of FILE from now on, over the whole history."""
    from projections.metrics import read
    from touchlog.client import Reader
    from touchlog.measuring import load_anyhow

    definitions = read(file)
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        changed = load_anyhow(settings.store, reader, definitions)
        rows = reader.sql(_SHOW).to_pylist()
    _show(rows, as_json=as_json)
    click.echo("the views count by these now" if changed else "these stood already", err=True)


@command.command("default")
def default_command() -> None:
    """Print the file of the definitions that a new store begins with, to begin one's own with."""
    from projections.metrics import packaged_text

    click.echo(packaged_text(), nl=False)


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    import json

    for row in rows:
        row["definition"] = json.loads(row["definition"])
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(rows, indent=2))
        return
    from touchlog.render import console
    from touchlog.render_metrics import definitions

    console().print(definitions(rows))
