"""Messages as they stand in files (.eml, a Maildir's), or many in one (mbox, RFC 4155).

| mail | event |
|---|---|
| from outside | message.received; message.auto_replied when a machine wrote it (`producers.email.automatic`) |
| from one of our domains (`--our-domain`) | message.sent, once for each recipient outside |
| a report of a mail system about a mail of ours | message.bounced, .deferred, .delivered, .opened, .complained |
| among ourselves | refused: it touches no customer |

message_ref is the Message-ID, the thread the first of References. How senders, times and summaries are found stands in
`producers.email.messages`, how reports are read in `producers.email.reports`. A file is read line by line and a message
at a time: an mbox may be of any size. What large attachments hold is not read.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from producers.email.headers import FIELD, KNOWN_FIELDS
from producers.email.messages import message_events
from producers.format import Format, Options, Payload

# An mbox separator has an address and ends with the time, as asctime writes it; "From here on" in a text has none.
_SEPARATOR = re.compile(rb"From \S+.*\d\d:\d\d.*\d{4}")
_LONGEST_SEPARATOR = 500


def message_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The messages of a file: of an mbox one by one, else the whole file as one. The content is the bytes."""
    message = io.BytesIO()
    begun, place, after_blank, is_mbox = 1, 0, False, False
    for number, line in enumerate(stream, 1):
        empty = not message.tell()
        blank = not line.strip()
        if empty and blank and not is_mbox:
            continue
        if empty:
            begun = number
            is_mbox = is_mbox or _separates(line.removeprefix(b"\xef\xbb\xbf"))
        elif is_mbox and after_blank and _separates(line):
            yield _payload(message, begun, place)
            message, begun, place = io.BytesIO(), number, place + 1
        message.write(line)
        after_blank = blank
    if message.tell():
        yield _payload(message, begun, place if is_mbox and place else None)


def is_message(head: bytes) -> bool:
    """Whether a file begins with the header fields of a message."""
    known = 0
    for line in head.removeprefix(b"\xef\xbb\xbf").lstrip().splitlines():
        if not line.strip():
            break
        if line[:1] in b" \t" or line.startswith((b"From ", b">From ")):
            continue
        field = FIELD.match(line)
        if field is None:
            break
        known += field[1].lower() in KNOWN_FIELDS
    return known > 0


def _separates(line: bytes) -> bool:
    return line.startswith(b"From ") and _SEPARATOR.match(line[:_LONGEST_SEPARATOR]) is not None


def _payload(message: io.BytesIO, line: int, item: int | None) -> Payload:
    raw = message.getvalue()
    return Payload(raw=raw, line=line, item=item, content=raw)


FORMAT = Format(
    name="rfc5322",
    channel="email",
    title="messages in RFC 5322 form (.eml, mbox, Maildir)",
    example="""\
From: Ada Example <ada@example.org>
To: support@acme.example
Date: Mon, 2 Mar 2026 09:14:05 +0000
Message-ID: <m1@example.org>
Subject: Where is my invoice?

I have not seen it yet.
""",
    recognises=is_message,
    payloads=message_payloads,
    events=message_events,
)
