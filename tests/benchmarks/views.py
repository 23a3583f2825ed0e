"""What reading costs at full size: every view for everybody, and one customer's card.

    python -m tests.benchmarks.views --customers 1100000 --events 2500000

The store is folded in process, without a log, by the real decoder, folder and compaction; one customer has 10,000
events. Each view is read whole (its rows are counted and hashed); cards are of customers drawn at random, and of that
one. What `touchlog customer` takes from the shell is the clock of a process, its imports included.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections.card import Cards
from projections.compaction import Compaction
from projections.store import Store
from schemas.registry import LockedRegistry
from tests.benchmarks.stages import batches
from tests.benchmarks.synthetic import records
from touchlog.replaying import build_alone

_NOW = datetime(2026, 4, 2, tzinfo=UTC)
_BUSY = "email:c0@example.org"


@click.command()
@click.option("--events", default=2_500_000, show_default=True)
@click.option("--customers", default=1_100_000, show_default=True, help="Most of whom are met.")
@click.option("--busy", default=10_000, show_default=True, help="Events of one customer more.")
@click.option("--cards", default=200, show_default=True)
def main(events: int, customers: int, busy: int, cards: int) -> None:
    """Fold, read every view, read cards."""
    out = Console()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "views.duckdb"
        with Store.open(path) as store:
            _fill(store, events, customers, busy)
        began = time.perf_counter()
        with Store.open(path) as store:
            seconds, size = time.perf_counter() - began, path.stat().st_size / events
            out.print(f"opened in {seconds:.2f} s, {size:.0f} bytes an event")
            (points,) = store.con.execute("SELECT count(*) FROM store.points").fetchall()[0]
            out.print(f"{events + busy:,} events, {points:,} contact points")
            out.print(_views(store))
            out.print(_cards(store, cards))
        key = f"c{random.Random(3).randrange(customers)}@example.org"
        command = [sys.executable, "-m", "touchlog", "customer", key, "--json", "--store", str(path)]
        shell = [_timed(lambda: subprocess.run(command, check=False, capture_output=True)) for _ in range(5)]
        out.print(f"touchlog customer, from the shell: {statistics.median(shell):,.0f} ms (median of {len(shell)})")


def _fill(store: Store, events: int, customers: int, busy: int) -> None:
    folder, preparer = Folder(store), Preparer(Decoder(LockedRegistry()))
    compaction = Compaction(store, after=300_000)
    made = chain(records(events, customers=customers), records(busy, customers=1, seed=2))
    size = 30_000
    for batch in track(
        batches(made, size, 2_000), description="folding", total=(events + busy) // size + 1, transient=True
    ):
        compaction.appended(folder.fold(preparer.prepare(batch)).applied)
        compaction.step()
    compaction.finish()
    build_alone(store)


def _views(store: Store) -> Table:
    table = Table("view", "rows", "seconds", "CPU-seconds")
    for view in store.live():
        relation = f"touchlog.{view.name}" + ("_at(?)" if view.now else "")
        began, cpu = time.perf_counter(), time.process_time()
        ((rows, _),) = store.con.execute(
            f"SELECT count(*), sum(hash(v)) FROM {relation} AS v", [_NOW] if view.now else None
        ).fetchall()
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
        table.add_row(view.name, f"{rows:,}", f"{spent:.2f}", f"{cpu:.2f}")
    return table


def _cards(store: Store, count: int) -> Table:
    table = Table("card of", "p50 ms", "p99 ms", "max ms")
    drawn = [
        key
        for (key,) in store.con.execute(
            f"SELECT kind || ':' || value FROM store.points USING SAMPLE reservoir({count:d} ROWS) REPEATABLE (7)"
        ).fetchall()
    ]
    made = Cards()
    con = store.cursor()
    made.card(con, _BUSY, _NOW)
    for name, keys in ((f"{count} drawn", drawn), ("the one with most events", [_BUSY] * 20)):
        spent = sorted(_timed(lambda key=key: made.card(con, key, _NOW)) for key in keys)  # type: ignore[misc]
        figures = (statistics.median(spent), spent[int(len(spent) * 0.99)], spent[-1])
        table.add_row(name, *(f"{figure:,.0f}" for figure in figures))
    return table


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
