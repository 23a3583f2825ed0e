"""One customer in one window: the same views, over that customer's rows only.

The customer's events (and the rest of the conversations that they belong to) are copied into a store in memory, where
the very same SQL as for everybody runs over them (projections.card_store). So the card can never say anything else than
the views do.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from projections import as_of, layout, sharing
from projections.as_of import Cut
from projections.card_store import CardStore
from projections.next_menu import next_menu
from projections.projection import parse
from projections.relations import MEMBERS, THREADS, scoped
from projections.versions import CURRENT
from schemas.contact_points import contact_point_id, plain_key

TIMELINE_LENGTH = 10
_SHARED = "shared_timeline"
NO_CUT = Cut()
_FEW = 12
"""Contact points whose rows are looked up one by one."""
_LIVE = f"SELECT text, build FROM ({CURRENT}) WHERE state = 'live' ORDER BY name"


def _threads_among(some: str) -> str:
    """`threads`, of some threads alone."""
    return scoped(THREADS, {"thread_changes": f"FROM store.thread_changes WHERE thread_id IN ({some})"})


_EVER = "SELECT contact_point_id FROM store.member_changes WHERE customer_id = $customer"
_MEMBERS_OF = f"""
    SELECT contact_point_id
    FROM ({scoped(MEMBERS, {"member_changes": f"FROM store.member_changes WHERE contact_point_id IN ({_EVER})"})})
    WHERE customer_id = $customer
"""
"""Whose they are now is asked of those alone that ever were the customer's: no filter gets beneath `max_by`."""

_CONVERSED = "SELECT thread_id FROM store.thread_changes WHERE conversation_id IN (FROM mine)"
_THREADS_OF = f"""
    WITH own AS MATERIALIZED (SELECT DISTINCT thread_id FROM ({{own}}) WHERE thread_id IS NOT NULL),
    mine AS MATERIALIZED (
        SELECT coalesce(t.conversation_id, thread_id) AS conversation_id
        FROM own LEFT JOIN ({_threads_among("FROM own")}) AS t USING (thread_id)
    )
    FROM mine
    UNION
    SELECT thread_id FROM ({_threads_among(_CONVERSED)}) WHERE conversation_id IN (FROM mine)
"""

TimeLimit = Callable[[duckdb.DuckDBPyConnection, float], AbstractContextManager[object]]
"""Interrupts a connection once so many seconds are over, as long as the block lasts."""

_Read = Callable[[duckdb.DuckDBPyConnection, UUID, datetime], dict[str, Any]]


class Cards:
    """Makes cards; one at a time, in a scratch store of its own."""

    def __init__(self, *, time_limit: TimeLimit | None = None, seconds: float = 30.0) -> None:
        """`seconds`: how long the scratch store may work at one card; for ever without a `time_limit`."""
        self._time_limit = time_limit or (lambda con, seconds: nullcontext())  # noqa: ARG005 - what it is given
        self._seconds = seconds
        self._scratch: CardStore | None = None
        self._live: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def card(self, con: duckdb.DuckDBPyConnection, key: str, now: datetime, cut: Cut = NO_CUT) -> dict[str, Any] | None:
        """The card of the customer whom a contact point belongs to, or None when nobody has it.

        `key` is a contact point in comparable form, `email:ada@example.org`; `cut` leaves events out, as if they had
        never been folded (projections.as_of). Keys of the card: customer_id, kinds,
        first_at, last_at, touchpoints, channels (touchpoints by channel), last_topic, last_agent, promised_at,
        contact_points, conversations (open ones, newest first), continuations (newest first), preferences, consent
        (what is not allowed), timeline (the last ten), shared_timeline (likewise), topics; the lists hold rows of the
        views of the same names.
        Raises duckdb.InterruptException when time is over.
        """
        return self._told(con, key, now, cut, _read, shared=TIMELINE_LENGTH)

    def menu(self, con: duckdb.DuckDBPyConnection, key: str, now: datetime, cut: Cut = NO_CUT) -> dict[str, Any] | None:
        """The telephone menu for that customer (projections.next_menu), or None; as `card` otherwise."""
        return self._told(con, key, now, cut, next_menu)

    def _told(
        self, con: duckdb.DuckDBPyConnection, key: str, now: datetime, cut: Cut, read: _Read, *, shared: int = 0
    ) -> dict[str, Any] | None:
        with self._lock:
            store = self._for(con)
            scratch = store.con
            scratch.begin()
            try:
                # The reader's own limit interrupts the reader's connection alone.
                with self._time_limit(scratch, self._seconds):
                    customer = copy(con, scratch, key, cut, shared=shared if _has(scratch, _SHARED) else 0)
                    if customer is None:
                        return None
                    store.fill(now)
                    return read(scratch, customer, now)
            finally:
                scratch.rollback()

    def _for(self, con: duckdb.DuckDBPyConnection) -> CardStore:
        """A store for cards with the projections that are live in the store."""
        live = con.execute(_LIVE).fetchall()
        if self._scratch is None or live != self._live:
            self._scratch = CardStore([parse(text) for text, _ in live])
            self._live = live
        return self._scratch


