"""The store: one DuckDB file that one process writes and everybody reads.

Event tables are insert-only: an active *tail* that batches append to, at most a few frozen tails that compaction
is moving, and sorted *runs*. What there is reads from the table names:

    store.events_tail_00000042      batches from 42 on
    store.events_run_0_00000041     level 0, batches up to 41; so for `mentions`, and for each projection's schema

Offsets, identity and dead letters are insert-only tables too: the newest batch counts. Nothing here has an UPDATE or a
DELETE, so readers never hold up a checkpoint; nothing big has a primary key or an index.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import duckdb
import pyarrow as pa

from log.log import TopicPartition
from projections import layout, metrics, migrations, remembered, versions
from projections.beside import Beside
from projections.projection import Projection, all_projections
from projections.publish import create_streams, create_views
from projections.store_errors import check_file, explained, not_writable, translated
from projections.versions import BUILDING, CATCHING_UP, LIVE, NEXT_SCHEMA, READY, Version
from schemas.errors import ConfigurationError, OffsetConflict, ProjectionChanged, StoreError

STREAMS = {"events": layout.EVENT_COLUMNS, "mentions": layout.MENTION_COLUMNS}
"""Tables that come in tails and runs."""
SORTED = {"events": "contact_point_id, occurred_at", "mentions": "contact_point_id"}
"""How the runs of a stream are sorted."""

_Row = tuple[Any, ...]

_NOMINAL_THREADS = 256

_FORMAT = "v1.5.0"
"""What a new file can be read by: DuckDB from this version on. Texts take less room and time than in the default."""

_TABLES = {
    "points": layout.ddl(layout.POINT_COLUMNS),
    "dead_letters": layout.ddl(layout.DEAD_LETTER_COLUMNS),
    **{name: layout.ddl(columns) for name, columns in layout.SMALL_TABLES.items()},
    # Transactions do not see each other's inserts: two writers that commit the same batch at once collide here.
    "batches": layout.ddl(layout.SMALL_TABLES["batches"]) + ", PRIMARY KEY (batch)",
    **versions.TABLES,
    "metric_loads": metrics.TABLE,
    "meta": "key VARCHAR, value VARCHAR",
}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Part:
    """A tail or a run of a stream (`store`, `events`) or a projection's run (`items_v1`, ``)."""

    schema: str
    stream: str
    kind: str
    level: int
    number: int

    @property
    def table(self) -> str:
        prefix = f"{self.stream}_" if self.stream else ""
        level = f"_{self.level}" if self.kind == "run" else ""
        return f"{self.schema}.{prefix}{self.kind}{level}_{self.number:08d}"


