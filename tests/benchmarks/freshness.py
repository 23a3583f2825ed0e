"""How soon SQL shows what was published, while people read and the store is compacted.

    python -m tests.benchmarks.freshness --rate 5000 --seconds 60

On a real Apache Kafka: one process publishes at a steady rate, `touchlog project` folds, readers in processes of their
own ask it one question after the other, and one asks over and over up to which offset the views are folded. An event is
as old, when it is seen, as the answer is that first tells of its offset: so the asking itself is in every figure.
"""

import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from log.kafka import KafkaLog
from schemas.errors import TouchlogError
from schemas.topics import TOPICS
from tests.benchmarks.synthetic import records
from tests.kafka.broker import best_broker
from touchlog.client import Reader

_QUESTIONS = (
    "SELECT channel, count(*) FROM touchlog.timeline GROUP BY channel",
    "SELECT state, count(*), min(waiting_since) FROM touchlog.conversations GROUP BY state",
    "SELECT * FROM touchlog.timeline WHERE contact_point = 'email:c7@example.org' ORDER BY occurred_at DESC LIMIT 20",
    "SELECT type, count(*) FROM touchlog.interactions WHERE occurred_at > TIMESTAMPTZ '2026-03-01' GROUP BY type",
)
_PAUSE_S = 0.02
_SLICE_S = 0.02


@click.command()
@click.option("--rate", default=5_000, show_default=True, help="Events a second.")
@click.option("--seconds", default=60, show_default=True)
@click.option("--warm-up", default=5, show_default=True, help="Seconds at the start that are not counted.")
@click.option("--customers", default=100_000, show_default=True)
@click.option("--readers", default=4, show_default=True)
@click.option("--think", default=1.0, show_default=True, help="Seconds between two questions of a reader.")
@click.option("--compact-after", default=100_000, show_default=True, help="Low, so that compaction runs meanwhile.")
def main(rate: int, seconds: int, warm_up: int, customers: int, readers: int, think: float, compact_after: int) -> None:
    """Publish, fold and read at once; then tell how old events were when they were first seen."""
    out = Console()
    made = list(records(rate * (warm_up + seconds), customers=customers))
    with tempfile.TemporaryDirectory() as folder, best_broker("real") as broker:
        store = Path(folder) / "views.duckdb"
        with KafkaLog(broker.bootstrap) as log:
            log.create_topics(TOPICS, 1)
            command = [sys.executable, "-m", "touchlog", "project", "--log", f"kafka://{broker.bootstrap}"]
            command += ["--store", str(store), "--compact-after", str(compact_after)]
            with (Path(folder) / "said").open("w") as said:
                projector = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
            seen = Seen(store)
            asking = [
                multiprocessing.get_context("spawn").Process(target=_ask, args=(store, number, think), daemon=True)
                for number in range(readers)
            ]
            seen.start()
            for one in asking:
                one.start()
            seen.answers()
            published: dict[str, list[float]] = defaultdict(list)
            began = time.monotonic()
            with log.writer() as writer:
                for place, (topic, key, value) in enumerate(track(made, description="publishing", transient=True)):
                    ahead = began + place / rate - time.monotonic()
                    if ahead > _SLICE_S:
                        time.sleep(ahead)
                    published[topic].append(time.monotonic())
                    writer.append(topic, key, value)
            took = time.monotonic() - began
            seen.until({topic: len(times) for topic, times in published.items()})
            for one in asking:
                one.terminate()
            projector.terminate()
            projector.wait()
    ages = sorted(seen.ages(published, since=began + warm_up))
    table = Table("published a second", "p50 ms", "p99 ms", "max ms")
    figures = (statistics.median(ages), ages[int(len(ages) * 0.99)], ages[-1])
    table.add_row(f"{len(made) / took:,.0f}", *(f"{age * 1000:,.0f}" for age in figures))
    out.print(table)
    out.print(
        f"{len(made):,} events, {readers} readers with {think} s between questions, compaction every {compact_after:,}"
    )


class Seen(threading.Thread):
    """Asks up to where the views are folded, and remembers when it first heard of an offset."""

    def __init__(self, store: Path) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._heard: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._goal: dict[str, int] | None = None
        self._answered = threading.Event()

    def answers(self) -> None:
        """Wait until the projector answers."""
        if not self._answered.wait(60):
            raise click.ClickException("the projector did not answer in a minute")

    def run(self) -> None:
        with Reader(self._store) as reader:
            while not self._is_done():
                try:
                    rows = reader.sql("SELECT topic, next_offset FROM touchlog.lag").to_pylist()
                    self._answered.set()
                except TouchlogError:
                    rows = []
                now = time.monotonic()
                for row in rows:
                    heard = self._heard[row["topic"]]
                    if not heard or heard[-1][0] < row["next_offset"]:
                        heard.append((row["next_offset"], now))
                time.sleep(_PAUSE_S)

    def _is_done(self) -> bool:
        return self._goal is not None and all(
            self._heard[topic] and self._heard[topic][-1][0] >= count for topic, count in self._goal.items()
        )

    def until(self, goal: dict[str, int]) -> None:
        """Wait until every topic is seen to its end."""
        self._goal = goal
        self.join(120)
        if self.is_alive():
            raise click.ClickException("the projector did not catch up in two minutes")

    def ages(self, published: dict[str, list[float]], *, since: float) -> list[float]:
        """Seconds from publishing to seeing, of every event that was published since then."""
        found = []
        for topic, times in published.items():
            first = 0
            for offset, moment in self._heard[topic]:
                found += [moment - one for one in times[first:offset] if one >= since]
                first = offset
        return found


def _ask(store: Path, number: int, think: float) -> None:
    with Reader(store) as reader:
        while True:
            try:
                reader.sql(_QUESTIONS[number % len(_QUESTIONS)])
            except TouchlogError:
                time.sleep(_PAUSE_S)
            time.sleep(think)


if __name__ == "__main__":
    main()
