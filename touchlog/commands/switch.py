"""`touchlog switch`: the versions that are ready become what people read."""

from typing import TYPE_CHECKING

import click

from touchlog.options import Command, source_option, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog switch
  touchlog switch items
  touchlog switch --back
  touchlog switch --source log

Readers see the old or the new, never a mixture. What was live goes on being folded until touchlog retire, so that
switching back is one moment, too."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--back", is_flag=True, help="What was live before is live again.")
@source_option
@click.option("--json", "as_json", is_flag=True, help="The versions as JSON.")
@with_settings("store", "query_timeout")
def command(settings: "Settings", names: tuple[str, ...], source: str, back: bool, as_json: bool) -> None:
    """Make the versions that are ready live, those of NAME or all of them, in one moment."""
    from touchlog.replaying import perform_and_show

    if source == "log":
        if names:
            raise click.UsageError("from the log all views were built; name none")
        from touchlog.exchanging import exchange_and_say

        exchange_and_say(settings, "switch back" if back else "switch")
        return
    perform_and_show(settings, "switch back" if back else "switch", names, as_json=as_json)
