"""The log up to given offsets: a `Log` (log.log) that ends where it is told, whatever is appended meanwhile.

It is only read: no topic is made, nothing is committed for lag tools, and it has no writer.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from log.headers import LazyHeaders
from log.log import Log, LogReader, LogWriter, Positions, RecordBatch, TopicPartition
from schemas.errors import ConfigurationError, OffsetBeyondEnd

Keep = Callable[[RecordBatch], Sequence[int]]
"""The places of a batch's records that are wanted. May raise RetryLater: the same batch is asked about again."""

_NOTHING_MORE_S = 0.01


class Replayed:
    """`Log` of the partitions of `until`, each of which ends at its offset there, or where the log really ends.

    With `keep`, readers give the wanted records alone; positions move over the others. The log beneath stays the
    caller's: `close` lets it open.
    """

    def __init__(self, log: Log, until: Positions, *, keep: Keep | None = None) -> None:
        self.url = log.url
        self._log = log
        self._until = dict(until)
        self._keep = keep
        self._closed = False

    def create_topics(self, topics: Iterable[str], partitions: int) -> list[str]:
        del topics, partitions
        self._open()
        return []

    def topics(self) -> dict[str, str]:
        wanted = {at.topic for at in self._until}
        return {topic: identity for topic, identity in self._open().topics().items() if topic in wanted}

    def begin_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return self._clipped(self._open().begin_offsets(topics))

    def end_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return self._clipped(self._open().end_offsets(topics))

    def reader(self, positions: Positions, *, group: str = "touchlog") -> "ReplayedReader":
        for at in positions:
            if at not in self._until:
                raise ConfigurationError(f"topic {at.topic}, partition {at.partition} is not replayed")
        return ReplayedReader(self._open(), positions, self._until, group=group, keep=self._keep)

    def writer(self) -> LogWriter:
        self._open()
        raise ConfigurationError("a log that is replayed is only read; write to the log itself")

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _clipped(self, offsets: Positions) -> dict[TopicPartition, int]:
        return {at: min(offset, self._until[at]) for at, offset in offsets.items() if at in self._until}

    def _open(self) -> Log:
        if self._closed:
            raise ValueError("the log is closed")
        return self._log


class ReplayedReader:
    """`LogReader` that gives no record at or beyond `until`. Partitions that are read to their end are let go."""

    def __init__(
        self, log: Log, positions: Positions, until: Positions, *, group: str = "touchlog", keep: Keep | None = None
    ) -> None:
        self._log = log
        self._positions = dict(positions)
        self._until = {at: until[at] for at in positions}
        self._group = group
        self._keep = keep
        self._reader: LogReader | None = None
        self._held: RecordBatch | None = None
        self._moved: dict[TopicPartition, int] = {}
        self._closed = False
        if self._ahead():
            # Now, so that a partition that does not exist is told of here.
            self._reopen()

    def poll(self, max_records: int, timeout: float) -> RecordBatch:
        self._check()
        deadline = time.monotonic() + timeout
        while True:
            batch = self._next(max_records, max(0.0, deadline - time.monotonic()))
            left = deadline - time.monotonic()
            # Positions alone are told at once, unless a filter makes them move without end.
            if len(batch) or left <= 0 or (self._moved and (self._keep is None or not self._ahead())):
                moved, self._moved = self._moved, {}
                return replace(batch, next_positions=moved)

    def commit(self, positions: Positions) -> None:
        """Does nothing: what lag tools see is how far the live store got, not a replay."""
        del positions
        self._check_open()

    def close(self) -> None:
        self._closed = True
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _next(self, max_records: int, timeout: float) -> RecordBatch:
        """What is wanted of the next batch; what it moves is noted. Raises what the log and the filter raise, and
        goes on from the same record when called again."""
        if not self._ahead():
            time.sleep(min(timeout, _NOTHING_MORE_S))
            return RecordBatch()
        if self._held is None:
            self._held = self._reopen().poll(max_records, timeout)
        batch = self._held
        within = self._within(batch)
        places: Sequence[int] = within
        if self._keep is not None:
            batch, places = taken(batch, within), range(len(within))
            if places:
                places = self._keep(batch)
        beyond, self._held = len(self._held) - len(within), None
        moved = {at: min(offset, self._until[at]) for at, offset in batch.next_positions.items()}
        self._positions |= moved
        self._moved |= moved
        if beyond > len(within):
            # Most of what comes lies behind an end: read on without the partitions that have reached theirs.
            self._let_go()
        return taken(batch, places)

    def _within(self, batch: RecordBatch) -> Sequence[int]:
        if all(offset <= self._until[at] for at, offset in batch.next_positions.items()):
            return range(len(batch))
        ends = [
            self._until[TopicPartition(topic, partition)]
            for topic, partition in zip(batch.topics, batch.partitions, strict=True)
        ]
        return [place for place, offset in enumerate(batch.offsets) if offset < ends[place]]

    def _ahead(self) -> dict[TopicPartition, int]:
        """Where to read on, of the partitions that have not reached their end."""
        return {at: offset for at, offset in self._positions.items() if offset < self._until[at]}

    def _reopen(self) -> LogReader:
        if self._reader is None:
            self._reader = self._log.reader(self._ahead(), group=self._group)
        return self._reader

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _check(self) -> None:
        self._check_open()
        for at, offset in self._positions.items():
            if offset > self._until[at]:
                raise OffsetBeyondEnd(
                    f"{at.topic}[{at.partition}] is replayed up to offset {self._until[at]},"
                    f" {offset - self._until[at]} records before {offset}"
                )

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the reader is closed")


def taken(batch: RecordBatch, places: Sequence[int]) -> RecordBatch:
    """The batch's records at these places; its positions stay."""
    if len(places) == len(batch):
        return batch
    return RecordBatch(
        topics=[batch.topics[place] for place in places],
        partitions=[batch.partitions[place] for place in places],
        offsets=[batch.offsets[place] for place in places],
        timestamps=[batch.timestamps[place] for place in places],
        keys=[batch.keys[place] for place in places],
        values=[batch.values[place] for place in places],
        headers=LazyHeaders(places, batch.headers.__getitem__),
        next_positions=batch.next_positions,
    )
