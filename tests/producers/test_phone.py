"""Phone: payloads in, events out (tests/samples/phone), and whatever else may stand in a payload."""

import io
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.format import Format, Options
from producers.formats import find_format, formats_of
from producers.phone.call import is_withheld
from producers.phone.calls import call_events
from producers.phone.twilio import twilio_events
from schemas.codec import decode, encode, from_record
from schemas.errors import InvalidEvent
from schemas.models import Event
from schemas.registry import LockedRegistry
from tests.producers.golden import format_of, samples

SAMPLES = Path(__file__).parents[1] / "samples" / "phone"
OPTIONS = Options(
    observed_at=datetime(2026, 4, 1, tzinfo=UTC),
    account="acme",
    region="SE",
    timezone="Europe/Stockholm",
    our_numbers=frozenset({"08-555 01 00", "+4685550123"}),
)
FORMATS = formats_of("phone")
TWILIO, CALLS = (find_format("phone", name) for name in ("twilio", "calls"))
FILES = [(format_of(path), path) for path in samples("phone")]
LOG = SAMPLES / "calls" / "service-desk.csv"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-03-02T09:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def told(form: Format, data: bytes, options: Options = OPTIONS) -> list[dict]:
    """What a file says: events without defaults, or why a payload was refused, each with its line."""
    out: list[dict] = []
    for payload in form.payloads(io.BytesIO(data), options):
        place = {"line": payload.line}
        try:
            if payload.error is not None:
                raise InvalidEvent(payload.error)
            for event in form.events(payload.content, options):
                fields = event.model_dump(mode="json", exclude_defaults=True, exclude={"observed_at"})
                out.append(place | fields)
        except InvalidEvent as error:
            out.append(place | {"rejected": str(error)})
    return out


def call(**columns: str) -> list[Event]:
    row = {"call id": "1", "start": "2026-03-02T09:00:00Z", "direction": "inbound", "customer": "C-17"}
    return list(call_events(row | columns, OPTIONS))


def callback(**parameters: str) -> list[Event]:
    given = {
        "CallSid": "CA1",
        "From": "+46700000001",
        "To": "+4685550100",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "Timestamp": "Mon, 02 Mar 2026 09:00:00 +0000",
    }
    return list(twilio_events(given | parameters, OPTIONS))


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfe", b"{", b"[1]", b"\x00\x00\x00", b'"', b"From: ada@example.org\n\nHi"]
)
def test_what_is_no_phone_payload_is_not_recognised(head: bytes) -> None:
    assert not any(form.recognises(head) for form in FORMATS)


def test_every_row_of_the_real_call_log_is_an_event_or_is_refused_by_name() -> None:
    lines = told(CALLS, LOG.read_bytes())
    refused = [line for line in lines if "rejected" in line]
    assert {line["line"] for line in lines} == set(range(2, 27))
    assert [(line["line"], line["rejected"]) for line in refused] == [
        (line, "operation: not a call; publish it as e-mail") for line in (8, 9, 23)
    ]
    counts = Counter(line["type"] for line in lines if "type" in line)
    assert counts == {"call.initiated": 16, "call.answered": 16, "call.completed": 16, "call.wrapped_up": 6}


def test_times_of_a_call_log_are_read_day_first_and_in_its_timezone() -> None:
    [first, *_] = told(CALLS, LOG.read_bytes())
    assert first["occurred_at"] == "2010-03-09T07:05:00Z"


def test_the_same_row_has_the_same_ids_whenever_it_is_seen_and_another_row_has_others() -> None:
    row = {"start": "9.3.10 8:05", "operation": "Inbound Call", "customer": "C-17", "agent": "Ada"}
    later = Options(observed_at=datetime(2027, 1, 1, tzinfo=UTC))
    first, again = ([event.event_id for event in call_events(row, options)] for options in (Options(), later))
    other = [event.event_id for event in call_events(row | {"agent": "Bo"}, later)]
    assert first == again
    assert not set(first) & set(other)


@pytest.mark.parametrize(
    ("columns", "types"),
    [
        ({}, ["call.initiated", "call.answered", "call.completed"]),
        ({"wait": "20", "talk": "60"}, ["call.initiated", "call.answered", "call.completed"]),
        ({"wait": "20", "talk": "0"}, ["call.initiated", "call.abandoned"]),
        ({"wait": "20", "end": "2026-03-02T09:00:20Z"}, ["call.initiated", "call.abandoned"]),
        ({"wait": "20", "end": "2026-03-02T09:05:00Z"}, ["call.initiated", "call.answered", "call.completed"]),
        ({"direction": "outgoing", "talk": "0"}, ["call.initiated", "call.no_answer"]),
        ({"disposition": "NO ANSWER"}, ["call.initiated", "call.no_answer"]),
        ({"disposition": "Missed call"}, ["call.initiated", "call.abandoned"]),
        ({"disposition": "Failed", "direction": "out"}, ["call.initiated", "call.failed"]),
        ({"disposition": "Resolved, failed to upsell"}, ["call.initiated", "call.answered", "call.completed"]),
        ({"queue": "invoices"}, ["call.initiated", "call.queued", "call.answered", "call.completed"]),
        ({"direction": "After call work"}, ["call.wrapped_up"]),
    ],
)
def test_how_a_call_went_shows_in_its_record(columns: dict[str, str], types: list[str]) -> None:
    assert [event.type for event in call(**columns)] == types


