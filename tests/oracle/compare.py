"""Rows of the oracle beside rows of DuckDB: read, brought into one form, told apart."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb

from schemas.codec import from_micros

Row = dict[str, Any]

VIEWS = (
    "interactions",
    "timeline",
    "shared_timeline",
    "contact_points",
    "conversations",
    "continuations",
    "items",
    "consent",
    "channel_preference",
    "audience",
    "invoices",
    "customers",
    "topics",
    "waits",
    "response_times",
    "response_times_by_agent",
    "response_times_by_queue",
    "survey_answers",
    "satisfaction",
    "contacts",
    "moves",
    "journeys",
    "friction",
    "channel_usage",
    "identity_links",
    "identity_review",
)
DEPEND_ON_NOW = frozenset({"conversations", "consent", "channel_preference", "audience", "customers", "topics"})
TELL_OF_THE_FOLDING = frozenset({"observed_at", "customer_id_then", "topic_name", "partition", "log_offset", "batch"})
"""Columns of `interactions` that are no function of the set of events."""

JSON_COLUMNS = frozenset({"contact_points", "case_refs", "statement", "survey", "attributes", "details"})
"""Of `interactions`."""

NO_COLUMN = "no such column"


def read_view(con: duckdb.DuckDBPyConnection, view: str, now: datetime | None) -> list[Row]:
    """Rows of a view in the plain types of the oracle; at `now` where the view depends on it and `now` is given."""
    if view not in VIEWS:
        raise ValueError(f"no such view: {view!r}; one of {', '.join(VIEWS)}")
    if now is not None and view in DEPEND_ON_NOW:
        result = con.execute(f"FROM touchlog.{view}_at(?)", [now])
    else:
        result = con.execute(f"FROM touchlog.{view}")
    rows = [{name: _plain(value) for name, value in row.items()} for row in result.to_arrow_table().to_pylist()]
    return [_parsed(row) for row in rows] if view == "interactions" else rows


def normalise(rows: Iterable[Row]) -> list[str]:
    """Rows as sorted JSON texts: equal lists mean equal rows, however often each stands in whatever order."""
    return sorted(_canonical(row) for row in rows)


def differences(expected: Iterable[Row], actual: Iterable[Row], limit: int = 5) -> list[str]:
    """What tells two sets of rows apart, in words; empty when nothing does.

    A row that is missing stands beside the unexpected row that is most like it; at most `limit` lines, and a last
    one with the counts.
    """
    wanted, found = normalise(expected), normalise(actual)
    missing = [json.loads(text) for text in (Counter(wanted) - Counter(found)).elements()]
    unexpected = [json.loads(text) for text in (Counter(found) - Counter(wanted)).elements()]
    counts = (
        f"{len(wanted)} rows expected, {len(found)} found; "
        f"{len(missing)} of the expected missing, {len(unexpected)} of the found unexpected"
    )
    lines = []
    for row in missing[:limit]:
        twin = max(unexpected, key=lambda other: _likeness(row, other), default=None)
        if twin is None or 2 * _likeness(row, twin) < len(row):
            lines.append(f"missing: {_canonical(row)}")
        else:
            unexpected.remove(twin)
            lines.append(_difference(row, twin))
    lines += [f"unexpected: {_canonical(row)}" for row in unexpected[: limit - len(lines)]]
    return [*lines, counts] if lines else []


def _plain(value: Any) -> Any:
    match value:
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC)
        case UUID():
            return str(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value


def _parsed(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if name not in TELL_OF_THE_FOLDING}
    for name in JSON_COLUMNS.intersection(kept):
        if isinstance(kept[name], str):
            kept[name] = json.loads(kept[name])
    if kept.get("statement") is not None and kept["statement"].get("until") is not None:
        kept["statement"]["until"] = _moment(kept["statement"]["until"])
    return kept


def _moment(value: int | str) -> datetime:
    """A time inside JSON: microseconds since 1970, or ISO 8601."""
    return from_micros(value) if isinstance(value, int) else datetime.fromisoformat(value).astimezone(UTC)


def _canonical(row: Row) -> str:
    return json.dumps(_comparable(row), sort_keys=True, ensure_ascii=False)


def _comparable(value: Any) -> Any:
    match value:
        case float():
            return int(value) if value.is_integer() else round(value, 9)
        case date():
            return value.isoformat()
        case dict():
            return {name: _comparable(item) for name, item in value.items()}
        case list() | tuple():
            return [_comparable(item) for item in value]
        case _:
            return value


def _likeness(row: Row, other: Row) -> int:
    return sum(name in other and other[name] == value for name, value in row.items())


def _difference(row: Row, other: Row) -> str:
    told = []
    same = {}
    for name in {**row, **other}:
        expected, found = row.get(name, NO_COLUMN), other.get(name, NO_COLUMN)
        if expected != found:
            told.append(f"{name}: expected {expected!r}, found {found!r}")
        elif expected not in (None, 0, [], {}):
            same[name] = expected
    return f"{'; '.join(told)} (in the row with {json.dumps(same, ensure_ascii=False)[:400]})"
