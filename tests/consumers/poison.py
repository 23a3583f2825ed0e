"""Records that cannot be folded: every sort that is known, made from a good event, and what becomes of each."""

import io
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import fastavro

from consumers.decode import GUID_HEADER
from log.log import Headers, RecordBatch
from schemas.codec import MAGIC, encode, parsed, to_record
from schemas.models import EVENT_MODELS, MAX_CONTACT_POINTS, Event
from schemas.registry import locked_versions
from schemas.topics import topic_of
from tests.folding import REGISTRY

Value = tuple[bytes | None, Headers]


@dataclass(frozen=True, kw_only=True)
class Poison:
    """How to make it from an event, and the stage and class of error that it is parked with."""

    make: Callable[[Event], Value]
    stage: str
    error: str


def framed(event: Event, **changes: Any) -> bytes:
    """The event as a record with some fields replaced, past every check but those of Avro."""
    schema_id, schema = REGISTRY.current(event.channel)
    buffer = io.BytesIO()
    record = to_record(event) | {"contact_points": [dict(point.__dict__) for point in event.contact_points]}
    fastavro.schemaless_writer(buffer, parsed(schema), record | changes)
    return MAGIC + schema_id.to_bytes(4, "big") + buffer.getvalue()


def in_header_form(event: Event) -> Value:
    """A good record whose schema is named by a GUID in a header."""
    schema_id, _ = REGISTRY.current(event.channel)
    guid = next(UUID(version.guid) for version in locked_versions() if version.id == schema_id)
    return framed(event)[5:], [("ce_type", b"x"), (GUID_HEADER, b"\x01" + guid.bytes)]


def _with(**changes: Any) -> Callable[[Event], Value]:
    return lambda event: (framed(event, **changes), ())


def _other_channel(event: Event) -> Value:
    other = "chat" if event.channel != "chat" else "email"
    schema_id, schema = REGISTRY.current(other)
    model = EVENT_MODELS[other].model_construct
    kept = {name: value for name, value in event.__dict__.items() if name in EVENT_MODELS[other].model_fields}
    empty = {name: None for name in EVENT_MODELS[other].model_fields if name not in kept}
    return encode(model(**kept | empty | {"type": "unknown"}), schema_id=schema_id, schema=schema), ()


def _without_value_of_point(event: Event) -> Value:
    points = [{**event.contact_points[0].__dict__, "value": ""}]
    return framed(event, contact_points=points), ()


def _crowd(event: Event) -> Value:
    points = [{**event.contact_points[0].__dict__, "value": f"+4670{n:07}"} for n in range(MAX_CONTACT_POINTS + 1)]
    return framed(event, contact_points=points), ()


def _far_promise(event: Event) -> Value:
    statement = {"kind": "pause", "content_type": None, "channel": None, "about": None, "until": 2**62}
    return framed(event, statement=statement), ()


def _bad_type_index(event: Event) -> Value:
    # The enum's index comes right after the 36 characters of the id.
    good = framed(event)
    return good[:42] + b"\xfe\x01" + good[43:], ()


def _check(make: Callable[[Event], Value]) -> Poison:
    return Poison(make=make, stage="check", error="InvalidEvent")


def _undecodable(make: Callable[[Event], Value]) -> Poison:
    return Poison(make=make, stage="decode", error="UndecodableRecord")


def _unframed(make: Callable[[Event], Value]) -> Poison:
    return Poison(make=make, stage="frame", error="UndecodableRecord")


def _unknown(make: Callable[[Event], Value]) -> Poison:
    return Poison(make=make, stage="schema", error="UnknownSchema")


_GARBAGE = random.Random(7).randbytes(980_000)
_NO_UUID = "6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a0g"

