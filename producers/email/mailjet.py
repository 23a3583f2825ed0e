"""Mailjet's event webhook: one event a request, or an array of them when events are grouped.

Fields: https://dev.mailjet.com/email/guides/webhooks/ (source: github.com/mailjet/api-documentation,
guides/_event-api.md), and what django-anymail (BSD) saw of them.

| event | type |
|---|---|
| sent: the receiving side has taken it | message.delivered |
| bounce | message.bounced |
| bounce, `greylisted`: it is tried again | message.deferred |
| bounce, related to `mailjet`, which did not try | message.rejected |
| blocked: never tried | message.rejected |
| open, click | message.opened, link.clicked |
| spam, unsub | message.complained, subscription.opted_out |

A bounce is a block when its error is related to spam or says relay/access denied, soft when the mailbox is full, else
hard or soft as `hard_bounce` says, else by its error.

message_ref: `message_ref` in Payload (a JSON object that was sent along), else MessageID, which is what the sending
API answers; where Mailjet names neither, Message_GUID. CustomID need not be one mail's, and is in the attributes.
An unsubscription by a scanner is none: it is `unknown`.
"""

from collections.abc import Iterator
from typing import Any

from producers.email.webhooks import given_ref, report_event, statement_of
from producers.format import Format, Options
from producers.machines import is_machine
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    json_payloads,
    json_sample,
    object_in,
    source,
)
from schemas.models import BounceClass, Event

VENDOR = "mailjet"

_TYPES = {
    "sent": "message.delivered",
    "open": "message.opened",
    "click": "link.clicked",
    "bounce": "message.bounced",
    "blocked": "message.rejected",
    "spam": "message.complained",
    "unsub": "subscription.opted_out",
}
_BLOCKS = {"relay/access denied", "sender blocked", "content blocked", "policy issue"}
_SOFT = {"quota exceeded"}
_HARD = {"user unknown", "mailbox inactive", "invalid domain", "no mail host", "typofix"}
_READ = {"event", "email", "time", "MessageID", "url"}
_OURS = {"MessageID", "Message_GUID", "mj_message_id", "mj_campaign_id", "mj_contact_id"}


def mailjet_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one object. Raises InvalidEvent."""
    payload = Fields.of(content)
    event = payload.required("event")
    machine = is_machine(payload.text("agent"))
    type_ = _type(payload, event, machine=machine)
    own = object_in(payload, "Payload")
    content_type = content_type_of([*own.texts("content_type"), *payload.texts("customcampaign")])
    reference = given_ref(own, "message_ref") or _number(payload, "MessageID", "mj_message_id")
    reference = reference or payload.ref("Message_GUID")
    yield report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=payload.required("email"),
        # What is about no mail is told apart by who, what and when, within the account.
        reference=reference or source(VENDOR, options),
        discriminator=_discriminator(payload, event),
        occurred_at=payload.required_time("time", options=options),
        message_ref=reference,
        case_refs=case_refs(own),
        content_type=content_type,
        topic=own.ref("topic"),
        machine=machine,
        statement=statement_of(type_, content_type),
        url=payload.text("url") if type_ == "link.clicked" else None,
        bounce_class=_bounce_class(payload) if type_ == "message.bounced" else None,
        attributes=attributes(
            {name: value for name, value in payload.content.items() if name not in _READ},
            event=event if type_ == "unknown" else None,
            message_id=_number(payload, "MessageID"),
        ),
    )


def _type(payload: Fields, event: str, *, machine: bool | None) -> str:
    if event == "bounce":
        if _error(payload) == "greylisted" and not payload.flag("hard_bounce"):
            return "message.deferred"
        if payload.text("error_related_to") == "mailjet":
            return "message.rejected"
    # Software that looks at every link of a mail asks for nothing.
    return "unknown" if event == "unsub" and machine else _TYPES.get(event, "unknown")


def _error(payload: Fields) -> str:
    return (payload.text("error") or "").lower()


def _number(payload: Fields, *names: str) -> str | None:
    """A message's number; 0 is written where there is none."""
    found = payload.ref(*names)
    return None if found == "0" else found


def _discriminator(payload: Fields, event: str) -> str | None:
    if event in ("open", "click"):
        return " ".join(payload.text(name) or "" for name in ("url", "ip", "agent"))
    return payload.text("mj_list_id") if event == "unsub" else None


def _bounce_class(payload: Fields) -> BounceClass:
    error, hard = _error(payload), payload.flag("hard_bounce")
    if error in _BLOCKS or payload.text("error_related_to") == "spam":
        return BounceClass.BLOCK
    if error in _SOFT:
        return BounceClass.SOFT
    return BounceClass.HARD if hard or (hard is None and error in _HARD) else BounceClass.SOFT


def is_mailjet(head: bytes) -> bool:
    """Whether a file begins with events of Mailjet's webhook."""
    return any({"event", "time"} <= found.keys() and found.keys() & _OURS for found in json_sample(head)[:5])


FORMAT = Format(
    name="mailjet",
    channel="email",
    title="Mailjet's event webhook, single or grouped (JSON)",
    example="""\
[{"event": "sent", "time": 1772442900, "MessageID": 19421777835146490, "email": "ada@example.org",
  "mj_campaign_id": 7257, "mj_contact_id": 4, "customcampaign": "invoices", "CustomID": "", "Payload": "",
  "smtp_reply": "sent (250 2.0.0 OK)"}]
""",
    recognises=is_mailjet,
    payloads=json_payloads,
    events=mailjet_events,
)
