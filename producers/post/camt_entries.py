"""ISO 20022 statements cut into movements: every `TxDtls` of every `Ntry` is a payload, and one that is broken costs
only itself.

The file is never read as one XML document. It is cut at `<Ntry>` and `<TxDtls>`, in whatever version and with or
without a prefix, and each piece is parsed alone by expat. So a file of any size is read in little memory, and the
prolog, where entities would be declared, is never parsed: an entity reference is an error of the piece it stands in.
"""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape

from producers.csv_rows import head_of, peekable
from producers.format import Payload

LONGEST_ENTRY = 1 << 25
"""Characters; a longer one is refused whole."""

_CHUNK = 1 << 16
_DEEPEST = 40
_MESSAGE = re.compile(r"camt\.05[234]\.001\.\d{2}")
_ROOT = re.compile(r"<(?:[\w.-]+:)?(BkToCstmrDbtCdtNtfctn|BkToCstmrStmt|BkToCstmrAcctRpt)[\s/>]")
_ENTRY = re.compile(r"<(?P<prefix>(?:[\w.-]+:)?)Ntry(?=[\s/>])")
_TRANSACTION = re.compile(r"<(?P<prefix>(?:[\w.-]+:)?)TxDtls(?:\s[^>]*?)?(?P<empty>/)?>")
_IBAN = re.compile(r"<(?:[\w.-]+:)?IBAN(?:\s[^>]*)?>\s*([A-Z]{2}\d{2}[A-Z0-9]{4,30})\s*<")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ROOTS = {"camt.052": "BkToCstmrAcctRpt", "camt.053": "BkToCstmrStmt", "camt.054": "BkToCstmrDbtCdtNtfctn"}
_REPORTS = {"camt.052": "Rpt", "camt.053": "Stmt", "camt.054": "Ntfctn"}


@dataclass(slots=True)
class _About:
    """What stands before the entries: the message's version, and whose account it is."""

    message: str = ""
    account: str = ""


def camt_payloads(stream: BinaryIO) -> Iterator[Payload]:
    """The movements, in order, lazily; `content` is {"message", "account", "Ntry": the entry with one TxDtls}.

    `raw` is a small document of the same version with that one movement, to be published again alone.
    """
    with peekable(stream) as buffered:
        head = head_of(buffered)
        encoding = encoding_of(head)
        if message_of(head) is None:
            yield Payload(raw=head, line=1, error="not a camt.052, camt.053 or camt.054 document")
            return
        errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
        text = io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline="\n")
        try:
            yield from _movements(text)
        finally:
            text.detach()


def encoding_of(head: bytes) -> str:
    """The encoding that a byte order mark or the XML declaration names; UTF-8 otherwise."""
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    if head[:4] in {b"<\x00?\x00", b"\x00<\x00?"}:
        return "utf-16-le" if head[:1] == b"<" else "utf-16-be"
    declared = _DECLARED.match(head.removeprefix(b"\xef\xbb\xbf"))
    try:
        # Latin alphabets are the only other ones; what decodes bytes to anything but text is none.
        found = codecs.lookup(declared[1].decode("ascii")).name if declared else "utf-8"
    except LookupError:
        return "utf-8-sig"
    return found if found.startswith(("iso8859", "cp12", "latin", "ascii")) else "utf-8-sig"


