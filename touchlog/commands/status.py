"""`touchlog status`: whether it lives, how far behind, how fast, what was parked."""

from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog status
  touchlog status --json
  touchlog status --check --max-lag-seconds 300

With --check the exit code is 0 when the projector is well, and any other when it is not, for health checks of cron,
compose or an orchestrator; docs/operations.md says what each line means."""

_CHECK_TIMEOUT_S = 5.0


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--check", is_flag=True, help="One line; exit code 1 when the projector is not well.")
@click.option(
    "--max-cycle-seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="With --check: how long a round of the projector may take.",
)
@click.option(
    "--max-lag-seconds", type=click.FloatRange(min=0), help="With --check: how long a record may wait to be folded."
)
@with_settings("store", "log", "query_timeout")
def command(
    settings: "Settings", as_json: bool, check: bool, max_cycle_seconds: float, max_lag_seconds: float | None
) -> None:
    """Show whether the projector lives, its lag, rates, parked records and projections.

    While no projector runs, the lag is told by the log itself, if it answers (`log_answers` in JSON).
    """
    from touchlog.client import Reader

    seconds = settings.query_timeout
    made = Reader(settings.store, timeout_s=seconds)
    if check:
        made = Reader(settings.store, timeout_s=min(seconds, _CHECK_TIMEOUT_S), patience_s=0.0)
    with made as reader:
        told = reader.status()
    if check:
        from touchlog.health import ailment

        wrong = ailment(told, max_cycle_seconds=max_cycle_seconds, max_lag_seconds=max_lag_seconds)
        click.echo(f"touchlog: {wrong}" if wrong else f"well: {told['projector']['state']}", err=wrong is not None)
        raise click.exceptions.Exit(0 if wrong is None else 1)
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
