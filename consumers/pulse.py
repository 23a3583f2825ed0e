"""What a running projector tells of itself, for whoever asks in another thread: that it lives, and what it does.

The loop and the thread that reads ahead write, each its own fields; nothing here waits for a lock or asks the store,
so it can be told when these hang.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from consumers.fold import Folded
from consumers.patience import Wait
from log.log import TopicPartition

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets that transactions are counted in, in seconds; above the last comes one more."""

_MARKS = 512
_YEAR_10000_MS = 253_402_300_800_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Lag:
    """Of one partition: where to read on, and where the log ended when it was last asked."""

    next_offset: int
    end_offset: int

    @property
    def records(self) -> int:
        return max(0, self.end_offset - self.next_offset)


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """One look at a running projector. Ages are seconds, counts are of this run.

    - `cycles`, `cycle_age_s`: rounds of the loop that folds, and how long ago the last one ended; `reader_*` of the
      thread that reads ahead (age 0 while there is none). Both go round several times a second even with nothing to do.
    - `state` (starting, folding, compacting, idle, waiting for …) and since when; `waiting` for what is away.
    - `lag` of each partition; `lag_s`: how long the record that has waited longest is known to be in the log, 0 when
      none waits; `oldest_record_at`: the earliest timestamp among the records that were read and not folded yet. A
      producer may date a record as it likes (touchlog's with the time of what happened), so that is no lag.
    - `transactions`: for each of BOUNDS_S, and without a bound, how many folds took at most so long;
      `transactions_s` the seconds of all of them.
    """

    started_at: datetime
    cycles: int
    cycle_age_s: float
    reader_cycles: int
    reader_age_s: float
    state: str
    state_since: datetime
    waiting: Wait | None
    lag: Mapping[TopicPartition, Lag]
    lag_s: float
    oldest_record_at: datetime | None
    compacting: bool
    tail_events: int
    compact_after: int
    applied: int
    duplicates: int
    parked: int
    transactions: Sequence[int]
    transactions_s: float


class Pulse:
    """Written by a projector as it goes, read by anybody."""

    def __init__(self) -> None:
        self._started_at = datetime.now(UTC)
        self._state = ("starting", self._started_at)
        self._cycles = (0, time.monotonic())
        self._reader_cycles: tuple[int, float | None] = (0, None)
        self._waits: dict[str, Wait] = {}
        self._lag: Mapping[TopicPartition, Lag] = {}
        self._waiting_since: dict[TopicPartition, Arrivals] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self._reading: deque[int | None] = deque()
        self._compaction = (False, 0, 0)
        self._folded = (0, 0, 0)
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._seconds = 0.0

    @property
    def waiting(self) -> Wait | None:
        """What is waited for now."""
        return next(iter(list(self._waits.values())), None)

    def vitals(self) -> Vitals:
        """How it is now."""
        now = time.monotonic()
        cycles, cycled = self._cycles
        reader_cycles, reader_cycled = self._reader_cycles
        state, since = self._state
        waiting = self.waiting
        if waiting is not None:
            since = waiting.since
        compacting, tail_events, compact_after = self._compaction
        applied, duplicates, parked = self._folded
        oldest = min((moment for moment in list(self._reading) if moment is not None), default=None)
        lag = self._lag
        arrived = [found for at, one in lag.items() if (found := self._arrived(at, one.next_offset)) is not None]
        return Vitals(
            started_at=self._started_at,
            cycles=cycles,
            cycle_age_s=now - cycled,
            reader_cycles=reader_cycles,
            reader_age_s=0.0 if reader_cycled is None else now - reader_cycled,
            state=state,
            state_since=since,
            waiting=waiting,
            lag=lag,
            lag_s=max(0.0, now - min(arrived)) if arrived else 0.0,
            oldest_record_at=None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC),
            compacting=compacting,
            tail_events=tail_events,
            compact_after=compact_after,
            applied=applied,
            duplicates=duplicates,
            parked=parked,
            transactions=list(accumulate(self._buckets)),
            transactions_s=self._seconds,
        )

    def cycled(self, state: str) -> None:
        """The loop has gone round once more, doing this."""
        self._cycles = (self._cycles[0] + 1, time.monotonic())
        if state != self._state[0]:
            self._state = (state, datetime.now(UTC))

    def reader_cycled(self) -> None:
        """So has the thread that reads ahead."""
        self._reader_cycles = (self._reader_cycles[0] + 1, time.monotonic())

    def reader_left(self) -> None:
        """No thread reads ahead now."""
        self._reader_cycles = (self._reader_cycles[0], None)

    def waits(self, thread: str, wait: Wait | None) -> None:
        """A thread waits for something that is away, or no longer."""
        if wait is None:
            self._waits.pop(thread, None)
        else:
            self._waits[thread] = wait

    def moved(self, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """The store is at these positions, the log ends there."""
        if ends is not self._ends:
            self._ends, now = ends, time.monotonic()
            for at, end in ends.items():
                self._waiting_since.setdefault(at, Arrivals()).note(end, now, positions.get(at, 0))
        self._lag = {at: Lag(next_offset=positions.get(at, 0), end_offset=end) for at, end in ends.items()}

    def began(self) -> None:
        """Reading begins again from the store's positions: what was read and not folded is not there any more."""
        self._reading.clear()

    def read(self, timestamps: Sequence[int], *, more: bool = False) -> None:
        """A batch was read, or `more` of the last one; its records' timestamps, in milliseconds since 1970."""
        oldest = min(timestamps, default=None)
        if oldest is not None and not _plausible(oldest):
            # Of a foreign producer they may be anything; a Kafka record without one has -1.
            oldest = min(filter(_plausible, timestamps), default=None)
        if more:
            self._reading[-1] = min(filter(None, (oldest, self._reading[-1])), default=None)
        else:
            self._reading.append(oldest)

    def folded(self, folded: Folded, seconds: float) -> None:
        """The oldest batch that was read is folded now; its transaction took so long."""
        if self._reading:
            self._reading.popleft()
        applied, duplicates, parked = self._folded
        self._folded = (applied + folded.applied, duplicates + folded.duplicates, parked + folded.parked)
        self._buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds += seconds

    def compaction(self, *, running: bool, tail_events: int, after: int) -> None:
        """Whether the tail is being compacted, how many events it holds, and from how many on it will be."""
        self._compaction = (running, tail_events, after)

    def _arrived(self, at: TopicPartition, position: int) -> float | None:
        arrivals = self._waiting_since.get(at)
        return None if arrivals is None else arrivals.of(position)


def _plausible(milliseconds: int) -> bool:
    return 0 < milliseconds < _YEAR_10000_MS


class Arrivals:
    """When the records of a partition came, as seen from outside: where it ended, each time it was looked at.

    Bounded: when there are too many marks, two become one, and a record may be taken for a little older than it is.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def note(self, end: int, now: float, folded: int) -> None:
        """The partition ended at `end` now, and is folded up to `folded`."""
        marks = [mark for mark in self._marks if mark[1] > folded]
        if end > (marks[-1][1] if marks else folded):
            marks.append((now, end))
        if len(marks) > _MARKS:
            marks = [(one[0], other[1]) for one, other in zip(marks[::2], marks[1::2], strict=False)] + (
                marks[-1:] if len(marks) % 2 else []
            )
        self._marks = marks

    def of(self, position: int) -> float | None:
        """When the record at a position was first seen to be there; None when it is not there yet."""
        return next((moment for moment, end in self._marks if end > position), None)