def message_of(head: bytes) -> str | None:
    """`camt.054.001.08`, or the like without a version, of a file that begins so; None for any other. Never raises."""
    text = head.decode(encoding_of(head), "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return None
    named = _MESSAGE.search(text[:8_192])
    root = _ROOT.search(text[:8_192])
    if named is not None and root is not None:
        return named[0]
    return None if root is None else next(name for name, one in _ROOTS.items() if one == root[1])


def _movements(text: io.TextIOBase) -> Iterator[Payload]:
    about, pending, line = _About(), "", 1
    ended = False
    while not ended:
        # As much again as waits already, so that a long entry is not looked through too often.
        chunk = text.read(max(_CHUNK, len(pending)))
        ended = not chunk
        pending += chunk
        while (found := _ENTRY.search(pending)) is not None:
            end = _end_of_entry(pending, found)
            following = _ENTRY.search(pending, found.end())
            if end is None and following is None and not ended and len(pending) <= LONGEST_ENTRY:
                break
            _learn(about, pending[: found.start()])
            line += pending.count("\n", 0, found.start())
            cut, error = _cut(end, following, len(pending), ended=ended)
            entry = pending[found.start() : cut]
            yield from _transactions(about, entry, line) if error is None else [_broken(about, entry, line, error)]
            line += entry.count("\n")
            pending = pending[cut:]
        if _ENTRY.search(pending) is None and len(pending) > _CHUNK:
            # The tag may go on in the next chunk.
            keep = max(pending.rfind("<"), len(pending) - 4_096)
            _learn(about, pending[:keep])
            line += pending.count("\n", 0, keep)
            pending = pending[keep:]


def _cut(end: int | None, following: re.Match[str] | None, length: int, *, ended: bool) -> tuple[int, str | None]:
    """Where an entry ends, and what is wrong with it. Entries never lie in one another."""
    if end is not None and (following is None or end <= following.start()):
        return end, None
    if following is not None:
        return following.start(), "Ntry: begins and never ends"
    return length, "Ntry: begins and never ends" if ended else "Ntry: longer than any entry"


def _end_of_entry(text: str, found: re.Match[str]) -> int | None:
    close = re.compile(rf"</{re.escape(found['prefix'])}Ntry\s*>").search(text, found.end())
    return None if close is None else close.end()


def _learn(about: _About, between: str) -> None:
    named = _MESSAGE.search(between) if not about.message else None
    root = _ROOT.search(between) if not about.message else None
    if named is not None:
        about.message = named[0]
    elif root is not None:
        about.message = next(name for name, one in _ROOTS.items() if one == root[1])
    accounts = _IBAN.findall(between)
    if accounts:
        about.account = accounts[-1]


def _transactions(about: _About, entry: str, line: int) -> Iterator[Payload]:
    """The entry once for each of its transactions, or as it is when it has none."""
    spans = list(_spans(entry))
    if not spans:
        yield _payload(about, entry, line, None)
        return
    before, after = entry[: spans[0][0]], entry[spans[-1][1] :]
    for place, (start, end) in enumerate(spans):
        at = line + entry.count("\n", 0, start)
        yield _payload(about, before + entry[start:end] + after, at, place if len(spans) > 1 else None)


def _spans(entry: str) -> Iterator[tuple[int, int]]:
    at = 0
    while (found := _TRANSACTION.search(entry, at)) is not None:
        close = f"</{found['prefix']}TxDtls>"
        end = -1 if found["empty"] else entry.find(close, found.end())
        at = found.end() if end < 0 else end + len(close)
        yield found.start(), at


def _payload(about: _About, entry: str, line: int, item: int | None) -> Payload:
    raw = _document(about, entry)
    try:
        parsed = parse_xml(entry)
    except (expat.ExpatError, UnicodeError, ValueError):
        return Payload(raw=raw, line=line, item=item, error="Ntry: not XML")
    content = {"message": about.message, "account": about.account, **parsed}
    return Payload(raw=raw, line=line, item=item, content=content)


def _broken(about: _About, entry: str, line: int, error: str) -> Payload:
    return Payload(raw=_document(about, entry), line=line, error=error)


def _document(about: _About, entry: str) -> bytes:
    kind = about.message[:8] if about.message[:8] in _ROOTS else "camt.054"
    root, report = _ROOTS[kind], _REPORTS[kind]
    account = f"<Acct><Id><IBAN>{escape(about.account)}</IBAN></Id></Acct>" if about.account else ""
    namespace = f' xmlns="urn:iso:std:iso:20022:tech:xsd:{about.message}"' if about.message else ""
    text = f"<Document{namespace}><{root}><{report}>{account}{entry}</{report}></{root}></Document>"
    return text.encode("utf-8", "surrogateescape")


def parse_xml(text: str) -> dict[str, Any]:
    """`<Amt Ccy="EUR">1</Amt>` -> {"Amt": {"@Ccy": "EUR", "#": "1"}}; prefixes go, what is repeated is a list.

    Raises expat.ExpatError, and ValueError for more than 40 levels and for anything declared.
    """
    parser = expat.ParserCreate("utf-8")
    stack: list[tuple[str, dict[str, Any], list[str]]] = [("", {}, [])]

    def start(name: str, given: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise ValueError("nested too deeply")
        own = {f"@{_local(key)}": value for key, value in given.items() if not key.startswith("xmlns")}
        stack.append((_local(name), own, []))

    def end(_: str) -> None:
        name, own, texts = stack.pop()
        text = "".join(texts).strip()
        value: Any = own | ({"#": text} if text else {}) if own else text
        holder = stack[-1][1]
        if name not in holder:
            holder[name] = value
        elif isinstance(holder[name], list):
            holder[name].append(value)
        else:
            holder[name] = [holder[name], value]

    def text_of(data: str) -> None:
        stack[-1][2].append(data)

    def declared(*_: Any) -> None:
        raise ValueError("a declaration")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text_of
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = declared
    parser.Parse(text.encode(), True)
    return stack[0][1]


def _local(name: str) -> str:
    return name.rpartition(":")[2]
