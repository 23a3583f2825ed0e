"""Events as they are: for systems that speak the contract themselves, and for `touchlog emit`.

One JSON object an event, with the contract's own fields and `channel` (or `identity`) besides:

    {"channel": "chat", "type": "message.received", "occurred_at": "2026-03-02T09:14:05+01:00", "source": "web/acme",
     "direction": "inbound", "contact_points": ["email:Ada@Example.org"], "conversation_ref": "c-1", "summary": "Hi"}

- times are ISO 8601 with an offset; `observed_at` is now unless given;
- a contact point is text (`email:Ada@Example.org`) or {kind, value, assurance, role}, in any spelling; the value of
  a postal one may be an object with country_code, postal_code, city, street_address;
- `event_id` is derived unless given: from message_ref, or conversation_ref, or source_event_id, or else from the
  whole event; with type, contact point, time, and what tells two happenings of one moment apart (link, step,
  statement, survey).
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import ValidationError

from producers.fields import Fields, well_formed
from producers.format import Format, Options
from producers.reading import attributes, json_payloads, json_sample, point
from producers.subjects import case_ref
from schemas.contact_points import parse_contact
from schemas.errors import InvalidEvent
from schemas.event import build_event
from schemas.models import CLOCK_TOLERANCE, EARLIEST, EVENT_MODELS, Assurance, ContactPoint, Event, Kind, Role

_Word = TypeVar("_Word", bound=StrEnum)

_POINT_FIELDS = frozenset({"kind", "value", "assurance", "role", "normalised"})
_TIMES = ("read_up_to", "promised_at")
_MANAGED = frozenset(
    {"event_id", "type", "occurred_at", "observed_at", "contact_points", "case_refs", "attributes", *_TIMES}
)
_TELLS_APART = ("url", "step", "statement", "survey")
_KNOWN_CASE = re.compile(r"(case|order|invoice):", re.IGNORECASE)


def emitted_events(content: Any, options: Options) -> Iterator[Event]:
    """The one event that an object is. Raises InvalidEvent naming the field."""
    given = Fields.of(content)
    channel = (given.text("channel") or "").lower()
    if channel not in EVENT_MODELS:
        raise InvalidEvent(f"channel: not one of {', '.join(EVENT_MODELS)}")
    own = _own_fields(channel)
    strange = [name for name in content if name not in own and name not in _MANAGED and name != "channel"]
    if strange:
        raise InvalidEvent(f"{_printable(strange[0])}: no such field on {channel}; put it in attributes")
    fields = {name: content[name] for name in own if content.get(name) is not None}
    if not isinstance(fields.get("summary", ""), str):
        raise InvalidEvent("summary: not text")
    if isinstance(fields.get("statement"), Mapping):
        fields["statement"] = _with_times(fields["statement"], ("until",), "statement.")
    yield build_event(
        channel,
        type=given.required("type"),
        reference=_reference(given),
        discriminator=_canonical({name: content[name] for name in _TELLS_APART if given.has(name)}) or None,
        event_id=given.text("event_id"),
        occurred_at=_time(given.required("occurred_at"), "occurred_at"),
        observed_at=_observed_at(given, options),
        contact_points=[_point(one, place, options) for place, one in enumerate(_list(given, "contact_points"))],
        case_refs=tuple(_case_ref(one) for one in given.texts("case_refs")),
        attributes=attributes(given.within("attributes").content),
        **_with_times(fields | {name: content[name] for name in _TIMES if given.has(name)}, _TIMES),
    )


@cache
def _own_fields(channel: str) -> frozenset[str]:
    return frozenset(EVENT_MODELS[channel].model_fields) - _MANAGED


def _observed_at(given: Fields, options: Options) -> datetime:
    if not given.has("observed_at"):
        return options.observed_at
    moment = _time(given.value("observed_at"), "observed_at")
    if not EARLIEST <= moment <= options.observed_at + CLOCK_TOLERANCE:
        raise InvalidEvent("observed_at: before 1995 or over a day from now")
    return moment


def _reference(given: Fields) -> str:
    reference = given.ref("message_ref", "conversation_ref", "source_event_id")
    if reference is not None:
        return reference
    said = {name: value for name, value in given.content.items() if name != "observed_at"}
    return "event-" + sha256(_canonical(said).encode("utf-8", "replace")).hexdigest()


def _canonical(said: Mapping[str, Any]) -> str:
    """JSON that is the same for the same content, whatever the order of its names; empty for nothing."""
    try:
        return json.dumps(said, sort_keys=True, separators=(",", ":"), default=str) if said else ""
    except (RecursionError, ValueError):
        raise InvalidEvent("payload: nested too deeply") from None


def _point(one: Any, place: int, options: Options) -> ContactPoint:
    where = f"contact_points.{place}"
    if isinstance(one, str):
        try:
            found = parse_contact(well_formed(one), region=options.region)
        except (InvalidEvent, ValidationError):
            raise InvalidEvent(f"{where}: empty") from None
        # Once more for its limits.
        return point(found.kind, found.value, options)
    given = Fields.of(one, where)
    strange = next((name for name in given.content if name not in _POINT_FIELDS), None)
    if strange is not None:
        raise InvalidEvent(f"{where}.{_printable(strange)}: no such field of a contact point")
    kind = _word(given, "kind", Kind)
    assurance = _word(given, "assurance", Assurance) if given.has("assurance") else Assurance.ASSERTED
    role = _word(given, "role", Role) if given.has("role") else Role.SELF
    value = given.value("value")
    if not (kind is Kind.POSTAL and isinstance(value, Mapping)):
        value = given.required("value")
    return point(kind, value, options, assurance=assurance, role=role)


def _word(given: Fields, name: str, known: type[_Word]) -> _Word:
    try:
        return known(given.required(name).lower())
    except ValueError:
        raise InvalidEvent(f"{given.where(name)}: not one of {', '.join(known)}") from None


def _list(given: Fields, name: str) -> list[Any]:
    found = given.value(name)
    if not isinstance(found, list) or not found:
        raise InvalidEvent(f"{name}: not a list of at least one")
    return found


def _case_ref(reference: str) -> str:
    """Cases, orders and invoices in the form in which every channel writes them; other references as they are."""
    return case_ref("case", reference) if _KNOWN_CASE.match(reference) else reference


def _with_times(fields: Mapping[str, Any], names: tuple[str, ...], path: str = "") -> dict[str, Any]:
    times = {name: _time(fields[name], path + name) for name in names if fields.get(name) is not None}
    return {**fields, **times}


def _time(value: Any, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value.strip())
        in_utc = moment.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise InvalidEvent(f"{field}: not ISO 8601, such as 2026-03-02T09:14:05+01:00") from None
    if moment.tzinfo is None:
        raise InvalidEvent(f"{field}: a time without offset")
    return in_utc


def _printable(name: Any) -> str:
    """A field's name for a message; one that could be anything else is not repeated."""
    return name if isinstance(name, str) and re.fullmatch(r"[a-z_]{1,40}", name) else "a field"


def _is_events(head: bytes) -> bool:
    return any(
        one.get("channel") in EVENT_MODELS and {"type", "occurred_at", "contact_points"} <= set(one)
        for one in json_sample(head)[:1]
    )


EMIT = Format(
    name="events",
    channel="any",
    title="events in the contract's own form, JSON; each says its channel",
    example="""\
{"channel": "chat", "type": "message.received", "occurred_at": "2026-03-02T09:14:05Z", "source": "desk/acme",
 "direction": "inbound",
 "contact_points": ["email:ada@example.org"], "summary": "Where is my invoice?"}
""",
    recognises=_is_events,
    payloads=json_payloads,
    events=emitted_events,
)
