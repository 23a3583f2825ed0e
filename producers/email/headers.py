"""What real mail says in its headers and parts, however badly it is made. Nothing here raises but InvalidEvent."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from functools import lru_cache
from typing import Any

from producers.fields import well_formed
from producers.format import Options
from producers.reading import event_of, timeless_id
from producers.times import read_time
from schemas.errors import InvalidEvent
from schemas.models import CLOCK_TOLERANCE, EARLIEST, ContactPoint, Event

VENDOR = "rfc5322"
LONGEST_ADDRESS = 320
LONGEST_TEXT = 10_000
"""Of a header's text; reading encoded words takes quadratic time."""

FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:")
KNOWN_FIELDS = frozenset(
    {b"from", b"to", b"cc", b"date", b"subject", b"received", b"message-id", b"return-path", b"reply-to"}
    | {b"delivered-to", b"mime-version", b"content-type", b"sender", b"dkim-signature", b"x-original-to"}
    | {b"x-mozilla-status", b"authentication-results", b"arc-seal", b"list-id", b"resent-from"}
)
"""What begins a message, among other fields."""

_LARGE = 1 << 20
_LONGEST_RUN = 1 << 18
_MOST_ADDRESSES = 1 << 17
_MOST_SEARCHED = 100_000
_SPACE = re.compile(r"\s+")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
_LOOKS_LIKE_ADDRESS = re.compile(
    r"(?<![^\s<>\"(),:;\[\]])[^\s<>\"(),:;\[\]@]{1,64}@[^\s<>\"(),:;\[\]@]{1,255}(?![^\s<>\"(),:;\[\]])"
)
_STAMPED = re.compile(r";([^;]{0,200})$")
# Codecs of Python that are no charset of mail; some warn, some take quadratic time.
_NO_CHARSETS = frozenset({"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined"})
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})


class Headers:
    """The header fields of one message: names without case, bytes beyond ASCII read as UTF-8, else as Latin-1."""

    def __init__(self, message: Message) -> None:
        self._fields: dict[str, list[str]] = {}
        self._known: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            self._fields.setdefault(str(name).lower(), []).append(_unescaped(str(value)))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    def all(self, name: str) -> list[str]:
        """All fields of that name as they stand, unfolded."""
        return [_SPACE.sub(" ", value).strip() for value in self._fields.get(name.lower(), [])]

    def raw(self, name: str) -> str | None:
        """The first field of that name as it stands, unfolded, or None."""
        return next((value for value in self.all(name) if value), None)

    def text(self, name: str) -> str | None:
        """The first field of that name with its encoded words read, of at most 10,000 characters."""
        given = self.raw(name)
        return None if given is None else _SPACE.sub(" ", _words(given[:LONGEST_TEXT])).strip() or None

    def word(self, name: str) -> str:
        """The first word of a field in lower case, without parameters; empty when there is none."""
        return re.split(r"[\s;(]", self.raw(name) or "", maxsplit=1)[0].lower()

    def addresses(self, *names: str) -> list[str]:
        """The addresses of all fields of these names, without display names, group names and repetitions."""
        found: dict[str, str] = {}
        for value in (value for name in names for value in self.all(name)):
            # Asked for again and again, and slow where there are thousands.
            if value not in self._known:
                self._known[value] = _addresses(value)
            for address in self._known[value]:
                found.setdefault(address.lower(), address)
        return list(found.values())

    def date(self, options: Options, name: str = "Date") -> datetime | None:
        """When it was written, as the field `name` says; else as `received`; else None.

        A Date before 1995 is none, and so is one more than a day after our server had the mail already.
        """
        written, received = self._written(options, name), self.received(options)
        if written is None or received is None:
            return written or received
        return written if written >= EARLIEST and written - received <= CLOCK_TOLERANCE else received

    def times(self, options: Options, name: str = "Date") -> dict[str, Any]:
        """`occurred_at`, and `makeshift` where that is not what the mail itself says: for `mail_event`."""
        found = self.date(options, name)
        return {"occurred_at": found, "makeshift": found is not None and found != self._written(options, name)}

    def received(self, options: Options) -> datetime | None:
        """When our own server had it: the newest Received, which stands on top, or the next that says when."""
        stamps = (_STAMPED.search(value) for value in self.all("Received"))
        times = (_time(stamp[1], options) for stamp in stamps if stamp is not None)
        return next((time for time in times if time is not None and time >= EARLIEST), None)

    def _written(self, options: Options, name: str) -> datetime | None:
        return next((time for value in self.all(name) if (time := _time(value, options)) is not None), None)


