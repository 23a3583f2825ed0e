"""How fast `touchlog project` folds a backlog on real Apache Kafka, beside a bare drain of the same records.

    python -m tests.benchmarks.throughput --events 1000000 --rounds 3

Rounds are interleaved; each fold has a fresh store and is timed to its last commit, compaction included. A fold whose
totals are wrong ends the benchmark.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
from confluent_kafka import Consumer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from consumers.projector import Projector
from log.kafka import KafkaLog
from log.log import TopicPartition
from projections.store import Store
from schemas.registry import LockedRegistry
from schemas.topics import CHANNELS, TOPICS, topic_of
from tests.benchmarks.synthetic import records
from tests.kafka.broker import best_broker


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--customers", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--batch-size", default=10_000, show_default=True)
def main(events: int, customers: int, rounds: int, batch_size: int) -> None:
    """Publish once, then drain and fold in turns."""
    out = Console()
    with best_broker("real") as broker, KafkaLog(broker.bootstrap) as log:
        log.create_topics(TOPICS, 6)
        with log.writer() as writer:
            for topic, key, value in track(
                records(events, customers=customers), "publishing", total=events, console=out
            ):
                writer.append(topic, key, value)
        ends = log.end_offsets(TOPICS)
        drains, folds, cpu = [], [], []
        for _ in range(rounds):
            drains.append(events / drained(broker.bootstrap, ends, events))
            began = time.process_time()
            folds.append(events / folded(log, events, batch_size))
            cpu.append((time.process_time() - began) * 1e6 / events)
    ratio = statistics.median(fold / drain for fold, drain in zip(folds, drains, strict=True))
    table = Table("what", "events/s (median)", "CPU-seconds a million", "ratio to the bare drain")
    table.add_row("bare consume()", f"{statistics.median(drains):,.0f}", "", "1")
    table.add_row(
        "touchlog project", f"{statistics.median(folds):,.0f}", f"{statistics.median(cpu):.1f}", f"{ratio:.3f}"
    )
    out.print(table)
    out.print(f"{events:,} events, {customers:,} customers, batches of {batch_size:,}, {rounds} interleaved rounds")
    out.print("each fold: " + ", ".join(f"{fold:,.0f}" for fold in folds))


def drained(bootstrap: str, ends: dict[TopicPartition, int], expected: int) -> float:
    """Seconds to consume everything and look at nothing."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"drain-{time.time_ns()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic_of(channel) for channel in CHANNELS])
    seen, began = 0, 0.0
    while seen < expected:
        messages = consumer.consume(10_000, 1.0)
        if messages and not began:
            began = time.perf_counter()
        seen += len(messages)
    seconds = time.perf_counter() - began
    consumer.close()
    return seconds


def folded(log: KafkaLog, expected: int, batch_size: int) -> float:
    """Seconds to fold everything into a fresh store."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "views.duckdb") as store:
        projector = Projector(log, store, LockedRegistry(), batch_size=batch_size)
        began = time.perf_counter()
        done = projector.run(until_caught_up=True)
        seconds = time.perf_counter() - began
        found = store.con.execute("SELECT count(*), count(DISTINCT event_id) FROM touchlog.interactions").fetchone()
        if done.applied != expected or found != (expected, expected):
            raise click.ClickException(
                f"wrong totals: {done.applied} applied, {found} in the store, {expected} published"
            )
    return seconds


if __name__ == "__main__":
    main()
