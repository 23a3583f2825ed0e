"""A CSV file cut into rows: any usual delimiter and encoding, and one bad row costs only itself."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, cast

from producers.format import Options, Payload

DELIMITERS = ",;\t|"
LONGEST_LINE = 1 << 20
# A quote that is never closed would swallow the rest of the file.
MOST_LINES_OF_A_ROW = 200

_HEAD = 1 << 16
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)


def csv_payloads(stream: BinaryIO, options: Options | None = None) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The rows of a CSV file as `{header: cell}`, in order, lazily.

    The encoding is UTF-8 (with or without BOM) or UTF-16; a line that is neither is read as Windows-1252. The
    delimiter is the one that the header has most of, or what a first line `sep=;` says. `raw` is the header and
    the row, so that it can be published again alone. A row with another number of cells than the header and a
    quote that is never closed become a Payload with `error`; rows without anything in them are passed over.
    """
    with _lines(stream) as lines:
        yield from _rows(lines)


def headless_payloads(stream: BinaryIO, *, delimiter: str = ",") -> Iterator[Payload]:
    """The rows of a CSV file without a header, each as the list of its cells; otherwise as `csv_payloads`."""
    with _lines(stream) as lines:
        reader = csv.reader(lines, delimiter=delimiter)
        while True:
            cells, error = _next_row(reader, lines)
            raw, line = lines.take()
            if not raw:
                return
            if error is not None:
                reader = csv.reader(lines, delimiter=delimiter)
                yield Payload(raw=_encoded(raw), line=line, error=error)
            elif any(cell.strip() for cell in cells):
                yield Payload(raw=_encoded(raw), line=line, content=cells)


@contextmanager
def _lines(stream: BinaryIO) -> Iterator["_Lines"]:
    """The lines of a file in whatever encoding; the stream stays its owner's."""
    with peekable(stream) as buffered:
        encoding, errors = _encoding(head_of(buffered))
        text = io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline="")
        try:
            yield _Lines(iter(partial(text.readline, LONGEST_LINE), ""))
        finally:
            text.detach()


@contextmanager
def peekable(stream: BinaryIO) -> Iterator[io.BufferedReader]:
    """The stream itself when its beginning can be looked at, or for a while a reader around it."""
    if isinstance(stream, io.BufferedReader):
        yield stream
        return
    # BufferedReader takes whatever has readinto, which every binary file has.
    reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, stream), _HEAD)
    try:
        yield reader
    finally:
        reader.detach()


def head_of(stream: io.BufferedReader) -> bytes:
    """The beginning of what is still to be read, which stays to be read: at most 64 KiB, less from a pipe."""
    return stream.peek(_HEAD)[:_HEAD]


def _rows(lines: "_Lines") -> Iterator[Payload]:
    head = first = ""
    header: tuple[str, ...] = ()
    reader = csv.reader(lines)
    while True:
        cells, error = _next_row(reader, lines)
        raw, line = lines.take()
        if not raw:
            return
        if error is not None:
            reader = csv.reader(lines, delimiter=reader.dialect.delimiter)
            yield Payload(raw=_encoded(head + raw), line=line, error=error)
        elif not header and not first and _SEPARATOR_LINE.fullmatch(raw):
            first, reader = raw, csv.reader(lines, delimiter=raw[4])
        elif not any(cell.strip() for cell in cells):
            continue
        elif not header:
            if not first:
                reader = csv.reader(lines, delimiter=_delimiter(raw))
                again = map(_readable, io.StringIO(raw, newline=""))
                cells = next(csv.reader(again, delimiter=reader.dialect.delimiter))
            header, head = _header(cells), first + raw
        else:
            yield _payload(header, cells, raw=_encoded(head + raw), line=line)


def _next_row(reader: Any, lines: "_Lines") -> tuple[list[str], str | None]:
    cells: list[str] | None
    try:
        cells = next(reader, [])
    except _EndlessRow:
        cells = None
    except csv.Error:
        lines.give_back()
        return [], "row: not CSV"
    if cells is None or (lines.ended and lines.taken):
        lines.give_back()
        return [], "row: a quote is opened and never closed"
    return cells, None


def _payload(header: tuple[str, ...], cells: list[str], *, raw: bytes, line: int) -> Payload:
    if len(cells) > len(header) and not any(cell.strip() for cell in cells[len(header) :]):
        cells = cells[: len(header)]
    if len(cells) != len(header):
        return Payload(raw=raw, line=line, error=f"row: {len(cells)} cells under {len(header)} columns")
    return Payload(raw=raw, line=line, content=dict(zip(header, cells, strict=True)))


def _header(cells: list[str]) -> tuple[str, ...]:
    """Names that tell the columns apart: an empty one by its place, a repeated one by a number behind it."""
    # In the order of the columns; how often each name was there already.
    names: dict[str, int] = {}
    for place, cell in enumerate(cells, 1):
        name = plain = cell.strip() or f"column {place}"
        while name in names:
            names[plain] += 1
            name = f"{plain} {names[plain]}"
        names[name] = 1
    return tuple(names)


class _EndlessRow(Exception):
    """More lines than a row can have."""


class _Lines:
    """Lines for the CSV reader; those of the row being read are remembered, to be kept whole or given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []
        self.ended = False
        self._lines = lines
        self._given_back: deque[str] = deque()
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES_OF_A_ROW:
            raise _EndlessRow
        line = self._given_back.popleft() if self._given_back else next(self._lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        return _readable(line)

    def take(self) -> tuple[str, int]:
        """The row's own text and the number of its first line; empty at the end of the file."""
        line = self._number + 1
        self._number += len(self.taken)
        raw = "".join(self.taken)
        self.taken.clear()
        return raw, line

    def give_back(self) -> None:
        """All lines of the row but the first are read again."""
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        self.ended = False


def _encoding(head: bytes) -> tuple[str, str]:
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16", "replace"
    # Latin text in UTF-16 without a BOM has a zero in every other byte.
    if len(head) >= 4 and head[1] == head[3] == 0 != head[0]:
        return "utf-16-le", "replace"
    if len(head) >= 4 and head[0] == head[2] == 0 != head[1]:
        return "utf-16-be", "replace"
    return "utf-8-sig", "surrogateescape"


def _readable(line: str) -> str:
    """A line that is not UTF-8 throughout as Windows-1252, or as Latin-1 where that has no character."""
    if line.isascii():
        return line
    try:
        line.encode()
    except UnicodeEncodeError:
        data = _encoded(line)
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return line


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _delimiter(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(DELIMITERS, key=bare.count)
