"""The log's two homes, for the one suite that holds both to the contract."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Producer

from log.log import Log, RecordBatch, TopicPartition
from log.open import open_log

PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Home:
    """A place where logs live. `real` is false for librdkafka's mock, which cannot administer topics."""

    name: str
    url: str
    unique: Callable[[str], str]
    options: dict[str, str] = field(default_factory=dict)
    real: bool = True

    def open(self, *, query: str = "", **options: str) -> Log:
        return open_log(self.url + query, kafka_options=self.options | options)

    def topic(self, log: Log) -> str:
        """A new topic of four partitions."""
        topic = self.unique("topic")
        if self.real:
            assert log.create_topics([topic], PARTITIONS) == [topic]
        else:
            # The mock has no administration; it creates a topic, of four partitions, when asked about it.
            Producer({"bootstrap.servers": self.url.removeprefix("kafka://")}).list_topics(topic, timeout=10)
        return topic


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def home(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> Home:
    if request.param == "embedded":
        path = request.getfixturevalue("tmp_path") / "touchlog.log"
        return Home(name="embedded", url=f"embedded:{path}", unique=unique)
    broker = request.getfixturevalue("kafka")
    return Home(
        name="kafka", url=f"kafka://{broker.bootstrap}", unique=unique, options=broker.options, real=broker.real
    )


@pytest.fixture
def real_home(home: Home) -> Home:
    """A home that can do everything the contract says: the mock cannot."""
    if not home.real:
        pytest.skip("librdkafka's mock cannot administer topics")
    return home


@pytest.fixture
def log(home: Home) -> Iterator[Log]:
    with home.open() as log:
        yield log


@pytest.fixture
def topic(home: Home, log: Log) -> str:
    return home.topic(log)


@dataclass(frozen=True, kw_only=True)
class Read:
    """One record, as a row, because that is easier to compare."""

    at: TopicPartition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def rows(batch: RecordBatch) -> list[Read]:
    """The batch's columns as rows; its promises about them hold for every batch."""
    columns = (batch.topics, batch.partitions, batch.offsets, batch.timestamps, batch.keys, batch.values, batch.headers)
    assert {len(column) for column in columns} == {len(batch)}
    last: dict[TopicPartition, int] = {}
    read = []
    for topic, partition, offset, timestamp, key, value, headers in zip(*columns, strict=True):
        at = TopicPartition(topic, partition)
        assert offset > last.get(at, -1), "within a partition offsets ascend"
        last[at] = offset
        read.append(
            Read(at=at, offset=offset, timestamp=timestamp, key=key, value=value, headers=tuple(map(tuple, headers)))
        )
    assert all(batch.next_positions[at] > offset for at, offset in last.items())
    return read


def read_all(log: Log, *topics: str, start: dict[TopicPartition, int] | None = None, most: int = 1000) -> list[Read]:
    """Everything from `start` (the beginning) to the end that the log has now."""
    positions = log.begin_offsets(topics) if start is None else dict(start)
    ends = {at: end for at, end in log.end_offsets(topics).items() if at in positions}
    read: list[Read] = []
    with log.reader(positions) as reader:
        while any(positions[at] < end for at, end in ends.items()):
            batch = reader.poll(most, 20.0)
            assert batch.next_positions, "the log holds more, and nothing came"
            assert len(batch) <= most
            read += rows(batch)
            positions |= batch.next_positions
    assert positions.keys() >= ends.keys()
    return read


class Told:
    """A `delivered` that remembers what it was told, for every record that it was made for."""

    def __init__(self) -> None:
        self.outcomes: dict[object, list] = {}

    def about(self, record: object) -> Callable:
        self.outcomes[record] = []
        return lambda position, error: self.outcomes[record].append(error or position)
