"""A batch decoded in columns is the batch decoded record by record, and both park the same records."""

import io
import json
import random
from dataclasses import fields

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.decode import BadRecord, Decoder, WriterSchema
from consumers.ids import Ids
from consumers.prepare import Preparer
from consumers.replies import Named
from log.log import RecordBatch
from schemas.codec import parsed, to_record
from schemas.errors import UnknownSchema
from schemas.models import EVENT_MODELS, Event
from tests.consumers.poison import POISON, framed, mixed, put
from tests.folding import REGISTRY, records
from tests.strategies import logs, random_log


@pytest.fixture(scope="module")
def preparers():
    """One that decodes columns, one that decodes rows."""
    return [Preparer(Decoder(REGISTRY, columnar=columnar)) for columnar in (True, False)]


def assert_prepared_equal(one, other):
    """Everything but the batch itself."""
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name == "bad":
            assert sorted(map(_told, left)) == sorted(map(_told, right))
        elif isinstance(left, Ids):
            assert left.to_uuids() == right.to_uuids(), field.name
        elif isinstance(left, np.ndarray):
            assert left.tolist() == right.tolist(), field.name
        elif isinstance(left, pa.Table):
            assert left.to_pylist() == right.to_pylist(), field.name
        elif isinstance(left, pa.Array):
            assert left.equals(right), field.name
        elif isinstance(left, Named):
            assert (left.rows.tolist(), left.ids.to_uuids()) == (right.rows.tolist(), right.ids.to_uuids()), field.name
        else:
            assert left == right, field.name


def _told(bad: BadRecord):
    return bad.place, bad.stage, type(bad.error).__name__, str(bad.error), bad.schema_id


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=logs(max_size=20), poison=st.lists(st.tuples(st.sampled_from(sorted(POISON)), st.integers(0, 20)), max_size=5)
)
def test_columns_are_rows_with_poison_among_them(preparers, log, poison):
    if not log:
        return
    batch = mixed(log, poison)
    assert_prepared_equal(*(preparer.prepare(batch) for preparer in preparers))


@pytest.mark.parametrize("seed", range(4))
def test_columns_are_rows_whatever_happens_to_the_bytes(preparers, seed):
    """Every record of a batch damaged at random: cut, overwritten, with bytes put in or after it."""
    dice = random.Random(seed)
    good = records(random_log(seed, 60)).values
    for _ in range(20):
        batch = records(random_log(seed, 60))
        batch.values[:] = [_damaged(value, dice) if dice.random() < 0.5 else value for value in good]
        one, other = (preparer.prepare(batch) for preparer in preparers)
        assert_prepared_equal(one, other)
        assert len(one.places) + len(one.bad) == len(batch)


