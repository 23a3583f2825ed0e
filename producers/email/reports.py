"""Mail that mail systems write about mail of ours: it is never a customer's message.

- delivery status (RFC 3464): `message.bounced`, `message.deferred` or `message.delivered` about each recipient named;
- feedback (RFC 5965), and Outlook.com's own form of it: `message.complained`, or `message.complaint_withdrawn` for
  `not-spam`;
- disposition (RFC 8098): `message.opened` when it was displayed, on behalf of the reader;
- what mail systems write in plain text (qmail, Exim, Postfix, Exchange, many others): the library flufl.bounce, which
  Mailman uses, finds the recipients in it. It is asked about mail of mail systems alone, and sees of it what it needs:
  its patterns take quadratic time on long lines.

The contact point is the recipient that we wrote to (Original-Recipient before Final-Recipient), message_ref the
original mail, also where it stands quoted in the text. A report about a recipient of ours is refused.

How a bounce is classed follows RFC 3463: 4.x is soft; 5.7 is a block, and so is a complaint about the sender (5.1.7,
5.1.8); a mailbox that is full, a message that is too large and time that ran out (5.2.2, 5.2.3, 5.3.4, 5.4.7, and
552 of RFC 5321) are soft; any other 5.x is hard.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from itertools import islice
from typing import Any

from flufl.bounce import all_failures

from producers.email.headers import Headers, body, is_address, mail_event, of_domains, parts
from producers.format import Options
from producers.message_ids import message_id, message_ids
from producers.reading import attributes, point, read_time
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, BounceClass, Direction, Event, Kind

_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK = "message/feedback-report"
_DISPOSITIONS = ("message/disposition-notification", "message/global-disposition-notification")
_ORIGINALS = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)
_TYPES = {
    "failed": "message.bounced",
    "delayed": "message.deferred",
    "delivered": "message.delivered",
    "relayed": "message.delivered",
    "expanded": "message.delivered",
}
_TYPE_OF_STATUS = {"2": "message.delivered", "4": "message.deferred", "5": "message.bounced"}
_COMPLAINTS = {
    "abuse": "message.complained",
    "fraud": "message.complained",
    "not-spam": "message.complaint_withdrawn",
}
_OUTLOOKS = "X-HmXmrOriginalRecipient"
_OF_OUTLOOK = {"multipart/mixed", "message/rfc822", "text/plain", "text/html"}
_SOFT = frozenset({"5.2.2", "5.2.3", "5.3.4", "5.4.7", "552"})
_BLOCK = frozenset({"5.1.7", "5.1.8"})

_MOST_BYTES, _LONGEST_LINE = 1 << 16, 400
_SYSTEM = re.compile(r"(?:postmaster|mdaemon|mail-?daemon|mail(?:er)?-?delivery|bounces?)\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver|delivery (?:status|fail|has failed|problem|notif)|mail delivery|returned mail|failure notice"
    r"|non.?delivery|could not be delivered|message (?:status|delayed)|^delayed mail|warning: .{0,40}delayed"
    r"|unzustellbar|nicht zugestellt|unbestellbar|non remis|non.?distribu|olevererbar|kunde inte levereras"
    r"|no se (?:puede|pudo) entregar|no entregado",
    re.IGNORECASE,
)
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_REPLY = re.compile(r"(?:^[> \t]{0,10}|[:;(] ?)([45][0-5]\d)(?=[ -])", re.MULTILINE)
_FULL = re.compile(r"quota|mailbox (?:is )?full|over its storage|mailbox size limit", re.IGNORECASE)
_QUOTED_ID = re.compile(r"^[> \t]{0,10}Message-I[Dd]:\s{0,5}(<[^<>\s]{3,990}>)", re.MULTILINE | re.IGNORECASE)
_QUOTED_SUBJECT = re.compile(r"^[> \t]{0,10}Subject:[ \t]{0,5}([^\r\n]{1,500})", re.MULTILINE | re.IGNORECASE)

# It logs the text of what it fails on.
logging.getLogger("flufl.bounce").disabled = True


def report_events(message: Message, headers: Headers, reference: str, options: Options) -> Iterator[Event] | None:
    """The events of a report, or None when the message is none.

    Raises InvalidEvent for a report that does not say for whom it is.
    """
    kinds = {part.get_content_type(): part for part in reversed(list(parts(message)))}
    is_report = message.get_content_type() == "multipart/report"
    by_system = is_report or _from_daemon(headers)
    status = next((kinds[kind] for kind in _REPORTS if kind in kinds), None)
    disposition = next((kinds[kind] for kind in _DISPOSITIONS if kind in kinds), None)
    original = _original(message)
    from_outlook = original is not None and _OUTLOOKS in original and kinds.keys() <= _OF_OUTLOOK
    in_words = by_system or _is_about_delivery(headers)
    if not (in_words or disposition is not None or _FEEDBACK in kinds or from_outlook):
        return None
    facts = _facts(message, headers, original, reference, options)
    if by_system and _FEEDBACK not in kinds and disposition is None:
        # A boundary that was lost on the way makes one text of all parts.
        blocks = _blocks(status) if status is not None else _blocks_of(_text(message))
        if any("Final-Recipient" in block or "Original-Recipient" in block for block in blocks):
            return _statuses(blocks, facts, options)
    elif _FEEDBACK in kinds:
        return _feedback(_first_block(kinds[_FEEDBACK]), original, facts, options)
    elif disposition is not None:
        return _disposition(_first_block(disposition), facts, options)
    elif original is not None and from_outlook:
        return _feedback(original, original, facts, options)
    found = _failures(message, headers, facts, options) if in_words else None
    if found is None and by_system:
        raise InvalidEvent("report: it names no recipient in a form that is known (RFC 3464, 5965, 8098)")
    return found


def bounce_class(status: str) -> BounceClass:
    """The class of an enhanced status code, `5.1.1`, or of an SMTP reply, `550`; hard when it says nothing."""
    if status.startswith("4") or status in _SOFT:
        return BounceClass.SOFT
    return BounceClass.BLOCK if status.startswith("5.7") or status in _BLOCK else BounceClass.HARD


def _facts(
    message: Message, headers: Headers, original: Headers | None, reference: str, options: Options
) -> dict[str, Any]:
    answered = message_ids(headers.raw("References")) or message_ids(headers.raw("In-Reply-To"))
    about = message_id(original.raw("Message-ID")) if original else None
    subject = original.text("Subject") if original else None
    if original is None:
        text = _text(message)
        quoted_id, quoted_subject = _QUOTED_ID.search(text), _QUOTED_SUBJECT.search(text)
        about = message_id(quoted_id[1]) if quoted_id and not answered else None
        subject = quoted_subject[1].strip() if quoted_subject else None
    thread = message_ids(original.raw("References")) if original else []
    about = about or (answered[-1] if answered else None)
    subject = subject or headers.text("Subject")
    return {
        "reference": reference,
        "source_event_id": headers.raw("Message-ID"),
        **headers.times(options),
        "direction": Direction.REPORT,
        "message_ref": about,
        "conversation_ref": thread[0] if thread else about,
        "subject": None if subject is None else subject[:1_000],
        "summary": headers.text("Subject"),
    }


def _statuses(blocks: list[Headers], facts: dict[str, Any], options: Options) -> Iterator[Event]:
    about = [block for block in blocks if "Final-Recipient" in block or "Original-Recipient" in block]
    named = [_recipient(block) for block in about]
    if None in named:
        raise InvalidEvent(f"delivery-status.{named.index(None)}: the recipient is empty")
    outside = _outside((recipient for recipient in named if recipient), options)
    for block, recipient in zip(about, named, strict=True):
        if recipient not in outside:
            continue
        final = _address(block, "Final-Recipient")
        status, action, diagnosis = block.word("Status"), block.word("Action"), block.text("Diagnostic-Code")
        type_ = _TYPES.get(action) or _TYPE_OF_STATUS.get(status[:1], "unknown")
        attempted = _attempted(block, options)
        yield mail_event(
            options,
            type=type_,
            discriminator=f"{action} {status}",
            bounce_class=bounce_class(_closest(status, diagnosis or "")) if type_ == "message.bounced" else None,
            contact_points=[point(Kind.EMAIL, recipient, options)],
            attributes=attributes(
                action=action,
                status=status,
                diagnostic_code=diagnosis,
                remote_mta=block.raw("Remote-MTA"),
                final_recipient=final if final != recipient else None,
                reporting_mta=blocks[0].raw("Reporting-MTA"),
            ),
            **{**facts, **({"occurred_at": attempted, "makeshift": False} if attempted else {})},
        )


def _feedback(block: Headers, original: Headers | None, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    named = block.addresses("Original-Rcpt-To", "Removal-Recipient", _OUTLOOKS)
    recipients = named or (original.addresses("To") if original else [])
    if not recipients:
        raise InvalidEvent("feedback-report: no Original-Rcpt-To")
    kind = block.word("Feedback-Type") or ("abuse" if _OUTLOOKS in block else "")
    outside = _outside(recipients, options)
    # Which of several it was nobody says.
    assurance = Assurance.ASSERTED if named or len(outside) == 1 else Assurance.INFERRED
    for recipient in outside:
        yield mail_event(
            options,
            type=_COMPLAINTS.get(kind, "unknown"),
            author=Author.CUSTOMER if kind in _COMPLAINTS else None,
            contact_points=[point(Kind.EMAIL, recipient, options, assurance=assurance)],
            attributes=attributes(feedback_type=kind, user_agent=block.text("User-Agent")),
            **{**facts, "direction": Direction.INBOUND if kind in _COMPLAINTS else Direction.REPORT},
        )


def _disposition(block: Headers, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    recipient = _recipient(block)
    if recipient is None:
        raise InvalidEvent("disposition-notification: no Final-Recipient")
    mode, _, disposition = (block.raw("Disposition") or "").partition(";")
    displayed = disposition.strip().lower().startswith("displayed")
    machine = mode.strip().lower().startswith("automatic-action") if displayed else None
    about = message_id(block.raw("Original-Message-ID"))
    for outside in _outside([recipient], options):
        yield mail_event(
            options,
            type="message.opened" if displayed else "unknown",
            author=Author.CUSTOMER if displayed and not machine else Author.MACHINE if machine else None,
            machine=machine,
            contact_points=[point(Kind.EMAIL, outside, options)],
            attributes=attributes(disposition=block.raw("Disposition")),
            **{
                **facts,
                "direction": Direction.INBOUND if displayed and not machine else Direction.REPORT,
                "message_ref": about or facts["message_ref"],
                "conversation_ref": facts["conversation_ref"] or about,
            },
        )


def _failures(message: Message, headers: Headers, facts: dict[str, Any], options: Options) -> Iterator[Event] | None:
    """What a mail system says in its own words, or None when nobody is named in it."""
    text = _text(message)
    failed = headers.addresses("X-Failed-Recipients")
    delayed: list[str] = []
    if not failed:
        delayed, failed = _found(_cut(message))
    if not failed and not delayed:
        delayed, failed = _found(_as_text(headers, text))
    if not failed and not delayed:
        return None
    outside = _outside((*failed, *delayed), options)
    return _told(outside, set(failed), text, facts, options)


def _told(
    recipients: list[str], failed: set[str], text: str, facts: dict[str, Any], options: Options
) -> Iterator[Event]:
    for recipient in recipients:
        place = text.lower().find(recipient.lower())
        after = text[place : place + 1_000] if place >= 0 and len(recipients) > 1 else text[max(place, 0) :]
        status = _closest("", after[:4_000])
        is_failed = recipient in failed
        yield mail_event(
            options,
            type="message.bounced" if is_failed else "message.deferred",
            bounce_class=bounce_class(status) if is_failed else None,
            contact_points=[point(Kind.EMAIL, recipient, options)],
            attributes=attributes(status=status),
            **facts,
        )


def _found(message: Message) -> tuple[list[str], list[str]]:
    """The recipients to whom it was delayed, and to whom it failed."""
    try:
        delayed, failed = all_failures(message)
    except Exception:
        # A fault of the library on some mail must not cost the mail.
        return [], []
    addresses = [sorted({one.decode("ascii", "replace").strip(" <>") for one in given}) for given in (delayed, failed)]
    return [one for one in addresses[0] if is_address(one)], [one for one in addresses[1] if is_address(one)]


def _cut(message: Message) -> Message:
    """The mail, of 64 KiB and with short lines."""
    try:
        raw = message.as_bytes()
        lines = (line[:_LONGEST_LINE].rstrip(b"\r\n") for line in raw[: 2 * _MOST_BYTES].splitlines())
        return message_from_bytes(b"\n".join(lines)[:_MOST_BYTES])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError):
        return Message()


def _as_text(headers: Headers, text: str) -> Message:
    """The mail as plain text alone, its transfer encoding undone, with the fields that the library looks at."""
    found = Message()
    for name in ("From", "Subject", "X-Mailer"):
        found[name] = re.sub(r"[^ -~]", "?", headers.raw(name) or "")[:_LONGEST_LINE]
    found.set_payload("\n".join(line[:_LONGEST_LINE] for line in text.splitlines()))
    return found


def _text(message: Message) -> str:
    """The first 65,536 characters of what it says in text."""
    texts = (body(part) for part in parts(message) if part.get_content_maintype() == "text" or not part.is_multipart())
    return "\n".join(text[:_MOST_BYTES] for text in islice(texts, 20))[:_MOST_BYTES]


def _closest(status: str, diagnosis: str) -> str:
    """The status that says most: an enhanced one, else what the diagnosis says, else an SMTP reply."""
    if status and not status.endswith(".0.0"):
        return status
    found = _STATUS.search(diagnosis)
    if found is not None and not found[0].endswith(".0.0"):
        return found[0]
    if _FULL.search(diagnosis):
        return "5.2.2"
    reply = _REPLY.search(diagnosis)
    return status or (found[0] if found else reply[1] if reply else "")


def _outside(recipients: Iterable[str], options: Options) -> list[str]:
    """Those who are not of us. Raises InvalidEvent when nobody is left."""
    found = [one for one in dict.fromkeys(recipients) if not of_domains(one, options.our_domains)]
    if not found:
        raise InvalidEvent("report: about nobody outside our domains")
    return found


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
    encoded = str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("base64", "quoted-printable")
    if isinstance(inner, list) and not encoded:
        return [Headers(block) for block in inner if isinstance(block, Message)]
    if isinstance(inner, list):
        # A report must not be encoded, and is sometimes: the parser has taken the code for fields.
        plain = Message()
        plain["Content-Transfer-Encoding"] = part["Content-Transfer-Encoding"]
        plain.set_payload("\n".join(str(block.get_payload()) for block in inner if isinstance(block, Message)))
        part = plain
    return _blocks_of(body(part))


def _blocks_of(text: str) -> list[Headers]:
    blocks = re.split(r"\n[ \t]*\n", text[:_MOST_BYTES].replace("\r\n", "\n"))
    return [Headers(message_from_string(block.lstrip())) for block in blocks if block.strip()]


def _first_block(part: Message) -> Headers:
    blocks = _blocks(part)
    if not blocks:
        raise InvalidEvent("report: empty")
    return blocks[0]


def _recipient(block: Headers) -> str | None:
    """Whom we wrote to, else who it was for in the end; what is no address is kept as it stands."""
    original, final = _address(block, "Original-Recipient"), _address(block, "Final-Recipient")
    return next((one for one in (original, final) if one and is_address(one)), original or final)


def _address(block: Headers, name: str) -> str | None:
    """`rfc822; ada@example.org` without its address type."""
    return (block.raw(name) or "").rpartition(";")[2].strip(" <>") or None


def _attempted(block: Headers, options: Options) -> datetime | None:
    given = block.raw("Last-Attempt-Date")
    try:
        return read_time(given, options) if given else None
    except InvalidEvent:
        return None


def _from_daemon(headers: Headers) -> bool:
    senders = headers.addresses("From") or headers.all("From")
    return "X-Failed-Recipients" in headers or (bool(senders) and senders[0].lower().startswith("mailer-daemon"))


def _is_about_delivery(headers: Headers) -> bool:
    """A mail system by another name: its subject is about delivery, and it has nobody to answer to."""
    if _SUBJECT.search(headers.text("Subject") or "") is None:
        return False
    senders = headers.addresses("From") or headers.all("From")
    no_answer = (headers.raw("Return-Path") or "").replace(" ", "") == "<>"
    return no_answer or (bool(senders) and _SYSTEM.match(senders[0]) is not None)
