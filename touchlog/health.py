"""How a running projector is doing: what its pulse says, in the words of the status, and whether that is well."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from consumers.patience import WORDS
from consumers.pulse import Pulse, Vitals
from touchlog.status import Status

_STATM = Path("/proc/self/statm")


def with_health(status: Status, pulse: Pulse) -> Status:
    """The status of a store with what the projector of this process tells: `projector`, and the lag as it is now.

    `projector`: pid, started_at, cycles and cycle_age_seconds of the loop that folds, reader_cycles and
    reader_age_seconds of the thread that reads ahead, state and state_since, waiting (None, or for, since, why),
    oldest_record_at, compaction (running, tail_events, after), rss_bytes (None where the system does not tell).
    """

    def told(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
        vitals = pulse.vitals()
        found = {**status(con), "projector": _told(vitals)}
        if not vitals.lag:
            return found
        now = datetime.now(UTC)
        lag = [
            {
                "topic": at.topic,
                "partition": at.partition,
                "next_offset": one.next_offset,
                "end_offset": one.end_offset,
                "lag": one.records,
                "as_of": now,
            }
            for at, one in sorted(vitals.lag.items())
        ]
        total = sum(one.records for one in vitals.lag.values())
        return {**found, "lag": lag, "lag_total": total, "lag_seconds": vitals.lag_s}

    return told


def ailment(told: Mapping[str, Any], *, max_cycle_seconds: float, max_lag_seconds: float | None) -> str | None:
    """Why a projector is not well, by its status in plain JSON values; None when it is.

    Waiting for a log or a registry that is away is not an ailment of the projector, but the lag that comes of it is.
    """
    projector = told["projector"]
    if not told["running"] or projector is None:
        return "no projector is running; type: touchlog project"
    for who, age in (("loop", projector["cycle_age_seconds"]), ("reader", projector["reader_age_seconds"])):
        if age > max_cycle_seconds:
            return (
                f"the projector's {who} has not gone round for {age:.0f} s (state {projector['state']}, at most"
                f" {max_cycle_seconds:g} s); restart process {projector['pid']}"
            )
    lag = told["lag_seconds"]
    if max_lag_seconds is not None and lag is not None and lag > max_lag_seconds:
        return (
            f"{told['lag_total']:,} records are not folded, one of them for {lag:.0f} s (state {projector['state']},"
            f" at most {max_lag_seconds:g} s); type: touchlog status"
        )
    return None


def rss_bytes() -> int | None:
    """Memory of this process that is resident; None where the system does not tell."""
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _told(vitals: Vitals) -> dict[str, Any]:
    waiting = vitals.waiting
    return {
        "pid": os.getpid(),
        "started_at": vitals.started_at,
        "cycles": vitals.cycles,
        "cycle_age_seconds": vitals.cycle_age_s,
        "reader_cycles": vitals.reader_cycles,
        "reader_age_seconds": vitals.reader_age_s,
        "state": vitals.state,
        "state_since": vitals.state_since,
        "waiting": None
        if waiting is None
        else {"for": WORDS[waiting.what], "since": waiting.since, "why": waiting.why},
        "oldest_record_at": vitals.oldest_record_at,
        "compaction": {
            "running": vitals.compacting,
            "tail_events": vitals.tail_events,
            "after": vitals.compact_after,
        },
        "rss_bytes": rss_bytes(),
    }
