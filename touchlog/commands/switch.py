"""`touchlog switch`: the versions that are ready become what people read."""

from typing import TYPE_CHECKING

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog switch
  touchlog switch items
  touchlog switch --back

Readers see the old or the new, never a mixture. What was live goes on being folded until touchlog retire, so that
switching back is one moment, too."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--back", is_flag=True, help="What was live before is live again.")
@click.option("--json", "as_json", is_flag=True, help="The versions as JSON.")
@with_settings("store", "query_timeout")
def command(settings: "Settings", names: tuple[str, ...], back: bool, as_json: bool) -> None:
    """Make the versions that are ready live, those of NAME or all of them, in one moment."""
    from touchlog.replaying import perform_and_show

    perform_and_show(settings, "switch back" if back else "switch", names, as_json=as_json)
