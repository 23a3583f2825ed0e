"""Mail that mail systems write about mail of ours: it is never a customer's message.

- delivery status (RFC 3464): `message.bounced`, `message.deferred` or `message.delivered` about each recipient named;
- feedback (RFC 5965): `message.complained`, or `message.complaint_withdrawn` for `not-spam`;
- disposition (RFC 8098): `message.opened` when it was displayed, on behalf of the reader;
- Exim's older bounces, which name the address in `X-Failed-Recipients`.

The contact point is the recipient that we wrote to (Original-Recipient before Final-Recipient), message_ref the
original mail. How a bounce is classed follows RFC 3463: 4.x is soft; 5.7 is a block; 5.2.2, a full mailbox, is soft;
any other 5.x is hard.
"""

from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from typing import Any

from producers.email.headers import Headers, body, parts
from producers.format import Options
from producers.message_ids import message_id, message_ids
from producers.reading import attributes, event_of, point, read_time
from schemas.errors import InvalidEvent
from schemas.models import BounceClass, Direction, Event, Kind

_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK = "message/feedback-report"
_DISPOSITION = "message/disposition-notification"
_ORIGINALS = ("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers")
_TYPES = {
    "failed": "message.bounced",
    "delayed": "message.deferred",
    "delivered": "message.delivered",
    "relayed": "message.delivered",
    "expanded": "message.delivered",
}
_TYPE_OF_STATUS = {"2": "message.delivered", "4": "message.deferred", "5": "message.bounced"}


def report_events(message: Message, headers: Headers, reference: str, options: Options) -> Iterator[Event] | None:
    """The events of a report, or None when the message is none.

    Raises InvalidEvent for a report that does not say for whom it is.
    """
    kinds = {part.get_content_type(): part for part in reversed(list(parts(message)))}
    report = next((kinds[kind] for kind in _REPORTS if kind in kinds), None)
    is_report = message.get_content_type() == "multipart/report"
    original = _original(message)
    facts = _facts(headers, original, reference, options)
    if report is not None and (is_report or _from_daemon(headers)):
        return _statuses(_blocks(report), facts, options)
    if is_report and _FEEDBACK in kinds:
        return _feedback(_first_block(kinds[_FEEDBACK]), original, facts, options)
    if is_report and _DISPOSITION in kinds:
        return _disposition(_first_block(kinds[_DISPOSITION]), facts, options)
    if "X-Failed-Recipients" in headers:
        return _exim(headers, facts, options)
    if is_report or _from_daemon(headers):
        raise InvalidEvent("report: it names no recipient in a form that is known (RFC 3464, 5965, 8098)")
    return None


def _facts(headers: Headers, original: Headers | None, reference: str, options: Options) -> dict[str, Any]:
    about = message_id(original.raw("Message-ID")) if original else None
    thread = message_ids(original.raw("References")) if original else []
    answered = message_ids(headers.raw("References")) or message_ids(headers.raw("In-Reply-To"))
    subject = (original.text("Subject") if original else None) or headers.text("Subject")
    return {
        "vendor": "rfc5322",
        "reference": reference,
        "source_event_id": headers.raw("Message-ID"),
        "occurred_at": headers.date(options),
        "direction": Direction.REPORT,
        "message_ref": about or (answered[-1] if answered else None),
        "conversation_ref": thread[0] if thread else about or (answered[0] if answered else None),
        "subject": None if subject is None else subject[:1_000],
        "summary": headers.text("Subject"),
    }


def _statuses(blocks: list[Headers], facts: dict[str, Any], options: Options) -> Iterator[Event]:
    about = [block for block in blocks if "Final-Recipient" in block or "Original-Recipient" in block]
    if not about:
        raise InvalidEvent("delivery-status: no Final-Recipient")
    for place, block in enumerate(about):
        original, final = _recipient(block, "Original-Recipient"), _recipient(block, "Final-Recipient")
        recipient = original or final
        if recipient is None:
            raise InvalidEvent(f"delivery-status.{place}: the recipient is empty")
        status, action = block.word("Status"), block.word("Action")
        type_ = _TYPES.get(action) or _TYPE_OF_STATUS.get(status[:1], "unknown")
        yield event_of(
            "email",
            options,
            type=type_,
            discriminator=f"{action} {status}",
            bounce_class=bounce_class(status) if type_ == "message.bounced" else None,
            contact_points=[point(Kind.EMAIL, recipient, options)],
            attributes=attributes(
                action=action,
                status=status,
                diagnostic_code=block.text("Diagnostic-Code"),
                remote_mta=block.raw("Remote-MTA"),
                final_recipient=final if final != recipient else None,
                reporting_mta=blocks[0].raw("Reporting-MTA"),
            ),
            **{**facts, "occurred_at": _attempted(block, options) or facts["occurred_at"]},
        )


