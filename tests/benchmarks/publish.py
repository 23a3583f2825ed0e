"""How fast `touchlog produce` publishes, from payloads to acknowledged events, beside raw appending of the same bytes.

    python -m tests.benchmarks.publish --events 200000 --rounds 3

One format of each channel, its payloads made of the repository's samples with other ids and customers. Each run is the
command itself, a process of its own with a log that is new, measured from outside: from its start to its end, with the
processor's time. Then the records that it wrote are read back and appended as they are, headers and all: on Kafka by
`confluent_kafka.Producer.produce` with the writer's own settings and no callback, on the embedded log by its writer;
that is timed without the start of a process. A log that does not hold every event once makes the run void.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from log.kafka_client import COMMON, PRODUCER
from log.log import Headers, Log
from log.open import open_log
from schemas.topics import TOPICS, topic_of
from tests.benchmarks.payloads import SAMPLED, Sample, write_payloads
from tests.kafka.broker import best_broker, unique
from tests.kafka.java import NotAvailable

_PARTITIONS = 6
_SERVE_EVERY = 256

Record = tuple[str, bytes | None, bytes | None, Headers, int]
"""Topic, key, value, headers, timestamp."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run: events, seconds to the last acknowledgement and seconds of a processor, of both ways."""

    events: int
    seconds: float
    cpu: float
    raw_seconds: float
    raw_cpu: float


@click.command()
@click.option("--events", default=200_000, show_default=True, help="Of each format, at least.")
@click.option("--customers", default=20_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice([one.format_name for one in SAMPLED]), help="Format (repeat).")
@click.option("--log", "logs", multiple=True, type=click.Choice(["embedded", "kafka"]), help="Log (repeat).")
def main(events: int, customers: int, rounds: int, only: tuple[str, ...], logs: tuple[str, ...]) -> None:
    """Publish each format in turns, on the embedded log and, where one can be started, on Kafka."""
    out = Console()
    chosen = [one for one in SAMPLED if not only or one.format_name in only]
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        homes: dict[str, Callable[[], str]] = {"embedded": lambda: f"embedded:{work / unique('log')}.sqlite"}
        if not logs or "kafka" in logs:
            try:
                bootstrap = stack.enter_context(best_broker("real")).bootstrap
                homes["kafka"] = lambda: f"kafka://{bootstrap}?prefix={unique('run')}."
            except NotAvailable as error:
                out.print(f"without Kafka: {error}")
        homes = {name: home for name, home in homes.items() if not logs or name in logs}
        made = {}
        for sample in chosen:
            path = work / sample.format_name
            made[sample] = path, write_payloads(sample, path, events=events, customers=customers)
        runs: dict[tuple[str, Sample], list[Run]] = {(home, one): [] for home in homes for one in chosen}
        for _ in range(rounds):
            for (home, one), own in runs.items():
                own.append(_run(one, *made[one], homes[home]))
    out.print(_table(runs))
    out.print(
        f"at least {events:,} events of each format, {customers:,} customers, {rounds} interleaved rounds; medians,"
        " ratios within a round; the command with its start, raw without"
    )


def _run(sample: Sample, path: Path, events: int, home: Callable[[], str]) -> Run:
    url = home()
    seconds, cpu = _produced(sample, path, url)
    with open_log(url, must_exist=True) as log:
        records = list(_records(log, topic_of(sample.channel)))
    distinct = {dict(headers)["ce_id"] for _, _, _, headers, _ in records}
    if not len(records) == len(distinct) == events:
        raise click.ClickException(f"void: {sample.format_name} gave {len(records)} records of {events} events")
    raw = _raw_kafka if url.startswith("kafka:") else _raw_embedded
    raw_seconds, raw_cpu = raw(records, home())
    return Run(events=events, seconds=seconds, cpu=cpu, raw_seconds=raw_seconds, raw_cpu=raw_cpu)


def _produced(sample: Sample, path: Path, url: str) -> tuple[float, float]:
    """Seconds and CPU-seconds of the command, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "said").open("w+") as said:
        command = [sys.executable, "-m", "touchlog", "produce", sample.channel, str(path)]
        command += ["--format", sample.format_name, "--log", url, "--data-dir", folder, "--region", "SE"]
        command += ["--account", "acme", "--partitions", str(_PARTITIONS)]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise click.ClickException(f"{sample.format_name} failed:\n{said.read()[-3000:]}")
    return seconds, usage.ru_utime + usage.ru_stime


def _records(log: Log, topic: str) -> Iterator[Record]:
    """All records of a topic."""
    ends = log.end_offsets([topic])
    positions = dict(log.begin_offsets([topic]))
    with log.reader(positions) as reader:
        while any(positions[one] < end for one, end in ends.items()):
            batch = reader.poll(10_000, 1.0)
            positions.update(batch.next_positions)
            yield from zip(batch.topics, batch.keys, batch.values, batch.headers, batch.timestamps, strict=True)


def _raw_embedded(records: list[Record], url: str) -> tuple[float, float]:
    with open_log(url) as log:
        log.create_topics(TOPICS, _PARTITIONS)
        began, cpu = time.monotonic(), time.process_time()
        with log.writer() as writer:
            for topic, key, value, headers, timestamp in records:
                writer.append(topic, key, value, headers=headers, timestamp=timestamp)
        return time.monotonic() - began, time.process_time() - cpu


def _raw_kafka(records: list[Record], url: str) -> tuple[float, float]:
    with open_log(url) as log:
        log.create_topics(TOPICS, _PARTITIONS)
    bootstrap, _, prefix = url.removeprefix("kafka://").partition("?prefix=")
    given: list[tuple[str, bytes | None, bytes | None, Any, int]] = [
        (prefix + topic, key, value, list(headers), at) for topic, key, value, headers, at in records
    ]
    producer = Producer({**COMMON, **PRODUCER, "bootstrap.servers": bootstrap})
    began, cpu = time.monotonic(), time.process_time()
    for place, (topic, key, value, headers, timestamp) in enumerate(given):
        while True:
            try:
                producer.produce(topic, value, key, headers=headers, timestamp=timestamp)
                break
            except BufferError:
                producer.poll(0.1)
        if not place % _SERVE_EVERY:
            producer.poll(0)
    if producer.flush(60):
        raise click.ClickException("void: the broker did not acknowledge everything")
    return time.monotonic() - began, time.process_time() - cpu


def _table(runs: dict[tuple[str, Sample], list[Run]]) -> Table:
    table = Table("log", "format", "events/s", "raw/s", "ratio to raw", "CPU-s a million", "raw CPU-s")
    for (home, sample), own in runs.items():
        table.add_row(
            home,
            f"{sample.channel} {sample.format_name}",
            f"{statistics.median(run.events / run.seconds for run in own):,.0f}",
            f"{statistics.median(run.events / run.raw_seconds for run in own):,.0f}",
            f"{statistics.median(run.raw_seconds / run.seconds for run in own):.3f}",
            f"{statistics.median(run.cpu * 1e6 / run.events for run in own):.1f}",
            f"{statistics.median(run.raw_cpu * 1e6 / run.events for run in own):.1f}",
        )
    return table


if __name__ == "__main__":
    main()
