"""One customer in one window: the same views, over that customer's rows only.

The customer's events (and the rest of the conversations that they belong to) are copied into a store in memory, where
the very same SQL as for everybody runs over them. So the card can never say anything else than the views do.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb

from projections import layout
from projections.store import Store
from schemas.contact_points import contact_point_id

TIMELINE_LENGTH = 10
_COPIED = {
    "points": "contact_point_id",
    "member_changes": "contact_point_id",
    "thread_changes": "thread_id",
    "mentions_tail_00000000": "contact_point_id",
}


TimeLimit = Callable[[duckdb.DuckDBPyConnection, float], AbstractContextManager[object]]
"""Interrupts a connection once so many seconds are over, as long as the block lasts."""


class Cards:
    """Makes cards; one at a time, in a scratch store of its own."""

    def __init__(self, *, time_limit: TimeLimit | None = None, seconds: float = 30.0) -> None:
        """`seconds`: how long the scratch store may work at one card; for ever without a `time_limit`."""
        self._time_limit = time_limit or (lambda con, seconds: nullcontext())  # noqa: ARG005 - what it is given
        self._seconds = seconds
        self._scratch: Store | None = None
        self._lock = threading.Lock()

    def card(self, con: duckdb.DuckDBPyConnection, key: str, now: datetime) -> dict[str, Any] | None:
        """The card of the customer whom a contact point belongs to, or None when nobody has it.

        `key` is a contact point in comparable form, `email:ada@example.org`. Keys of the card: customer_id, kinds,
        first_at, last_at, touchpoints, channels (touchpoints by channel), last_topic, last_agent, promised_at,
        contact_points, conversations (open ones, newest first), preferences, consent (what is not allowed), timeline
        (the last ten), topics; the lists hold rows of the views of the same names. Raises duckdb.InterruptException
        when time is over.
        """
        with self._lock:
            members = _members(con, contact_point_id(key))
            if not members:
                return None
            if self._scratch is None:
                self._scratch = Store.in_memory()
            scratch = self._scratch.con
            scratch.begin()
            try:
                # The reader's own limit interrupts the reader's connection alone.
                with self._time_limit(scratch, self._seconds):
                    _copy(con, scratch, members)
                    return _read(scratch, members[0], now)
            finally:
                scratch.rollback()


def card(con: duckdb.DuckDBPyConnection, key: str, now: datetime) -> dict[str, Any] | None:
    """One card, once; see Cards.card."""
    return Cards().card(con, key, now)


def _members(con: duckdb.DuckDBPyConnection, one: UUID) -> list[UUID]:
    """The customer's id and the ids of the contact points, or nothing when the contact point is unknown."""
    known = con.execute("SELECT 1 FROM store.points WHERE contact_point_id = ? LIMIT 1", [one]).fetchone()
    if known is None:
        return []
    found = con.execute("SELECT customer_id FROM store.members WHERE contact_point_id = ?", [one]).fetchone()
    customer = one if found is None else found[0]
    rows = con.execute("SELECT contact_point_id FROM store.members WHERE customer_id = ?", [customer]).fetchall()
    return [customer, *(member for (member,) in rows if member != customer)]


def _copy(con: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection, members: list[UUID]) -> None:
    """The rows of these contact points, of the conversations that they take part in and of statements about them."""
    ids: list[Any] = list(members)
    keys = [
        key
        for (key,) in con.execute(
            "SELECT kind || ':' || value FROM store.points WHERE list_contains(?::UUID[], contact_point_id)", [ids]
        ).fetchall()
    ]
    threads = [
        thread
        for (thread,) in con.execute(
            """
            WITH own AS (
                SELECT DISTINCT coalesce(t.conversation_id, r.thread_id) AS conversation_id
                FROM store.rows AS r
                LEFT JOIN store.threads AS t USING (thread_id)
                WHERE list_contains(?::UUID[], r.contact_point_id) AND r.thread_id IS NOT NULL
            )
            SELECT conversation_id FROM own
            UNION
            SELECT t.thread_id FROM store.threads AS t JOIN own USING (conversation_id)
            """,
            [ids],
        ).fetchall()
    ]
    rows = con.execute(
        """
        SELECT * FROM store.rows
        WHERE list_contains(?::UUID[], contact_point_id) OR list_contains(?::UUID[], thread_id)
            -- What somebody stated elsewhere about one of these contact points binds it too.
            OR ((flags & ?) <> 0 AND list_contains(?::VARCHAR[], rest ->> '$.statement.about'))
        """,
        [ids, threads, layout.STATEMENT, keys],
    ).to_arrow_table()
    _insert(scratch, "events_tail_00000000", rows)
    named = [
        row[0] for row in scratch.execute("SELECT DISTINCT contact_point_id FROM store.events_tail_00000000").fetchall()
    ]
    people = list({*ids, *named})
    wanted = {"points": people, "member_changes": people, "mentions_tail_00000000": ids, "thread_changes": threads}
    for table, column in _COPIED.items():
        source = "mentions" if table.startswith("mentions") else table
        found = con.execute(f"SELECT * FROM store.{source} WHERE list_contains(?::UUID[], {column})", [wanted[table]])
        _insert(scratch, table, found.to_arrow_table())


def _insert(scratch: duckdb.DuckDBPyConnection, table: str, rows: Any) -> None:
    scratch.register("staged", rows)
    scratch.execute(f"INSERT INTO store.{table} BY NAME SELECT * FROM staged")


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
            FROM touchlog.conversations
            WHERE list_contains(customer_ids, ?) AND state NOT IN ('resolved', 'abandoned')
            ORDER BY last_at DESC, conversation_id
            """,
            customer,
        ),
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
        "topics": rows(f"FROM touchlog.topics_at(?) {mine} ORDER BY rank", now, customer),
    }
