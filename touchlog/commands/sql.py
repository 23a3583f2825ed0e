"""`touchlog sql`: any question, as SQL over the views."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from schemas.errors import ConfigurationError
from touchlog.options import Command, Utf8, then_options, with_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from touchlog.settings import Settings
    from touchlog.then import Then

_EPILOG = """\b
Examples:
  touchlog sql "SHOW ALL TABLES"
  touchlog sql "DESCRIBE touchlog.timeline"
  touchlog sql "FROM touchlog.customers WHERE open_conversations > 0 ORDER BY waiting_since"
  touchlog sql --csv "SELECT * FROM touchlog.response_times" > response_times.csv
  touchlog sql --json - < question.sql
  touchlog sql --as-of 2026-03-02 "SELECT state, count(*) FROM touchlog.conversations GROUP BY state"
  touchlog sql "FROM touchlog.customers_as_of('2026-03-02', known_by := '2026-03-05')"

Works while touchlog project runs, and shows its last commit. One SELECT (or FROM, WITH, VALUES, DESCRIBE,
SUMMARIZE, SHOW) or an EXPLAIN of one; files, settings and writes are refused."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("query", type=Utf8())
@click.option("--json", "form", flag_value="json", help="As a JSON array of objects.")
@click.option("--csv", "form", flag_value="csv", help="As CSV with a header; NULL is empty.")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Rows of a table on a terminal; 0 for all.",
)
@then_options
@with_settings("store", "query_timeout")
def command(settings: "Settings", query: str, form: str | None, rows: int, then: "Then") -> None:
    """Ask the views a question in SQL.

    QUERY is one statement of DuckDB's SQL over the views in the schema touchlog; - reads it from standard input.
    """
    from touchlog.client import Reader

    text = _standard_input() if query == "-" else query
    limit = rows if rows and form is None and sys.stdout.isatty() else None
    with (
        Reader(settings.store, timeout_s=settings.query_timeout) as reader,
        reader.batches(text, max_rows=None if limit is None else limit + 1, then=then) as answer,
    ):
        if form is not None:
            write_rows(answer, form)
        else:
            _print(answer, limit)


def write_rows(answer: "pa.RecordBatchReader", form: str) -> None:
    """An answer of any size to standard output, as it comes: `form` is json or csv."""
    {"json": _write_json, "csv": _write_csv}[form](answer)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"standard input is not UTF-8 text (byte {error.start})") from None


def _rows(answer: "pa.RecordBatchReader") -> Iterator[tuple[Any, ...]]:
    # By place, not by name: two columns may have one name.
    for batch in answer:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_csv(answer: "pa.RecordBatchReader") -> None:
    from touchlog.as_json import plain

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(answer.schema.names)
    for row in _rows(answer):
        said = (plain(value) for value in row)
        out.writerow([json.dumps(one, ensure_ascii=False) if isinstance(one, list | dict) else one for one in said])


def _write_json(answer: "pa.RecordBatchReader") -> None:
    from touchlog.as_json import dumps

    names = _distinct(answer.schema.names)
    rows = (dumps(dict(zip(names, row, strict=True))) for row in _rows(answer))
    first = next(rows, None)
    if first is None:
        sys.stdout.write("[]\n")
        return
    sys.stdout.write("[" + first)
    for row in rows:
        sys.stdout.write(",\n " + row)
    sys.stdout.write("]\n")


def _print(answer: "pa.RecordBatchReader", limit: int | None) -> None:
    from touchlog.render import answer as as_table
    from touchlog.render import console, count, plan

    out = console()
    rows = _rows(answer)
    shown = list(islice(rows, limit))
    if answer.schema.names == ["explain_key", "explain_value"]:
        out.print(plan(shown), crop=False)
        return
    out.print(as_table(answer.schema, shown, width=out.width))
    if next(rows, None) is not None:
        out.print(f"the first {count(len(shown))} rows; for more type --rows N, --csv or --json", style="dim")
    else:
        out.print("1 row" if len(shown) == 1 else f"{count(len(shown))} rows", style="dim")


def _distinct(names: Sequence[str]) -> list[str]:
    """`a, a, b` -> `a, a_2, b`."""
    taken: list[str] = []
    for name in names:
        taken.append(
            next(one for one in chain([name], (f"{name}_{n}" for n in range(2, len(names) + 2))) if one not in taken)
        )
    return taken
