"""Reading the embedded log: a share of every partition, again as soon as another process commits."""

import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from log.headers import LazyHeaders, unpack
from log.log import Positions, RecordBatch, TopicPartition
from log.sqlite_file import connect, transaction, translated
from schemas.errors import ConfigurationError, LogError, OffsetBeyondEnd, RetentionLost, TopicRecreated

_WAKE_SECONDS = 0.01
_BATCH_BYTES = 64 * 1024 * 1024

_RECORDS = """
    SELECT "offset", timestamp, key, value, headers FROM records
    WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?
"""
_TOPIC = "SELECT id FROM topics WHERE name = ?"
_BEGINS = "SELECT topic, partition, begin FROM partitions WHERE topic = ?"
_END = 'SELECT max("offset") + 1 FROM records WHERE topic = ? AND partition = ?'


_Row = tuple[int, int, bytes | None, bytes | None, bytes | None]


class EmbeddedReader:
    """`LogReader` of an SQLite file. An idle one looks for a commit every 10 ms, at 1 to 2 % of a core."""

    def __init__(self, path: Path, positions: Positions, *, namespace: str = "") -> None:
        self._path, self._namespace = path, namespace
        self._positions = dict(positions)
        self._order = list(self._positions)
        self._seen: int | None = None
        self._checked = False
        connection = connect(path, must_exist=True)
        try:
            with translated(path):
                self._ids = _topic_ids(connection, namespace, positions)
        except BaseException:
            connection.close()
            raise
        self._connection: sqlite3.Connection | None = connection

    def poll(self, max_records: int, timeout: float) -> RecordBatch:
        connection = self._open()
        deadline = time.monotonic() + timeout
        while True:
            with translated(self._path):
                # Taken before reading: a commit in between shows as a change the next time.
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version != self._seen:
                    batch, drained = self._read(connection, max_records)
                    self._seen = version if drained else None
                    if batch.offsets:
                        return batch
            left = deadline - time.monotonic()
            if left <= 0:
                return RecordBatch()
            time.sleep(min(left, _WAKE_SECONDS))

    def commit(self, positions: Positions) -> None:
        del positions
        self._open()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _read(self, connection: sqlite3.Connection, max_records: int) -> tuple[RecordBatch, bool]:
        """Records of one snapshot, and whether it holds no more of them."""
        positions, chunks = dict(self._positions), []
        left, bytes_left, deep = max_records, _BATCH_BYTES, self._order
        with transaction(connection, "DEFERRED"):
            self._check(connection)
            while deep and left > 0 and bytes_left > 0:
                share, deeper = max(1, left // len(deep)), []
                for at in deep:
                    asked = min(share, left) if bytes_left > 0 else 0
                    rows, size = _take(connection, self._ids[at.topic], at.partition, positions[at], asked, bytes_left)
                    if rows:
                        chunks.append((at, rows))
                        positions[at] = rows[-1][0] + 1
                    if len(rows) == asked or size >= bytes_left:
                        deeper.append(at)
                    left, bytes_left = left - len(rows), bytes_left - size
                deep = deeper
        self._positions = positions
        # The next poll begins elsewhere, so that a small `max_records` starves no partition.
        self._order = self._order[1:] + self._order[:1]
        return _batch(chunks), not deep

    def _check(self, connection: sqlite3.Connection) -> None:
        begins = {
            (topic, partition): begin
            for topic in self._ids.values()
            for topic, partition, begin in connection.execute(_BEGINS, (topic,))
        }
        for at, position in self._positions.items():
            begin = begins.get((self._ids[at.topic], at.partition))
            if begin is None:
                raise self._gone(connection, at.topic)
            if position < begin:
                raise RetentionLost(
                    f"{at.topic}[{at.partition}] begins at offset {begin}: {begin - position} records from"
                    f" {position} on were deleted; restore the log from a copy, or build a new store from what is left"
                )
        if not self._checked:
            self._check_ends(connection, begins)
        self._checked = True

    def _check_ends(self, connection: sqlite3.Connection, begins: dict[tuple[int, int], int]) -> None:
        for at, position in self._positions.items():
            key = (self._ids[at.topic], at.partition)
            end = connection.execute(_END, key).fetchone()[0] or begins[key]
            if position > end:
                raise OffsetBeyondEnd(
                    f"{at.topic}[{at.partition}] ends at offset {end}, {position - end} records before {position};"
                    " the log was replaced or restored: point at the right one, or build a new store from this one"
                )

    def _gone(self, connection: sqlite3.Connection, topic: str) -> LogError:
        if connection.execute(_TOPIC, (self._namespace + topic,)).fetchone():
            return TopicRecreated(f"topic {topic} was deleted and created again; build a new store from this log")
        return LogError(f"topic {topic} was deleted from the log; restore the log from a copy")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("the reader is closed")
        return self._connection


def _topic_ids(connection: sqlite3.Connection, namespace: str, positions: Positions) -> dict[str, int]:
    ids, known = {}, set()
    for topic in dict.fromkeys(topic for topic, _ in positions):
        row = connection.execute(_TOPIC, (namespace + topic,)).fetchone()
        if row is None:
            raise ConfigurationError(f"there is no topic {topic} in the log; create it, or check the log's path")
        ids[topic] = row[0]
        known |= {TopicPartition(topic, row[1]) for row in connection.execute(_BEGINS, row)}
    for topic, partition in set(positions) - known:
        raise ConfigurationError(f"topic {topic} of the log has no partition {partition}")
    return ids


def _take(
    connection: sqlite3.Connection, topic: int, partition: int, position: int, asked: int, bytes_left: int
) -> tuple[list[_Row], int]:
    """At most `asked` records from a position on, ending with the one that reaches `bytes_left`; and their size."""
    rows: list[_Row] = []
    size = 0
    for row in connection.execute(_RECORDS, (topic, partition, position, asked)):
        rows.append(row)
        if row[3]:
            size += len(row[3])
            if size >= bytes_left:
                break
    return rows, size


def _batch(chunks: list[tuple[TopicPartition, list[_Row]]]) -> RecordBatch:
    rows = [row for _, part in chunks for row in part]
    if not rows:
        return RecordBatch()
    offsets, timestamps, keys, values, headers = map(list, zip(*rows, strict=True))
    return RecordBatch(
        topics=[at.topic for at, part in chunks for _ in part],
        partitions=[at.partition for at, part in chunks for _ in part],
        offsets=offsets,
        timestamps=timestamps,
        keys=keys,
        values=values,
        headers=LazyHeaders(headers, unpack),
        next_positions={at: part[-1][0] + 1 for at, part in chunks},
    )
