"""contacts: how often a customer turned to us; moves and journeys: from one channel to another."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.oracle.entries import Entry
from tests.oracle.identity import Identity
from tests.oracle.response_times import quantile
from tests.oracle.threads import conversation_id, thread_of

Row = dict[str, Any]

TASKS = ("task.started", "task.step_reached", "task.completed", "task.abandoned")
MENUS = ("ivr.selected", "ivr.self_served")
DONE = ("task.completed", "ivr.self_served")
SILENCE = timedelta(hours=24)
NEARBY = timedelta(days=7)


def contacts(entries: list[Entry], who: Identity, threads: dict[str, str], conversations: list[Row]) -> list[Row]:
    """One row per contact, by customer, in order; an event without a thread is a contact of its own."""
    topics = {row["conversation_id"]: _topic(row["topic"]) for row in conversations}
    stops: dict[str, list[datetime]] = defaultdict(list)
    ends: dict[str, list[datetime]] = defaultdict(list)
    turns: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        conversation = conversation_id(entry, threads)
        if conversation is not None and entry.meaning.clock == "stop":
            stops[conversation].append(entry.at)
        elif conversation is not None and entry.meaning.closes:
            ends[conversation].append(entry.at)
        if _is_turn(entry):
            place = thread_of(entry) or entry.event_id
            turns[who.customer_of(entry.key), entry.channel, place].append(entry)
    found = []
    for (customer, channel, _), events in turns.items():
        for contact in _parted(events):
            conversation = conversation_id(contact[0], threads)
            row = _contact(contact, stops.get(conversation or "", []), ends.get(conversation or "", []))
            row["customer_id"], row["channel"], row["conversation_id"] = customer, channel, conversation
            if row["topic"] is None:
                row["topic"] = topics.get(conversation or "")
            found.append(row)
    return sorted(found, key=lambda row: (row["customer_id"], row["started_at"], row["event_id"]))


def moves(contacts: list[Row]) -> list[Row]:
    """One row per contact whose customer came from another channel at most seven days before."""
    found = []
    for before, after in pairwise(contacts):
        if before["customer_id"] != after["customer_id"] or before["channel"] == after["channel"]:
            continue
        at = after["started_at"]
        if at - before["started_at"] > NEARBY:
            continue
        asked, settled, gave_up = before["asked_at"], before["settled_at"], before["gave_up_at"]
        unanswered = asked is not None and asked <= at and (settled is None or settled > at)
        found.append(
            {
                "customer_id": after["customer_id"],
                "from_channel": before["channel"],
                "to_channel": after["channel"],
                "topic": before["topic"] if after["topic"] is None else after["topic"],
                "left_at": before["started_at"],
                "moved_at": at,
                "after_s": (at - before["started_at"]) // timedelta(seconds=1),
                "unanswered": unanswered,
                "waited_s": (at - asked) // timedelta(seconds=1) if unanswered else None,
                "gave_up": gave_up is not None and gave_up <= at,
                "failed_self_service": before["failed_self_service"],
                "same_conversation": after["conversation_id"] is not None
                and after["conversation_id"] == before["conversation_id"],
                "from_event_id": before["event_id"],
                "to_event_id": after["event_id"],
            }
        )
    return found


def journeys(moves: list[Row]) -> list[Row]:
    """One row per month, channels and topic; moves whose topic nobody knows share one."""
    grouped: dict[tuple[date, str, str, str | None], list[Row]] = defaultdict(list)
    for move in moves:
        month = move["moved_at"].date().replace(day=1)
        grouped[month, move["from_channel"], move["to_channel"], move["topic"]].append(move)
    found = []
    for (month, from_channel, to_channel, topic), rows in grouped.items():
        after = sorted(row["after_s"] for row in rows)
        waited = sorted(row["waited_s"] for row in rows if row["waited_s"] is not None)
        found.append(
            {
                "month": month,
                "from_channel": from_channel,
                "to_channel": to_channel,
                "topic": topic,
                "moves": len(rows),
                "customers": len({row["customer_id"] for row in rows}),
                "after_p50_s": quantile(after, tenths=5),
                "after_p90_s": quantile(after, tenths=9),
                "unanswered": len(waited),
                "waited_p50_s": quantile(waited, tenths=5),
                "waited_p90_s": quantile(waited, tenths=9),
                **{
                    name: sum(row[name] for row in rows)
                    for name in ("gave_up", "failed_self_service", "same_conversation")
                },
            }
        )
    return found


def _is_turn(entry: Entry) -> bool:
    if entry.event.direction != "inbound":
        return False
    meaning = entry.meaning
    alone = entry.event.type in (*TASKS, *MENUS, "visit.recorded")
    return bool(meaning.opens or meaning.abandons or (meaning.customer and alone))


def _parted(events: list[Entry]) -> Iterable[list[Entry]]:
    """Cut wherever nothing came for over a day."""
    part = [events[0]]
    for before, entry in pairwise(events):
        if entry.at - before.at > SILENCE:
            yield part
            part = []
        part.append(entry)
    yield part


def _contact(events: list[Entry], stops: list[datetime], ends: list[datetime]) -> Row:
    types = {entry.event.type for entry in events}
    steps = [step for entry in events if entry.event.type in TASKS and (step := entry.event.step)]
    asked = next((entry.at for entry in events if entry.meaning.clock == "start"), None)
    gave_up = next((entry.at for entry in events if _gives_up(entry)), None)
    if asked is None and gave_up is not None:
        asked = events[0].at
    since = asked or events[0].at
    answered = min((at for at in stops if at >= since), default=None)
    ended = min((at for at in ends if at >= since), default=None)
    settled = None
    if asked is not None:
        helped = [answered] if gave_up is not None else [answered, ended]
        settled = min((at for at in helped if at is not None), default=None)
    by_itself = "task" if types.intersection(TASKS) else "ivr" if types.intersection(MENUS) else None
    done = bool(types.intersection(DONE))
    return {
        "customer_id": None,
        "channel": None,
        "started_at": events[0].at,
        "last_at": events[-1].at,
        "events": len(events),
        "conversation_id": None,
        "topic": next((topic for entry in events[::-1] if (topic := _topic(entry.event.topic))), None),
        "asked_at": asked,
        "answered_at": answered,
        "settled_at": settled,
        "gave_up_at": gave_up,
        "self_service": by_itself,
        "failed_self_service": not done and (by_itself == "task" or (by_itself == "ivr" and answered is None)),
        "steps": list(dict.fromkeys(steps)),
        "last_step": steps[-1] if steps else None,
        "event_id": events[0].event_id,
    }


def _gives_up(entry: Entry) -> bool:
    return entry.meaning.abandons or entry.event.type == "task.abandoned"


def _topic(topic: str | None) -> str | None:
    return (topic or "").lower().strip(" \t\n\r\v\f") or None
