"""How fast versions are rebuilt from the event tables, beside how fast the log is folded, and what a rebuild costs it.

    python -m tests.benchmarks.replay --events 500000

The log is in memory: batches of records as a reader gives them, through the real decoder, folder and compaction.
Decoding is in the same thread here, and in another one in touchlog project. Rates are of one store, one after the
other; a machine that is shared gives ratios alone.
"""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import RecordBatch
from projections import rebuild
from projections.compaction import Compaction
from projections.store import Store
from schemas.registry import LockedRegistry
from tests.benchmarks.synthetic import records
from touchlog.replaying import build_alone


@click.command()
@click.option("--events", default=500_000, show_default=True, help="Folded before a version is built.")
@click.option("--customers", default=50_000, show_default=True)
@click.option("--batch-size", default=10_000, show_default=True)
@click.option("--share", default=0.5, show_default=True, help="As touchlog project --rebuild-share.")
def main(events: int, customers: int, batch_size: int, share: float) -> None:
    """Fold; build all stateful projections alone; build them again while more is folded."""
    out = Console()
    came = _batches(10 * events, customers, batch_size)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "views.duckdb") as store:
        live = Live(store, share=1.0)
        folding = live.fold(islice(came, events // batch_size))
        # A version is built from runs; a tail is folded at every look at it, as for the live one.
        Compaction(store, after=1).finish()

        stateful = [one for one in store.live() if one.sort != "plain"]
        (held,) = store.con.execute("SELECT count(*) FROM store.rows").fetchall()[0]
        rebuild.begin(store, stateful, {})
        with Timed(held) as building:
            build_alone(store)
        store.use_threads(1)
        _assert_ready(store, len(stateful))
        rebuild.cancel(store, [])

        live = Live(store, share=share)
        rebuild.begin(store, stateful, {})
        both = live.fold(came, while_building=True)
        _assert_ready(store, len(stateful))
    table = Table("what", "events/s", "ratio", "CPU-seconds a million", "ratio")
    for what, timed in (
        ("folding, compaction included", folding),
        (f"building {len(stateful)} projections, alone", building),
        (f"folding while they are built, share {share}", both),
    ):
        cpu = timed.cpu * 1e6 / timed.events
        table.add_row(
            what,
            f"{timed.events / timed.seconds:,.0f}",
            f"{timed.events / timed.seconds / (folding.events / folding.seconds):.2f}",
            f"{cpu:.1f}",
            f"{folding.cpu / folding.events / (timed.cpu / timed.events):.2f}",
        )
    out.print(table)
    out.print(f"{held:,} events of {customers:,} customers were built from, {both.events:,} came while they were")


class Timed:
    """How many events, in how many seconds of the clock and of a processor."""

    def __init__(self, events: int = 0) -> None:
        self.events, self.seconds, self.cpu = events, 0.0, 0.0

    def __enter__(self) -> "Timed":
        self.seconds -= time.perf_counter()
        self.cpu -= time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu += time.process_time()


class Live:
    """The projector's round without a log: fold a batch, one step of compaction, settle."""

    def __init__(self, store: Store, *, share: float) -> None:
        self.store = store
        self.folder = Folder(store)
        self.preparer = Preparer(Decoder(LockedRegistry()))
        self.compaction = Compaction(store, after=300_000, build_share=share)

    def fold(self, batches: Iterator[RecordBatch], *, while_building: bool = False) -> Timed:
        """Until the batches end, or until nothing is being built any more."""
        timed = Timed()
        for batch in batches:
            with timed:
                folded = self.folder.fold(self.preparer.prepare(batch))
                self.compaction.appended(folded.applied)
                self.compaction.step()
                rebuild.settle(self.store, self.folder.positions)
            timed.events += folded.applied
            if while_building and not any(version.state == "building" for version in self.store.versions()):
                break
        else:
            if while_building:
                raise click.ClickException("the batches ended before the build; give more --events")
        return timed


def _batches(count: int, customers: int, size: int) -> Iterator[RecordBatch]:
    made = records(count, customers=customers)
    offset = 0
    while some := list(islice(made, size)):
        batch = RecordBatch()
        for topic, key, value in some:
            batch.topics.append(topic)
            batch.partitions.append(0)
            batch.offsets.append(offset)
            batch.timestamps.append(0)
            batch.keys.append(key)
            batch.values.append(value)
            batch.headers.append(())
            offset += 1
        yield batch


def _assert_ready(store: Store, count: int) -> None:
    ready = sum(version.state == "ready" for version in store.versions())
    if ready != count:
        raise click.ClickException(f"{ready} of {count} versions are ready")


if __name__ == "__main__":
    main()
