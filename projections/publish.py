"""The views: from the parts that there are to the relations that people and projections read."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from projections import as_of_sql, remembered, versions
from projections.metric_relations import SETTINGS, SETTINGS_MACROS
from projections.projection import Projection, all_projections
from projections.quiet import QUIET_UNTIL
from projections.relations import DERIVED, IN_CONVERSATIONS, MACROS, TABLES, scoped, stored
from projections.versions import CURRENT, NEXT_SCHEMA

if TYPE_CHECKING:
    from projections.store import Part, Store

PUBLIC = "touchlog"
_PUBLIC_NAME = re.compile(rf"\b{PUBLIC}\.(?=\w)")

_OPERATIONS = {
    # The error told is the newest of the record's own bytes; one of a patch is the patch's.
    "dead_letters": """
        SELECT
            d.batch, d.topic, d.partition, d.log_offset, d.timestamp, d.key, d.value, d.headers, d.schema_id,
            d.projection, d.layout,
            coalesce(r.error.stage, d.stage) AS stage,
            coalesce(r.error.error_class, d.error_class) AS error_class,
            coalesce(r.error.error_message, d.error_message) AS error_message,
            d.first_seen,
            coalesce(r.state, 'parked') AS state,
            1 + coalesce(r.tries, 0) AS attempts,
            coalesce(r.last_attempt, d.first_seen) AS last_attempt
        FROM store.dead_letters AS d
        LEFT JOIN (
            SELECT
                topic, partition, log_offset,
                max_by(state, batch) AS state,
                count(*) FILTER (state <> 'discarded') AS tries,
                max(attempted_at) FILTER (state <> 'discarded') AS last_attempt,
                max_by(
                    {'stage': stage, 'error_class': error_class, 'error_message': error_message}, batch
                ) FILTER (state = 'parked' AND stage <> 'patch' AND patched IS NULL) AS error
            FROM store.redrives
            GROUP BY topic, partition, log_offset
        ) AS r USING (topic, partition, log_offset)
    """,
    "batches": "SELECT * FROM store.batches",
    "metric_definitions": """
        SELECT place, name, version, note, bots_answer, snoozes_pause, zone, definition, closed, calendar, loaded_at
        FROM store.metric_definitions
        ORDER BY place
    """,
    "lag": """
        SELECT *, end_offset - next_offset AS lag, (SELECT max(committed_at) FROM store.batches) AS as_of
        FROM (
            SELECT
                topic,
                partition,
                max_by(next_offset, batch) AS next_offset,
                coalesce(greatest(max_by(end_offset, batch), max(next_offset)), max(next_offset)) AS end_offset
            FROM store.offsets
            GROUP BY topic, partition
        )
    """,
    "projections": f"""
        SELECT
            p.name, p.version, p.build, p.sort, p.fingerprint,
            count(t.table_name) AS runs,
            coalesce(sum(t.estimated_size), 0)::BIGINT AS rows,
            p.state,
            p.since,
            p.text AS sql,
            CASE WHEN p.state IN ('building', 'paused') THEN p.done / nullif(p.total, 0) END AS built,
            CASE WHEN p.state IN ('building', 'paused', 'catching up') THEN coalesce((
                SELECT sum(greatest(0, (f.place ->> 2)::BIGINT - coalesce(o.next_offset, 0)))
                FROM (SELECT unnest(from_json(p.fence, '["JSON"]')) AS place) AS f
                LEFT JOIN touchlog.lag AS o ON o.topic = (f.place ->> 0) AND o.partition = (f.place ->> 1)::INTEGER
            ), 0)::BIGINT END AS to_fence
        FROM ({CURRENT}) AS p
        LEFT JOIN duckdb_tables() AS t
            ON t.schema_name = p.name || '_v' || p.version || CASE WHEN p.build > 1 THEN '_b' || p.build ELSE '' END
            AND t.table_name LIKE 'run%' AND t.table_name NOT LIKE '%staging'
        GROUP BY ALL
    """,
}

_STORED = {name: stored(name) for name in (*TABLES, *DERIVED, *SETTINGS)}


def create_views(store: "Store") -> None:
    """Create every view, inside the caller's transaction; those that read no parts only when they are not those that
    the store has: DuckDB takes most of a second to bind them."""
    con = store.con
    con.execute("CREATE SCHEMA IF NOT EXISTS touchlog")
    create_streams(store)
    beneath = _beneath()
    if remembered.views(con) == _digest(beneath, _public(store)):
        _states(store)
        return
    for statement in beneath:
        con.execute(statement)
    create_public(store)


def create_public(store: "Store") -> None:
    """(Re)create what people read: the live versions, and beside them the views as they would be with those that are
    coming. Inside the caller's transaction, so that readers see the old or the new."""
    store.forget_parts()
    _states(store)
    public = _public(store)
    for statement in public:
        store.con.execute(statement)
    remembered.note_views(store.con, _digest(_beneath(), public))