def card(con: duckdb.DuckDBPyConnection, key: str, now: datetime, cut: Cut = NO_CUT) -> dict[str, Any] | None:
    """One card, once; see Cards.card."""
    return Cards().card(con, key, now, cut)


def _members(con: duckdb.DuckDBPyConnection, one: UUID) -> list[UUID]:
    """The customer's id and the ids of the contact points."""
    found = con.execute("SELECT customer_id FROM store.members WHERE contact_point_id = ?", [one]).fetchone()
    customer = one if found is None else found[0]
    rows = con.execute(_MEMBERS_OF, {"customer": customer}).fetchall()
    return [customer, *(member for (member,) in rows if member != customer)]


def _members_then(con: duckdb.DuckDBPyConnection, key: str, cut: Cut) -> list[UUID]:
    """The same as of a cut."""
    groups = as_of.people(con, cut, [key])
    first, members = groups.first(key), groups.members(key)
    return [contact_point_id(name) for name in (first, *(name for name in members if name != first))]


def _is_known(con: duckdb.DuckDBPyConnection, one: UUID, cut: Cut) -> bool:
    if cut == NO_CUT:
        sql = "SELECT 1 FROM store.points WHERE contact_point_id = ? LIMIT 1"
        return con.execute(sql, [one]).fetchone() is not None
    sql = f"""
        SELECT 1 FROM store.rows WHERE contact_point_id = $1 AND {cut.where}
        UNION ALL
        SELECT 1 FROM store.mention_rows WHERE contact_point_id = $1 AND {cut.where}
        LIMIT 1
    """
    return con.execute(sql, [one]).fetchone() is not None


def copy(
    con: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection, key: str, cut: Cut, *, shared: int = 0
) -> UUID | None:
    """The rows of a customer's contact points, of the conversations that they take part in and of statements about
    them, and the newest `shared` touchpoints of contact points that they may share with others; the customer's id, or
    None when nobody is known by the key."""
    if not _is_known(con, contact_point_id(plain_key(key)), cut):
        return None
    members: list[Any] = _members(con, contact_point_id(key)) if cut == NO_CUT else _members_then(con, key, cut)
    ids = _with_earlier_holders(con, members)
    points = con.execute(
        "SELECT * FROM store.points WHERE list_contains(?::UUID[], contact_point_id)", [ids]
    ).to_arrow_table()
    keys = [
        f"{kind}:{value}" for kind, value in zip(points["kind"].to_pylist(), points["value"].to_pylist(), strict=True)
    ]
    then = None if cut == NO_CUT else as_of.threads(con, cut, as_of.threads_of(con, cut, ids))
    conversations = _threads(con, ids) if then is None else [UUID(hex=name) for name in sorted(then.known)]
    for rows in _rows(con, ids, conversations, keys, cut):
        _insert(scratch, "events_tail_00000000", rows)
    named = [
        row[0] for row in scratch.execute("SELECT DISTINCT contact_point_id FROM store.events_tail_00000000").fetchall()
    ]
    everybody = _with_later_holders(con, {*ids, *named})
    ended = f"""
        SELECT * FROM store.endings
        WHERE list_contains(?::UUID[], store.contact_point_id(contact_point)) AND {cut.where}
    """
    _insert(scratch, "endings", con.execute(ended, [everybody]).to_arrow_table())
    points = con.execute("SELECT * FROM store.points WHERE list_contains(?::UUID[], contact_point_id)", [everybody])
    _insert(scratch, "points", points.to_arrow_table())
    mentions = f"SELECT * FROM store.mention_rows WHERE list_contains(?::UUID[], contact_point_id) AND {cut.where}"
    _insert(scratch, "mentions_tail_00000000", con.execute(mentions, [ids]).to_arrow_table())
    if then is None:
        for table, column, wanted in (
            ("member_changes", "contact_point_id", everybody),
            ("thread_changes", "thread_id", conversations),
        ):
            found = con.execute(f"SELECT * FROM store.{table} WHERE list_contains(?::UUID[], {column})", [wanted])
            _insert(scratch, table, found.to_arrow_table())
        return UUID(str(members[0])) if not shared else _with_shared(con, scratch, members, cut, shared)
    names = [name for (name,) in scratch.execute("SELECT kind || ':' || value FROM store.points").fetchall()]
    belonging, moved = as_of.member_rows(as_of.people(con, cut, names)), as_of.thread_rows(then)
    _insert(scratch, "member_changes", _stamped("member_changes", belonging))
    _insert(scratch, "thread_changes", _stamped("thread_changes", moved))
    return UUID(str(members[0])) if not shared else _with_shared(con, scratch, members, cut, shared)


