"""One batch into the store: dedup, identity, and everything in one transaction with the offsets.

What is in memory here (ids seen, when contact points and threads were first seen, messages and replies, the two graphs)
is a cache of rows of those transactions. It is read again at start and after every rollback.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from consumers.columns import ENDED
from consumers.dead_letters import Attempt, attempt_row, attempts_of, dead_letter_rows
from consumers.graph import Graph, first_seen
from consumers.ids import Ids, Mask
from consumers.people import People
from consumers.prepare import Prepared
from consumers.replies import Joined, Replies
from consumers.seen import SeenIds, earliest
from consumers.temper import Temper
from log.log import TopicPartition
from projections.components import Components, Link
from projections.holdings import NEVER
from projections.store import Store
from schemas.contact_points import contact_point_id
from schemas.errors import OffsetConflict

_THREADS_OF = """
    SELECT DISTINCT thread_id, coalesce(t.conversation_id, thread_id)
    FROM store.rows
    LEFT JOIN store.threads AS t USING (thread_id)
    WHERE thread_id IS NOT NULL AND list_contains($ids::UUID[], contact_point_id)
"""
_THREADS_SEEN = """
    SELECT thread_id, epoch_us(min(occurred_at)) FROM (
        SELECT thread_id, occurred_at FROM store.rows WHERE thread_id IS NOT NULL
        UNION ALL
        SELECT other, occurred_at FROM store.edges
    ) GROUP BY thread_id
"""
_PARKED = "SELECT error_class, count(*) FROM touchlog.dead_letters WHERE state = 'parked' GROUP BY error_class"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What became of one batch's records: read = applied + duplicates + parked."""

    read: int
    applied: int
    duplicates: int
    parked: int


class _RolledBack(Exception):
    """Ends a rehearsal."""


