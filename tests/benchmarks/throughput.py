"""How fast `touchlog project` folds a backlog on a real Apache Kafka, beside what one would use or write instead.

    python -m tests.benchmarks.throughput --events 1000000 --rounds 5

Each contestant is a process of its own that begins with an empty file and reads the same records, some of which come
twice; the peers run in a virtual environment that is made for them. Rounds are interleaved. Measured from outside: from
the start of the process to its last commit (touchlog: to its end, with everything compacted that is to be, and the
checkpoint; the bare drain: from its first record), the processor's time and the most memory that it held. A contestant
whose tables are not the others' is void. touchlog computes all of its views; the peers only the four that are compared,
and they decode times as numbers, which doubles fastavro's speed.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from log.kafka import KafkaLog
from schemas.codec import plain_schema
from schemas.event_types import EVENT_TYPES, avro_symbol
from schemas.registry import LockedRegistry
from schemas.topics import CHANNELS, TOPICS, topic_of
from tests.benchmarks.results import Result, save
from tests.benchmarks.synthetic import records
from tests.kafka.broker import best_broker

HERE = Path(__file__).parent
PEERS = HERE / "peers"
_ENVIRONMENT = HERE.parents[1] / "build" / "peers"
_REPEATED = 0.02
_PARTITIONS = 6
_STEPS = ("created", "sent", "delivered", "opened", "clicked", "paid", "returned", "failed")

_TOUCHLOG = {
    "events": """
        SELECT event_id::VARCHAR, channel, type, epoch_us(occurred_at), contact_point FROM touchlog.interactions
    """,
    "contact_points": """
        SELECT contact_point, epoch_us(first_seen), epoch_us(last_seen), events FROM touchlog.contact_points
    """,
    "items": f"""
        SELECT message_ref, contact_point, {", ".join(f"epoch_us({step}_at)" for step in _STEPS)}, opens
        FROM touchlog.items
    """,
    "topics": """
        SELECT p.kind || ':' || p.value, s.topic, s.day - DATE '1970-01-01', epoch_us(s.first_at), epoch_us(s.last_at)
        FROM {topics}.state AS s JOIN store.points AS p USING (contact_point_id)
    """,
}
"""The four states that are compared, as touchlog's store holds them; the peers' tables are just these."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Who folds, by which command, and what it promises."""

    name: str
    script: str | None
    guarantee: str
    states: bool = True


