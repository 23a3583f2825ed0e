"""Reading: JSON cut into payloads, fields, times, contact points, references."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.format import Options
from producers.message_ids import message_id, message_ids, sendgrid_stem
from producers.reading import (
    Fields,
    attributes,
    cut_payloads,
    event_of,
    json_payloads,
    json_sample,
    parse_json,
    point,
    read_time,
)
from producers.subjects import case_ref, case_refs, content_type_of, purpose_of
from schemas.errors import ConfigurationError, InvalidEvent
from schemas.models import ContentType, Direction, Kind, Purpose
from tests.producers.mutations import ODD

OPTIONS = Options(observed_at=datetime(2026, 3, 4, tzinfo=UTC), region="SE")


def places(text: bytes) -> list[tuple[int, int | None, Any, bool]]:
    found = list(json_payloads(io.BytesIO(text)))
    return [(payload.line, payload.item, payload.content, payload.error is not None) for payload in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n \n", [], id="blank lines"),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b'{"a":1}\n\n{"a":2}', [(1, None, {"a": 1}, False), (3, None, {"a": 2}, False)], id="lines"),
        pytest.param(
            b'{"a":1}\nbroken\n{"a":\n{"a":2}',
            [(1, None, {"a": 1}, False), (2, None, None, True), (3, None, None, True), (4, None, {"a": 2}, False)],
            id="broken lines cost themselves",
        ),
        pytest.param(
            b'{"a": "cut off\n{"a":2}\n', [(1, None, None, True), (2, None, {"a": 2}, False)], id="broken first line"
        ),
        pytest.param(
            b'[{"a":1},{"a":"]},{"}]\n[{"a":2}]',
            [(1, 0, {"a": 1}, False), (1, 1, {"a": "]},{"}, False), (2, 0, {"a": 2}, False)],
            id="lines of arrays",
        ),
        pytest.param(
            b'[{"a":1},{"b":},{"c":[1},{"d":4}]',
            [(1, 0, {"a": 1}, False), (1, 1, None, True), (1, 2, None, True), (1, 3, {"d": 4}, False)],
            id="broken items cost themselves",
        ),
        pytest.param(
            b'\xef\xbb\xbf[\n {\n  "a": 1\n },\n\n {"b": 2,},\n {"c": 3}\n]\n',
            [(2, 0, {"a": 1}, False), (6, 1, None, True), (7, 2, {"c": 3}, False)],
            id="array over many lines, with a byte order mark",
        ),
        pytest.param(
            b'{\n "a": 1\n}\n{\n "b": [2]\n}\n',
            [(1, None, {"a": 1}, False), (4, None, {"b": [2]}, False)],
            id="documents over many lines",
        ),
        pytest.param(b'[{"a":1},\n{"a":2', [(1, 0, {"a": 1}, False), (2, 1, None, True)], id="array cut off"),
        pytest.param(b'{"a":"\xff"}\n{"b":1}', [(1, None, None, True), (2, None, {"b": 1}, False)], id="not UTF-8"),
        pytest.param(b'"text"\n3', [(1, None, "text", False), (2, None, 3, False)], id="no objects"),
        pytest.param(b"[" * 200_000, [(1, 0, None, True)], id="nested too deeply"),
        pytest.param(b'{"a":' + b"1" * 5_000 + b"}", [(1, None, None, True)], id="too many digits"),
    ],
)
def test_json_is_cut_into_payloads(text: bytes, expected: list[Any]) -> None:
    assert places(text) == expected


@settings(max_examples=60)
@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.booleans(),
    st.none() | st.integers(0, 3),
)
def test_every_item_of_an_array_comes_out_whole(items: list[Any], as_lines: bool, indent: int | None) -> None:
    objects = [{"item": item} for item in items]
    if as_lines:
        text = "\n".join(json.dumps(found) for found in objects)
    else:
        text = json.dumps(objects, indent=indent, ensure_ascii=False).encode("utf-8", "replace").decode()
        objects = json.loads(text)
    payloads = list(json_payloads(io.BytesIO(text.encode())))
    assert [payload.content for payload in payloads] == objects
    assert [json.loads(payload.raw) for payload in payloads] == objects


@given(st.binary(max_size=300) | st.text(alphabet='[]{}",:\\\n 1a', max_size=200).map(str.encode))
def test_no_byte_of_a_file_is_lost(text: bytes) -> None:
    payloads = list(json_payloads(io.BytesIO(text)))
    kept = b"".join(payload.raw for payload in payloads)
    blank = b" \t\r\n,[]\x0b\x0c\xef\xbb\xbf"
    assert sorted(kept.translate(None, blank)) == sorted(text.translate(None, blank))
    for payload in payloads:
        assert (payload.error is None) == (parse_json(payload.raw)[1] is None)


def test_a_payload_is_cut_further_and_counted_by_line() -> None:
    text = b'{"parts":[1,2]}\n[{"parts":[3]},{"parts":[4,5]},{"parts":[]}]\n{"parts":[6]}\nbroken'
    payloads = cut_payloads(json_payloads(io.BytesIO(text)), lambda content: [{"part": n} for n in content["parts"]])
    found = [(p.line, p.item, p.content, p.error is not None) for p in payloads]
    assert found == [
        (1, 0, {"part": 1}, False),
        (1, 1, {"part": 2}, False),
        (2, 0, {"part": 3}, False),
        (2, 1, {"part": 4}, False),
        (2, 2, {"part": 5}, False),
        (2, 3, {"parts": []}, False),
        (3, None, {"part": 6}, False),
        (4, None, None, True),
    ]


def test_a_sample_holds_the_objects_that_are_whole() -> None:
    assert json_sample(b'[{"a":1},\n{"b":2},{"c":') == [{"a": 1}, {"b": 2}]
    assert json_sample(b'{\n"a": [1]\n}') == [{"a": [1]}]
    assert json_sample(b"From: ada@example.org\n\n") == []


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b'{"a": 1, "b": {"c": [2, {"d": "cut', [{"a": 1, "b": {"c": [2, {}]}}]),
        (b'[{"a": {"b": "cut } ] , ', [{"a": {}}]),
        (b'{"a": "cut', []),
        (b'{"a": 1}\n{"b": "cut', [{"a": 1}]),
        (b'{"a": 1, "b": ]', []),
        (b"[" * 60_000, []),
        (b'{"a":[' * 10_000, []),
    ],
)
def test_of_an_object_that_is_cut_off_the_sample_has_what_is_whole(head: bytes, found: list[Any]) -> None:
    assert json_sample(head) == found


def test_an_array_on_one_line_of_megabytes_is_cut_without_being_parsed_whole() -> None:
    items = [{"item": "x" * 1_000, "at": place} for place in range(2_000)]
    payloads = list(json_payloads(io.BytesIO(json.dumps(items).encode() + b'\n[{"at": 7}]\n')))
    assert [payload.content for payload in payloads] == [*items, {"at": 7}]


FIELDS = Fields.of(
    {"id": 7, "blank": " ", "half": 2.5, "whole": 3.0, "yes": "yes", "no": 0, "none": None, "inner": {"id": " x "}}
    | {"list": ["a", None, " ", 3], "objects": [{"id": 1}, None, {"id": 2}], "a.b": 1, "a": {"b": 2, "c": 3}}
)


def test_fields_are_read_leniently() -> None:
    assert FIELDS.text("id") == "7"
    assert FIELDS.text("blank", "none", "missing") is None
    assert FIELDS.text("blank", "inner.id") == "x"
    assert FIELDS.text("whole") == "3"
    assert FIELDS.number("half") == 2.5
    assert FIELDS.whole("whole") == 3
    assert (FIELDS.flag("yes"), FIELDS.flag("no"), FIELDS.flag("missing")) == (True, False, None)
    assert FIELDS.texts("list") == ["a", "3"]
    assert FIELDS.texts("id") == ["7"]
    assert [inner.required("id") for inner in FIELDS.each("objects")] == ["1", "2"]
    assert FIELDS.within("missing").text("id") is None
    assert (FIELDS.text("a.b"), FIELDS.text("a.c")) == ("1", "3")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda fields: fields.required("missing", "none"), "missing: missing"),
        (lambda fields: fields.required("blank"), "blank: missing"),
        (lambda fields: fields.text("inner"), "inner: not text"),
        (lambda fields: fields.within("inner").within("id"), "inner.id: not an object"),
        (lambda fields: fields.each("id"), "id: not a list"),
        (lambda fields: fields.whole("half"), "half: not a whole number"),
        (lambda fields: fields.number("inner.id"), "inner.id: not a number"),
        (lambda fields: fields.flag("id"), "id: neither true nor false"),
        (lambda fields: fields.time("missing", "inner.id"), "inner.id: not a time; ISO 8601 with an offset is best"),
        (lambda fields: fields.each("list"), "list.0: not an object"),
        (lambda _: Fields.of([1], "entry"), "entry: not an object"),
        (lambda _: Fields.of({"ref": "x" * 1_001}).ref("ref"), "ref: longer than 1000 characters"),
    ],
)
def test_what_is_wrong_with_a_field_is_told_by_its_place(read: Any, message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(FIELDS)
    assert str(caught.value) == message


def refusal(read: Any) -> str:
    try:
        read("x")
    except InvalidEvent as error:
        return str(error).partition(":")[0]
    return ""


@given(ODD)
def test_reading_a_field_raises_nothing_else(value: Any) -> None:
    fields = Fields.of({"x": value})
    for read in (fields.text, fields.ref, fields.texts, fields.number, fields.whole, fields.flag, fields.time):
        assert refusal(read) in ("", "x")
    assert attributes({"x": value}).keys() <= {"x"}


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-03-02T10:14:05+01:00", "2026-03-02T09:14:05+00:00"),
        ("2026-03-02T09:14:05.123456Z", "2026-03-02T09:14:05.123456+00:00"),
        ("2026-03-02 09:14:05 UTC", "2026-03-02T09:14:05+00:00"),
        ("2026-03-02 10:14:05 +0100", "2026-03-02T09:14:05+00:00"),
        ("2026-03-02T09:14:05", "2026-03-02T08:14:05+00:00"),
        ("2026-07-02T09:14:05", "2026-07-02T07:14:05+00:00"),
        ("2026-03-02", "2026-03-01T23:00:00+00:00"),
        (1772442845, "2026-03-02T09:14:05+00:00"),
        ("1772442845", "2026-03-02T09:14:05+00:00"),
        (1772442845.25, "2026-03-02T09:14:05.250000+00:00"),
        ("1772442845.25", "2026-03-02T09:14:05.250000+00:00"),
        (1772442845123, "2026-03-02T09:14:05.123000+00:00"),
        (1772442845123456, "2026-03-02T09:14:05.123456+00:00"),
        (1772442845123456789, "2026-03-02T09:14:05.123456+00:00"),
        ("Mon, 02 Mar 2026 09:20:11 +0000", "2026-03-02T09:20:11+00:00"),
        ("Mon, 02 Mar 2026 09:20:11 -0000", "2026-03-02T09:20:11+00:00"),
        ("Mon, 02 Mar 2026 09:20:11", "2026-03-02T08:20:11+00:00"),
        ("Mon Mar 02 2026 10:14:05 GMT+0100 (Central European Standard Time)", "2026-03-02T09:14:05+00:00"),
        ("03/02/2026 9:14 PM", "2026-03-02T20:14:00+00:00"),
        ("02.03.2026 09:14", "2026-03-02T08:14:00+00:00"),
        ("31/03/2026", "2026-03-30T22:00:00+00:00"),
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "2026-03-02T09:00:00+00:00"),
    ],
)
def test_times_of_many_kinds_are_read(given_time: Any, expected: str) -> None:
    assert read_time(given_time, Options(timezone="Europe/Stockholm")).isoformat() == expected


def test_which_is_the_day_is_an_option() -> None:
    assert read_time("03/02/2026", Options(day_first=True)) == datetime(2026, 2, 3, tzinfo=UTC)
    assert read_time("03/02/2026", Options(day_first=False)) == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "given_time",
    [
        True,
        None,
        [],
        {},
        "",
        "soon",
        "13/13/2026",
        "2026-13-01",
        float("nan"),
        1e300,
        10**30,
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_time_is_refused(given_time: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"^at: not a time"):
        read_time(given_time, Options(), field="at")


def test_a_timezone_that_does_not_exist_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="--timezone"):
        read_time("2026-03-02", Options(timezone="Mars/Olympus"))


@given(st.datetimes(min_value=datetime(1995, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_moment_is_the_same_however_it_is_written(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    micros = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_time(aware.isoformat()) == aware
    assert read_time(micros) == aware
    assert read_time(str(micros // 1_000)) == aware.replace(microsecond=aware.microsecond // 1_000 * 1_000)
    assert read_time(micros // 1_000_000) == aware.replace(microsecond=0)
    assert abs(read_time(micros / 1_000_000) - aware) < timedelta(microseconds=2)


def test_contact_points_are_refused_with_a_reason_and_without_their_value() -> None:
    assert point(Kind.PHONE, "070-000 00 01", OPTIONS).value == "+46700000001"
    for kind, value in ((Kind.EMAIL, "\x00"), (Kind.VISITOR, "  "), (Kind.EMAIL, "secret" * 200)):
        with pytest.raises(InvalidEvent) as caught:
            point(kind, value, OPTIONS)
        assert "secret" not in str(caught.value)


def undated(options: Options, reference: str = "r-1") -> Any:
    return event_of(
        "chat",
        options,
        vendor="test",
        type="message.received",
        reference=reference,
        occurred_at=None,
        direction=Direction.INBOUND,
        contact_points=[point(Kind.EMAIL, "ada@example.org", options)],
    )


def test_an_event_without_a_time_stands_where_it_was_seen_and_keeps_its_id() -> None:
    later = Options(observed_at=OPTIONS.observed_at + timedelta(days=9))
    one, other = undated(OPTIONS), undated(later)
    assert one.event_id == other.event_id
    assert one.event_id != undated(OPTIONS, "r-2").event_id
    assert (one.occurred_at, one.attributes) == (OPTIONS.observed_at, {"time_from": "observed_at"})
    with pytest.raises(InvalidEvent, match="contact_points"):
        event_of("chat", OPTIONS, vendor="test", type="unknown", reference="r", occurred_at=None, contact_points=[])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a1@example.org>", "<a1@example.org>"),
        (" a1@example.org ", "<a1@example.org>"),
        ("<a1@\n example.org> (comment)", "<a1@example.org>"),
        ("<sCm0pfDP-HyhHB_5Tuw@geopod-ismtpd-8>", "sCm0pfDP-HyhHB_5Tuw"),
        ("<wrfRRvF7Q0@ismtpd0006p1sjc2.sendgrid.net>", "wrfRRvF7Q0"),
        ("<14c5d75ce93.dfd.64b469@ismtpd-555>", "14c5d75ce93.dfd.64b469"),
        ("<>", None),
        ("", None),
        (None, None),
        ("<" + "x" * 2_000 + ">", None),
    ],
)
def test_message_ids_have_one_form(text: str | None, expected: str | None) -> None:
    assert message_id(text) == expected


def test_a_header_may_name_many_messages() -> None:
    assert message_ids("<a@x> junk <b@x>\n <> <c @x>") == ["<a@x>", "<b@x>", "<c@x>"]
    assert message_ids("no id at all") == []


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("sCm0pfDPRjy-HyhHB_5Tuw.recvd-69cbc48b94-n2vpp-1-67D30649-1.0", "sCm0pfDPRjy-HyhHB_5Tuw"),
        ("14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0", "14c5d75ce93.dfd.64b469"),
        ("m-1.filter", "m-1"),
        ("plain", "plain"),
        ("filter0093p1las1.9128.5717FB8127.0", None),
        ("", None),
        (None, None),
    ],
)
def test_what_sendgrids_reports_on_one_mail_share(given_id: str | None, expected: str | None) -> None:
    assert sendgrid_stem(given_id) == expected


def test_words_name_the_content_type() -> None:
    assert content_type_of(["cat facts", "Billing-2026"]) is ContentType.INVOICES
    assert content_type_of(["monthly newsletter"]) is ContentType.NEWS
    assert content_type_of(["spring offers"]) is ContentType.OFFERS
    assert content_type_of(["wholesale"]) is None
    assert purpose_of(ContentType.OFFERS) is Purpose.MARKETING
    assert purpose_of(None) is None


def test_case_references_have_one_form() -> None:
    fields = Fields.of({"case": "#ab 12", "order_id": [77, "A-78"], "invoice": None, "case_refs": ["Order:a-77", "9"]})
    assert case_refs(fields, fields) == ("case:AB12", "order:77", "order:A-78", "order:A-77", "case:9")
    assert case_ref("case", " # ") == ""
