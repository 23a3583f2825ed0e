"""How an event lies in the store: the physical columns, and the bits of `flags`.

People read `touchlog.interactions` and projections read `events` (projections.relations unpacks it), so this is the
store's own affair and may change with a measurement; a change gets a new LAYOUT number and a step from the old one
(projections.migrations).
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pyarrow as pa

LAYOUT = 4
"""How rows lie."""

FOLD = 1
"""What the fold makes of a record, where no table says it: to be raised when the code of consumers.columns or
consumers.meaning puts the same record into other columns, or calls another one bad. Stores are then folded again."""

# One bit each.
TOUCHPOINT, CUSTOMER, OPENS, CLOSES, REOPENS, ABANDONS, HAND_OVER = (1 << bit for bit in range(7))
SELF, NORMALISED, SHAREABLE, STATEMENT, SURVEY, PROMISE = (1 << bit for bit in range(7, 13))
"""Of the primary contact point: named as `self`; normalised; not `anonymous`. And which rare fields `rest` holds."""

# Small codes, as (shift, names); code 0 is none.
CLOCK = (13, ("", "start", "stop"))
REACH = (15, ("", "good", "bad"))
ASSURANCE = (17, ("attested", "asserted", "claimed", "inferred"))
ITEM = (19, ("", "created", "sent", "delivered", "opened", "clicked", "answered", "paid", "returned", "failed"))
ENGAGEMENT_SHIFT = 23
CASES = 1 << 27
"""Set when `rest` holds case_refs."""

UTC_MICROS = pa.timestamp("us", tz="UTC")

EVENT_COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    "event_id": ("UUID", pa.uuid()),
    "contact_point_id": ("UUID", pa.uuid()),
    "thread_id": ("UUID", pa.uuid()),
    "occurred_at": ("TIMESTAMPTZ", UTC_MICROS),
    "observed_at": ("TIMESTAMPTZ", UTC_MICROS),
    "flags": ("INTEGER", pa.int32()),
    "channel": ("VARCHAR", pa.string()),
    "type": ("VARCHAR", pa.string()),
    "direction": ("VARCHAR", pa.string()),
    "content_type": ("VARCHAR", pa.string()),
    "purpose": ("VARCHAR", pa.string()),
    "author": ("VARCHAR", pa.string()),
    "topic": ("VARCHAR", pa.string()),
    "agent": ("VARCHAR", pa.string()),
    "outcome": ("VARCHAR", pa.string()),
    "source": ("VARCHAR", pa.string()),
    "conversation_ref": ("VARCHAR", pa.string()),
    "message_ref": ("VARCHAR", pa.string()),
    "answers_ref": ("VARCHAR", pa.string()),
    "summary": ("VARCHAR", pa.string()),
    "rest": ("VARCHAR", pa.string()),
    "partition": ("USMALLINT", pa.uint16()),
    "log_offset": ("BIGINT", pa.int64()),
}
"""Column -> (DuckDB type, Arrow type); `batch INTEGER` comes before them. `rest` is JSON text, NULL when empty:
source_event_id, contact_points (unless one plain `self` point), read_up_to and promised_at (microseconds),
case_refs, machine, statement, survey, attributes, details."""

MENTION_COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    "contact_point_id": ("UUID", pa.uuid()),
    "event_id": ("UUID", pa.uuid()),
    "primary_id": ("UUID", pa.uuid()),
    "occurred_at": ("TIMESTAMPTZ", UTC_MICROS),
    "role": ("VARCHAR", pa.string()),
    "assurance": ("UTINYINT", pa.uint8()),
    "normalised": ("BOOLEAN", pa.bool_()),
}
"""One row for every contact point that an event names beside its primary; `assurance` by its place in ASSURANCE."""

POINT_COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    "contact_point_id": ("UUID", pa.uuid()),
    "kind": ("VARCHAR", pa.string()),
    "value": ("VARCHAR", pa.string()),
}

DEAD_LETTER_COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    "topic": ("VARCHAR", pa.string()),
    "partition": ("USMALLINT", pa.uint16()),
    "log_offset": ("BIGINT", pa.int64()),
    "timestamp": ("TIMESTAMPTZ", pa.timestamp("ms", tz="UTC")),
    "key": ("BLOB", pa.binary()),
    "value": ("BLOB", pa.binary()),
    "headers": ("VARCHAR", pa.string()),
    "schema_id": ("BIGINT", pa.int64()),
    "stage": ("VARCHAR", pa.string()),
    "error_class": ("VARCHAR", pa.string()),
    "error_message": ("VARCHAR", pa.string()),
    "first_seen": ("TIMESTAMPTZ", UTC_MICROS),
    "projection": ("VARCHAR", pa.string()),
    "layout": ("VARCHAR", pa.string()),
}
"""A record that could not be folded, whole; `headers` is a JSON array of [name, base64 value], `projection` the store's
name and `layout` what its rows meant when the record was parked (projections.store)."""


SMALL_TABLES: dict[str, dict[str, tuple[str, pa.DataType]]] = {
    "links": {
        "verb": ("VARCHAR", pa.string()),
        "one": ("VARCHAR", pa.string()),
        "other": ("VARCHAR", pa.string()),
        "event_id": ("UUID", pa.uuid()),
        "occurred_at": ("TIMESTAMPTZ", UTC_MICROS),
        "assurance": ("UTINYINT", pa.uint8()),
    },
    "edges": {
        "one": ("UUID", pa.uuid()),
        "other": ("UUID", pa.uuid()),
        "occurred_at": ("TIMESTAMPTZ", UTC_MICROS),
    },
    "endings": {
        "contact_point": ("VARCHAR", pa.string()),
        "event_id": ("UUID", pa.uuid()),
        "occurred_at": ("TIMESTAMPTZ", UTC_MICROS),
    },
    "member_changes": {
        "contact_point_id": ("UUID", pa.uuid()),
        "customer_id": ("UUID", pa.uuid()),
        "shared": ("BOOLEAN", pa.bool_()),
    },
    "thread_changes": {"thread_id": ("UUID", pa.uuid()), "conversation_id": ("UUID", pa.uuid())},
    "offsets": {
        "topic": ("VARCHAR", pa.string()),
        "partition": ("USMALLINT", pa.uint16()),
        "next_offset": ("BIGINT", pa.int64()),
        "end_offset": ("BIGINT", pa.int64()),
    },
    "topics": {"topic": ("VARCHAR", pa.string()), "identity": ("VARCHAR", pa.string())},
    "batches": {
        "committed_at": ("TIMESTAMPTZ", UTC_MICROS),
        "read": ("BIGINT", pa.int64()),
        "applied": ("BIGINT", pa.int64()),
        "duplicates": ("BIGINT", pa.int64()),
        "parked": ("BIGINT", pa.int64()),
        "seconds": ("DOUBLE", pa.float64()),
    },
    "redrives": {
        "topic": ("VARCHAR", pa.string()),
        "partition": ("USMALLINT", pa.uint16()),
        "log_offset": ("BIGINT", pa.int64()),
        "attempted_at": ("TIMESTAMPTZ", UTC_MICROS),
        "state": ("VARCHAR", pa.string()),
        "stage": ("VARCHAR", pa.string()),
        "error_class": ("VARCHAR", pa.string()),
        "error_message": ("VARCHAR", pa.string()),
        "event_id": ("UUID", pa.uuid()),
        "patched": ("BLOB", pa.binary()),
    },
    "published": {"published_at": ("TIMESTAMPTZ", UTC_MICROS), "records": ("BIGINT", pa.int64())},
}
"""Insert-only tables of which a batch adds a few rows. `links`: statements about pairs of contact points, and evidence
with its assurance, by its place in ASSURANCE: of each pair the first, and what turned out to be earlier or surer;
`edges`: threads and their case references, and pairs of threads that a reply joins, likewise; `endings`: contact points
that belong to somebody else from then; `*_changes`: who belongs where from then; `redrives`: what became of a dead
letter that was tried again or discarded (`patched`: the value that was folded in place of its own); `published`:
batches whose dead letters are in the dead-letter topics, too."""


def rows_table(table: str, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A few rows of a small table as Arrow, the columns in order; UUIDs as `uuid.UUID` or 16 bytes, times as datetimes
    or microseconds."""
    columns = SMALL_TABLES[table]
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [
        pa.ExtensionArray.from_storage(
            kind, pa.array([one.bytes if isinstance(one, UUID) else one for one in column], pa.binary(16))
        )
        if kind == pa.uuid()
        else pa.array(column, kind)
        for (_, kind), column in zip(columns.values(), values, strict=True)
    ]
    return pa.table(arrays, names=list(columns))


def arrow_schema(columns: dict[str, tuple[str, pa.DataType]]) -> pa.Schema:
    """The Arrow schema of a table's columns."""
    return pa.schema([(name, arrow) for name, (_, arrow) in columns.items()])


def ddl(columns: dict[str, tuple[str, pa.DataType]]) -> str:
    """The column list of CREATE TABLE, with `batch` before the columns."""
    return ", ".join(["batch INTEGER", *(f'"{name}" {sql}' for name, (sql, _) in columns.items())])


def unpack(shift: int, names: tuple[str, ...]) -> str:
    """SQL that reads a code of `flags` as text, NULL for code 0 when it stands for none."""
    size = (len(names) - 1).bit_length()
    cases = " ".join(f"WHEN {code} THEN '{name}'" for code, name in enumerate(names) if name)
    return f"CASE (flags >> {shift}) & {(1 << size) - 1} {cases} END"