CONTESTANTS = (
    Contestant(name="bare consume()", script="drain.py", guarantee="none: nothing is stored", states=False),
    Contestant(
        name="touchlog project",
        script=None,
        guarantee="exactly once: rows and offsets in one transaction, dedup by event id over all history",
    ),
    Contestant(
        name="hand-written loop",
        script="hand.py",
        guarantee="exactly once: rows and offsets in one transaction, dedup by primary key",
    ),
    Contestant(
        name="Quix Streams to DuckDB",
        script="quix.py",
        guarantee="at least once by Kafka's offsets; dedup by primary key makes its states right",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of one contestant: seconds to the last commit, seconds of a processor, the most bytes held."""

    seconds: float
    cpu: float
    memory: int
    states: dict[str, tuple[int, int]]
    """Table -> rows and a number that is made of all of them."""


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--customers", default=100_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--batch-size", default=30_000, show_default=True)
@click.option("--save/--no-save", "kept", default=False, help="Write docs/benchmarks/throughput.json and .png.")
def main(events: int, customers: int, rounds: int, batch_size: int, kept: bool) -> None:
    """Publish once, then let every contestant fold in turns."""
    out = Console()
    python = _peers_python(out)
    runs: dict[str, list[Run]] = {one.name: [] for one in CONTESTANTS}
    with (
        tempfile.TemporaryDirectory() as work,
        best_broker("real") as broker,
        KafkaLog(broker.bootstrap) as log,
    ):
        meanings = Path(work) / "meanings.json"
        meanings.write_text(json.dumps(_meanings()), "utf-8")
        log.create_topics(TOPICS, _PARTITIONS)
        count = 0
        with log.writer() as writer:
            for topic, key, value in _with_repetitions(records(events, customers=customers)):
                writer.append(topic, key, value)
                count += 1
        for number in range(rounds):
            for one in CONTESTANTS:
                run = _run(one, python, broker.bootstrap, Path(work), meanings, count, batch_size)
                runs[one.name].append(run)
                out.print(f"round {number + 1}, {one.name}: {events / run.seconds:,.0f} events/s, {run.cpu:.1f} CPU-s")
    results = _judged(runs, events)
    out.print(_table(results))
    for one in results:
        out.print(f"{one.name}: {one.guarantee}")
    out.print(
        f"{events:,} events and {count - events:,} repetitions, {customers:,} customers, batches of at most"
        f" {batch_size:,}, {rounds} interleaved rounds; medians, ratios within a round"
    )
    if kept:
        command = " ".join(("python -m tests.benchmarks.throughput", *sys.argv[1:]))
        shape = {"events": events, "repetitions": count - events, "customers": customers, "batch_size": batch_size}
        told = {name: [asdict(run) for run in own] for name, own in runs.items()}
        save("throughput", command, {**shape, "rounds": rounds}, results, told, python)
    if any(result.void for result in results):
        raise click.ClickException("states differ: a row is void")


def _with_repetitions(made: Iterator[tuple[str, bytes, bytes]]) -> Iterator[tuple[str, bytes, bytes]]:
    """The records, and some of them once more later on."""
    pick = random.Random(7)
    held: list[tuple[str, bytes, bytes]] = []
    for record in made:
        yield record
        if pick.random() < _REPEATED:
            held.append(record)
        if held and pick.random() < _REPEATED / 2:
            yield held.pop(pick.randrange(len(held)))
    yield from held


def _meanings() -> dict[str, Any]:
    """For the peers: each topic's schema, and its types with the step of an item that they stand for."""
    registry = LockedRegistry()
    return {
        "schemas": {topic_of(channel): plain_schema(registry.current(channel)[1]) for channel in CHANNELS},
        "types": {
            topic_of(channel): {
                avro_symbol(name): [name, meaning.item or ""] for name, meaning in EVENT_TYPES[channel].items()
            }
            for channel in CHANNELS
        },
    }


def _peers_python(out: Console) -> Path:
    """The peers' own Python; its environment is made at the first call."""
    python = _ENVIRONMENT / "bin" / "python"
    ready = _ENVIRONMENT / ".ready"
    wanted = (PEERS / "requirements.txt").read_text("utf-8")
    if not ready.exists() or ready.read_text("utf-8") != wanted:
        out.print("making the peers' virtual environment")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True)
        requirements = str(PEERS / "requirements.txt")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
        ready.write_text(wanted, "utf-8")
    return python


def _run(one: Contestant, python: Path, bootstrap: str, work: Path, meanings: Path, count: int, batch_size: int) -> Run:
    """One run, in a process of its own, on an empty file."""
    with tempfile.TemporaryDirectory(dir=work) as folder, (Path(folder) / "said").open("w+") as said:
        store = Path(folder) / "states.duckdb"
        if one.script is None:
            command = [
                sys.executable,
                "-m",
                "touchlog",
                "project",
                "--until-caught-up",
                "--log",
                f"kafka://{bootstrap}",
            ]
            command += ["--store", str(store), "--batch-size", str(batch_size)]
        else:
            given = (bootstrap, store, meanings, count, batch_size)
            command = [str(python), str(PEERS / one.script), *map(str, given)]
        began = time.time()
        # Nothing of this program is on the peers' path.
        env = {name: value for name, value in os.environ.items() if one.script is None or name != "PYTHONPATH"}
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.time()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
        if process.returncode:
            raise click.ClickException(f"{one.name} failed:\n{text[-3000:]}")
        if one.script is not None:
            told = json.loads(text.strip().splitlines()[-1])
            began, ended = told.get("began_at", began), told["committed_at"]
        return Run(
            seconds=ended - began,
            cpu=usage.ru_utime + usage.ru_stime,
            memory=usage.ru_maxrss * 1024,
            states=_states(store, ours=one.script is None) if one.states else {},
        )


def _states(store: Path, *, ours: bool) -> dict[str, tuple[int, int]]:
    """Rows of each state, and a number made of all of them, whatever their order."""
    with duckdb.connect(str(store), read_only=True) as con:
        found = {}
        schema = ""
        if ours:
            ((schema,),) = con.execute(
                "SELECT schema_name FROM duckdb_views() WHERE view_name = 'state' AND schema_name LIKE 'topics_v%'"
            ).fetchall()
        for name, sql in _TOUCHLOG.items():
            rows = sql.format(topics=schema) if ours else f"FROM {name}"
            names = [f"c{place}" for place, _ in enumerate(con.execute(f"DESCRIBE {rows}").fetchall())]
            text = ", ".join(f"coalesce({column}::VARCHAR, '')" for column in names)
            sums = f"SELECT count(*), sum(hash(concat_ws('|', {text}))) FROM ({rows}) AS r({', '.join(names)})"
            (row,) = con.execute(sums).fetchall()
            found[name] = (int(row[0]), int(row[1] or 0))
    return found


def _judged(runs: dict[str, list[Run]], events: int) -> list[Result]:
    """Medians of each contestant, and of its ratios to the others of its round."""
    drain, touchlog = runs[CONTESTANTS[0].name], runs[CONTESTANTS[1].name]
    truth = statistics.mode(str(run.states) for one in CONTESTANTS if one.states for run in runs[one.name])
    results = []
    for one in CONTESTANTS:
        own = runs[one.name]
        results.append(
            Result(
                name=one.name,
                guarantee=one.guarantee,
                events_a_second=statistics.median(events / run.seconds for run in own),
                cpu_seconds_a_million=statistics.median(run.cpu for run in own) * 1e6 / events,
                memory_mb=max(run.memory for run in own) / 1e6,
                to_drain=statistics.median(two.seconds / run.seconds for run, two in zip(own, drain, strict=True)),
                touchlog_is_faster=statistics.median(
                    run.seconds / ours.seconds for run, ours in zip(own, touchlog, strict=True)
                ),
                touchlog_cpu=statistics.median(ours.cpu / run.cpu for run, ours in zip(own, touchlog, strict=True)),
                rows={name: rows for name, (rows, _) in own[0].states.items()},
                void=one.states and any(str(run.states) != truth or not events_ok(run, events) for run in own),
            )
        )
    return results


def events_ok(run: Run, events: int) -> bool:
    """Whether each published event is there once."""
    return run.states["events"][0] == events


def _table(results: list[Result]) -> Table:
    table = Table("what", "events/s", "CPU-s a million", "peak MB", "to bare drain", "touchlog is", "its CPU")
    for one in results:
        table.add_row(
            one.name + (" VOID" if one.void else ""),
            f"{one.events_a_second:,.0f}",
            f"{one.cpu_seconds_a_million:.1f}",
            f"{one.memory_mb:,.0f}",
            f"{one.to_drain:.3f}",
            f"{one.touchlog_is_faster:.1f} x",
            f"{one.touchlog_cpu:.2f} x",
        )
    return table


if __name__ == "__main__":
    main()