@cache
def _beneath() -> tuple[str, ...]:
    """Statements that create what public views read."""
    statements = [*MACROS, *SETTINGS_MACROS, QUIET_UNTIL]
    for name, sql in DERIVED.items():
        beneath = {given: text for given, text in _STORED.items() if given != name}
        statements.append(f"CREATE OR REPLACE VIEW store.{name} AS {scoped(sql, beneath, derived={})}")
    statements += [f"CREATE OR REPLACE VIEW store.{name} AS {sql}" for name, sql in SETTINGS.items()]
    statements += [f"CREATE OR REPLACE VIEW touchlog.{name} AS {sql}" for name, sql in _OPERATIONS.items()]
    return (*statements, *as_of_sql.beneath())


def _public(store: "Store") -> list[str]:
    """Statements that create the public views."""
    known = store.versions()
    # Another version of these depends on the time: whoever reads one at a time need not know which is live.
    timed = {one.name for one in (*all_projections(), *(version.projection for version in known)) if one.now}
    live = versions.live(known)
    statements = [sql for one in live for sql in _views_of(one, PUBLIC, timed)]
    statements += as_of_sql.views(live)
    statements.append(f"DROP SCHEMA IF EXISTS {NEXT_SCHEMA} CASCADE")
    after = versions.coming(known)
    if after:
        statements.append(f"CREATE SCHEMA {NEXT_SCHEMA}")
    return [*statements, *(sql for one in after for sql in _views_of(one, NEXT_SCHEMA, timed))]


def _views_of(projection: Projection, schema: str, timed: Collection[str]) -> Iterator[str]:
    given = {**_STORED, "state": f"{projection.schema}.state"}
    sql = _PUBLIC_NAME.sub(f"{schema}.", scoped(projection.blocks["view"], given, derived={}))
    name = f"{schema}.{projection.name}"
    if projection.now:
        yield f"CREATE OR REPLACE MACRO {name}_at(now_at) AS TABLE {sql}"
        sql = f"FROM {name}_at(now())"
    yield f"CREATE OR REPLACE VIEW {name} AS {sql}"
    if not projection.now and projection.name in timed:
        yield f"CREATE OR REPLACE MACRO {name}_at(now_at) AS TABLE FROM {name}"


def _digest(beneath: Iterable[str], public: Iterable[str]) -> str:
    return hashlib.sha256("\n".join((*beneath, *public)).encode()).hexdigest()


def refresh(store: "Store") -> None:
    """(Re)create the views that name parts, after parts came or went, inside the caller's transaction."""
    store.forget_parts()
    create_streams(store)
    _states(store)


def create_streams(store: "Store") -> None:
    """(Re)create the relations that are all parts of a stream, inside the caller's transaction."""
    for stream, name in (("events", "rows"), ("mentions", "mention_rows")):
        store.con.execute(f"CREATE OR REPLACE VIEW store.{name} AS {union(store.parts('store', stream))}")


def _states(store: "Store") -> None:
    for projection in store.folded():
        store.con.execute(f"CREATE OR REPLACE VIEW {projection.schema}.state AS {_state(store, projection)}")


def union(parts: "list[Part]") -> str:
    """All rows of the parts."""
    return " UNION ALL BY NAME ".join(f"FROM {part.table}" for part in parts)


