"""From how rows lay in a store of an earlier version to how they lie now, by SQL, in one transaction a store.

A step is never changed once it was released: it knows the layout before it and the one after it, not today's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from projections import layout, remembered
from projections.projection import Projection
from schemas.errors import StoreError

_FROM_1 = (
    # Dead letters tell whose they are and what its rows meant.
    """
    CREATE TABLE store.dead_letters_2 AS
    SELECT d.*, this.name AS projection, m.value AS layout
    FROM store.dead_letters AS d, this, (SELECT value FROM store.meta WHERE key = 'layout') AS m
    """,
    "DROP TABLE store.dead_letters",
    "ALTER TABLE store.dead_letters_2 RENAME TO dead_letters",
    """
    CREATE TABLE store.redrives (
        batch INTEGER, topic VARCHAR, "partition" USMALLINT, log_offset BIGINT, attempted_at TIMESTAMPTZ, state VARCHAR,
        stage VARCHAR, error_class VARCHAR, error_message VARCHAR, event_id UUID, patched BLOB
    )
    """,
    "CREATE TABLE store.published (batch INTEGER, published_at TIMESTAMPTZ, records BIGINT)",
    # Two writers of one batch collide.
    """
    CREATE TABLE store.batches_2 (
        batch INTEGER, committed_at TIMESTAMPTZ, "read" BIGINT, applied BIGINT, duplicates BIGINT, parked BIGINT,
        seconds DOUBLE, PRIMARY KEY (batch)
    )
    """,
    "INSERT INTO store.batches_2 BY NAME FROM store.batches",
    "DROP TABLE store.batches",
    "ALTER TABLE store.batches_2 RENAME TO batches",
    # Edges tell when they were first seen, and again of every batch in which that turned out to be earlier.
    """
    CREATE TABLE store.edges_2 AS
    WITH cases AS (
        SELECT
            batch, occurred_at, 'thread:' || channel || ':' || conversation_ref AS thread,
            list_transform(
                list_distinct(from_json(rest -> '$.case_refs', '["VARCHAR"]')), lambda ref: 'case:' || ref
            ) AS refs
        FROM store.events
        WHERE has_cases AND channel <> 'identity'
    ),
    named AS (
        SELECT batch, occurred_at, coalesce(thread, list_min(refs)) AS thread, unnest(refs) AS case_ref FROM cases
    ),
    firsts AS (
        SELECT batch, thread, case_ref, min(occurred_at) AS occurred_at
        FROM named
        WHERE thread <> case_ref
        GROUP BY batch, thread, case_ref
    )
    SELECT batch, thread, case_ref, occurred_at
    FROM firsts
    QUALIFY occurred_at < coalesce(
        min(occurred_at) OVER (
            PARTITION BY thread, case_ref ORDER BY batch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        'infinity'
    )
    ORDER BY batch, thread, case_ref
    """,
    "DROP TABLE store.edges",
    "ALTER TABLE store.edges_2 RENAME TO edges",
    # So do links, of evidence: two of a person's own contact points, vouched for, in one event; and how surely.
    """
    CREATE TABLE store.links_2 AS
    WITH named AS (
        SELECT event_id, batch, occurred_at, contact_point_id, assurance
        FROM store.events
        WHERE channel <> 'identity' AND is_self AND normalised AND assurance <= 1
            AND event_id IN (SELECT event_id FROM store.mentions)
        UNION
        SELECT m.event_id, m.batch, m.occurred_at, m.contact_point_id, m.assurance
        FROM store.mentions AS m
        JOIN store.rows AS r USING (event_id)
        WHERE r.channel <> 'identity' AND m.role = 'self' AND m.normalised AND m.assurance <= 1
    ),
    known AS (
        SELECT DISTINCT
            one, other, store.contact_point_id(one) AS one_id, store.contact_point_id(other) AS other_id
        FROM store.links
        WHERE verb = 'evidence'
    ),
    given AS (
        SELECT
            n.batch, k.one, k.other, greatest(n.assurance, o.assurance)::UTINYINT AS assurance,
            min(n.occurred_at) AS occurred_at, min_by(n.event_id, n.occurred_at) AS event_id
        FROM named AS n
        JOIN named AS o ON o.event_id = n.event_id AND o.contact_point_id <> n.contact_point_id
        JOIN known AS k ON k.one_id = n.contact_point_id AND k.other_id = o.contact_point_id
        GROUP BY ALL
    )
    SELECT batch, verb, one, other, event_id, occurred_at, NULL::UTINYINT AS assurance
    FROM store.links
    WHERE verb <> 'evidence'
    UNION ALL
    SELECT batch, 'evidence', one, other, event_id, occurred_at, assurance
    FROM given
    QUALIFY occurred_at < coalesce(
        min(occurred_at) OVER (
            PARTITION BY one, other, assurance ORDER BY batch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        'infinity'
    )
    """,
    "DROP TABLE store.links",
    "ALTER TABLE store.links_2 RENAME TO links",
    # Projections tell the SQL that they were built from. Of those whose SQL nobody knows any more the state goes.
    """
    SELECT format('DROP SCHEMA {}_v{} CASCADE', name, version)
    FROM store.projections ANTI JOIN program USING (name, version, fingerprint)
    """,
    """
    SELECT format('DROP VIEW IF EXISTS touchlog.{}', name)
    FROM store.projections ANTI JOIN program USING (name, version, fingerprint)
    """,
    """
    SELECT format('DROP MACRO TABLE IF EXISTS touchlog.{}_at', name)
    FROM store.projections ANTI JOIN program USING (name, version, fingerprint)
    """,
    """
    CREATE TABLE store.projections_2 AS
    SELECT p.batch, p.name, p.version, 1 AS build, p.sort, p.fingerprint, program.text
    FROM store.projections AS p
    JOIN program USING (name, version, fingerprint)
    """,
    "DROP TABLE store.projections",
    "ALTER TABLE store.projections_2 RENAME TO projections",
    """
    CREATE TABLE store.projection_states AS
    SELECT
        row_number() OVER (ORDER BY name) AS step, now() AS since, name, version, build, 'live' AS state,
        '[]' AS fence, 0::BIGINT AS done, 0::BIGINT AS total
    FROM store.projections
    """,
)

_FROM_2 = (
    "DROP VIEW IF EXISTS store.statements",
    # Definitions of response times.
    """
    CREATE TABLE store.metric_loads (
        step INTEGER, loaded_at TIMESTAMPTZ, place INTEGER, name VARCHAR, version INTEGER, note VARCHAR,
        definition VARCHAR, closed VARCHAR, calendar VARCHAR
    )
    """,
    # Contact points that ended.
    "CREATE TABLE store.endings (batch INTEGER, contact_point VARCHAR, event_id UUID, occurred_at TIMESTAMPTZ)",
    """
    INSERT INTO store.endings BY NAME
    SELECT r.batch, p.kind || ':' || p.value AS contact_point, r.event_id, r.occurred_at
    FROM store.rows AS r
    JOIN store.points AS p USING (contact_point_id)
    WHERE r.channel = 'identity' AND r.type = 'contact_point.ended' AND p.kind <> 'anonymous'
    """,
)

_FROM_3 = (
    """
    CREATE TABLE store.edges_4 AS
    SELECT
        batch, store.contact_point_id(thread) AS one, store.contact_point_id(case_ref) AS other, occurred_at
    FROM store.edges
    """,
    "DROP TABLE store.edges",
    "ALTER TABLE store.edges_4 RENAME TO edges",
    # A reply joins its thread with that of the message, once both are there; again where that turns out to be earlier.
    """
    INSERT INTO store.edges BY NAME
    WITH firsts AS (
        SELECT
            greatest(r.batch, m.batch) AS batch,
            greatest(r.thread_id, m.thread_id) AS one,
            least(r.thread_id, m.thread_id) AS other,
            min(greatest(r.occurred_at, m.occurred_at)) AS occurred_at
        FROM store.rows AS r
        JOIN store.rows AS m ON m.contact_point_id = r.contact_point_id AND m.message_ref = r.answers_ref
        WHERE r.thread_id <> m.thread_id
        GROUP BY ALL
    )
    SELECT batch, one, other, occurred_at
    FROM (SELECT *, true AS by_reply FROM firsts UNION ALL BY NAME SELECT *, false AS by_reply FROM store.edges)
    QUALIFY by_reply AND occurred_at < coalesce(
        min(occurred_at) OVER (
            PARTITION BY one, other ORDER BY batch, by_reply ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        'infinity'
    )
    """,
)

STEPS: Mapping[int, Sequence[str]] = {1: _FROM_1, 2: _FROM_2, 3: _FROM_3}
"""Layout -> statements that make it the next one; the rows that a SELECT gives are statements, too.

They find `this` (name: the store's) and `program` (name, version, fingerprint, text: the program's projections).
"""


def migrate(con: duckdb.DuckDBPyConnection, path: Path, projections: Sequence[Projection]) -> bool:
    """Bring a store's rows into today's layout, inside the caller's transaction; whether they lay otherwise. A file
    without any is left alone.

    Raises StoreError when they lie as a newer program lays them, or as one from before the first release.
    """
    number = remembered.layout_number(con)
    if number is None or number == layout.LAYOUT:
        return False
    if number > layout.LAYOUT:
        raise newer(path, number)
    if not all(step in STEPS for step in range(number, layout.LAYOUT)):
        raise StoreError(
            f"{path} was made before the first release of touchlog (layout {number}); delete it and type: touchlog"
            " project, which folds the log again"
        )
    con.register("this", pa.table({"name": [path.stem]}))
    con.register("program", _table(projections))
    try:
        for step in range(number, layout.LAYOUT):
            for statement in STEPS[step]:
                _run(con, statement)
        remembered.note_layout(con)
    finally:
        con.unregister("this")
        con.unregister("program")
    return True


def check_readable(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """What only reads finds today's layout. Raises StoreError otherwise."""
    number = remembered.layout_number(con)
    if number is not None and number > layout.LAYOUT:
        raise newer(path, number)
    if number is not None and number < layout.LAYOUT:
        raise StoreError(
            f"{path} was written by an earlier touchlog (layout {number}, this is {layout.LAYOUT}); bring it up to date"
            " with: touchlog project --until-caught-up"
        )


def newer(path: Path, number: int) -> StoreError:
    """The store is ahead of the program."""
    return StoreError(
        f"{path} was written by a newer touchlog (layout {number}, this one knows {layout.LAYOUT}); upgrade touchlog"
    )


def _run(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    told = con.execute(statement)
    if statement.lstrip().startswith("SELECT"):
        for (one,) in told.fetchall():
            con.execute(one)


def _table(projections: Sequence[Projection]) -> pa.Table:
    rows = [(one.name, one.version, one.fingerprint, one.text) for one in projections]
    columns = list(zip(*rows, strict=True)) or [()] * 4
    kinds = (pa.string(), pa.int32(), pa.string(), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return pa.table(arrays, names=["name", "version", "fingerprint", "text"])
