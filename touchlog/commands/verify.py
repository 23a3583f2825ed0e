"""`touchlog verify`: whether the views say what the events say."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog verify
  touchlog verify --source tables
  touchlog verify --sample 100
  touchlog verify --contact ada@example.org

Checksums of every view: live == made again from the event tables == folded again from the log up to the same offsets.
Works while touchlog project runs, which goes on meanwhile; what is made again lies in a temporary folder.

Exit code: 0 when all agree, 1 when a view differs."""


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "--source",
    "sources",
    type=click.Choice(["tables", "log"]),
    multiple=True,
    help="What the views are made again from; both without.",
)
@click.option("--contact", "contacts", multiple=True, metavar="CONTACT", help="One customer alone, from the tables.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="So many customers, from the tables.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("log", "store", "registry", "region", "batch_size", "query_timeout")
def command(
    settings: "Settings",
    sources: tuple[str, ...],
    contacts: tuple[str, ...],
    sample: int | None,
    as_json: bool,
) -> None:
    """Make the views again and compare them with the live ones."""
    from touchlog.client import Reader
    from touchlog.verifying import verify_log, verify_tables

    now = datetime.now(UTC)
    some = bool(contacts or sample)
    asked = sources or (("tables",) if some else ("tables", "log"))
    if some and "log" in asked:
        raise click.UsageError("--contact and --sample are for --source tables; see touchlog rebuild --source log")
    found: dict[str, list[dict[str, Any]]] = {}
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        for source in asked:
            if source == "tables":
                found[source] = verify_tables(settings, reader, now, contacts=contacts, sample=sample)
            else:
                found[source] = verify_log(settings, reader, now)
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(found, indent=2))
    else:
        _print(found)
    if any(found.values()):
        raise click.exceptions.Exit(1)


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    from touchlog.render import console, facts_table

    out = console()
    for source, mismatches in found.items():
        said = "the event tables" if source == "tables" else "the log"
        if not mismatches:
            out.print(f"the views are what {said} say" + ("s" if source == "log" else ""))
            continue
        out.print(f"the views are not what {said} say" + ("s:" if source == "log" else ":"), style="red")
        rows = [
            [one["view"], one["customer"] or "everybody", one["live"]["rows"], one["rebuilt"]["rows"]]
            for one in mismatches
        ]
        out.print(facts_table(["view", "customer", "rows live", "rows made again"], rows))
