"""The views as of two times: what had happened by one, and what was known by the other.

What is copied into a scratch store are the events that had happened and were known, and who was who by the evidence in
those; the same SQL as ever runs over them. So the answer is that of a fold of just those events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb

from projections import metrics
from projections.components import Components, FirstSeen, Link, Strength
from projections.holdings import NEVER, Holdings, first_seen_sql
from projections.identity_rules import LIMITS, UNIQUE
from projections.relations import DERIVED, PAIRS, scoped
from projections.store import Store
from schemas.contact_points import contact_point_id, plain_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Events that occurred at `happened` or before, and were folded by batch `batch`; None is no bound."""

    happened: datetime | None = None
    batch: int | None = None

    @property
    def where(self) -> str:
        """The condition on a table with `occurred_at` and `batch`."""
        terms = ["true"]
        if self.happened is not None:
            terms.append(f"occurred_at <= '{self.happened.isoformat()}'::TIMESTAMPTZ")
        if self.batch is not None:
            terms.append(f"batch <= {self.batch}")
        return " AND ".join(terms)


def cut_of(con: duckdb.DuckDBPyConnection, *, happened: datetime | None, known: datetime | None) -> Cut:
    """The cut of what had happened by one time and was in the store by another."""
    if known is None:
        return Cut(happened=happened)
    found = con.execute("SELECT coalesce(max(batch), 0) FROM store.batches WHERE committed_at <= ?", [known]).fetchone()
    assert found is not None
    return Cut(happened=happened, batch=int(found[0]))


@dataclass(kw_only=True)
class Groups:
    """Which component each name was in, as the rows of `member_changes` and `thread_changes` say it."""

    components: Components
    known: set[str] = field(default_factory=set)

    def first(self, name: str) -> str:
        return self.components.place(name).first

    def members(self, name: str) -> list[str]:
        """The names of a name's component, itself among them."""
        return sorted(self.components.members.get(self.first(name), {name}))


def people(con: duckdb.DuckDBPyConnection, cut: Cut, start: Iterable[str] | None = None) -> Groups:
    """Who was who: contact points by key; with `start`, those that any evidence connects with these keys."""
    strengths: dict[Link, Strength] = {}

    def links(names: Sequence[str] | None) -> set[Link]:
        found = links_of(con, cut, names)
        strengths.update(found)
        return set(found)

    components = Components(limits=LIMITS, unique=UNIQUE, strength=strengths.__getitem__)
    return _groups(start, components, links, lambda names: _points_seen(con, cut, names))


def threads(con: duckdb.DuckDBPyConnection, cut: Cut, start: Iterable[str] | None = None) -> Groups:
    """Which threads and case references were one conversation, by the hexadecimal digits of their ids."""
    return _groups(
        start, Components(), lambda names: _edges(con, cut, names), lambda names: _threads_seen(con, cut, names)
    )


def threads_of(con: duckdb.DuckDBPyConnection, cut: Cut, ids: Sequence[UUID]) -> list[str]:
    """The threads that events of these contact points are in, as `threads` names them."""
    rows = con.execute(
        f"""
        SELECT DISTINCT thread_id
        FROM store.rows
        WHERE list_contains(?::UUID[], contact_point_id) AND thread_id IS NOT NULL AND {cut.where}
        """,
        [list(ids)],
    ).fetchall()
    return [thread.hex for (thread,) in rows]


_THREADS_SEEN = """
    SELECT thread_id, epoch_us(min(occurred_at)) FROM (
        SELECT thread_id, occurred_at FROM store.rows WHERE list_contains(?::UUID[], thread_id) AND {where}
        UNION ALL
        SELECT other, occurred_at FROM store.edges WHERE list_contains(?::UUID[], other) AND {where}
    ) GROUP BY thread_id
"""


def _groups(
    start: Iterable[str] | None,
    components: Components,
    links: Any,
    seen: FirstSeen,
) -> Groups:
    found: set[Link] = set()
    looked: set[str] = set()
    ahead = None if start is None else set(start)
    while ahead is None or ahead:
        new = links(None if ahead is None else sorted(ahead))
        found |= new
        if ahead is None:
            break
        looked |= ahead
        # A name that is shared connects nobody: what lies behind it is of no concern.
        ahead = {
            name
            for pair in new
            for name in pair
            if name not in looked and not all(_is_shared(components, found, one) for one in pair if one in looked)
        }

    components.apply(linked=sorted(found), first_seen=seen)
    return Groups(components=components, known={*looked, *(name for pair in found for name in pair)})


def _points_seen(con: duckdb.DuckDBPyConnection, cut: Cut, names: Sequence[str]) -> list[int]:
    if not names:
        return []
    ids = [contact_point_id(name) for name in names]
    given = [contact_point_id(key) for key in {plain_key(name) for name in names}]
    sql = first_seen_sql(f"list_contains($given::UUID[], contact_point_id) AND {cut.where}", holdings_of(cut))
    moments = dict(con.execute(sql, {"given": given}).fetchall())
    return [moments.get(one, NEVER) for one in ids]


