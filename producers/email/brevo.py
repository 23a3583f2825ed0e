"""Brevo's webhooks: transactional mail, marketing campaigns, and mail that Brevo receives for us (inbound parsing).

Fields: https://developers.brevo.com/docs/transactional-webhooks, https://developers.brevo.com/docs/marketing-webhooks,
https://developers.brevo.com/docs/inbound-parse-webhooks, and what django-anymail (BSD) saw in live tests.

| Brevo's word, in whatever case and with whatever joints | type |
|---|---|
| request, sent | message.queued |
| delivered; deferred | message.delivered; message.deferred |
| soft bounce(d), hard bounce(d), invalid (email) | message.bounced: soft, hard, hard; a block when the reason has 5.7 |
| blocked; error | message.rejected; message.failed |
| opened, unique opened; proxy open, unique proxy open | message.opened; by a machine |
| click(ed) | link.clicked |
| spam, complaint | message.complained |
| unsubscribe(d) | subscription.opted_out |
| list addition, contact updated, contact deleted, and any other | unknown: nobody says whose doing it was |

- message_ref: `message_ref` in X-Mailin-custom (a JSON object), else message-id. Reports on a campaign name no mail:
  they share `brevo/<account>/campaign/<camp_id>`, which is one mail for each contact point;
- occurred_at: ts_epoch, else ts_event, which are UTC; `ts` and the dates, in the account's timezone, come last;
- `id` is the webhook's, not the event's: two webhooks that tell of one opening tell of one event. The first opening
  may be told twice, as `opened` and as `unique_opened`; that is one event too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.email.webhooks import (
    bounce_class_of,
    given_ref,
    received_mail,
    report_event,
    statement_of,
)
from producers.format import Format, Options, Payload
from producers.machines import is_machine
from producers.message_ids import message_id
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    cut_payloads,
    json_payloads,
    json_sample,
    object_in,
    parse_json,
    purpose_of,
    source,
)
from schemas.errors import InvalidEvent
from schemas.models import BounceClass, Event, Purpose

VENDOR = "brevo"

_TYPES = {
    **dict.fromkeys(("request", "sent"), "message.queued"),
    "delivered": "message.delivered",
    "deferred": "message.deferred",
    **dict.fromkeys(("soft_bounce", "soft_bounced", "hard_bounce", "hard_bounced"), "message.bounced"),
    **dict.fromkeys(("invalid", "invalid_email"), "message.bounced"),
    "blocked": "message.rejected",
    "error": "message.failed",
    **dict.fromkeys(("open", "opened", "unique_opened", "proxy_open", "unique_proxy_open"), "message.opened"),
    **dict.fromkeys(("click", "clicked"), "link.clicked"),
    **dict.fromkeys(("spam", "complaint"), "message.complained"),
    **dict.fromkeys(("unsubscribe", "unsubscribed"), "subscription.opted_out"),
}
_TIMES = ("ts_epoch", "ts_event", "s_epoch", "ts", "date_event", "date")
_READ = {*_TIMES, "email", "event", "message-id", "link", "URL", "subject", "tag", "id"}
_OF_REPORTS = {"ts_epoch", "ts_event", "s_epoch", "message-id", "camp_id", "X-Mailin-custom", "key"}
_OF_MAILS = {"Uuid", "MessageId", "RawTextBody", "RawHtmlBody", "ExtractedMarkdownMessage"}
_NOTED_OF_MAILS = {"spam_score": "SpamScore", "uuid": "Uuid"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_JOINTS = re.compile(r"[\s_-]+")


def brevo_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one report, or those of the mails in `items`. Raises InvalidEvent."""
    payload = Fields.of(content)
    if not payload.has("items"):
        yield _report(payload, options)
        return
    mails = payload.each("items")
    if not mails:
        raise InvalidEvent("items: empty")
    for mail in mails:
        yield from _received(mail, options)


def _report(payload: Fields, options: Options) -> Event:
    given = payload.required("event")
    word = _JOINTS.sub("_", _CAMEL.sub("_", given[:100])).lower()
    type_ = _TYPES.get(word, "unknown")
    own = object_in(payload, "X-Mailin-custom", "X-Mailin-Custom")
    campaign, name = payload.ref("camp_id"), payload.text("campaign name", "campaign_name")
    tags = _tags(payload)
    content_type = content_type_of([*own.texts("content_type"), *tags, *([name] if name else [])])
    reference = given_ref(own, "message_ref") or message_id(payload.ref("message-id", "messageId"))
    if reference is None and campaign is not None:
        reference = f"{source(VENDOR, options)}/campaign/{campaign}"
    subject = payload.text("subject")
    return report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=payload.required("email"),
        # What is about no mail is told apart by who, what and when, within the account.
        reference=reference or source(VENDOR, options),
        discriminator=_discriminator(payload, type_, word),
        occurred_at=payload.required_time(*_TIMES, options=options),
        message_ref=reference,
        case_refs=case_refs(own),
        content_type=content_type,
        purpose=purpose_of(content_type) or (Purpose.MARKETING if campaign else None),
        topic=own.ref("topic"),
        machine=is_machine(payload.text("user_agent"), said="proxy" in word or None),
        statement=statement_of(type_, content_type),
        subject=subject,
        summary=subject or name,
        url=payload.text("link", "URL") if type_ == "link.clicked" else None,
        bounce_class=_bounce_class(payload, word) if type_ == "message.bounced" else None,
        attributes=attributes(
            {_JOINTS.sub("_", label): value for label, value in payload.content.items() if label not in _READ},
            event=given,
            tags=tags,
            webhook_id=payload.value("id"),
        ),
    )


