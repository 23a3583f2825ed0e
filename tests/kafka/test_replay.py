"""Replaying what only Kafka has: transaction markers and aborted records at an end, and offsets for lag tools."""

import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as WirePartition
from confluent_kafka.admin import AdminClient

from consumers.projector import Projector
from consumers.replay import Replayed, fold_again, from_log
from log.kafka import KafkaLog
from log.log import TopicPartition
from projections.store import Store
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import append, publish
from tests.consumers.test_replay import ends_of
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

pytestmark = [pytest.mark.kafka, pytest.mark.broker]

CHAT = topic_of("chat")
AT = TopicPartition(CHAT, 0)


@pytest.fixture
def prefix(unique):
    return unique("replay") + "."


@pytest.fixture
def log(real_kafka, prefix):
    with KafkaLog(real_kafka.bootstrap, namespace=prefix) as log:
        yield log


def read(log, start):
    """The offsets read from a position to the end."""
    position, found = start, []
    end = log.end_offsets([CHAT])[AT]
    deadline = time.monotonic() + 30
    with log.reader({AT: start}) as reader:
        while position < end and time.monotonic() < deadline:
            batch = reader.poll(4, 1.0)
            found += batch.offsets
            position = batch.next_positions.get(AT, position)
    assert position == end
    return found


def test_markers_and_aborted_records_on_both_sides_of_the_end_do_not_hold_it_up(
    real_kafka, log, prefix, unique, tmp_path
):
    events = [event for event in random_log(85, 120) if event.channel == "chat"][:12]
    log.create_topics(TOPICS, 1)
    values = records(events).values
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "transactional.id": unique("transactions")})
    producer.init_transactions(30)
    for part, end in ((values[:3], "commit"), (values[:4], "abort"), (values[3:], "commit"), (values[:2], "abort")):
        producer.begin_transaction()
        for value in part:
            producer.produce(prefix + CHAT, value, partition=0)
        producer.flush(30)
        producer.commit_transaction(30) if end == "commit" else producer.abort_transaction(30)
    end, deadline = len(values) + 6 + 4, time.monotonic() + 30
    while log.end_offsets([CHAT])[AT] < end and time.monotonic() < deadline:
        # The last marker is written after the producer was told.
        time.sleep(0.05)
    whole = read(log, 0)
    assert whole == [0, 1, 2, *range(9, 18)]
    assert log.end_offsets([CHAT])[AT] == end == 22

    for until in (0, 2, 3, 4, 6, 9, 10, 18, 19, 20, end):
        wanted = [offset for offset in whole if offset < until]
        assert read(Replayed(log, {AT: until}), 0) == wanted
    assert read(Replayed(log, {AT: 7}), 5) == []

    done = fold_again(log, tmp_path / "next.duckdb", REGISTRY, {AT: 7})
    assert (done.read, done.lag) == (3, 0)
    done = fold_again(log, tmp_path / "next.duckdb", REGISTRY, {AT: end})
    assert (done.read, done.lag) == (9, 0)
    with Store.open(tmp_path / "next.duckdb") as store:
        assert store.positions() == {AT: end}
        assert_equal(store, events)


def test_lag_tools_see_the_live_store_and_no_replay(real_kafka, log, prefix, tmp_path):
    events = random_log(86, 300)
    publish(log, events, partitions=2)
    ends = ends_of(log, 300)
    with Store.open(tmp_path / "views.duckdb") as store:
        began = time.monotonic()
        Projector(log, store, REGISTRY, batch_size=30).run(stop=lambda: time.monotonic() > began + 3)
        assert store.positions() == ends

        append(log, CHAT, [b"x"] * 5)
        done = fold_again(log, tmp_path / "views.next.duckdb", REGISTRY, ends_of(log, 305), batch_size=10)
        assert (done.applied, done.parked) == (300, 5)
        assert from_log(store.cursor(), log, REGISTRY, tmp_path, NOW) == []

    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    asked = ConsumerGroupTopicPartitions("touchlog", [WirePartition(prefix + CHAT, 0)])
    (committed,) = admin.list_consumer_group_offsets([asked])["touchlog"].result(30).topic_partitions
    assert committed.offset == ends[AT]


def test_partitions_that_are_read_to_their_end_do_not_hold_up_the_others(log, tmp_path):
    """Far more lies behind the ends than before them."""
    events = random_log(87, 200)
    publish(log, events, partitions=4)
    ends = ends_of(log, 200)
    publish(log, random_log(88, 2000))
    done = fold_again(log, tmp_path / "next.duckdb", REGISTRY, ends, batch_size=100)
    assert (done.read, done.lag) == (200, 0)
    with Store.open(tmp_path / "next.duckdb") as store:
        assert store.positions() == ends
        assert_equal(store, events)
