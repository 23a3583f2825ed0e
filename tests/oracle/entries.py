"""The events of a log in their order, each with what it means."""

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
    """One event: when, under which contact point (its key), what it means, and how it came out."""

    at: datetime
    event_id: str
    channel: str
    key: str
    meaning: Meaning
    outcome: str | None
    event: Event

    @property
    def points(self) -> tuple[ContactPoint, ...]:
        """All its contact points, the primary first."""
        return self.event.contact_points

    @property
    def on_a_channel(self) -> bool:
        """False for statements about identity."""
        return self.channel != "identity"


def entries_of(events: Iterable[Event]) -> list[Entry]:
    """Distinct events in the order (occurred_at, event_id)."""
    first: dict[str, Event] = {}
    for event in events:
        first.setdefault(str(event.event_id), event)
    entries = [_entry(event_id, event) for event_id, event in first.items()]
    return sorted(entries, key=lambda entry: (entry.at, entry.event_id))


def _entry(event_id: str, event: Event) -> Entry:
    fields = {name: text(getattr(event, name, None)) for name in SPEAK_FOR_MEANING if name != "machine"}
    return Entry(
        at=event.occurred_at.astimezone(UTC),
        event_id=event_id,
        channel=event.channel,
        key=event.contact_points[0].key,
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
