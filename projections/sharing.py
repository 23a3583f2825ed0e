"""What the card of a customer needs of the contact points that they may share with others.

The newest touchpoints of those contact points, and of who shares them no more than tells whether they are few: so the
view `shared_timeline` says of the customer in the copy what it says of them in the store.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import duckdb
import pyarrow as pa

from projections import as_of, layout
from projections.as_of import Cut
from projections.identity_rules import MOST_POSSIBLE
from projections.relations import MEMBERS, scoped
from schemas.contact_points import contact_point_id, plain_key

_AT_ONCE = 500
"""Neighbours of a contact point that are looked up together: some make a switchboard known as one."""

_CHANGES = "FROM store.member_changes WHERE contact_point_id IN (SELECT unnest($ids::UUID[]))"
_FROM = "coalesce(make_timestamptz($since::BIGINT), '-infinity'::TIMESTAMPTZ)"

_WINDOWS = """
    SELECT
        coalesce(h.point_id, s.id) AS point_id,
        coalesce(h.since, '-infinity'::TIMESTAMPTZ) AS since,
        coalesce(h.until, e.until, 'infinity'::TIMESTAMPTZ) AS until,
        list_contains($few::UUID[], s.id) AS few
    FROM (SELECT unnest($shared::UUID[]) AS id) AS s
    LEFT JOIN ({holdings}) AS h ON h.holding_id = s.id
    LEFT JOIN (SELECT point_id, min(since) AS until FROM ({holdings}) GROUP BY point_id) AS e ON e.point_id = s.id
"""
"""Whose rows are those of the shared contact points, and from when until when they are: others may have had them."""

_THEIRS = """
    SELECT r.*, w.few
    FROM (SELECT * FROM store.rows WHERE list_contains($points::UUID[], contact_point_id) AND {cut}) AS r
    JOIN ({windows}) AS w
        ON w.point_id = r.contact_point_id AND r.occurred_at > w.since AND r.occurred_at <= w.until
"""

_SINCE = """
    SELECT epoch_us(occurred_at) FROM ({theirs})
    WHERE few AND (flags & {touchpoint}) <> 0
        AND event_id NOT IN (SELECT event_id FROM store.mention_rows WHERE list_contains($points::UUID[], primary_id))
    ORDER BY occurred_at DESC LIMIT 1 OFFSET $newest - 1
"""
"""Since when there are so many rows of the customer's: touchpoints that name nobody else are everybody's."""

_ROWS = """
    WITH theirs AS ({theirs}),
    refs AS (
        SELECT unnest([message_ref, answers_ref]) AS ref FROM theirs WHERE few AND occurred_at >= {since}
    )
    SELECT * EXCLUDE (few) FROM theirs
    WHERE (few AND (
            occurred_at >= {since}
            -- An item is known by all of its steps.
            OR message_ref IN (SELECT ref FROM refs WHERE ref IS NOT NULL)
            OR answers_ref IN (SELECT ref FROM refs WHERE ref IS NOT NULL)
        ))
        OR event_id IN (
            SELECT event_id FROM store.mention_rows
            WHERE list_contains($points::UUID[], primary_id) AND list_contains($mine::UUID[], contact_point_id)
        )
