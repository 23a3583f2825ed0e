"""Resend's webhooks: mail of ours, mail that it receives for us, and the contacts of its broadcasts.

Fields: https://resend.com/docs/webhooks/event-types, the types in github.com/resend/resend-node
(src/webhooks/interfaces), and what django-anymail (BSD) saw of them.

| type | type here |
|---|---|
| email.sent, email.scheduled: Resend has taken it, and will try | message.queued |
| email.delivered, email.delivery_delayed | message.delivered, message.deferred |
| email.bounced; when Resend did not try, as the address is suppressed | message.bounced; message.rejected |
| email.suppressed; email.failed | message.rejected; message.failed |
| email.opened, email.clicked, email.complained | message.opened, link.clicked, message.complained |
| email.received | as in `rfc5322`, from the few header fields that Resend tells |
| contact.created, contact.updated with `unsubscribed` | subscription.opted_out; whose act it was is not told |
| other contact.*, suppression.* | unknown: being on a list again, or not, permits nothing |
| domain.*, inbox.*, any other | unknown; of nobody in particular: `anonymous:resend:<id>` |

A mail to several people gives a report for each of them, and all name all of them. Who opened or bounced is then not
known: such a report is `unknown`, and the people are `mentioned`. What was queued or failed was so for all, and a
complaint is taken to be everybody's, with the assurance `inferred`.

message_ref: the tag `message_ref`, else message_id (the header's Message-ID), else email_id. Bounces follow the
words of Amazon SES, on which Resend sends: Permanent is hard, Transient and a full mailbox soft, refused content a
block, and so is whatever the receiving side explains with 5.7.
"""

from collections.abc import Iterator
from typing import Any

from producers.email.webhooks import (
    bounce_class_of,
    given_ref,
    received_mail,
    report_event,
    statement_of,
)
from producers.format import Format, Options
from producers.machines import is_machine
from producers.message_ids import message_id
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    event_of,
    json_payloads,
    json_sample,
    object_in,
    point,
    purpose_of,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, BounceClass, Direction, Event, Kind, Purpose, Role

VENDOR = "resend"
MOST_RECIPIENTS = 50
"""Of one mail, by Resend's own limit."""

_TYPES = {
    **dict.fromkeys(("email.sent", "email.scheduled"), "message.queued"),
    "email.delivered": "message.delivered",
    "email.delivery_delayed": "message.deferred",
    "email.bounced": "message.bounced",
    "email.suppressed": "message.rejected",
    "email.failed": "message.failed",
    "email.opened": "message.opened",
    "email.clicked": "link.clicked",
    "email.complained": "message.complained",
}
_OF_ALL = {"message.queued", "message.failed", "message.complained"}
_PREFIXES = ("email.", "contact.", "suppression.", "domain.", "inbox.")
_READ = {"to", "subject", "message_id", "created_at", "click", "open", "bounce", "tags", "email"}
_TAGS_READ = ("content_type", "category", "campaign", "list")
_SUBTYPES = {
    **dict.fromkeys(("contentrejected", "attachmentrejected"), BounceClass.BLOCK),
    **dict.fromkeys(("mailboxfull", "messagetoolarge"), BounceClass.SOFT),
    "noemail": BounceClass.HARD,
}


