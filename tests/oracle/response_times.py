"""response_times: how long people waited for an answer, by channel and day."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from tests.oracle.entries import Entry

TARGET_S = {"email": 86_400, "chat": 60, "phone": 20, "post": 864_000, "social": 3_600}


@dataclass(kw_only=True, slots=True)
class Wait:
    """From a customer's question to what ended it."""

    channel: str
    since: datetime
    first: bool
    ended: Literal["answered", "resolved", "abandoned"] | None = None
    seconds: int | None = None


def response_times(shown: dict[str, list[Entry]]) -> list[dict[str, Any]]:
    """One row per channel and UTC day on which a wait began."""
    by_day: dict[tuple[str, date], list[Wait]] = defaultdict(list)
    for events in shown.values():
        for wait in _waits(events):
            by_day[wait.channel, wait.since.date()].append(wait)
    return [_row(channel, day, waits) for (channel, day), waits in by_day.items()]


def _waits(events: list[Entry]) -> Iterator[Wait]:
    running: Wait | None = None
    first = True
    for entry in events:
        if running is None:
            if entry.meaning.clock == "start":
                running = Wait(channel=entry.channel, since=entry.at, first=first)
                first = False
            continue
        if entry.meaning.clock == "stop":
            running.ended = "answered"
            running.seconds = (entry.at - running.since) // timedelta(seconds=1)
        elif entry.meaning.abandons:
            running.ended = "abandoned"
        elif entry.meaning.closes:
            running.ended = "resolved"
        else:
            continue
        yield running
        running = None
    if running is not None:
        yield running


def _row(channel: str, day: date, waits: list[Wait]) -> dict[str, Any]:
    first = [wait for wait in waits if wait.first]
    seconds = sorted(wait.seconds for wait in waits if wait.seconds is not None)
    first_seconds = sorted(wait.seconds for wait in first if wait.seconds is not None)
    return {
        "channel": channel,
        "day": day,
        "waits": len(waits),
        "answered": len(seconds),
        "abandoned": sum(wait.ended == "abandoned" for wait in waits),
        "open": sum(wait.ended is None for wait in waits),
        "first_waits": len(first),
        "first_answered": len(first_seconds),
        "first_p50_s": quantile(first_seconds, tenths=5),
        "first_p90_s": quantile(first_seconds, tenths=9),
        "p50_s": quantile(seconds, tenths=5),
        "p90_s": quantile(seconds, tenths=9),
        "target_s": TARGET_S[channel],
        "within_target": sum(value <= TARGET_S[channel] for value in seconds),
    }


def quantile(ordered: list[int], *, tenths: int) -> int | None:
    """The smallest value that at least so many tenths of all values do not exceed."""
    if not ordered:
        return None
    needed = -(-len(ordered) * tenths // 10)
    return ordered[needed - 1]
