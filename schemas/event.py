"""How an event is built: the primary contact point chosen, the time made plausible, the id derived."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import ValidationError

from schemas.codec import micros
from schemas.errors import InvalidEvent
from schemas.models import EVENT_MODELS, Assurance, ContactPoint, Event, Kind, Role, plausible
from schemas.validation import explain

__all__ = ["NAMESPACE", "SUMMARY_LENGTH", "build_event", "derive_event_id", "explain", "ordered"]

NAMESPACE = UUID("6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a02")
"""Of event ids."""

SUMMARY_LENGTH = 200

_ASSURANCE_ORDER = {assurance: place for place, assurance in enumerate(Assurance)}
_KIND_ORDER = {kind: place for place, kind in enumerate(Kind)}


def build_event(
    channel: str,
    *,
    type: str,  # noqa: A002 - the contract's own name for the field
    reference: str,
    occurred_at: datetime,
    observed_at: datetime,
    contact_points: Iterable[ContactPoint],
    system: str | None = None,
    discriminator: str | None = None,
    event_id: UUID | str | None = None,
    summary: str | None = None,
    attributes: dict[str, str] | None = None,
    **fields: Any,
) -> Event:
    """The event of one happening.

    `reference` is the thing's own (Message-ID, provider's message id, call id, piece id); `system` is given
    where that is not globally unique; `discriminator` tells apart what happens to one thing in one moment (the
    clicked URL, the attempt). The same arguments give the same `event_id`, whatever `observed_at` is.

    A time before 1995 or more than a day after `observed_at` is replaced by `observed_at`, and kept in
    `attributes["given_occurred_at"]`. Raises InvalidEvent naming the field, never its value.
    """
    if channel not in EVENT_MODELS:
        raise InvalidEvent(f"channel: not one of {', '.join(EVENT_MODELS)}")
    if occurred_at.utcoffset() is None or observed_at.utcoffset() is None:
        raise InvalidEvent("occurred_at, observed_at: a time without offset")
    points = ordered(contact_points)
    if not points:
        raise InvalidEvent("contact_points: none given")
    attributes = dict(attributes or {})
    if event_id is None:
        event_id = derive_event_id(reference, type, points[0].key, occurred_at, discriminator, system)
    if not plausible(occurred_at, observed_at):
        attributes["given_occurred_at"] = occurred_at.isoformat()
        occurred_at = observed_at
    try:
        return EVENT_MODELS[channel](
            event_id=event_id,
            type=type,
            occurred_at=occurred_at,
            observed_at=observed_at,
            contact_points=points,
            summary=None if summary is None else summary[:SUMMARY_LENGTH],
            attributes=attributes,
            **fields,
        )
    except ValidationError as error:
        raise InvalidEvent(explain(error)) from None


def derive_event_id(
    reference: str,
    type: str,  # noqa: A002 - the contract's own name for the field
    contact_key: str,
    occurred_at: datetime,
    discriminator: str | None = None,
    system: str | None = None,
) -> UUID:
    """UUIDv5 of what happened; parts are joined by a character that no reference holds (docs/event.md)."""
    parts = (system or "", reference, type, contact_key, str(micros(occurred_at)), discriminator or "")
    return uuid5(NAMESPACE, "\x1f".join(parts).encode("utf-8", "replace").decode())


def ordered(points: Iterable[ContactPoint]) -> tuple[ContactPoint, ...]:
    """Contact points with the primary first and no repetitions.

    Primary = a `self` point before others, by assurance, then by kind; a value that could not be normalised
    comes after those that could. Among equals the order given stays.
    """
    points = tuple(points)
    if len(points) < 2:
        return points
    unique: dict[tuple[str, Role], ContactPoint] = {}
    for point in points:
        known = unique.get((point.key, point.role))
        if known is None or _ASSURANCE_ORDER[point.assurance] < _ASSURANCE_ORDER[known.assurance]:
            unique[(point.key, point.role)] = point
    return tuple(
        sorted(
            unique.values(),
            key=lambda point: (
                point.role is not Role.SELF,
                point.kind is Kind.ANONYMOUS,
                not point.normalised,
                _ASSURANCE_ORDER[point.assurance],
                _KIND_ORDER[point.kind],
            ),
        )
    )
