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
    partition that moved: it can be past the last record (transaction markers, compaction holes). `headers`
    are split out only when asked for; a header whose value is null is read as empty.
    """

    topics: list[str] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: Sequence[Headers] = field(default_factory=list)
    next_positions: dict[TopicPartition, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)


class LogReader(Protocol):
    """Reads partitions forward from given positions. One thread uses a reader at a time.

    A long backlog is read from all partitions in turn: none waits until another is read to its end.
    """

    def poll(self, max_records: int, timeout: float) -> RecordBatch:
        """Next records of any partition: at most `max_records`, waiting at most `timeout` seconds for the first.

        An empty batch means that nothing came in time, or that only `next_positions` moved. Fewer records than
        asked for do not mean that the end is reached: compare positions with `Log.end_offsets` for that.
        A batch ends early at some 64 MB, so that large records do not fill the memory.
        Raises LogUnavailable (call again; nothing was skipped) and, now and on every later call, RetentionLost
        or OffsetBeyondEnd (a position is not in the log), TopicRecreated, LogError (the topic is gone). The last
        two are noticed within some seconds, so compare `Log.topics` with the store's before beginning.
        """
        ...

    def commit(self, positions: Positions) -> None:
        """Tell the log how far a store got, for lag tools only; never read back as truth. Best effort.

        The embedded log has no such tools and keeps nothing.
        """
        ...

    def close(self) -> None:
        """Give the connection back; a second time does nothing, any other call after it raises ValueError."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class LogWriter(Protocol):
    """Appends records durably. One thread uses a writer at a time.

    `delivered` is called exactly once for a record, when it is durable or given up, from `append`, `flush` or
    `close`, never from another thread. A record that failed and had no `delivered` is not lost in silence: the
    next `append`, `flush` or `close` raises DeliveryFailed. Records are appended at least once: where the
    outcome of a write is unknown, a record reported as failed may still be in the log.
    """

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

        The partition is chosen by murmur2 of the key (the Java client's default), in both homes, unless given;
        records without a key are spread. `timestamp` is positive milliseconds since 1970; the writer's clock
        when None. A record may wait in the writer until `flush`, `close` or a later `append`.
        Raises ConfigurationError (no such topic or partition, record too large, a timestamp that is not
        positive), LogUnavailable, StoreFull, DeliveryFailed: then this record was not taken, and those taken
        before are still waiting.
        """
        ...

    def flush(self, timeout: float = 30.0) -> int:
        """Wait until everything appended is acknowledged; returns how many are not after `timeout` seconds.

        `flush(0)` tries once and serves `delivered`. Raises StoreFull, DeliveryFailed.
        """
        ...

    def close(self) -> None:
        """Flush, give up what cannot be delivered (telling `delivered`), let go; a second time does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Log(Protocol):
    """An ordered, partitioned, append-only record.

    Every call raises LogUnavailable when the log does not answer (the same call may succeed later) and
    ConfigurationError when it never will; no other library's errors come out. Readers and writers are
    independent of each other and of the `Log` they came from: any number, in any number of processes.
    """

    url: str

    def create_topics(self, topics: Iterable[str], partitions: int) -> list[str]:
        """Create what is missing, keeping records for ever; returns the names created.

        Topics that exist keep their partitions, whatever `partitions` says.
        """
        ...

    def topics(self) -> dict[str, str]:
        """Existing topics: name -> identity (a topic deleted and created again has another identity)."""
        ...

    def begin_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """For every partition of the topics that exist, the offset of the first record still kept."""
        ...

    def end_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """For every partition of the topics that exist, the end of what can be read now.

        It is the offset that the next record will get; under a transaction of another producer that is still
        open, where that transaction began. A position at or beyond it has caught up with this moment.
        """
        ...

    def reader(self, positions: Positions, *, group: str = "touchlog") -> LogReader:
        """A reader of exactly these partitions, starting at exactly these offsets.

        Raises ConfigurationError when a partition does not exist. That offsets lie in the log is checked by
        `poll`. `group` is the name under which lag tools see commits.
        """
        ...

    def writer(self) -> LogWriter: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