class Folder:
    """Folds prepared batches, one after the other, in one thread."""

    def __init__(self, store: Store, *, temper: Temper | None = None, bulk: bool = False) -> None:
        """`temper`: which bad records are parked; all of them unless given. `bulk`: each batch becomes a run at
        once, with no tail and no log of DuckDB's before it; for a store of which no state is built yet."""
        self._store = store
        self._bulk = bulk
        self._temper = temper or Temper()
        self._stale = True
        self.reload()

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Where to read on, as the store says. It is asked again after an error: a commit that reported one may have
        succeeded."""
        if self._stale:
            self.reload()
        return self._positions

    @property
    def events(self) -> int:
        """How many events the store holds."""
        if self._stale:
            self.reload()
        return len(self._seen)

    def last_batch(self) -> int:
        """Number of the last batch, as the store says."""
        if self._stale:
            self.reload()
        return self.batch

    def reload(self) -> None:
        """Read every cache again from the store's rows."""
        self._stale = True
        con = self._store.con
        self._positions = self._store.positions()
        self.batch = self._store.batch
        self._parked = Counter(dict(con.execute(_PARKED).fetchall()))
        ids = con.execute("SELECT event_id FROM store.rows").to_arrow_table()
        self._seen = SeenIds(Ids.from_arrow(ids.column(0)))
        self._people = People(self._store)
        self._replies = Replies.of(con)
        self._threads = Graph(components=Components(), seen=first_seen(con, _THREADS_SEEN), id_of=bytes.fromhex)
        edges = con.execute(
            "SELECT one, other, epoch_us(min(occurred_at)) FROM store.edges GROUP BY one, other"
        ).fetchall()
        self._edges: dict[Link, int] = {(one.hex, other.hex): moment for one, other, moment in edges}
        self._threads.components.apply(linked=self._edges, first_seen=self._threads.first_seen)
        self._stale = False

    def begin(self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Note where partitions that are new to the store begin: what retention takes before their first record is
        folded is missed then, as it would be later. Raises OffsetConflict."""
        if not begins:
            return
        with self._store.transaction():
            if self._store.positions() != self.positions:
                raise OffsetConflict("another projector moved this store's offsets; stop one of the two")
            rows = [(*at, offset, ends.get(at)) for at, offset in begins.items()]
            self._store.insert_rows("offsets", rows, self.batch)
        self._positions = {**self.positions, **begins}

    def fold(self, prepared: Prepared, *, ends: Mapping[TopicPartition, int] | None = None) -> Folded:
        """Fold one batch and commit it. Either all of it is in the store, with its offsets, or nothing.

        Raises PoisonRecord and TooManyParked, as the folder's temper says, and what the store raises; the caches are
        read again before the next batch.
        """
        if self._stale:
            self.reload()
        self._temper.admit(prepared, self._parked)
        started = datetime.now(UTC)
        fresh = self._fresh(prepared)
        folded = Folded(
            read=len(prepared),
            applied=int(fresh.sum()),
            duplicates=len(fresh) - int(fresh.sum()),
            parked=len(prepared.bad),
        )
        moved = {
            TopicPartition(*partition): offset
            for partition, offset in prepared.next_positions.items()
            if self.positions.get(TopicPartition(*partition)) != offset
        }
        if not len(prepared) and not moved:
            return folded

        def insert(batch: int) -> None:
            self._insert(prepared, fresh, batch)
            if prepared.bad:
                letters = dead_letter_rows(prepared.batch, prepared.bad, started, self._store)
                self._store.insert("dead_letters", letters, batch)

        self._commit(insert, folded, started, moved, ends or {})
        self._parked += Counter(type(record.error).__name__ for record in prepared.bad)
        return folded

    def redrive(self, prepared: Prepared, patched: Mapping[int, bytes]) -> list[Attempt]:
        """Fold dead letters (a batch of their records) once more and commit; what became of each, in their order.

        Offsets stay where they are, and nothing is read: what is applied or found to be a duplicate now is parked no
        more, and what still fails has been tried once more. `patched`: place -> the value that is folded in place of
        the record's own.
        """
        if self._stale:
            self.reload()
        started = datetime.now(UTC)
        fresh = self._fresh(prepared)
        attempts = attempts_of(prepared, fresh, patched)
        applied = int(fresh.sum())
        duplicates = len(fresh) - applied
        settled = Folded(read=0, applied=applied, duplicates=duplicates, parked=-applied - duplicates)

        def insert(batch: int) -> None:
            self._insert(prepared, fresh, batch)
            self._store.insert_rows("redrives", [attempt_row(one, started) for one in attempts], batch)

        self._commit(insert, settled, started, {}, {})
        self._parked = Counter(dict(self._store.con.execute(_PARKED).fetchall()))
        return attempts

    def discard(self, attempts: Sequence[Attempt]) -> None:
        """Note that dead letters are not wanted any more; their bytes and the counts stay."""
        if self._stale:
            self.reload()
        started = datetime.now(UTC)

        def insert(batch: int) -> None:
            self._store.insert_rows("redrives", [attempt_row(one, started) for one in attempts], batch)

        self._commit(insert, Folded(read=0, applied=0, duplicates=0, parked=0), started, {}, {})
        self._parked = Counter(dict(self._store.con.execute(_PARKED).fetchall()))

    def rehearse(self, prepared: Prepared) -> None:
        """Insert a batch's events as `fold` does, and roll back. Raises what the store raises."""
        if self._stale:
            self.reload()
        fresh = self._fresh(prepared)
        self._stale = True
        with suppress(_RolledBack), self._store.transaction():
            self._insert(prepared, fresh, self.batch + 1)
            raise _RolledBack

    def known(self, prepared: Prepared) -> Mask:
        """Rows whose event would be a duplicate."""
        if self._stale:
            self.reload()
        return ~self._fresh(prepared)

    def _commit(
        self,
        insert: Callable[[int], None],
        folded: Folded,
        started: datetime,
        moved: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        """What `insert` inserts as the next batch, with offsets and counts, in one transaction."""
        batch = self.batch + 1
        try:
            with self._store.transaction():
                insert(batch)
                self._store.advance(batch, self.positions, moved, ends)
                now = datetime.now(UTC)
                seconds = (now - started).total_seconds()
                counts = (folded.read, folded.applied, folded.duplicates, folded.parked)
                self._store.insert_rows("batches", [(now, *counts, seconds)], batch)
        except BaseException:
            self._stale = True
            raise
        self.batch = batch
        self._positions = {**self.positions, **moved}

    def _fresh(self, prepared: Prepared) -> Mask:
        """Rows whose event was not seen before, in this batch or ever; of repetitions the first in the log's order."""
        unique, _, rows = earliest(prepared.ids, prepared.places)
        known, _ = self._seen.find(unique)
        fresh = np.zeros(len(prepared.ids), bool)
        fresh[rows[~known]] = True
        return fresh

    def _insert(self, prepared: Prepared, fresh: Mask, batch: int) -> None:
        store = self._store
        whole = bool(fresh.all())
        if not fresh.any():
            return
        events = prepared.events if whole else prepared.events.filter(pa.array(fresh))
        mentions = prepared.mentions.filter(pa.array(fresh[prepared.mention_rows]))
        if self._bulk:
            store.insert_runs({"events": events, "mentions": mentions}, batch)
        else:
            store.insert(store.tails("events")[-1].table.removeprefix("store."), events, batch)
            if mentions.num_rows:
                store.insert(store.tails("mentions")[-1].table.removeprefix("store."), mentions, batch)
        self._people.take_in(prepared, fresh, batch)
        self._insert_threads(prepared, fresh, batch)
        ids = prepared.ids.where(fresh)
        self._seen.add(ids)

    def _insert_threads(self, prepared: Prepared, fresh: Mask, batch: int) -> None:
        """New connections of threads, by case references and replies, and the conversations that change by them."""
        mask = fresh[prepared.thread_rows]
        ids, times, _ = earliest(prepared.thread_ids.where(mask), prepared.times[prepared.thread_rows[mask]])
        _, earlier = self._threads.take_in(ids, times)
        edges: dict[Link, int] = {}
        for row, one, other in prepared.edges:
            moment = int(prepared.times[row])
            if fresh[row] and moment < min(self._edges.get((one, other), NEVER), edges.get((one, other), NEVER)):
                edges[one, other] = moment
        told, answered = (named.where(fresh, np.arange(len(fresh))) for named in (prepared.told, prepared.answered))
        for pair, moment in self._joined(self._replies.take_in(told, answered, prepared.times)):
            if moment < min(self._edges.get(pair, NEVER), edges.get(pair, NEVER)):
                edges[pair] = moment
        linked = sorted(edge for edge in edges if edge not in self._edges)
        self._edges.update(edges)
        rows = [(*map(bytes.fromhex, pair), moment) for pair, moment in sorted(edges.items())]
        self._store.insert_rows("edges", rows, batch)
        changed = self._threads.components.apply(linked=linked, earlier=earlier, first_seen=self._threads.first_seen)
        ids_of = self._threads.ids
        moved = [(ids_of[name], ids_of[place.first]) for name, place in changed.items()]
        self._store.insert_rows("thread_changes", moved, batch)
        ended = {key for row, verb, key, _ in prepared.statements if verb == ENDED and fresh[row]}
        if ended:
            # Who takes part in a conversation is of its state: it is folded anew.
            theirs = {"ids": [contact_point_id(key) for key in ended]}
            self._store.insert_rows("thread_changes", self._store.con.execute(_THREADS_OF, theirs).fetchall(), batch)

    def _joined(self, replies: Joined) -> list[tuple[Link, int]]:
        """Pairs of threads that replies join, by name, and since when."""
        ones, others = (self._threads.seen.whole(high) for high in (replies.one, replies.other))
        found = []
        for place, moment in enumerate(replies.since.tolist()):
            one, other = ones.at(place).hex(), others.at(place).hex()
            found.append(((max(one, other), min(one, other)), moment))
        return found
