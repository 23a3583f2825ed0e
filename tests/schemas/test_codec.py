"""Events to bytes and back."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codec import EPOCH, decode, encode, from_micros, from_record, micros, to_record
from schemas.errors import InvalidEvent, UndecodableRecord
from schemas.event import build_event
from schemas.models import (
    CLOCK_TOLERANCE,
    EARLIEST,
    EVENT_MODELS,
    AnsweredBy,
    Author,
    BounceClass,
    Channel,
    ContactPoint,
    ContentType,
    DeliveryBasis,
    Direction,
    Kind,
    Purpose,
    Statement,
    StatementKind,
    Survey,
)
from schemas.registry import LockedRegistry
from schemas.topics import STREAMS
from tests.schemas.event_strategies import any_event, unhurried
from tests.strategies import events

REGISTRY = LockedRegistry()


def round_trip(event):
    schema_id, schema = REGISTRY.current(event.channel)
    wire = encode(event, schema_id=schema_id, schema=schema)
    assert wire[:5] == b"\x00" + schema_id.to_bytes(4, "big")
    return from_record(event.channel, decode(wire[5:], schema=schema))


@pytest.mark.parametrize("stream", STREAMS)
@unhurried
@given(data=st.data())
def test_any_event_comes_back_as_it_was(stream, data):
    event = data.draw(any_event(stream))

    assert round_trip(event) == event


@unhurried
@given(events(max_size=8))
def test_events_as_they_happen_come_back_as_they_were(given_events):
    for event in given_events:
        assert round_trip(event) == event


@pytest.mark.parametrize("stream", STREAMS)
@unhurried
@given(data=st.data())
def test_bytes_equal_those_of_fastavro_with_logical_types(stream, data):
    event = data.draw(any_event(stream))
    schema_id, schema = REGISTRY.current(stream)
    with_times = event.model_dump() | {"type": event.type.replace(".", "_", 1)}
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, fastavro.parse_schema(json.loads(schema)), with_times)

    assert encode(event, schema_id=schema_id, schema=schema)[5:] == expected.getvalue()


@pytest.mark.parametrize("stream", STREAMS)
def test_every_value_of_every_enum_has_its_symbol(stream):
    point = ContactPoint(kind=Kind.EMAIL, value="ada@example.org")
    own = {"bounce_class": BounceClass, "answered_by": AnsweredBy, "delivery_basis": DeliveryBasis}
    every = {"direction": Direction, "content_type": ContentType, "purpose": Purpose, "author": Author}
    of_stream = {name: kind for name, kind in own.items() if name in EVENT_MODELS[stream].model_fields}
    for name, kind in {**every, **of_stream}.items():
        for value in kind:
            event = build_event(
                stream,
                type="unknown",
                reference="r",
                occurred_at=EPOCH + timedelta(days=20_000),
                observed_at=EPOCH + timedelta(days=20_000),
                source="test",
                contact_points=[point],
                **{"direction": "report", name: value},
            )
            assert getattr(round_trip(event), name) is value


@pytest.mark.parametrize("kind", list(StatementKind))
@pytest.mark.parametrize("channel", [None, *Channel])
def test_statements_come_back(kind, channel):
    statement = Statement(kind=kind, channel=channel, until=from_micros(1_800_000_000_000_001))

    assert round_trip(an_event(statement=statement)).statement == statement


def an_event(**fields):
    moment = datetime(2026, 3, 2, 9, 14, 5, 123456, UTC)
    return build_event(
        "email",
        **{
            "type": "message.received",
            "reference": "<1@example.org>",
            "occurred_at": moment,
            "observed_at": moment,
            "source": "test",
            "direction": "inbound",
            "contact_points": [ContactPoint(kind=Kind.EMAIL, value="ada@example.org")],
            **fields,
        },
    )


@unhurried
@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime(1969, 12, 31, 23, 59, 59, 999999, UTC))
def test_microseconds_are_exact(moment):
    assert from_micros(micros(moment)) == moment


def test_microseconds_do_not_depend_on_the_zone():
    here = datetime(2026, 3, 2, 9, 14, 5, 123456, timezone(timedelta(hours=5, minutes=45)))

    assert micros(here) == micros(here.astimezone(UTC)) == 1_772_422_145_123_456


@unhurried
@given(st.binary(max_size=200))
def test_bytes_that_are_no_datum_are_undecodable_and_nothing_else(datum):
    _, schema = REGISTRY.current("email")
    try:
        record = decode(datum, schema=schema)
    except UndecodableRecord:
        return
    assert list(record) == list(EVENT_MODELS["email"].model_fields)


def test_every_truncation_is_undecodable_and_the_message_holds_no_value():
    schema_id, schema = REGISTRY.current("email")
    datum = encode(an_event(subject="Hello from Ada"), schema_id=schema_id, schema=schema)[5:]
    for length in range(len(datum)):
        with pytest.raises(UndecodableRecord, match=r"^not a datum of its schema: \w+$"):
            decode(datum[:length], schema=schema)


def test_bytes_after_the_datum_are_ignored():
    schema_id, schema = REGISTRY.current("email")
    datum = encode(an_event(), schema_id=schema_id, schema=schema)[5:]

    assert decode(datum + b"more", schema=schema) == decode(datum, schema=schema)


def test_a_schema_that_is_no_record_is_undecodable():
    with pytest.raises(UndecodableRecord, match="not a record"):
        decode(b"\x02a", schema='"string"')


def test_a_field_of_a_newer_version_is_left_out_and_an_older_one_may_lack_it():
    record = to_record(an_event(subject="Hello"))

    assert from_record("email", {**record, "mood": "good"}) == an_event(subject="Hello")
    assert from_record("email", {name: value for name, value in record.items() if name != "subject"}).subject is None


def test_a_type_of_a_newer_version_is_unknown():
    assert from_record("email", {**to_record(an_event()), "type": "message_sung"}).type == "unknown"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"occurred_at": 2**62, "observed_at": 2**62}, "a time after the year 9999 or before the year 1"),
        ({"read_up_to": -(2**62)}, "a time after the year 9999 or before the year 1"),
        ({"event_id": "zebra"}, "event_id: not a UUID"),
        ({"contact_points": []}, "contact_points: empty"),
        ({"survey": {"kind": "nps", "score": 11, "scale_max": 10}}, "survey: Value error, score is above scale_max"),
        ({"occurred_at": 0}, "occurred_at: before 1995 or over a day after observed_at; .*"),
    ],
)
def test_a_record_that_breaks_the_contract_is_invalid(change, message):
    with pytest.raises(InvalidEvent, match=f"^{message}$"):
        from_record("email", {**to_record(an_event()), **change})


def test_a_survey_and_a_uuid_come_back_as_what_they_are():
    event = round_trip(an_event(survey=Survey(kind="nps", score=10, scale_max=10)))

    assert event.survey == Survey(kind="nps", score=10, scale_max=10)
    assert isinstance(event.event_id, UUID)


def test_the_bounds_of_time_are_within_the_contract():
    assert round_trip(an_event(occurred_at=EARLIEST)).occurred_at == EARLIEST
    latest = datetime(2026, 3, 2, tzinfo=UTC)
    assert round_trip(an_event(occurred_at=latest + CLOCK_TOLERANCE, observed_at=latest)).occurred_at > latest
