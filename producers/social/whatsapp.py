"""WhatsApp's webhooks (Cloud API): messages, what became of ours, and choices about marketing.

Fields: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference and the fixtures
in david-lev/pywa (MIT), tests/data/updates. A webhook holds several entries, an entry changes, a change several
items; `webhook_items` cuts it so that every payload is a webhook with one item, which can be read again as it stands.

| item | event |
|---|---|
| message of any type; one that the API cannot show (`unsupported`) | dm.received |
| reaction with, without emoji | reaction.added, reaction.removed, about the message that it is on |
| edit, revoke | message.edited, message.deleted, about the original |
| system: user_changed_number, user_changed_user_id | identity: see below |
| system: customer_identity_changed; request_welcome; call_permission_reply | unknown |
| message_echoes: written in the WhatsApp Business app | dm.sent, by a person of ours |
| status: sent; delivered; read, played | dm.sent; dm.delivered; dm.read |
| status: failed | dm.failed for a code that is about the customer (131026), else message.failed |
| failed with 131050; user_preferences: stop, resume marketing | preference.stated, for news and for offers |

The customer is `social:whatsapp:wa_id:<wa_id>`, attested: WhatsApp signs what it says; without a number (a username)
`social:whatsapp:<account>:<user id>`, scoped to the business. The phone number is asserted beside it, and second: that
somebody is not on WhatsApp says nothing about their telephone. Profile names are kept, and join nobody.

A changed number is link.asserted of the old and the new WhatsApp account, and contact_point.ended for the old account
and the old number, which the network may give to somebody else; a changed user id only the first.

message_ref is `whatsapp/<wamid>`, the thread `whatsapp/<phone number id>/<customer or group>`. A template's category
is its content type and purpose: marketing is offers, utility and authentication are service and transactional.
`biz_opaque_callback_data` is our own: where it is a JSON object, its content_type, topic, case, order, … are read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.fields import Fields
from producers.format import Format, Options, Payload
from producers.reading import cut_payloads, json_payloads, json_sample
from producers.social.whatsapp_messages import echo_events, message_events
from producers.social.whatsapp_statuses import preference_events, status_events
from schemas.errors import InvalidEvent
from schemas.models import Event

OBJECT = "whatsapp_business_account"
_READERS = {
    "messages": message_events,
    "message_echoes": echo_events,
    "statuses": status_events,
    "user_preferences": preference_events,
}


def webhook_items(content: Any) -> list[Any]:
    """A webhook as webhooks of one item each; nothing when it is of another shape. Never raises."""
    if not isinstance(content, Mapping) or not isinstance(content.get("entry"), list):
        return []
    found: list[Any] = []
    for entry in content["entry"]:
        changes = entry.get("changes") if isinstance(entry, Mapping) else None
        if not isinstance(changes, list) or not changes:
            found.append({**content, "entry": [entry]})
            continue
        for change in changes:
            parts = [{**change, "value": value} for value in _values(change)] or [change]
            found += [{**content, "entry": [{**entry, "changes": [part]}]} for part in parts]
    return found


def whatsapp_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of a webhook, whole or cut. Raises InvalidEvent."""
    payload = Fields.of(content)
    if payload.required("object") != OBJECT:
        raise InvalidEvent(f"object: not {OBJECT}")
    entries = payload.each("entry")
    if not entries:
        raise InvalidEvent("entry: missing")
    for entry in entries:
        changes = entry.each("changes")
        if not changes:
            raise InvalidEvent(f"{entry.where('changes')}: missing")
        for change in changes:
            yield from _change(change, entry.required("id"), options)


def _values(change: Any) -> list[dict[str, Any]]:
    """The value of a change as values of one item each, every one with what stands around the items."""
    value = change.get("value") if isinstance(change, Mapping) else None
    if not isinstance(value, Mapping):
        return []
    around = {name: part for name, part in value.items() if name not in _READERS}
    lists = {name: value[name] for name in _READERS if isinstance(value.get(name), list)}
    odd = {name: value[name] for name in _READERS if name in value and name not in lists}
    found: list[dict[str, Any]] = [{**around, name: [item]} for name, items in lists.items() for item in items]
    return [*found, {**around, **odd}] if odd else found


def _change(change: Fields, business: str, options: Options) -> Iterator[Event]:
    value = change.within("value")
    read = [name for name in _READERS if value.has(name)]
    if not read and value.has("errors"):
        raise InvalidEvent(f"{value.where('errors')}: about the account, not about a customer")
    for name in read:
        for item in value.each(name):
            yield from _READERS[name](item, value, business, options)
    if not any(value.each(name) for name in read):
        raise InvalidEvent(f"{change.where('value')}: no messages, message_echoes, statuses or user_preferences")


def whatsapp_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Webhooks, each cut into webhooks of one item."""
    return cut_payloads(json_payloads(stream, options), webhook_items)


def is_whatsapp(head: bytes) -> bool:
    """Whether a file begins with WhatsApp's webhooks."""
    return any(found.get("object") == OBJECT and "entry" in found for found in json_sample(head)[:5])


FORMAT = Format(
    name="whatsapp",
    channel="social",
    title="WhatsApp's webhooks (JSON)",
    example="""\
{"object": "whatsapp_business_account", "entry": [{"id": "100", "changes": [{"field": "messages", "value": {
 "messaging_product": "whatsapp", "metadata": {"display_phone_number": "46855501000", "phone_number_id": "200"},
 "contacts": [{"wa_id": "46700000001", "profile": {"name": "Ada"}}],
 "messages": [{"from": "46700000001", "id": "wamid.1", "timestamp": "1772443000", "type": "text",
  "text": {"body": "Where is my parcel?"}}]}}]}]}
""",
    recognises=is_whatsapp,
    payloads=whatsapp_payloads,
    events=whatsapp_events,
)