def parsed(raw: bytes) -> Message:
    """The message, its header block mended; raises InvalidEvent when its parts are nested beyond reading.

    Of parts of more than 256 KiB the rest is left out: nobody reads an attachment here.
    """
    try:
        return message_from_bytes(_mended(_slimmed(raw)))
    except RecursionError:
        raise InvalidEvent("message: parts nested too deeply") from None


def parts(message: Message, *, nested: bool = False) -> Iterator[Message]:
    """The parts of a message in order, itself first; at most a thousand. `nested`: those of messages in it, too."""
    waiting = [message]
    for _ in range(1_000):
        if not waiting:
            return
        part = waiting.pop()
        yield part
        if part is not message and not nested and part.get_content_maintype() == "message":
            continue
        inner = part.get_payload()
        if isinstance(inner, list):
            waiting.extend(piece for piece in reversed(inner) if isinstance(piece, Message))


def body(part: Message) -> str:
    """The text of one part, its transfer encoding and charset undone as far as they can be."""
    try:
        content = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
    except (ValueError, LookupError, AssertionError, TypeError):
        return ""
    return well_formed(_decoded(content, charset)) if isinstance(content, bytes) else ""


def parameter(part: Message, name: str) -> str:
    """A parameter of a part's Content-Type in lower case; empty when there is none that can be read."""
    try:
        found = part.get_param(name, "")
    except (ValueError, LookupError, AssertionError, TypeError):
        return ""
    return found.strip().lower() if isinstance(found, str) else ""


def attachments(message: Message) -> int:
    """How many files hang on it; signatures of OpenPGP and S/MIME are none."""
    return sum(is_attachment(part) and part.get_content_type() not in _SIGNATURES for part in parts(message))


def mail_event(
    options: Options,
    *,
    type: str,  # noqa: A002 - the contract's own name for the field
    reference: str,
    occurred_at: datetime | None,
    contact_points: list[ContactPoint],
    makeshift: bool = False,
    discriminator: str | None = None,
    **fields: Any,
) -> Event:
    """As `producers.reading.event_of`; with `makeshift` the id does not depend on the time, which says whence it is.

    The same mail has other times of receipt in other mailboxes, and is one event. Raises InvalidEvent.
    """
    if makeshift and occurred_at is not None and contact_points:
        fields["event_id"] = timeless_id(reference, type, contact_points, discriminator)
        fields["attributes"] = {**fields.get("attributes", {}), "time_from": "received"}
    return event_of(
        "email",
        options,
        vendor=VENDOR,
        type=type,
        reference=reference,
        occurred_at=occurred_at,
        contact_points=contact_points,
        discriminator=discriminator,
        **fields,
    )


def is_address(text: str) -> bool:
    """Whether it may be an address at all."""
    local, at, domain = text.rpartition("@")
    return bool(local and at and domain) and len(text) <= LONGEST_ADDRESS and text.isprintable()


def domain_of(address: str) -> str:
    """The domain, in lower case and in Unicode."""
    return _unicode_domain(address.rpartition("@")[2].strip(" .>").lower()[:LONGEST_ADDRESS])


def of_domains(address: str, domains: Iterable[str]) -> bool:
    """Whether the address belongs to one of the domains or to a domain below it."""
    return within(domain_of(address), domains)


def within(domain: str, domains: Iterable[str]) -> bool:
    """Whether the domain is one of the domains or below one of them."""
    known = (_unicode_domain(given.strip(" .@").lower()) for given in domains)
    return any(own and (domain == own or domain.endswith(f".{own}")) for own in known)


@lru_cache(maxsize=4_096)
def _unicode_domain(domain: str) -> str:
    if "xn--" not in domain:
        return domain
    try:
        return domain.encode("ascii").decode("idna")
    except ValueError:
        return domain