class Store:
    """An open store. One thread folds with it; `cursor()` gives others their own connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.con = con
        self.path = path
        self._parts: list[Part] | None = None
        self._versions: list[Version] | None = None
        self.beside = Beside(self.cursor)
        """What works on staging tables while this thread folds; to be stopped before versions come, go or change."""

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        memory_limit: str | None = None,
        threads: int = 1,
        projections: Sequence[Projection] | None = None,
    ) -> Self:
        """Open for writing; makes the file and its tables where there are none, with these projections (default: the
        program's own). A store of an earlier version is brought up to date (docs/decisions/0008-versions.md).

        Raises StoreBusy when another process has it, ProjectionChanged when a projection's SQL changed and its version
        did not, RebuildNeeded when its events were folded by other rules, StoreFull, StoreError when it cannot be
        written, is damaged, no store, or one of a later version.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.stat().st_size == 0:
                # What a start on a full disk leaves behind.
                path.unlink()
        except OSError as error:
            raise not_writable(path, error.strerror or type(error).__name__) from None
        config: dict[str, Any] = {"preserve_insertion_order": False, "storage_compatibility_version": _FORMAT}
        if memory_limit:
            config["memory_limit"] = memory_limit
        con = _connect(path, threads, config)
        # Compaction sees to checkpoints, of which no batch hears; this is for where it cannot keep up.
        con.execute("SET checkpoint_threshold = '512MB'")
        # Ids leave as 16 bytes, not as text, where the fold reads its caches.
        con.execute("SET arrow_lossless_conversion = true")
        store = cls(con, path)
        try:
            store._prepare(projections)
        except BaseException:
            con.close()
            raise
        return store

    @classmethod
    def in_memory(cls, projections: Sequence[Projection] | None = None) -> Self:
        """An empty store that is never written to disk, with these projections (default: the program's own)."""
        con = duckdb.connect(":memory:", config={"threads": 1})
        con.execute("SET TimeZone = 'UTC'")
        store = cls(con, Path(":memory:"))
        store._prepare(projections)
        return store

    def _prepare(self, projections: Sequence[Projection] | None = None) -> None:
        wanted = all_projections() if projections is None else projections
        # By itself: whoever is told to fold the log again still reads this store, and takes from it what to fold.
        with self.transaction():
            if migrations.migrate(self.con, self.path, wanted):
                self.forget_parts()
                self._publish(wanted)
                self._settle_threads()
        with self.transaction():
            others = self._make()
            self._publish(wanted)
            if others:
                self._settle_members()

    def _make(self) -> bool:
        """Tables and notes; whether states were made by other relations, and identity by other rules, than today's."""
        con = self.con
        con.execute("CREATE SCHEMA IF NOT EXISTS store")
        for name, columns in _TABLES.items():
            con.execute(f"CREATE TABLE IF NOT EXISTS store.{name} ({columns})")
        if not self.parts("store"):
            for stream, stream_columns in STREAMS.items():
                con.execute(f"CREATE TABLE store.{stream}_tail_{0:08d} ({layout.ddl(stream_columns)})")
            self.forget_parts()
            remembered.note(con)
        if remembered.layout_number(con) is None:
            raise StoreError(f"{self.path} is not a store of touchlog; name another file with --store")
        remembered.check_meaning(con, self.path)
        metrics.begin(con)
        for schema, table in con.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE table_name LIKE '%staging%'"
        ).fetchall():
            con.execute(f"DROP TABLE {schema}.{table}")
        others = remembered.take_relations(con)
        if others:
            self._drop_states()
        return others

    def _publish(self, projections: Sequence[Projection]) -> None:
        known = self.versions()
        for projection in projections:
            self._register(projection, [version for version in known if version.name == projection.name])
        self.forget_parts()
        create_views(self)

    def _drop_states(self) -> None:
        """States that other relations made go; compaction builds them anew, and until then views read all events."""
        for version in self.versions():
            for part in self.parts(version.projection.schema):
                self.con.execute(f"DROP TABLE {part.table}")
            if version.state in {CATCHING_UP, READY}:
                versions.note(self.con, version.projection, BUILDING, fence=version.fence)
        self.forget_parts()

    def _settle_members(self) -> None:
        """Who is who by today's rules, from the links that there are."""
        from projections import as_of

        members = as_of.member_rows(as_of.people(self.con, as_of.Cut()))
        known = self.con.execute("SELECT contact_point_id, customer_id, shared FROM store.members").fetchall()
        self._insert_found("member_changes", _changed(known, members, lambda point: (point, point, False)))

    def _settle_threads(self) -> None:
        """Which threads are one conversation, from the edges that there are."""
        from projections import as_of

        threads = as_of.thread_rows(as_of.threads(self.con, as_of.Cut()))
        known = self.con.execute("SELECT thread_id, conversation_id FROM store.threads").fetchall()
        self._insert_found("thread_changes", _changed(known, threads, lambda thread: (thread, thread)))

    def _insert_found(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """What is found out at a start, in a batch of its own: it comes after all that was folded."""
        if rows:
            batch = self.batch + 1
            self.insert_rows("batches", [(datetime.now(UTC), 0, 0, 0, 0, 0.0)], batch)
            self.insert_rows(table, rows, batch)

    def _register(self, projection: Projection, known: Sequence[Version]) -> None:
        """A projection that is new to the store (no version is known) is live at once; another version waits for
        `touchlog rebuild`."""
        for version in known:
            same = version.projection.version == projection.version
            if same and version.projection.fingerprint != projection.fingerprint:
                raise ProjectionChanged(
                    f"the SQL of projection {projection.name} changed, its version {projection.version} did not;"
                    f" raise the version in its file, then type: touchlog rebuild {projection.name}"
                )
        if not known:
            versions.register(self.con, projection, self.batch)
            versions.note(self.con, projection, LIVE)

    def versions(self) -> list[Version]:
        """All versions of projections that are not gone."""
        if self._versions is None:
            self._versions = versions.versions(self.con)
        return self._versions

    def live(self) -> tuple[Projection, ...]:
        """The projections that people read."""
        return versions.live(self.versions())

    def folded(self) -> list[Projection]:
        """Every version with a state, whether live or not."""
        return [version.projection for version in self.versions() if version.projection.sort != "plain"]

    def is_based(self, projection: Projection) -> bool:
        """Whether a projection has runs to go on from, or there are none of events; until then its view reads all."""
        return bool(self.parts(projection.schema)) or all(part.kind == "tail" for part in self.parts("store", "events"))

    @property
    def is_unbuilt(self) -> bool:
        """Whether nothing was made of events yet: there is no state, and no tail that views would make one of."""
        built = any(self.parts(one.schema) for one in self.folded())
        events = (self.con.execute(f"FROM {tail.table} LIMIT 1").fetchone() for tail in self.tails())
        return not built and not any(events)

    @property
    def has_endings(self) -> bool:
        """Whether any contact point ever ended."""
        return self.con.execute("SELECT 1 FROM store.endings LIMIT 1").fetchone() is not None

    @property
    def name(self) -> str:
        """What the store is called: its file without the ending."""
        return self.path.stem

    @property
    def layout(self) -> str:
        """What rows mean that are written now, in a word."""
        return remembered.label()

    @property
    def batch(self) -> int:
        """Number of the last committed batch; 0 before the first."""
        found = self.con.execute("SELECT coalesce(max(batch), 0) FROM store.batches").fetchone()
        assert found is not None
        return int(found[0])

    def parts(self, schema: str, stream: str = "") -> list[Part]:
        """Tails and runs in a schema (and of a stream, if given), by kind, level and number."""
        if self._parts is None:
            rows = self.con.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE table_name SIMILAR TO ?",
                [r"(events_|mentions_)?(tail_\d{8,}|run_\d+_\d{8,})"],
            ).fetchall()
            self._parts = sorted(_part(schema, name) for schema, name in rows)
        return [part for part in self._parts if part.schema == schema and stream in {"", part.stream}]

    def forget_parts(self) -> None:
        """Tables came or went, or versions changed: look again."""
        self._parts = None
        self._versions = None

    def tails(self, stream: str = "events") -> list[Part]:
        """Tails, the active one last."""
        return [part for part in self.parts("store", stream) if part.kind == "tail"]

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of every partition that was folded."""
        rows = self.con.execute(
            "SELECT topic, partition, max_by(next_offset, batch) FROM store.offsets GROUP BY ALL"
        ).fetchall()
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    def topics(self) -> dict[str, str]:
        """The topics that were folded: name -> identity."""
        rows = self.con.execute("SELECT topic, max_by(identity, batch) FROM store.topics GROUP BY topic").fetchall()
        return dict(rows)

    def insert(self, table: str, rows: pa.Table, batch: int) -> None:
        """Append rows (their columns by name) to a table, stamped with the batch."""
        self.con.register("staged", rows)
        # RETURNING makes the insert a serial one: 11 ms for 10,000 events instead of 34.
        self.con.execute(
            f"INSERT INTO store.{table} BY NAME SELECT ?::INTEGER AS batch, * FROM staged RETURNING 0", [batch]
        )

    def insert_runs(self, streams: Mapping[str, pa.Table], batch: int) -> None:
        """Put rows of each stream, stamped with the batch, into a run of their own."""
        for stream, rows in streams.items():
            run = Part(schema="store", stream=stream, kind="run", level=0, number=batch)
            self.con.register("staged", rows)
            self.con.execute(
                f"CREATE TABLE {run.table} AS SELECT {batch}::INTEGER AS batch, * FROM staged ORDER BY {SORTED[stream]}"
            )
        self.forget_parts()
        create_streams(self)

    def insert_rows(self, table: str, rows: Sequence[Sequence[Any]], batch: int) -> None:
        """Append a few rows to a small table (projections.layout.SMALL_TABLES), stamped with the batch."""
        if rows:
            self.insert(table, layout.rows_table(table, rows), batch)

    def advance(
        self,
        batch: int,
        expected: Mapping[TopicPartition, int],
        moved: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        """Insert the next offsets, only if those stored are the expected ones (compare-and-set).

        `ends` are the log's end offsets as last heard of, for the view `lag`.

        Raises OffsetConflict when another writer was here.
        """
        here, stored = self.batch, self.positions()
        if here != batch - 1 or stored != dict(expected):
            moved_by_other = sum(stored.get(at) != offset for at, offset in expected.items())
            raise OffsetConflict(
                f"another projector folds into {self.path}: the store is at batch {here}, this one left it at"
                f" {batch - 1}, and {moved_by_other} of its {len(expected)} offsets moved; stop one of the two, then"
                " type: touchlog project"
            )
        self.insert_rows("offsets", [(*at, offset, ends.get(at)) for at, offset in moved.items()], batch)

    @contextmanager
    def transaction(self, con: duckdb.DuckDBPyConnection | None = None) -> Iterator[None]:
        """All or nothing, on this connection or another one to the store. Raises StoreFull when there is no space,
        StoreError when the file cannot be read or written; other errors of DuckDB as they are."""
        try:
            (con or self.con).begin()
            yield
            (con or self.con).commit()
        except BaseException as error:
            if con is None:
                self.forget_parts()
            _roll_back(con or self.con)
            told = explained(error, self.path) if isinstance(error, duckdb.Error) else None
            if told is None:
                raise
            raise told from None

    @property
    def wal_bytes(self) -> int:
        """How much DuckDB's write-ahead log holds."""
        try:
            return self.path.with_name(f"{self.path.name}.wal").stat().st_size
        except OSError:
            return 0

    def checkpoint(self, con: duckdb.DuckDBPyConnection) -> None:
        """Put what the write-ahead log holds into the file; not while a reader looks at a table that is gone. Batches
        go on meanwhile, except into tables that had rows when it began. Raises StoreFull, StoreError."""
        with translated(self.path), suppress(duckdb.TransactionException), closing(self.cursor()) as writer:
            # While somebody writes DuckDB checkpoints beside them, otherwise it holds up every insert to its end.
            writer.begin()
            writer.execute("INSERT INTO store.meta VALUES (NULL, NULL)")
            con.execute("CHECKPOINT")
            writer.rollback()

    @contextmanager
    def using_threads(self, count: int) -> Iterator[None]:
        """Within, one statement may use so many threads, or as many as it was opened with."""
        ((before,),) = self.con.execute("SELECT current_setting('external_threads')").fetchall()
        self.con.execute(f"SET external_threads = {min(before, _NOMINAL_THREADS - count + 1)}")
        try:
            yield
        finally:
            self.con.execute(f"SET external_threads = {before}")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same store, for a reader in another thread."""
        return self.con.cursor()

    def close(self) -> None:
        self.beside.close()
        self.con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_readonly(path: Path | str) -> duckdb.DuckDBPyConnection:
    """The store for reading only, while no projector has it.

    Raises ConfigurationError when there is none, StoreBusy when a projector has it, StoreError when it is of an earlier
    version that no projector has opened since, or of a later one.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigurationError(f"no store at {path}; type: touchlog project --until-caught-up")
    con = _connect(path, os.cpu_count() or 1, {"access_mode": "READ_ONLY"})
    try:
        with translated(path):
            migrations.check_readable(con, path)
    except BaseException:
        con.close()
        raise
    return con


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    try:
        con.rollback()
    except duckdb.Error:
        # Nothing to roll back: a failed commit has done so.
        return


