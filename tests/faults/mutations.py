"""What mutants do to the product: functions of it replaced, in this process alone (tests.faults.mutants)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np


def skip_an_offset() -> None:
    from consumers.prepare import Preparer
    from log.log import RecordBatch

    prepare = Preparer.prepare

    def skipping(self: Any, batch: Any, known_bad: Any = ()) -> Any:
        if len(batch) > 10:
            columns = ("topics", "partitions", "offsets", "timestamps", "keys", "values", "headers")
            batch = RecordBatch(
                **{name: list(getattr(batch, name))[:-1] for name in columns}, next_positions=batch.next_positions
            )
        return prepare(self, batch, known_bad)

    Preparer.prepare = skipping


def offsets_first() -> None:
    from consumers.fold import Folder
    from log.log import TopicPartition
    from projections.store import Store

    fold = Folder.fold

    def folding(self: Any, prepared: Any, *, ends: Any = None) -> Any:
        moved = {TopicPartition(*at): offset for at, offset in prepared.next_positions.items()}
        with self._store.transaction():
            self._store.insert_rows("offsets", [(*at, offset, None) for at, offset in moved.items()], self.batch + 1)
        return fold(self, prepared, ends=ends)

    Folder.fold = folding
    Store.advance = lambda *_: None


def offsets_after() -> None:
    from consumers.fold import Folder
    from log.log import TopicPartition
    from projections.store import Store

    fold = Folder.fold

    def folding(self: Any, prepared: Any, *, ends: Any = None) -> Any:
        folded = fold(self, prepared, ends=ends)
        moved = {TopicPartition(*at): offset for at, offset in prepared.next_positions.items()}
        with self._store.transaction():
            self._store.insert_rows("offsets", [(*at, offset, None) for at, offset in moved.items()], self.batch)
        return folded

    Folder.fold = folding
    Store.advance = lambda *_: None


def no_compare_and_set() -> None:
    import projections.store
    from projections import layout
    from projections.store import Store

    def advance(self: Any, batch: int, _expected: Any, moved: Any, ends: Any) -> None:
        self.insert_rows("offsets", [(*at, offset, ends.get(at)) for at, offset in moved.items()], batch)

    Store.advance = advance
    # Without its key, too: it refuses the second of two batches of one number.
    projections.store._TABLES["batches"] = layout.ddl(layout.SMALL_TABLES["batches"])


def no_dedup_within() -> None:
    from consumers.fold import Folder

    def fresh(self: Any, prepared: Any) -> Any:
        known, _ = self._seen.find(prepared.ids)
        return ~known

    Folder._fresh = fresh


def no_dedup_across() -> None:
    from consumers.fold import Folder
    from consumers.seen import earliest

    def fresh(_: Any, prepared: Any) -> Any:
        _, _, rows = earliest(prepared.ids, prepared.places)
        found = np.zeros(len(prepared.ids), bool)
        found[rows] = True
        return found

    Folder._fresh = fresh


def poison_swallowed() -> None:
    from consumers.prepare import Preparer

    prepare = Preparer.prepare

    def swallowing(self: Any, batch: Any, known_bad: Any = ()) -> Any:
        return replace(prepare(self, batch, known_bad), bad=[])

    Preparer.prepare = swallowing


def positions_of_what_was_taken() -> None:
    from consumers.ahead import ReadAhead
    from consumers.projector import Projector

    taken: dict[Any, int] = {}
    offer, fold = ReadAhead._offer, Projector._fold

    def offering(self: Any, item: Any) -> None:
        taken.update(getattr(item, "next_positions", {}))
        offer(self, item)

    def folding(self: Any, prepared: Any, ends: Any) -> Any:
        return fold(self, replace(prepared, next_positions={**prepared.next_positions, **taken}), ends)

    ReadAhead._offer = offering
    Projector._fold = folding


def stale_caches() -> None:
    from consumers.fold import Folder

    reload = Folder.reload

    def once(self: Any) -> None:
        if not hasattr(self, "_seen"):
            reload(self)
        self._stale = False

    Folder.reload = once


def positions_of_kafka() -> None:
    from confluent_kafka import Consumer
    from confluent_kafka import TopicPartition as WirePartition

    from consumers.projector import Projector
    from log.log import TopicPartition

    start = Projector._start_positions

    def positions(self: Any) -> Any:
        found = start(self)
        if not hasattr(self._log, "_bootstrap"):
            return found
        consumer = Consumer({"bootstrap.servers": self._log._bootstrap, "group.id": "touchlog"})
        prefix = self._log._namespace
        committed = consumer.committed([WirePartition(prefix + at.topic, at.partition) for at in found], timeout=20)
        consumer.close()
        told = {TopicPartition(at.topic[len(prefix) :], at.partition): at.offset for at in committed if at.offset >= 0}
        return {**found, **told}

    Projector._start_positions = positions


def silent_reset() -> None:
    from consumers.projector import Projector

    start = Projector._start_positions

    def positions(self: Any) -> Any:
        from schemas.topics import TOPICS

        begins, ends = self._log.begin_offsets(TOPICS), self._log.end_offsets(TOPICS)
        stored = self._folder.positions
        self._folder._positions = {
            at: begins[at] if not begins[at] <= offset <= ends[at] else offset for at, offset in stored.items()
        }
        return start(self)

    Projector._start_positions = positions


def identity_ignored() -> None:
    from log.kafka_topics import TopicWatch
    from projections.store import Store

    Store.topics = lambda _: {}
    TopicWatch._compare = lambda *_: None


def swap_in_pieces() -> None:
    from projections.compaction import Compaction

    swap = Compaction._swap

    def piecemeal(self: Any, made: Any, gone: Any) -> None:
        store = self._store
        transaction = store.transaction

        @contextmanager
        def none() -> Iterator[None]:
            yield

        store.transaction = none
        try:
            swap(self, made, gone)
        finally:
            store.transaction = transaction

    Compaction._swap = piecemeal


def slice_forgotten() -> None:
    from projections.compaction import Compaction

    stage = Compaction._stage
    Compaction._stage = lambda self, steps: stage(
        self, [step[1:] if len(step) > 1 else step for step in steps[:1]] + steps[1:]
    )


def told_too_early() -> None:
    from log.embedded_writer import EmbeddedWriter
    from log.log import Position

    append = EmbeddedWriter.append

    def early(self: Any, topic: str, *arguments: Any, delivered: Any = None, **named: Any) -> None:
        append(self, topic, *arguments, **named)
        waiting = self._waiting[-1]
        if delivered is not None:
            delivered(Position(topic, waiting.partition, 0), None)

    EmbeddedWriter.append = early


def rejects_dropped() -> None:
    from producers.rejects import RejectsFile

    keep = RejectsFile.keep
    count = iter(range(10**9))
    RejectsFile.keep = lambda self, reject: None if next(count) % 50 == 7 else keep(self, reject)


def bad_row_takes_its_batch() -> None:
    from consumers.decode import Decoder
    from schemas.errors import UndecodableRecord

    decode = Decoder.decode

    def dropping(self: Any, batch: Any, skip: Any = frozenset()) -> Any:
        from consumers.decode import BadRecord

        groups, bad = decode(self, batch, skip)
        if bad:
            places = [place for group in groups for place in group.places]
            error = UndecodableRecord("somebody else was bad")
            bad = [*bad, *(BadRecord(place=int(place), stage="decode", error=error) for place in places)]
            groups = []
        return groups, bad

    Decoder.decode = dropping


def marker_waited_for() -> None:
    from log.kafka_reader import KafkaReader

    def notice(self: Any, notice: Any, moved: Any) -> None:
        from confluent_kafka import KafkaError

        error = notice.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise AssertionError(error)

    KafkaReader._notice = notice
