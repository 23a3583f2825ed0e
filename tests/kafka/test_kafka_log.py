"""What only Kafka does: transactions, committed offsets, options, and its limits on records."""

import random
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as WirePartition
from confluent_kafka.admin import AdminClient, ConfigResource

from log.kafka import KafkaLog
from log.log import Position, TopicPartition
from schemas.errors import ConfigurationError, DeliveryFailed, LogUnavailable
from tests.kafka.java import free_port

# More than the 20 MB that the brokers of the tests accept, and no compression makes it less.
TOO_LARGE = random.Random(1).randbytes(21_500_000)

pytestmark = [pytest.mark.kafka, pytest.mark.broker]


@pytest.fixture
def log(real_kafka):
    with KafkaLog(real_kafka.bootstrap) as log:
        yield log


@pytest.fixture
def at(log, unique):
    """The only partition of a new topic."""
    topic = unique("topic")
    log.create_topics([topic], 1)
    return TopicPartition(topic, 0)


@pytest.fixture
def admin(real_kafka):
    return AdminClient({"bootstrap.servers": real_kafka.bootstrap})


@pytest.fixture
def transactions(real_kafka, unique):
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "transactional.id": unique("transactions")})
    producer.init_transactions(30)
    return producer


def _produce(producer, at, *values):
    for value in values:
        producer.produce(at.topic, value, partition=at.partition)
    producer.flush(30)


def _read_to(log, at, end):
    """Values and the last position, read until the position is `end`."""
    values, position, deadline = [], 0, time.monotonic() + 30
    with log.reader({at: 0}) as reader:
        while position < end and time.monotonic() < deadline:
            batch = reader.poll(100, 5.0)
            values += batch.values
            position = batch.next_positions.get(at, position)
    return values, position


# --- transactions of other producers


def _end(log, at, expected):
    """The end of what can be read; markers are written a moment after a transaction was reported as ended."""
    deadline = time.monotonic() + 10
    while (end := log.end_offsets([at.topic])[at]) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return end


def test_a_reader_catches_up_over_transaction_markers(log, at, transactions):
    transactions.begin_transaction()
    _produce(transactions, at, b"committed")
    transactions.commit_transaction(30)
    transactions.begin_transaction()
    _produce(transactions, at, b"aborted", b"aborted too")
    transactions.abort_transaction(30)

    end = _end(log, at, 5)

    assert end == 5, "three records and two markers"
    assert _read_to(log, at, end) == ([b"committed"], end)


def test_nothing_but_an_aborted_transaction_is_caught_up_with_too(log, at, transactions):
    transactions.begin_transaction()
    _produce(transactions, at, b"aborted")
    transactions.abort_transaction(30)

    assert _read_to(log, at, _end(log, at, 2)) == ([], 2)


def test_an_open_transaction_ends_the_log_for_now(log, at, transactions):
    with log.writer() as writer:
        writer.append(at.topic, b"k", b"before")
    transactions.begin_transaction()
    _produce(transactions, at, b"inside")
    with log.writer() as writer:
        writer.append(at.topic, b"k", b"after")

    assert log.end_offsets([at.topic])[at] == 1
    with log.reader({at: 0}) as reader:
        assert reader.poll(10, 20.0).values == [b"before"]
        assert len(reader.poll(10, 0.5)) == 0

        transactions.commit_transaction(30)

        assert reader.poll(10, 20.0).values == [b"inside", b"after"]
    assert log.end_offsets([at.topic])[at] == 4


# --- what the cluster is told


def test_topics_keep_records_for_ever(log, admin, at):
    resource = ConfigResource(ConfigResource.Type.TOPIC, at.topic)
    config = admin.describe_configs([resource])[resource].result(30)

    assert config["retention.ms"].value == "-1"
    assert config["cleanup.policy"].value == "delete"


def test_commits_are_seen_by_lag_tools(log, admin, at, unique):
    group = unique("group")
    with log.writer() as writer:
        for _ in range(10):
            writer.append(at.topic, b"k", b"v")
    with log.reader({at: 0}, group=group) as reader:
        reader.poll(10, 20.0)
        reader.commit({at: 7})

    asked = ConsumerGroupTopicPartitions(group, [WirePartition(*at)])
    (committed,) = admin.list_consumer_group_offsets([asked])[group].result(30).topic_partitions

    assert committed.offset == 7


def test_a_null_header_is_read_as_empty(log, at, real_kafka):
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap})
    producer.produce(at.topic, b"v", headers=[("nothing", None), ("something", b"x")])
    producer.flush(30)

    with log.reader({at: 0}) as reader:
        batch = reader.poll(10, 20.0)

    assert list(batch.headers) == [[("nothing", b""), ("something", b"x")]]
    assert list(batch.headers[:1]) == [batch.headers[0]]


# --- records that cannot be delivered


def test_a_record_larger_than_the_client_allows_is_refused(log, at):
    with log.writer() as writer:
        with pytest.raises(ConfigurationError, match=r"message\.max\.bytes"):
            writer.append(at.topic, b"k", bytes(2_000_000))
        writer.append(at.topic, b"k", b"small")

    assert log.end_offsets([at.topic])[at] == 1


def test_a_record_larger_than_the_topic_allows_is_told_of(real_kafka, log, at, admin, unique):
    told = []
    with KafkaLog(real_kafka.bootstrap, {"message.max.bytes": "40000000"}) as large, large.writer() as writer:
        writer.append(at.topic, b"k", TOO_LARGE, delivered=lambda *outcome: told.append(outcome))
        assert writer.flush() == 0
    ((position, error),) = told

    assert position is None
    assert isinstance(error, ConfigurationError)


def test_a_failure_that_nobody_is_told_of_is_raised(real_kafka, at):
    with KafkaLog(real_kafka.bootstrap, {"message.max.bytes": "40000000"}) as large:
        writer = large.writer()
        writer.append(at.topic, b"k", TOO_LARGE)
        with pytest.raises(DeliveryFailed, match="1 records were not written"):
            writer.flush()
        told = []
        writer.append(at.topic, b"k", b"small", delivered=lambda *outcome: told.append(outcome))
        writer.close()

    assert told == [(Position(at.topic, 0, 0), None)]


# --- options and addresses


@pytest.mark.parametrize("name", ["enable.auto.commit", "isolation.level", "partitioner", "acks", "group.id"])
def test_what_the_log_promises_cannot_be_changed(name):
    with pytest.raises(ConfigurationError, match=name):
        KafkaLog("127.0.0.1:9092", {name: "x"})


def test_an_unknown_option_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="no-such-option"):
        KafkaLog("127.0.0.1:9092", {"no-such-option": "x"})


def test_a_broker_that_is_not_there_is_unavailable_and_says_nothing_on_the_terminal(capfd):
    with KafkaLog(f"127.0.0.1:{free_port()}", timeout=1.0) as log:
        for ask in (
            log.topics,
            lambda: log.end_offsets(["a"]),
            lambda: log.create_topics(["a"], 1),
            lambda: log.reader({TopicPartition("a", 0): 0}),
        ):
            with pytest.raises(LogUnavailable, match=r"(?i)refused|brokers are down|timed out"):
                ask()
        with log.writer() as writer, pytest.raises(LogUnavailable):
            writer.append("a", b"k", b"v")

    assert capfd.readouterr() == ("", "")