def _tags(payload: Fields) -> list[str]:
    """`tags`; else `tag`, which may be one tag, a list, or a list written as JSON."""
    found = payload.texts("tags") or payload.texts("tag")
    if len(found) == 1 and found[0].startswith("["):
        listed, _ = parse_json(found[0].encode())
        if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed):
            return listed
    return found


def _discriminator(payload: Fields, type_: str, word: str) -> str | None:
    by = f"{payload.text('ip') or ''} {payload.text('user_agent') or ''}"
    if type_ == "link.clicked":
        return f"{payload.text('link', 'URL') or ''} {by}"
    if type_ == "message.opened":
        return by.strip() or None
    return f"{word} {', '.join(payload.texts('list_id'))}" if type_ == "unknown" else None


def _bounce_class(payload: Fields, word: str) -> BounceClass:
    if bounce_class_of(payload.text("reason")) is BounceClass.BLOCK:
        return BounceClass.BLOCK
    return BounceClass.SOFT if word.startswith("soft") else BounceClass.HARD


def _received(mail: Fields, options: Options) -> Iterator[Event]:
    headers = mail.within("Headers")
    fields = [(name, text) for name in headers.content if isinstance(name, str) for text in headers.texts(name)]
    told = {
        "From": _addresses(mail, "From"),
        "To": _addresses(mail, "To"),
        "Cc": _addresses(mail, "Cc"),
        "Reply-To": _addresses(mail, "ReplyTo"),
        "Subject": mail.text("Subject"),
        "Message-ID": mail.text("MessageId"),
        "In-Reply-To": mail.text("InReplyTo"),
        "Date": mail.text("SentAtDate"),
    }
    known = {name.lower() for name, _ in fields}
    fields += [(name, text) for name, text in told.items() if text and name.lower() not in known]
    return received_mail(
        fields,
        mail.text("ExtractedMarkdownMessage", "RawTextBody") or "",
        options,
        vendor=VENDOR,
        source_event_id=next(iter(mail.texts("Uuid")), None),
        noted=attributes(
            {label: mail.value(name) for label, name in _NOTED_OF_MAILS.items()},
            attachments=len(mail.each("Attachments")) or None,
        ),
    )


def _addresses(mail: Fields, name: str) -> str:
    return ", ".join(address for one in mail.each(name) if (address := one.text("Address")))


def _mails(content: Any) -> list[Any]:
    """A webhook of several mails as webhooks of one; nothing when it is of another shape."""
    if isinstance(content, Mapping) and isinstance(content.get("items"), list):
        return [{**content, "items": [item]} for item in content["items"]]
    return []


def brevo_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Reports, and mails one by one."""
    return cut_payloads(json_payloads(stream, options), _mails)


def is_brevo(head: bytes) -> bool:
    """Whether a file begins with one of Brevo's webhooks."""
    return any(_is_report(found) or _has_mails(found) for found in json_sample(head)[:5])


def _is_report(found: Mapping[str, Any]) -> bool:
    if not {"event", "email"} <= found.keys() or found.keys() & {"timestamp", "time", "sg_event_id", "sg_message_id"}:
        return False
    return bool(found.keys() & _OF_REPORTS)


def _has_mails(found: Mapping[str, Any]) -> bool:
    mails = found.get("items")
    return isinstance(mails, list) and any(isinstance(mail, dict) and mail.keys() & _OF_MAILS for mail in mails)


FORMAT = Format(
    name="brevo",
    channel="email",
    title="Brevo's webhooks: transactional, marketing, inbound parsing (JSON)",
    example="""\
{"event": "delivered", "email": "ada@example.org", "id": 71, "date": "2026-03-02 10:15:00", "ts": 1772442900,
 "ts_event": 1772442900, "ts_epoch": 1772442900000, "message-id": "<202603020915.1@smtp-relay.acme.example>",
 "subject": "Invoice 90013", "tags": ["invoices"]}
""",
    recognises=is_brevo,
    payloads=brevo_payloads,
    events=brevo_events,
)
