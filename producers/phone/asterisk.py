"""Asterisk's call records: `Master.csv`, which has no header.

Two orders of columns are written: by `cdr_csv` (accountcode first) and by `cdr_custom` as its sample configures it
(clid first); which one shows in every row. FreePBX and other exports with a header are read by `calls`.

Orders: https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/CDR-Variables/ and the Asterisk
sources, `cdr/cdr_csv.c` and `configs/samples/cdr_custom.conf.sample`.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from producers.csv_rows import headless_payloads
from producers.format import Format, Options, Payload
from producers.phone.call import is_ours, is_withheld
from producers.phone.calls import call_events
from producers.reading import Fields
from schemas.errors import InvalidEvent
from schemas.models import Event

_ORDERS = tuple(
    order.split()
    for order in (
        "accountcode src dst dcontext clid channel dstchannel lastapp lastdata start answer end duration billsec"
        " disposition amaflags uniqueid userfield",
        "clid src dst dcontext channel dstchannel lastapp lastdata start answer end duration billsec disposition"
        " amaflags accountcode uniqueid userfield peeraccount linkedid sequence",
    )
)
_DISPOSITIONS = frozenset({"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION", "UNKNOWN"})
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?|\d{9,11}(\.\d+)?", re.ASCII)

# Where calls from outside arrive, and where those of our own lines do, in the usual dial plans.
_FROM_OUTSIDE = re.compile(
    r"from-(trunk|pstn|did|zaptel|dahdi|sip-external)|incoming|inbound|ext-(queues|group|did)|ivr-"
)
_FROM_INSIDE = re.compile(r"from-(internal|inside)|outbound|outgoing|macro-dialout|default-out")
_LONG_NUMBER = re.compile(r"\+?\d{7,}", re.ASCII)


_NO_ORDER = "row: in neither order of Asterisk's columns"


def asterisk_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The rows of the file, each as `{column: cell}`."""
    for payload in headless_payloads(stream):
        if payload.error is None:
            named = _named(payload.content)
            yield replace(payload, content=named, error=_NO_ORDER if named is None else None)
        else:
            yield payload


def asterisk_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one record; a call among our own lines is `unknown`.

    Who called whom shows in `options.our_numbers`, in the dial plan's context, or in which of the numbers is a mere
    extension. Raises InvalidEvent when none of them tells.
    """
    given = Fields.of(content)
    row = {name: given.value(name) for name in given.content if isinstance(name, str)}
    application = (given.text("lastapp") or "").lower()
    told: dict[str, Any] = {"direction": _direction(given, options)}
    if application == "queue":
        told["queue"] = (given.text("lastdata") or "").partition(",")[0] or None
    if application in {"voicemail", "voicemailmain"} and told["direction"] == "inbound":
        told["voicemail"] = "yes" if (given.text("disposition") or "").upper() == "ANSWERED" else None
    yield from call_events({**row, **told}, options)


def _direction(given: Fields, options: Options) -> str:
    caller, called = given.text("src") or "", given.text("dst") or ""
    context = (given.text("dcontext") or "").lower()
    if options.our_numbers and is_ours(caller, options) != is_ours(called, options):
        return "outbound" if is_ours(caller, options) else "inbound"
    inside = [not (is_withheld(number) or _LONG_NUMBER.search(number)) for number in (caller, called)]
    if inside == [True, True]:
        return "internal"
    if _FROM_OUTSIDE.search(context) or inside == [False, True]:
        return "inbound"
    if _FROM_INSIDE.search(context) or inside == [True, False]:
        return "outbound"
    raise InvalidEvent("dcontext: tells neither inbound nor outbound; name our own numbers")


def _named(cells: list[str]) -> dict[str, str] | None:
    """The cells by their names, in the order that fits; None when neither does."""
    for order in _ORDERS:
        start, end, disposition = (order.index(name) for name in ("start", "end", "disposition"))
        fits = disposition + 1 < len(cells) <= len(order) + 3 and cells[disposition].upper() in _DISPOSITIONS
        if fits and _TIME.fullmatch(cells[start].strip()) and _TIME.fullmatch(cells[end].strip()):
            names = [*order, *(f"column {place}" for place in range(len(order) + 1, len(cells) + 1))]
            return dict(zip(names, cells, strict=False))
    return None


def is_asterisk(head: bytes) -> bool:
    """Whether a file begins with a record in one of the two orders."""
    first = next(headless_payloads(io.BytesIO(head)), None)
    return first is not None and first.content is not None and _named(first.content) is not None


FORMAT = Format(
    name="asterisk",
    channel="phone",
    title="Asterisk's Master.csv, call records without a header",
    example='''\
"","+46700000001","200","from-trunk","""Ada Example"" <+46700000001>","PJSIP/trunk-01","PJSIP/200-02","Dial",\
"PJSIP/200,20","2026-03-02 09:14:00","2026-03-02 09:14:12","2026-03-02 09:17:12",192,180,"ANSWERED","DOCUMENTATION",\
"1772442840.1",""
''',
    recognises=is_asterisk,
    payloads=asterisk_payloads,
    events=asterisk_events,
)
