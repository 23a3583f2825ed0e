"""What people see on a terminal: tables of answers, and text that cannot disturb it."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from touchlog.as_json import plain

# Control characters move the cursor, and those of bidirectional text hide what is there; a customer may write both.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WIDTH_OF_A_FILE = 4000
# A column can be folded to this width and still be read.
_READABLE = 14
_DAY = 86_400
# From how many seconds on, the unit's size, its name: no unit is told of less than two, so none is in the singular.
_UNITS = (
    (730 * _DAY, 365.25 * _DAY, "years"),
    (61 * _DAY, 30.4375 * _DAY, "months"),
    (2 * _DAY, _DAY, "days"),
    (3600, 3600, "h"),
    (60, 60, "min"),
)


def console(*, stderr: bool = False) -> Console:
    """A console whose tables fold on a terminal and stay in one line a row in a file or a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def harmless(text: str) -> str:
    """Text with every control character but the line feed shown as one replacement character."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    ").replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Text on one line, its white space squeezed."""
    return harmless(" ".join(text.split()))


def cell(value: Any) -> Text:
    """One value of an answer: NULL dim, times in UTC, lists and records as JSON."""
    match value:
        case None:
            return Text("NULL", style="dim")
        case str():
            return Text(harmless(value))
        case datetime():
            return Text(as_time(value))
        case bool():
            return Text("true" if value else "false")
        case int() | float() | Decimal() | date():
            return Text(str(value))
        case _:
            said = plain(value)
            return Text(harmless(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)))


def as_time(moment: datetime) -> str:
    """`2026-03-02 09:14:05Z`; without the Z when the value has no zone; parts of a second only when there are."""
    zone = "" if moment.tzinfo is None else "Z"
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(sep=" ") + zone


def answer(schema: pa.Schema, rows: Iterable[Sequence[Any]], *, width: int) -> RenderableType:
    """An answer as a table with wide columns folded, or record by record where so many do not fit in `width`.

    Nothing is cut off.
    """
    names = [Text(harmless(column.name), style="bold") for column in schema]
    cells = [[cell(value) for value in row] for row in rows]
    columns = [list(column) for column in zip(names, *cells, strict=True)]
    narrowest = sum(min(max(map(_width, column)), _READABLE) for column in columns) + 3 * (len(columns) - 1)
    if cells and narrowest > width:
        return Group(*_records(names, cells))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column, name in zip(schema, names, strict=True):
        shown.add_column(name, justify="right" if _is_number(column.type) else "left", overflow="fold")
    for row in cells:
        shown.add_row(*row)
    return shown


def _records(names: Sequence[Text], rows: Iterable[Sequence[Text]]) -> Iterator[RenderableType]:
    for number, row in enumerate(rows, 1):
        record = Table.grid(padding=(0, 2))
        record.add_column(no_wrap=True)
        record.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            record.add_row(name, value)
        yield Text(f"row {number}", style="dim")
        yield record
        yield Text()


def _width(text: Text) -> int:
    return max((line.cell_len for line in text.split("\n")), default=0)


def plan(rows: Iterable[Sequence[Any]]) -> RenderableType:
    """An EXPLAIN as DuckDB draws it."""
    return Text("\n".join(harmless(str(row[-1])) for row in rows), no_wrap=True, overflow="ignore")


def facts_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()) -> Table:
    """A plain table of our own: `numbers` names the columns that stand to the right."""
    shown = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for header in headers:
        shown.add_column(header, justify="right" if header in numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(value if isinstance(value, Text) else Text(_fact(value)) for value in row))
    return shown


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `5 h`, `12 days`, `3 months`, `2 years`: one unit, rounded down."""
    for least, size, unit in _UNITS:
        if seconds >= least:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _fact(value: Any) -> str:
    if value is None:
        return "-"
    return count(value) if isinstance(value, int) and not isinstance(value, bool) else one_line(str(value))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
