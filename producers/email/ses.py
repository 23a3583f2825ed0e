"""Amazon SES: what became of a mail of ours, what its reader did, and the mail that SES takes in for us.

Fields: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html (`eventType`),
notification-contents.html (`notificationType`) and receiving-email-notifications-contents.html (`Received`) there;
fixtures of https://github.com/anymail/django-anymail (tests/test_amazon_ses_webhooks.py, test_amazon_ses_inbound.py).
Understood are the records as they are (raw delivery, Firehose), inside Amazon SNS's envelope, inside EventBridge's
`detail`, and Lambda's `Records` of the first. What SNS says about a subscription itself is no event: it is refused, and
says that its SubscribeURL wants to be visited.

An event for each recipient that the record names. Opens and clicks do not tell which of several recipients it was, nor
do complaints: each then has the assurance `inferred`.

message_ref is the tag `message_ref`, when our system gave one, else the Message-ID that SES writes in place of ours
(https://docs.aws.amazon.com/ses/latest/dg/header-fields.html), as `producers.message_ids` reads it: the header is
`<messageId@REGION.amazonses.com>`, in us-east-1 `<messageId@email.amazonses.com>`, and answers name it. The Message-ID
that we wrote is in the attributes. An event's id rests on messageId, type, recipient and time, and on link or reader:
the notification, its repetition and the event published for the same happening are one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from producers.email.ses_received import received_events
from producers.email.webhooks import (
    bounce_class_of,
    given_ref,
    header_pairs,
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
    snake,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, BounceClass, ContentType, Event

VENDOR = "ses"
MOST_RECIPIENTS = 1_000

# The vendor's word, the type, and the object that tells more.
_KINDS = {
    "Send": ("message.queued", "send"),
    "Reject": ("message.rejected", "reject"),
    "Delivery": ("message.delivered", "delivery"),
    "DeliveryDelay": ("message.deferred", "deliveryDelay"),
    "Bounce": ("message.bounced", "bounce"),
    "Complaint": ("message.complained", "complaint"),
    "Open": ("message.opened", "open"),
    "Click": ("link.clicked", "click"),
    "Rendering Failure": ("message.failed", "failure"),
    "Subscription": ("unknown", "subscription"),
}
_COMPLAINTS = {"not-spam": "message.complaint_withdrawn", "auth-failure": "unknown", "virus": "unknown"}
# SES took the mail and never sent it.
_SUPPRESSED = frozenset(
    {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient", "EmailValidationSuppressed"}
)
_REFUSED_CONTENT = frozenset({"ContentRejected", "AttachmentRejected"})
_BY_SOMEBODY = frozenset({"Complaint", "Open", "Click"})
_TOLD = ("bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients")
_READ = frozenset({*_TOLD, "timestamp", "link"})
_READ_TAGS = frozenset({"message_ref", "content_type", "topic"})
_TAG_HEADERS = frozenset({"x-tag", "x-category"})
_ENVELOPES = frozenset({"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """A record out of its envelope: `place` is an ARN or a region that tells where it comes from."""

    fields: Fields
    kind: str
    place: str | None
    delivery: str | None


def ses_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """JSON in all its forms; Lambda's `Records` are cut apart."""
    return cut_payloads(json_payloads(stream, options), _records)


