"""conversations: one row per conversation that somebody opened."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.oracle.entries import Entry
from tests.oracle.identity import Identity
from tests.oracle.threads import conversation_id

FINISHED = ("resolved", "abandoned")


def histories(entries: list[Entry], threads: dict[str, str]) -> dict[str, list[Entry]]:
    """The events of every conversation that is shown, in order."""
    by_conversation: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        conversation = conversation_id(entry, threads)
        if conversation is not None:
            by_conversation[conversation].append(entry)
    return {name: events for name, events in by_conversation.items() if any(entry.meaning.opens for entry in events)}


def conversations(shown: dict[str, list[Entry]], who: Identity) -> list[dict[str, Any]]:
    """One row each. `customer_ids` are those of the relevant events, as `channels` are."""
    return [_conversation(name, events, who) for name, events in shown.items()]


def _conversation(name: str, events: list[Entry], who: Identity) -> dict[str, Any]:
    relevant = [entry for entry in events if _is_relevant(entry)]
    starts = [entry for entry in events if entry.meaning.clock == "start"]
    stops = [entry for entry in events if entry.meaning.clock == "stop"]
    state, since = _state(events)
    return {
        "conversation_id": name,
        "customer_id": who.customer_of(relevant[0].key),
        "customer_ids": sorted({who.customer_of(entry.key) for entry in relevant}),
        "channels": list(dict.fromkeys(entry.channel for entry in relevant)),
        "switches": sum(one.channel != other.channel for one, other in pairwise(relevant)),
        "opened_at": _first_at(events, lambda entry: entry.meaning.opens or entry.meaning.reopens),
        "last_at": relevant[-1].at,
        "state": state,
        "state_since": since,
        "waiting_since": since if state == "waiting_on_us" else None,
        "messages_in": len(starts),
        "messages_out": len(stops),
        "hand_overs": sum(entry.meaning.hand_over for entry in events),
        "reopened": _reopened(events),
        "first_response_s": _first_response(starts, stops),
        "resolved_at": since if state == "resolved" else None,
        "topic": _newest(entry.event.topic for entry in events),
        "agent": _newest(entry.event.agent for entry in events),
        "case_refs": sorted({reference for entry in events for reference in entry.event.case_refs}),
        "last_customer_summary": starts[-1].event.summary if starts else None,
        "last_answer_summary": stops[-1].event.summary if stops else None,
        "promised_at": _newest(entry.event.promised_at for entry in events),
    }


def _is_relevant(entry: Entry) -> bool:
    meaning = entry.meaning
    return bool(
        meaning.touchpoint
        or meaning.opens
        or meaning.closes
        or meaning.reopens
        or meaning.abandons
        or meaning.hand_over
        or meaning.clock
    )


def _state(events: list[Entry]) -> tuple[str, datetime]:
    """State, and since when. Comparisons are of occurred_at; what never happened loses every one."""
    begin = _last_at(events, lambda entry: entry.meaning.opens or entry.meaning.reopens)
    end = _last_at(events, lambda entry: entry.meaning.closes)
    gave_up = _last_at(events, lambda entry: entry.meaning.abandons)
    answer = _last_at(events, lambda entry: entry.meaning.clock == "stop")
    assert begin is not None, "a conversation that is shown was opened"

    if gave_up is not None and gave_up >= begin and (answer is None or gave_up > answer):
        return "abandoned", gave_up
    if end is not None and end >= begin:
        return "resolved", end
    waiting_since = _first_at(
        events,
        lambda entry: (
            entry.meaning.clock == "start" and (answer is None or entry.at > answer) and (end is None or entry.at > end)
        ),
    )
    if waiting_since is not None:
        return "waiting_on_us", waiting_since
    if answer is not None:
        return "waiting_on_customer", answer
    return "new", begin


def _reopened(events: list[Entry]) -> int:
    explicitly = sum(entry.meaning.reopens for entry in events)
    turns = [entry for entry in events if entry.meaning.opens or entry.meaning.closes or entry.meaning.reopens]
    by_opening = sum(later.meaning.opens and earlier.meaning.closes for earlier, later in pairwise(turns))
    return explicitly + by_opening


def _first_response(starts: list[Entry], stops: list[Entry]) -> int | None:
    if not starts:
        return None
    answered = next((stop.at for stop in stops if stop.at >= starts[0].at), None)
    return None if answered is None else (answered - starts[0].at) // timedelta(seconds=1)


def _first_at(events: list[Entry], holds: Callable[[Entry], bool]) -> datetime | None:
    return next((entry.at for entry in events if holds(entry)), None)


def _last_at(events: list[Entry], holds: Callable[[Entry], bool]) -> datetime | None:
    return _first_at(events[::-1], holds)


def _newest(values: Iterable[Any]) -> Any:
    """The last that is not null; an empty text is one."""
    return next((value for value in reversed(list(values)) if value is not None), None)
