"""What was put into a log, and what has to be true of every store that was folded from it."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from consumers.projector import Projector
from log.log import Log
from projections.store import Store, open_readonly
from schemas.codec import decode, from_record
from schemas.models import Event
from schemas.topics import TOPICS, stream_of, topic_of
from tests.consumers.poison import POISON, Value
from tests.consumers.publishing import publish
from tests.faults.homes import Home, run_to_the_end
from tests.folding import REGISTRY
from tests.habits import NOW
from tests.oracle import fold as oracle
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS, differences, read_view
from tests.strategies import random_log
from tests.villages import repeated

_DRAWN = 3000
_POISON = list(POISON.values())


@dataclass(kw_only=True)
class Truth:
    """Everything that is in a log: distinct events, how many records, how many of them cannot be folded."""

    dice: random.Random
    partitions: int = 3
    events: list[Event] = field(default_factory=list)
    records: int = 0
    bad: int = 0
    _fresh: Iterator[Event] = field(init=False)

    def __post_init__(self) -> None:
        # Drawn as a few logs, so that later events go on with the conversations of earlier ones.
        seed = self.dice.randrange(2**16)
        first = random_log(seed, _DRAWN)
        self._fresh = chain(first, chain.from_iterable(random_log(seed + n, _DRAWN) for n in count(1)))
        self._chat = [event for event in first if event.channel == "chat"]

    def grow(self, log: Log, fresh: int, *, near: int = 0, far: int = 0, poison: int = 0) -> None:
        """Append new events, shuffled with repetitions of them (`near`) and of earlier ones (`far`), and poison."""
        new = [next(self._fresh) for _ in range(fresh)]
        repeats = self.dice.choices(new, k=near) if new else []
        if self.events:
            repeats += self.dice.choices(self.events, k=far)
        arriving = [*new, *(self.dice.choice((event, repeated(event))) for event in repeats)]
        self.dice.shuffle(arriving)
        self.add(log, arriving)
        self.spoil(log, [self.dice.choice(_POISON).make(self.dice.choice(self._chat)) for _ in range(poison)])

    def add(self, log: Log, arriving: Sequence[Event]) -> None:
        """Append these events; those that are new are told from those that are not."""
        known = {event.event_id for event in self.events}
        self.events += {event.event_id: event for event in arriving if event.event_id not in known}.values()
        self.records += publish(log, arriving, partitions=self.partitions)

    def spoil(self, log: Log, values: Sequence[Value], *, channel: str = "chat") -> None:
        """Append records that cannot be folded."""
        log.create_topics(TOPICS, self.partitions)
        with log.writer() as writer:
            for value, headers in values:
                writer.append(topic_of(channel), None, value, headers=headers)
            assert writer.flush(60) == 0
        self.records += len(values)
        self.bad += len(values)


def look(path: Path) -> int:
    """What a kill leaves is whole: rows, counts and offsets of the same batches; how many records were read."""
    if not path.exists() or not path.stat().st_size:
        return 0
    with open_readonly(path) as con:
        if not con.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'lag'").fetchone():
            return 0
        counts = con.execute("SELECT coalesce(sum(read), 0), coalesce(sum(applied), 0) FROM store.batches").fetchone()
        rows = con.execute("SELECT count(*), count(DISTINCT event_id) FROM store.rows").fetchone()
        moved = con.execute("SELECT coalesce(sum(next_offset), 0) FROM touchlog.lag").fetchone()
    assert counts is not None
    assert moved is not None
    read, applied = map(int, counts)
    assert rows == (applied, applied), "as many rows as were applied, and no event twice"
    # A transaction of Kafka leaves a marker in the log that nobody reads; tests that have some do not look.
    assert moved == (read,), "offsets and rows are of the same batches"
    return read


@contextmanager
def rebuilt(home: Home) -> Iterator[Store]:
    """A new store, folded from the log in one go."""
    with (
        TemporaryDirectory(dir=home.folder) as folder,
        home.open() as log,
        Store.open(Path(folder) / "rebuilt.duckdb") as store,
    ):
        run_to_the_end(Projector(log, store, REGISTRY))
        yield store


def assert_whole(home: Home, truth: Truth, *, markers: int = 0) -> None:
    """Live views == a fresh rebuild == the oracle; in = applied + duplicates + parked = what the log holds.

    `markers`: offsets of the log that are no records (transaction markers, aborted or compacted records).
    """
    expected = oracle(truth.events, NOW)
    distinct = len(truth.events)
    with Store.open(home.store) as live, rebuilt(home) as fresh:
        for name, store in (("live", live), ("rebuilt", fresh)):
            found = store.con.execute("SELECT sum(read), sum(applied), sum(duplicates), sum(parked) FROM store.batches")
            counted = (truth.records, distinct, truth.records - distinct - truth.bad, truth.bad)
            assert found.fetchone() == counted, f"{name}: read, applied, duplicates, parked"
            letters = store.con.execute(
                "SELECT count(*), count(DISTINCT (topic, partition, log_offset)) FROM store.dead_letters"
            )
            assert letters.fetchone() == (truth.bad, truth.bad), f"{name}: dead letters"
            numbers = store.con.execute("SELECT count(*), count(DISTINCT batch), max(batch) FROM store.batches")
            batches, different, last = numbers.fetchone()
            assert batches == different == last, f"{name}: every batch once, none left out"
        with home.open() as log:
            ends = log.end_offsets(TOPICS)
        assert live.positions() == fresh.positions() == ends, "read to the end"
        assert sum(ends.values()) == truth.records + markers
        for view in VIEWS:
            now = NOW if view in DEPEND_ON_NOW else None
            for name, store in (("live", live), ("rebuilt", fresh)):
                told = differences(expected[view], read_view(store.cursor(), view, now))
                assert not told, f"{name}, view {view}: {told}"


def read_back(home: Home, dice: random.Random) -> Truth:
    """What a log holds that producers filled."""
    truth = Truth(dice=dice)
    found: dict[UUID, Event] = {}
    with home.open() as log:
        positions, ends = log.begin_offsets(TOPICS), log.end_offsets(TOPICS)
        truth.partitions = max((at.partition for at in ends), default=0) + 1
        with log.reader(positions) as reader:
            while any(positions[at] < end for at, end in ends.items()):
                batch = reader.poll(10_000, 20.0)
                assert batch.next_positions, "the log holds more, and nothing came"
                positions |= batch.next_positions
                truth.records += len(batch)
                for topic, value in zip(batch.topics, batch.values, strict=True):
                    assert value is not None
                    event = _decoded(topic, value)
                    found.setdefault(event.event_id, event)
    truth.events = list(found.values())
    return truth


def _decoded(topic: str, value: bytes) -> Event:
    schema = REGISTRY.schema(int.from_bytes(value[1:5], "big"))
    return from_record(stream_of(topic), decode(value[5:], schema=schema))
