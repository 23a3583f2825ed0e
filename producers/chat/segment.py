"""Segment's calls: its Live Chat events, its Email events (on the e-mail channel), and who somebody is.

Fields: https://www.twilio.com/docs/segment/connections/spec/live-chat, …/spec/email, …/spec/track, …/spec/identify
(the text of segmentio/segment-docs is CC-BY-4.0). A call stands alone, or in the `batch` of a request.

| call | event |
|---|---|
| Live Chat Conversation Started; Ended | conversation.started; conversation.resolved |
| Live Chat Message Sent: the customer sends it | message.received |
| Live Chat Message Received: the customer receives it | message.sent |
| Email Sent; Delivered; Bounced | message.sent; message.delivered; message.bounced |
| Email Opened; Link Clicked | message.opened; link.clicked |
| Email Marked as Spam; Unsubscribed | message.complained; subscription.opted_out |
| identify | visitor.identified |
| any other event, page, screen, group, alias | unknown, on chat |

Mind the words: in this vocabulary *Sent* and *Received* are the customer's, not ours.

userId is the account that our own system gave, anonymousId the browser: asserted. Addresses in traits are our own
system's word about a userId, and asserted as well; without one somebody typed them into a form: claimed. An Email event
is the address's that it names, and the userId beside it is claimed, so that a bounce falls on the address.

Threads are `segment/<account>/<conversation_id>`, messages `segment/<account>/message/<message_id>`; an email_id that
is a Message-ID is written as one, else it is `segment/<account>/email/<email_id>`.

`messageId` is made where a call is made and is the same when the call is sent again; the id of an event rests on the
message's own id, and on `messageId` where there is none. The time is `timestamp`, which Segment corrects for the
sender's clock. A list's or a campaign's name tells the content type.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.email.webhooks import statement_of
from producers.fields import Fields
from producers.format import Format, Options, Payload
from producers.message_ids import message_id
from producers.reading import (
    attributes,
    case_refs,
    content_type_of,
    cut_payloads,
    event_of,
    json_payloads,
    json_sample,
    point,
    purpose_of,
    source,
)
from schemas.errors import InvalidEvent
from schemas.models import (
    Assurance,
    Author,
    BounceClass,
    ContactPoint,
    Direction,
    Event,
    Kind,
)

VENDOR = "segment"

_CHAT = {
    "live chat conversation started": ("conversation.started", Direction.INBOUND, None),
    "live chat conversation ended": ("conversation.resolved", Direction.OUTBOUND, None),
    "live chat message sent": ("message.received", Direction.INBOUND, Author.CUSTOMER),
    "live chat message received": ("message.sent", Direction.OUTBOUND, None),
}
_EMAIL = {
    "email sent": ("message.sent", Direction.OUTBOUND, None),
    "email delivered": ("message.delivered", Direction.REPORT, None),
    "email bounced": ("message.bounced", Direction.REPORT, None),
    "email opened": ("message.opened", Direction.INBOUND, Author.CUSTOMER),
    "email link clicked": ("link.clicked", Direction.INBOUND, Author.CUSTOMER),
    "email marked as spam": ("message.complained", Direction.INBOUND, Author.CUSTOMER),
    "unsubscribed": ("subscription.opted_out", Direction.INBOUND, Author.CUSTOMER),
    "email unsubscribed": ("subscription.opted_out", Direction.INBOUND, Author.CUSTOMER),
}
_CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_USER, _ANONYMOUS, _CALL = ("userId", "user_id"), ("anonymousId", "anonymous_id"), ("messageId", "message_id")
_TIMES = ("timestamp", "originalTimestamp", "original_timestamp", "sentAt", "sent_at", "receivedAt", "received_at")
_READ = frozenset(
    {"agent_id", "conversation_id", "message_id", "message_body", "email_id", "email_subject", "link_url", "email"}
)


def segment_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one call, or those of a batch. Raises InvalidEvent."""
    payload = Fields.of(content)
    if not payload.has("batch"):
        yield _call(payload, options)
        return
    calls = payload.each("batch")
    if not calls:
        raise InvalidEvent("batch: empty")
    for call in calls:
        yield _call(call, options)


def batched_calls(content: Any) -> list[Any]:
    """The calls of a batch; nothing when it is of another shape. Never raises."""
    batch = content.get("batch") if isinstance(content, Mapping) else None
    return list(batch) if isinstance(batch, list) else []


def _call(call: Fields, options: Options) -> Event:
    kind = (call.text("type", "action") or "").lower()
    if kind not in _CALLS:
        raise InvalidEvent(f"{call.where('type')}: not one of {', '.join(sorted(_CALLS))}")
    name = " ".join((call.text("event") or "").lower().split()) if kind == "track" else ""
    if name in _EMAIL:
        return _mail(call, name, options)
    return _chat(call, kind, name, options)


