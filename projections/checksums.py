"""What views say, in one number each: to tell whether two stores say the same.

The number is the sum of a hash of every row (64 bits each, added in 128), so it does not depend on the order of rows,
and a row that stands twice counts twice. Hashes are DuckDB's own: compare what one version of it made.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from projections import versions
from projections.publish import PUBLIC
from projections.versions import NEXT_SCHEMA

LeaveOut = Mapping[str, Collection[str]]
"""View -> columns."""

OF_BATCHES: LeaveOut = {"interactions": ("batch", "customer_id_then")}
"""Columns that depend on how the events were cut into batches."""

OF_ARRIVAL: LeaveOut = {"interactions": ("observed_at", "partition", "log_offset")}
"""Columns that depend on which of several copies of an event came first: with copies in several partitions, on how
these were read in turn."""

VIEWS_OF_ARRIVAL = frozenset({"lateness"})
"""Views that depend on the same."""


class Checksum(NamedTuple):
    """How many rows there are, and the sum of their hashes."""

    rows: int
    checksum: int


NO_ROWS = Checksum(0, 0)


def checksums(
    con: duckdb.DuckDBPyConnection,
    now: datetime,
    *,
    schema: str = PUBLIC,
    views: Collection[str] | None = None,
    leave_out: LeaveOut = OF_BATCHES,
) -> dict[str, Checksum]:
    """Of each view of a schema (`touchlog`, or `touchlog_next` for the versions that are coming), at one time.

    `views`: these alone; by default all projections, which leaves out the operational ones (batches, lag, …). All are
    of one moment of the store only inside a transaction, which is the caller's to begin.
    """
    found = {}
    columns = _columns(con, schema)
    for view, relation in _relations(con, schema, views):
        wanted = _listed(columns[view], leave_out.get(view, ()))
        (row,) = con.execute(
            f"SELECT count(*), coalesce(sum(hash({wanted})), 0) FROM {relation}", _given(relation, now)
        ).fetchall()
        found[view] = Checksum(*row)
    return found


def checksums_by_customer(
    con: duckdb.DuckDBPyConnection,
    now: datetime,
    customers: Iterable[UUID],
    *,
    schema: str = PUBLIC,
    leave_out: LeaveOut = OF_BATCHES,
) -> dict[UUID, dict[str, Checksum]]:
    """The same of each customer's rows, in the views that have such: by `customer_ids` (a conversation belongs to all
    that take part in it), else by `customer_id`. Each view is read once, however many customers are asked for."""
    asked = list(dict.fromkeys(customers))
    found: dict[UUID, dict[str, Checksum]] = {customer: {} for customer in asked}
    columns = _columns(con, schema)
    for view, relation in _relations(con, schema, None):
        if "customer_ids" in columns[view]:
            whose = "unnest(customer_ids)"
        elif "customer_id" in columns[view]:
            whose = "customer_id"
        else:
            continue
        wanted = _listed(columns[view], leave_out.get(view, ()))
        rows = con.execute(
            f"""
            SELECT whose, count(*), sum(hash)
            FROM (SELECT {whose} AS whose, hash({wanted}) AS hash FROM {relation})
            WHERE list_contains($asked::UUID[], whose)
            GROUP BY whose
            """,
            {**_given(relation, now), "asked": asked},
        ).fetchall()
        of_customer = {customer: Checksum(count, total) for customer, count, total in rows}
        for customer in asked:
            found[customer][view] = of_customer.get(customer, NO_ROWS)
    return found


def _relations(con: duckdb.DuckDBPyConnection, schema: str, views: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """The views of the schema, and what to select from."""
    known = versions.versions(con)
    projections = versions.coming(known) if schema == NEXT_SCHEMA else versions.live(known)
    unknown = set(views or ()) - {projection.name for projection in projections}
    if unknown:
        raise ValueError(f"no such view: {', '.join(sorted(unknown))}")
    for projection in projections:
        if views is None or projection.name in views:
            yield projection.name, f"{schema}.{projection.name}" + ("_at($now)" if projection.now else "")


def _columns(con: duckdb.DuckDBPyConnection, schema: str) -> dict[str, list[str]]:
    """The columns of the views of a schema, as the store knows them: to ask a view would cost as much as it does."""
    rows = con.execute(
        """
        SELECT table_name, list(column_name ORDER BY column_index)
        FROM duckdb_columns()
        WHERE schema_name = ? AND database_name = current_database()
        GROUP BY table_name
        """,
        [schema],
    ).fetchall()
    return dict(rows)


def _listed(columns: Collection[str], leave_out: Collection[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns if name not in leave_out)


def _given(relation: str, now: datetime) -> dict[str, Any]:
    return {"now": now} if "$now" in relation else {}
