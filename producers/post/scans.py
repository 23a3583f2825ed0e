"""Scans of items by carriers, with the event codes of the Universal Postal Union.

The codes are those of EMSEVT V3 (UPU standard M40), the numbers those of standard S10. The columns are our own.
"""

import re
from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.post.addresses import ABOUT_COLUMNS, ADDRESS_COLUMNS, item_points, row_address
from producers.post.codes import is_codes
from producers.reading import Fields, attributes, case_refs, content_type_of, event_of, purpose_of, source
from producers.tables import Columns, header_of, moment, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import DeliveryBasis, Direction, Event

VENDOR = "scans"

# EMSEVT V3 (UPU standard M40): EM* are its first events, EX* on the way out, ED* at the destination. EXX and EDX
# (cancelled, terminated) say nothing of where the item is, and are unknown as every other code.
_IN_TRANSIT = "EMB EMC EMD EME EMF EMG EMJ EMK EXA EXB EXC EXD EDA EDB EDC EDD EDE EDF EDG EDH"
_SCANS = {
    **dict.fromkeys(_IN_TRANSIT.split(), "item.in_transit"),
    "EMA": "item.posted",
    "EMH": "item.delivery_attempted",
    "EMI": "item.delivered",
}
# What a scan says besides in words, of an action, a reason or a status; codes in their place are kept as they are.
_WORDS = (
    (re.compile(r"\breturn(ed|ing|s)?\b|\bretour\b|\bback to sender\b|\brts\b"), "item.returned"),
    (re.compile(r"\b(forward(ed|ing)?|redirect(ed)?|re-?rout(e|ed|ing))\b"), "item.rerouted"),
    (re.compile(r"\b(lost|destroyed|disposed|abandoned)\b"), "item.lost"),
)
_S10 = re.compile(r"[A-Z]{2}(\d{8})(\d)[A-Z]{2}", re.ASCII)
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)

SCAN_COLUMNS = Columns(
    item="item id, tracking number, barcode, s10, piece",
    code="event code, scan code, event type",
    time="event time, event date, scanned at, scan time, timestamp, date time, date",
    office="event office, facility, location",
    reason="reason code, non delivery reason, non delivery reason code",
    action="action code, action taken, non delivery action",
    returned="return, is returned, returned to sender",
    return_reason="reason for return",
    **ABOUT_COLUMNS,
    **ADDRESS_COLUMNS,
)


def scan_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one scan of an item by a carrier; a code that is none of an item's way is `unknown`.

    `returned`, a reason for it, or an action that says so in words make any scan a return."""
    row = SCAN_COLUMNS.read(content, options)
    fields = row.fields
    piece = re.sub(r"\s+", "", fields.required("item")).upper()
    global_id = _S10.fullmatch(piece)
    if global_id is not None and _s10_check_digit(global_id[1]) != int(global_id[2]):
        raise InvalidEvent("item: the check digit of the S10 number is wrong")
    code = fields.required("code").upper()
    at = moment(fields, "time", options)
    if at is None:
        raise InvalidEvent("time: missing")
    event_type = _type_of(fields, code)
    returned = event_type == "item.returned"
    content_type = content_type_of(fields.texts("content_type"))
    yield event_of(
        "post",
        options,
        vendor=VENDOR,
        type=event_type,
        reference=piece,
        system=None if global_id is not None else source(VENDOR, options),
        discriminator=code,
        occurred_at=at,
        contact_points=item_points(fields.ref("customer"), row_address(fields), f"piece:{piece}", options),
        direction=Direction.OUTBOUND if event_type == "item.posted" else Direction.REPORT,
        conversation_ref=piece,
        message_ref=piece,
        case_refs=case_refs(fields),
        content_type=content_type,
        purpose=purpose_of(content_type),
        piece=piece,
        delivery_basis=DeliveryBasis.SCAN if event_type == "item.delivered" else None,
        return_reason=fields.text("return_reason", "reason") if returned else None,
        attributes=attributes(
            row.rest, {name: fields.value(name) for name in ("office", "reason", "action")}, event_code=code
        ),
    )


def _type_of(fields: Fields, code: str) -> str:
    """What the scan is: a return as its own column says, else what its action says in words, else its code."""
    if fields.flag("returned") or fields.has("return_reason"):
        return "item.returned"
    said = (fields.text("action") or "").lower()
    worded = next((event_type for pattern, event_type in _WORDS if pattern.search(said)), None)
    return worded or _SCANS.get(code, "unknown")


def _s10_check_digit(digits: str) -> int:
    """UPU standard S10: weighted sum modulo 11, where 10 is written 0 and 11 is written 5."""
    remainder = 11 - sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, digits, strict=True)) % 11
    return {10: 0, 11: 5}.get(remainder, remainder)


def is_scans(head: bytes) -> bool:
    """Whether a file has columns for an item, an event code and its time, and is no log of personal codes."""
    return SCAN_COLUMNS.has(header_of(head), "item", "code", "time") and not is_codes(head)


FORMAT = Format(
    name="scans",
    channel="post",
    title="scans of items by carriers with UPU event codes, CSV or JSON",
    example="""\
item_id,event_code,event_time,office,customer_ref,content_type
RR123456785SE,EMI,2026-03-05T10:30:00+01:00,SEMMAA,C-17,invoice
""",
    recognises=is_scans,
    payloads=table_payloads,
    events=scan_events,
)
