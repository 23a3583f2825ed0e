"""How fast views are rebuilt, from the log and from the event tables, beside how fast the log is folded in the first
place, and what a rebuild costs the fold.

    python -m tests.benchmarks.replay --events 1000000

The same records in one embedded log, through the product's own loop each time, one after the other: folded as `touchlog
project --until-caught-up` does; folded again as `touchlog rebuild --source log` does; all states built from
the event tables as `touchlog rebuild --all` does with no projector running; and built once more while the
projector folds as many records again. Times include opening, the checkpoint, and compaction of
all that there is, the last tail too. A machine that is shared gives ratios of CPU-seconds alone.
"""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from consumers.projector import Progress, Projector
from consumers.replay import fold_again
from consumers.replayed import Replayed
from log.embedded import EmbeddedLog
from projections import rebuild
from projections.compaction import Compaction
from projections.projection import all_projections
from projections.store import Store
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS
from tests.benchmarks.synthetic import records
from touchlog.replaying import build_alone

_WARM = 2_000


@click.command()
@click.option("--events", default=500_000, show_default=True, help="Folded before anything is rebuilt.")
@click.option("--customers", default=50_000, show_default=True)
@click.option("--share", default=0.5, show_default=True, help="As touchlog project --rebuild-share.")
def main(events: int, customers: int, share: float) -> None:
    """Fold a log; fold it again; build all states from the event tables, alone and while more is folded."""
    out, registry = Console(), LockedRegistry()
    with tempfile.TemporaryDirectory() as folder, EmbeddedLog(Path(folder) / "log.sqlite") as log:
        home = Path(folder)
        log.create_topics(TOPICS, 6)
        made = records(2 * events, customers=customers)
        _append(log, made, _WARM)
        # What is imported and planned for the first time is nobody's.
        fold_again(log, home / "warm.duckdb", registry, log.end_offsets(TOPICS))
        _append(log, made, events - _WARM)
        until = log.end_offsets(TOPICS)
        held = sum(until.values())

        with Timed(held) as live, Store.open(home / "views.duckdb") as store:
            done = Projector(Replayed(log, until), store, registry).run(until_caught_up=True)
            Compaction(store, after=1).finish()
        _check(done.applied, held, "folded")
        with Timed(held) as again:
            done = fold_again(log, home / "again.duckdb", registry, until)
            with Store.open(home / "again.duckdb") as store:
                Compaction(store, after=1).finish()
        _check(done.applied, held, "folded again")

        stateful = [one for one in all_projections() if one.sort != "plain"]
        with Store.open(home / "views.duckdb") as store:
            rebuild.begin(store, stateful, {})
            with Timed(held) as building:
                build_alone(store)
            _check(_in_state(store, "ready"), len(stateful), "versions ready")
            rebuild.cancel(store, [])

        _append(log, made, events)
        with Store.open(home / "views.duckdb") as store:
            rebuild.begin(store, stateful, {})
            both = Timed()
            projector = Projector(log, store, registry, build_share=share, on_progress=both.heard)
            with both:
                projector.run(stop=lambda: not _in_state(store, "building"))
            both.end_at_the_last()
            _check(_in_state(store, "ready"), len(stateful), "versions ready")
    table = Table("what", "events/s", "of live", "CPU-seconds a million", "of live")
    for what, timed in (
        ("live: touchlog project", live),
        ("from the log: rebuild --source log", again),
        (f"from the event tables: rebuild, {len(stateful)} states", building),
        (f"live while they are built, share {share}", both),
    ):
        table.add_row(
            what,
            f"{timed.events / timed.seconds:,.0f}",
            f"{timed.events / timed.seconds / (live.events / live.seconds):.2f} x",
            f"{timed.cpu * 1e6 / timed.events:.1f}",
            f"{live.cpu / live.events / (timed.cpu / timed.events):.2f} x",
        )
    out.print(table)
    out.print(f"{held:,} events of {customers:,} customers; {both.events:,} more came while versions were built")


class Timed:
    """How many events, in how many seconds of the clock and of a processor."""

    def __init__(self, events: int = 0) -> None:
        self.events, self.seconds, self.cpu = events, 0.0, 0.0
        self._last = 0.0, 0.0

    def __enter__(self) -> "Timed":
        self.seconds -= time.perf_counter()
        self.cpu -= time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu += time.process_time()

    def heard(self, progress: Progress) -> None:
        """Events came while it goes on."""
        if progress.applied != self.events:
            self.events = progress.applied
            self._last = self.seconds + time.perf_counter(), self.cpu + time.process_time()

    def end_at_the_last(self) -> None:
        """Count only up to the last event that came: afterwards nothing was folded, for want of events."""
        self.seconds, self.cpu = self._last


def _append(log: EmbeddedLog, made: Iterator[tuple[str, bytes, bytes]], count: int) -> None:
    with log.writer() as writer:
        for topic, key, value in islice(made, count):
            writer.append(topic, key, value, timestamp=1)
        writer.flush()


def _in_state(store: Store, state: str) -> int:
    return sum(version.state == state for version in store.versions())


def _check(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise click.ClickException(f"{what}: {found:,}, not {expected:,}")


if __name__ == "__main__":
    main()
