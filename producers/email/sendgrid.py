"""SendGrid's event webhook: what became of a mail of ours, and what its reader did.

Fields: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event

message_ref must be the same for all reports on one mail and for the mail itself, and opens and clicks carry neither
Message-ID nor smtp-id. So it is, in this order:

1. the unique argument `message_ref`, when our system gave one (best: the Message-ID that it wrote);
2. what `sg_message_id` begins with, which is also the local part of a Message-ID that SendGrid made, and
   `producers.message_ids` reads such a Message-ID as that part in `rfc5322` too: sent mail and reports meet;
3. smtp-id, read as a Message-ID.

A mail that had a Message-ID of its own before it came to SendGrid meets its reports only by 1; smtp-id is then in the
attributes. The id of an event rests on that reference, type, address, time, and the attempt or the link:
`sg_event_id` differs when a webhook is delivered again, and is kept as source_event_id alone.

Content type and purpose come from the category. An unsubscription from a group without a known category counts for
news and offers; taking such a one back permits nothing, and is `unknown`.
"""

from collections.abc import Iterator
from typing import Any

from producers.email.webhooks import bounce_class_of, given_ref, report_event, statement_of
from producers.format import Format, Options
from producers.message_ids import message_id, sendgrid_stem
from producers.reading import Fields, attributes, case_refs, content_type_of, json_payloads, json_sample
from schemas.errors import InvalidEvent
from schemas.models import BounceClass, Event

VENDOR = "sendgrid"

_TYPES = {
    "processed": "message.queued",
    "delivered": "message.delivered",
    "deferred": "message.deferred",
    "bounce": "message.bounced",
    "blocked": "message.bounced",
    "dropped": "message.rejected",
    "open": "message.opened",
    "click": "link.clicked",
    "spamreport": "message.complained",
    "unsubscribe": "subscription.opted_out",
    "group_unsubscribe": "subscription.opted_out",
    "group_resubscribe": "subscription.opted_in",
}
_READ = {
    *("email", "event", "timestamp", "sg_event_id", "sg_message_id", "url", "sg_machine_open"),
    *("message_ref", "subject", "topic"),
}


def sendgrid_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one object of the webhook's batch. Raises InvalidEvent."""
    payload = Fields.of(content)
    event = payload.required("event")
    categories = payload.texts("category")
    content_type = content_type_of([*payload.texts("content_type"), *categories])
    type_ = _TYPES.get(event, "unknown")
    if event == "group_resubscribe" and content_type is None:
        type_ = "unknown"
    reference = _message_ref(payload)
    yield report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=payload.required("email"),
        reference=reference or _without_message(payload),
        discriminator=_discriminator(payload, event),
        occurred_at=payload.required_time("timestamp", options=options),
        source_event_id=payload.ref("sg_event_id"),
        message_ref=reference,
        case_refs=case_refs(payload),
        content_type=content_type,
        topic=payload.ref("topic"),
        machine=payload.flag("sg_machine_open") if type_ == "message.opened" else None,
        # "unsubscribe" is the global one, whatever the mail was about.
        statement=statement_of(type_, content_type, everything=event == "unsubscribe"),
        subject=payload.ref("subject"),
        url=payload.text("url"),
        bounce_class=_bounce_class(payload, event),
        attributes=attributes(
            {name.replace("-", "_"): value for name, value in payload.content.items() if name not in _READ},
            event=event if type_ == "unknown" else None,
        ),
    )


def _message_ref(payload: Fields) -> str | None:
    given = given_ref(payload, "message_ref")
    return given or sendgrid_stem(payload.ref("sg_message_id")) or message_id(payload.ref("smtp-id", "smtp_id"))


def _without_message(payload: Fields) -> str:
    """Somebody unsubscribed outside any mail: the event has no reference but its own."""
    event_id = payload.ref("sg_event_id")
    if event_id is None:
        raise InvalidEvent("sg_message_id: missing, and so are smtp-id and sg_event_id")
    return event_id


def _discriminator(payload: Fields, event: str) -> str | None:
    if event == "click":
        place = payload.within("url_offset").text("index") if isinstance(payload.value("url_offset"), dict) else None
        return f"{payload.text('url') or ''} {place or ''}"
    if event == "open":
        return f"{payload.text('ip') or ''} {payload.text('useragent') or ''}"
    return payload.text("attempt", "asm_group_id")


def _bounce_class(payload: Fields, event: str) -> BounceClass | None:
    if event == "blocked" or (event == "bounce" and payload.text("type") == "blocked"):
        return BounceClass.BLOCK
    if event != "bounce":
        return None
    return bounce_class_of(payload.text("status"), payload.text("reason")) or BounceClass.SOFT


def is_sendgrid(head: bytes) -> bool:
    """Whether a file begins with events of SendGrid's webhook."""
    return any(
        "event" in found
        and ("sg_event_id" in found or "sg_message_id" in found or {"email", "timestamp"} <= set(found))
        for found in json_sample(head)[:5]
    )


FORMAT = Format(
    name="sendgrid",
    channel="email",
    title="SendGrid's event webhook (JSON)",
    example="""\
[{"email": "ada@example.org", "timestamp": 1772442900, "event": "delivered", "category": ["invoices"],
  "sg_event_id": "ev-1", "sg_message_id": "m-1.filter", "response": "250 OK"}]
""",
    recognises=is_sendgrid,
    payloads=json_payloads,
    events=sendgrid_events,
)
