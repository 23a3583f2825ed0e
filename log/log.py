"""The one interface before the log's I/O. Two homes obey it: `log.embedded` and `log.kafka`.

`tests/contract/` is the same suite over both; what it asserts is what callers may rely on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Protocol, Self


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where an appended record lies."""

    topic: str
    partition: int
    offset: int


Headers = Sequence[tuple[str, bytes]]
Positions = Mapping[TopicPartition, int]
"""For each partition the offset of the next record to read."""

Delivered = Callable[[Position | None, Exception | None], None]
"""Called once for every appended record: with its position, or with why it was not acknowledged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordBatch:
    """Records read together, as parallel columns of equal length, in order within each partition.

    `timestamps` are milliseconds since 1970 (UTC), as the log keeps them. `values` and `keys` may be None
    (a tombstone; a record without a key). `next_positions` is where to read on after this batch, for every
    partition that moved: it can be past the last record (transaction markers, compaction holes).
    """

    topics: list[str] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    next_positions: dict[TopicPartition, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)


class LogReader(Protocol):
    """Reads partitions forward from given positions. One thread uses a reader at a time."""

    def poll(self, max_records: int, timeout: float) -> RecordBatch:
        """Next records of any partition: at most `max_records`, waiting at most `timeout` seconds for the first.

        An empty batch means that nothing came in time; its `next_positions` may still have moved.
        Raises LogUnavailable (try again), RetentionLost and OffsetBeyondEnd (a position is not in the log).
        """
        ...

    def commit(self, positions: Positions) -> None:
        """Tell the log how far a store got, for lag tools only; never read back as truth. Best effort."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class LogWriter(Protocol):
    """Appends records durably. `delivered` is called from `append`, `poll` or `flush`, never from another thread."""

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """Hand over one record; blocks while the outgoing queue is full (back-pressure).

        The partition is chosen by murmur2 of the key (the Java client's default), in both homes, unless given.
        `timestamp` is milliseconds since 1970; the log's own clock when None.
        """
        ...

    def flush(self, timeout: float = 30.0) -> int:
        """Wait until everything appended is acknowledged; returns how many are not after `timeout` seconds."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Log(Protocol):
    """An ordered, partitioned, append-only record."""

    url: str

    def create_topics(self, topics: Iterable[str], partitions: int) -> list[str]:
        """Create what is missing, keeping records for ever; returns the names created."""
        ...

    def topics(self) -> dict[str, str]:
        """Existing topics: name -> identity (a topic deleted and created again has another identity)."""
        ...

    def begin_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """For every partition of the topics that exist, the offset of the first record still kept."""
        ...

    def end_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """For every partition of the topics that exist, the offset that the next record will get."""
        ...

    def reader(self, positions: Positions, *, group: str = "touchlog") -> LogReader:
        """A reader of exactly these partitions, starting at exactly these offsets."""
        ...

    def writer(self) -> LogWriter: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
