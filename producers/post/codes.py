"""The log of personal codes: who followed the code or the address (QR, PURL) that was printed on a letter.

A row is a visit: the code, when, and what we know of it. `message_ref` is the item that the code was printed on (the
piece, as the carrier's reports name it), so that *viewed* finds *posted*; without it the code stands for the item.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from producers.format import Format, Options
from producers.machines import is_software
from producers.post.addresses import ABOUT_COLUMNS
from producers.reading import attributes, case_refs, content_type_of, event_of, point, purpose_of, source
from producers.tables import Columns, header_of, moment, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, Direction, Event, Kind

VENDOR = "codes"

CODE_COLUMNS = Columns(
    personal_code="code, qr code, qr, purl, short code, token, scanned code",
    time="visited at, scanned at, opened at, scan time, timestamp, date time, time, date",
    message_ref="message reference, piece, item, item id, mailing id, letter id, letter",
    url="link, address visited, landing page, target url",
    user_agent="useragent, browser, agent string",
    ip="ip address, remote address, client ip",
    place="counter, branch, shop, store, terminal",
    visit="visit id, hit id, scan id, request id, id",
    summary="title, campaign",
    **ABOUT_COLUMNS,
)
_CODE_PARAMETERS = ("code", "c", "token", "qr", "id", "ref")


def code_events(content: Any, options: Options) -> Iterator[Event]:
    """`item.viewed`, or `visit.recorded` when the code was shown at a counter (column `place`).

    The customer that the row names is attested: nobody else has the code. A machine's visit is marked as one.
    """
    row = CODE_COLUMNS.read(content, options)
    fields = row.fields
    code = fields.ref("personal_code") or _code_in(fields.ref("url"))
    if code is None:
        raise InvalidEvent("personal_code: missing, and url holds none")
    at = moment(fields, "time", options)
    if at is None:
        raise InvalidEvent("time: missing")
    account = fields.ref("customer")
    kind, value = (Kind.ANONYMOUS, f"code:{code}") if account is None else (Kind.ACCOUNT, account)
    item = fields.ref("message_ref")
    counter = fields.has("place")
    machine = is_software(fields.text("user_agent") or "") and not counter
    content_type = content_type_of(fields.texts("content_type"))
    yield event_of(
        "post",
        options,
        vendor=VENDOR,
        type="visit.recorded" if counter else "item.viewed",
        reference=code,
        system=source(VENDOR, options),
        discriminator=fields.ref("visit"),
        occurred_at=at,
        contact_points=[point(kind, value, options, assurance=Assurance.ATTESTED if account else Assurance.ASSERTED)],
        source_event_id=fields.ref("visit"),
        direction=Direction.INBOUND,
        conversation_ref=item,
        message_ref=item or code,
        case_refs=case_refs(fields),
        content_type=content_type,
        purpose=purpose_of(content_type),
        author=Author.MACHINE if machine else Author.CUSTOMER,
        machine=True if machine else None,
        summary=fields.text("summary"),
        piece=item,
        attributes=attributes(
            row.rest, {name: fields.value(name) for name in ("url", "user_agent", "ip", "place")}, code=code
        ),
    )


def _code_in(url: str | None) -> str | None:
    """The code in `https://acme.example/p/AbC` or `…?code=AbC`; None when there is none."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
    except ValueError:
        return None
    found = next((asked[name][0].strip() for name in _CODE_PARAMETERS if name in asked), None)
    return found or parts.path.rstrip("/").rpartition("/")[2].strip() or None


def is_codes(head: bytes) -> bool:
    """Whether a file has columns for a code, when it was followed, and how: that tells it from a carrier's scans."""
    header = header_of(head)
    if not CODE_COLUMNS.has(header, "time"):
        return False
    how = any(CODE_COLUMNS.has(header, name) for name in ("url", "user_agent", "ip", "place"))
    return how and (CODE_COLUMNS.has(header, "personal_code") or CODE_COLUMNS.has(header, "url", "message_ref"))


FORMAT = Format(
    name="codes",
    channel="post",
    title="the log of personal codes that were scanned or followed, CSV or JSON",
    example="""\
code,visited_at,piece,customer_ref,url,user_agent
AbC123,2026-03-07T18:30:00+01:00,ltr_0001,C-17,https://acme.example/p/AbC123,Mozilla/5.0
""",
    recognises=is_codes,
    payloads=table_payloads,
    events=code_events,
)