def delta(projection: Projection, events: "list[Part]", mentions: "list[Part]", where: str = "") -> str:
    """A merged projection's delta over some parts; `where` cuts them further."""
    given = {
        "rows": f"FROM ({union(events)}) {where}",
        "mention_rows": f"FROM ({union(mentions)}) {where}",
        "holdings": stored("holdings"),
    }
    return scoped(projection.blocks["delta"], given)


def merge(projection: Projection, parts: str) -> str:
    """A merged projection's rows combined to one row a key."""
    return scoped(projection.blocks["merge"], {"parts": parts}, derived={})


def fold(projection: Projection, events: "list[Part]", where: str = "") -> str:
    """A regrouped projection's rows from conversations' events; `where` says of which by `conversation_id`."""
    given = {"rows": union(events), "holdings": stored("holdings"), "threads": stored("threads")}
    grouped = f"FROM ({scoped(IN_CONVERSATIONS, given)}) {where}"
    return scoped(projection.blocks["fold"], {"events": grouped}, derived={})


def within(groups: str) -> str:
    """Conversations of `groups` alone."""
    return f"WHERE conversation_id IN (SELECT conversation_id FROM ({groups}))"


def touched(events: "list[Part]", after: int) -> str:
    """Conversations with events in these parts that came after a batch, or whose members changed after it."""
    recent = [part for part in events if part.kind == "tail" or part.number > after]
    return f"""
        SELECT DISTINCT coalesce(t.conversation_id, e.thread_id) AS conversation_id
        FROM ({union(recent)}) AS e
        LEFT JOIN store.threads AS t USING (thread_id)
        WHERE e.thread_id IS NOT NULL AND e.batch > {after}
        UNION
        SELECT t.conversation_id
        FROM store.thread_changes AS c
        JOIN store.threads AS t USING (thread_id)
        WHERE c.batch > {after}
    """


def current(runs: "list[Part]") -> str:
    """A regrouped projection's newest row of each conversation that is still one of its own."""
    return f"""
        SELECT * FROM ({union(runs)})
        JOIN (SELECT conversation_id, max(generation) AS generation FROM ({union(runs)}) GROUP BY ALL)
            USING (conversation_id, generation)
        WHERE conversation_id NOT IN (SELECT thread_id FROM store.threads WHERE thread_id <> conversation_id)
    """


def generation(runs: "list[Part]") -> int:
    """The last batch that a regrouped projection's runs cover."""
    return max((part.number for part in runs), default=-1)


def _state(store: "Store", projection: Projection) -> str:
    runs = store.parts(projection.schema)
    if not store.is_based(projection):
        events = store.parts("store", "events")
        if projection.sort == "merged":
            return merge(projection, f"({delta(projection, events, store.parts('store', 'mentions'))})")
        return fold(projection, events)
    if projection.sort == "merged":
        kept = [f"FROM {run.table}" for run in runs]
        latest = [f"({delta(projection, store.tails(), store.tails('mentions'))})"]
        if store.has_endings:
            # Runs were made when nobody knew that the contact point would end, or end again: its events are read anew.
            ended = "(SELECT unnest([point_id, holding_id]) FROM store.holdings)"
            kept = [f"{run} WHERE contact_point_id NOT IN {ended}" for run in kept]
            theirs = "WHERE contact_point_id IN (SELECT point_id FROM store.holdings)"
            events, mentions = (
                [part for part in store.parts("store", stream) if part.kind == "run"]
                for stream in ("events", "mentions")
            )
            latest += [f"({delta(projection, events, mentions, theirs)})"] if events else []
        return merge(projection, " UNION ALL BY NAME ".join([*kept, *latest]))
    events = store.parts("store", "events")
    groups = touched(events, generation(runs))
    recent = fold(projection, events, within(groups))
    if not runs:
        return recent
    settled = f"""
        SELECT * EXCLUDE (generation) FROM ({current(runs)})
        WHERE conversation_id NOT IN (SELECT conversation_id FROM ({groups}))
    """
    return f"({settled}) UNION ALL BY NAME ({recent})"
