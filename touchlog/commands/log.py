"""`touchlog log`: what lies in the log."""

from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("log")
def command(settings: "Settings", as_json: bool) -> None:
    """Show the log's topics, partitions and offsets."""
    from log.open import open_log
    from schemas.topics import TOPICS

    with open_log(settings.log, must_exist=True, kafka_options=settings.kafka_options or None) as log:
        begins, ends = log.begin_offsets(TOPICS), log.end_offsets(TOPICS)
    rows: list[dict[str, Any]] = [
        {
            "topic": at.topic,
            "partition": at.partition,
            "begin_offset": begins.get(at, 0),
            "end_offset": end,
            "records": end - begins.get(at, 0),
        }
        for at, end in sorted(ends.items())
    ]
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps({"log": settings.log, "partitions": rows}, indent=2))
        return
    from touchlog.render import console, count, facts_table

    headers = list(rows[0]) if rows else ["topic", "partition", "begin_offset", "end_offset", "records"]
    out = console()
    out.print(settings.log, style="dim")
    out.print(
        facts_table(
            [name.replace("_", " ") for name in headers],
            [list(row.values()) for row in rows],
            numbers=["partition", "begin offset", "end offset", "records"],
        )
    )
    out.print(f"{count(sum(row['records'] for row in rows))} records in {count(len(rows))} partitions")
