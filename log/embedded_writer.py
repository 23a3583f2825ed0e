"""Appending to the embedded log: many records a transaction, told delivered after the durable commit."""

import sqlite3
import time
from collections import deque
from itertools import count
from pathlib import Path
from random import randrange
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import murmur2

from log.delivery import Deliveries
from log.headers import pack
from log.log import Delivered, Headers, Position
from log.sqlite_file import BUSY_SECONDS, connect, transaction, translated
from schemas.errors import ConfigurationError, LogError, LogUnavailable, TouchlogError

# One commit waits for the disk: thousands of records share it, or those of 100 ms when fewer come.
_BATCH_RECORDS = 5000
_BATCH_BYTES = 4 * 1024 * 1024
_LINGER_SECONDS = 0.1
_RETRY_SECONDS = 0.05

_TOPIC = """
    SELECT t.id, count(*) FROM topics t JOIN partitions p ON p.topic = t.id WHERE t.name = ? GROUP BY t.id
"""
_END = """
    SELECT coalesce((SELECT max("offset") + 1 FROM records WHERE topic = ?1 AND partition = ?2), begin)
    FROM partitions WHERE topic = ?1 AND partition = ?2
"""
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)"


_Outcome = tuple[Delivered | None, Position | Exception]


class _Record(NamedTuple):
    topic: str
    topic_id: int
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: bytes | None
    delivered: Delivered | None


class EmbeddedWriter:
    """`LogWriter` into an SQLite file. Commits when 5,000 records or 4 MB wait, or the first has waited 100 ms."""

    def __init__(self, path: Path, *, namespace: str = "") -> None:
        self._path, self._namespace = path, namespace
        self._connection: sqlite3.Connection | None = connect(path, must_exist=True)
        self._topics: dict[str, tuple[int, int]] = {}
        self._waiting: list[_Record] = []
        self._waiting_bytes = 0
        self._waiting_since = 0.0
        self._outcomes: deque[_Outcome] = deque()
        self._deliveries = Deliveries()
        self._keyless = count(randrange(1 << 16))

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
        connection = self._open()
        self._deliveries.raise_failures()
        now = time.monotonic()
        if self._waiting and (
            len(self._waiting) >= _BATCH_RECORDS
            or self._waiting_bytes >= _BATCH_BYTES
            or now - self._waiting_since >= _LINGER_SECONDS
        ):
            self._commit(connection)
        if timestamp is None:
            timestamp = time.time_ns() // 1_000_000
        elif timestamp <= 0:
            raise ConfigurationError(f"a record's timestamp is positive milliseconds since 1970, not {timestamp}")
        topic_id, partition = self._place(connection, topic, key, partition)
        if not self._waiting:
            self._waiting_since = now
        self._waiting.append(_Record(topic, topic_id, partition, timestamp, key, value, pack(headers), delivered))
        self._waiting_bytes += len(value or b"")

    def flush(self, timeout: float = 30.0) -> int:
        connection = self._open()
        deadline = time.monotonic() + timeout
        try:
            while self._waiting:
                left = max(0.0, deadline - time.monotonic())
                connection.execute(f"PRAGMA busy_timeout = {int(min(left, BUSY_SECONDS) * 1000)}")
                try:
                    self._commit(connection)
                except LogUnavailable:
                    if left <= 0:
                        break
                    time.sleep(min(left, _RETRY_SECONDS))
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        self._tell()
        self._deliveries.raise_failures()
        return len(self._waiting)

    def close(self) -> None:
        if self._connection is None:
            return
        connection = self._connection
        try:
            if self._waiting:
                self._commit(connection)
        except TouchlogError as error:
            self._give_up(error)
        finally:
            self._connection = None
            connection.close()
        self._tell()
        self._deliveries.raise_failures()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            self.close()
        except TouchlogError:
            if error is None:
                raise

    def _place(
        self, connection: sqlite3.Connection, topic: str, key: bytes | None, partition: int | None
    ) -> tuple[int, int]:
        if topic not in self._topics:
            with translated(self._path):
                row = connection.execute(_TOPIC, (self._namespace + topic,)).fetchone()
            if row is None:
                raise ConfigurationError(f"there is no topic {topic} in the log {self._path}; create it first")
            self._topics[topic] = row
        topic_id, partitions = self._topics[topic]
        if partition is None:
            partition = next(self._keyless) % partitions if key is None else murmur2(key, partitions)
        elif not 0 <= partition < partitions:
            raise ConfigurationError(f"topic {topic} has {partitions} partitions, there is no {partition}")
        return topic_id, partition

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Write all that waits, in one transaction; it goes on waiting when that fails."""
        ends: dict[tuple[int, int], int | None] = {}
        rows = []
        outcomes: list[_Outcome] = []
        with translated(self._path), transaction(connection):
            for topic_id, partition in dict.fromkeys((record.topic_id, record.partition) for record in self._waiting):
                row = connection.execute(_END, (topic_id, partition)).fetchone()
                ends[topic_id, partition] = row and row[0]
            for topic, topic_id, partition, timestamp, key, value, headers, delivered in self._waiting:
                offset = ends[topic_id, partition]
                if offset is None:
                    self._topics.pop(topic, None)
                    outcomes.append((delivered, LogError(f"topic {topic} was deleted from the log meanwhile")))
                    continue
                ends[topic_id, partition] = offset + 1
                rows.append((topic_id, partition, offset, timestamp, key, value, headers))
                outcomes.append((delivered, Position(topic, partition, offset)))
            connection.executemany(_INSERT, rows)
        self._outcomes.extend(outcomes)
        self._waiting, self._waiting_bytes = [], 0
        self._tell()

    def _give_up(self, error: Exception) -> None:
        self._outcomes.extend((record.delivered, error) for record in self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def _tell(self) -> None:
        while self._outcomes:
            delivered, outcome = self._outcomes.popleft()
            if isinstance(outcome, Position):
                self._deliveries.succeeded(delivered, outcome)
            else:
                self._deliveries.failed(delivered, outcome)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("the writer is closed")
        return self._connection
