"""Whether a store says what its events say: three checks, each against rows that are made again from the beginning.

from_tables                 everything the store holds is folded again from its event tables: finds states, members and
                            conversations that are not what the events make of them
sample                      the same for some customers, as their cards are made: cheap enough to be done often
snapshot, and compared      against another store of the same offsets, folded from the log (consumers.replay.from_log):
                            finds events that are missing or wrong too
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import duckdb

from log.log import Position, TopicPartition
from projections import card, metrics, versions
from projections.as_of import Cut, copy_whole, member_rows, people
from projections.checksums import (
    OF_ARRIVAL,
    OF_BATCHES,
    VIEWS_OF_ARRIVAL,
    Checksum,
    LeaveOut,
    checksums,
    checksums_by_customer,
)
from projections.projection import Projection
from projections.store import Store
from projections.versions import LIVE
from schemas.contact_points import contact_point_id
from schemas.errors import ConfigurationError

SCRATCH = "rebuilt.duckdb"

_ALL = 2**62
_AT_ONCE = 20
"""Customers of a sample that are looked at together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A view that says something else than what is made again; `customer` when only theirs was looked at."""

    view: str
    live: Checksum
    rebuilt: Checksum
    customer: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What a store says at `now`, all of it at one moment of the store.

    `positions`: up to where the log was folded; `topics`: name -> identity; `projections`: those that are live;
    `definitions`: of response times; `duplicates`: repeated events met so far, of which only the first copy counts;
    `mended`: see there.
    """

    now: datetime
    positions: Mapping[TopicPartition, int]
    topics: Mapping[str, str]
    projections: Sequence[Projection]
    definitions: Sequence[metrics.Row]
    duplicates: int
    mended: Mapping[Position, bytes]
    checksums: Mapping[str, Checksum]

    @property
    def leave_out(self) -> LeaveOut:
        """Columns that may differ in a store that was folded from the same records."""
        return leave_out(self.duplicates)


def from_tables(con: duckdb.DuckDBPyConnection, scratch_dir: Path | str | None, now: datetime) -> list[Mismatch]:
    """Views of the store (a connection to it) that are not what its events make of them, at `now`.

    Reads in one transaction. The events are copied to a temporary folder in `scratch_dir` (None: the system's), which
    takes as much space as they do.
    """
    with _reading(con), tempfile.TemporaryDirectory(dir=scratch_dir) as folder:
        path = Path(folder) / SCRATCH
        plant(path, _live(con), metrics.standing(con))
        with Store.open(path) as rebuilt:
            copy_whole(con, rebuilt, Cut())
            return _differing(checksums(con, now), checksums(rebuilt.con, now))


def sample(con: duckdb.DuckDBPyConnection, of: Sequence[str] | int, now: datetime) -> list[Mismatch]:
    """The same for the customers of some contact points: given by key (`email:ada@example.org`), or so many drawn.

    Their rows are compared with those that their events make, with everybody's identity found anew from the evidence.
    Raises ConfigurationError when no event names one of the keys.
    """
    with _reading(con), Store.in_memory(_live(con)) as scratch:
        keys = _drawn(con, of) if isinstance(of, int) else of
        key_of = {_customer(con, key): key for key in keys}
        live = checksums_by_customer(con, now, key_of)
        found: list[Mismatch] = []
        for start in range(0, len(key_of), _AT_ONCE):
            some = list(key_of.items())[start : start + _AT_ONCE]
            rebuilt = _rebuilt(con, scratch, [key for _, key in some], now)
            for customer, key in some:
                found += _differing(live[customer], rebuilt[key], customer=customer)
        return found


def snapshot(con: duckdb.DuckDBPyConnection, now: datetime) -> Snapshot:
    """What the store says now, to be compared with what another one says."""
    with _reading(con):
        (duplicates,) = con.execute("SELECT coalesce(sum(duplicates), 0)::BIGINT FROM store.batches").fetchall()[0]
        projections = _live(con)
        views = [one.name for one in projections if not (duplicates and one.name in VIEWS_OF_ARRIVAL)]
        return Snapshot(
            now=now,
            positions={
                TopicPartition(topic, partition): offset
                for topic, partition, offset in con.execute(
                    "SELECT topic, partition, max_by(next_offset, batch) FROM store.offsets GROUP BY topic, partition"
                ).fetchall()
            },
            topics=dict(
                con.execute("SELECT topic, max_by(identity, batch) FROM store.topics GROUP BY topic").fetchall()
            ),
            projections=projections,
            definitions=metrics.standing(con),
            duplicates=duplicates,
            mended=mended(con),
            checksums=checksums(con, now, views=views, leave_out=leave_out(duplicates)),
        )


def compared(live: Snapshot, rebuilt: duckdb.DuckDBPyConnection) -> list[Mismatch]:
    """Views of the snapshot that another store (a connection to it) does not say the same of."""
    with _reading(rebuilt):
        again = checksums(rebuilt, live.now, views=list(live.checksums), leave_out=live.leave_out)
    return _differing(live.checksums, again)


