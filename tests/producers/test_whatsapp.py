"""WhatsApp's webhooks: who somebody is, what joins, what repeats, and what is proof of nothing."""

import copy
import io
import json
from typing import Any

import pytest

from producers.social.whatsapp import webhook_items, whatsapp_events, whatsapp_payloads
from schemas.errors import InvalidEvent
from schemas.event_types import EVENT_TYPES, conclusions
from schemas.models import Assurance, Author, Direction, Event, IdentityEvent, Kind, Purpose
from tests.producers.golden import OPTIONS, SAMPLES

FILE = SAMPLES / "social" / "whatsapp" / "webhooks.jsonl"
ADA = {"profile": {"name": "Ada Example"}, "wa_id": "46700000001"}
TEXT: dict[str, Any] = {
    "from": "46700000001",
    "id": "wamid.1",
    "timestamp": "1772443000",
    "type": "text",
    "text": {"body": "Hi"},
}
STATUS: dict[str, Any] = {
    "id": "wamid.9",
    "status": "delivered",
    "timestamp": "1772443100",
    "recipient_id": "46700000001",
}


def webhook(**lists: Any) -> dict[str, Any]:
    value = {"metadata": {"display_phone_number": "46855501000", "phone_number_id": "200"}, **lists}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "100", "changes": [{"field": "messages", "value": value}]}],
    }


def told(**lists: Any) -> list[Event]:
    return list(whatsapp_events(webhook(**lists), OPTIONS))


def meaning(event: Event) -> Any:
    return conclusions(EVENT_TYPES[event.channel][event.type], event.model_dump())


def test_the_account_is_primary_and_the_number_stands_beside_it() -> None:
    (event,) = told(contacts=[ADA], messages=[TEXT])
    points = [(point.key, point.assurance) for point in event.contact_points]
    assert points == [
        ("social:whatsapp:wa_id:46700000001", Assurance.ATTESTED),
        ("phone:+46700000001", Assurance.ASSERTED),
    ]
    assert meaning(event).clock == "start"


def test_a_profile_name_joins_nobody() -> None:
    other = {**TEXT, "id": "wamid.2", "from": "46700000002"}
    (one,) = told(contacts=[ADA], messages=[TEXT])
    (two,) = told(contacts=[{**ADA, "wa_id": "46700000002"}], messages=[other])
    assert {point.key for point in one.contact_points}.isdisjoint(point.key for point in two.contact_points)
    assert "Ada" not in "".join(point.key for point in (*one.contact_points, *two.contact_points))


def test_a_user_without_a_number_is_known_to_this_business_alone() -> None:
    message = {name: value for name, value in TEXT.items() if name != "from"} | {"from_user_id": "SE.1"}
    (here,) = told(messages=[message])
    elsewhere = webhook(messages=[message])
    elsewhere["entry"][0]["id"] = "101"
    (there,) = whatsapp_events(elsewhere, OPTIONS)
    assert (here.primary.value, there.primary.value) == ("whatsapp:100:SE.1", "whatsapp:101:SE.1")


def test_reports_reactions_and_answers_meet_the_message_that_was_sent() -> None:
    sent, delivered, read = (
        told(statuses=[{**STATUS, "status": status}])[0] for status in ("sent", "delivered", "read")
    )
    reaction = {**TEXT, "id": "wamid.2", "type": "reaction", "reaction": {"message_id": "wamid.9", "emoji": "!"}}
    answer = {**TEXT, "id": "wamid.3", "context": {"id": "wamid.9"}}
    reacted, answered = told(contacts=[ADA], messages=[reaction, answer])
    assert {sent.message_ref, delivered.message_ref, read.message_ref, reacted.message_ref, answered.answers_ref} == {
        "whatsapp/wamid.9"
    }
    assert len({event.primary.key for event in (sent, delivered, read, reacted, answered)}) == 1
    assert len({event.conversation_ref for event in (sent, delivered, read, reacted, answered)}) == 1
    steps = [meaning(event).item for event in (sent, delivered, read, reacted, answered)]
    assert steps == ["sent", "delivered", "opened", "opened", "answered"]


