"""The events of one message in RFC 5322 form: written by a customer, by us, or by a machine.

A mail from one of `options.our_domains` is ours: `message.sent`, once for each recipient in To who is not of ours
(each in Cc, then Bcc, when To has none), with the others in Cc as role cc. Any other is `message.received` from its
From; an address in Reply-To that differs is inferred to be the same person's. Automatic replies (RFC 3834) are
`message.auto_replied`, reports of mail systems the business of `producers.email.reports`.

- message_ref and the id's reference: the Message-ID; where it is missing, `sha256:` of the bytes;
- conversation_ref: the first of References, else In-Reply-To, else the message itself;
- occurred_at: Date, else the date of the topmost Received, else observed_at;
- case_refs: tags of helpdesks in the subject, `[#12345]` or `[Ticket#12345]`;
- the assurance of From: asserted when the topmost Authentication-Results says that DMARC or DKIM passed, else claimed.
"""

import hashlib
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

from producers.email.headers import Headers, attachments, new_text, of_domains, parsed
from producers.email.reports import report_events
from producers.format import Options
from producers.message_ids import message_id, message_ids
from producers.reading import attributes, content_type_of, event_of, point, purpose_of
from producers.subjects import case_ref
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, ContactPoint, Direction, Event, Kind, Role

VENDOR = "rfc5322"
LONGEST_SUBJECT = 1_000
MOST_COPIES = 100

_TICKET = re.compile(r"\[[^\[\]#]{0,40}#\s?([A-Za-z0-9][\w.-]{0,40})\]")
_PASSED = re.compile(r"\b(?:dmarc|dkim)=pass\b", re.IGNORECASE)
_TAG_HEADERS = ("X-Category", "X-Mailgun-Tag", "X-PM-Tag", "X-Tag", "X-MC-Tags")
_NOTED = {
    "message_id": "Message-ID",
    "list_id": "List-Id",
    "list_unsubscribe": "List-Unsubscribe",
    "auto_submitted": "Auto-Submitted",
    "precedence": "Precedence",
    "importance": "Importance",
    "language": "Content-Language",
    "mailer": "X-Mailer",
    "user_agent": "User-Agent",
}


def message_events(raw: Any, options: Options) -> Iterator[Event]:
    """The events of one message, given as its bytes. Raises InvalidEvent when nobody can be named."""
    if not isinstance(raw, bytes):
        raise InvalidEvent("message: not bytes")
    message = parsed(raw)
    headers = Headers(message)
    reference = message_id(headers.raw("Message-ID")) or f"sha256:{hashlib.sha256(raw).hexdigest()}"
    report = report_events(message, headers, reference, options)
    if report is not None:
        yield from report
        return
    senders = headers.addresses("From") or headers.addresses("Sender") or headers.addresses("Return-Path")
    if not senders:
        raise InvalidEvent("From: no address")
    facts = _facts(message, headers, reference, options)
    if of_domains(senders[0], options.our_domains):
        yield from _sent(headers, senders[0], facts, options)
    else:
        yield _received(headers, senders[0], facts, options)


def _facts(message: Message, headers: Headers, reference: str, options: Options) -> dict[str, Any]:
    """What is the same for every event of the message."""
    references = message_ids(headers.raw("References"))
    answered = next(iter(message_ids(headers.raw("In-Reply-To"))), references[-1] if references else None)
    subject = headers.text("Subject")
    tickets = (case_ref("case", number) for number in _TICKET.findall(subject or ""))
    noted = attributes({name: headers.text(header) for name, header in _NOTED.items()})
    noted |= attributes(
        to=", ".join(headers.addresses("To")),
        cc=", ".join(headers.addresses("Cc")),
        attachments=attachments(message) or None,
    )
    return {
        "vendor": VENDOR,
        "reference": reference,
        "occurred_at": headers.date(options),
        "source_event_id": headers.raw("Message-ID"),
        "message_ref": reference,
        "answers_ref": answered,
        "in_reply_to": answered,
        "conversation_ref": references[0] if references else answered or reference,
        "case_refs": tuple(dict.fromkeys(ticket for ticket in tickets if ticket)),
        "subject": None if subject is None else subject[:LONGEST_SUBJECT],
        "summary": subject or new_text(message) or None,
        "attributes": noted,
    }


