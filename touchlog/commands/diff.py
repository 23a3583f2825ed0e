"""`touchlog diff`: what would change by the versions that are coming."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from touchlog.options import Command, source_option, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog diff
  touchlog diff channel_preference --examples 20
  touchlog diff --contact ada@example.org
  touchlog diff channel_preference --all changes.jsonl
  touchlog diff --source log

Both sides are read in one snapshot, at the same offsets of the log and the same time. Personal data is shown.

Exit code: 0 when nothing would change, 1 when something would."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[VIEW]…")
@source_option
@click.option("--contact", metavar="CONTACT", help="Of one customer, as touchlog customer takes it.")
@click.option("--channel", metavar="CHANNEL", help="Of one channel, where a view has channels.")
@click.option("--at", "moment", metavar="TIME", help="As of this time, where a view depends on the time; default now.")
@click.option("--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Of each sort, a view.")
@click.option(
    "--all", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="All rows, as JSON lines."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("log", "store", "registry", "region", "query_timeout")
def command(
    settings: "Settings",
    names: tuple[str, ...],
    source: str,
    contact: str | None,
    channel: str | None,
    moment: str | None,
    examples: int,
    file: Path | None,
    as_json: bool,
) -> None:
    """Compare the views with what they would be.

    VIEW is one that may change: a projection that is coming, or a view that reads one; without, all of them.
    """
    from touchlog.as_json import dumps
    from touchlog.client import Reader
    from touchlog.comparing import all_rows, difference, told, views_to_compare
    from touchlog.contact import contact_keys
    from touchlog.then import Then

    now = Then.of(moment, None).now
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        parts = {"channel": channel} if channel else {}
        if contact is not None:
            card = reader.customer(contact_keys(contact, region=settings.region))
            if card is None:
                click.echo(f"nobody is known by {contact}", err=True)
                raise click.exceptions.Exit(1)
            parts["customer_id"] = card["customer_id"]
        if source == "log":
            if parts or file:
                raise click.UsageError(
                    "--contact and --channel are given to touchlog rebuild --source log; no --all here"
                )
            from touchlog.from_log import differences as from_log

            views = []
            found = from_log(settings, reader, names, now=now, examples=examples)
        else:
            views = views_to_compare(reader.sql, names)
            found = [difference(reader.sql, one, now=now, parts=parts, examples=examples) for one in views]
        if file is not None:
            with file.open("w", encoding="utf-8") as out:
                for one in views:
                    for row in all_rows(reader.batches, reader.sql, one, now=now, parts=parts):
                        out.write(dumps(row) + "\n")
    if as_json:
        click.echo(dumps([told(one) for one in found], indent=2))
    else:
        from touchlog.render import console
        from touchlog.render_replay import differences

        console().print(differences(found))
    if any(one.differs for one in found):
        raise click.exceptions.Exit(1)
