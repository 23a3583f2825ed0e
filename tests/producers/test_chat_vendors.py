"""Chat tools beside Chatwoot: Zammad's tickets of every channel, Segment's calls, transcripts as tables."""

import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from log.embedded import EmbeddedLog
from producers.chat.chatwoot import chatwoot_events
from producers.chat.segment import FORMAT as SEGMENT
from producers.chat.segment import segment_events
from producers.chat.transcript import transcript_events
from producers.chat.transcripts import FORMAT as TRANSCRIPTS
from producers.chat.zammad import FORMAT as ZAMMAD
from producers.chat.zammad import zammad_events
from producers.email.sendgrid import sendgrid_events
from producers.publish import publish
from producers.rejects import RejectsFile
from producers.social.whatsapp import whatsapp_events
from producers.sources import sources
from schemas.errors import InvalidEvent
from schemas.event_types import EVENT_TYPES, conclusions
from schemas.models import Assurance, Author, Direction, Event, Role
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS
from tests.producers.golden import OPTIONS, SAMPLES, events_of

TICKETS = SAMPLES / "chat" / "zammad" / "webhooks.jsonl"
TICKET: dict[str, Any] = {
    "id": 81,
    "number": "10081",
    "state": "open",
    "create_article_type": "web",
    "customer": {"id": 8, "email": "ada@example.org", "phone": "+46 70-000 00 01"},
    "owner_id": 1,
    "updated_at": "2026-03-02T10:00:00Z",
}
ARTICLE: dict[str, Any] = {
    "id": 104,
    "type": "web",
    "sender": "Customer",
    "internal": False,
    "body": "Where is it?",
    "created_at": "2026-03-02T09:14:05Z",
}


def zammad(ticket: dict[str, Any] | None = None, article: dict[str, Any] | None = None) -> list[Event]:
    payload = {"ticket": {**TICKET, **(ticket or {})}, "article": {**ARTICLE, **article} if article else {}}
    return list(zammad_events(payload, OPTIONS))


def meaning(event: Event) -> Any:
    return conclusions(EVENT_TYPES[event.channel][event.type], event.model_dump())


@pytest.mark.parametrize(
    ("kind", "sender", "told"),
    [
        ("email", "Customer", [("email", "message.received")]),
        ("email", "Agent", [("email", "message.sent")]),
        ("web", "Customer", [("chat", "message.received")]),
        ("chat", "Agent", [("chat", "message.sent")]),
        ("sms", "Customer", [("chat", "message.received")]),
        ("note", "Customer", [("chat", "message.received")]),
        ("note", "Agent", [("chat", "unknown")]),
        ("phone", "Customer", [("phone", "call.initiated"), ("phone", "call.answered")]),
        ("phone", "Agent", [("phone", "call.initiated")]),
        ("fax", "Customer", [("post", "reply.received")]),
        ("fax", "Agent", [("post", "item.posted")]),
        ("twitter status", "Customer", [("social", "post.mentioned")]),
        ("facebook feed comment", "Customer", [("social", "comment.received")]),
        ("facebook feed comment", "Agent", [("social", "reply.published")]),
        ("whatsapp message", "Agent", [("social", "dm.sent")]),
        ("telegram personal-message", "Customer", [("social", "dm.received")]),
        ("pigeon", "Customer", [("chat", "unknown")]),
    ],
)
def test_an_article_belongs_to_the_channel_it_came_by(kind: str, sender: str, told: list[tuple[str, str]]) -> None:
    events = zammad(article={"type": kind, "sender": sender})
    assert [(event.channel, event.type) for event in events] == told
    assert {event.conversation_ref for event in events} == {"zammad/acme/81"}
    assert {event.case_refs for event in events} == {("case:10081",)}