def test_waiting_and_talking_give_the_moments_of_a_call() -> None:
    _, answered, completed = call(wait="0:20", talk="1:00")
    assert (answered.occurred_at.second, answered.wait_s) == (20, 20)
    assert (completed.occurred_at - answered.occurred_at).total_seconds() == completed.talk_s == 60


def test_our_own_numbers_tell_who_called() -> None:
    record = {"call id": "1", "start": "2026-03-02T09:00:00Z"}
    inbound = next(call_events(record | {"from": "0700000001", "to": "08 555 01 00"}, OPTIONS))
    outbound = next(call_events(record | {"from": "+4685550100", "to": "0700000001"}, OPTIONS))
    assert (inbound.direction, inbound.primary.key) == ("inbound", "phone:+46700000001")
    assert (outbound.direction, outbound.primary.key) == ("outbound", "phone:+46700000001")


def test_the_account_comes_before_the_number_and_both_are_the_same_person() -> None:
    [event, *_] = call(number="0700000001")
    assert [(point.key, point.role) for point in event.contact_points] == [
        ("account:C-17", "self"),
        ("phone:+46700000001", "self"),
    ]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"start": ""}, "start: missing"),
        ({"start": "25/03/2026 08:00"}, "start: no such month"),
        ({"end": "2026-03-02T08:00:00Z"}, "end: before start"),
        ({"talk": "a while"}, "talk: not a duration"),
        ({"direction": "Inbound SMS"}, "operation: not a call"),
        ({"direction": "?"}, "operation: neither inbound"),
        ({"wait": "5"}, "talk: neither talk, end nor disposition"),
        ({"start": "9999-12-31T23:59:59Z", "talk": "60", "wait": "60"}, "duration: too long"),
    ],
)
def test_a_record_that_cannot_be_a_call_is_refused_by_field(columns: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^{reason}"):
        call(**columns)


def test_a_callback_told_twice_or_with_a_new_sequence_number_is_the_same_event() -> None:
    first, again, next_status = (
        callback(SequenceNumber="1", CallStatus="in-progress"),
        callback(SequenceNumber="7", CallStatus="in-progress"),
        callback(SequenceNumber="2", CallStatus="completed"),
    )
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert first[0].event_id != next_status[0].event_id


def test_the_order_in_which_callbacks_arrive_changes_nothing() -> None:
    lines = [line for line in (SAMPLES / "twilio" / "status.txt").read_bytes().splitlines() if line]
    forwards, backwards = (told(TWILIO, b"\n".join(order)) for order in (lines, lines[::-1]))

    def ids(given: list[dict]) -> set[str | None]:
        return {line.get("event_id") for line in given}

    assert ids(forwards) == ids(backwards)


@pytest.mark.parametrize("number", ["anonymous", "Restricted", "+266696687", "+86282452253", "", "  ", None])
def test_a_withheld_number_is_nobodys(number: str | None) -> None:
    assert is_withheld(number and number.strip())
    [event, *_] = callback(From=number or "")
    assert event.primary.key == "anonymous:call:CA1"


def test_the_leg_to_a_colleague_is_no_call_of_its_own_and_does_not_fail_the_customers() -> None:
    leg = {"CallSid": "CA2", "ParentCallSid": "CA1", "Direction": "outbound-dial", "To": "+4685550123"}
    [answered] = callback(**leg, CallStatus="in-progress")
    assert (answered.type, answered.primary.key) == ("call.answered", "phone:+46700000001")
    assert (answered.conversation_ref, answered.agent) == ("twilio/CA1", "+4685550123")
    others = [callback(**leg, CallStatus=status) for status in ("initiated", "no-answer", "failed")]
    assert [[event.type for event in events] for events in others] == [["unknown"]] * 3


def test_a_machine_that_answers_is_no_person() -> None:
    [event] = callback(Direction="outbound-api", CallStatus="in-progress", AnsweredBy="machine_start")
    assert (event.answered_by, event.machine) == ("machine", True)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutated_payload_gives_events_that_can_be_written_or_is_refused(data: st.DataObject) -> None:
    form, path = data.draw(st.sampled_from(FILES))
    payloads = [p for p in form.payloads(io.BytesIO(path.read_bytes()), OPTIONS) if isinstance(p.content, dict)]
    content = dict(data.draw(st.sampled_from(payloads)).content)
    for key in data.draw(st.lists(st.sampled_from(sorted(content)), max_size=3)):
        content[key] = data.draw(JSON)
    _id, schema = LockedRegistry().current("phone")
    try:
        events = list(form.events(content, OPTIONS))
    except InvalidEvent:
        return
    for event in events:
        datum = encode(event, schema_id=_id, schema=schema)[5:]
        assert from_record("phone", decode(datum, schema=schema)) == event


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_bytes_are_cut_into_payloads_and_never_raise(data: st.DataObject) -> None:
    form, path = data.draw(st.sampled_from(FILES))
    content = bytearray(path.read_bytes()[: data.draw(st.integers(0, 3000))])
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=6) | st.just(b'"'))
    for line in told(form, bytes(content)):
        assert "event_id" in line or line["rejected"]
    form.recognises(bytes(content))


@given(content=JSON)
def test_any_json_is_events_or_refused(content: object) -> None:
    for form in FORMATS:
        with suppress(InvalidEvent):
            list(form.events(content, OPTIONS))
