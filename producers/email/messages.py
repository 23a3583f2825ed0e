"""The events of one message in RFC 5322 form: written by a customer, by us, or by a machine.

A mail from one of `options.our_domains` is ours: `message.sent`, once for each recipient in To who is not of ours
(each in Cc, then Bcc, then Resent-To, then the envelope's, when there is none before), with the others in Cc as role
cc. Any other is `message.received` from its From; an address in Reply-To that differs is inferred to be the same
person's. Automatic replies are `message.auto_replied`, reports of mail systems the business of
`producers.email.reports`. Mail among ourselves is refused: it touches no customer.

- who wrote it: the first of From, of several the one that Sender names too; for a mailing list of ours that puts its
  own address there (Google Groups and Mailman, for DMARC's sake) X-Original-From, X-Original-Sender or Reply-To;
- a mail that a customer passes on to us as it stands (RFC 5322 3.6.6) is from Resent-From, not from who wrote it;
- message_ref and the id's reference: the Message-ID; where it is missing, `sha256:` of what does not change on the way
  (originator fields and text), so that copies in two mailboxes are one;
- conversation_ref: the first of References, else In-Reply-To, else the message itself;
- occurred_at: Date; where that is missing or absurd the newest Received, then observed_at, and attributes.time_from
  says so; the id does not depend on these two;
- summary: the subject, when it is more than `Re:`, else the new text;
- case_refs: tags of helpdesks in the subject, `[#12345]` or `[Ticket#12345]`;
- the assurance of From: asserted when the topmost Authentication-Results says that DMARC passed, or DKIM for a domain
  that is From's, one above or one below it (RFC 7489, relaxed); else claimed.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

from producers.email.automatic import is_automatic, says_machine
from producers.email.headers import (
    Headers,
    attachments,
    domain_of,
    mail_event,
    of_domains,
    parameter,
    parsed,
    parts,
    within,
)
from producers.email.reports import report_events
from producers.email.text import new_text
from producers.format import Options
from producers.message_ids import message_id, message_ids
from producers.reading import attributes, content_type_of, point, purpose_of
from producers.subjects import case_ref
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, ContactPoint, Direction, Event, Kind, Role

LONGEST_SUBJECT = 1_000
MOST_COPIES = 90
"""Of the 100 contact points that an event may have."""

_ESCAPED = re.compile(rb">+From ")
_TICKET = re.compile(r"\[[^\[\]#]{0,40}#\s?([A-Za-z0-9][\w.-]{0,40})\]")
_DMARC = re.compile(r"\bdmarc=pass\b", re.IGNORECASE)
_DKIM = re.compile(r"\bdkim=pass\b([^;]*)", re.IGNORECASE)
_SIGNER = re.compile(r"\bheader\.[di]=\"?[^@\s;\"]{0,64}?@?([\w.-]{1,255})", re.IGNORECASE)
_SAYS_NOTHING = re.compile(
    r"(?:\s*(?:re|aw|antw|sv|vs|fw|fwd|wg|tr|rv|res|ref|enc|i|r|vb)\s*(?:\[\d{1,3}\])?\s*:)*\s*", re.I
)
_TAG_HEADERS = ("X-Category", "X-Mailgun-Tag", "X-PM-Tag", "X-Tag", "X-MC-Tags")
_ENVELOPE = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To")
_RESENT = ("Resent-To", "Resent-Cc", "Resent-Bcc")
_ORIGINATOR_FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Date", "Subject", "In-Reply-To", "References")
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
    "resent_from": "Resent-From",
}
_CIPHERS = {
    "multipart/encrypted": "openpgp",
    "application/pkcs7-mime": "s/mime",
    "application/x-pkcs7-mime": "s/mime",
}


def message_events(raw: Any, options: Options) -> Iterator[Event]:
    """The events of one message, given as its bytes. Raises InvalidEvent when nobody can be named."""
    if not isinstance(raw, bytes):
        raise InvalidEvent("message: not bytes")
    message = parsed(raw)
    headers = Headers(message)
    reference = message_id(headers.raw("Message-ID")) or f"sha256:{_digest(raw, headers)}"
    report = report_events(message, headers, reference, options)
    if report is not None:
        yield from report
        return
    resender = _resender(headers, options)
    sender = resender or _sender(headers, options)
    facts = _facts(message, headers, reference, options)
    if resender:
        facts |= _resent(headers, reference, options)
    if of_domains(sender, options.our_domains):
        yield from _sent(headers, sender, facts, options)
    else:
        yield _received(headers, sender, facts, options)


def _digest(raw: bytes, headers: Headers) -> str:
    """SHA-256 of the originator fields and the text, whatever servers put around them and at the ends of lines."""
    given = [f"{name}:{value}" for name in _ORIGINATOR_FIELDS for value in headers.all(name)]
    if "Date" not in headers:
        # The first server's stamp is the same in all copies.
        given += headers.all("Received")[-1:]
    found = hashlib.sha256("\n".join(given).encode("utf-8", "replace"))
    is_mbox, in_text, blank_lines = raw.startswith(b"From "), False, 0
    for line in io.BytesIO(raw if b"\n" in raw else raw.replace(b"\r", b"\n")):
        bare = line.rstrip()
        if not bare:
            blank_lines, in_text = blank_lines + 1, True
        elif in_text:
            found.update(b"\n" * blank_lines + (bare[1:] if is_mbox and _ESCAPED.match(bare) else bare))
            blank_lines = 1
    return found.hexdigest()


def _sender(headers: Headers, options: Options) -> str:
    """Who wrote it. Raises InvalidEvent when no header names an address."""
    authors = headers.addresses("From")
    for named in (headers.addresses("Sender"), headers.addresses("Reply-To"), headers.addresses("Return-Path")):
        authors = authors or named
    if not authors:
        raise InvalidEvent("From: no address")
    senders = {address.lower() for address in headers.addresses("Sender")}
    author = next((address for address in authors if address.lower() in senders), authors[0])
    if of_domains(author, options.our_domains) and ("List-Id" in headers or "List-Post" in headers):
        lists = {address.lower() for address in headers.addresses("To", "Cc", "List-Post", "X-BeenThere")}
        posted = headers.addresses("X-Original-From", "X-Original-Sender", "Reply-To")
        outside = [address for address in posted if not of_domains(address, options.our_domains)]
        return outside[0] if outside and author.lower() in lists else author
    return author


def _resender(headers: Headers, options: Options) -> str | None:
    """The customer who passed on to us what was not written to us, or None."""
    resent_by, resent_to = headers.addresses("Resent-From", "Resent-Sender"), headers.addresses(*_RESENT)
    if not resent_by or of_domains(resent_by[0], options.our_domains):
        return None
    to_us = any(of_domains(address, options.our_domains) for address in resent_to)
    written_to_us = any(of_domains(address, options.our_domains) for address in headers.addresses("To", "Cc"))
    return resent_by[0] if to_us and not written_to_us else None


def _resent(headers: Headers, reference: str, options: Options) -> dict[str, Any]:
    """What is different in a mail that was passed on: it is another one, in the same conversation."""
    told = f"{reference} {headers.raw('Resent-Date')} {headers.raw('Resent-To')}"
    own = message_id(headers.raw("Resent-Message-ID"))
    again = own or f"sha256:{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()}"
    return {
        "reference": again,
        "message_ref": again,
        "answers_ref": None,
        "in_reply_to": None,
        **headers.times(options, "Resent-Date"),
    }


def _facts(message: Message, headers: Headers, reference: str, options: Options) -> dict[str, Any]:
    """What is the same for every event of the message."""
    references = message_ids(headers.raw("References"))
    answered = next(iter(message_ids(headers.raw("In-Reply-To"))), references[-1] if references else None)
    subject = headers.text("Subject")
    says_nothing = subject is None or _SAYS_NOTHING.fullmatch(subject) is not None
    tickets = (case_ref("case", number) for number in _TICKET.findall(subject or ""))
    noted = attributes({name: headers.text(header) for name, header in _NOTED.items()})
    authors = headers.addresses("From")
    noted |= attributes(
        _kinds(message),
        authors=", ".join(authors) if len(authors) > 1 else None,
        to=", ".join(headers.addresses("To")),
        cc=", ".join(headers.addresses("Cc")),
        attachments=attachments(message) or None,
    )
    return {
        "reference": reference,
        "source_event_id": headers.raw("Message-ID"),
        "message_ref": reference,
        "answers_ref": answered,
        "in_reply_to": answered,
        "conversation_ref": references[0] if references else answered or reference,
        "case_refs": tuple(dict.fromkeys(ticket for ticket in tickets if ticket)),
        "subject": None if subject is None else subject[:LONGEST_SUBJECT],
        "summary": ((new_text(message) if says_nothing else None) or subject),
        "attributes": noted,
        **headers.times(options),
    }


def _kinds(message: Message) -> dict[str, str | None]:
    """What it is besides text: encrypted, an invitation and its METHOD (RFC 5546), a message forwarded whole."""
    found: dict[str, str | None] = {}
    for part in parts(message):
        kind = part.get_content_type()
        if kind in _CIPHERS and parameter(part, "smime-type") not in ("signed-data", "certs-only"):
            found["encrypted"] = _CIPHERS[kind]
        elif kind == "text/calendar":
            found["calendar"] = (parameter(part, "method") or "publish").lower()
        elif kind == "message/rfc822" and part is not message:
            found["forwarded"] = "message"
    return found


def _received(headers: Headers, sender: str, facts: dict[str, Any], options: Options) -> Event:
    ours = options.our_domains
    assurance = Assurance.ASSERTED if _authenticated(headers, sender) else Assurance.CLAIMED
    points = [point(Kind.EMAIL, sender, options, assurance=assurance)]
    reply_to = headers.addresses("Reply-To")
    if headers.addresses("From")[:1] != [sender] and sender in headers.addresses("Resent-From", "Resent-Sender"):
        points += _others(headers.addresses("From"), sender, options, Role.MENTIONED)
    # A list's Reply-To is the list, and would make one person of all its members.
    elif len(reply_to) == 1 and "List-Id" not in headers and not of_domains(reply_to[0], ours):
        points.append(point(Kind.EMAIL, reply_to[0], options, assurance=Assurance.INFERRED))
    if ours:
        points += _others(headers.addresses("To", "Cc"), sender, options, Role.CC)
    automatic = is_automatic(headers, sender)
    facts["attributes"] |= attributes(mailbox=_mailbox(headers, options), reply_to=", ".join(reply_to))
    return mail_event(
        options,
        type="message.auto_replied" if automatic else "message.received",
        direction=Direction.INBOUND,
        author=Author.MACHINE if automatic else Author.CUSTOMER,
        contact_points=points,
        **facts,
    )


def _mailbox(headers: Headers, options: Options) -> str | None:
    """Which of our addresses it came to."""
    named = headers.addresses("To", "Cc", *_RESENT)
    beneath = headers.addresses(*_ENVELOPE, "List-Post", "X-BeenThere")
    known = [address for address in (*named, *beneath) if of_domains(address, options.our_domains)]
    return next(iter(known or beneath), None)


def _sent(headers: Headers, sender: str, facts: dict[str, Any], options: Options) -> Iterator[Event]:
    for names in (("To",), ("Cc",), ("Bcc",), _RESENT, _ENVELOPE):
        recipients = [to for to in headers.addresses(*names) if not of_domains(to, options.our_domains)]
        if recipients:
            break
    else:
        raise InvalidEvent("To, Cc, Bcc: nobody outside our domains")
    if names == _RESENT:
        sender, facts = (
            next(iter(headers.addresses("Resent-From")), sender),
            facts | _resent(headers, facts["reference"], options),
        )
    copies = _others(headers.addresses("Cc"), sender, options, Role.CC) if names == ("To",) else []
    labels = [value for header in _TAG_HEADERS for value in headers.all(header)]
    content_type = content_type_of(labels)
    facts["attributes"] |= attributes(tags=", ".join(labels))
    replied = headers.word("Auto-Submitted") == "auto-replied" or says_machine(headers)
    for recipient in recipients:
        yield mail_event(
            options,
            type="message.auto_replied" if replied else "message.sent",
            direction=Direction.OUTBOUND,
            author=_author(headers, sender),
            agent=sender.lower(),
            content_type=content_type,
            purpose=purpose_of(content_type),
            contact_points=[point(Kind.EMAIL, recipient, options), *copies],
            **facts,
        )


def _others(addresses: list[str], sender: str, options: Options, role: Role) -> list[ContactPoint]:
    """Those of the addresses who are neither of us nor the sender."""
    others = [one for one in addresses if not of_domains(one, options.our_domains) and one.lower() != sender.lower()]
    return [point(Kind.EMAIL, address, options, role=role) for address in others[:MOST_COPIES]]


def _authenticated(headers: Headers, sender: str) -> bool:
    results = headers.raw("Authentication-Results") or ""
    if _DMARC.search(results):
        return True
    for result in _DKIM.findall(results[:20_000]):
        signers = [signer.lower() for signer in _SIGNER.findall(result)]
        domain = domain_of(sender)
        if not signers or any(within(domain, [signer]) or within(signer, [domain]) for signer in signers):
            return True
    return False


def _author(headers: Headers, sender: str) -> Author:
    if is_automatic(headers, sender):
        return Author.MACHINE
    # Whoever sends to many, or lets people unsubscribe (RFC 8058), sends a template.
    bulk = headers.word("Precedence") in ("bulk", "list", "junk")
    return Author.TEMPLATE if bulk or "List-Unsubscribe" in headers else Author.HUMAN
