"""The log at home on one machine: one SQLite file that several processes append to and read at once."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from log.embedded_reader import EmbeddedReader
from log.embedded_writer import EmbeddedWriter
from log.log import Positions, TopicPartition
from log.sqlite_file import connect, transaction, translated
from schemas.errors import ConfigurationError, LogError

_ENDS = """
    SELECT p.partition, p.begin, coalesce(
        (SELECT max(r."offset") + 1 FROM records r WHERE r.topic = p.topic AND r.partition = p.partition), p.begin)
    FROM topics t JOIN partitions p ON p.topic = t.id WHERE t.name = ? ORDER BY p.partition
"""


class EmbeddedLog:
    """`Log` in one SQLite file, created when missing unless `must_exist`.

    `namespace` is put before every topic's name in the file and taken off again on reading, so that several
    logs share one file. A `Log` belongs to one thread; its readers and writers have connections of their own.
    """

    def __init__(self, path: str | Path, *, namespace: str = "", must_exist: bool = False) -> None:
        self._path = Path(path)
        self._namespace = namespace
        self.url = f"embedded:{path}" + (f"?prefix={namespace}" if namespace else "")
        self._connection: sqlite3.Connection | None = connect(self._path, must_exist=must_exist)
        self._file = self._identity()

    def create_topics(self, topics: Iterable[str], partitions: int) -> list[str]:
        if partitions < 1:
            raise ConfigurationError(f"a topic needs at least one partition, not {partitions}")
        connection, created = self._open(), []
        with translated(self._path), transaction(connection):
            for topic in dict.fromkeys(topics):
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO topics (name, identity) VALUES (?, ?)",
                    (self._namespace + topic, str(uuid4())),
                )
                if not cursor.rowcount:
                    continue
                connection.executemany(
                    "INSERT INTO partitions (topic, partition) VALUES (?, ?)",
                    [(cursor.lastrowid, partition) for partition in range(partitions)],
                )
                created.append(topic)
        return created

    def topics(self) -> dict[str, str]:
        skip = len(self._namespace)
        with translated(self._path):
            rows = self._open().execute(
                "SELECT name, identity FROM topics WHERE substr(name, 1, ?) = ? ORDER BY name",
                (skip, self._namespace),
            )
            return {name[skip:]: identity for name, identity in rows}

    def begin_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return {partition: begin for partition, (begin, _) in self._bounds(topics).items()}

    def end_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return {partition: end for partition, (_, end) in self._bounds(topics).items()}

    def delete_records(self, before: Positions) -> None:
        """Delete, in each partition, the records below the offset (at most all of them)."""
        connection = self._open()
        with translated(self._path), transaction(connection):
            bounds = self._bounds({topic for topic, _ in before})
            for partition, offset in before.items():
                if partition not in bounds:
                    raise ConfigurationError(f"there is no partition {partition.partition} of {partition.topic}")
                begin, end = bounds[partition]
                row = (max(begin, min(offset, end)), self._namespace + partition.topic, partition.partition)
                where = "topic = (SELECT id FROM topics WHERE name = ?2) AND partition = ?3"
                connection.execute(f'DELETE FROM records WHERE "offset" < ?1 AND {where}', row)
                connection.execute(f"UPDATE partitions SET begin = ?1 WHERE {where}", row)

    def delete_topics(self, topics: Iterable[str]) -> None:
        """Delete topics with all their records; those that do not exist are passed over."""
        connection = self._open()
        with translated(self._path), transaction(connection):
            for topic in topics:
                name = (self._namespace + topic,)
                for table in ("records", "partitions"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE topic = (SELECT id FROM topics WHERE name = ?)", name
                    )
                connection.execute("DELETE FROM topics WHERE name = ?", name)

    def reader(self, positions: Positions, *, group: str = "touchlog") -> EmbeddedReader:
        del group
        self._open()
        return EmbeddedReader(self._path, positions, namespace=self._namespace)

    def writer(self) -> EmbeddedWriter:
        self._open()
        return EmbeddedWriter(self._path, namespace=self._namespace)

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

    def _bounds(self, topics: Iterable[str]) -> Mapping[TopicPartition, tuple[int, int]]:
        connection, bounds = self._open(), {}
        if self._identity() != self._file:
            # What is still open is a file without a name, which nobody else writes to.
            raise LogError(f"{self._path} was deleted or replaced while it was open; restore it and start again")
        with translated(self._path):
            for topic in dict.fromkeys(topics):
                for partition, begin, end in connection.execute(_ENDS, (self._namespace + topic,)):
                    bounds[TopicPartition(topic, partition)] = (begin, end)
        return bounds

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("the log is closed")
        return self._connection