def _received(headers: Headers, sender: str, facts: dict[str, Any], options: Options) -> Event:
    authenticated = _PASSED.search(headers.raw("Authentication-Results") or "") is not None
    assurance = Assurance.ASSERTED if authenticated else Assurance.CLAIMED
    points = [point(Kind.EMAIL, sender, options, assurance=assurance)]
    reply_to = headers.addresses("Reply-To")
    # A list's Reply-To is the list, and would make one person of all its members.
    if len(reply_to) == 1 and "List-Id" not in headers and not of_domains(reply_to[0], options.our_domains):
        points.append(point(Kind.EMAIL, reply_to[0], options, assurance=Assurance.INFERRED))
    mailboxes = [address for address in headers.addresses("To", "Cc") if of_domains(address, options.our_domains)]
    if options.our_domains:
        points += _copies(headers.addresses("To", "Cc"), options)
    automatic = _is_automatic(headers)
    facts["attributes"] |= attributes(mailbox=mailboxes[0] if mailboxes else None, reply_to=", ".join(reply_to))
    return event_of(
        "email",
        options,
        type="message.auto_replied" if automatic else "message.received",
        direction=Direction.INBOUND,
        author=Author.MACHINE if automatic else Author.CUSTOMER,
        contact_points=points,
        **facts,
    )


def _sent(headers: Headers, sender: str, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    for name in ("To", "Cc", "Bcc"):
        recipients = [to for to in headers.addresses(name) if not of_domains(to, options.our_domains)]
        if recipients:
            break
    else:
        raise InvalidEvent("To, Cc, Bcc: nobody outside our domains")
    copies = _copies(headers.addresses("Cc"), options) if name == "To" else []
    labels = [value for header in _TAG_HEADERS for value in headers.all(header)]
    content_type = content_type_of(labels)
    facts["attributes"] |= attributes(tags=", ".join(labels))
    for recipient in recipients:
        yield event_of(
            "email",
            options,
            type="message.auto_replied" if headers.word("Auto-Submitted") == "auto-replied" else "message.sent",
            direction=Direction.OUTBOUND,
            author=_author(headers),
            agent=sender.lower(),
            content_type=content_type,
            purpose=purpose_of(content_type),
            contact_points=[point(Kind.EMAIL, recipient, options), *copies],
            **facts,
        )


def _copies(addresses: list[str], options: Options) -> list[ContactPoint]:
    others = [address for address in addresses if not of_domains(address, options.our_domains)]
    return [point(Kind.EMAIL, address, options, role=Role.CC) for address in others[:MOST_COPIES]]


def _author(headers: Headers) -> Author:
    if _is_automatic(headers):
        return Author.MACHINE
    # Whoever sends to many, or lets people unsubscribe (RFC 8058), sends a template.
    bulk = headers.word("Precedence") in ("bulk", "list", "junk")
    return Author.TEMPLATE if bulk or "List-Unsubscribe" in headers else Author.HUMAN


def _is_automatic(headers: Headers) -> bool:
    """RFC 3834, and what autoresponders wrote before it."""
    if headers.word("Auto-Submitted") not in ("", "no"):
        return True
    if headers.word("Precedence") in ("auto_reply", "auto-reply"):
        return True
    if headers.word("X-Autoreply") not in ("", "no") or headers.word("X-Autorespond") not in ("", "no"):
        return True
    if "X-Autoresponder" in headers or (headers.raw("Return-Path") or "").replace(" ", "") == "<>":
        return True
    return "autoresponder" in (headers.raw("X-POST-MessageClass") or "").lower()
