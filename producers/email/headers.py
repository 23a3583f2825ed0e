"""What real mail says in its headers and its text, however badly it is made. Nothing here raises but InvalidEvent."""

import html
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

from producers.fields import well_formed
from producers.format import Options
from producers.times import read_time
from schemas.errors import InvalidEvent

LONGEST_ADDRESS = 320
LONGEST_TEXT = 10_000
"""Of a header's text; reading encoded words takes quadratic time."""

_SPACE = re.compile(r"\s+")
_TAG = re.compile(r"(?is)<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>")
_QUOTE = re.compile(
    r"^(>|On\b.{3,200}\bwrote:\s*$|-{2,}\s*(Original|Forwarded) Message\s*-{2,}|_{20,}\s*$|-- ?$)", re.IGNORECASE
)


class Headers:
    """The header fields of one message: names without case, bytes beyond ASCII read as UTF-8, else as Latin-1."""

    def __init__(self, message: Message) -> None:
        self._fields: dict[str, list[str]] = {}
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
        if given is None:
            return None
        try:
            read = str(make_header(decode_header(given[:LONGEST_TEXT])))
        except (HeaderParseError, ValueError, LookupError, AssertionError):
            read = given[:LONGEST_TEXT]
        return _SPACE.sub(" ", well_formed(read)).strip() or None

    def word(self, name: str) -> str:
        """The first word of a field in lower case, without parameters; empty when there is none."""
        return re.split(r"[\s;(]", self.raw(name) or "", maxsplit=1)[0].lower()

    def addresses(self, *names: str) -> list[str]:
        """The addresses of all fields of these names, without display names and repetitions."""
        given = [value for name in names for value in self.all(name)]
        try:
            pairs = getaddresses(given)
        except (RecursionError, IndexError, ValueError):
            return []
        found = (well_formed(address).strip() for _, address in pairs)
        return list(dict.fromkeys(address for address in found if is_address(address)))

    def date(self, options: Options) -> datetime | None:
        """When it was written; else when our own server received it; else None."""
        received = (value.rpartition(";")[2] for value in self.all("Received"))
        for value in (*self.all("Date"), *received):
            try:
                return read_time(value, options)
            except InvalidEvent:
                continue
        return None


def parsed(raw: bytes) -> Message:
    """The message; raises InvalidEvent when its parts are nested beyond reading."""
    try:
        return message_from_bytes(raw)
    except RecursionError:
        raise InvalidEvent("message: parts nested too deeply") from None


def parts(message: Message) -> Iterator[Message]:
    """All parts of a message in order, itself first; at most a thousand."""
    waiting = [message]
    for _ in range(1_000):
        if not waiting:
            return
        part = waiting.pop()
        yield part
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
    if not isinstance(content, bytes):
        return ""
    try:
        return well_formed(content.decode(charset, "replace"))
    except (LookupError, ValueError):
        return well_formed(content.decode("latin-1"))


def new_text(message: Message) -> str:
    """What the sender wrote, without what is quoted beneath it, on one line."""
    leaves = [part for part in parts(message) if part.get_content_maintype() == "text" and not _is_attachment(part)]
    plain = next((part for part in leaves if part.get_content_type() == "text/plain"), None)
    if plain is None and not leaves:
        return ""
    text = body(plain) if plain is not None else html.unescape(_TAG.sub(" ", body(leaves[0])[:100_000]))
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()[:250]) and any(lines):
            break
        lines.append(line.strip())
    return _SPACE.sub(" ", " ".join(lines)).strip()


def attachments(message: Message) -> int:
    """How many files hang on it."""
    return sum(_is_attachment(part) for part in parts(message))


def is_address(text: str) -> bool:
    """Whether it may be an address at all."""
    local, at, domain = text.rpartition("@")
    return bool(local and at and domain) and len(text) <= LONGEST_ADDRESS and text.isprintable()


def domain_of(address: str) -> str:
    """The domain, in lower case."""
    return address.rpartition("@")[2].strip(" .>").lower()


def of_domains(address: str, domains: Iterable[str]) -> bool:
    """Whether the address belongs to one of the domains or to a domain below it."""
    domain = domain_of(address)
    return any(domain == own or domain.endswith(f".{own}") for own in (given.strip(" .@").lower() for given in domains))


def _is_attachment(part: Message) -> bool:
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
