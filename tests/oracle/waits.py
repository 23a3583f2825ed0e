"""waits: how long people waited, by every definition that stands."""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from schemas.event_types import EVENT_TYPES
from tests.oracle.calendars import Calendar
from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

PACKAGED = Path(__file__).parents[2] / "projections" / "metrics.toml"
SECOND = timedelta(seconds=1)


def packaged() -> list[dict[str, Any]]:
    """The definitions that a new store begins with."""
    found: list[dict[str, Any]] = tomllib.loads(PACKAGED.read_text("utf-8"))["definition"]
    return found


@dataclass(kw_only=True, slots=True)
class Wait:
    """Places are those in the conversation's history."""

    began: int
    ended: int | None = None
    ended_by: str | None = None


def waits(
    shown: dict[str, list[Entry]], who: Identity, definitions: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """One row per wait, measure and definition. An agent or a queue may be an empty text."""
    rows = []
    for definition in packaged() if definitions is None else definitions:
        count = _counting(definition)
        for name, events in shown.items():
            pauses = list(_snoozes(events)) if definition.get("snoozes_pause") else []
            for measure, wait in _measured(events, bots=definition.get("bots_answer", False)):
                row = {"definition": definition["name"], "definition_version": definition["version"]}
                row |= {"measure": measure, "conversation_id": name} | _of_events(wait, events, who)
                rows.append(row | _lengths(row, pauses, count, definition))
    return rows


def _measured(events: list[Entry], *, bots: bool) -> Iterator[tuple[str, Wait]]:
    def starts(entry: Entry) -> bool:
        return entry.meaning.clock == "start"

    def gives_up(entry: Entry) -> bool:
        handed_over = entry.meaning.hand_over and entry.event.author == "bot"
        return entry.event.type == "conversation.handed_off" or handed_over

    def begins(entry: Entry) -> bool:
        return entry.meaning.opens or entry.meaning.reopens

    def answers(entry: Entry) -> bool:
        return entry.meaning.clock == "stop" or (bots and _is_bots_answer(entry))

    for number, wait in enumerate(_waits(events, starts, answers)):
        yield ("next_response" if number else "first_response"), wait
    for wait in _waits(events, gives_up, lambda entry: entry.meaning.clock == "stop"):
        yield "after_handoff", wait
    for wait in _waits(events, begins, lambda _: False):
        yield "resolution", wait


def _is_bots_answer(entry: Entry) -> bool:
    """What a bot wrote and would have stopped the clock, had a person written it."""
    plain = EVENT_TYPES[entry.channel][entry.event.type]
    return bool(
        entry.event.author == "bot" and entry.meaning.touchpoint and plain.clock == "stop" and plain.item == "sent"
    )


def _waits(events: list[Entry], begins: Callable[[Entry], bool], answers: Callable[[Entry], bool]) -> Iterator[Wait]:
    running: Wait | None = None
    for place, entry in enumerate(events):
        if begins(entry):
            running = running or Wait(began=place)
            continue
        reason = (
            "answer"
            if answers(entry)
            else "abandoned"
            if entry.meaning.abandons
            else "closed"
            if entry.meaning.closes
            else None
        )
        if running is not None and reason is not None:
            running.ended, running.ended_by = place, reason
            yield running
            running = None
    if running is not None:
        yield running


def _snoozes(events: list[Entry]) -> Iterator[tuple[datetime, datetime | None]]:
    """From when, until when; None is for ever."""
    for place, entry in enumerate(events):
        if entry.event.type != "conversation.snoozed":
            continue
        until = [] if entry.event.promised_at is None else [entry.event.promised_at]
        for later in events[place + 1 :]:
            meaning = later.meaning
            if meaning.clock == "start" or meaning.opens or meaning.reopens or later.event.type == entry.event.type:
                until.append(later.at)
                break
        yield entry.at, min(until, default=None)


def _of_events(wait: Wait, events: list[Entry], who: Identity) -> dict[str, Any]:
    first = events[wait.began]
    last = None if wait.ended is None else events[wait.ended]
    during = events[wait.began :] if wait.ended is None else events[wait.began : wait.ended + 1]
    queues = [queue for entry in during if (queue := getattr(entry.event, "queue", None)) is not None]
    return {
        "customer_id": who.customer_of(first.key),
        "channel": first.channel,
        "queue": queues[0] if queues else None,
        "agent": None if last is None or wait.ended_by == "abandoned" else last.event.agent,
        "event_id": first.event_id,
        "began_at": first.at,
        "ended_at": None if last is None else last.at,
        "ended_by": wait.ended_by,
    }


def _lengths(
    row: dict[str, Any],
    pauses: list[tuple[datetime, datetime | None]],
    count: Callable[[datetime, datetime], timedelta],
    definition: dict[str, Any],
) -> dict[str, Any]:
    began, ended = row["began_at"], row["ended_at"]
    answered = row["ended_by"] == ("closed" if row["measure"] == "resolution" else "answer")
    target = definition.get("targets", {}).get(row["measure"], {}).get(row["channel"])
    seconds = counted = None
    if ended is not None:
        seconds = (ended - began) // SECOND
        total = count(began, ended)
        for since, until in pauses:
            low, high = max(since, began), min(until or ended, ended)
            if low < high:
                total -= count(low, high)
        counted = total // SECOND
    return {
        "answered": answered,
        "seconds": seconds,
        "counted_s": counted,
        "target_s": target,
        "within_target": counted <= target if answered and counted is not None and target is not None else None,
    }


def _counting(definition: dict[str, Any]) -> Callable[[datetime, datetime], timedelta]:
    if "hours" not in definition:
        return lambda since, until: until - since
    return _calendar(json.dumps(definition["hours"], default=str)).open_for


@cache
def _calendar(hours: str) -> Calendar:
    return Calendar(json.loads(hours))
