"""The folders of releases, unpacked: the log that a release wrote, the store that it folded, what it said there is."""

import gzip
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from consumers.projector import Progress, Projector
from log.log import Log, RecordBatch, TopicPartition
from log.open import open_log
from projections.store import Store
from schemas.codec import decode, from_record
from schemas.errors import DeadLetter
from schemas.models import Event
from schemas.topics import TOPICS, stream_of
from tests.folding import REGISTRY

FOLDER = Path(__file__).parent
RELEASES = sorted(path.name for path in FOLDER.iterdir() if (path / "expected.json").exists())


@dataclass(frozen=True, kw_only=True)
class Place:
    """One release's log and store, in a folder of the test's own."""

    release: str
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "views.duckdb"

    @cached_property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((FOLDER / self.release / "expected.json").read_text("utf-8"))
        return found

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Up to where the release had folded its log."""
        return {TopicPartition(topic, partition): offset for topic, partition, offset in self.expected["positions"]}

    def log(self) -> Log:
        return open_log(f"embedded:{self.folder / 'log.sqlite'}")

    def records(self) -> RecordBatch:
        """The whole log, partition by partition."""
        found = RecordBatch()
        with self.log() as log, log.reader(log.begin_offsets(TOPICS)) as reader:
            ends = log.end_offsets(TOPICS)
            while any(found.next_positions.get(at, 0) < end for at, end in ends.items()):
                batch = reader.poll(1000, 1.0)
                for name in ("topics", "partitions", "offsets", "timestamps", "keys", "values", "headers"):
                    getattr(found, name).extend(getattr(batch, name))
                found.next_positions.update(batch.next_positions)
        return found

    def events(self, *, folded: bool = False) -> list[Event]:
        """Distinct events of the log, read record by record; `folded`: of the part that the release had folded."""
        found: dict[Any, Event] = {}
        batch, ends = self.records(), self.positions
        for topic, partition, offset, value in zip(
            batch.topics, batch.partitions, batch.offsets, batch.values, strict=True
        ):
            if folded and offset >= ends[TopicPartition(topic, partition)]:
                continue
            assert value is not None
            try:
                schema = REGISTRY.schema(int.from_bytes(value[1:5], "big"))
                event = from_record(stream_of(topic), decode(value[5:], schema=schema))
            except DeadLetter:
                continue
            found.setdefault(event.event_id, event)
        return list(found.values())

    def fold(self, store: Path, *, batch_size: int = 50, compact_after: int = 10**9) -> Progress:
        """Fold the log into a store, from where that is to the end."""
        with self.log() as log, Store.open(store) as opened:
            projector = Projector(log, opened, REGISTRY, batch_size=batch_size, compact_after=compact_after)
            return projector.run(until_caught_up=True)


def unpacked(release: str, folder: Path) -> Place:
    """The release's files, unpacked in a folder."""
    for name in ("log.sqlite", "views.duckdb"):
        with gzip.open(FOLDER / release / f"{name}.gz") as source, (folder / name).open("wb") as target:
            shutil.copyfileobj(source, target)
    return Place(release=release, folder=folder)


def content(path: Path) -> dict[str, Any]:
    """Every table of a store's file: its columns and the hash of its rows; no other connection may be open."""
    with duckdb.connect(str(path), read_only=True) as con:
        tables = con.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        columns = "SELECT list(column_name || ' ' || column_type) FROM (DESCRIBE FROM query_table(?))"
        return {
            table: (
                con.execute(columns, [table]).fetchall(),
                con.execute(f"SELECT count(*), sum(hash(t::VARCHAR)) FROM {table} AS t").fetchall(),
            )
            for (table,) in tables
        }