def _with_shared(
    con: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection, members: list[Any], cut: Cut, newest: int
) -> UUID:
    """The customer's id, after what `shared_timeline` says of them was copied, too."""
    customer = UUID(str(members[0]))
    found = sharing.found(con, _keys(con, members), customer, cut, newest)
    if found is None:
        return customer
    _insert(scratch, "events_tail_00000000", found.rows, once="event_id")
    _insert(scratch, "mentions_tail_00000000", found.mentions, once="event_id, contact_point_id")
    _insert(scratch, "links", found.links)
    plain = [contact_point_id(plain_key(name)) for name in found.names]
    ended = """
        SELECT * FROM store.endings
        WHERE list_contains(?::UUID[], store.contact_point_id(contact_point)) AND """
    _insert(scratch, "endings", con.execute(ended + cut.where, [plain]).to_arrow_table(), once="event_id")
    # Links are between whoever held the contact points then.
    pairs = scratch.execute("SELECT DISTINCT unnest([one, other]) FROM store.pairs").fetchall()
    names = sorted({*found.names, *(name for (name,) in pairs)})
    ids = [contact_point_id(name) for name in names]
    points = con.execute("SELECT * FROM store.points WHERE list_contains(?::UUID[], contact_point_id)", [ids])
    _insert(scratch, "points", points.to_arrow_table(), once="contact_point_id")
    if cut == NO_CUT:
        for table, column, wanted in (
            ("member_changes", "contact_point_id", ids),
            ("thread_changes", "thread_id", [one for one in found.rows["thread_id"].to_pylist() if one is not None]),
        ):
            changed = con.execute(f"SELECT * FROM store.{table} WHERE list_contains(?::UUID[], {column})", [wanted])
            _insert(scratch, table, changed.to_arrow_table())
        return customer
    belonging = [row for row in as_of.member_rows(as_of.people(con, cut, names)) if row[0] in set(ids)]
    # What was copied before knew of these only that they are linked.
    _insert(scratch, "member_changes", _stamped("member_changes", belonging, batch=1))
    scratch.register("staged", found.rows)
    threads = scratch.execute("SELECT DISTINCT thread_id::UUID FROM staged WHERE thread_id IS NOT NULL").fetchall()
    moved = as_of.thread_rows(as_of.threads(con, cut, [thread.hex for (thread,) in threads]))
    _insert(scratch, "thread_changes", _stamped("thread_changes", moved))
    return customer


def _keys(con: duckdb.DuckDBPyConnection, ids: list[Any]) -> list[str]:
    rows = con.execute(
        "SELECT kind || ':' || value FROM store.points WHERE list_contains(?::UUID[], contact_point_id)", [ids]
    ).fetchall()
    return [key for (key,) in rows]


def _rows(
    con: duckdb.DuckDBPyConnection, ids: list[Any], conversations: list[Any], keys: list[str], cut: Cut
) -> Iterator[pa.Table]:
    """The events of contact points; then others' in their conversations, and of statements about them."""
    yield con.execute(_of("SELECT * FROM store.rows", ids, f" AND {cut.where}")).to_arrow_table()
    # Narrow at first, one column after the other: mostly there are none, and rows are wide.
    others = con.execute(
        f"""
        WITH near AS MATERIALIZED (
            SELECT event_id, contact_point_id FROM store.rows
            WHERE thread_id IN (SELECT unnest($threads::UUID[])) AND {cut.where}
        ),
        -- What somebody stated elsewhere about one of these contact points binds it too.
        said AS MATERIALIZED (
            SELECT event_id, contact_point_id, rest FROM store.rows
            WHERE (flags & {layout.STATEMENT}) <> 0 AND {cut.where}
        )
        SELECT event_id FROM near WHERE NOT list_contains($ids::UUID[], contact_point_id)
        UNION
        SELECT event_id FROM said
        WHERE list_contains($keys::VARCHAR[], rest ->> '$.statement.about')
            AND NOT list_contains($ids::UUID[], contact_point_id)
        """,
        {"threads": conversations, "ids": ids, "keys": keys},
    ).fetchall()
    if others:
        given = [[event_id for (event_id,) in others]]
        yield con.execute(
            "SELECT * FROM store.rows WHERE event_id IN (SELECT unnest(?::UUID[]))", given
        ).to_arrow_table()


