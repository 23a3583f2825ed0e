"""Tables: rows of CSV or objects of JSON, their columns found by option or by their usual names.

COLUMNS = Columns(start="start, start time, call start", customer="customer id, account")
row = COLUMNS.read(payload.content, options)
row.fields.required("customer")     the cell under "Customer ID"
row.rest                            {"shoe_size": "39"}: what no field stands for
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

from producers.csv_rows import csv_payloads, head_of, peekable
from producers.fields import Fields
from producers.format import Options, Payload
from producers.json_stream import json_payloads, json_sample
from producers.table_values import moment, seconds
from schemas.errors import InvalidEvent

__all__ = ["Columns", "Row", "csv_payloads", "header_of", "moment", "seconds", "table_payloads"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row by the contract's names; `rest` is what no field stands for, under its header in snake case."""

    fields: Fields
    rest: dict[str, str]


class Columns:
    """Which column a field of the contract is in: `Options.columns` says it, or else the header's usual names do."""

    def __init__(self, **usual_names: str) -> None:
        self.shown = {field: tuple(name.strip() for name in names.split(",")) for field, names in usual_names.items()}
        self.usual_names = {
            field: tuple(_comparable(name) for name in (field, *names.split(",")))
            for field, names in usual_names.items()
        }

    def read(self, row: Any, options: Options) -> Row:
        """The fields of a row. Raises InvalidEvent when an option names a field or a column that is not there."""
        if not isinstance(row, Mapping):
            raise InvalidEvent("payload: not a row")
        places = _places(self, tuple(row), tuple(options.columns.items()))
        fields = {field: row[column] for field, column in places.items()}
        mapped = set(places.values())
        rest = {_snake(column): cell for column, cell in row.items() if column not in mapped}
        return Row(fields=Fields(fields), rest=rest)

    def has(self, header: tuple[str, ...], *fields: str) -> bool:
        """Whether a file with this header has a column for each of the fields, by the usual names."""
        return set(fields) <= set(_places(self, header, ()))


def table_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """The rows of a CSV file, or the objects of a JSON file with the same names; which it is shows in its beginning."""
    with peekable(stream) as buffered:
        if _is_json(head_of(buffered)):
            yield from json_payloads(buffered, options)
        else:
            yield from csv_payloads(buffered, options)


def header_of(head: bytes) -> tuple[str, ...]:
    """The header of a file that begins with these bytes, empty when there is none; for `recognises`. Never raises."""
    if _is_json(head):
        sample = json_sample(head)
        return tuple(sample[0]) if sample else ()
    first = next(csv_payloads(io.BytesIO(head)), None)
    return tuple(first.content) if first is not None and first.content else ()


def _is_json(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}


@lru_cache(maxsize=256)
def _places(columns: Columns, header: tuple[str, ...], given: tuple[tuple[str, str], ...]) -> dict[str, str]:
    by_name = {_comparable(column): column for column in reversed(header)}
    places: dict[str, str] = {}
    for field, column in given:
        if field not in columns.usual_names:
            raise InvalidEvent(f"columns.{field}: not a field of this format; one of {', '.join(columns.usual_names)}")
        place = column if column in header else by_name.get(_comparable(column))
        if place is None:
            raise InvalidEvent(f"columns.{field}: the file has no such column")
        places[field] = place
    taken = set(places.values())
    for field, names in columns.usual_names.items():
        place = next((by_name[name] for name in names if name in by_name), None)
        if field not in places and place is not None and place not in taken:
            places[field] = place
            taken.add(place)
    return places


def _comparable(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


@lru_cache(maxsize=1024)
def _snake(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_") or "column"
