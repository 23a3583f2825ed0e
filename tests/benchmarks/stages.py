"""What each stage of the fold costs a processor, without a log: where the time of `touchlog project` goes.

    python -m tests.benchmarks.stages --events 500000

The log is in memory: batches of records as a reader gives them, through the real decoder, folder and compaction. Times
are of the processor and of the thread that works, so they hold on a machine that is shared; each stage is counted
without those within it.
"""

import re
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from consumers import columns, decode, fold, ids, people, prepare, seen
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import RecordBatch
from projections import compaction, components, store
from projections.store import Store
from schemas.registry import LockedRegistry
from tests.benchmarks.synthetic import records

_PARTITIONS = 6
_INSERT = re.compile(
    r"\s*(?:INSERT INTO|CREATE OR REPLACE TABLE) (\w+)\.(?:(\w+?)(?:_(?:tail|run)[\d_]+)?(_staging)?)\s"
)


class Stages:
    """Seconds of a processor by stage: of the innermost one that is at work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._local = threading.local()

    def timed(self, stage: str, call: Callable[[], Any]) -> Any:
        """What `call` returns; its time goes to the stage, and is taken from the one around it."""
        began = time.thread_time()
        outer, self._local.within = getattr(self._local, "within", 0.0), 0.0
        try:
            return call()
        finally:
            spent = time.thread_time() - began
            self.seconds[stage] += spent - self._local.within
            self.calls[stage] += 1
            self._local.within = outer + spent

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Time a function of a module or a class from now on."""
        old = getattr(owner, name)
        setattr(owner, name, lambda *given, **named: self.timed(stage, lambda: old(*given, **named)))


class Connection:
    """DuckDB's connection, with each statement timed under its table."""

    def __init__(self, con: duckdb.DuckDBPyConnection, stages: Stages) -> None:
        self._con, self._stages = con, stages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def cursor(self) -> "Connection":
        return Connection(self._con.cursor(), self._stages)

    def commit(self) -> Any:
        return self._stages.timed(f"commit, {self._part()}", self._con.commit)

    def execute(self, sql: str, *parameters: Any) -> Any:
        insert = _INSERT.match(sql)
        if insert is None:
            what = f"other statements, {self._part()}"
        elif insert[3]:
            what = f"compaction: {insert[2] if insert[1] == 'store' else insert[1]}"
        else:
            what = f"insert {insert[2]}"
        return self._stages.timed(what, lambda: self._con.execute(sql, *parameters))

    def _part(self) -> str:
        beside = threading.current_thread().name.startswith("touchlog-beside")
        return "compaction" if beside or getattr(self._stages._local, "compacting", False) else "fold"


def watch(stages: Stages) -> None:
    """Time the product's functions from now on, in this process."""
    for owner, name, stage in (
        (decode.Decoder, "decode", "decode: groups"),
        (decode.WriterSchema, "columns", "decode: Avro to columns"),
        (prepare, "group_columns", "columns"),
        (columns, "_broken", "columns: checks"),
        (columns, "conclude", "columns: meaning"),
        (columns, "_rest", "JSON text"),
        (columns, "_threads", "columns: threads"),
        (prepare.Preparer, "prepare", "prepare: assembling"),
        (ids.IdMaker, "of_names", "ids of names"),
        (columns, "parse_ids", "ids from text"),
        (fold.Folder, "_fresh", "dedup"),
        (seen.SeenIds, "add", "ids seen: add"),
        (people.People, "take_in", "identity"),
        (fold.Folder, "_insert_threads", "threads"),
        (components.Components, "apply", "identity: components"),
        (fold.Folder, "fold", "fold: the rest"),
        (store.Store, "advance", "offsets"),
    ):
        if hasattr(owner, name):
            stages.watch(owner, name, stage)
    step = compaction.Compaction.step

    def stepping(self: Any, **named: Any) -> bool:
        stages._local.compacting = True
        try:
            return bool(stages.timed("compaction: the rest", lambda: step(self, **named)))
        finally:
            stages._local.compacting = False

    compaction.Compaction.step = stepping  # type: ignore[method-assign]
    connect = store._connect
    store._connect = lambda *given: Connection(connect(*given), stages)  # type: ignore[assignment]


@click.command()
@click.option("--events", default=500_000, show_default=True)
@click.option("--customers", default=100_000, show_default=True)
@click.option("--batch-size", default=30_000, show_default=True)
@click.option("--chunk", default=2_000, show_default=True, help="Records of one partition that lie together.")
@click.option("--compact-after", default=300_000, show_default=True)
def main(events: int, customers: int, batch_size: int, chunk: int, compact_after: int) -> None:
    """Prepare and fold everything, compact as the projector does, and print what each stage cost."""
    out = Console()
    stages = Stages()
    came = list(batches(records(events, customers=customers), batch_size, chunk))
    watch(stages)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "views.duckdb") as opened:
        folder_ = Folder(opened)
        preparer = Preparer(decode.Decoder(LockedRegistry()))
        moving = compaction.Compaction(opened, after=compact_after, beside=True)
        stages.seconds.clear()
        stages.calls.clear()
        began = time.process_time()
        for batch in came:
            moving.appended(folder_.fold(preparer.prepare(batch)).applied)
            moving.step()
        moving.finish()
        whole = time.process_time() - began
    table = Table("stage", "CPU-seconds a million", "calls")
    for stage, seconds in sorted(stages.seconds.items(), key=lambda item: -item[1]):
        table.add_row(stage, f"{seconds * 1e6 / events:.2f}", f"{stages.calls[stage]:,}")
    table.add_section()
    table.add_row("all", f"{whole * 1e6 / events:.2f}", "")
    out.print(table)


def batches(made: Iterator[tuple[str, bytes, bytes]], size: int, chunk: int) -> Iterator[RecordBatch]:
    """Batches as a backlog in Kafka comes: `chunk` records of one partition, then some of the next."""
    waiting: dict[tuple[str, int], list[tuple[bytes, bytes]]] = defaultdict(list)
    full = RecordBatch()
    offsets: dict[tuple[str, int], int] = defaultdict(int)

    def flow() -> Iterator[tuple[tuple[str, int], bytes, bytes]]:
        for topic, key, value in made:
            at = (topic, hash(key) % _PARTITIONS)
            waiting[at].append((key, value))
            if len(waiting[at]) >= chunk:
                yield from ((at, *record) for record in waiting.pop(at))
        for at, some in waiting.items():
            yield from ((at, *record) for record in some)

    all_of_it = flow()
    while some := list(islice(all_of_it, size)):
        full = RecordBatch()
        for at, key, value in some:
            full.topics.append(at[0])
            full.partitions.append(at[1])
            full.offsets.append(offsets[at])
            full.timestamps.append(0)
            full.keys.append(key)
            full.values.append(value)
            full.headers.append(())
            offsets[at] += 1
            full.next_positions[at] = offsets[at]
        yield full


if __name__ == "__main__":
    main()
