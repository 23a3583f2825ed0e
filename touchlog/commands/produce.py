"""`touchlog produce`: payloads of channel systems into the log."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.topics import CHANNELS
from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from producers.format import Options
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog produce email mails/ archive.mbox 'more/**/*.eml'
  touchlog produce email --format sendgrid events.json --our-domain acme.example
  touchlog produce phone calls.csv --column customer="Caller ID" --region SE --timezone Europe/Stockholm
  touchlog produce chat webhook.json --dry-run
  cat scans.csv | touchlog produce post -

Nothing is lost: read = published + without events + rejected. A payload that is not understood is kept whole in
the rejects file and the command goes on; the same payload published again is counted once by readers.

Exit code: 0 when everything was read and the log confirmed every event (rejected payloads are told, and do not
change it); 1 when a file could not be read or recognised; 75 when the log did not confirm everything; 130 when
interrupted."""


def _formats(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from producers.formats import FORMATS

    # Before the option has its value click has not told arguments apart.
    channels = {ctx.params.get("channel"), *ctx.args[:1]} & set(CHANNELS) or set(CHANNELS)
    return [one.name for one in FORMATS if one.channel in channels and one.name.startswith(incomplete)]


def _columns(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    columns = dict(pair.partition("=")[::2] for pair in given)
    if not all(field.strip() and column.strip() for field, column in columns.items()):
        raise click.BadParameter('write FIELD=COLUMN, for example --column customer="Caller ID"')
    return {field.strip(): column.strip() for field, column in columns.items()}


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("channel", type=click.Choice(CHANNELS))
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--format",
    "format_name",
    metavar="NAME",
    shell_complete=_formats,
    help="Format of the files, when they do not tell it.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_columns,
    metavar="FIELD=COLUMN",
    help="Where a field stands in a table (repeat).",
)
@click.option("--day-first", is_flag=True, help="03/02/2026 is the third of February.")
@click.option("--dry-run", is_flag=True, help="Print the events as JSON lines and publish nothing.")
@click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Where rejected payloads are kept.")
@with_settings("log", "registry", "partitions", "region", "timezone", "account", "our_domains", "our_numbers")
def command(
    settings: "Settings",
    channel: str,
    files: tuple[str, ...],
    format_name: str | None,
    columns: dict[str, str],
    day_first: bool,
    dry_run: bool,
    rejects: Path | None,
) -> None:
    """Publish files of a channel's payloads to the log.

    FILE is a file, a folder with everything in it (a Maildir, too), a quoted pattern such as 'mails/**/*.eml', or - for
    standard input; gzip is unpacked. The format is recognised from the file's beginning; `touchlog formats` lists
    them.
    """
    from producers.formats import find_format, recognise
    from producers.sources import sources
    from touchlog.publishing import dry_run as print_events
    from touchlog.publishing import publish_and_report

    options = options_of(settings, columns=columns, day_first=day_first)
    chosen: Any = find_format(channel, format_name) if format_name else lambda _, head: recognise(channel, head)
    found = sources(files, stdin=sys.stdin.buffer)
    if dry_run:
        print_events(found, chosen, options)
    else:
        publish_and_report(found, chosen, options, settings=settings, rejects=rejects or settings.rejects)


def options_of(settings: "Settings", *, columns: dict[str, str] | None = None, day_first: bool = False) -> "Options":
    """What payloads do not say themselves, from the settings."""
    from producers.format import Options

    return Options(
        account=settings.account,
        region=settings.region,
        timezone=settings.timezone,
        day_first=day_first,
        our_domains=settings.our_domains,
        our_numbers=settings.our_numbers,
        columns=columns or {},
    )
