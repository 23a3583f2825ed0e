"""Chat transcripts as CSV, one message or event a row: the fields of the `transcript` format, in columns.

Which column is which shows in the header's usual names, or is said with `--column FIELD=COLUMN`:

    touchlog produce chat export.csv --column conversation="Chat ID" --column from=Who

| field | usual names |
|---|---|
| conversation | conversation id, chat id, session id, thread id |
| from | sender, sender type, author, role, speaker: customer, agent, bot, system and their synonyms |
| direction | inbound or outbound: says who wrote where `from` is missing, or names the person |
| at | time, timestamp, date, sent at, created at |
| id, text, agent, in_reply_to | message id; message, content, body; agent name, operator; reply to |
| email, phone, account, visitor | customer email; mobile; customer id, user id; visitor id, device |
| topic, type, rating, case, order, invoice, page_url, … | as in `transcript` |

Other columns are kept as attributes. Times may be written as spreadsheets do. A row whose customer has no address is
`anonymous:chat:<conversation>`. The same message as a JSON line and as a row is one event.
"""

import re
from collections.abc import Iterator
from typing import Any

from producers.chat.transcript import WRITERS, transcript_events
from producers.format import Format, Options
from producers.tables import Columns, Row, csv_payloads, header_of, moment
from schemas.errors import InvalidEvent
from schemas.models import Event

TRANSCRIPT_COLUMNS = Columns(
    **{
        "conversation": "conversation id, session, session id, thread, thread id, chat, chat id, dialog id",
        "from": "sender, sender type, author, author type, role, speaker, who, written by",
        "direction": "message direction, inbound outbound, in out",
        "type": "event, event type",
        "at": "time, timestamp, ts, date, date time, sent at, created at, message time, message date",
        "id": "message id, msg id, message number",
        "text": "message, message text, content, body, message body",
        "agent": "agent id, agent name, operator, operator name, handled by, employee",
        "in_reply_to": "answers, reply to",
        "email": "customer email, mail, e mail, email address, visitor email, contact email, user email",
        "phone": "customer phone, phone number, mobile, msisdn, tel, telephone, customer number",
        "account": "account id, account number, customer id, customer ref, user id, client id, member id",
        "visitor": "visitor id, device, device id, cookie, guest id",
        "contact": "contact address",
        "assurance": "assurance",
        "topic": "subject, category, queue, tag, tags",
        "content_type": "content_type",
        "purpose": "purpose",
        "case": "case id, case number, ticket, ticket id, ticket number",
        "order": "order id, order number",
        "invoice": "invoice id, invoice number",
        "page_url": "page, url, page address",
        "step": "step",
        "rating": "score, csat, satisfaction",
        "survey": "survey kind",
        "scale_max": "scale",
    }
)
_WAYS = {
    **dict.fromkeys(("in", "inbound", "incoming", "received"), "customer"),
    **dict.fromkeys(("out", "outbound", "outgoing", "sent"), "agent"),
}


def transcript_row_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one row. Raises InvalidEvent."""
    row = TRANSCRIPT_COLUMNS.read(content, options)
    line = {name: value for name, value in row.fields.content.items() if name != "direction"}
    at = moment(row.fields, "at", options)
    if at is not None:
        line["at"] = at
    rest: dict[str, Any] = {name: value for name, value in row.rest.items() if value}
    writer = _writer(row)
    if writer and "agent" not in writer and row.fields.has("from"):
        rest["sender"] = row.fields.text("from")
    yield from transcript_events({**line, **writer, "attributes": rest}, options)


def _writer(row: Row) -> dict[str, str]:
    """Who wrote, by what `from` or else the direction says; a person's name beside `outbound` is the agent's."""
    said, way = row.fields.text("from"), row.fields.text("direction")
    if way is None or (said is not None and said.lower() in WRITERS):
        return {}
    known = _WAYS.get(re.sub(r"[^a-z]", "", way.lower()))
    if known is None:
        raise InvalidEvent("direction: neither inbound nor outbound")
    if said is None or known == "customer" or row.fields.has("agent"):
        return {"from": known}
    return {"from": known, "agent": said}


def is_transcript_table(head: bytes) -> bool:
    """Whether a file's header has what tells a message of a conversation."""
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
        return False
    header = header_of(head)
    told = any(TRANSCRIPT_COLUMNS.has(header, field) for field in ("from", "direction", "type"))
    return TRANSCRIPT_COLUMNS.has(header, "conversation") and told


FORMAT = Format(
    name="transcript-csv",
    channel="chat",
    title="chat transcripts (CSV, one message a row)",
    example="""\
conversation,message_id,time,from,email,text,topic
c-17,m-1,2026-03-02T09:14:05Z,customer,ada@example.org,Where is my invoice?,billing
""",
    recognises=is_transcript_table,
    payloads=csv_payloads,
    events=transcript_row_events,
)
