"""What the e-mail vendors' webhooks have in common, once their words are known.

    report_event(options, vendor="mailgun", type="link.clicked", recipient=…, reference=…, occurred_at=…, url=…)
    bounce_class_of("5.1.1", "smtp; 550 5.1.1 unknown")    hard, soft or block, or None when no code is found
    header_pairs(fields, "Headers", "Name", "Value")       header fields that are told as a list of objects
    given_ref(data, "message_ref")                         the reference that it gave
    statement_of("subscription.opted_out", content_type)   None, all that is marketing, where nothing says of what
    received_mail(headers, text, options, vendor=…)        a customer's mail that the vendor has taken apart
    relayed_mail(raw, options, vendor=…)                   the same, when the vendor hands it on whole

Whose act a report tells of follows from its type: an open, a click, a complaint or a choice is the reader's (inbound,
author customer), unless a machine made it; everything else is the provider's report.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from producers.email.headers import LONGEST_TEXT
from producers.email.messages import message_events
from producers.email.reports import bounce_class
from producers.fields import Fields, well_formed
from producers.format import Options
from producers.message_ids import message_id
from producers.reading import event_of, point, source
from producers.subjects import purpose_of
from schemas.models import (
    Assurance,
    Author,
    BounceClass,
    Channel,
    ContactPoint,
    ContentType,
    Direction,
    Event,
    Kind,
    Statement,
    StatementKind,
)

BY_THE_READER = frozenset(
    {
        "message.opened",
        "link.clicked",
        "message.complained",
        "message.complaint_withdrawn",
        "subscription.opted_out",
        "subscription.opted_in",
    }
)
_CHOICES = frozenset({"subscription.opted_out", "subscription.opted_in"})
BY_MACHINES_TOO = frozenset({"message.opened", "link.clicked"})

# One name for what the vendors call by several.
_SAME = {
    "ip_address": "ip",
    **dict.fromkeys(("useragent", "agent"), "user_agent"),
    **dict.fromkeys(("category", "rcpt_tags", "tag"), "tags"),
    "bounce_sub_type": "bounce_subtype",
    **dict.fromkeys(("smtp_response", "smtp_reply"), "response"),
    "num_retries": "attempt",
}

LONGEST_SUBJECT = 1_000
LONGEST_DIAGNOSIS = 4_000
MOST_HEADERS = 1_000

_ENHANCED = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_REPLY = re.compile(r"\s*(?:smtp;\s*)?([45]\d\d)\b")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
# The parts of a mail that was taken apart are gone: its text stands alone.
_OF_PARTS = frozenset({"content-type", "content-transfer-encoding", "mime-version", "content-disposition"})


def report_event(
    options: Options,
    *,
    vendor: str,
    type: str,  # noqa: A002 - the contract's own name for the field
    recipient: str,
    reference: str,
    occurred_at: datetime | None,
    content_type: ContentType | None = None,
    machine: bool | None = None,
    subject: str | None = None,
    assurance: Assurance = Assurance.ASSERTED,
    points: Iterable[ContactPoint] = (),
    **fields: Any,
) -> Event:
    """An event about a mail of ours to `recipient`, as `producers.reading.event_of` builds it.

    Filled in are direction, author, purpose and summary; each may be given instead. Attributes that vendors name
    differently have one name (`ip`, `user_agent`, `tags`, `response`). `machine` counts for opens and
    clicks alone. `assurance` is inferred when the vendor does not know which of several recipients it was; `points`
    are further contact points. Raises InvalidEvent.
    """
    machine = machine if type in BY_MACHINES_TOO else None
    by_reader = type in BY_THE_READER and not machine
    subject = None if subject is None else subject[:LONGEST_SUBJECT]
    if type in _CHOICES and fields.get("statement") is None:
        # What the mail was about is not what was left with it.
        content_type = None
    noted = {_SAME.get(name, name): text for name, text in fields.pop("attributes", {}).items()}
    given = {
        "attributes": noted,
        "direction": Direction.INBOUND if by_reader else Direction.REPORT,
        "author": Author.CUSTOMER if by_reader else Author.MACHINE if machine else None,
        "purpose": purpose_of(content_type),
        "summary": subject,
        **fields,
    }
    return event_of(
        "email",
        options,
        vendor=vendor,
        type=type,
        reference=reference,
        occurred_at=occurred_at,
        contact_points=[point(Kind.EMAIL, recipient, options, assurance=assurance), *points],
        content_type=content_type,
        machine=machine,
        subject=subject,
        **given,
    )


def bounce_class_of(*said: str | None) -> BounceClass | None:
    """The class of a bounce by what was said of it, the surest first: status, then diagnostic texts.

    The first enhanced status code (RFC 3463) that stands in one of them counts, else the first SMTP reply code that
    one begins with; `producers.email.reports.bounce_class` has the rule. None when there is neither.
    """
    texts = [text[:LONGEST_DIAGNOSIS] for text in said if text]
    enhanced = next((found[0] for text in texts if (found := _ENHANCED.search(text))), None)
    code = enhanced or next((found[1] for text in texts if (found := _REPLY.match(text))), None)
    return None if code is None else bounce_class(code)


def given_ref(fields: Fields, *names: str) -> str | None:
    """The reference that our own system gave with the mail: in the form of `message_ids` when it is a Message-ID."""
    given = fields.ref(*names)
    return message_id(given) if given is not None and "@" in given else given


def statement_of(type_: str, content_type: ContentType | None, *, everything: bool = False) -> Statement | None:
    """What the reader states by (un)subscribing from mail about `content_type`, or from `everything` on e-mail.

    None when a list or stream that was left names no content type: the type alone means news and offers then, and
    `report_event` takes care that it does. Such a list that is joined is to be no `subscription.opted_in` at all: to
    take back one list permits nothing else.
    """
    content_type = None if everything else content_type
    if type_ not in _CHOICES or not (everything or content_type):
        return None
    kind = StatementKind.OPT_OUT if type_ == "subscription.opted_out" else StatementKind.OPT_IN
    return Statement(kind=kind, channel=Channel.EMAIL, content_type=content_type)


def header_pairs(fields: Fields, listed: str, name: str, value: str) -> list[tuple[str, str]]:
    """The header fields of a list of objects that have each field's name and value; others are left out."""
    given = fields.value(listed)
    items = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    pairs = ((item.get(name), item.get(value)) for item in items)
    return [(name, value) for name, value in pairs if isinstance(name, str) and isinstance(value, str)]