@pytest.mark.parametrize("kind", ["note", "email", "web", "phone", "whatsapp message"])
@pytest.mark.parametrize("sender", ["Agent", "Customer", "System"])
def test_what_is_internal_means_nothing_and_keeps_its_text_to_itself(kind: str, sender: str) -> None:
    (event,) = zammad(article={"type": kind, "sender": sender, "internal": True, "body": "Careful", "subject": "Care"})
    assert (event.type, event.attributes["note"]) == ("unknown", "internal")
    assert "Care" not in event.model_dump_json()


def test_every_channels_events_reach_their_own_topic(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite3")
    log.create_topics(TOPICS, 1)
    with RejectsFile(tmp_path / "rejects.jsonl") as rejects:
        report = publish(
            sources([TICKETS]), format=ZAMMAD, options=OPTIONS, log=log, registry=LockedRegistry(), rejects=rejects
        )
    channels = Counter(f"interactions.{event.channel}" for event in events_of(TICKETS))
    assert dict(report.by_topic) == dict(channels)
    assert set(channels) == {f"interactions.{channel}" for channel in ("email", "chat", "phone", "post", "social")}
    assert (report.delivered, report.failed) == (channels.total(), 0)


def test_a_change_is_told_once_however_many_webhooks_tell_it() -> None:
    closed = {"state": "closed", "close_at": "2026-03-02T09:50:00Z", "last_close_at": "2026-03-02T09:55:00Z"}
    (first,), (again,) = zammad(closed), zammad({**closed, "updated_at": "2026-03-02T11:00:00Z"})
    assert (first.type, first.event_id) == ("conversation.resolved", again.event_id)
    assert first.occurred_at.isoformat() == "2026-03-02T09:55:00+00:00"
    (later,) = zammad({**closed, "last_close_at": "2026-03-03T09:55:00Z"})
    assert later.event_id != first.event_id

    owned = {"owner_id": 5, "last_owner_update_at": "2026-03-02T09:20:00Z"}
    (one,), (same,) = zammad(owned), zammad({**owned, "updated_at": "2026-03-02T12:00:00Z", "title": "Other"})
    (other,) = zammad({"owner_id": 6, "last_owner_update_at": "2026-03-02T09:21:00Z"})
    assert (one.type, one.agent, one.event_id) == ("conversation.assigned", "5", same.event_id)
    assert other.event_id != one.event_id

    pending = {"state": "pending reminder", "pending_time": "2026-03-05T09:00:00Z"}
    (snoozed,), (still,) = zammad(pending), zammad({**pending, "updated_at": "2026-03-02T13:00:00Z"})
    assert (snoozed.type, snoozed.event_id) == ("conversation.snoozed", still.event_id)
    assert snoozed.promised_at == datetime(2026, 3, 5, 9, tzinfo=UTC)
    (mail,) = zammad({**pending, "create_article_type": "email"})
    assert (mail.channel, mail.type, mail.promised_at) == ("email", "conversation.snoozed", snoozed.promised_at)


def test_a_ticket_opened_again_is_reopened_at_the_customers_article() -> None:
    reopened = {"last_close_at": "2026-03-02T09:00:00Z"}
    _, by_article = zammad(reopened, {"created_at": "2026-03-02T09:59:58Z"})
    (by_hand,) = zammad(reopened)
    assert (by_article.type, by_article.occurred_at.isoformat()) == (
        "conversation.reopened",
        "2026-03-02T09:59:58+00:00",
    )
    assert by_hand.event_id == by_article.event_id
    assert [event.type for event in zammad({**reopened, "updated_at": "2026-03-02T08:00:00Z"})] == ["unknown"]


def test_a_mail_meets_what_the_mail_providers_tell_about_it() -> None:
    sent = {"type": "email", "sender": "Agent", "to": "Ada <Ada@example.org>", "message_id": "2@acme.example"}
    (ours,) = zammad(article=sent)
    report = {"email": "ada@example.org", "event": "open", "timestamp": 1772443000, "smtp-id": "<2@acme.example>"}
    (opened,) = sendgrid_events(report, OPTIONS)
    assert (ours.message_ref, ours.primary.key) == (opened.message_ref, opened.primary.key)
    assert (meaning(ours).item, meaning(opened).item) == ("sent", "opened")
    answer = {"type": "email", "from": "ada@example.org", "message_id": "<3@x>", "in_reply_to": "<2@acme.example>"}
    (theirs,) = zammad(article=answer)
    assert theirs.answers_ref == ours.message_ref


def test_a_mail_to_several_is_one_event_for_each_and_not_for_us() -> None:
    sent = {"type": "email", "sender": "Agent", "to": "ada@example.org, bo@example.com", "message_id": "<2@x>"}
    events = zammad(article={**sent, "cc": "lead@acme.example, carl@example.net"})
    assert [event.primary.value for event in events] == ["ada@example.org", "bo@example.com"]
    assert len({event.event_id for event in events}) == 2
    for event in events:
        assert [point.value for point in event.contact_points if point.role is Role.CC] == ["carl@example.net"]


def test_who_writes_for_the_customer_is_not_the_customer() -> None:
    (event,) = zammad(article={"type": "email", "from": "Bo <bo@example.com>"})
    assert (event.primary.value, event.primary.assurance) == ("bo@example.com", Assurance.CLAIMED)
    assert {point.role for point in event.contact_points[1:]} == {Role.ON_BEHALF_OF}


def test_zammads_whatsapp_is_the_same_message_as_whatsapps_own() -> None:
    customer = {"id": 9, "mobile": "+46700000001"}
    (through,) = zammad({"customer": customer}, {"type": "whatsapp message", "message_id": "wamid.1"})
    message = {"from": "46700000001", "id": "wamid.1", "timestamp": 1772443000, "type": "text", "text": {"body": "x"}}
    change = {"field": "messages", "value": {"metadata": {"phone_number_id": "2"}, "messages": [message]}}
    hook = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    (direct,) = whatsapp_events(hook, OPTIONS)
    assert (through.message_ref, through.primary) == (direct.message_ref, direct.primary)


def test_two_installations_of_zammad_are_told_apart() -> None:
    payload = {"ticket": TICKET, "article": ARTICLE}
    (here,), (there,) = zammad_events(payload, OPTIONS), zammad_events(payload, replace(OPTIONS, account="other"))
    assert here.event_id != there.event_id
    assert here.message_ref != there.message_ref


def segment(event: str, properties: dict[str, Any], **more: Any) -> Event:
    call = {"type": "track", "event": event, "userId": "C-1001", "messageId": "k1", "timestamp": 1772443000, **more}
    (told,) = segment_events({**call, "properties": properties}, OPTIONS)
    return told


def test_sent_is_the_customers_word_and_received_is_ours() -> None:
    talk = {"conversation_id": "c-17", "message_body": "Hi", "agent_id": "7"}
    theirs = segment("Live Chat Message Sent", {**talk, "message_id": "m-1"})
    ours = segment("Live Chat Message Received", {**talk, "message_id": "m-2"})
    assert (theirs.type, theirs.direction, theirs.author) == ("message.received", Direction.INBOUND, Author.CUSTOMER)
    assert (ours.type, ours.direction, ours.author) == ("message.sent", Direction.OUTBOUND, Author.HUMAN)
    assert (meaning(theirs).clock, meaning(ours).clock) == ("start", "stop")
    assert theirs.conversation_ref == ours.conversation_ref


def test_a_call_sent_again_is_one_event() -> None:
    talk = {"conversation_id": "c-17", "message_id": "m-1"}
    ids = {segment("Live Chat Message Sent", talk, messageId=number).event_id for number in ("k1", "k2")}
    assert len(ids) == 1
    without = {segment("Live Chat Message Sent", {}, messageId=number).event_id for number in ("k1", "k2")}
    assert len(without) == 2


def test_a_mails_events_are_the_addresss_and_meet() -> None:
    mail = {"email_id": "18vz", "campaign_name": "Monthly newsletter"}
    traits = {"context": {"traits": {"email": "Ada@example.org"}}}
    names = ["Email Sent", "Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced"]
    events = [segment(name, mail, **traits) for name in names]
    assert {(event.channel, event.message_ref, event.primary.key, event.content_type) for event in events} == {
        ("email", "segment/acme/email/18vz", "email:ada@example.org", "news")
    }
    assert [meaning(event).item for event in events] == ["sent", "delivered", "opened", "clicked", "failed"]
    clicks = {segment("Email Link Clicked", {**mail, "link_url": url}, **traits).event_id for url in ("a", "b")}
    assert len(clicks) == 2


def test_a_form_is_claimed_and_our_own_systems_word_is_not() -> None:
    traits = {"traits": {"email": "ada@example.org"}, "messageId": "k", "timestamp": 1772443000}
    for who, assurance in (({"userId": "C-1"}, Assurance.ASSERTED), ({"anonymousId": "a-1"}, Assurance.CLAIMED)):
        (event,) = segment_events({"type": "identify", **who, **traits}, OPTIONS)
        assert {point.assurance for point in event.contact_points if point.kind == "email"} == {assurance}


def test_a_batch_gives_the_same_events_as_its_calls_and_one_bad_call_costs_itself() -> None:
    lines = [json.loads(line) for line in (SAMPLES / "chat/segment/calls.jsonl").read_text().splitlines()]
    calls = [call for line in lines for call in line.get("batch", [line])]
    payloads = list(SEGMENT.payloads(io.BytesIO(json.dumps({"batch": calls}).encode()), OPTIONS))
    assert [payload.content for payload in payloads] == calls
    good = []
    for payload in payloads:
        try:
            good += list(segment_events(payload.content, OPTIONS))
        except InvalidEvent:
            continue
    assert good == events_of(SAMPLES / "chat/segment/calls.jsonl")


def rows(text: str, **options: Any) -> list[Any]:
    found: list[Any] = []
    for payload in TRANSCRIPTS.payloads(io.BytesIO(text.encode()), OPTIONS):
        try:
            assert payload.error is None, payload.error
            found += TRANSCRIPTS.events(payload.content, replace(OPTIONS, **options))
        except InvalidEvent as error:
            found.append(str(error))
    return found


def test_a_row_is_the_same_event_as_the_line_that_says_the_same() -> None:
    (row,) = rows(
        "Chat ID,Message ID,Sent At,Sender,Customer Email,Message,Subject,Ticket,Page\n"
        "c-17,m-1,2026-03-02 09:14:05,visitor,Ada@example.org,Hi,billing,#4711,https://acme.example/\n"
    )
    line = {"conversation": "c-17", "id": "m-1", "at": "2026-03-02T09:14:05Z", "from": "customer", "text": "Hi"} | {
        "contact": "ada@example.org",
        "topic": "billing",
        "case": "4711",
        "page": "https://acme.example/",
    }
    assert [row] == list(transcript_events(line, OPTIONS))


def test_columns_of_any_name_can_be_said() -> None:
    text = "Gespräch;Wer;Wann;Kontakt;Inhalt\nc-17;agent;03.02.2026 09:14;ada@example.org;Hallo\n"
    columns = {"conversation": "Gespräch", "from": "Wer", "at": "Wann", "contact": "Kontakt", "text": "Inhalt"}
    (event,) = rows(text, columns=columns)
    assert (event.type, event.summary, event.primary.key) == ("message.sent", "Hallo", "email:ada@example.org")
    assert event.occurred_at.isoformat() == "2026-02-03T09:14:00+00:00"
    assert rows(text, columns={"weather": "Wann"})[0].startswith("columns.weather: not a field of this format")


def test_a_direction_says_who_wrote_and_the_name_beside_it_is_kept() -> None:
    inbound, outbound, bad = rows(
        "thread,date,direction,sender,phone,text\n"
        "t,2026-03-02 09:14,Inbound,Ada Example,+46700000001,Hi\n"
        "t,2026-03-02 09:15,Outbound,eve,+46700000001,Hello\n"
        "t,2026-03-02 09:16,round,eve,+46700000001,Hello\n"
    )
    assert (inbound.type, inbound.attributes["sender"]) == ("message.received", "Ada Example")
    assert (outbound.type, outbound.agent) == ("message.sent", "eve")
    assert inbound.primary.key == outbound.primary.key == "phone:+46700000001"
    assert bad == "direction: neither inbound nor outbound"


def chatwoot(event: str, **fields: Any) -> Event:
    conversation = {"id": 4, "contact_inbox": {"source_id": "abc"}}
    (found,) = chatwoot_events({"event": event, "account": {"id": 1}, **conversation, **fields}, OPTIONS)
    return found


def test_the_same_answer_to_a_survey_is_one_event_whenever_it_is_told() -> None:
    def answered(updated_at: float, rating: int, words: str) -> Event:
        answer = {"csat_survey_response": {"rating": rating, "feedback_message": words}}
        conversation = {"id": 4, "updated_at": updated_at, "contact_inbox": {"source_id": "abc"}}
        fields = {"id": 9, "message_type": "template", "content_attributes": {"submitted_values": answer}}
        return chatwoot("message_updated", **fields, conversation=conversation)

    first, again = answered(1772450000.5, 4, ""), answered(1772460000.5, 4, "")
    in_words, changed = answered(1772450010.5, 4, "Quick"), answered(1772450020.5, 2, "")
    assert first.event_id == again.event_id
    assert len({first.event_id, in_words.event_id, changed.event_id}) == 3


@pytest.mark.parametrize(
    ("last", "direction"),
    [
        ({"message_type": 0}, Direction.INBOUND),
        ({"message_type": 3}, Direction.INBOUND),
        ({"message_type": 1, "sender_type": "AgentBot"}, Direction.INBOUND),
        ({"message_type": 1, "sender_type": "User"}, Direction.OUTBOUND),
    ],
)
def test_a_greeting_of_a_bot_does_not_make_the_conversation_ours(last: dict[str, Any], direction: Direction) -> None:
    event = chatwoot("conversation_created", created_at=1772450000, messages=[{"account_id": 1, **last}])
    assert (event.type, event.direction) == ("conversation.started", direction)


def test_two_webhooks_on_one_change_are_one_event_though_written_one_after_the_other() -> None:
    at = {"updated_at": {"previous_value": None, "current_value": "2026-03-02T11:17:20.250Z"}}
    changed = [{"status": {"previous_value": "open", "current_value": "resolved"}}, at]
    fields = {"status": "resolved", "changed_attributes": changed}
    told = chatwoot("conversation_status_changed", updated_at=1772450240.25, **fields)
    assert told == chatwoot("conversation_updated", updated_at=1772450241.9, **fields)


def test_a_rules_webhook_about_a_new_conversation_is_the_accounts_own() -> None:
    fields = {"created_at": 1772450000, "messages": [{"account_id": 1, "message_type": 0}]}
    assert chatwoot("automation_event.conversation_created", **fields) == chatwoot("conversation_created", **fields)
    other = chatwoot("automation_event.message_created", updated_at=1772450001, **fields)
    assert (other.type, other.attributes["event"]) == ("unknown", "automation_event.message_created")


def test_a_message_of_attachments_alone_is_a_message() -> None:
    conversation = {"id": 4, "contact_inbox": {"source_id": "abc"}}
    files = [{"file_type": "image"}, {"file_type": "file"}]
    fields = {"id": 9, "message_type": "incoming", "content": None, "attachments": files, "created_at": 1772450000}
    event = chatwoot("message_created", **fields, conversation=conversation)
    assert (event.type, event.author, event.summary) == ("message.received", Author.CUSTOMER, None)
    assert (event.attributes["attachments"], event.attributes["attachment_types"]) == ("2", "image, file")