POISON: dict[str, Poison] = {
    "no value": _unframed(lambda _: (None, ())),
    "empty value": _unframed(lambda _: (b"", ())),
    "four bytes": _unframed(lambda _: (b"\x00\x00\x00\x00", ())),
    "bad magic": _unframed(lambda event: (b"\x07" + framed(event)[1:], ())),
    "JSON": _unframed(lambda _: (b'{"event_id": 1}', ())),
    "a megabyte of garbage": _unframed(lambda _: (b"\x01" + _GARBAGE, ())),
    "half a GUID header": _unframed(lambda event: (framed(event)[5:], [(GUID_HEADER, b"\x01" + bytes(8))])),
    "unknown GUID": _unknown(lambda event: (framed(event)[5:], [(GUID_HEADER, b"\x01" + bytes(16))])),
    "unknown schema id": _unknown(lambda event: (MAGIC + b"\x7f\x00\x00\x01" + framed(event)[5:], ())),
    "schema of another channel": _unknown(_other_channel),
    "only the prefix": _undecodable(lambda event: (framed(event)[:5], ())),
    "truncated": _undecodable(lambda event: (framed(event)[:-4], ())),
    "cut in half": _undecodable(lambda event: (framed(event)[: len(framed(event)) // 2], ())),
    "a megabyte of garbage in a frame": _undecodable(lambda event: (framed(event)[:5] + _GARBAGE, ())),
    "bad UTF-8": _undecodable(
        lambda event: (framed(event, source="abcdefgh").replace(b"abcdefgh", b"abc\xff\xfegh"), ())
    ),
    "no such type": _undecodable(_bad_type_index),
    "a length of exabytes": _undecodable(
        lambda event: (framed(event)[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f", ())
    ),
    "a negative length": _undecodable(lambda event: (framed(event)[:5] + b"\x0f" + bytes(60), ())),
    "no UUID": _check(_with(event_id="not-a-uuid")),
    "no UUID, of the right length": _check(_with(event_id=_NO_UUID)),
    "no contact points": _check(_with(contact_points=[])),
    "a crowd of contact points": _check(_crowd),
    "a contact point of nothing": _check(_without_value_of_point),
    "before 1995": _check(_with(occurred_at=0)),
    "far future": _check(_with(occurred_at=2**62)),
    "far past": _check(_with(occurred_at=-(2**63))),
    "seen in the far future": _check(_with(observed_at=2**63 - 1)),
    "promised for never": _check(_with(promised_at=2**63 - 1)),
    "read up to never": _check(_with(read_up_to=-(2**62))),
    "paused until never": _check(_far_promise),
    "thread without a name": _check(_with(conversation_ref="")),
    "item without a name": _check(_with(message_ref="")),
    "answer to nothing": _check(_with(answers_ref="")),
    "case without a name": _check(_with(case_refs=["A-1", ""])),
    "off the scale": _check(_with(survey={"kind": "nps", "score": 11, "scale_max": 10})),
    "a scale of nothing": _check(_with(survey={"kind": "nps", "score": 0, "scale_max": 0})),
    "no source": _check(_with(source="")),
}
"""Each of these would break a view, join strangers, or cannot be read at all."""


def put(batch: RecordBatch, event: Event, value: Value, *, topic: str | None = None, partition: int = 0) -> int:
    """Append a record made of the event to the batch; its place."""
    place = len(batch)
    batch.topics.append(topic or topic_of(event.channel))
    batch.partitions.append(partition)
    batch.offsets.append(place)
    batch.timestamps.append(1_700_000_000_000 + place)
    batch.keys.append(event.primary.key.encode())
    batch.values.append(value[0])
    batch.headers.append(value[1])
    return place


def mixed(events: Sequence[Event], poison: Iterable[tuple[str, int]]) -> RecordBatch:
    """The events as records, poison made of some of them put before them at the places."""
    batch = RecordBatch()
    for place, event in enumerate(events):
        for name, at in poison:
            if at % len(events) == place:
                put(batch, event, POISON[name].make(event))
        put(batch, event, in_header_form(event) if place % 4 == 3 else (framed(event), ()))
    return batch
