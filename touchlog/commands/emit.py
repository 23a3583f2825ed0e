"""`touchlog emit`: ready-made events into the log."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Example:
  echo '{"channel": "chat", "type": "message.received", "occurred_at": "2026-03-02T09:14:05+01:00",
    "source": "web/acme", "direction": "inbound", "contact_points": ["email:ada@example.org"],
    "conversation_ref": "c-1", "summary": "Where is my parcel?"}' | touchlog emit

The fields are the contract's; event_id is derived when it is not given, contact points may be in any spelling.
Exit codes are those of touchlog produce."""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--dry-run", is_flag=True, help="Print the events as JSON lines and publish nothing.")
@click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Where rejected lines are kept.")
@with_settings("log", "registry", "partitions", "region")
def command(settings: "Settings", dry_run: bool, rejects: Path | None) -> None:
    """Publish events that come as JSON lines on standard input.

    For systems in any language that speak the contract themselves.
    """
    from producers.emit import EMIT
    from producers.sources import STANDARD_INPUT, sources
    from touchlog.commands.produce import options_of
    from touchlog.publishing import dry_run as print_events
    from touchlog.publishing import publish_and_report

    found = sources([STANDARD_INPUT], stdin=sys.stdin.buffer)
    if dry_run:
        print_events(found, EMIT, options_of(settings))
    else:
        publish_and_report(found, EMIT, options_of(settings), settings=settings, rejects=rejects or settings.rejects)
