"""Compaction: a full tail becomes sorted runs, in slices, while batches go on being folded.

    build     a version that is new to the store: what it makes of all event runs, in slices; where nobody folds
              meanwhile, several versions at once (projections.at_once)
    freeze    a new tail takes the batches from here on; the full one stays readable
    checkpoint
              every few tails: the new one is empty, so no batch waits for it
    slices    the frozen tail's rows, sorted, and what the deltas make of them, into staging tables, a part of the
              contact points at a time; readers do not see these yet
    swap      the staging tables become runs and the frozen tail goes, in one transaction

Every step is one transaction. Staging may be done beside the fold (projections.beside), where a step may take a second
and DuckDB compresses each row once; where there is no thread for it, slices are of a few tens of milliseconds. A crash
in between leaves staging tables, which are dropped at the next start, and a frozen tail, which is begun again. When a
level has eight runs they become one of the next level in the same way.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Set

import duckdb

from projections import layout, publish, versions
from projections.at_once import at_once
from projections.beside import Work
from projections.projection import Projection
from projections.store import SORTED, STREAMS, Part, Store
from projections.versions import PAUSED

_ROWS_A_SLICE = 40_000
_ROWS_A_SLICE_BESIDE = 500_000
_BYTES_A_ROW = 3_000
"""Of memory, twice what building `conversations` took for an event of a dense log."""
_UNITS = {unit: 1024**power for power, unit in enumerate(("bytes", "KiB", "MiB", "GiB", "TiB"))}
_RUNS_A_LEVEL = 8
_LAG = 0.1
"""Of all events, which a run of `conversations` reads: a larger part would be seldomer, and more for each reader."""
_WAL_BYTES_AN_EVENT = 700
"""Of a full tail: some three of them have gone through DuckDB's log by then."""
_LEAST_WAL_BYTES = 1_000_000
_IDS = 1 << 128

Steps = Generator[None, None, None]
"""What is left to do, a step at each `next`."""
Step = list[tuple[Part, str]]
"""What is done in one transaction: parts, and the SQL of the rows that are put into each."""