def _threads_seen(con: duckdb.DuckDBPyConnection, cut: Cut, names: Sequence[str]) -> list[int]:
    if not names:
        return []
    ids = [UUID(hex=name) for name in names]
    moments = dict(con.execute(_THREADS_SEEN.format(where=cut.where), [ids, ids]).fetchall())
    return [moments.get(one, NEVER) for one in ids]


def holdings_of(cut: Cut) -> str:
    """The relation `holdings`, of what had ended by then and was known."""
    return scoped(DERIVED["holdings"], {"endings": f"SELECT * FROM store.endings WHERE {cut.where}"})


def current(con: duckdb.DuckDBPyConnection, key: str, cut: Cut) -> str:
    """The key of whoever had a contact point last: its own, or one since it ended (projections.holdings)."""
    ended = con.execute(
        f"SELECT contact_point, epoch_us(occurred_at) FROM store.endings WHERE contact_point = ? AND {cut.where}", [key]
    ).fetchall()
    if not ended:
        return key
    seen = f"""
        SELECT epoch_us(max(occurred_at)) FROM (
            SELECT occurred_at FROM store.rows WHERE contact_point_id = $1 AND {cut.where}
            UNION ALL
            SELECT occurred_at FROM store.mention_rows WHERE contact_point_id = $1 AND {cut.where}
        )
    """
    (last,) = con.execute(seen, [contact_point_id(key)]).fetchall()[0]
    return key if last is None else Holdings.of(ended).holder(key, last)


def _is_shared(components: Components, links: set[Link], name: str) -> bool:
    limits = components.limits.get(name.partition(":")[0])
    if not limits:
        return False
    counts: dict[str, int] = {}
    for pair in links:
        if name in pair:
            kind = (pair[0] if pair[1] == name else pair[1]).partition(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
    return any(count > limits[kind] for kind, count in counts.items() if kind in limits)


def links_of(con: duckdb.DuckDBPyConnection, cut: Cut, names: Sequence[str] | None) -> dict[Link, Strength]:
    """Pairs that were linked, by what counted for them then."""
    named, theirs, given = "", "", {}
    if names is not None:
        named = "AND (list_contains($keys, one) OR list_contains($keys, other))"
        theirs = "AND (list_contains($names, one) OR list_contains($names, other))"
        given = {"names": list(names), "keys": sorted({plain_key(name) for name in names})}
    links = f"SELECT * FROM store.links WHERE {cut.where} {named}"
    pairs = scoped(PAIRS, {"links": links, "holdings": holdings_of(cut)})
    rows = con.execute(
        f"SELECT one, other, strength, epoch_us(occurred_at) FROM ({pairs}) WHERE linked {theirs}", given
    ).fetchall()
    return {(one, other): (strength, moment) for one, other, strength, moment in rows}


def _edges(con: duckdb.DuckDBPyConnection, cut: Cut, names: Sequence[str] | None) -> set[Link]:
    named = "" if names is None else "AND (list_contains($names::UUID[], one) OR list_contains($names::UUID[], other))"
    rows = con.execute(
        f"SELECT DISTINCT one, other FROM store.edges WHERE {cut.where} {named}",
        {} if names is None else {"names": [UUID(hex=name) for name in names]},
    ).fetchall()
    return {(one.hex, other.hex) for one, other in rows}


def member_rows(groups: Groups) -> list[tuple[UUID, UUID, bool]]:
    """Rows of `member_changes`."""
    places = groups.components.places
    return [
        (contact_point_id(name), contact_point_id(place.first), place.shared) for name, place in sorted(places.items())
    ]


def thread_rows(groups: Groups) -> list[tuple[UUID, UUID]]:
    """Rows of `thread_changes`."""
    places = groups.components.places
    return [(UUID(hex=name), UUID(hex=place.first)) for name, place in sorted(places.items())]


def copy_whole(con: duckdb.DuckDBPyConnection, into: Store, cut: Cut) -> None:
    """Everything of the cut from a store (a connection to it) into an empty one, streamed; and its definitions of
    response times, as they stand now: they are settings, not events."""
    with into.transaction():
        metrics.put(into.con, metrics.standing(con))
        for source, table in (("rows", "events_tail_00000000"), ("mention_rows", "mentions_tail_00000000")):
            reader = con.execute(f"SELECT * FROM store.{source} WHERE {cut.where}").to_arrow_reader(100_000)
            into.con.register("staged", reader)
            into.con.execute(f"INSERT INTO store.{table} BY NAME SELECT * FROM staged")
        bound = "true" if cut.batch is None else f"batch <= {cut.batch}"
        for table in ("links", "endings"):
            into.con.register("staged", con.execute(f"SELECT * FROM store.{table} WHERE {cut.where}").to_arrow_table())
            into.con.execute(f"INSERT INTO store.{table} BY NAME SELECT * FROM staged")
        for table in ("points", "batches", "dead_letters"):
            into.con.register("staged", con.execute(f"SELECT * FROM store.{table} WHERE {bound}").to_arrow_table())
            into.con.execute(f"INSERT INTO store.{table} BY NAME SELECT * FROM staged")
        into.insert_rows("member_changes", member_rows(people(con, cut)), 0)
        into.insert_rows("thread_changes", thread_rows(threads(con, cut)), 0)
