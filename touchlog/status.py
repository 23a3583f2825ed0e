"""How the store is doing, from its operational views alone (docs/views.md, Operations)."""

from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import duckdb

from schemas.errors import QueryRefused, StoreError
from touchlog.guard import limited
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
           sum(read) / nullif(sum(seconds), 0) AS events_per_second,
           quantile_disc(seconds, 0.5) AS p50_s, quantile_disc(seconds, 0.99) AS p99_s
    FROM (SELECT read, seconds FROM touchlog.batches WHERE read > 0 ORDER BY batch DESC LIMIT 100)
"""
_MINUTE = """
    SELECT coalesce(sum(read), 0) / 60 AS read_per_second, coalesce(sum(applied), 0) / 60 AS applied_per_second,
           coalesce(sum(parked), 0) / 60 AS parked_per_second
    FROM touchlog.batches WHERE committed_at > now() - to_seconds(60)
"""
_PARKED = """
    SELECT topic, stage, error_class, count(*) AS records, min(first_seen) AS first_seen, max(first_seen) AS last_seen
    FROM touchlog.dead_letters WHERE state = 'parked' GROUP BY ALL ORDER BY records DESC, topic, stage, error_class
"""
_PROJECTIONS = """
    SELECT name, version, sort, fingerprint, runs, rows, state FROM touchlog.projections ORDER BY name, version
"""

Rows = list[dict[str, Any]]
Status = Callable[[duckdb.DuckDBPyConnection], dict[str, Any]]


def status(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """One consistent look at the store.

    - `projector`: None; of a running one what `touchlog.health` tells.
    - `lag`: rows of topic, partition, next_offset, end_offset, lag (records), as_of; `lag_total` their sum;
      `lag_seconds`: None, of a running projector how long the record that has waited longest waits.
    - `batches`: batches, last_batch, last_committed_at, read, applied, duplicates, parked, seconds over all time;
      `recent` the same of the last 100 batches that read something, with events_per_second, p50_s and p99_s (seconds
      of a batch's transaction, without its commit; None without a batch); `minute` the rates of the last 60 seconds.
    - `dead_letters`: of what is still parked, rows of topic, stage, error_class, records, first_seen, last_seen;
      `parked` their number.
    - `projections`: rows of name, version, sort, fingerprint, runs, rows, state.
    """
    con.execute("BEGIN TRANSACTION READ ONLY")
    try:
        lag, parked = _rows(con, _LAG), _rows(con, _PARKED)
        return {
            "projector": None,
            "lag_seconds": None,
            "lag_total": sum(row["lag"] or 0 for row in lag),
            "lag": lag,
            "batches": _rows(con, _TOTALS)[0],
            "recent": _rows(con, _RECENT)[0],
            "minute": _rows(con, _MINUTE)[0],
            "parked": sum(row["records"] for row in parked),
            "dead_letters": parked,
            "projections": _rows(con, _PROJECTIONS),
        }
    finally:
        con.execute("ROLLBACK")


def parked_in(cursor: Callable[[], duckdb.DuckDBPyConnection], *, timeout_s: float = 1.0) -> int | None:
    """How many records are parked in a store, read with a cursor of its own; None when it does not tell in time."""
    with closing(cursor()) as con, suppress(QueryRefused, StoreError), limited(con, timeout_s):
        found = con.execute("SELECT count(*) FROM touchlog.dead_letters WHERE state = 'parked'").fetchone()
        return None if found is None else int(found[0])
    return None


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    # Through Arrow: DuckDB's own Python values of times with a zone want pytz.
    rows: Rows = plain_table(con.execute(sql).to_arrow_table()).to_pylist()
    return rows