def authentication(server: str, **passed: bool) -> tuple[str, str]:
    """What a vendor found out about the sender, as the header field that stands above all others (RFC 8601)."""
    results = "; ".join(f"{method}={'pass' if right else 'none'}" for method, right in passed.items())
    return "Authentication-Results", f"{server}; {results or 'none'}"


def received_mail(
    headers: Iterable[tuple[str, str]],
    text: str,
    options: Options,
    *,
    vendor: str,
    source_event_id: str | None = None,
    noted: Mapping[str, str] | None = None,
) -> Iterator[Event]:
    """The events of a mail that a vendor received for us and took apart into header fields and text.

    They are those of `producers.email.messages`, with the same ids, so that the mail is one event also when a mailbox
    has it; `noted` joins the attributes. Raises InvalidEvent when nobody can be named.
    """
    lines: list[str] = []
    for name, value in list(headers)[:MOST_HEADERS]:
        # A report of a mail system stays one, and is no customer's message, even when what it reports is gone.
        report = name.lower() == "content-type" and value.strip().lower().startswith("multipart/report")
        if report or (_FIELD_NAME.fullmatch(name) and name.lower() not in _OF_PARTS):
            lines.append(f"{name}: {' '.join(well_formed(value).split())}")
    if not any(line.lower().startswith("content-type:") for line in lines):
        lines += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    lines += ["", well_formed(text)[:LONGEST_TEXT]]
    yield from relayed_mail(
        "\n".join(lines).encode(), options, vendor=vendor, source_event_id=source_event_id, noted=noted
    )


def relayed_mail(
    raw: bytes,
    options: Options,
    *,
    vendor: str,
    source_event_id: str | None = None,
    noted: Mapping[str, str] | None = None,
) -> Iterator[Event]:
    """As `received_mail`, for a mail that the vendor hands on whole."""
    for event in message_events(raw, options):
        told = {"source": source(vendor, options), "attributes": {**event.attributes, **(noted or {})}}
        if source_event_id is not None:
            told["source_event_id"] = source_event_id
        yield event.model_copy(update=told)
