"""The events of a log in their order, each with what it means."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.event_types import EVENT_TYPES, Meaning, conclusions
from schemas.models import ContactPoint, Event

OUTCOMES = ("bounce_class", "answered_by", "delivery_basis", "return_reason", "disposition")
SPEAK_FOR_MEANING = (
    "direction",
    "author",
    "machine",
    "answers_ref",
    "bounce_class",
    "answered_by",
    "delivery_basis",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One event: when, its contact points as they were held then (the primary first) and the primary's key, what it
    means, and how it came out."""

    at: datetime
    event_id: str
    channel: str
    key: str
    points: tuple[ContactPoint, ...]
    meaning: Meaning
    outcome: str | None
    event: Event

    @property
    def on_a_channel(self) -> bool:
        """False for statements about identity."""
        return self.channel != "identity"


def entries_of(events: Iterable[Event]) -> list[Entry]:
    """Distinct events in the order (occurred_at, event_id)."""
    first: dict[str, Event] = {}
    for event in events:
        first.setdefault(str(event.event_id), event)
    ended = endings(first.values())
    entries = [_entry(event_id, event, ended) for event_id, event in first.items()]
    return sorted(entries, key=lambda entry: (entry.at, entry.event_id))


def endings(events: Iterable[Event]) -> dict[str, list[datetime]]:
    """When contact points ended, by key, in order."""
    found: dict[str, set[datetime]] = {}
    for event in events:
        if event.channel == "identity" and event.type == "contact_point.ended" and event.primary.kind != "anonymous":
            found.setdefault(event.primary.key, set()).add(event.occurred_at.astimezone(UTC))
    return {key: sorted(times) for key, times in found.items()}


def holder(key: str, at: datetime, ended: dict[str, list[datetime]]) -> str:
    """The key of whoever had a contact point at a time: what ended earlier than that is another's."""
    earlier = [moment for moment in ended.get(key, ()) if moment < at]
    return later_holder(key, earlier[-1]) if earlier else key


def later_holder(key: str, since: datetime) -> str:
    """The key of the one who has a contact point since it ended."""
    told = since.isoformat(timespec="microseconds").removesuffix("+00:00").removesuffix(".000000")
    return f"{key} (since {told}Z)"


def plain(key: str) -> str:
    """A contact point's own key (or value), whoever has it."""
    return re.sub(r" \(since [^ )]*\)$", "", key)


def _held(point: ContactPoint, at: datetime, ended: dict[str, list[datetime]]) -> ContactPoint:
    key = holder(point.key, at, ended)
    return point if key == point.key else point.model_copy(update={"value": key.partition(":")[2]})


def _entry(event_id: str, event: Event, ended: dict[str, list[datetime]]) -> Entry:
    points = tuple(_held(point, event.occurred_at, ended) for point in event.contact_points)
    fields = {name: text(getattr(event, name, None)) for name in SPEAK_FOR_MEANING if name != "machine"}
    return Entry(
        at=event.occurred_at.astimezone(UTC),
        event_id=event_id,
        channel=event.channel,
        key=points[0].key,
        points=points,
        meaning=conclusions(EVENT_TYPES[event.channel][event.type], {**fields, "machine": event.machine}),
        outcome=_outcome(event),
        event=event,
    )


def _outcome(event: Event) -> str | None:
    """The first that is set in the order in which docs/views.md names them; an event may have two."""
    for name in OUTCOMES:
        value = getattr(event, name, None)
        if value is not None:
            return str(value)
    return None


def text(value: Any) -> str | None:
    """Text or a member of an enum as plain text."""
    return None if value is None else str(value)


def utc(moment: datetime | None) -> datetime | None:
    """A moment in UTC."""
    return None if moment is None else moment.astimezone(UTC)
