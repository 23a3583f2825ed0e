"""The projector and what only Kafka does: new partitions, transactions, commits for lag tools, a broker that dies."""

import threading
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as WirePartition
from confluent_kafka.admin import AdminClient, NewPartitions

from consumers.projector import Projector
from log.kafka import KafkaLog
from log.log import TopicPartition
from projections.store import Store
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY, records
from tests.kafka.broker import JavaBroker
from tests.kafka.java import NotAvailable
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

pytestmark = [pytest.mark.kafka, pytest.mark.broker]

CHAT = topic_of("chat")


@pytest.fixture
def prefix(unique):
    return unique("projector") + "."


@pytest.fixture
def log(real_kafka, prefix):
    with KafkaLog(real_kafka.bootstrap, namespace=prefix) as log:
        yield log


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


def _until(projector, done, seconds=60):
    """A `stop` that says so when `done()` holds, or when it took too long."""
    deadline = time.monotonic() + seconds
    return lambda: done() or time.monotonic() > deadline


def test_partitions_added_while_it_runs_are_read(real_kafka, log, store, prefix):
    events = random_log(61, 400)
    publish(log, events[:200], partitions=1)
    projector = Projector(log, store, REGISTRY, new_partitions_every=0.2)

    def add():
        admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
        asked = admin.create_partitions([NewPartitions(prefix + topic, 4) for topic in TOPICS])
        for future in asked.values():
            future.result(30)
        with KafkaLog(real_kafka.bootstrap, namespace=prefix) as another:
            publish(another, events[200:])

    adding = threading.Timer(0.5, add)
    adding.start()
    done = projector.run(stop=_until(projector, lambda: projector._progress.read == 400))
    adding.join()

    assert (done.read, done.applied) == (400, 400)
    assert {at.partition for at, offset in store.positions().items() if offset} == {0, 1, 2, 3}
    assert_equal(store, events)


def test_partitions_added_while_it_was_away_are_read_from_their_beginning(real_kafka, log, store, prefix):
    events = random_log(62, 400)
    publish(log, events[:200], partitions=1)
    Projector(log, store, REGISTRY).run(until_caught_up=True)
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    for future in admin.create_partitions([NewPartitions(prefix + topic, 3) for topic in TOPICS]).values():
        future.result(30)
    publish(log, events[200:])

    done = Projector(log, store, REGISTRY).run(until_caught_up=True)

    assert done.applied == 200
    assert_equal(store, events)


def test_transaction_markers_and_aborted_records_at_the_end_do_not_hold_it_up(real_kafka, log, store, prefix, unique):
    events = [event for event in random_log(63, 300) if event.channel == "chat"]
    log.create_topics(TOPICS, 1)
    values = records(events).values
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "transactional.id": unique("transactions")})
    producer.init_transactions(30)
    for part, end in ((values[:20], "commit"), (values[:10], "abort"), (values[20:], "commit"), (values[:5], "abort")):
        producer.begin_transaction()
        for value in part:
            producer.produce(prefix + CHAT, value, partition=0)
        producer.flush(30)
        producer.commit_transaction(30) if end == "commit" else producer.abort_transaction(30)
    # Markers are written a moment after a transaction was reported as ended.
    deadline = time.monotonic() + 10
    while sum(log.end_offsets([CHAT]).values()) < len(values) + 15 + 4 and time.monotonic() < deadline:
        time.sleep(0.05)

    done = Projector(log, store, REGISTRY).run(until_caught_up=True)

    assert (done.read, done.applied, done.lag) == (len(values), len(values), 0)
    at = TopicPartition(CHAT, 0)
    assert store.positions()[at] == log.end_offsets([CHAT])[at] == len(values) + 15 + 4
    assert_equal(store, events)


def test_committed_offsets_are_for_lag_tools_and_never_read(real_kafka, log, store, prefix):
    events = random_log(64, 200)
    publish(log, events, partitions=1)
    projector = Projector(log, store, REGISTRY, batch_size=20)
    began = time.monotonic()
    projector.run(stop=lambda: time.monotonic() > began + 3)
    ends = log.end_offsets(TOPICS)

    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    asked = ConsumerGroupTopicPartitions("touchlog", [WirePartition(prefix + CHAT, 0)])
    (committed,) = admin.list_consumer_group_offsets([asked])["touchlog"].result(30).topic_partitions
    assert committed.offset == ends[TopicPartition(CHAT, 0)]

    # Somebody resets them: the store knows better.
    asked = ConsumerGroupTopicPartitions("touchlog", [WirePartition(prefix + CHAT, 0, 0)])
    admin.alter_consumer_group_offsets([asked])["touchlog"].result(30)
    append(log, CHAT, [b"x"])
    done = Projector(log, store, REGISTRY).run(until_caught_up=True)
    assert (done.read, done.parked) == (1, 1)
    assert_equal(store, events)


@pytest.fixture
def mortal(wanted):
    """A broker of the test's own, to be killed."""
    try:
        broker = JavaBroker()
    except NotAvailable as error:
        if wanted == "real":
            raise
        pytest.skip(str(error))
    broker.start()
    yield broker
    broker.close()


def test_a_broker_that_dies_is_waited_for(mortal, store):
    events = random_log(65, 800)
    states = set()
    with KafkaLog(mortal.bootstrap, timeout=5.0) as log:
        publish(log, events[:400])
        projector = Projector(log, store, REGISTRY, on_progress=lambda progress: states.add(progress.state))

        def interrupt():
            while projector._progress.read < 400:
                time.sleep(0.05)
            mortal.kill()
            while "waiting for the log" not in states:
                time.sleep(0.05)
            mortal.start()
            with KafkaLog(mortal.bootstrap, timeout=20.0) as another:
                publish(another, events[400:])

        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        done = projector.run(stop=_until(projector, lambda: projector._progress.read == 800, 120))
        interrupting.join()

    assert (done.read, done.applied) == (800, 800)
    assert "waiting for the log" in states
    assert_equal(store, events)
