"""The views as of two times, in SQL: what projections.as_of answers by a copy, as table macros for one's own queries.

    FROM touchlog.conversations_as_of('2026-03-02')                                  what had happened by then
    FROM touchlog.customers_as_of(known_by := '2026-03-05')                          what had been folded by then
    FROM touchlog.items_as_of('2026-03-02 09:00:00+01', known_by := '2026-03-05')       both

Each reads the events of the cut alone, and who was who by the evidence in those, which `store.members_as_of` works out
anew. A view in a query takes as long as building its state; several of them as of one time are quicker asked of a copy
(`touchlog sql --as-of`).
"""

import re
from collections.abc import Iterator, Sequence

from projections.holdings import NEVER
from projections.identity_rules import UNIQUE
from projections.metric_relations import SETTINGS
from projections.projection import Projection
from projections.relations import DERIVED, IN_CONVERSATIONS, scoped, stored

_GIVEN = "happened_by, known_by"
_DECLARED = "happened_by := NULL, known_by := NULL"
_HAPPENED = "occurred_at <= coalesce(happened_by::TIMESTAMPTZ, 'infinity'::TIMESTAMPTZ)"
_KNOWN = """(known_by IS NULL OR batch <= (
    SELECT coalesce(max(batch), 0) FROM store.batches WHERE committed_at <= known_by::TIMESTAMPTZ
))"""
_NOW = "coalesce(happened_by::TIMESTAMPTZ, known_by::TIMESTAMPTZ, now())"
_PUBLIC = re.compile(r"\btouchlog\.(\w+?)(?:_at\(now_at\)|\b(?!\())")

_COMPONENTS = """
WITH RECURSIVE
{linked},
ranked AS (
    SELECT one, other, row_number() OVER (ORDER BY strength, since, one, other) AS place FROM linked
),
components(name, component, has_unique) USING KEY (name) AS (
    SELECT name, name, {is_unique} FROM (SELECT one AS name FROM ranked UNION SELECT other FROM ranked)
    UNION
    -- The strongest link of a component that has no unique node leads to where it belongs (Boruvka); where that
    -- moves in this round, too, it waits for the next, but of two that choose each other the larger moves.
    SELECT c.name, moved.into_component, moved.into_unique
    FROM recurring.components AS c
    JOIN (
        WITH crossing AS (
            SELECT
                place, a.component AS a_component, a.has_unique AS a_unique,
                b.component AS b_component, b.has_unique AS b_unique
            FROM ranked AS l
            JOIN recurring.components AS a ON a.name = l.one
            JOIN recurring.components AS b ON b.name = l.other
            WHERE a.component <> b.component AND NOT (a.has_unique AND b.has_unique)
        ),
        chosen AS (
            SELECT
                component, arg_min(into_component, place) AS into_component, arg_min(into_unique, place) AS into_unique
            FROM (
                SELECT place, a_component AS component, b_component AS into_component, b_unique AS into_unique
                FROM crossing WHERE NOT a_unique
                UNION ALL
                SELECT place, b_component, a_component, a_unique FROM crossing WHERE NOT b_unique
            )
            GROUP BY component
        )
        SELECT one.*
        FROM chosen AS one
        LEFT JOIN chosen AS other ON other.component = one.into_component
        WHERE other.component IS NULL
            OR (other.into_component = one.component AND one.component > one.into_component)
    ) AS moved USING (component)
),
seen AS ({seen}),
first AS (
    SELECT component, min({{'at': coalesce(seen_at, {never}), 'name': name}}).name AS first_name
    FROM components
    LEFT JOIN seen USING (name)
    GROUP BY component
)
"""
"""Connected components as projections.components has them, of the relation `linked` (one, other, strength, since), of
nodes that connect: in each at most one node of a unique kind, the weakest links left out; and the first of each, by the
relation `seen` (name, seen_at). `recurring` is what DuckDB calls all rows found so far."""

