"""Chatwoot's webhooks: messages, conversations, visitors.

Fields: app/listeners/webhook_listener.rb, Message#webhook_data and Conversations::EventDataPresenter in Chatwoot's MIT
licensed code, old and new versions; times as ISO text or seconds, message types as words or numbers.

- conversation_ref `chatwoot/<account>/<conversation>`, message_ref `chatwoot/<account>/message/<id>`; these are
  unique within one installation only, so the installation (`options.account`) is part of every event's id.
- Contact points: what the inbox knows the customer by (a visitor `chatwoot/<account>/<source_id>`, or the phone
  number, e-mail address or social account of an inbox of that sort) is asserted. E-mail, phone number and the
  identifier that our own site gave are claimed, unless the widget's HMAC was verified: then they are attested.
- A private note is of type `unknown` with the attribute `note`, without its text.
- Labels are the topic; custom attributes such as `case`, `order_id`, `invoice` are case references.
- A change of a message or of a conversation stands at the conversation's `updated_at`; a status change told by both
  conversation_status_changed and conversation_updated is one event.
- What the customer submitted, a survey's score or an address, stays with its message, and every later webhook about the
  message repeats it: the same answer is one event, whenever it is told.
- Webhooks of automation rules and macros hold a conversation. All but its beginning are `unknown`: the account's own
  webhooks tell the same, with the message, the change and its exact time.
- Opening the widget (webwidget_triggered) opens no conversation: it is `visitor.identified`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from producers.chat.chatwoot_contacts import account_of, contact_points
from producers.chat.chatwoot_conversations import (
    conversation_created,
    conversation_event,
    conversation_updated,
    status_changed,
)
from producers.chat.chatwoot_facts import VENDOR, changes, conversation_attributes, updated_at, word
from producers.chat.chatwoot_messages import message_created, message_updated
from producers.format import Format, Options
from producers.reading import Fields, attributes, event_of, json_payloads, json_sample, source
from schemas.errors import InvalidEvent
from schemas.models import Direction, Event

_EVENTS = ("message_", "conversation_", "contact_", "webwidget_", "inbox_", "automation_event.", "macro.")
_BY_RULE = ("automation_event.", "macro.")


def chatwoot_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one webhook. Raises InvalidEvent."""
    payload = Fields.of(content)
    yield from _READERS.get(payload.required("event"), _unknown)(payload, options)


def _contact(payload: Fields, options: Options) -> Iterator[Event]:
    """The contact stands at the top; only a change says when it was."""
    account, number = account_of(payload, options), payload.required("id")
    event = payload.required("event")
    changed = " ".join(sorted(f"{name}={word(after)}" for name, (_, after) in changes(payload).items()))
    yield event_of(
        "chat",
        options,
        vendor=VENDOR,
        type="visitor.identified",
        reference=f"chatwoot/{account}/contact/{number}",
        system=source(VENDOR, options),
        discriminator=f"{event} {changed}",
        source_event_id=number,
        occurred_at=updated_at(payload, options),
        direction=Direction.INBOUND,
        contact_points=contact_points(Fields({"contact": payload.content}), Fields({}), account, options),
        attributes=attributes(event=event, name=payload.value("name")),
    )


def _widget(payload: Fields, options: Options) -> Iterator[Event]:
    account, visitor = account_of(payload, options), payload.required("source_id")
    info = payload.within("event_info")
    inbox = Fields({"contact_inbox": {"source_id": visitor}})
    yield event_of(
        "chat",
        options,
        vendor=VENDOR,
        type="visitor.identified",
        reference=f"chatwoot/{account}/{visitor}",
        system=source(VENDOR, options),
        occurred_at=info.time("initiated_at.timestamp", options=options),
        source_event_id=payload.ref("id"),
        direction=Direction.INBOUND,
        contact_points=contact_points(payload, inbox, account, options),
        page_url=info.text("referer"),
        attributes=attributes(
            event=payload.value("event"),
            browser=info.value("browser.browser_name"),
            platform=info.value("browser.platform_name"),
            language=info.value("widget_language", "browser_language"),
        )
        | conversation_attributes(payload, payload.within("current_conversation")),
    )


def _unknown(payload: Fields, options: Options) -> Iterator[Event]:
    """Typing, and whatever newer versions send about a conversation: kept, and of no meaning to the views."""
    event = payload.required("event")
    conversation = payload if event.startswith(_BY_RULE) else payload.within("conversation")
    if not conversation.has("id"):
        raise InvalidEvent("event: not one that is about a message, a conversation or a contact")
    yield conversation_event(
        conversation,
        options,
        type="unknown",
        discriminator=event,
        noted=attributes(
            event=event, typing=payload.value("user.type", "user.id"), is_private=payload.value("is_private")
        ),
        occurred_at=updated_at(payload, options),
    )


_READERS: dict[str, Callable[[Fields, Options], Iterator[Event]]] = {
    "message_created": message_created,
    "message_updated": message_updated,
    "conversation_created": conversation_created,
    "automation_event.conversation_created": conversation_created,
    "conversation_status_changed": status_changed,
    "conversation_opened": status_changed,
    "conversation_resolved": status_changed,
    "conversation_updated": conversation_updated,
    "contact_created": _contact,
    "contact_updated": _contact,
    "webwidget_triggered": _widget,
}


def is_chatwoot(head: bytes) -> bool:
    """Whether a file begins with Chatwoot's webhooks."""
    return any(str(found.get("event", "")).startswith(_EVENTS) for found in json_sample(head)[:5])


FORMAT = Format(
    name="chatwoot",
    channel="chat",
    title="Chatwoot's webhooks (JSON)",
    example="""\
{"event": "message_created", "id": 9001, "content": "Where is my invoice?", "message_type": "incoming",
 "private": false, "created_at": "2026-03-02T09:14:05Z",
 "sender": {"id": 71, "email": "ada@example.org", "type": "contact"},
 "inbox": {"id": 3, "name": "Web"}, "account": {"id": 1, "name": "Acme"},
 "conversation": {"id": 412, "inbox_id": 3, "channel": "Channel::WebWidget", "status": "open",
  "contact_inbox": {"source_id": "c0ffee00-0000-4000-8000-000000000001", "hmac_verified": true}}}
""",
    recognises=is_chatwoot,
    payloads=json_payloads,
    events=chatwoot_events,
)
