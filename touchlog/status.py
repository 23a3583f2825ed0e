"""How the store is doing, from its operational views alone (docs/views.md, Operations)."""

from collections.abc import Callable
from typing import Any

import duckdb

from touchlog.plain_arrow import plain_table

_LAG = """
    SELECT topic, partition, next_offset, end_offset, lag, as_of FROM touchlog.lag ORDER BY topic, partition
"""
_TOTALS = """
    SELECT count(*) AS batches, max(batch) AS last_batch, max(committed_at) AS last_committed_at,
           sum(read) AS read, sum(applied) AS applied, sum(duplicates) AS duplicates, sum(parked) AS parked,
           sum(seconds) AS seconds
    FROM touchlog.batches
"""
# The rate of late, over the time the batches took: a projector that waits for events is not slow.
_RECENT = """
    SELECT count(*) AS batches, sum(read) AS read, sum(seconds) AS seconds,
           sum(read) / nullif(sum(seconds), 0) AS events_per_second
    FROM (SELECT read, seconds FROM touchlog.batches WHERE read > 0 ORDER BY batch DESC LIMIT 100)
"""
_PARKED = """
    SELECT topic, stage, error_class, count(*) AS records, min(first_seen) AS first_seen, max(first_seen) AS last_seen
    FROM touchlog.dead_letters GROUP BY ALL ORDER BY records DESC, topic, stage, error_class
"""
_PROJECTIONS = """
    SELECT name, version, sort, fingerprint, runs, rows, state FROM touchlog.projections ORDER BY name, version
"""

Rows = list[dict[str, Any]]
Status = Callable[[duckdb.DuckDBPyConnection], dict[str, Any]]


def status(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """One consistent look at the store.

    - `lag`: rows of topic, partition, next_offset, end_offset, lag (records), as_of; `lag_total` their sum.
    - `batches`: batches, last_batch, last_committed_at, read, applied, duplicates, parked, seconds over all time;
      `recent` the same of the last 100 batches that read something, with events_per_second (None without one).
    - `dead_letters`: rows of topic, stage, error_class, records, first_seen, last_seen; `parked` their number.
    - `projections`: rows of name, version, sort, fingerprint, runs, rows, state.
    """
    con.execute("BEGIN TRANSACTION READ ONLY")
    try:
        lag, parked = _rows(con, _LAG), _rows(con, _PARKED)
        return {
            "lag_total": sum(row["lag"] or 0 for row in lag),
            "lag": lag,
            "batches": _rows(con, _TOTALS)[0],
            "recent": _rows(con, _RECENT)[0],
            "parked": sum(row["records"] for row in parked),
            "dead_letters": parked,
            "projections": _rows(con, _PROJECTIONS),
        }
    finally:
        con.execute("ROLLBACK")


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    # Through Arrow: DuckDB's own Python values of times with a zone want pytz.
    rows: Rows = plain_table(con.execute(sql).to_arrow_table()).to_pylist()
    return rows