class Compaction:
    """Compacts a store, one step at a time, asked for by the thread that folds."""

    def __init__(
        self,
        store: Store,
        *,
        after: int,
        rows_a_slice: int | None = None,
        runs_a_level: int = _RUNS_A_LEVEL,
        lag: float = _LAG,
        build_share: float = 1.0,
        builders: int = 1,
        bulk: bool = False,
        beside: bool = False,
    ) -> None:
        """`after`: how many events the tail holds before compaction begins; `rows_a_slice`: how many one step moves
        (more where it is done beside, unless given); `runs_a_level`: how many runs become one of the next level;
        `lag`: the part of all events that the runs of a regrouped projection may leave to its view (and no more than
        memory allows); each of these runs reads all events;
        `build_share`: the part of the time that building a version takes at most, the rest is left to batches;
        `builders`: how many versions are built at once, more than one only where nobody folds meanwhile; `bulk`:
        batches come as runs (consumers.fold), and nothing is built before `take_all_the_time`; `beside`: staging
        tables are filled in another thread, and a step that finds it at work does nothing."""
        self._store = store
        self._after = after
        self._rows_a_slice = rows_a_slice or (_ROWS_A_SLICE_BESIDE if beside else _ROWS_A_SLICE)
        self._beside = beside
        self._runs_a_level = runs_a_level
        self._lag = lag
        self._build_share = build_share
        self._builders = builders
        self._bulk = self._build_last = bulk
        self.hurries = False
        """Whether there is a backlog. Nothing gives way to the fold then: what is put off costs more than it saves."""
        self._steps: Steps | None = None
        self._building: Projection | None = None
        self._versions = store.versions()
        self._folded = {one.schema for one in store.folded()}
        self._rest_until = self._spent_beside = 0.0
        # The active tail alone: a frozen one, left by a crash, is compacted anyway.
        self._tail_rows = self._rows(store.tails()[-1:])
        self._looked = False

    @property
    def running(self) -> bool:
        """Whether something is being done now, here or beside."""
        return self._steps is not None and time.monotonic() >= self._rest_until

    @property
    def ready(self) -> bool:
        """Whether there is a step to be done here now."""
        return self.running and not self._store.beside.busy

    def _look_again(self) -> None:
        """Versions came, went or changed their state."""
        if self._store.versions() is self._versions:
            return
        self._versions = self._store.versions()
        self._looked = False
        folded = {one.schema for one in self._store.folded()}
        paused = self._building is not None and self._building not in self._to_build()
        if paused or not self._folded <= folded:
            # What goes on was begun for a version that is paused or gone. Staging tables are made anew.
            if self._steps is not None:
                self._steps.close()
            self._steps, self._building, self._rest_until = None, None, 0.0
        self._folded = folded

    @property
    def after(self) -> int:
        """How many events the tail holds before compaction begins."""
        return self._after

    @property
    def tail_events(self) -> int:
        """How many events the active tail holds."""
        return self._tail_rows

    def appended(self, events: int) -> None:
        """Events were folded."""
        if self._bulk:
            self._looked = False
        else:
            self._tail_rows += events

    def step(self, *, patience: float = 0.0) -> bool:
        """Do one step, if there is anything to do; whether there was. Work beside is waited for so long."""
        self._look_again()
        if self._steps is None:
            self._steps = self._begin()
        if not self.running:
            return False
        assert self._steps is not None
        started = time.monotonic()
        if self._store.beside.busy:
            self._store.beside.wait(patience)
            return True
        try:
            next(self._steps)
        except StopIteration:
            self._steps, self._building = None, None
        if self._building is not None:
            now = time.monotonic()
            spent, self._spent_beside = now - started + self._spent_beside, 0.0
            self._rest_until = now + spent * (1 / self._build_share - 1)
        return True

    def take_all_the_time(self) -> None:
        """No batches are waited for any more: building need not leave time to them."""
        self._build_share, self._rest_until = 1.0, 0.0
        self._build_last, self._looked, self.hurries = False, False, True

    def stop(self) -> None:
        """Break off what goes on; what was staged is made anew when it is begun again."""
        if self._steps is not None:
            self._steps.close()
        self._store.beside.stop()
        self._steps, self._building = None, None

    def finish(self) -> None:
        """Do all steps that there are."""
        while self.step(patience=1.0) or self._steps is not None:
            pass

    def _begin(self) -> Steps | None:
        """What is to be done next, if anything."""
        if self._looked and self._tail_rows < self._after:
            return None
        tails = self._store.tails()
        if len(tails) > 1:
            return self._compact_tail(tails[0], tails[1].number - 1)
        if self._tail_rows >= self._after:
            self._tail_rows, self._looked = 0, False
            return self._freeze_and_compact(tails[0], self._store.batch)
        wanted = [] if self._build_last else self._to_build()
        if wanted and self._builders > 1:
            return self._build_at_once(wanted)
        if wanted:
            self._building = wanted[0]
            return self._build(wanted[0])
        for schema, stream in _places(self._based()):
            for level in {part.level for part in self._runs(schema, stream)}:
                runs = [part for part in self._runs(schema, stream) if part.level == level]
                if len(runs) >= self._runs_a_level:
                    return self._merge_runs(schema, stream, runs)
        self._looked = True
        return None

    def _based(self) -> list[Projection]:
        """Versions with a state that has its runs; the others are built first."""
        return [one for one in self._store.folded() if self._store.is_based(one)]

    def _is_due(self, one: Projection, last_batch: int) -> bool:
        """Whether a version gets a run of what came up to a batch, or its view folds that together with the tail."""
        runs = self._runs(one.schema, "")
        if one.sort != "regrouped" or not runs:
            return True
        found = self._store.con.execute(
            "SELECT sum(applied), coalesce(sum(applied) FILTER (batch > ?), 0) FROM store.batches WHERE batch <= ?",
            [publish.generation(runs), last_batch],
        ).fetchone()
        assert found is not None
        total, left = found
        return bool(left >= min(self._lag * total, rows_at_once(self._store)))

    def _runs(self, schema: str, stream: str) -> list[Part]:
        return [part for part in self._store.parts(schema, stream) if part.kind == "run"]

    def _rows(self, parts: list[Part]) -> int:
        # Estimated sizes are exact for tables that nothing was ever deleted from.
        names = [part.table.partition(".")[2] for part in parts]
        found = self._store.con.execute(
            "SELECT coalesce(sum(estimated_size), 0) FROM duckdb_tables() WHERE list_contains(?, table_name)"
            " AND schema_name = ?",
            [names, parts[0].schema],
        ).fetchone()
        assert found is not None
        return int(found[0])

    def _slices(self, parts: list[Part]) -> list[str]:
        return _slices(max(1, -(-self._rows(parts) // self._rows_a_slice)))

    def _freeze_and_compact(self, tail: Part, batch: int) -> Steps:
        store = self._store
        with store.transaction():
            for stream, columns in STREAMS.items():
                table = Part(schema="store", stream=stream, kind="tail", level=0, number=batch + 1).table
                store.con.execute(f"CREATE TABLE {table} ({layout.ddl(columns)})")
            publish.refresh(store)
        try:
            # Before the new tail has rows: batches wait for tables that have some.
            if store.wal_bytes >= max(_LEAST_WAL_BYTES, _WAL_BYTES_AN_EVENT * self._after):
                yield from self._do(store.checkpoint)
            yield
        finally:
            store.beside.stop()
        yield from self._compact_tail(tail, batch)

    def _compact_tail(self, tail: Part, last_batch: int) -> Steps:
        """The frozen tail's rows and their deltas into runs that cover the batches up to `last_batch`."""
        store = self._store
        events = [tail]
        mentions = [part for part in store.tails("mentions") if part.number == tail.number]
        based = [one for one in self._based() if self._is_due(one, last_batch)]
        made = {(schema, stream): _run(schema, stream, 0, last_batch) for schema, stream in _places(based)}
        steps: list[Step] = []
        for where in self._slices(events):
            step = [(made["store", "events"], _sorted(publish.union(events), where, SORTED["events"]))]
            step.append((made["store", "mentions"], _sorted(publish.union(mentions), where, SORTED["mentions"])))
            step.extend(
                (made[one.schema, ""], _sorted(publish.delta(one, events, mentions, where), "", "contact_point_id"))
                for one in based
                if one.sort == "merged"
            )
            steps.append(step)
        for one in based:
            if one.sort == "regrouped":
                # Not the events of the active tail: their conversations count as touched until they are compacted.
                active = store.tails()[-1]
                settled = [part for part in store.parts("store", "events") if part != active]
                groups = publish.touched(settled, publish.generation(self._runs(one.schema, "")))
                sql = (
                    f"SELECT {last_batch} AS generation, * FROM ({publish.fold(one, settled, publish.within(groups))})"
                )
                steps.append([(made[one.schema, ""], sql)])
        yield from self._stage(steps)
        self._swap(list(made.values()), [*events, *mentions])
        yield

    def _to_build(self) -> list[Projection]:
        return [
            version.projection
            for version in self._store.versions()
            if version.projection.sort != "plain"
            and version.state != PAUSED
            and not self._store.is_based(version.projection)
        ]

    def _build(self, one: Projection) -> Steps:
        """The run that a version needs to go on from: what it makes of everything that is in event runs."""
        target, steps = self._plan(one)
        for done, _ in enumerate(self._stage(steps), 1):
            self._note_progress(one, done, len(steps))
            yield
        self._swap([target], [])
        yield

    def _build_at_once(self, wanted: list[Projection]) -> Steps:
        """The same of several, in threads of their own, and public in one moment."""
        wanted = sorted(wanted, key=self._weight, reverse=True)
        plans = [self._plan(one) for one in wanted]
        tasks = [[self._piece(step, first=step is steps[0]) for step in steps] for _, steps in plans]
        done = Counter[int]()
        for places in at_once(self._store.cursor, self._builders, tasks):
            done.update(places)
            for place in set(places):
                self._note_progress(wanted[place], done[place], len(tasks[place]))
            yield
        self._swap([target for target, _ in plans], [])
        yield

    def _piece(self, step: Step, *, first: bool) -> Work:
        begun = set() if first else {part for part, _ in step}
        return lambda con: self._fill(step, begun, con)

    def _weight(self, one: Projection) -> tuple[bool, int]:
        """What takes long is begun first: what is grouped anew, and what has many columns."""
        return one.sort == "regrouped", len(one.blocks["merge"]) if one.sort == "merged" else 0

    def _note_progress(self, one: Projection, done: int, total: int) -> None:
        with self._store.transaction():
            versions.note_progress(self._store.con, one, done, total)

    def _plan(self, one: Projection) -> tuple[Part, list[Step]]:
        """The run that a version is built into, and the steps that fill it."""
        events, mentions = self._runs("store", "events"), self._runs("store", "mentions")
        level, last_batch = max(part.level for part in events), max(part.number for part in events)
        target = _run(one.schema, "", level, last_batch)
        if one.sort == "merged":
            rows = [
                _sorted(publish.delta(one, events, mentions, where), "", "contact_point_id")
                for where in self._slices(events)
            ]
        else:
            cuts = [where.replace("contact_point_id", "conversation_id") for where in self._slices(events)]
            rows = [f"SELECT {last_batch} AS generation, * FROM ({publish.fold(one, events, cut)})" for cut in cuts]
        return target, [[(target, sql)] for sql in rows]

    def _merge_runs(self, schema: str, stream: str, runs: list[Part]) -> Steps:
        """The runs of a level into one of the next."""
        target = _run(schema, stream, runs[0].level + 1, max(run.number for run in runs))
        projection = next((one for one in self._store.folded() if one.schema == schema), None)
        steps = []
        if projection is not None and projection.sort == "regrouped":
            steps.append([(target, publish.current(runs))])
        else:
            for where in self._slices(runs):
                rows = f"FROM ({publish.union(runs)}) {where}"
                if projection is not None:
                    rows = publish.merge(projection, rows)
                steps.append([(target, _sorted(rows, "", "contact_point_id"))])
        yield from self._stage(steps)
        self._swap([target], runs)
        yield

    def _stage(self, steps: list[Step]) -> Steps:
        """Run the steps into staging tables, each in a transaction of its own."""
        begun = set[Part]()
        try:
            for step in steps:
                yield from self._do(self._staging(step, begun))
                begun.update(part for part, _ in step)
                yield
        finally:
            self._store.beside.stop()

    def _staging(self, step: Step, begun: Set[Part]) -> Work:
        return lambda con: self._fill(step, begun, con, lambda: self._beside and self._store.beside.stopping)

    def _do(self, work: Work) -> Steps:
        """Work here, or in the other thread: again when it was stopped for a change of versions that is none of its
        own."""
        if not self._beside:
            work(self._store.con)
            return
        beside, done = self._store.beside, False
        while not done:
            began = time.monotonic()
            beside.begin(work, nice=not self.hurries)
            while beside.busy:
                yield
            done = beside.took()
            self._spent_beside += time.monotonic() - began

    def _fill(
        self,
        step: Step,
        begun: Set[Part],
        con: duckdb.DuckDBPyConnection,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        with self._store.transaction(con):
            for part, sql in step:
                if stopping():
                    raise duckdb.InterruptException("stopped")
                if part in begun:
                    con.execute(f"INSERT INTO {_staging(part)} BY NAME {sql}")
                else:
                    # What an attempt that failed has left there goes.
                    con.execute(f"CREATE OR REPLACE TABLE {_staging(part)} AS {sql}")

    def _swap(self, made: list[Part], gone: list[Part]) -> None:
        store = self._store
        with store.transaction():
            for part in made:
                name = part.table.partition(".")[2]
                store.con.execute(f"ALTER TABLE {_staging(part)} RENAME TO {name}")
            for part in gone:
                store.con.execute(f"DROP TABLE {part.table}")
            self._trim_offsets()
            publish.refresh(store)

    def _trim_offsets(self) -> None:
        """Only the newest offset of each partition is ever asked for."""
        con = self._store.con
        con.execute("""
            CREATE TABLE store.offsets_staging AS
            SELECT max(batch) AS batch, topic, partition, max_by(next_offset, batch) AS next_offset,
                max_by(end_offset, batch) AS end_offset
            FROM store.offsets GROUP BY topic, partition
        """)
        con.execute("DROP TABLE store.offsets")
        con.execute("ALTER TABLE store.offsets_staging RENAME TO offsets")


def rows_at_once(store: Store, builders: int = 1) -> int:
    """Events a slice where nobody waits and so many versions are built at once: each slice reads all event runs, so as
    few as DuckDB's memory limit allows."""
    (limit,) = store.con.execute("SELECT current_setting('memory_limit')").fetchall()[0]
    number, unit = limit.split()
    return max(_ROWS_A_SLICE_BESIDE, int(float(number) * _UNITS[unit]) // _BYTES_A_ROW // builders)


def _places(based: list[Projection]) -> list[tuple[str, str]]:
    return [*(("store", stream) for stream in STREAMS), *((one.schema, "") for one in based)]


def _run(schema: str, stream: str, level: int, number: int) -> Part:
    return Part(schema=schema, stream=stream, kind="run", level=level, number=number)


def _staging(part: Part) -> str:
    return f"{part.table}_staging"


def _sorted(rows: str, where: str, columns: str) -> str:
    return f"SELECT * FROM ({rows}) {where} ORDER BY {columns}"


def _slices(count: int) -> list[str]:
    """WHERE clauses that cut rows into equal parts by contact point, in order: the ids are uniform."""
    bounds = [f"{place * _IDS // count:032x}" for place in range(1, count)]
    lower = [None, *bounds]
    upper = [*bounds, None]
    clauses = []
    for low, high in zip(lower, upper, strict=True):
        terms = [f"contact_point_id >= '{low}'::UUID"] if low else []
        terms += [f"contact_point_id < '{high}'::UUID"] if high else []
        clauses.append(f"WHERE {' AND '.join(terms)}" if terms else "")
    return clauses
