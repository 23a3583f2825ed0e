"""Chat: Chatwoot's webhooks, transcripts."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from producers.chat.chatwoot import chatwoot_events
from producers.chat.transcript import transcript_events
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, ChatEvent, Direction, Kind
from tests.producers.golden import OPTIONS, SAMPLES, events_of
from tests.producers.mutations import mutated
from tests.producers.wire import check_outcome

WEBHOOKS = SAMPLES / "chat" / "chatwoot" / "webhooks.jsonl"
LINES = SAMPLES / "chat" / "transcript" / "support.jsonl"


def parsed(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def one(webhook: dict[str, Any]) -> ChatEvent:
    (event,) = chatwoot_events(webhook, OPTIONS)
    assert isinstance(event, ChatEvent)
    return event


MESSAGE: dict[str, Any] = {
    "event": "message_created",
    "id": 1,
    "content": "Hello",
    "message_type": "incoming",
    "created_at": "2026-03-02T09:14:05Z",
    "account": {"id": 1},
    "conversation": {"id": 4, "channel": "Channel::WebWidget", "contact_inbox": {"source_id": "abc"}},
}


def test_words_and_numbers_iso_and_epoch_say_the_same() -> None:
    pushed = {**MESSAGE, "message_type": 0, "created_at": 1772442845}
    assert one(pushed) == one(MESSAGE)


def test_a_private_note_is_no_message_and_keeps_its_text_to_itself() -> None:
    note = {**MESSAGE, "message_type": "outgoing", "private": True, "content": "Careful with this one"}
    for webhook in (note, {**note, "event": "message_updated"}):
        event = one(webhook)
        assert (event.type, event.attributes["note"], event.summary) == ("unknown", "private", None)
        assert "Careful" not in event.model_dump_json()


@pytest.mark.parametrize(
    ("sender", "more", "author"),
    [
        ({"id": 7, "type": "user"}, {}, Author.HUMAN),
        ({"id": 7}, {}, Author.HUMAN),
        ({"id": 2, "type": "agent_bot"}, {}, Author.BOT),
        ({"id": 2, "type": "captain_assistant"}, {}, Author.BOT),
        ({"id": 7, "type": "user"}, {"content_attributes": {"automation_rule_id": 3}}, Author.TEMPLATE),
        ({"id": 7, "type": "user"}, {"additional_attributes": {"campaign_id": 3}}, Author.TEMPLATE),
        ({"id": 7, "type": "user"}, {"message_type": "template"}, Author.TEMPLATE),
        (None, {}, None),
    ],
)
def test_who_wrote_for_us_is_known(sender: Any, more: dict[str, Any], author: Author | None) -> None:
    event = one({**MESSAGE, "message_type": "outgoing", "sender": sender, **more})
    assert (event.type, event.direction, event.author) == ("message.sent", Direction.OUTBOUND, author)


@pytest.mark.parametrize(
    ("channel", "source_id", "key"),
    [
        ("Channel::WebWidget", "abc", "visitor:chatwoot/1/abc"),
        ("Channel::Api", "abc", "visitor:chatwoot/1/abc"),
        ("Channel::TwilioSms", "+46700000003", "phone:+46700000003"),
        ("Channel::Whatsapp", "46700000003", "phone:+46700000003"),
        ("Channel::TwilioSms", "whatsapp:+46700000003", "phone:+46700000003"),
        ("Channel::Email", "Ada@example.org", "email:ada@example.org"),
        ("Channel::FacebookPage", "501", "social:facebook:chatwoot/1/3:501"),
    ],
)
def test_the_inbox_says_what_the_customer_is_known_by(channel: str, source_id: str, key: str) -> None:
    conversation = {"id": 4, "inbox_id": 3, "channel": channel, "contact_inbox": {"source_id": source_id}}
    event = one({**MESSAGE, "conversation": conversation})
    assert (event.primary.key, event.primary.assurance) == (key, Assurance.ASSERTED)


@pytest.mark.parametrize(("verified", "assurance"), [(True, Assurance.ATTESTED), (False, Assurance.CLAIMED)])
def test_what_a_visitor_types_is_claimed_and_what_our_site_signed_is_attested(
    verified: bool, assurance: Assurance
) -> None:
    inbox = {"source_id": "abc", "hmac_verified": verified}
    sender = {"id": 71, "email": "ada@example.org", "phone_number": "+46700000001", "identifier": "c-1"}
    event = one({**MESSAGE, "sender": sender, "conversation": {**MESSAGE["conversation"], "contact_inbox": inbox}})
    by_kind = {point.kind: point.assurance for point in event.contact_points}
    assert by_kind == {
        **dict.fromkeys((Kind.ACCOUNT, Kind.EMAIL, Kind.PHONE), assurance),
        Kind.VISITOR: Assurance.ASSERTED,
    }
    assert event.primary.kind is (Kind.ACCOUNT if verified else Kind.VISITOR)


def test_the_agents_own_address_is_not_the_customers() -> None:
    sender = {"id": 7, "type": "user", "email": "eve@acme.example"}
    event = one({**MESSAGE, "message_type": "outgoing", "sender": sender})
    assert [point.kind for point in event.contact_points] == [Kind.VISITOR]


def status_webhook(before: Any, after: str, event: str = "conversation_status_changed") -> dict[str, Any]:
    changed = [] if before is None else [{"status": {"previous_value": before, "current_value": after}}]
    contact = {"source_id": "abc"}
    return {"event": event, "id": 4, "status": after, "account": {"id": 1}, "contact_inbox": contact} | {
        "changed_attributes": changed,
        "updated_at": 1772442900.5,
    }


@pytest.mark.parametrize(
    ("before", "after", "type_"),
    [
        ("open", "resolved", "conversation.resolved"),
        ("resolved", "open", "conversation.reopened"),
        ("snoozed", "open", "conversation.reopened"),
        (None, "open", "conversation.reopened"),
        ("pending", "open", "conversation.handed_off"),
        (2, "open", "conversation.handed_off"),
        ("open", "snoozed", "conversation.snoozed"),
        ("resolved", "pending", "conversation.reopened"),
        ("open", "pending", "conversation.transferred"),
        ("open", "archived", "unknown"),
    ],
)
def test_a_change_of_status_says_what_became_of_the_conversation(before: Any, after: str, type_: str) -> None:
    assert one(status_webhook(before, after)).type == type_


def test_a_change_told_twice_is_one_event() -> None:
    told = one(status_webhook("open", "resolved"))
    again = one(status_webhook("open", "resolved", event="conversation_updated"))
    assert told == again


def test_two_installations_are_told_apart() -> None:
    elsewhere = replace(OPTIONS, account="other")
    (event,) = chatwoot_events(MESSAGE, elsewhere)
    assert event.event_id != one(MESSAGE).event_id
    assert event.source == "chatwoot/other"


def test_an_older_webhook_names_the_account_in_its_message_only() -> None:
    webhook = {name: value for name, value in status_webhook("open", "resolved").items() if name != "account"}
    assert one({**webhook, "messages": [{"account_id": 1}]}).conversation_ref == "chatwoot/1/4"
    assert one(webhook).conversation_ref == "chatwoot/acme/4"


@pytest.mark.parametrize(
    ("writer", "author", "type_"),
    [
        ("customer", Author.CUSTOMER, "message.received"),
        ("Visitor", Author.CUSTOMER, "message.received"),
        ("agent", Author.HUMAN, "message.sent"),
        ("assistant", Author.BOT, "message.sent"),
        ("template", Author.TEMPLATE, "message.sent"),
        ("system", Author.MACHINE, "unknown"),
    ],
)
def test_a_transcripts_writers_are_known_by_many_names(writer: str, author: Author, type_: str) -> None:
    line = {"conversation": "c", "at": 1772442845, "role": writer, "contact": "ada@example.org"}
    (event,) = transcript_events(line, OPTIONS)
    assert (event.author, event.type) == (author, type_)


def test_spellings_of_a_transcript_say_the_same() -> None:
    one_way = {"conversation": "c", "id": 1, "at": 1772442845, "from": "customer", "text": "Hi"} | {
        "contact": {"email": "ada@example.org", "phone": "+46700000001"}
    }
    other = {"session_id": "c", "messageId": "1", "ts": "2026-03-02T09:14:05Z", "speaker": "user", "content": "Hi"} | {
        "mail": ["Ada@Example.org"],
        "mobile": "0700-00 00 01",
    }
    assert list(transcript_events(one_way, OPTIONS)) == list(transcript_events(other, OPTIONS))


def test_messages_without_an_id_are_told_apart_by_what_they_say() -> None:
    line = {"conversation": "c", "at": 1772442845, "from": "customer", "contact": "ada@example.org"}
    texts = ["one", "two", "one"]
    ids = [event.event_id for text in texts for event in transcript_events({**line, "text": text}, OPTIONS)]
    assert (ids[0] == ids[2], ids[0] == ids[1]) == (True, False)


def test_each_conversation_may_number_its_own_messages() -> None:
    line = {**parsed(LINES)[0], "conversation": "c-1", "id": "2", "in_reply_to": "1"}
    refs = {
        reference
        for conversation in ("c-1", "c-2")
        for event in transcript_events({**line, "conversation": conversation}, OPTIONS)
        for reference in (event.message_ref, event.answers_ref)
    }
    assert len(refs) == 4
    assert None not in refs


def test_a_name_is_no_contact_point() -> None:
    line = {"conversation": "c", "at": 1772442845, "from": "customer", "text": "Hi"}
    with pytest.raises(InvalidEvent, match="contact"):
        list(transcript_events({**line, "contact": "Ada Example"}, OPTIONS))
    (event,) = transcript_events({**line, "customer": "Ada Example"}, OPTIONS)
    assert (event.primary.key, event.attributes["customer"]) == ("anonymous:chat:c", "Ada Example")


def test_what_a_transcript_says_besides_is_kept() -> None:
    kept = Counter(name for event in events_of(LINES) for name in event.attributes)
    assert {"device_os", "shift"} <= set(kept)


@settings(max_examples=400, deadline=None)
@given(mutated(parsed(WEBHOOKS)))
def test_no_broken_webhook_raises_anything_else(webhook: object) -> None:
    check_outcome(chatwoot_events, webhook, OPTIONS)


@settings(max_examples=300, deadline=None)
@given(mutated(parsed(LINES)))
def test_no_broken_line_raises_anything_else(line: object) -> None:
    check_outcome(transcript_events, line, OPTIONS)
