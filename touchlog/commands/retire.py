"""`touchlog retire`: free the space of versions that were live once."""

from typing import TYPE_CHECKING

import click

from touchlog.options import Command, source_option, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog retire
  touchlog retire items
  touchlog retire --source log

After this they cannot be switched back to; they can be built again, from the same SQL."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@source_option
@click.option("--json", "as_json", is_flag=True, help="The versions as JSON.")
@with_settings("store", "query_timeout")
def command(settings: "Settings", names: tuple[str, ...], source: str, as_json: bool) -> None:
    """Drop versions that were live before, those of NAME or all of them, and free their space."""
    from touchlog.replaying import perform_and_show

    if source == "log":
        if names:
            raise click.UsageError("from the log all views were built; name none")
        from touchlog.exchanging import exchange_and_say

        exchange_and_say(settings, "retire")
        return
    perform_and_show(settings, "retire", names, as_json=as_json)