def resend_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one webhook. Raises InvalidEvent."""
    payload = Fields.of(content)
    word, data = payload.required("type"), payload.within("data")
    if word == "email.received":
        yield from _received(data, options)
    elif word.startswith("email."):
        yield from _reports(payload, data, word, options)
    elif word.startswith(("contact.", "suppression.")):
        yield _contact(payload, data, word, options)
    else:
        yield _nobodys(payload, data, word, options)


def _reports(payload: Fields, data: Fields, word: str, options: Options) -> Iterator[Event]:
    recipients = [*data.texts("to"), *data.texts("cc"), *data.texts("bcc")]
    if not recipients:
        raise InvalidEvent(f"{data.where('to')}: missing")
    if len(recipients) > MOST_RECIPIENTS:
        raise InvalidEvent(f"{data.where('to')}: more than {MOST_RECIPIENTS} recipients")
    facts = _facts(payload, data, word, options)
    if len(recipients) > 1 and facts["type"] not in _OF_ALL:
        yield _unattributed(recipients, facts, options)
        return
    # As with Amazon SES, a complaint is held to be everybody's, sooner than nobody's.
    sure = len(recipients) == 1 or facts["type"] != "message.complained"
    for recipient in recipients:
        assurance = Assurance.ASSERTED if sure else Assurance.INFERRED
        yield report_event(options, recipient=recipient, assurance=assurance, **facts)


def _facts(payload: Fields, data: Fields, word: str, options: Options) -> dict[str, Any]:
    tags = _tags(data)
    click, bounce = object_in(data, "click"), object_in(data, "bounce")
    act = object_in(data, "click", "open")
    content_type = content_type_of(tags.texts(*_TAGS_READ))
    reference = given_ref(tags, "message_ref") or message_id(data.ref("message_id")) or data.ref("email_id")
    if reference is None:
        raise InvalidEvent(f"{data.where('message_id')}: missing, and so is email_id")
    suppressed = word == "email.bounced" and _is_suppressed(bounce)
    type_ = "message.rejected" if suppressed else _TYPES.get(word, "unknown")
    at = act.time("timestamp", options=options) or payload.required_time("created_at", options=options)
    return {
        "vendor": VENDOR,
        "type": type_,
        "reference": reference,
        "discriminator": _discriminator(click, act, type_, word),
        "occurred_at": at,
        "message_ref": reference,
        "case_refs": case_refs(tags),
        "content_type": content_type,
        "purpose": purpose_of(content_type) or (Purpose.MARKETING if data.has("broadcast_id") else None),
        "topic": tags.ref("topic"),
        "machine": is_machine(act.text("userAgent")),
        "subject": data.text("subject"),
        "url": click.text("link") if type_ == "link.clicked" else None,
        "bounce_class": _bounce_class(bounce) if type_ == "message.bounced" else None,
        "attributes": attributes(
            {name: value for name, value in data.content.items() if name not in _READ},
            event=word,
            tags=tags.content or None,
            ip=act.value("ipAddress"),
            user_agent=act.value("userAgent"),
            bounce_type=bounce.value("type"),
            bounce_subtype=bounce.value("subType"),
            reason=bounce.value("diagnosticCode", "message"),
        ),
    }


def _unattributed(recipients: list[str], facts: dict[str, Any], options: Options) -> Event:
    left_out = ("type", "machine", "url", "bounce_class")
    told = {name: value for name, value in facts.items() if name not in left_out}
    told["attributes"] |= {"recipient": "one of several, not told which"}
    told["discriminator"] = f"{facts['type']} {facts['discriminator'] or ''}"
    told["summary"] = told["subject"]
    return event_of(
        "email",
        options,
        type="unknown",
        direction=Direction.REPORT,
        contact_points=[point(Kind.EMAIL, one, options, role=Role.MENTIONED) for one in recipients],
        **told,
    )


def _tags(data: Fields) -> Fields:
    """Tags as an object, `{"category": "invoices"}`, or as the list of names and values that was sent."""
    given = data.value("tags")
    if isinstance(given, list):
        pairs = ((tag.text("name"), tag.value("value")) for tag in data.each("tags"))
        given = {name: value for name, value in pairs if name}
    return Fields.of(given or {}, data.where("tags"))


def _discriminator(click: Fields, act: Fields, type_: str, word: str) -> str | None:
    if type_ in ("link.clicked", "message.opened"):
        return " ".join((click.text("link") or "", act.text("ipAddress") or "", act.text("userAgent") or ""))
    return word if type_ == "unknown" else None


def _is_suppressed(bounce: Fields) -> bool:
    said = bounce.text("subType") or ""
    # Before it told types, Resend said so in words alone.
    told = (bounce.text("message") or "") if not bounce.has("type") else ""
    return "suppress" in said.lower() or "suppressed sending" in told


def _bounce_class(bounce: Fields) -> BounceClass:
    subtype = _SUBTYPES.get((bounce.text("subType") or "").replace(" ", "").lower())
    if subtype is not None:
        return subtype
    kind, message = (bounce.text("type") or "").lower(), bounce.text("message")
    said = bounce_class_of(*bounce.texts("diagnosticCode"), message)
    if kind in ("transient", "soft"):
        return BounceClass.BLOCK if said is BounceClass.BLOCK else BounceClass.SOFT
    if kind in ("permanent", "hard"):
        return BounceClass.BLOCK if said is BounceClass.BLOCK else BounceClass.HARD
    return said or (BounceClass.HARD if "hard bounce" in (message or "") else BounceClass.SOFT)


def _received(data: Fields, options: Options) -> Iterator[Event]:
    told = {
        "From": data.text("from"),
        "To": ", ".join(data.texts("to", "received_for")),
        "Cc": ", ".join(data.texts("cc")),
        "Subject": data.text("subject"),
        "Message-ID": data.text("message_id"),
        "Date": data.text("created_at"),
    }
    return received_mail(
        [(name, text) for name, text in told.items() if text],
        "",
        options,
        vendor=VENDOR,
        source_event_id=data.ref("email_id"),
        noted=attributes(attachments=len(data.each("attachments")) or None, email_id=data.value("email_id")),
    )


def _contact(payload: Fields, data: Fields, word: str, options: Options) -> Event:
    left = word in ("contact.created", "contact.updated") and data.flag("unsubscribed") is True
    type_ = "subscription.opted_out" if left else "unknown"
    return report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=data.required("email"),
        reference=data.required("id"),
        discriminator=word,
        occurred_at=payload.required_time("created_at", options=options),
        direction=Direction.REPORT,
        author=None,
        statement=statement_of(type_, None),
        attributes=attributes({name: value for name, value in data.content.items() if name not in _READ}, event=word),
    )


def _nobodys(payload: Fields, data: Fields, word: str, options: Options) -> Event:
    reference = data.ref("id", "email_id", "draft_id", "thread_id", "inbox_id") or word
    return event_of(
        "email",
        options,
        vendor=VENDOR,
        type="unknown",
        reference=reference,
        discriminator=word,
        occurred_at=payload.required_time("created_at", options=options),
        direction=Direction.REPORT,
        contact_points=[point(Kind.ANONYMOUS, f"{VENDOR}:{reference}"[:500], options)],
        attributes=attributes(data.content, event=word),
    )


def is_resend(head: bytes) -> bool:
    """Whether a file begins with one of Resend's webhooks."""
    return any(
        isinstance(word := found.get("type"), str)
        and word.startswith(_PREFIXES)
        and "created_at" in found
        and isinstance(found.get("data"), dict)
        for found in json_sample(head)[:5]
    )


FORMAT = Format(
    name="resend",
    channel="email",
    title="Resend's webhooks: sent and received mail, contacts (JSON)",
    example="""\
{"type": "email.delivered", "created_at": "2026-03-02T09:15:00.126Z",
 "data": {"email_id": "56761188-7520-42d8-8898-000000000001", "message_id": "<m1@acme.example>",
  "created_at": "2026-03-02T09:14:59.894Z", "from": "Acme <news@acme.example>", "to": ["ada@example.org"],
  "subject": "Invoice 90013", "tags": {"category": "invoices"}}}
""",
    recognises=is_resend,
    payloads=json_payloads,
    events=resend_events,
)