def bounce_class(status: str) -> BounceClass:
    """The class of an enhanced status code, `5.1.1`, or of an SMTP reply, `550`; hard when it says nothing."""
    if status.startswith("4") or status == "5.2.2":
        return BounceClass.SOFT
    return BounceClass.BLOCK if status.startswith("5.7") else BounceClass.HARD


def _feedback(block: Headers, original: Headers | None, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    recipients = block.addresses("Original-Rcpt-To") or (original.addresses("To") if original else [])
    if not recipients:
        raise InvalidEvent("feedback-report: no Original-Rcpt-To")
    kind = block.word("Feedback-Type")
    types = {"abuse": "message.complained", "fraud": "message.complained", "not-spam": "message.complaint_withdrawn"}
    for recipient in recipients:
        yield event_of(
            "email",
            options,
            type=types.get(kind, "unknown"),
            contact_points=[point(Kind.EMAIL, recipient, options)],
            attributes=attributes(feedback_type=kind, user_agent=block.text("User-Agent")),
            **{**facts, "direction": Direction.INBOUND if kind in types else Direction.REPORT},
        )


def _disposition(block: Headers, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    recipient = _recipient(block, "Original-Recipient") or _recipient(block, "Final-Recipient")
    if recipient is None:
        raise InvalidEvent("disposition-notification: no Final-Recipient")
    mode, _, disposition = (block.raw("Disposition") or "").partition(";")
    displayed = disposition.strip().lower().startswith("displayed")
    about = message_id(block.raw("Original-Message-ID"))
    yield event_of(
        "email",
        options,
        type="message.opened" if displayed else "unknown",
        machine=mode.strip().lower().startswith("automatic-action") if displayed else None,
        contact_points=[point(Kind.EMAIL, recipient, options)],
        attributes=attributes(disposition=block.raw("Disposition")),
        **{
            **facts,
            "direction": Direction.INBOUND if displayed else Direction.REPORT,
            "message_ref": about or facts["message_ref"],
            "conversation_ref": facts["conversation_ref"] or about,
        },
    )


def _exim(headers: Headers, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    recipients = headers.addresses("X-Failed-Recipients")
    if not recipients:
        raise InvalidEvent("X-Failed-Recipients: no address")
    for recipient in recipients:
        yield event_of(
            "email",
            options,
            type="message.bounced",
            bounce_class=BounceClass.HARD,
            contact_points=[point(Kind.EMAIL, recipient, options)],
            **facts,
        )


def _original(message: Message) -> Headers | None:
    """The headers of the mail that came back, whole or as headers alone."""
    for part in list(parts(message))[1:]:
        if part.get_content_type() not in _ORIGINALS:
            continue
        inner = part.get_payload()
        if isinstance(inner, list) and inner and isinstance(inner[0], Message):
            return Headers(inner[0])
        return Headers(message_from_string(body(part).lstrip()))
    return None


def _blocks(part: Message) -> list[Headers]:
    """The groups of fields of a report: the first is about the message, the others about one recipient each."""
    inner = part.get_payload()
    if isinstance(inner, list):
        return [Headers(block) for block in inner if isinstance(block, Message)]
    return [Headers(message_from_string(block)) for block in body(part).split("\n\n") if block.strip()]


def _first_block(part: Message) -> Headers:
    blocks = _blocks(part)
    if not blocks:
        raise InvalidEvent("report: empty")
    return blocks[0]


def _recipient(block: Headers, name: str) -> str | None:
    """`rfc822; ada@example.org` without its address type; what is no address is kept as it stands."""
    return (block.raw(name) or "").rpartition(";")[2].strip(" <>") or None


def _attempted(block: Headers, options: Options) -> Any:
    given = block.raw("Last-Attempt-Date")
    try:
        return read_time(given, options) if given else None
    except InvalidEvent:
        return None


def _from_daemon(headers: Headers) -> bool:
    senders = headers.addresses("From") or headers.all("From")
    return bool(senders) and senders[0].lower().startswith("mailer-daemon")