_MEMBERS = f"""
{
    _COMPONENTS.format(
        linked='''
pairs_then AS (SELECT one, other, strength, occurred_at AS since FROM pairs WHERE linked),
ends AS (SELECT one AS name, other AS neighbour FROM pairs_then UNION ALL SELECT other, one FROM pairs_then),
shared AS (
    SELECT DISTINCT name
    FROM (
        SELECT name, split_part(name, ':', 1) AS kind, split_part(neighbour, ':', 1) AS neighbour, count(*) AS count
        FROM ends
        GROUP BY ALL
    )
    JOIN identity_rules USING (kind, neighbour)
    WHERE count > allowed
),
linked AS (
    SELECT * FROM pairs_then
    WHERE one NOT IN (SELECT name FROM shared) AND other NOT IN (SELECT name FROM shared)
)''',
        is_unique="split_part(name, ':', 1) IN ({})".format(", ".join(f"'{kind}'" for kind in sorted(UNIQUE))),
        seen='''
    SELECT name, epoch_us(min(occurred_at)) AS seen_at
    FROM (
        SELECT contact_point_id, occurred_at FROM events WHERE is_self
        UNION ALL
        SELECT contact_point_id, occurred_at FROM mentions WHERE role = 'self'
    )
    JOIN (SELECT name, store.contact_point_id(name) AS contact_point_id FROM components) USING (contact_point_id)
    GROUP BY name''',
        never=NEVER,
    )
}
SELECT
    0 AS batch,
    store.contact_point_id(name) AS contact_point_id,
    store.contact_point_id(first_name) AS customer_id,
    false AS shared
FROM components
JOIN first USING (component)
UNION ALL
SELECT 0, store.contact_point_id(name), store.contact_point_id(name), true FROM shared
"""

_THREADS = f"""
{
    _COMPONENTS.format(
        linked='''
pairs_then AS (SELECT one, other, occurred_at FROM edges),
linked AS (SELECT DISTINCT one, other, 0 AS strength, 0 AS since FROM pairs_then)''',
        is_unique="false",
        seen='''
    SELECT name, epoch_us(min(occurred_at)) AS seen_at
    FROM (
        SELECT thread_id AS name, occurred_at FROM rows
        UNION ALL
        SELECT other, occurred_at FROM pairs_then
    )
    WHERE name IN (SELECT name FROM components)
    GROUP BY name''',
        never=NEVER,
    )
}
SELECT 0 AS batch, name AS thread_id, first_name AS conversation_id
FROM components
JOIN first USING (component)
"""

_CUT = ("rows", "mention_rows", "links", "endings", "edges")
_FIRST = ("holdings", "events", "mentions", "pairs", "identity_rules")
"""What is read to tell who belongs where, so it comes before."""
_THEN = {
    **{name: f"SELECT * FROM store.{name} WHERE {_HAPPENED} AND {_KNOWN}" for name in _CUT},
    "points": f"SELECT * FROM store.points WHERE {_KNOWN}",
    **{name: DERIVED[name] for name in _FIRST},
    "member_changes": _MEMBERS,
    "thread_changes": _THREADS,
    **{name: sql for name, sql in DERIVED.items() if name not in _FIRST},
}
"""What lies in the store, as of then, and what is derived from it; each after those that it reads."""

_RELATIONS = {name: f"FROM store.{name}_as_of({_GIVEN})" for name in _THEN}


def beneath() -> Iterator[str]:
    """Statements that create what the views' macros read."""
    for name, sql in _THEN.items():
        given = {other: text for other, text in _RELATIONS.items() if other != name}
        yield f"CREATE OR REPLACE MACRO store.{name}_as_of({_DECLARED}) AS TABLE {scoped(sql, given, derived={})}"


def views(live: Sequence[Projection]) -> Iterator[str]:
    """Statements that create `touchlog.<view>_as_of` of the live projections."""
    settings = {name: stored(name) for name in SETTINGS}
    for one in live:
        text = one.blocks["view"]
        sql = scoped(text, {**settings, **_RELATIONS, "state": _state(one)}, derived={})
        sql = re.sub(r"\bnow_at\b", _NOW, _PUBLIC.sub(rf"touchlog.\1_as_of({_GIVEN})", sql))
        yield f"CREATE OR REPLACE MACRO touchlog.{one.name}_as_of({_DECLARED}) AS TABLE {sql}"


def _state(one: Projection) -> str:
    if one.sort == "plain":
        return ""
    if one.sort == "merged":
        parts = scoped(one.blocks["delta"], _RELATIONS, derived={})
        return scoped(one.blocks["merge"], {"parts": parts}, derived={})
    events = scoped(IN_CONVERSATIONS, _RELATIONS, derived={})
    return scoped(one.blocks["fold"], {"events": events}, derived={})
