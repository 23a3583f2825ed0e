"""conversations: one row per conversation that somebody opened."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from tests.oracle import words
from tests.oracle.entries import Entry, utc
from tests.oracle.identity import Identity
from tests.oracle.threads import conversation_id, thread_of

FINISHED = ("resolved", "abandoned")
SNOOZED = "conversation.snoozed"
LEFT = ("voicemail.left", "callback.requested")
ENDS_OF_CALLS = ("call.completed", "ivr.self_served", "call.abandoned")
ENDS_OF_QUEUES = ("call.answered", "call.abandoned", "voicemail.left", "callback.requested", "call.completed")


def histories(entries: list[Entry], threads: dict[str, str]) -> dict[str, list[Entry]]:
    """The events of every conversation that is shown, in order."""
    by_conversation: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        conversation = conversation_id(entry, threads)
        if conversation is not None:
            by_conversation[conversation].append(entry)
    return {name: events for name, events in by_conversation.items() if any(entry.meaning.opens for entry in events)}


def conversations(shown: dict[str, list[Entry]], who: Identity, now: datetime) -> list[dict[str, Any]]:
    """One row each. `customer_ids` are those of the relevant events, as `channels` are."""
    return [_conversation(name, events, who, now) for name, events in shown.items()]


def _conversation(name: str, given: list[Entry], who: Identity, now: datetime) -> dict[str, Any]:
    relevant = [entry for entry in given if _is_relevant(entry)]
    events = without_ends_of_calls_that_left_something(given)
    threads = [thread_of(entry) or "" for entry in events]
    starts = [entry for entry in events if entry.meaning.clock == "start"]
    stops = [entry for entry in events if entry.meaning.clock == "stop"]
    moves = [channel for channel, _ in groupby(entry.channel for entry in relevant)]
    state, since, snoozed_until = _state(events, now)
    promise = next((entry for entry in events[::-1] if _promises(entry)), None)
    next_action = _next_action(events, state, snoozed_until, promise)
    messages, stopped = words.said(events), words.self_service(events, threads)
    theirs = words.newest(messages, "start", with_words=True)
    ours = words.newest(messages, "stop", with_words=True)
    return {
        "conversation_id": name,
        "customer_id": who.customer_of(relevant[0].key),
        "customer_ids": sorted({who.customer_of(entry.key) for entry in relevant}),
        "channels": list(dict.fromkeys(moves)),
        "switches": len(moves) - 1,
        "moves": moves,
        "opened_at": _first_at(events, lambda entry: entry.meaning.opens or entry.meaning.reopens),
        "last_at": relevant[-1].at,
        "state": state,
        "state_since": since,
        "waiting_since": since if state == "waiting_on_us" else None,
        "snoozed_until": snoozed_until,
        "messages_in": len(starts),
        "messages_out": len(stops),
        "hand_overs": sum(entry.meaning.hand_over for entry in events),
        "reopened": _reopened(events),
        "first_response_s": _first_response(starts, stops),
        "queue_s": _queue_s(events, threads),
        "hold_s": _hold_s(events),
        "resolved_at": since if state == "resolved" else None,
        "topic": _newest(entry.event.topic for entry in events),
        "agent": _newest(entry.event.agent for entry in events),
        "agents": list(dict.fromkeys(entry.event.agent for entry in events if entry.event.agent)),
        "case_refs": sorted({reference for entry in events for reference in entry.event.case_refs}),
        "last_customer_summary": theirs and theirs.words,
        "last_answer_summary": ours and ours.words,
        "last_step": stopped and stopped.step,
        "promised_at": promise and promise.event.promised_at,
        "next_action": next_action,
        "summary": words.one_line(
            state=state,
            since=since,
            snoozed_until=snoozed_until,
            theirs=theirs,
            answer=words.newest(messages, "stop", with_words=False),
            stopped=stopped,
            answered_at=_last_at(stops, lambda _: True),
            next_action=next_action,
        ),
    }


def as_they_end(entries: list[Entry], threads: dict[str, str]) -> list[Entry]:
    """Entries in order, with ends of calls ending nothing where what was left in the call waited for an answer then."""
    by_conversation: dict[str | None, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_conversation[conversation_id(entry, threads)].append(entry)
    alone = by_conversation.pop(None, [])
    told = [without_ends_of_calls_that_left_something(events) for events in by_conversation.values()]
    return sorted([*alone, *(entry for events in told for entry in events)], key=lambda one: (one.at, one.event_id))


def without_ends_of_calls_that_left_something(events: list[Entry]) -> list[Entry]:
    """The events, with ends of calls ending nothing where what was left in the call waited for an answer then."""
    return [
        replace(entry, meaning=replace(entry.meaning, closes=False, abandons=False))
        if entry.event.type in ENDS_OF_CALLS and _left_waiting(entry, events)
        else entry
        for entry in events
    ]


def _left_waiting(end: Entry, events: list[Entry]) -> bool:
    before = [entry for entry in events if entry.at <= end.at]
    left = [
        entry.at
        for entry in before
        if entry.event.type in LEFT and entry.meaning.clock == "start" and thread_of(entry) == thread_of(end)
    ]
    return bool(left) and not any(entry.meaning.clock == "stop" and entry.at >= max(left) for entry in before)


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


def _state(events: list[Entry], now: datetime) -> tuple[str, datetime, datetime | None]:
    """State, since when, and until when it is snoozed. Comparisons are of occurred_at; what never happened loses every
    one."""
    begin = _last_at(events, lambda entry: entry.meaning.opens or entry.meaning.reopens)
    end = _last_at(events, lambda entry: entry.meaning.closes)
    gave_up = _last_at(events, lambda entry: entry.meaning.abandons)
    answer = _last_at(events, lambda entry: entry.meaning.clock == "stop")
    assert begin is not None, "a conversation that is shown was opened"

    snooze = next((entry for entry in events[::-1] if entry.event.type == SNOOZED), None)
    if snooze is not None:
        until = utc(snooze.event.promised_at)
        newest = all(snooze.at > other for other in (begin, end, gave_up) if other is not None)
        if newest and (answer is None or snooze.at >= answer) and (until is None or until > now):
            return "snoozed", snooze.at, until
    state, since = _state_awake(events, begin, end, gave_up, answer)
    return state, since, None


def _state_awake(
    events: list[Entry],
    begin: datetime,
    end: datetime | None,
    gave_up: datetime | None,
    answer: datetime | None,
) -> tuple[str, datetime]:
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


def _promises(entry: Entry) -> bool:
    return entry.event.promised_at is not None and entry.event.type != SNOOZED


def _next_action(events: list[Entry], state: str, snoozed_until: datetime | None, promise: Entry | None) -> str | None:
    if state in FINISHED:
        return None
    done = [entry.at for entry in events if entry.meaning.clock == "stop" or entry.meaning.closes]
    for entry in events[::-1]:
        if entry.event.type == "callback.requested" and entry.meaning.clock == "start":
            if all(entry.at > other for other in done):
                return words.by("by", "call back", entry.event.promised_at)
            break
    ends = [entry.at for entry in events if entry.meaning.closes]
    if promise is not None and all(promise.at > end for end in ends):
        return words.by("by", "promised", promise.event.promised_at)
    if state == "waiting_on_us":
        return "answer"
    return words.by("at", "look again", snoozed_until) if state == "snoozed" else None


def _queue_s(events: list[Entry], threads: list[str]) -> int | None:
    """Each wait in a queue begins with the first `call.queued` after what ended the one before in its thread."""
    waiting: dict[str, datetime] = {}
    lengths = []
    for entry, thread in zip(events, threads, strict=True):
        if entry.event.type == "call.queued":
            waiting.setdefault(thread, entry.at)
        elif entry.event.type in ENDS_OF_QUEUES and thread in waiting:
            lengths.append((entry.at - waiting.pop(thread)) // timedelta(seconds=1))
    return sum(lengths) if lengths else None


def _hold_s(events: list[Entry]) -> int | None:
    told = [entry.event.attributes.get("hold_s", "") for entry in events if entry.event.type == "call.held"]
    lengths = [int(text) for text in told if re.fullmatch("[0-9]{1,9}", text)]
    return sum(lengths) if lengths else None


def _reopened(events: list[Entry]) -> int:
    turns = [entry for entry in events if entry.meaning.opens or entry.meaning.closes or entry.meaning.reopens]
    return sum(
        earlier.meaning.closes and (later.meaning.opens or later.meaning.reopens) for earlier, later in pairwise(turns)
    )


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
