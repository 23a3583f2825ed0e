"""The register of the mailroom: documents that customers send, and the choices that they state in them."""

import re
from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.post.addresses import ABOUT_COLUMNS, ADDRESS_COLUMNS, item_points, row_address
from producers.reading import Fields, attributes, case_refs, content_type_of, event_of, source
from producers.tables import Columns, header_of, moment, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import Author, Channel, Direction, Event, StatementKind

VENDOR = "mailroom"

_DOCUMENTS = {
    "letter": "reply.received",
    "form": "reply.received",
    "return_envelope": "reply.received",
    "change_of_address": "address.changed",
    "payment": "invoice.paid",
}
MAILROOM_COLUMNS = Columns(
    scan="scan id, document id, batch id",
    time="received at, received, date received, scan time, scanned at",
    reference="barcode, answers, in reply to, mailing reference, payment reference",
    sender="sender address text, sender address, sender, from",
    document_class="document type, class, category, document",
    pages="page count, number of pages",
    statement="preference, choice",
    summary="subject, note, notes",
    agent="handled by, clerk, operator",
    **ABOUT_COLUMNS,
    **ADDRESS_COLUMNS,
)

_STATEMENT = re.compile(r"(opt out|unsubscribe|opt in|subscribe|pause|prefer|do not contact)\b(.*)")
_STATEMENT_KINDS = {
    "opt out": StatementKind.OPT_OUT,
    "unsubscribe": StatementKind.OPT_OUT,
    "opt in": StatementKind.OPT_IN,
    "subscribe": StatementKind.OPT_IN,
    "pause": StatementKind.PAUSE,
    "prefer": StatementKind.PREFER,
    "do not contact": StatementKind.DO_NOT_CONTACT,
}
_CHANNELS = {
    **{channel.value: channel for channel in Channel},
    "letter": Channel.POST,
    "letters": Channel.POST,
    "call": Channel.PHONE,
    "calls": Channel.PHONE,
    "mail": Channel.POST,
    "sms": Channel.CHAT,
}
_FILLERS = frozenset({"of", "from", "by", "on", "for", "the", "all", "to", "everything", "me"})


def mailroom_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one document that came in, and `preference.stated` when it states a choice.

    A customer's own number is what the mailroom found (asserted), the sender's address what the letter says
    (claimed). A payment's reference is an invoice number; any other is the item that the document answers.
    """
    row = MAILROOM_COLUMNS.read(content, options)
    fields = row.fields
    scan = fields.required("scan")
    at = moment(fields, "time", options)
    if at is None:
        raise InvalidEvent("time: missing")
    document = re.sub(r"[\W_]+", "_", fields.required("document_class").lower()).strip("_")
    if document not in _DOCUMENTS:
        raise InvalidEvent(f"document_class: not one of {', '.join(_DOCUMENTS)}")
    reference = fields.ref("reference")
    payment = document == "payment"
    paid = {"invoice": reference} if payment and not fields.has("invoice") else {}
    said = fields.text("statement")
    statement = None if said is None else _statement(said, options)
    answers = None if payment else reference
    address = row_address(fields) or fields.text("sender")
    common: dict[str, Any] = {
        "reference": scan,
        "system": source(VENDOR, options),
        "occurred_at": at,
        "contact_points": item_points(fields.ref("customer"), address, f"scan:{scan}", options, claimed=True),
        "source_event_id": scan,
        "direction": Direction.INBOUND,
        "conversation_ref": answers or scan,
        "message_ref": scan,
        "answers_ref": answers,
        "case_refs": case_refs(Fields(paid), fields),
        "content_type": content_type_of(fields.texts("content_type")),
        "author": Author.CUSTOMER,
        "agent": fields.ref("agent"),
        "summary": fields.text("summary"),
        "document_class": document,
        "attributes": attributes(row.rest, pages=fields.value("pages")),
    }
    yield event_of("post", options, vendor=VENDOR, type=_DOCUMENTS[document], **common)
    if statement is not None:
        yield event_of("post", options, vendor=VENDOR, type="preference.stated", statement=statement, **common)


def _statement(said: str, options: Options) -> dict[str, Any]:
    """`opt out of offers by post`, `pause news until 2026-06-01`: what to do, with what, on which channel."""
    text, until_mark, until = re.sub(r"[_\s-]+(?!\d)", " ", said.lower()).partition(" until ")
    found = _STATEMENT.fullmatch(text.strip())
    if found is None:
        raise InvalidEvent(f"statement: begins with none of {', '.join(_STATEMENT_KINDS)}")
    statement: dict[str, Any] = {"kind": _STATEMENT_KINDS[found[1]]}
    for word in re.findall(r"\w+", found[2]):
        content_type = content_type_of([word])
        if word in _CHANNELS:
            statement["channel"] = _CHANNELS[word]
        elif content_type is not None:
            statement["content_type"] = content_type
        elif word not in _FILLERS:
            raise InvalidEvent("statement: a word that is neither a content type nor a channel")
    if until_mark:
        statement["until"] = moment(Fields({"until": until}, "statement"), "until", options)
    return statement


def is_mailroom(head: bytes) -> bool:
    """Whether a file has columns for a scan, its time and the class of the document."""
    return MAILROOM_COLUMNS.has(header_of(head), "scan", "time", "document_class")


FORMAT = Format(
    name="mailroom",
    channel="post",
    title="the register of documents that came in, CSV or JSON",
    example="""\
scan_id,received_at,customer_ref,document_class,pages,statement
S-3023,2026-03-02T12:28:22+00:00,C-17,form,1,prefer invoices by email
""",
    recognises=is_mailroom,
    payloads=table_payloads,
    events=mailroom_events,
)
