"""Messages as they stand in files (.eml), or many in one (mbox)."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from producers.email.messages import message_events
from producers.format import Format, Options, Payload

_HEADER = re.compile(rb"([!-9;-~]{1,80})[ \t]*:")
_KNOWN = frozenset(
    {b"from", b"to", b"cc", b"date", b"subject", b"received", b"message-id", b"return-path", b"reply-to"}
    | {b"delivered-to", b"mime-version", b"content-type", b"sender", b"dkim-signature", b"x-original-to"}
    | {b"x-mozilla-status", b"authentication-results", b"arc-seal", b"list-id"}
)
# An mbox separator has an address and ends with the time, as asctime writes it; "From here on" in a text has none.
_SEPARATOR = re.compile(rb"From \S+.*\d\d:\d\d.*\d{4}")


def message_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The messages of a file: of an mbox one by one, else the whole file as one. The content is the bytes."""
    lines: list[bytes] = []
    begun, place, after_blank, is_mbox = 1, 0, False, False
    for number, line in enumerate(stream, 1):
        if not is_mbox and not lines and not line.strip():
            continue
        if not lines:
            begun = number
            is_mbox = is_mbox or _SEPARATOR.match(line) is not None
        elif is_mbox and after_blank and _SEPARATOR.match(line):
            yield _message(lines, begun, place)
            lines, begun, place = [], number, place + 1
        lines.append(line)
        after_blank = not line.strip()
    if lines:
        yield _message(lines, begun, place if is_mbox and place else None)


def is_message(head: bytes) -> bool:
    """Whether a file begins with the header fields of a message."""
    known = 0
    for line in head.removeprefix(b"\xef\xbb\xbf").lstrip().splitlines()[:200]:
        if not line.strip():
            break
        if line[:1] in b" \t" or line.startswith((b"From ", b">From ")):
            continue
        header = _HEADER.match(line)
        if header is None:
            break
        known += header[1].lower() in _KNOWN
    return known > 0


def _message(lines: list[bytes], line: int, item: int | None) -> Payload:
    raw = b"".join(lines)
    return Payload(raw=raw, line=line, item=item, content=raw)


FORMAT = Format(
    name="rfc5322",
    channel="email",
    title="messages in RFC 5322 form (.eml, mbox)",
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
