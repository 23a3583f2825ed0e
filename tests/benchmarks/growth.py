"""Whether folding slows down as a store grows, what memory it takes, and how long a start takes after a crash.

    python -m tests.benchmarks.growth --events 30000000 --customers 1000000

One process makes events; another folds them as the projector does, with the real decoder, folder and compaction beside,
and is killed at the end, in the midst of its tail. Then the store is opened again and the caches of the fold are read.
A batch is from taking its records to its commit, with whatever compaction takes meanwhile.
"""

import multiprocessing
import os
import resource
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from consumers.projector import seldom_collected
from log.log import RecordBatch
from projections.compaction import Compaction
from projections.store import Store
from schemas.registry import LockedRegistry
from tests.benchmarks.stages import batches
from tests.benchmarks.synthetic import records

_BATCH = 30_000
_COMPACT_AFTER = 300_000
_SPAWN = multiprocessing.get_context("spawn")


@click.command()
@click.option("--events", default=30_000_000, show_default=True)
@click.option("--customers", default=1_000_000, show_default=True)
@click.option("--memory-limit", default="2GB", show_default=True, help="As touchlog project --memory-limit.")
@click.option("--rows", default=10, show_default=True, help="Of the table: parts of the run.")
def main(events: int, customers: int, memory_limit: str, rows: int) -> None:
    """Fold until the store has grown, kill, open again."""
    out = Console()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "views.duckdb"
        table = Table("events", "batch p50 ms", "p99 ms", "CPU-seconds a million", "resident MB", "file MB")
        heard, told = _SPAWN.Pipe(duplex=False)
        folding = _SPAWN.Process(target=_fold, args=(str(path), events, customers, memory_limit, told))
        folding.start()
        told.close()
        part: list[tuple[float, float]] = []
        middles = []
        count = -(-events // _BATCH)
        for done in track(range(1, count + 1), description="folding", transient=True, console=out):
            seconds, cpu, resident = heard.recv()
            part.append((seconds, cpu))
            if done * rows // count > (done - 1) * rows // count:
                spent = sorted(seconds for seconds, _ in part)
                middles.append(statistics.median(spent))
                table.add_row(
                    f"{min(events, done * _BATCH):,}",
                    f"{middles[-1] * 1000:,.0f}",
                    f"{spent[int(len(spent) * 0.99)] * 1000:,.0f}",
                    f"{sum(cpu for _, cpu in part) / len(part) / _BATCH * 1e6:.1f}",
                    f"{resident >> 20:,}",
                    f"{path.stat().st_size >> 20:,}",
                )
                part.clear()
        peak = heard.recv()
        os.kill(folding.pid or 0, signal.SIGKILL)
        folding.join()
        out.print(table)
        out.print(
            f"a batch of {_BATCH:,}: {middles[-1] / middles[0]:.2f} x as long in the last part as in the first; at most"
            f" {peak >> 10:,} MB resident, {memory_limit} of them DuckDB's"
        )
        wal = path.with_name(f"{path.name}.wal")
        waiting = wal.stat().st_size >> 20 if wal.exists() else 0
        began = time.perf_counter()
        with Store.open(path, memory_limit=memory_limit) as store, seldom_collected():
            opened = time.perf_counter() - began
            folder_ = Folder(store)
            ready = time.perf_counter() - began
            resident = _resident() >> 20
            (points,) = store.con.execute("SELECT count(*) FROM store.points").fetchall()[0]
        out.print(
            f"killed with {waiting:,} MB in DuckDB's log; open after {opened:.1f} s, ready to fold after {ready:.1f} s:"
            f" {folder_.events:,} ids, {points:,} contact points, {resident:,} MB resident"
        )


def _fold(path: str, events: int, customers: int, memory_limit: str, told: Connection) -> None:
    """Fold what another process makes; for each batch its seconds, CPU-seconds and the memory held then."""
    made, making = _SPAWN.Pipe(duplex=False)
    maker = _SPAWN.Process(target=_make, args=(events, customers, making), daemon=True)
    maker.start()
    making.close()
    with Store.open(path, memory_limit=memory_limit) as store, seldom_collected():
        folder, preparer = Folder(store), Preparer(Decoder(LockedRegistry()))
        compaction = Compaction(store, after=_COMPACT_AFTER, beside=True)
        cpu = time.process_time()
        for batch in _received(made, events):
            began = time.perf_counter()
            compaction.appended(folder.fold(preparer.prepare(batch)).applied)
            compaction.step()
            seconds, spent = time.perf_counter() - began, time.process_time()
            told.send((seconds, spent - cpu, _resident()))
            cpu = spent
        told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        time.sleep(3600)


def _make(events: int, customers: int, making: Connection) -> None:
    for batch in batches(records(events, customers=customers), _BATCH, 2_000):
        making.send(batch)


def _resident() -> int:
    """Bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def _received(made: Connection, events: int) -> Iterator[RecordBatch]:
    for _ in range(-(-events // _BATCH)):
        yield made.recv()


if __name__ == "__main__":
    main()
