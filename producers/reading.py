"""What every format reads with: fields that may be missing or odd, contact points, times, JSON cut into payloads.

    payload = Fields.of(content)
    payload.ref("id")                      text, or None when absent, null or empty
    payload.required("call.id", "CallSid") text of the first that is there; InvalidEvent("call.id: missing")
    payload.time("created_at", options)    aware datetime in UTC, or None
    payload.within("conversation")         the Fields of an object; empty when absent
    payload.each("messages")               the Fields of every object of a list

A value of another sort raises InvalidEvent("conversation.id: not text"): the field by its place, never its value.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from producers.fields import Fields, well_formed
from producers.format import Options
from producers.json_stream import cut_payloads, json_payloads, json_sample, parse_json
from producers.subjects import case_refs, content_type_of, purpose_of
from producers.times import read_time
from schemas.contact_points import contact_point
from schemas.errors import InvalidEvent
from schemas.event import build_event, derive_event_id, explain, ordered
from schemas.models import Assurance, ContactPoint, Event, Kind, Role

__all__ = [
    "LONGEST_CONTACT_POINT",
    "Fields",
    "attributes",
    "case_refs",
    "content_type_of",
    "cut_payloads",
    "event_of",
    "json_payloads",
    "json_sample",
    "object_in",
    "parse_json",
    "point",
    "purpose_of",
    "read_time",
    "snake",
    "source",
    "timeless_id",
    "well_formed",
]

LONGEST_ATTRIBUTE = 1_000
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_CONTACT_POINT = 512


def event_of(
    channel: str,
    options: Options,
    *,
    vendor: str,
    type: str,  # noqa: A002 - the contract's own name for the field
    reference: str,
    occurred_at: datetime | None,
    contact_points: Iterable[ContactPoint],
    system: str | None = None,
    discriminator: str | None = None,
    **fields: Any,
) -> Event:
    """`schemas.event.build_event`, also for a payload that does not say when it happened.

    `source` is the vendor and `options.account`. With `occurred_at` None the event stands at `options.observed_at`,
    `attributes["time_from"]` says so, and its id does not depend on it: `reference` and `discriminator` must then
    tell it apart from all others of its type. Raises InvalidEvent.
    """
    points = ordered(contact_points)
    if occurred_at is None and points:
        fields["event_id"] = timeless_id(reference, type, points, discriminator, system)
        fields["attributes"] = {**fields.get("attributes", {}), "time_from": "observed_at"}
    return build_event(
        channel,
        type=type,
        reference=reference,
        occurred_at=options.observed_at if occurred_at is None else occurred_at,
        observed_at=options.observed_at,
        contact_points=points,
        system=system,
        discriminator=discriminator,
        source=source(vendor, options),
        **fields,
    )


def timeless_id(
    reference: str,
    type_: str,
    contact_points: Iterable[ContactPoint],
    discriminator: str | None = None,
    system: str | None = None,
) -> UUID:
    """The id of an event that is told at several times, or at none: it does not depend on when it was.

    Without contact points it does not depend on whose it is, either.
    """
    key = next((first.key for first in ordered(contact_points)[:1]), "")
    return derive_event_id(reference, type_, key, _ANY_TIME, discriminator, system)


def object_in(fields: Fields, *names: str) -> Fields:
    """An object inside, also one that is written as JSON in a text; without fields when there is none.

    For what is optional or not the vendor's own: whatever else stands there is no reason to refuse an event.
    """
    found = fields.value(*names)
    if isinstance(found, str):
        found, _ = parse_json(well_formed(found).encode())
    return Fields(found if isinstance(found, Mapping) else {}, fields.where(*names))


def snake(name: str) -> str:
    """`ServerID` and `ipAddress` as `server_id` and `ip_address`: attributes have one manner of writing."""
    return _HUMP.sub("_", name).lower()


def point(
    kind: Kind | str,
    value: str | Mapping[str, str],
    options: Options,
    *,
    assurance: Assurance | str = Assurance.ASSERTED,
    role: Role | str = Role.SELF,
) -> ContactPoint:
    """A contact point in comparable form, a phone number read in `options.region`.

    Raises InvalidEvent for an empty value and for one of more than 512 characters.
    """
    if isinstance(value, str):
        value = well_formed(value)
    if len(value if isinstance(value, str) else "".join(map(str, value.values()))) > LONGEST_CONTACT_POINT:
        raise InvalidEvent(f"contact_points.value: {kind} longer than {LONGEST_CONTACT_POINT} characters")
    try:
        return contact_point(kind, value, region=options.region, assurance=assurance, role=role)
    except ValidationError as error:
        raise InvalidEvent(f"contact_points: {explain(error)}") from None


def source(vendor: str, options: Options) -> str:
    """The emitting system: `sendgrid/acme`."""
    return f"{vendor}/{options.account}"


def attributes(*given: Mapping[str, Any] | Iterable[tuple[str, Any]], **named: Any) -> dict[str, str]:
    """Whatever was given as text, what is absent or blank left out; objects become JSON, lists of texts `a, b`.

    A text is cut after 1,000 characters. Nothing raises: an attribute is never a reason to refuse an event.
    """
    found: dict[str, str] = {}
    for pairs in (*given, named):
        for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            text = _attribute(value)
            if text:
                found[well_formed(str(name))] = text
    return found


def _attribute(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return ""
    return well_formed(text).strip()[:LONGEST_ATTRIBUTE]