def ses_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one record: one for each recipient. Raises InvalidEvent."""
    record = _opened(Fields.of(content))
    if record.kind == "Received":
        yield from received_events(record.fields, record.delivery, options)
        return
    given, mail = record.fields, record.fields.within("mail")
    type_, name = _KINDS.get(record.kind, ("unknown", ""))
    about = object_in(given, name) if name else Fields({})
    changes = _choices(about) if record.kind == "Subscription" else [(_type(record.kind, type_, about), None)]
    for recipient in _recipients(record.kind, mail, about):
        for changed, left in changes:
            yield _event(record, mail, about, recipient, changed, left, options)


def _event(
    record: _Record,
    mail: Fields,
    about: Fields,
    recipient: "_Recipient",
    type_: str,
    left: "_Choice | None",
    options: Options,
) -> Event:
    tags = object_in(mail, "tags")
    headers = header_pairs(mail, "headers", "name", "value")
    message = mail.required("messageId")
    content_type = content_type_of(
        [
            *tags.texts("content_type"),
            *tags.texts("category"),
            *(value for name, value in headers if name.lower() in _TAG_HEADERS),
            *tags.texts("ses:configuration-set"),
        ]
    )
    written = next((value for name, value in headers if name.lower() == "message-id"), None)
    bounced = type_ == "message.bounced"
    return report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=recipient.address,
        assurance=Assurance.ASSERTED if recipient.sure else Assurance.INFERRED,
        reference=message,
        discriminator=_discriminator(record.kind, about, left),
        occurred_at=_time(about, mail, options),
        source_event_id=record.delivery or about.ref("feedbackId"),
        message_ref=given_ref(_first(tags), "message_ref") or _sent_as(message, mail.ref("sourceArn") or record.place),
        case_refs=case_refs(tags),
        content_type=content_type,
        topic=next(iter(tags.texts("topic")), None),
        machine=is_machine(about.text("userAgent")) if record.kind in ("Open", "Click") else None,
        statement=statement_of(type_, left.content_type if left else None, everything=bool(left and left.everything)),
        subject=object_in(mail, "commonHeaders").text("subject"),
        url=about.text("link") if record.kind == "Click" else None,
        bounce_class=_bounce_class(about, recipient) if bounced else None,
        attributes=attributes(
            ((name, value) for name, value in tags.content.items() if name not in _READ_TAGS),
            ((snake(name), value) for name, value in about.content.items() if name not in _READ),
            event=record.kind if type_ == "unknown" else None,
            list_topic=left.topic if left else None,
            status=recipient.status,
            diagnostic_code=recipient.diagnosis,
            recipients=None if recipient.sure else "which of them is not known",
            sender=mail.value("source"),
            message_id=written,
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipient:
    address: str
    sure: bool
    status: str | None = None
    diagnosis: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """What was left or joined: a topic of the contact list, all of them without one."""

    topic: str | None
    content_type: ContentType | None

    @property
    def everything(self) -> bool:
        """Whether it is about all topics."""
        return self.topic is None


def _opened(given: Fields) -> _Record:
    """The record inside its envelopes. Raises InvalidEvent for what is none of SES's."""
    if isinstance(given.value("Sns"), Mapping):
        given = given.within("Sns")
    place, delivery = given.ref("TopicArn"), None
    if given.text("Type") in _ENVELOPES and not given.has("mail"):
        if given.text("Type") != "Notification":
            raise InvalidEvent("Type: about the subscription to Amazon SNS itself; visit its SubscribeURL to confirm")
        delivery = given.ref("MessageId")
        message = given.value("Message")
        inside, error = parse_json(message.encode("utf-8", "replace")) if isinstance(message, str) else (message, None)
        if error is not None:
            raise InvalidEvent("Message: not the JSON of an event; Amazon SNS's own note, or another sender's")
        given = Fields.of(inside, "Message")
    elif isinstance(given.value("detail"), Mapping):
        place, delivery = given.ref("region"), given.ref("id")
        given = given.within("detail")
    elif isinstance(given.value("ses"), Mapping):
        given = given.within("ses")
    kind = given.ref("eventType", "notificationType") or ("Received" if given.has("receipt") else None)
    if kind is None:
        raise InvalidEvent(f"{given.where('eventType')}: missing, and so is notificationType")
    return _Record(fields=given, kind=kind, place=place, delivery=delivery)


def _records(content: Any) -> list[Any]:
    records = content.get("Records") if isinstance(content, dict) else None
    return records if isinstance(records, list) else []


def _type(kind: str, type_: str, about: Fields) -> str:
    if kind == "Bounce" and about.text("bounceSubType") in _SUPPRESSED:
        return "message.rejected"
    if kind == "Complaint":
        if about.text("complaintSubType") in _SUPPRESSED:
            return "message.rejected"
        return _COMPLAINTS.get((about.text("complaintFeedbackType") or "").lower(), type_)
    return type_


def _recipients(kind: str, mail: Fields, about: Fields) -> list[_Recipient]:
    """Those whom the event's own object names, else all of the mail. Raises InvalidEvent when there is none."""
    found: dict[str, _Recipient] = {}
    for name in _TOLD:
        told = about.value(name)
        for place, item in enumerate(told if isinstance(told, list) else []):
            if isinstance(item, str) and item.strip():
                found.setdefault(item, _Recipient(address=item, sure=True))
            elif isinstance(item, Mapping):
                one = Fields(item, f"{about.where(name)}.{place}")
                address = one.required("emailAddress")
                status, diagnosis = one.text("status"), one.text("diagnosticCode")
                found.setdefault(address, _Recipient(address=address, sure=True, status=status, diagnosis=diagnosis))
    for address in [] if found else mail.texts("destination"):
        found[address] = _Recipient(address=address, sure=True)
    if not found:
        raise InvalidEvent("mail.destination: missing, and the event names no recipient")
    if len(found) > MOST_RECIPIENTS:
        raise InvalidEvent(f"mail.destination: more than {MOST_RECIPIENTS} recipients")
    if kind in _BY_SOMEBODY and len(found) > 1:
        return [_Recipient(address=address, sure=False) for address in found]
    return list(found.values())