def test_a_webhook_that_comes_again_is_one_event_and_two_reactions_are_two() -> None:
    first = [event.event_id for line in _lines() for event in _events(line)]
    second = [event.event_id for line in _lines() for event in _events({**line, "delivered_again": True})]
    assert first == second
    assert len(set(first)) == len(first)
    reaction = {**TEXT, "type": "reaction", "reaction": {"message_id": "wamid.9", "emoji": "!"}}
    ids = {told(messages=[{**reaction, "id": number}])[0].event_id for number in ("wamid.2", "wamid.3")}
    assert len(ids) == 2


def test_the_order_of_items_changes_no_event() -> None:
    statuses = [{**STATUS, "status": status} for status in ("read", "sent", "delivered")]
    forwards = {event.event_id: event for event in told(statuses=statuses)}
    backwards = {event.event_id: event for event in told(statuses=statuses[::-1])}
    assert forwards == backwards


@pytest.mark.parametrize(
    ("code", "type_", "reach"),
    [
        (131026, "dm.failed", "bad"),
        (131047, "message.failed", None),
        (131049, "message.failed", None),
        (130472, "message.failed", None),
        (131050, "message.failed", None),
        (999999, "message.failed", None),
    ],
)
def test_only_a_failure_that_is_the_customers_counts_against_them(code: int, type_: str, reach: str | None) -> None:
    failed, *_ = told(statuses=[{**STATUS, "status": "failed", "errors": [{"code": code, "title": "x"}]}])
    assert (failed.type, meaning(failed).reach, meaning(failed).item) == (type_, reach, "failed")


@pytest.mark.parametrize(
    ("lists", "kind", "direction"),
    [
        (
            {"user_preferences": [{"wa_id": "46700000001", "category": "marketing_messages", "value": "stop"}]},
            "opt_out",
            Direction.INBOUND,
        ),
        (
            {"user_preferences": [{"wa_id": "46700000001", "category": "marketing_messages", "value": "resume"}]},
            "opt_in",
            Direction.INBOUND,
        ),
        ({"statuses": [{**STATUS, "status": "failed", "errors": [{"code": "131050"}]}]}, "opt_out", Direction.REPORT),
    ],
)
def test_a_choice_about_marketing_is_of_this_account_and_leaves_service_alone(
    lists: dict[str, Any], kind: str, direction: Direction
) -> None:
    stated = [event for event in told(**lists) if event.type == "preference.stated"]
    assert [(event.statement.kind, event.statement.content_type) for event in stated if event.statement] == [
        (kind, "news"),
        (kind, "offers"),
    ]
    for event in stated:
        assert event.statement is not None
        assert (event.statement.channel, event.statement.about) == ("social", "social:whatsapp:wa_id:46700000001")
        assert event.direction is direction


def test_a_changed_number_links_the_account_and_ends_the_old_number() -> None:
    system = {"type": "user_changed_number", "wa_id": "46700000009", "body": "x"}
    events = told(messages=[{**TEXT, "type": "system", "system": system}])
    assert all(isinstance(event, IdentityEvent) for event in events)
    link, *ended = events
    assert (link.type, [point.key for point in link.contact_points]) == (
        "link.asserted",
        ["social:whatsapp:wa_id:46700000001", "social:whatsapp:wa_id:46700000009"],
    )
    assert [(event.type, event.primary.key) for event in ended] == [
        ("contact_point.ended", "social:whatsapp:wa_id:46700000001"),
        ("contact_point.ended", "phone:+46700000001"),
    ]
    with pytest.raises(InvalidEvent, match=r"system\.wa_id"):
        told(messages=[{**TEXT, "type": "system", "system": {**system, "wa_id": TEXT["from"]}}])


@pytest.mark.parametrize(
    ("category", "content_type", "purpose", "author"),
    [
        ("marketing", "offers", Purpose.MARKETING, Author.TEMPLATE),
        ("utility", "service", Purpose.TRANSACTIONAL, Author.TEMPLATE),
        ("authentication-international", "service", Purpose.TRANSACTIONAL, Author.TEMPLATE),
        ("service", "service", Purpose.SERVICE, None),
        ("referral_conversion", None, None, None),
    ],
)
def test_a_category_says_why_it_was_sent(
    category: str, content_type: str | None, purpose: Purpose | None, author: Author | None
) -> None:
    (sent,) = told(statuses=[{**STATUS, "status": "sent", "pricing": {"category": category}}])
    assert (sent.content_type, sent.purpose, sent.author) == (content_type, purpose, author)
    assert meaning(sent).clock == (None if author else "stop")


