"""`touchlog status`: how far behind, how fast, what was parked."""

from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("store", "log")
def command(settings: "Settings", as_json: bool) -> None:
    """Show lag, rates, parked records and projections.

    While no projector runs, the lag is told by the log itself, if it answers (`log_answers` in JSON).
    """
    from touchlog.client import Reader

    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        told = reader.status()
    if not told["running"]:
        told = _with_the_logs_ends(told, settings)
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(told, indent=2))
        return
    from touchlog.render import console
    from touchlog.render_status import render_status

    console().print(render_status(told))


def _with_the_logs_ends(told: dict[str, Any], settings: "Settings") -> dict[str, Any]:
    """The lag to where the log ends now; what a store knows of the end is as old as its last batch."""
    from datetime import UTC, datetime

    from log.log import TopicPartition
    from log.open import open_log
    from schemas.errors import TouchlogError
    from schemas.topics import TOPICS

    try:
        with open_log(settings.log, must_exist=True, kafka_options=settings.kafka_options or None) as log:
            begins, ends = log.begin_offsets(TOPICS), log.end_offsets(TOPICS)
    except TouchlogError:
        return {**told, "log_answers": False}
    known = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in told["lag"]}
    now = datetime.now(UTC)
    lag = [
        {
            "topic": at.topic,
            "partition": at.partition,
            "next_offset": known.get(at, begins.get(at, 0)),
            "end_offset": end,
            "lag": max(0, end - known.get(at, begins.get(at, 0))),
            "as_of": now,
        }
        for at, end in sorted(ends.items())
    ]
    return {**told, "log_answers": True, "lag": lag, "lag_total": sum(int(row["lag"]) for row in lag)}