"""

Resolve = Callable[[Sequence[str]], dict[str, tuple[UUID, bool]]]
"""From keys to the customer of each and whether it is shared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """Shared contact points of a customer, by key: their neighbours as far as they are needed, and whether so few
    customers share it that its events are shown with each."""

    neighbours: dict[str, list[str]]
    few: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What is to be put into the copy: `rows`, `mentions`, `links` as Arrow, and the keys of whom they name."""

    rows: pa.Table
    mentions: pa.Table
    links: pa.Table
    names: list[str]


def found(con: duckdb.DuckDBPyConnection, keys: Collection[str], customer: UUID, cut: Cut, newest: int) -> Found | None:
    """What is to be copied for the customer of these contact points (all of theirs): the `newest` touchpoints of those
    that they share, or None when they share none."""

    def now(names: Sequence[str]) -> dict[str, tuple[UUID, bool]]:
        return _members(con, names)

    def then(names: Sequence[str]) -> dict[str, tuple[UUID, bool]]:
        groups = as_of.people(con, cut, names)
        places = {name: groups.components.place(name) for name in names}
        return {name: (contact_point_id(place.first), place.shared) for name, place in places.items()}

    resolve: Resolve = now if cut == Cut() else then
    sharing = _sharing(con, keys, customer, cut, resolve)
    return _found(con, keys, sharing, cut, newest) if sharing.neighbours else None


def _members(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, tuple[UUID, bool]]:
    ids = {contact_point_id(name): name for name in names}
    known = con.execute(scoped(MEMBERS, {"member_changes": _CHANGES}), {"ids": list(ids)}).fetchall()
    belonging = {one: (customer, shared) for one, customer, shared in known}
    return {name: belonging.get(one, (one, False)) for one, name in ids.items()}


def _sharing(
    con: duckdb.DuckDBPyConnection, keys: Collection[str], customer: UUID, cut: Cut, resolve: Resolve
) -> Sharing:
    # Whoever is shared themselves is nobody's possible customer.
    mine = {name for name, (_, shared) in resolve(sorted(keys)).items() if not shared}
    beside = {key for pair in as_of.links_of(con, cut, sorted(mine)) for key in pair} - mine if mine else set()
    shared = [name for name, (_, is_shared) in resolve(sorted(beside)).items() if is_shared]
    neighbours, few = {}, set()
    for key in shared:
        around = {name for pair in as_of.links_of(con, cut, [key]) for name in pair} - {key}
        neighbours[key] = sorted(around & mine)
        customers = {customer}
        for some in _pieces(sorted(around - mine)):
            others = {name: whose for name, (whose, is_shared) in resolve(some).items() if not is_shared}
            neighbours[key] += others
            customers |= set(others.values())
            if len(customers) > MOST_POSSIBLE:
                break
        else:
            few.add(key)
    return Sharing(neighbours=neighbours, few=frozenset(few))


def _found(con: duckdb.DuckDBPyConnection, keys: Collection[str], sharing: Sharing, cut: Cut, newest: int) -> Found:
    around = {name for names in sharing.neighbours.values() for name in names}
    points = _ids(plain_key(key) for key in sharing.neighbours)
    windows = _WINDOWS.format(holdings=as_of.holdings_of(cut))
    theirs = _THEIRS.format(cut=cut.where, windows=windows)
    given = {"shared": _ids(sharing.neighbours), "few": _ids(sharing.few), "points": points}
    nth = con.execute(
        _SINCE.format(theirs=theirs, touchpoint=layout.TOUCHPOINT), {**given, "newest": newest}
    ).fetchone()
    since = None if nth is None else nth[0]
    mine = _ids(plain_key(key) for key in keys)
    rows = con.execute(
        _ROWS.format(theirs=theirs, since=_FROM), {**given, "since": since, "mine": mine}
    ).to_arrow_table()
    mentions = con.execute(
        f"""
        SELECT * FROM store.mention_rows
        WHERE list_contains($few::UUID[], primary_id) AND {cut.where}
            AND occurred_at >= {_FROM}
        """,
        {"few": _ids(plain_key(key) for key in sharing.few), "since": since},
    ).to_arrow_table()
    links = con.execute(
        f"""
        SELECT * FROM store.links
        WHERE {cut.where} AND (
            (list_contains($here, one) AND list_contains($there, other))
            OR (list_contains($there, one) AND list_contains($here, other))
        )
        """,
        {
            "here": sorted({plain_key(key) for key in sharing.neighbours}),
            "there": sorted({plain_key(name) for name in around}),
        },
    ).to_arrow_table()
    return Found(rows=rows, mentions=mentions, links=links, names=sorted({*sharing.neighbours, *around}))


def _ids(keys: Iterable[str]) -> list[UUID]:
    return list(dict.fromkeys(contact_point_id(key) for key in keys))


def _pieces(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
