"""Postmark's webhooks: what became of a mail of ours, what its reader did, and the mail that Postmark takes in for us.

Fields: https://postmarkapp.com/developer/webhooks/webhooks-overview (and the pages beneath it), the bounce types of
https://postmarkapp.com/developer/api/bounce-api#bounce-types, and the fixtures of
https://github.com/anymail/django-anymail (tests/test_postmark_webhooks.py, test_postmark_inbound.py).

message_ref is `Metadata.message_ref`, when our system gave one, else the Message-ID that Postmark writes,
`<MessageID@mtasv.net>`: so answers, and copies of what Postmark sent, meet its reports. A mail that keeps a Message-ID
of its own (`X-PM-KeepID`) meets them by the first alone. An event's id rests on it, on type, recipient and time, and on
link or reader; `ID` is kept as source_event_id alone. Received mail has the events and ids of `rfc5322`.

A change of subscription is about a stream: it is stated by the recipient (Origin Recipient), or entered by us and then
ours. It counts for the content type that the stream names, else for news and offers; to be taken back into a stream
that names none permits nothing, and is `unknown`. So is a suppression after a bounce or a complaint: the webhooks
Bounce and SpamComplaint tell of those.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from producers.email.webhooks import (
    authentication,
    bounce_class_of,
    given_ref,
    header_pairs,
    received_mail,
    relayed_mail,
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
    json_payloads,
    json_sample,
    object_in,
    snake,
)
from schemas.errors import InvalidEvent
from schemas.models import Author, BounceClass, ContentType, Direction, Event

VENDOR = "postmark"

_RECORDS = {
    "Delivery": "message.delivered",
    "Bounce": "message.bounced",
    "Open": "message.opened",
    "Click": "link.clicked",
    "SpamComplaint": "message.complained",
    "SubscriptionChange": "unknown",
}
_HARD, _SOFT, _BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK
# Postmark's type and its code, our type, and how it bounced when the answer of the other server does not say.
_BOUNCES: dict[str, tuple[int, str, BounceClass | None]] = {
    "HardBounce": (1, "message.bounced", _HARD),
    "Transient": (2, "message.deferred", None),
    "Unsubscribe": (16, "subscription.opted_out", None),
    "Subscribe": (32, "subscription.opted_in", None),
    "AutoResponder": (64, "message.auto_replied", None),
    "AddressChange": (128, "message.auto_replied", None),
    "DnsError": (256, "message.deferred", None),
    "SpamNotification": (512, "message.bounced", _BLOCK),
    "OpenRelayTest": (1024, "unknown", None),
    "Unknown": (2048, "message.bounced", _SOFT),
    "SoftBounce": (4096, "message.bounced", _SOFT),
    "VirusNotification": (8192, "message.bounced", _BLOCK),
    "ChallengeVerification": (16384, "message.auto_replied", None),
    "BadEmailAddress": (100000, "message.rejected", None),
    "SpamComplaint": (100001, "message.complained", None),
    "ManuallyDeactivated": (100002, "message.rejected", None),
    "Unconfirmed": (100003, "message.rejected", None),
    "Blocked": (100006, "message.bounced", _BLOCK),
    "SMTPApiError": (100007, "message.failed", None),
    "InboundError": (100008, "unknown", None),
    "DMARCPolicy": (100009, "message.bounced", _BLOCK),
    "TemplateRenderingFailed": (100010, "message.failed", None),
}
_BOUNCE_OF_CODE = {str(code): name for name, (code, _, _) in _BOUNCES.items()}
# The webhooks of before 2019 do not say what they are.
_RECORD_OF_FIELD = {
    "FromFull": "Inbound",
    "OriginalRecipient": "Inbound",
    "BouncedAt": "Bounce",
    "DeliveredAt": "Delivery",
    "FirstOpen": "Open",
    "OriginalLink": "Click",
    "SuppressSending": "SubscriptionChange",
}
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
_READ = frozenset(
    {
        *(
            *_TIMES,
            "RecordType",
            "MessageID",
            "ID",
            "Recipient",
            "Email",
            "Subject",
            "OriginalLink",
            "Metadata",
            "Content",
        ),
        *("Client", "OS", "Geo"),
    }
)
_OURS = frozenset({"MessageID", "MessageStream", "ServerID", "ServerId", "FromFull"})
_READ_METADATA = frozenset({"message_ref", "content_type", "topic"})


def postmark_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one webhook. Raises InvalidEvent."""
    given = Fields.of(content)
    record = given.ref("RecordType") or next((told for name, told in _RECORD_OF_FIELD.items() if given.has(name)), None)
    if record is None:
        raise InvalidEvent("RecordType: missing")
    if record == "Inbound":
        yield from _received(given, options)
        return
    metadata = object_in(given, "Metadata")
    bounce = _bounce(given) if record in ("Bounce", "SpamComplaint") else None
    stream = content_type_of(given.texts("MessageStream"))
    type_ = _type(record, bounce, given, stream)
    content_type = content_type_of([*metadata.texts("content_type"), *given.texts("Tag")]) or stream
    if record == "SubscriptionChange":
        content_type = stream
    about = given_ref(metadata, "message_ref") or _sent_as(given.ref("MessageID"))
    replied = type_ == "message.auto_replied"
    place = object_in(given, "Geo")
    yield report_event(
        options,
        vendor=VENDOR,
        type=type_,
        recipient=given.required("Recipient", "Email"),
        reference=about or _of_stream(given, record),
        discriminator=_discriminator(record, given, place),
        occurred_at=given.required_time(*_TIMES, options=options),
        source_event_id=given.ref("ID"),
        message_ref=None if replied else about,
        answers_ref=about if replied else None,
        case_refs=case_refs(metadata),
        content_type=content_type,
        topic=metadata.text("topic"),
        machine=is_machine(given.text("UserAgent")) if record in ("Open", "Click") else None,
        statement=statement_of(type_, stream),
        subject=given.text("Subject"),
        url=given.text("OriginalLink"),
        bounce_class=_bounce_class(bounce, given) if type_ == "message.bounced" else None,
        attributes=attributes(
            ((name, value) for name, value in metadata.content.items() if name not in _READ_METADATA),
            ((snake(name), value) for name, value in given.content.items() if name not in _READ),
            event=record if type_ == "unknown" else None,
            client=object_in(given, "Client").value("Name"),
            os=object_in(given, "OS").value("Name"),
            ip=place.value("IP"),
            country=place.value("CountryISOCode"),
            region=place.value("Region"),
            city=place.value("City"),
        ),
        **_whose(type_, record, given),
    )


