"""Post: payloads in, events out (tests/samples/post), and whatever else may stand in a payload."""

import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.format import Format, Options
from producers.formats import find_format, formats_of
from producers.post.lob import lob_events
from producers.post.mailroom import mailroom_events
from producers.post.scans import scan_events
from schemas.codec import decode, encode, from_record
from schemas.errors import InvalidEvent
from schemas.models import Event
from schemas.registry import LockedRegistry
from tests.producers.golden import format_of, samples

SAMPLES = Path(__file__).parents[1] / "samples" / "post"
OPTIONS = Options(
    observed_at=datetime(2026, 4, 1, tzinfo=UTC), account="acme", region="SE", timezone="Europe/Stockholm"
)
FORMATS = formats_of("post")
LOB, SCANS, MAILROOM = (find_format("post", name) for name in ("lob", "scans", "mailroom"))
FILES = [(format_of(path), path) for path in samples("post")]
TABLES = {"scans": SAMPLES / "scans" / "scans.csv", "mailroom": SAMPLES / "mailroom" / "register.csv"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-03-02T09:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def told(form: Format, data: bytes) -> list[dict]:
    """What a file says: events without defaults, or why a payload was refused, each with its line."""
    out: list[dict] = []
    for payload in form.payloads(io.BytesIO(data), OPTIONS):
        place = {"line": payload.line}
        try:
            if payload.error is not None:
                raise InvalidEvent(payload.error)
            for event in form.events(payload.content, OPTIONS):
                fields = event.model_dump(mode="json", exclude_defaults=True, exclude={"observed_at"})
                out.append(place | fields)
        except InvalidEvent as error:
            out.append(place | {"rejected": str(error)})
    return out


def lob(kind: str, *tracking: tuple[str, str], **body: object) -> list[Event]:
    return list(
        lob_events(
            {
                "id": "evt_1",
                "event_type": {"id": kind},
                "reference_id": "ltr_1",
                "date_created": "2026-03-09T05:00:00Z",
                "body": {
                    "id": "ltr_1",
                    "metadata": {"customer_ref": "C-17"},
                    "tracking_events": [{"name": name, "time": time} for name, time in tracking],
                    **body,
                },
            },
            OPTIONS,
        )
    )


def scan(**columns: str) -> Event:
    row = {"item_id": "RA123456785SE", "event_code": "EMI", "event_time": "2026-03-02T09:00:00Z"}
    [event] = scan_events(row | columns, OPTIONS)
    return event


def document(**columns: str) -> list[Event]:
    row = {"scan_id": "S-1", "received_at": "2026-03-06T08:30:00Z", "document_class": "letter", "customer_ref": "C-17"}
    return list(mailroom_events(row | columns, OPTIONS))


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfe", b"{", b"[1]", b"\x00\x00\x00", b'"', b'{"event_type": 3, "body": 1}']
)
def test_what_is_no_post_is_not_recognised(head: bytes) -> None:
    assert not any(form.recognises(head) for form in FORMATS)


@pytest.mark.parametrize("form", [SCANS, MAILROOM], ids=["scans", "mailroom"])
def test_rows_may_be_json_with_the_same_names(form: Format) -> None:
    data = TABLES[form.name].read_bytes()
    payloads = list(form.payloads(io.BytesIO(data), OPTIONS))
    as_json = "\n".join(json.dumps(payload.content) for payload in payloads).encode()
    assert form.recognises(as_json)

    def without_lines(lines: list[dict]) -> list[dict]:
        return [{key: value for key, value in line.items() if key != "line"} for line in lines]

    assert without_lines(told(form, as_json)) == without_lines(told(form, data))


def test_a_step_happened_when_its_newest_tracking_event_did() -> None:
    [event] = lob(
        "letter.in_transit",
        ("In Transit", "2026-03-05T01:00:00Z"),
        ("In Transit", "2026-03-07T01:00:00Z"),
        ("Mailed", "2026-03-08T01:00:00Z"),
    )
    assert event.occurred_at == datetime(2026, 3, 7, 1, tzinfo=UTC)


def test_a_step_without_tracking_happened_when_lob_said_so() -> None:
    [event] = lob("letter.mailed", ("In Transit", "2026-03-07T01:00:00Z"))
    assert event.occurred_at == datetime(2026, 3, 9, 5, tzinfo=UTC)


def test_a_webhook_delivered_twice_is_one_event_and_two_steps_are_two() -> None:
    sample = (SAMPLES / "lob" / "events.jsonl").read_text().splitlines()[0]
    first, again = (told(LOB, sample.replace("evt_0001", name).encode())[0]["event_id"] for name in ("evt_a", "evt_b"))
    other = told(LOB, sample.replace("letter.created", "letter.rendered_pdf").encode())[0]["event_id"]
    assert first == again != other


@pytest.mark.parametrize("kind", ["letter", "postcard", "self_mailer", "check"])
@pytest.mark.parametrize(
    ("step", "event_type", "direction"),
    [
        ("created", "item.created", "outbound"),
        ("mailed", "item.posted", "outbound"),
        ("processed_for_delivery", "item.in_transit", "report"),
        ("delivered", "item.delivered", "report"),
        ("re-routed", "item.rerouted", "report"),
        ("returned_to_sender", "item.returned", "report"),
        ("viewed", "item.viewed", "inbound"),
        ("failed", "message.failed", "report"),
        ("rejected", "message.failed", "report"),
    ],
)
def test_every_step_of_every_sort_of_mail_is_known(kind: str, step: str, event_type: str, direction: str) -> None:
    [event] = lob(f"{kind}.{step}")
    assert (event.type, event.direction, event.document_class) == (event_type, direction, kind)


@pytest.mark.parametrize("kind", ["letter.billed", "letter.return_envelope.in_transit", "bank_account.verified"])
def test_what_is_no_step_of_an_item_is_kept_and_means_nothing(kind: str) -> None:
    [event] = lob(kind)
    assert (event.type, event.attributes["event"]) == ("unknown", kind)


def test_a_return_envelope_that_came_answers_its_letter() -> None:
    [reply] = lob("letter.return_envelope.delivered")
    assert (reply.type, reply.direction, reply.answers_ref) == ("reply.received", "inbound", "ltr_1")
    assert reply.message_ref != "ltr_1"


@pytest.mark.parametrize("country", ["UNITED STATES", "United States", "US", "us"])
def test_a_full_address_is_one_household_however_its_country_is_written(country: str) -> None:
    to = {"address_line1": "1 Sample St", "address_city": "San Francisco", "address_state": "CA"}
    [event] = lob("letter.mailed", to={**to, "address_zip": "94107", "address_country": country})
    assert [point.key for point in event.contact_points] == [
        "account:C-17",
        "postal:US|94107|SAN FRANCISCO|1 SAMPLE ST",
    ]


def test_an_address_without_city_is_kept_and_joins_nobody() -> None:
    [event] = lob("letter.mailed", metadata={}, to={"address_line1": "1 Sample St", "address_zip": "00001"})
    assert (event.primary.key, event.primary.normalised) == ("postal:1 Sample St, 00001", False)


def test_an_item_to_nobody_is_keyed_by_its_piece() -> None:
    [event] = lob("letter.deleted", metadata=None)
    assert (event.primary.key, event.message_ref) == ("anonymous:piece:ltr_1", "ltr_1")


@pytest.mark.parametrize("item", ["RA123456785SE", "ra 123 456 785 se", "AA000000005SE", "AB000000080SE"])
def test_an_s10_number_with_a_right_check_digit_is_read(item: str) -> None:
    assert scan(item_id=item).piece == item.replace(" ", "").upper()


@pytest.mark.parametrize("digit", "012346789")
def test_an_s10_number_that_was_misread_is_refused(digit: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^item: the check digit"):
        scan(item_id=f"RA12345678{digit}SE")


def test_a_carriers_own_number_is_one_item_only_within_its_account() -> None:
    row = {"item_id": "0037", "event_code": "EMI", "event_time": "2026-03-02T09:00:00Z"}
    ids = {next(scan_events(row, Options(account=name))).event_id for name in ("acme", "other")}
    assert len(ids) == 2
    assert next(scan_events(row | {"item_id": "RA123456785SE"}, Options(account="other"))).event_id == scan().event_id


def test_two_codes_of_one_minute_are_two_events() -> None:
    assert scan(event_code="EMB").event_id != scan(event_code="EMC").event_id


@pytest.mark.parametrize(
    ("columns", "event_type", "reason"),
    [
        ({"event_code": "EMH", "reason_code": "12"}, "item.delivery_attempted", None),
        ({"event_code": "EMH", "reason_code": "12", "returned": "yes"}, "item.returned", "12"),
        ({"event_code": "EMD", "return_reason": "moved"}, "item.returned", "moved"),
        ({"returned": "no"}, "item.delivered", None),
    ],
)
def test_a_return_is_a_return_whatever_the_scan(columns: dict[str, str], event_type: str, reason: str | None) -> None:
    event = scan(**columns)
    assert (event.type, event.return_reason) == (event_type, reason)


@pytest.mark.parametrize(
    ("said", "statement"),
    [
        ("opt_out offers", {"kind": "opt_out", "content_type": "offers"}),
        ("Opt-out of news by letter", {"kind": "opt_out", "content_type": "news", "channel": "post"}),
        ("unsubscribe", {"kind": "opt_out"}),
        ("opt in to invoices by email", {"kind": "opt_in", "content_type": "invoices", "channel": "email"}),
        ("prefer phone", {"kind": "prefer", "channel": "phone"}),
        ("DO NOT CONTACT me", {"kind": "do_not_contact"}),
        ("pause offers until 1.6.2026", {"kind": "pause", "content_type": "offers", "until": "2026-05-31T22:00:00Z"}),
    ],
)
def test_a_choice_stated_in_a_document_is_an_event_of_its_own(said: str, statement: dict[str, str]) -> None:
    reply, stated = document(statement=said)
    assert (reply.type, stated.type) == ("reply.received", "preference.stated")
    assert reply.event_id != stated.event_id
    assert stated.statement.model_dump(mode="json", exclude_none=True) == statement


@pytest.mark.parametrize("said", ["perhaps", "opt out of offers and such", "pause until soon", "opt_outs"])
def test_a_choice_that_is_not_understood_refuses_the_document_whole(said: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^statement"):
        document(statement=said)


def test_a_payment_names_its_invoice_and_a_reply_the_item_it_answers() -> None:
    [paid] = document(document_class="payment", reference="9001")
    assert (paid.type, paid.case_refs, paid.answers_ref) == ("invoice.paid", ("invoice:9001",), None)
    [reply] = document(document_class="return envelope", reference="ltr_0001")
    assert (reply.type, reply.case_refs, reply.answers_ref) == ("reply.received", (), "ltr_0001")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutated_payload_gives_events_that_can_be_written_or_is_refused(data: st.DataObject) -> None:
    form, path = data.draw(st.sampled_from(FILES))
    payloads = [p for p in form.payloads(io.BytesIO(path.read_bytes()), OPTIONS) if isinstance(p.content, dict)]
    content = json.loads(json.dumps(data.draw(st.sampled_from(payloads)).content))
    inner = data.draw(st.sampled_from([content, *(value for value in content.values() if isinstance(value, dict))]))
    for key in data.draw(st.lists(st.sampled_from(sorted(inner)), max_size=3)):
        inner[key] = data.draw(JSON)
    _id, schema = LockedRegistry().current("post")
    try:
        events = list(form.events(content, OPTIONS))
    except InvalidEvent:
        return
    for event in events:
        datum = encode(event, schema_id=_id, schema=schema)[5:]
        assert from_record("post", decode(datum, schema=schema)) == event


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