def _damaged(value: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(5, len(value))
    match dice.randrange(4):
        case 0:
            return value[:at]
        case 1:
            return value[:at] + dice.randbytes(dice.randrange(1, 4)) + value[at + 1 :]
        case 2:
            return value[:at] + value[at + dice.randrange(1, 5) :]
        case _:
            return value + dice.randbytes(dice.randrange(1, 9))


def test_a_number_longer_than_its_type_is_parked_alone(preparers):
    """Avro's ints are 32 bits, its longs 64; on the wire both can be of any length."""
    good, wide = [event for event in random_log(3, 600) if event.channel == "phone"][:2]
    value = framed(wide.model_copy(update={"wait_s": 1_234_567_890}))
    long = value.replace(b"\xa4\x8b\xb0\x99\x09", b"\xa4\x8b\xb0\x99\x29")
    assert long != value
    batch = RecordBatch()
    put(batch, good, (framed(good), ()))
    put(batch, wide, (long, ()))
    for preparer in preparers:
        prepared = preparer.prepare(batch)
        assert prepared.places.tolist() == [0]
        assert [(bad.place, bad.stage, str(bad.error)) for bad in prepared.bad] == [
            (1, "check", "wait_s: not between 0 and 2147483647")
        ]


def test_what_follows_a_datum_is_ignored_by_both(preparers):
    (event,) = random_log(1, 1)
    batch = RecordBatch()
    put(batch, event, (framed(event) + b"\x00\xff after", ()))
    for preparer in preparers:
        assert preparer.prepare(batch).ids.to_uuids() == [event.event_id]


def test_columns_hold_what_the_events_said(preparers):
    events = random_log(5, 800)
    prepared = preparers[0].prepare(records(events))
    assert not prepared.bad
    rows = dict(zip(prepared.places.tolist(), prepared.events.to_pylist(), strict=True))
    for place, event in enumerate(events):
        row, rest, record = rows[place], json.loads(rows[place]["rest"] or "{}"), to_record(event)
        assert row["event_id"] == event.event_id
        assert row["occurred_at"] == event.occurred_at
        assert row["observed_at"] == event.observed_at
        assert (row["channel"], row["type"]) == (event.channel, event.type)
        for name in ("direction", "content_type", "purpose", "author", "topic", "agent", "source", "summary"):
            assert row[name] == record[name], name
        for name in ("conversation_ref", "message_ref", "answers_ref"):
            assert row[name] == record[name], name
        for name in ("source_event_id", "read_up_to", "promised_at", "machine"):
            assert rest.get(name) == record[name], name
        assert rest.get("case_refs", []) == record["case_refs"]
        assert rest.get("attributes", {}) == record["attributes"]
        _assert_details(rest, record, event)


def _assert_details(rest, record, event: Event):
    own = set(EVENT_MODELS[event.channel].model_fields) - set(Event.model_fields)
    assert rest.get("details", {}) == {name: record[name] for name in own if record[name] is not None}
    for name in ("statement", "survey"):
        given = record[name] and {key: value for key, value in record[name].items() if value is not None}
        assert rest.get(name) == given
    plain = len(event.contact_points) == 1 and event.primary.role == "self"
    points = [dict(point.__dict__) for point in event.contact_points]
    assert rest.get("contact_points") == (None if plain else points)


def test_a_record_without_events_gives_empty_columns(preparers):
    (event,) = random_log(1, 1)
    batch = RecordBatch()
    put(batch, event, (None, ()))
    for preparer in preparers:
        for made in (preparer.prepare(batch), preparer.prepare(RecordBatch())):
            assert made.events.num_rows == made.mentions.num_rows == len(made.ids) == 0


def test_a_number_of_more_than_64_bits_is_parked_alone(preparers):
    events = random_log(4, 3)
    batch = RecordBatch()
    for event in events:
        put(batch, event, (framed(event), ()))
    at = batch.values[1].index(str(events[1].event_id).encode()) + 36 + 1
    # Where a time stands, a varint of ten bytes with all bits set.
    batch.values[1] = batch.values[1][:at] + b"\xff" * 9 + b"\x7f" + batch.values[1][at + 8 :]
    for preparer in preparers:
        prepared = preparer.prepare(batch)
        assert sorted(prepared.places.tolist()) == [0, 2]
        assert [bad.place for bad in prepared.bad] == [1]


# --- writer's schemas that are none of ours

_FOREIGN = {
    "a primitive": '"string"',
    "a union": '["null", "string"]',
    "protobuf": 'syntax = "proto3"; message A { }',
    "another namespace": json.dumps({"type": "record", "name": "A", "namespace": "org.example", "fields": []}),
    "an enum": json.dumps({"type": "enum", "name": "A", "namespace": "touchlog.chat", "symbols": ["a"]}),
    "no fields of an event": json.dumps(
        {"type": "record", "name": "A", "namespace": "x.chat", "fields": [{"name": "event_id", "type": "string"}]}
    ),
    "a type of its own that is nowhere": json.dumps(
        {"type": "record", "name": "A", "namespace": "x.chat", "fields": [{"name": "event_id", "type": "x.Nowhere"}]}
    ),
}


@pytest.mark.parametrize("name", _FOREIGN)
def test_a_schema_that_is_no_event_is_unknown(name):
    with pytest.raises(UnknownSchema):
        WriterSchema(_FOREIGN[name], "chat")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("event_id", ["null", "string"]),
        ("event_id", "bytes"),
        ("occurred_at", "string"),
        ("contact_points", "string"),
        ("attributes", {"type": "map", "values": "long"}),
        ("summary", ["null", "double"]),
    ],
)
def test_a_schema_with_a_field_of_another_type_is_unknown(name, kind):
    described = json.loads(REGISTRY.current("chat")[1])
    for field in described["fields"]:
        if field["name"] == name:
            field["type"] = kind
    with pytest.raises(UnknownSchema, match=f"other types of {name}"):
        WriterSchema(json.dumps(described), "chat")


def test_an_older_schema_with_fewer_fields_is_read(preparers):
    """What a writer's schema lacks is null: the events of an old producer are still events."""
    _, text = REGISTRY.current("chat")
    described = json.loads(text)
    lacking = {"promised_at", "survey", "attributes", "case_refs", "page_url", "machine", "statement"}
    described["fields"] = [field for field in described["fields"] if field["name"] not in lacking]
    old = json.dumps(described)

    class Registry:
        def schema(self, _):
            return old

    event = next(event for event in random_log(2, 300) if event.channel == "chat" and event.case_refs)
    batch = RecordBatch()
    put(batch, event, (_written_with(old, event), ()))
    one, other = (Preparer(Decoder(Registry(), columnar=columnar)).prepare(batch) for columnar in (True, False))
    assert_prepared_equal(one, other)
    (row,) = one.events.to_pylist()
    assert row["event_id"] == event.event_id
    assert row["type"] == event.type
    assert not set(json.loads(row["rest"] or "{}")) & lacking


def _written_with(schema, event):
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed(schema), to_record(event))
    return b"\x00\x00\x00\x00\x01" + buffer.getvalue()
