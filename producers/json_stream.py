"""JSON files cut into payloads: lines, arrays, single documents; one bad part costs only itself."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from producers.format import Options, Payload

_DECODER = json.JSONDecoder(strict=False)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\],]')
_OPENERS = (b"{", b"[")
_OPENER_OF = {b"}": b"{", b"]": b"["}
_CLOSERS = {opener: closer for closer, opener in _OPENER_OF.items()}
_BLANK = b" \t\r\n,"
_LARGE = 1 << 20
_BOM = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
Piece = tuple[bytes, int, int | None]


def json_payloads(stream: BinaryIO, options: Options | None = None) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The payloads of a JSON file in UTF-8, in order, lazily.

    Understood are JSON lines, JSON lines of arrays, one array and one or several documents over many lines. Every
    element of an array at the top is a payload of its own, with its place as `item`. What cannot be parsed becomes
    a Payload with `error`. Which of the forms it is shows in the first line: when that is a whole JSON value (or
    broken, but the second is whole), every line stands alone, and a broken line costs only itself.
    """
    lines = _numbered(stream)
    first = next(lines, None)
    if first is None:
        return
    second = next(lines, None)
    rest = chain((line for line in (first, second) if line), lines)
    pieces = _cut(rest) if _spans_lines(first[1], second[1] if second else None) else _by_line(rest)
    for raw, line, item in pieces:
        content, error = parse_json(raw)
        yield Payload(raw=raw, line=line, item=item, content=content, error=error)


def cut_payloads(payloads: Iterable[Payload], cut: Callable[[Any], list[Any]]) -> Iterator[Payload]:
    """Payloads taken apart further: `cut` gives the parts of one payload's content, each with the context it needs.

    A part becomes a Payload with its own JSON as `raw` and its place on the line as `item`. Content without parts
    stays one payload, so that `events` can say what is wrong with it. `cut` must not raise.
    """
    line, place = 0, 0
    for payload in payloads:
        parts = cut(payload.content) if payload.error is None else []
        if payload.line != line:
            line, place = payload.line, 0
        if not parts or (len(parts) == 1 and payload.item is None):
            content = parts[0] if parts else payload.content
            item = None if payload.item is None else place
            yield Payload(raw=payload.raw, line=line, item=item, content=content, error=payload.error)
            place += 1
            continue
        for part in parts:
            yield Payload(raw=json.dumps(part).encode(), line=line, item=place, content=part)
            place += 1


def parse_json(raw: bytes) -> tuple[Any, str | None]:
    """The value, or None and why it is none; the reason quotes nothing of the text."""
    try:
        text = raw.decode()
        # json.loads makes a decoder at each call; it has a word of its own for a byte order mark, though.
        return (json.loads(text) if text.startswith("\ufeff") else _DECODER.decode(text)), None
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        return None, f"not JSON at character {error.pos}: {error.msg}"
    except ValueError:
        return None, "not JSON: a number with too many digits"
    except RecursionError:
        return None, "JSON nested too deeply"


def json_sample(head: bytes) -> list[dict[str, Any]]:
    """The objects that stand in the beginning of a file; for `recognises`. Never raises.

    When not one stands there whole (a mail of megabytes in one line), the first has those members that do.
    """
    lines = head.removeprefix(_BOM).splitlines(keepends=True)
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip(_BLANK)]
    if not numbered:
        return []
    whole = _spans_lines(numbered[0][1], numbered[1][1] if len(numbered) > 1 else None)
    pieces = [raw for raw, _, _ in (_cut(numbered) if whole else _by_line(numbered))]
    found = [content for raw in pieces if isinstance(content := parse_json(raw)[0], dict)]
    if found or not pieces:
        return found
    content, _ = parse_json(_closed(pieces[0]))
    return [content] if isinstance(content, dict) and content else []


def _closed(raw: bytes) -> bytes:
    """A value that was cut off, without the member in which it was cut, its brackets closed."""
    open_brackets: list[bytes] = []
    kept = 0
    for token in _TOKEN.finditer(raw):
        mark = token[0]
        if mark in _OPENERS:
            open_brackets.append(mark)
        elif mark in _OPENER_OF:
            if not open_brackets or open_brackets.pop() != _OPENER_OF[mark]:
                return b""
        elif mark != b",":
            continue
        kept = token.start() if mark == b"," else token.end()
    return raw[:kept] + b"".join(_CLOSERS[bracket] for bracket in reversed(open_brackets))


def _numbered(stream: BinaryIO) -> Iterator[Line]:
    for number, line in enumerate(stream, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield number, text


def _spans_lines(first: bytes, second: bytes | None) -> bool:
    """Whether a JSON value goes on over the line's end."""
    opening = first.strip()[:1]
    if opening not in _OPENERS or _is_whole(first, opening):
        return False
    if second is None or first.strip() == opening:
        return True
    value, error = parse_json(second)
    return error is not None or not isinstance(value, dict if opening == b"{" else list)


def _is_whole(line: bytes, opening: bytes) -> bool:
    """Whether the line is a JSON value; one of many megabytes is believed to be by its end, as parsing takes memory."""
    if len(line) > _LARGE:
        return line.rstrip().endswith(_CLOSERS[opening])
    return parse_json(line)[1] is None


def _by_line(lines: Iterable[Line]) -> Iterator[Piece]:
    for number, line in lines:
        if line.lstrip()[:1] == b"[":
            yield from _cut([(number, line)])
        else:
            yield line.strip(), number, None


def _cut(lines: Iterable[Line]) -> Iterator[Piece]:
    """Values by their brackets alone, so that a value broken inside still ends where it ends."""
    pending = _Pending()
    open_brackets: list[bytes] = []
    still_open = dict.fromkeys(_OPENERS, 0)
    for number, line in lines:
        start = 0
        for token in _TOKEN.finditer(line):
            mark = token[0]
            if mark in _OPENERS:
                if mark == b"[" and not open_brackets:
                    pending.add(line[start : token.start()], number)
                    yield from pending.take()
                    pending.item, start = 0, token.end()
                open_brackets.append(mark)
                still_open[mark] += 1
            elif mark == b",":
                if pending.item is not None and len(open_brackets) == 1:
                    pending.add(line[start : token.start()], number)
                    yield from pending.take()
                    pending.item, start = pending.item + 1, token.end()
            elif still_open.get(_OPENER_OF.get(mark, b""), 0):
                while (closed := open_brackets.pop()) != _OPENER_OF[mark]:
                    still_open[closed] -= 1
                still_open[closed] -= 1
                if not open_brackets:
                    pending.add(line[start : token.start() if pending.item is not None else token.end()], number)
                    yield from pending.take()
                    pending.item, start = None, token.end()
        pending.add(line[start:], number)
        if not open_brackets:
            yield from pending.take()
    yield from pending.take()


class _Pending:
    """The beginning of a value whose end is not seen yet; `item` is its place in an array at the top, if in one."""

    def __init__(self) -> None:
        self.item: int | None = None
        self._pieces: list[bytes] = []
        self._line = 0

    def add(self, piece: bytes, line: int) -> None:
        if self._pieces or piece.strip(_BLANK):
            self._line = self._line if self._pieces else line
            self._pieces.append(piece)

    def take(self) -> Iterator[Piece]:
        if self._pieces:
            yield b"".join(self._pieces).strip(_BLANK), self._line, self.item
            self._pieces.clear()