def _chat(call: Fields, kind: str, name: str, options: Options) -> Event:
    told = call.within("properties")
    scope = source(VENDOR, options)
    type_, direction, author = _CHAT.get(name, ("unknown", Direction.INBOUND, None))
    if kind == "identify":
        type_, author = "visitor.identified", Author.CUSTOMER
    conversation, message = told.ref("conversation_id"), told.ref("message_id")
    if type_ == "message.sent":
        author = Author.HUMAN if told.has("agent_id", "agent_username") else None
    is_message = type_ in ("message.received", "message.sent")
    own = message if is_message and message else None
    return event_of(
        "chat",
        options,
        type=type_,
        direction=direction,
        author=author,
        reference=f"{scope}/message/{own}" if own else f"{scope}/{conversation or 'call'}/{_own_id(call)}",
        system=scope,
        conversation_ref=f"{scope}/{conversation}" if conversation else None,
        message_ref=f"{scope}/message/{own}" if own else None,
        agent=told.ref("agent_id", "agent_username"),
        summary=told.text("message_body") if is_message else None,
        contact_points=_people(call, options),
        case_refs=case_refs(told),
        page_url=call.text("context.page.url", "properties.url"),
        **_common(call, kind, type_, options),
    )


def _mail(call: Fields, name: str, options: Options) -> Event:
    told = call.within("properties")
    type_, direction, author = _EMAIL[name]
    scope, number = source(VENDOR, options), told.ref("email_id")
    ref = None if number is None else (message_id(number) if "@" in number else f"{scope}/email/{number}")
    content_type = content_type_of([*told.texts("list_name"), *told.texts("campaign_name")])
    return event_of(
        "email",
        options,
        type=type_,
        direction=direction,
        author=author,
        reference=ref or f"{scope}/call/{_own_id(call)}",
        discriminator=told.text("link_url", "link_id", "list_id"),
        message_ref=ref,
        contact_points=_people(call, options, mailed=True),
        content_type=content_type,
        purpose=purpose_of(content_type),
        statement=statement_of(type_, content_type),
        subject=told.text("email_subject"),
        summary=told.text("email_subject"),
        url=told.text("link_url"),
        bounce_class=_bounce_class(told) if type_ == "message.bounced" else None,
        case_refs=case_refs(told),
        **_common(call, "track", type_, options),
    )


def _common(call: Fields, kind: str, type_: str, options: Options) -> dict[str, Any]:
    told = call.within("properties")
    context = call.within("context")
    noted = attributes(
        {name: value for name, value in told.content.items() if name not in _READ},
        {name: value for name, value in call.within("traits").content.items() if name not in ("email", "phone")},
        event=call.value("event", "name") if type_ == "unknown" else None,
        call=kind if type_ == "unknown" else None,
        ip=context.value("ip"),
        user_agent=context.value("userAgent", "user_agent"),
        integration=context.value("integration.name"),
    )
    return {
        "vendor": VENDOR,
        "source_event_id": call.ref(*_CALL),
        "occurred_at": call.time(*_TIMES, options=options),
        "attributes": noted,
    }


def _people(call: Fields, options: Options, *, mailed: bool = False) -> list[ContactPoint]:
    found: list[ContactPoint] = []
    user, browser = call.ref(*_USER), call.ref(*_ANONYMOUS)
    address = call.ref("properties.email", "context.traits.email") if mailed else None
    if address is not None:
        found.append(point(Kind.EMAIL, address, options))
    beside = Assurance.ASSERTED if address is None else Assurance.CLAIMED
    if user is not None:
        found.append(point(Kind.ACCOUNT, user, options, assurance=beside))
    if browser is not None:
        found.append(point(Kind.VISITOR, browser, options, assurance=beside))
    typed = Assurance.CLAIMED if user is None or address is not None else Assurance.ASSERTED
    for traits in (call.within("traits"), call.within("context.traits")):
        for kind, name in ((Kind.EMAIL, "email"), (Kind.PHONE, "phone")):
            if traits.has(name):
                found.append(point(kind, traits.required(name), options, assurance=typed))
    if not found:
        raise InvalidEvent(f"{call.where('userId')}: missing, and so are anonymousId and an address")
    return found


def _own_id(call: Fields) -> str:
    own = call.ref(*_CALL)
    if own is None:
        raise InvalidEvent(f"{call.where('messageId')}: missing, and the message has no id of its own")
    return own


def _bounce_class(told: Fields) -> BounceClass | None:
    said = (told.text("bounce_class", "bounce_type", "type") or "").lower()
    return next((known for known in BounceClass if known in said), None)


def segment_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Calls, those of a batch each alone."""
    return cut_payloads(json_payloads(stream, options), batched_calls)


def is_segment(head: bytes) -> bool:
    """Whether a file begins with Segment's calls."""
    calls = [call for found in json_sample(head)[:5] for call in (batched_calls(found) or [found])]
    return any(
        isinstance(call, dict)
        and (call.get("type") or call.get("action")) in list(_CALLS)
        and any(isinstance(call.get(name), str) for name in (*_USER, *_ANONYMOUS))
        for call in calls
    )


FORMAT = Format(
    name="segment",
    channel="chat",
    title="Segment's Live Chat and Email events (JSON)",
    example="""\
{"type": "track", "event": "Live Chat Message Sent", "userId": "C-1001", "messageId": "call-1",
 "timestamp": "2026-03-02T09:14:05.000Z",
 "properties": {"conversation_id": "c-17", "message_id": "m-1", "message_body": "Where is my invoice?"}}
""",
    recognises=is_segment,
    payloads=segment_payloads,
    events=segment_events,
)
