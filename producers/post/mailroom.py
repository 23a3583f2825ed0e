"""The register of the mailroom: documents that customers send, and the choices that they state in them."""

import re
from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.post.addresses import ABOUT_COLUMNS, ADDRESS_COLUMNS, address_of, item_points, row_address
from producers.post.codes import is_codes
from producers.reading import Fields, attributes, case_refs, content_type_of, event_of, point, source
from producers.tables import Columns, header_of, moment, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import (
    Assurance,
    Author,
    Channel,
    ContactPoint,
    ContentType,
    Direction,
    Event,
    Kind,
    Purpose,
    Role,
    StatementKind,
)

VENDOR = "mailroom"

_DOCUMENTS = {
    "letter": "reply.received",
    "form": "reply.received",
    "card": "reply.received",
    "postcard": "reply.received",
    "return_envelope": "reply.received",
    "reply_card": "reply.received",
    "cancellation": "reply.received",
    "objection": "reply.received",
    "change_of_address": "address.changed",
    "payment": "invoice.paid",
    "returned_mail": "item.returned",
    "returned_letter": "item.returned",
    "undeliverable": "item.returned",
    "visit": "visit.recorded",
}
# The customer wants no more of it: of what the register names, else of all that is marketing.
_REFUSALS = frozenset({"cancellation", "objection"})
_MARKETING = (ContentType.NEWS, ContentType.OFFERS)
MAILROOM_COLUMNS = Columns(
    scan="scan id, document id, batch id",
    time="received at, received, date received, scan time, scanned at",
    reference="barcode, answers, in reply to, mailing reference, payment reference",
    sender="sender address text, sender address, sender, from",
    document_class="document type, class, category, document",
    pages="page count, number of pages",
    statement="preference, choice",
    return_reason="reason for return, undeliverable reason, reason",
    new_street="new street address, new address line 1, new address",
    new_city="new town",
    new_postal_code="new zip, new zip code, new postcode",
    new_country="new country code",
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
    """The event of one document that came in, and `preference.stated` for every choice that it states.

    A customer's own number is what the mailroom found (asserted), the sender's address what the letter says
    (claimed). A payment's reference is its invoice; that of mail which came back is the item itself; any other is
    the item that the document answers. A new address goes before the old one, which is only mentioned. A class of
    document that is none of these is `unknown`.
    """
    row = MAILROOM_COLUMNS.read(content, options)
    fields = row.fields
    scan = fields.required("scan")
    at = moment(fields, "time", options)
    if at is None:
        raise InvalidEvent("time: missing")
    document = re.sub(r"[\W_]+", "_", fields.required("document_class").lower()).strip("_")
    event_type = _DOCUMENTS.get(document, "unknown")
    reference = fields.ref("reference")
    payment, returned = event_type == "invoice.paid", event_type == "item.returned"
    paid = {"invoice": reference} if payment and not fields.has("invoice") else {}
    content_type = content_type_of(fields.texts("content_type"))
    statements = _statements(fields, document, content_type, options)
    answers = None if payment or returned else reference
    common: dict[str, Any] = {
        "reference": scan,
        "system": source(VENDOR, options),
        "occurred_at": at,
        "contact_points": _points(fields, event_type, scan, options),
        "source_event_id": scan,
        "direction": Direction.REPORT if returned else Direction.INBOUND,
        "conversation_ref": answers or (reference if returned else None) or scan,
        "message_ref": (reference if payment or returned else None) or scan,
        "answers_ref": answers,
        "case_refs": case_refs(Fields(paid), fields),
        "content_type": ContentType.INVOICES if payment else content_type,
        "purpose": Purpose.TRANSACTIONAL if payment else None,
        "topic": document if document in _REFUSALS else None,
        "author": None if returned else Author.CUSTOMER,
        "agent": fields.ref("agent"),
        "summary": fields.text("summary"),
        "piece": reference if returned else None,
        "document_class": document,
        "return_reason": fields.text("return_reason") if returned else None,
        "attributes": attributes(row.rest, pages=fields.value("pages"), scan=scan if payment or returned else None),
    }
    yield event_of("post", options, vendor=VENDOR, type=event_type, **common)
    for statement in statements:
        # Of several, each of its own content type.
        apart = str(statement["content_type"]) if len(statements) > 1 else None
        own = {**common, "statement": statement, "discriminator": apart}
        yield event_of("post", options, vendor=VENDOR, type="preference.stated", **own)


def _points(fields: Fields, event_type: str, scan: str, options: Options) -> tuple[ContactPoint, ...]:
    account = fields.ref("customer")
    given = row_address(fields)
    new = address_of(
        fields.text("new_street"),
        fields.text("new_city"),
        None,
        fields.text("new_postal_code"),
        fields.text("new_country") or fields.text("country"),
    )
    if event_type != "address.changed" or new is None:
        # What came back names whom we wrote to, not what a customer says.
        claimed = event_type != "item.returned"
        return item_points(account, given or fields.text("sender"), f"scan:{scan}", options, claimed=claimed)
    old = given or fields.text("sender")
    points = item_points(account, new, f"scan:{scan}", options, claimed=True)
    if old is None:
        return points
    return (*points, point(Kind.POSTAL, old, options, assurance=Assurance.CLAIMED, role=Role.MENTIONED))


def _statements(
    fields: Fields, document: str, content_type: ContentType | None, options: Options
) -> list[dict[str, Any]]:
    said = fields.text("statement")
    if said is not None:
        return [_statement(said, options)]
    if document not in _REFUSALS:
        return []
    refused = _MARKETING if content_type is None else (content_type,)
    return [{"kind": StatementKind.OPT_OUT, "content_type": one} for one in refused]


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
    return MAILROOM_COLUMNS.has(header_of(head), "scan", "time", "document_class") and not is_codes(head)


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