def _bounce(given: Fields) -> str | None:
    """The bounce's type, by its name or by its code alone; None for one that is not known."""
    name = given.text("Type") or _BOUNCE_OF_CODE.get(given.text("TypeCode") or "")
    return name if name in _BOUNCES else None


def _type(record: str, bounce: str | None, given: Fields, stream: ContentType | None) -> str:
    if record == "SubscriptionChange":
        return _changed(given, stream)
    if record != "Bounce":
        return _RECORDS.get(record, "unknown")
    type_ = _BOUNCES[bounce][1] if bounce else "unknown"
    # Whoever asks to be subscribed does not say to what.
    return "unknown" if type_ == "subscription.opted_in" and stream is None else type_


def _changed(given: Fields, stream: ContentType | None) -> str:
    if given.flag("SuppressSending"):
        by_choice = given.text("SuppressionReason") in (None, "ManualSuppression")
        return "subscription.opted_out" if by_choice else "unknown"
    return "subscription.opted_in" if stream and given.text("Origin") == "Recipient" else "unknown"


def _whose(type_: str, record: str, given: Fields) -> Mapping[str, Any]:
    """Whose act it was, where the type alone does not say."""
    if type_ == "message.auto_replied":
        return {"direction": Direction.INBOUND, "author": Author.MACHINE}
    if record == "SubscriptionChange" and type_ != "unknown" and given.text("Origin") in ("Customer", "Admin"):
        return {"direction": Direction.OUTBOUND, "author": None}
    return {}