def test_what_our_own_system_gave_along_is_read() -> None:
    given = json.dumps({"content_type": "invoice", "invoice": "9001", "topic": "billing"})
    (sent,) = told(statuses=[{**STATUS, "status": "sent", "biz_opaque_callback_data": given}])
    assert (sent.content_type, sent.case_refs, sent.topic) == ("invoices", ("invoice:9001",), "billing")
    for odd in ("job 17", "[1]", '{"broken', '"text"'):
        (sent,) = told(statuses=[{**STATUS, "status": "sent", "biz_opaque_callback_data": odd}])
        assert sent.attributes["callback_data"] == odd


def test_what_we_write_in_the_app_is_ours_and_a_person_wrote_it() -> None:
    echo = {**TEXT, "from": "46855501000", "to": "46700000001", "id": "wamid.echo"}
    (asked,), (answered,) = told(contacts=[ADA], messages=[TEXT]), told(message_echoes=[echo])
    assert (answered.type, answered.direction, answered.author) == ("dm.sent", Direction.OUTBOUND, Author.HUMAN)
    assert (asked.primary, asked.conversation_ref) == (answered.primary, answered.conversation_ref)
    assert meaning(answered).clock == "stop"


def test_somebody_elses_card_is_not_the_customers() -> None:
    card = {"phones": [{"phone": "+46 70-000 00 05", "wa_id": "46700000005"}]}
    message = {**TEXT, "type": "contacts", "contacts": [card]}
    (shared,) = told(contacts=[ADA], messages=[message])
    assert "phone:+46700000005" not in [point.key for point in shared.contact_points]
    (own,) = told(contacts=[ADA], messages=[{**message, "contacts": [{**card, "origin": "contact_request"}]}])
    asked = next(point for point in own.contact_points if point.key == "phone:+46700000005")
    assert asked.assurance is Assurance.CLAIMED


def test_in_a_group_everybody_is_themselves_and_the_thread_is_the_groups() -> None:
    other = {**TEXT, "id": "wamid.2", "from": "46700000002"}
    events = told(messages=[{**TEXT, "group_id": "g-1"}, {**other, "group_id": "g-1"}])
    assert {event.conversation_ref for event in events} == {"whatsapp/200/group/g-1"}
    assert len({event.primary.key for event in events}) == 2
    (report,) = told(
        statuses=[
            {**STATUS, "recipient_type": "group", "recipient_id": "g-1", "recipient_participant_id": "46700000002"}
        ]
    )
    assert (report.primary.key, report.conversation_ref) == (events[1].primary.key, events[0].conversation_ref)


def test_one_bad_item_costs_only_itself_and_says_where() -> None:
    bad = webhook(contacts=[ADA], messages=[TEXT, {"type": "text"}, {**TEXT, "id": "wamid.2"}], statuses=[7, STATUS])
    parts = list(whatsapp_payloads(io.BytesIO(json.dumps(bad).encode()), OPTIONS))
    outcomes = []
    for part in parts:
        try:
            outcomes.append([event.type for event in whatsapp_events(part.content, OPTIONS)])
        except InvalidEvent as error:
            outcomes.append(str(error))
    assert outcomes == [
        ["dm.received"],
        "entry.0.changes.0.value.messages.0.id: missing",
        ["dm.received"],
        "entry.0.changes.0.value.statuses.0: not an object",
        ["dm.delivered"],
    ]


def test_a_whole_webhook_gives_the_same_events_as_its_parts() -> None:
    for line in _lines()[:13]:
        parts = [event for part in webhook_items(line) for event in whatsapp_events(part, OPTIONS)]
        assert list(whatsapp_events(line, OPTIONS)) == parts


def test_cutting_changes_nothing_in_the_webhook_itself() -> None:
    lines = _lines()
    kept = copy.deepcopy(lines)
    for line in lines:
        webhook_items(line)
    assert lines == kept


def test_every_kind_of_point_is_comparable() -> None:
    points = [point for line in _lines() for event in _events(line) for point in event.contact_points]
    assert {point.kind for point in points} == {Kind.SOCIAL, Kind.PHONE}
    assert all(point.normalised for point in points)


def _lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def _events(line: dict[str, Any]) -> list[Event]:
    found: list[Event] = []
    for part in webhook_items(line):
        try:
            found += whatsapp_events(part, OPTIONS)
        except InvalidEvent:
            continue
    return found
