"""Post: the formats that are understood.

lob         Lob's events
scans       scans of items by carriers
mailroom    the register of documents that came in

An item is known by its piece: Lob's id or the carrier's barcode. A letter whose recipient nobody names is keyed
`anonymous:piece:<id>`, which is nobody's identity; its events still find each other by `message_ref`.
"""

from producers.format import Format
from producers.post_lob import is_lob, lob_events
from producers.post_mailroom import is_mailroom, mailroom_events
from producers.post_scans import is_scans, scan_events
from producers.reading import json_payloads
from producers.tables import table_payloads

FORMATS: tuple[Format, ...] = (
    Format(
        name="lob",
        channel="post",
        title="Lob events of letters, postcards, self mailers and checks, JSON",
        recognises=is_lob,
        payloads=json_payloads,
        events=lob_events,
    ),
    Format(
        name="scans",
        channel="post",
        title="scans of items by carriers with UPU event codes, CSV or JSON",
        recognises=is_scans,
        payloads=table_payloads,
        events=scan_events,
    ),
    Format(
        name="mailroom",
        channel="post",
        title="the register of documents that came in, CSV or JSON",
        recognises=is_mailroom,
        payloads=table_payloads,
        events=mailroom_events,
    ),
)