def _bounce_class(bounce: str | None, given: Fields) -> BounceClass | None:
    """Postmark's type tells soft from hard and what was refused; the server's answer tells the rest."""
    said = _BOUNCES[bounce][2] if bounce else None
    coded = bounce_class_of(given.text("Details"), given.text("Description"))
    if said is _BLOCK or coded is _BLOCK:
        return _BLOCK
    return _SOFT if bounce == "SoftBounce" else coded or said


def _discriminator(record: str, given: Fields, place: Fields) -> str | None:
    if record == "Click":
        return f"{given.text('OriginalLink') or ''} {given.text('ClickLocation') or ''}"
    return f"{place.text('IP') or ''} {given.text('UserAgent') or ''}" if record == "Open" else None


def _sent_as(message: str | None) -> str | None:
    return None if message is None else message_id(message if "@" in message else f"{message}@mtasv.net")


def _of_stream(given: Fields, record: str) -> str:
    """Somebody was put on or taken off the list by hand: it is about no mail, but about the stream."""
    if record != "SubscriptionChange":
        raise InvalidEvent("MessageID: missing")
    return f"postmark/{given.text('ServerID', 'ServerId') or ''}/{given.text('MessageStream') or ''}"


def _received(given: Fields, options: Options) -> Iterator[Event]:
    """A mail came in: whole when the server hands on the raw content, else its header and its text."""
    headers = header_pairs(given, "Headers", "Name", "Value")
    found = Fields({name.lower(): value for name, value in reversed(headers)})
    own = given.ref("MessageID")
    files = given.value("Attachments")
    noted = attributes(
        recipient=given.value("OriginalRecipient"),
        mailbox_hash=given.value("MailboxHash"),
        stream=given.value("MessageStream"),
        tag=given.value("Tag"),
        spam=found.value("x-spam-status"),
        spam_score=found.value("x-spam-score"),
        attachments=(len(files) or None) if isinstance(files, list) else None,
    )
    raw = given.text("RawEmail")
    if raw:
        yield from relayed_mail(raw.encode(), options, vendor=VENDOR, source_event_id=own, noted=noted)
        return
    tests = (found.text("x-spam-tests") or "").replace(",", " ").split()
    told = [
        authentication("postmarkapp.com", dkim="DKIM_VALID_AU" in tests),
        *headers,
        ("From", object_in(given, "FromFull").text("Email") or given.text("From") or ""),
        ("To", _addresses(given, "ToFull", "To")),
        ("Cc", _addresses(given, "CcFull", "Cc")),
        ("Reply-To", given.text("ReplyTo") or ""),
        ("Subject", given.text("Subject") or ""),
        ("Date", given.text("Date") or ""),
    ]
    text = given.value("StrippedTextReply", "TextBody")
    yield from received_mail(
        [(name, value) for name, value in told if value],
        text if isinstance(text, str) else "",
        options,
        vendor=VENDOR,
        source_event_id=own,
        noted=noted,
    )


def _addresses(given: Fields, full: str, plain: str) -> str:
    people = given.value(full)
    listed = [person for person in people if isinstance(person, Mapping)] if isinstance(people, list) else []
    found = [address for person in listed if isinstance(address := person.get("Email"), str)]
    return ", ".join(found) or given.text(plain) or ""


def is_postmark(head: bytes) -> bool:
    """Whether a file begins with Postmark's webhooks."""
    return any(map(_is_record, json_sample(head)[:5]))


def _is_record(found: Mapping[str, Any]) -> bool:
    known = isinstance(found.get("RecordType"), str) or not _RECORD_OF_FIELD.keys().isdisjoint(found)
    return known and not _OURS.isdisjoint(found)


FORMAT = Format(
    name="postmark",
    channel="email",
    title="Postmark's webhooks and received mail (JSON)",
    example=json.dumps(
        {
            "RecordType": "Delivery",
            "ServerID": 23,
            "MessageStream": "outbound",
            "MessageID": "00000000-0000-4000-8000-000000000001",
            "Recipient": "ada@example.org",
            "Tag": "invoices",
            "DeliveredAt": "2026-03-02T09:15:00.1234567Z",
            "Details": "250 OK",
            "Metadata": {"invoice": "9001"},
        }
    )
    + "\n",
    recognises=is_postmark,
    payloads=json_payloads,
    events=postmark_events,
)
