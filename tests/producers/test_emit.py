"""Events in the contract's own form: what is derived, what is refused, and every model's way through JSON and back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log.embedded import EmbeddedLog
from producers.emit import EMIT, emitted_events
from producers.format import Options
from producers.publish import publish
from producers.rejects import RejectsFile
from producers.sources import source_of_bytes
from schemas.codec import decode, encode, from_record
from schemas.errors import InvalidEvent
from schemas.event_types import EVENT_TYPES
from schemas.models import EVENT_MODELS, Event
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS, topic_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
OPTIONS = Options(observed_at=NOW, region="SE")
CHAT = {
    "channel": "chat",
    "type": "message.received",
    "occurred_at": "2026-03-02T09:14:05+01:00",
    "source": "web/acme",
    "direction": "inbound",
    "contact_points": ["email:Ada@Example.org"],
    "conversation_ref": "c-1",
    "summary": "Hi",
}


def emitted(**changes: Any) -> Event:
    content = {name: value for name, value in {**CHAT, **changes}.items() if value is not ...}
    [event] = emitted_events(content, OPTIONS)
    return event


def test_an_event_is_read_as_it_is() -> None:
    event = emitted(attributes={"page": 3}, page_url="https://example.org/", machine=False)
    assert event.model_dump(mode="json", exclude_defaults=True) == {
        "event_id": str(event.event_id),
        "type": "message.received",
        "occurred_at": "2026-03-02T08:14:05Z",
        "observed_at": "2026-04-01T00:00:00Z",
        "source": "web/acme",
        "direction": "inbound",
        "contact_points": [{"kind": "email", "value": "ada@example.org"}],
        "conversation_ref": "c-1",
        "machine": False,
        "summary": "Hi",
        "attributes": {"page": "3"},
        "page_url": "https://example.org/",
    }


@pytest.mark.parametrize(
    ("point", "key"),
    [
        ("email:Ada@Example.org", "email:ada@example.org"),
        (" Email : ADA@example.org ", "email:ada@example.org"),
        ("ada@example.org", "email:ada@example.org"),
        ("phone:0700-000001", "phone:+46700000001"),
        ("account: c 17", "account:C17"),
        ("postal:SE|111 22|Stockholm|Storgatan 1", "postal:SE|11122|STOCKHOLM|STORGATAN 1"),
        ({"kind": "phone", "value": "+46 700 00 00 01"}, "phone:+46700000001"),
        ({"kind": "Social", "value": "Instagram:acme:42", "normalised": False}, "social:instagram:acme:42"),
        (
            {
                "kind": "postal",
                "value": {
                    "country_code": "SE",
                    "postal_code": "111 22",
                    "city": "Stockholm",
                    "street_address": "Storgatan 1",
                },
            },
            "postal:SE|11122|STOCKHOLM|STORGATAN 1",
        ),
    ],
)
def test_a_contact_point_may_be_written_in_any_spelling(point: Any, key: str) -> None:
    assert emitted(contact_points=[point]).primary.key == key


def test_assurance_and_role_of_a_contact_point_decide_which_is_primary() -> None:
    event = emitted(
        contact_points=[
            {"kind": "account", "value": "C-17", "role": "on_behalf_of"},
            {"kind": "email", "value": "ada@example.org", "assurance": "claimed"},
            {"kind": "visitor", "value": "v-1", "assurance": "ATTESTED"},
        ]
    )
    assert [point.key for point in event.contact_points] == ["visitor:v-1", "email:ada@example.org", "account:C-17"]


def test_the_id_is_derived_from_what_the_event_refers_to_and_not_from_when_it_was_seen() -> None:
    first = emitted()
    assert emitted(observed_at="2026-03-30T00:00:00Z", summary="Hello").event_id == first.event_id
    assert emitted(occurred_at="2026-03-02T08:14:05Z").event_id == first.event_id
    different = [
        emitted(conversation_ref="c-2"),
        emitted(message_ref="m-1"),
        emitted(type="message.sent"),
        emitted(occurred_at="2026-03-02T09:14:05.000001+01:00"),
        emitted(contact_points=["email:bo@example.org"]),
        emitted(step="2"),
        emitted(statement={"kind": "opt_out", "content_type": "offers"}),
        emitted(statement={"kind": "opt_out", "content_type": "news"}),
    ]
    assert len({event.event_id for event in [first, *different]}) == len(different) + 1


def test_without_any_reference_the_whole_event_is_its_reference() -> None:
    first, again, other = (
        emitted(conversation_ref=..., summary=text, observed_at=seen)
        for text, seen in [("Hi", ...), ("Hi", "2026-03-30T00:00:00Z"), ("Hello", ...)]
    )
    assert first.event_id == again.event_id != other.event_id


def test_a_given_id_is_kept() -> None:
    assert (
        str(emitted(event_id="6f9e0c0a-5c5f-4d0e-9a55-1f6d3f2f8a02").event_id) == "6f9e0c0a-5c5f-4d0e-9a55-1f6d3f2f8a02"
    )


def test_references_of_cases_have_the_form_of_every_channel_and_others_stay() -> None:
    assert emitted(case_refs=["Case: ab 12", "contract:x 1"]).case_refs == ("case:AB12", "contract:x 1")


def test_a_statement_about_identity_is_an_event_too() -> None:
    event = emitted(channel="identity", type="link.asserted", contact_points=["account:C-17", "email:a@example.org"])
    assert (event.channel, len(event.contact_points)) == ("identity", 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channel": "fax"}, "channel: not one of email, chat"),
        ({"channel": ...}, "channel: not one of"),
        ({"type": ...}, "type: missing"),
        ({"type": "call.answered"}, "type: no such event type on chat"),
        ({"occurred_at": "2026-03-02T09:14:05"}, "occurred_at: a time without offset"),
        ({"occurred_at": 1772442845}, "occurred_at: not ISO 8601"),
        ({"occurred_at": ...}, "occurred_at: missing"),
        ({"observed_at": "2027-01-01T00:00:00Z"}, "observed_at: before 1995 or over a day from now"),
        ({"promised_at": "tomorrow"}, "promised_at: not ISO 8601"),
        ({"source": ...}, "source: Field required"),
        ({"direction": "sideways"}, "direction: Input should be"),
        ({"contact_points": []}, "contact_points: not a list of at least one"),
        ({"contact_points": "email:a@example.org"}, "contact_points: not a list"),
        ({"contact_points": [3]}, "contact_points.0: not an object"),
        ({"contact_points": ["a@example.org", ""]}, "contact_points.1: empty"),
        ({"contact_points": [{"kind": "fax", "value": "1"}]}, "contact_points.0.kind: not one of"),
        ({"contact_points": [{"kind": "email", "value": "a", "assurance": "sure"}]}, "contact_points.0.assurance: not"),
        ({"contact_points": [{"kind": "email"}]}, "contact_points.0.value: missing"),
        ({"contact_points": [{"kind": "email", "value": "a", "name": "A"}]}, "contact_points.0.name: no such field"),
        ({"shoe_size": 39}, "shoe_size: no such field on chat"),
        ({"subject": "Hi"}, "subject: no such field on chat"),
        ({"ada@example.org": 1}, "a field: no such field"),
        ({"statement": {"kind": "opt_out", "until": "2026-06-01"}}, "statement.until: a time without offset"),
        ({"statement": {"kind": "sulk"}}, "statement.kind: Input should be"),
        ({"survey": {"kind": "csat", "score": 9, "scale_max": 5}}, "survey: Value error, score is above scale_max"),
        ({"event_id": "1"}, "event_id: not a UUID"),
    ],
)
def test_what_breaks_the_contract_is_refused_by_field(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        emitted(**changes)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("channel", EVENT_MODELS)
def test_every_type_of_every_channel_can_be_emitted_read_from_the_log_and_emitted_again(channel: str) -> None:
    schema_id, schema = LockedRegistry().current(channel)
    for event_type in EVENT_TYPES[channel]:
        event = emitted(channel=channel, type=event_type)
        datum = encode(event, schema_id=schema_id, schema=schema)[5:]
        read = from_record(channel, decode(datum, schema=schema))
        assert read == event
        [again] = emitted_events({"channel": channel, **json.loads(read.model_dump_json())}, OPTIONS)
        assert again == event


def test_each_event_goes_to_the_topic_of_its_own_channel(tmp_path: Path) -> None:
    lines = [{**CHAT, "channel": channel, "type": "unknown"} for channel in EVENT_MODELS]
    data = "\n".join(json.dumps(line) for line in [*lines, {**CHAT, "type": "nonsense"}]).encode()
    assert EMIT.recognises(data)
    with EmbeddedLog(tmp_path / "log.db") as log, RejectsFile(tmp_path / "rejects.jsonl") as rejects:
        log.create_topics(TOPICS, 2)
        report = publish(
            [source_of_bytes("-", data)],
            format=EMIT,
            options=OPTIONS,
            log=log,
            registry=LockedRegistry(),
            rejects=rejects,
        )
    assert report.by_topic == {topic_of(channel): 1 for channel in EVENT_MODELS}
    assert (report.read, report.rejected, report.failed) == (len(EVENT_MODELS) + 1, 1, 0)


def test_an_array_on_one_line_is_several_events() -> None:
    payloads = list(EMIT.payloads(source_of_bytes("-", json.dumps([CHAT, CHAT]).encode()).open(), OPTIONS))
    assert [(payload.line, payload.item) for payload in payloads] == [(1, 0), (1, 1)]


@pytest.mark.parametrize("head", [b"", b"{", b"a,b\n1,2", b'{"channel": "chat"}', b"[]"])
def test_what_is_no_event_is_not_recognised(head: bytes) -> None:
    assert not EMIT.recognises(head)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)
    | st.sampled_from(["opt_out", "csat", "email", "account", "attested", "0001-01-01T00:00:00+14:00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "value", "until", "score", "scale_max", "x"]) | st.text(), inner)
    ),
    max_leaves=8,
)
FIELDS = sorted({"channel"} | {name for model in EVENT_MODELS.values() for name in model.model_fields})


@settings(max_examples=300, deadline=timedelta(seconds=2))
@given(
    channel=st.sampled_from(sorted(EVENT_MODELS)), changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3)
)
def test_a_mutated_event_can_be_written_or_is_refused(channel: str, changes: dict[str, Any]) -> None:
    content = {**CHAT, "channel": channel, "type": "unknown", **changes}
    try:
        [event] = emitted_events(content, OPTIONS)
    except InvalidEvent:
        return
    schema_id, schema = LockedRegistry().current(event.channel)
    datum = encode(event, schema_id=schema_id, schema=schema)[5:]
    assert from_record(event.channel, decode(datum, schema=schema)) == event