def _addresses(value: str) -> list[str]:
    """The addresses of one field; what cannot be parsed is searched for something that looks like one."""
    value = value[:_MOST_ADDRESSES]
    try:
        given = [well_formed(address).strip(" '") for _, address in getaddresses([value])]
    except (RecursionError, IndexError, ValueError):
        given = []
    found = [address for address in given if is_address(address) and not re.search(r"[\s<>\"]", address)]
    if found:
        return found
    # Some programs encode the whole field, address and all.
    text = f"{value[:_MOST_SEARCHED]} {_words(value[:LONGEST_TEXT])}"
    return [address for address in _LOOKS_LIKE_ADDRESS.findall(text) if is_address(address)]


def _time(value: str, options: Options) -> datetime | None:
    try:
        return read_time(value, options)
    except InvalidEvent:
        return None


def _words(text: str) -> str:
    """A header's text with its encoded words (RFC 2047) read."""
    try:
        chunks = decode_header(text)
    except (HeaderParseError, ValueError, LookupError, AssertionError):
        return well_formed(text)
    return well_formed(
        "".join(chunk if isinstance(chunk, str) else _chunk(chunk, charset) for chunk, charset in chunks)
    )


def _chunk(content: bytes, charset: str | None) -> str:
    if charset is not None:
        return _decoded(content, charset)
    try:
        # The standard library's own escape for what stood between encoded words.
        return content.decode("raw-unicode-escape")
    except ValueError:
        return content.decode("latin-1")


def _decoded(content: bytes, charset: str) -> str:
    """Text in the charset that is named, if it is; else UTF-8, if it is; else what can be read of it."""
    named = _codec(charset) or "ascii"
    for candidate in (named, "utf-8"):
        try:
            return content.decode(candidate)
        except (ValueError, LookupError):
            continue
    return content.decode("latin-1") if named in ("ascii", "utf-8") else content.decode(named, "replace")


def _codec(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset.strip().lower()).name
        "".encode(name)
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else name


def _slimmed(raw: bytes) -> bytes:
    """Of a large message what is needed to read it: after 256 KiB without a boundary the lines up to the next go.

    The separator of an mbox is undone with it: in such a file `>From ` stands for `From `.
    """
    if raw.startswith(b"From ") and b"\n>" in raw:
        raw = re.sub(rb"(?m)^>(?=>*From )", b"", raw)
    if len(raw) <= _LARGE:
        return raw
    kept, run = io.BytesIO(), 0
    for line in io.BytesIO(raw):
        run = 0 if line.startswith(b"--") else run + len(line)
        if run <= _LONGEST_RUN:
            kept.write(line)
        elif run == len(line):
            kept.write(line[:_LONGEST_RUN])
    return kept.getvalue()


def _mended(raw: bytes) -> bytes:
    """The message without what makes parsers take its header block for ended before it is.

    That is a byte order mark, blanks before the colon (RFC 822 had them), `>From ` of an mbox, and a line that is no
    field and is followed by fields: it counts as folded.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    blank = _BLANK_LINE.search(raw)
    end = blank.start() if blank else len(raw)
    lines = raw[:end].splitlines(keepends=True)
    fields = [FIELD.match(line) for line in lines]
    last = max((place for place, field in enumerate(fields) if field and field[1].lower() in KNOWN_FIELDS), default=0)
    kept: list[bytes] = []
    begun = False
    for place, (line, field) in enumerate(zip(lines, fields, strict=True)):
        if field is not None:
            kept.append(field[1] + b":" + line[field.end() :])
            begun = True
        elif place > last or line[:1] in (b" ", b"\t") or (place == 0 and line.startswith(b"From ")):
            kept.append(line)
        elif begun and not line.startswith((b"From ", b">From ")):
            kept.append(b" " + line)
    return b"".join(kept) + raw[end:]


def is_attachment(part: Message) -> bool:
    """Whether a part is a file that hangs on the message."""
    try:
        return part.get_content_disposition() == "attachment"
    except (ValueError, LookupError, AssertionError, TypeError, IndexError):
        return False


def _unescaped(value: str) -> str:
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return well_formed(raw.decode())
    except UnicodeDecodeError:
        return well_formed(raw.decode("latin-1"))