def _discriminator(kind: str, about: Fields, left: _Choice | None) -> str | None:
    if kind == "Click":
        return about.text("link")
    if kind == "Open":
        return f"{about.text('ipAddress') or ''} {about.text('userAgent') or ''}"
    return left.topic if left else None


def _time(about: Fields, mail: Fields, options: Options) -> datetime:
    """Of the happening; a rejection and a failure have none, and stand where the mail was sent."""
    return about.time("timestamp", options=options) or mail.required_time("timestamp", options=options)


def _bounce_class(about: Fields, recipient: _Recipient) -> BounceClass:
    """SES's word on whether it is for good goes before the code; the code tells the rest."""
    kind = about.text("bounceType")
    coded = bounce_class_of(recipient.status, recipient.diagnosis)
    if coded is BounceClass.BLOCK or about.text("bounceSubType") in _REFUSED_CONTENT:
        return BounceClass.BLOCK
    if kind == "Permanent":
        return coded or BounceClass.HARD
    return BounceClass.SOFT if kind == "Transient" else coded or BounceClass.SOFT


def _choices(about: Fields) -> list[tuple[str, _Choice | None]]:
    """What the reader left or joined, by the difference of the preferences; `unknown` when there is none."""
    new, old = object_in(about, "newTopicPreferences"), object_in(about, "oldTopicPreferences")
    if new.flag("unsubscribeAll"):
        return [("subscription.opted_out", _Choice(topic=None, content_type=None))]
    before, after = _topics(old), _topics(new)
    found: list[tuple[str, _Choice | None]] = []
    for topic, status in after.items():
        if before.get(topic) == status:
            continue
        choice = _Choice(topic=topic, content_type=content_type_of([topic]))
        joined = "subscription.opted_in" if choice.content_type else "unknown"
        found.append(({"OptOut": "subscription.opted_out", "OptIn": joined}.get(status, "unknown"), choice))
    return found or [("unknown", None)]


def _topics(preferences: Fields) -> dict[str, str]:
    told = preferences.value("topicSubscriptionStatus")
    if isinstance(told, Mapping):
        return {str(name): str(status) for name, status in told.items()}
    topics = [item for item in told if isinstance(item, Mapping)] if isinstance(told, list) else []
    pairs = ((item.get("topicName"), item.get("subscriptionStatus")) for item in topics)
    return {name: status for name, status in pairs if isinstance(name, str) and isinstance(status, str)}


def _sent_as(message: str, place: str | None) -> str:
    """The Message-ID in the mail, as far as it is known in which region it was sent."""
    parts = (place or "").split(":")
    region = parts[3] if len(parts) > 3 else parts[0]
    host = "email." if region == "us-east-1" else f"{region}." if region else ""
    return message_id(f"{message}@{host}amazonses.com") or message


def _first(tags: Fields) -> Fields:
    """Tags hold lists; a reference is their first text."""
    return Fields({"message_ref": next(iter(tags.texts("message_ref")), None)}, tags.path)


def is_ses(head: bytes) -> bool:
    """Whether a file begins with records of Amazon SES, in whatever envelope."""
    return any(_is_record(item) for found in json_sample(head)[:5] for item in (_records(found)[:1] or [found]))


def _is_record(found: Any) -> bool:
    if not isinstance(found, Mapping):
        return False
    if isinstance(found.get("Sns"), Mapping):
        found = found["Sns"]
    if found.get("Type") in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return "TopicArn" in found or "Message" in found
    inside = found.get("detail", found.get("ses", found))
    if not isinstance(inside, Mapping) or not isinstance(inside.get("mail"), Mapping):
        return False
    return bool({"eventType", "notificationType", "receipt"} & set(inside))


FORMAT = Format(
    name="ses",
    channel="email",
    title="Amazon SES events and notifications, as they are or from Amazon SNS (JSON)",
    example=json.dumps(
        {
            "eventType": "Delivery",
            "mail": {
                "timestamp": "2026-03-02T09:14:58.000Z",
                "messageId": "0102018f00000001-11111111-2222-4333-8444-555555555501-000000",
                "source": "billing@acme.example",
                "sourceArn": "arn:aws:ses:eu-west-1:111122223333:identity/acme.example",
                "destination": ["ada@example.org"],
                "tags": {"ses:configuration-set": ["invoices"]},
            },
            "delivery": {
                "timestamp": "2026-03-02T09:15:00.250Z",
                "recipients": ["ada@example.org"],
                "smtpResponse": "250 OK",
            },
        }
    )
    + "\n",
    recognises=is_ses,
    payloads=ses_payloads,
    events=ses_events,
)
