"""The loop: read ahead, fold, commit, compact in between.

One store follows one log. Where to read on is in the store and nowhere else; Kafka's own committed offsets are written
for lag tools and never read.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from consumers.ahead import ReadAhead
from consumers.batch_size import BatchSize
from consumers.dead_topics import DeadTopics
from consumers.decode import Decoder, Unknown
from consumers.errands import Errands
from consumers.fold import Folded, Folder
from consumers.patience import WORDS, Patience
from consumers.poison import around_poison
from consumers.prepare import Prepared, Preparer
from consumers.pulse import Pulse
from consumers.same_log import check_offsets, check_topics
from consumers.temper import Temper
from log.log import Log, TopicPartition
from projections import rebuild
from projections.compaction import Compaction, rows_at_once
from projections.store import Store
from projections.store_errors import translated
from schemas.errors import LogError, RetryLater
from schemas.registry import Registry
from schemas.topics import DEFAULT_PARTITIONS, TOPICS

_TAKE_S = 0.1
_NEW_OBJECTS = 200_000
_NEW_PARTITIONS_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run got: records (read = applied + duplicates + parked), the lag left, seconds since its start.

    `state` is what it is doing: folding, compacting, idle, waiting for something that is away.
    """

    read: int = 0
    applied: int = 0
    duplicates: int = 0
    parked: int = 0
    lag: int = 0
    seconds: float = 0.0
    state: str = "starting"


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Python looks for cycles after 700 new objects, and a batch is hundreds of thousands that are in none: a tenth of
    all the time. What is alive now stays alive, and it looks seldom."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class Projector:
    """Folds a log into a store, in the caller's thread."""

    def __init__(
        self,
        log: Log,
        store: Store,
        registry: Registry,
        *,
        batch_size: int = 30_000,
        latency: float = float("inf"),
        compact_after: int = 300_000,
        partitions: int = DEFAULT_PARTITIONS,
        new_partitions_every: float = _NEW_PARTITIONS_EVERY_S,
        unknown: Unknown | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        pulse: Pulse | None = None,
        temper: Temper | None = None,
        dead_letter_topic: bool = False,
        errands: Errands | None = None,
        build_share: float = 0.5,
        bulk: bool = False,
    ) -> None:
        """`batch_size`: records in one transaction at most, fewer where that takes more than `latency` seconds;
        `compact_after`: events that the tail holds before compaction begins; `partitions`: of topics made here;
        `new_partitions_every`: seconds between looks for partitions that somebody added; `unknown`: what is done about
        a schema that the registry does not know; `pulse`: where it is told, for other threads, how it goes;
        `temper`: which bad records are parked; `dead_letter_topic`: whether they are published, too; `errands`: what
        other threads ask for; `build_share`: the part of the time that building a version of a projection may take;
        `bulk`: nobody reads the store before it has caught up (consumers.fold), and states are built then."""
        self._log = log
        self._store = store
        self._registry = registry
        self._size = BatchSize(batch_size, seconds=latency)
        self._partitions = partitions
        self._new_partitions_every = new_partitions_every
        self._unknown = unknown
        self._on_progress = on_progress
        self._pulse = pulse or Pulse()
        with translated(store.path, reading=True), seldom_collected():
            self._folder = Folder(store, temper=temper, bulk=bulk)
        self._dead_topics = DeadTopics(log, store, partitions=partitions) if dead_letter_topic else None
        self._errands = errands or Errands()
        processors = os.cpu_count() or 1
        builders = processors if bulk else 1
        self._threads_at_the_end = processors - builders + 1
        self._compaction = Compaction(
            store,
            after=compact_after,
            rows_a_slice=rows_at_once(store, builders) if bulk else None,
            build_share=build_share,
            builders=builders,
            bulk=bulk,
            beside=True,
        )
        self._progress = Progress()
        self._ends: Mapping[TopicPartition, int] = {}

    def run(self, *, until_caught_up: bool = False, stop: Callable[[], bool] = lambda: False) -> Progress:
        """Fold until told to stop, or until every partition has reached its end as it was at the start.

        Raises LogError (TopicRecreated, RetentionLost, OffsetBeyondEnd) when the log is not the one that was folded,
        OffsetConflict when somebody else wrote the store, StoreFull and StoreError when it cannot be written or read,
        PoisonRecord and TooManyParked when bad records are not to be parked, and what the log raises for good. What is
        away at the start is raised (RetryLater); later it is waited for.
        """
        started = time.monotonic()
        with translated(self._store.path):
            self._check_topics()
            self._ends = self._log.end_offsets(TOPICS)
            goal = self._ends if until_caught_up else None
            try:
                with seldom_collected():
                    self._fold_all(goal, stop, started)
                if self._dead_topics is not None:
                    self._dead_topics.finish()
            finally:
                if self._dead_topics is not None:
                    self._dead_topics.close()
            if goal is not None:
                self._compact_all(goal, stop, started)
            self._compaction.stop()
            self._finish()
        return self._report(started, goal, "caught up" if self._reached(goal) else "stopped")

    def _fold_all(self, goal: Mapping[TopicPartition, int] | None, stop: Callable[[], bool], started: float) -> None:
        """Fold to the goal, or until stopped; the log is opened anew whenever it has got new partitions."""
        patience = Patience(
            stop,
            told=lambda wait: self._pulse.waits("folding", wait),
            meanwhile=lambda away: self._say(started, goal, f"waiting for {WORDS[away]}"),
        )
        positions: Mapping[TopicPartition, int] | None = self._start_positions()
        while positions is not None and not stop():
            ahead = ReadAhead(
                self._log,
                positions,
                Preparer(Decoder(self._registry, unknown=self._unknown)),
                size=self._size,
                pulse=self._pulse,
            )
            try:
                with ahead.running():
                    if self._follow(ahead, goal, stop, started):
                        return
            except LogError:
                self._tell_all()
                raise
            positions = patience.ask("log", self._start_positions)

    def _follow(
        self,
        ahead: ReadAhead,
        goal: Mapping[TopicPartition, int] | None,
        stop: Callable[[], bool],
        started: float,
    ) -> bool:
        """Fold what comes; True when done, False when the log has new partitions to read."""
        looked = time.monotonic()
        while not stop():
            if self._reached(goal):
                return True
            prepared = ahead.take(0 if self._compaction.ready else _TAKE_S)
            if prepared is not None:
                began = time.monotonic()
                folded = self._fold(prepared, ahead.ends)
                spent = time.monotonic() - began
                self._size.folded(len(prepared), spent)
                self._pulse.folded(folded, spent)
                self._compaction.appended(folded.applied)
                self._compaction.hurries = self._lag(ahead.ends) >= self._size.now
                self._count(folded)
                ahead.folded = self._folder.positions
                if folded.parked and self._dead_topics is not None:
                    self._dead_topics.parked()
            events = self._folder.events
            if self._errands.step(self._folder):
                self._compaction.appended(self._folder.events - events)
            if self._dead_topics is not None:
                self._dead_topics.step()
            worked = self._compaction.step()
            rebuild.settle(self._store, self._folder.positions)
            state = "folding" if prepared is not None else "compacting" if worked else "idle"
            if self._pulse.waiting is not None:
                state = f"waiting for {WORDS[self._pulse.waiting.what]}"
            self._ends = ahead.ends or self._ends
            self._say(started, goal, state)
            if time.monotonic() - looked > self._new_partitions_every:
                looked = time.monotonic()
                if any(at not in self._folder.positions for at in ahead.ends):
                    return False
        return True

    def _reached(self, goal: Mapping[TopicPartition, int] | None) -> bool:
        positions = self._folder.positions
        return goal is not None and all(positions.get(at, 0) >= end for at, end in goal.items())

    def _fold(self, prepared: Prepared, ends: Mapping[TopicPartition, int]) -> Folded:
        """Fold a batch; records that the store refuses are found and parked, and the rest goes on."""
        return around_poison(self._folder, prepared, lambda left: self._folder.fold(left, ends=ends))

    def _start_positions(self) -> dict[TopicPartition, int]:
        """Where to read on: the store's offsets, and the beginning of partitions that are new to it."""
        begins = self._log.begin_offsets(TOPICS)
        ends = self._log.end_offsets(TOPICS)
        stored = self._folder.positions
        check_offsets(stored, begins, ends, str(self._store.path))
        self._folder.begin({at: begin for at, begin in begins.items() if at not in stored}, ends)
        return self._folder.positions

    def _tell_all(self) -> None:
        """A reader tells of the partition that it stumbled over; this raises the same of all of them, if it can."""
        try:
            check_topics(self._store.topics(), self._log.topics(), str(self._store.path))
            begins, ends = self._log.begin_offsets(TOPICS), self._log.end_offsets(TOPICS)
            check_offsets(self._folder.positions, begins, ends, str(self._store.path))
        except RetryLater:
            return

    def _check_topics(self) -> None:
        """The topics are those that were folded before, not others of the same name; those that are missing are made
        once that is certain, for this may be the wrong log."""
        known, found = self._store.topics(), self._log.topics()
        check_topics(known, found, str(self._store.path))
        if self._log.create_topics(TOPICS, self._partitions):
            found = self._log.topics()
        new = [(name, found[name]) for name in TOPICS if name in found and name not in known]
        if new:
            with self._store.transaction():
                self._store.insert_rows("topics", new, self._folder.batch)

    def _compact_all(self, goal: Mapping[TopicPartition, int], stop: Callable[[], bool], started: float) -> None:
        """Compact and build what there is, with all of the machine: a store that is only ever opened to catch up would
        never be compacted otherwise, and nothing built."""
        self._compaction.take_all_the_time()
        with self._store.using_threads(self._threads_at_the_end):
            while not stop() and self._compaction.step(patience=_TAKE_S):
                rebuild.settle(self._store, self._folder.positions)
                self._say(started, goal, "compacting")

    def _finish(self) -> None:
        """Leave a store that opens fast: what its log holds goes into the file."""
        try:
            self._store.con.execute("CHECKPOINT")
        except duckdb.Error:
            # A reader is still looking; the next start replays the log.
            return

    def _count(self, folded: Folded) -> None:
        self._progress = replace(
            self._progress,
            read=self._progress.read + folded.read,
            applied=self._progress.applied + folded.applied,
            duplicates=self._progress.duplicates + folded.duplicates,
            parked=self._progress.parked + folded.parked,
        )

    def _lag(self, ends: Mapping[TopicPartition, int]) -> int:
        """Records that are left to fold."""
        return sum(max(0, end - self._folder.positions.get(at, 0)) for at, end in ends.items())

    def _say(self, started: float, goal: Mapping[TopicPartition, int] | None, state: str) -> Progress:
        """One more round of the loop."""
        self._pulse.cycled(state)
        self._pulse.moved(self._folder.positions, self._ends)
        compaction = self._compaction
        self._pulse.compaction(running=compaction.running, tail_events=compaction.tail_events, after=compaction.after)
        return self._report(started, goal, state)

    def _report(
        self,
        started: float,
        goal: Mapping[TopicPartition, int] | None,
        state: str,
    ) -> Progress:
        lag = self._lag(self._ends if goal is None else goal)
        self._progress = replace(self._progress, lag=lag, seconds=time.monotonic() - started, state=state)
        if self._on_progress is not None:
            self._on_progress(self._progress)
        return self._progress