def _connect(path: Path, threads: int, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    name = path.name.partition(".")[0].lower()
    if name in {"store", "touchlog", NEXT_SCHEMA, *(projection.schema for projection in all_projections())}:
        raise ConfigurationError(
            f"a store's file cannot be called {path.name}: DuckDB would take its name for the schema {name};"
            " call it views.duckdb"
        )
    # DuckDB 1.5 deadlocks on a UNION of two queries with joins when it reckons that one build side can keep all threads
    # busy (docs/decisions/0006-duckdb.md). It never reckons so with this many, of which all but a few do not exist.
    config = {**config, "threads": _NOMINAL_THREADS, "external_threads": _NOMINAL_THREADS - threads + 1}
    check_file(path)
    try:
        with translated(path):
            con = duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be opened: {type(error).__name__}") from None
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    return con


def _changed(known: Sequence[_Row], now: Sequence[_Row], alone: Callable[[UUID], _Row]) -> list[_Row]:
    """What is other now than is known, by the id that rows begin with; of one without a row what it is `alone`."""
    before, after = ({row[0]: row for row in rows} for rows in (known, now))
    rows = {one: (before.get(one, alone(one)), after.get(one, alone(one))) for one in {**before, **after}}
    return [new for old, new in rows.values() if old != new]


def _part(schema: str, name: str) -> Part:
    stream, kind, *rest = name.split("_") if schema == "store" else ["", *name.split("_")]
    level, number = (int(rest[0]), int(rest[1])) if kind == "run" else (0, int(rest[0]))
    return Part(schema=schema, stream=stream, kind=kind, level=level, number=number)