def mended(con: duckdb.DuckDBPyConnection) -> dict[Position, bytes]:
    """Records that were mended by hand: where each lies in the log, and the value that was folded in its place."""
    rows = con.execute(
        """
        SELECT topic, partition, log_offset, max_by(patched, attempted_at)
        FROM store.redrives
        WHERE state = 'redriven' AND patched IS NOT NULL
        GROUP BY topic, partition, log_offset
        """
    ).fetchall()
    return {Position(topic, partition, offset): bytes(value) for topic, partition, offset, value in rows}


def plant(path: Path, projections: Sequence[Projection], definitions: Sequence[metrics.Row]) -> None:
    """Begin a store's file with these projections live and these definitions of response times standing, whatever the
    program's own are by now."""
    with duckdb.connect(str(path)) as con:
        con.begin()
        con.execute("CREATE SCHEMA store")
        for name, columns in versions.TABLES.items():
            con.execute(f"CREATE TABLE store.{name} ({columns})")
        for projection in projections:
            versions.register(con, projection, 0)
            versions.note(con, projection, LIVE)
        con.execute(f"CREATE TABLE store.metric_loads ({metrics.TABLE})")
        metrics.put(con, definitions)
        con.commit()


def _live(con: duckdb.DuckDBPyConnection) -> tuple[Projection, ...]:
    return versions.live(versions.versions(con))


def _differing(
    live: Mapping[str, Checksum], rebuilt: Mapping[str, Checksum], *, customer: UUID | None = None
) -> list[Mismatch]:
    return [
        Mismatch(view=view, live=found, rebuilt=rebuilt[view], customer=customer)
        for view, found in live.items()
        if found != rebuilt[view]
    ]


def _rebuilt(
    con: duckdb.DuckDBPyConnection, scratch: Store, keys: Sequence[str], now: datetime
) -> dict[str, dict[str, Checksum]]:
    """What their events make of the customers of some contact points, by key."""
    (newest,) = con.execute("SELECT coalesce(max(batch), 0) FROM store.batches").fetchall()[0]
    # A cut, even of everything, has identity found anew.
    everything = Cut(batch=newest)
    scratch.con.begin()
    try:
        metrics.put(scratch.con, metrics.standing(con))
        customers = {key: card.copy(con, scratch.con, key, everything, shared=_ALL) for key in keys}
        unknown = [contact_point_id(key) for key, customer in customers.items() if customer is None]
        if unknown:
            raise ConfigurationError(f"no event names the contact point with the id {unknown[0]}")
        _settle_copies(con, scratch, everything)
        found = checksums_by_customer(scratch.con, now, [one for one in customers.values() if one is not None])
        return {key: found[customer] for key, customer in customers.items() if customer is not None}
    finally:
        scratch.con.rollback()


def _settle_copies(con: duckdb.DuckDBPyConnection, scratch: Store, cut: Cut) -> None:
    """What several customers have in common was copied with each of them: once is enough. Who is who is found for all
    of them together, as a copy knows it of its own contact points alone."""
    for table in ("events_tail_00000000", "mentions_tail_00000000", "points", "links", "endings", "thread_changes"):
        scratch.con.execute(f"CREATE OR REPLACE TEMP TABLE once AS SELECT DISTINCT * FROM store.{table}")
        scratch.con.execute(f"DELETE FROM store.{table}")
        scratch.con.execute(f"INSERT INTO store.{table} FROM once")
    names = scratch.con.execute("SELECT kind || ':' || value FROM store.points").fetchall()
    scratch.con.execute("DELETE FROM store.member_changes")
    scratch.insert_rows("member_changes", member_rows(people(con, cut, [name for (name,) in names])), 0)


def _customer(con: duckdb.DuckDBPyConnection, key: str) -> UUID:
    one = contact_point_id(key)
    found = con.execute("SELECT customer_id FROM store.members WHERE contact_point_id = ?", [one]).fetchone()
    return one if found is None else UUID(str(found[0]))


def _drawn(con: duckdb.DuckDBPyConnection, count: int) -> list[str]:
    rows = con.execute(f"SELECT kind || ':' || value FROM store.points USING SAMPLE {count:d} ROWS").fetchall()
    return [key for (key,) in rows]


def leave_out(duplicates: int) -> LeaveOut:
    """Columns of views that may differ between two stores that were folded from the same records."""
    if not duplicates:
        return OF_BATCHES
    return {
        view: (*OF_BATCHES.get(view, ()), *OF_ARRIVAL.get(view, ())) for view in OF_BATCHES.keys() | OF_ARRIVAL.keys()
    }


@contextmanager
def _reading(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is read inside is of one moment of the store."""
    con.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        con.rollback()