def _of(select: str, ids: Sequence[UUID], also: str = "") -> str:
    """The rows of some contact points. One by one when they are few: DuckDB then skips what a sorted run says has none
    of them."""
    if len(ids) > _FEW:
        return f"{select} WHERE contact_point_id IN ({', '.join(map(repr, map(str, ids)))}){also}"
    return " UNION ALL ".join(f"{select} WHERE contact_point_id = '{one}'{also}" for one in ids)


def _with_earlier_holders(con: duckdb.DuckDBPyConnection, ids: list[Any]) -> list[Any]:
    """With the ids that the rows of contact points have which ended, whoever holds them."""
    found = con.execute(
        "SELECT DISTINCT point_id FROM store.holdings WHERE list_contains(?::UUID[], holding_id)", [ids]
    ).fetchall()
    return list(dict.fromkeys([*ids, *(one for (one,) in found)]))


def _with_later_holders(con: duckdb.DuckDBPyConnection, ids: set[Any]) -> list[Any]:
    """With the ids of contact points that ended as others hold them."""
    found = con.execute(
        "SELECT holding_id FROM store.holdings WHERE list_contains(?::UUID[], point_id)", [list(ids)]
    ).fetchall()
    return list(ids | {one for (one,) in found})


def _stamped(table: str, rows: Sequence[Sequence[Any]], *, batch: int = 0) -> pa.Table:
    return layout.rows_table(table, rows).add_column(0, "batch", pa.array([batch] * len(rows), pa.int32()))


def _threads(con: duckdb.DuckDBPyConnection, ids: list[Any]) -> list[Any]:
    """The threads of the conversations that these contact points take part in."""
    own = _of("SELECT thread_id FROM store.rows", ids)
    return [thread for (thread,) in con.execute(_THREADS_OF.format(own=own)).fetchall()]


def _insert(scratch: duckdb.DuckDBPyConnection, table: str, rows: Any, *, once: str = "") -> None:
    """Those rows; but, where `once` names columns, none that are there already by these."""
    scratch.register("staged", rows)
    new = f"ANTI JOIN store.{table} USING ({once})" if once else ""
    scratch.execute(f"INSERT INTO store.{table} BY NAME SELECT * FROM staged {new}")


def _read(scratch: duckdb.DuckDBPyConnection, customer: UUID, now: datetime) -> dict[str, Any]:
    def rows(sql: str, *values: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = scratch.execute(sql, list(values)).to_arrow_table().to_pylist()
        return found

    mine = "WHERE customer_id = ?"
    whole = rows(f"FROM touchlog.customers_at(?) {mine}", now, customer)
    head = whole[0] if whole else {"customer_id": customer}
    channels = ("email", "chat", "phone", "post", "social")
    return {
        **{name: value for name, value in head.items() if name not in {*channels, "contact_points"}},
        "channels": {channel: head.get(channel, 0) for channel in channels},
        "contact_points": rows(f"FROM touchlog.contact_points {mine} ORDER BY last_seen DESC, contact_point", customer),
        "conversations": rows(
            """
            FROM touchlog.conversations_at(?)
            WHERE list_contains(customer_ids, ?) AND state NOT IN ('resolved', 'abandoned')
            ORDER BY last_at DESC, conversation_id
            """,
            now,
            customer,
        ),
        "continuations": rows(
            f"FROM touchlog.continuations {mine} ORDER BY earlier_last_at DESC, earlier_conversation_id", customer
        )
        if _has(scratch, "continuations")
        else [],
        "preferences": rows(
            f"FROM touchlog.channel_preference_at(?) {mine} ORDER BY content_type, rank NULLS LAST, channel",
            now,
            customer,
        ),
        "consent": rows(
            f"FROM touchlog.consent_at(?) {mine} AND NOT allowed ORDER BY content_type, channel", now, customer
        ),
        "timeline": rows(
            f"FROM touchlog.timeline {mine} ORDER BY occurred_at DESC, event_id LIMIT {TIMELINE_LENGTH}", customer
        ),
        _SHARED: rows(
            f"FROM touchlog.{_SHARED} {mine} ORDER BY occurred_at DESC, event_id, message_ref LIMIT {TIMELINE_LENGTH}",
            customer,
        )
        if _has(scratch, _SHARED)
        else [],
        "topics": rows(f"FROM touchlog.topics_at(?) {mine} ORDER BY rank", now, customer),
    }


def _has(scratch: duckdb.DuckDBPyConnection, view: str) -> bool:
    """A store that no projector has opened since lacks the views that came with this version."""
    sql = "SELECT 1 FROM duckdb_views() WHERE schema_name = 'touchlog' AND view_name = ?"
    return scratch.execute(sql, [view]).fetchone() is not None
