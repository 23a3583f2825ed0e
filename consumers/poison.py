"""Finding the records of a batch that the store refuses, without touching the store."""

from collections.abc import Sequence

import duckdb

from consumers.decode import BadRecord
from consumers.prepare import Prepared
from projections import layout
from schemas.errors import InvalidEvent


def refused(prepared: Prepared) -> list[BadRecord]:
    """The records whose rows an event table does not take, found by halving on a table in memory."""
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"CREATE TABLE events ({layout.ddl(layout.EVENT_COLUMNS)})")
        return [
            BadRecord(place=int(prepared.places[row]), stage="fold", error=InvalidEvent(f"refused by the store: {why}"))
            for row, why in _refused(con, prepared, range(len(prepared.places)))
        ]


def _refused(con: duckdb.DuckDBPyConnection, prepared: Prepared, rows: Sequence[int]) -> list[tuple[int, str]]:
    if not rows:
        return []
    try:
        con.register("staged", prepared.events.slice(rows[0], len(rows)))
        con.execute("INSERT INTO events BY NAME SELECT 0 AS batch, * FROM staged")
    except duckdb.Error as error:
        if len(rows) == 1:
            return [(rows[0], type(error).__name__)]
        half = len(rows) // 2
        return _refused(con, prepared, rows[:half]) + _refused(con, prepared, rows[half:])
    return []
