"""What only Kafka has: groups, committed offsets, transactions, compaction. The store's offsets alone count."""

import threading
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer
from confluent_kafka import TopicPartition as WirePartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import TOPICS, topic_of
from tests.faults.checks import Truth, assert_whole
from tests.faults.homes import Home, until
from tests.folding import records

pytestmark = [pytest.mark.kafka, pytest.mark.broker]

CHAT = topic_of("chat")
GROUP = "touchlog"


@pytest.fixture
def bootstrap(broker):
    # A group of this name is the projector's: the broker that other tests share is left alone.
    return broker.bootstrap


@pytest.fixture
def prefix(unique):
    return unique("groups") + "."


@pytest.fixture
def home(bootstrap, prefix, tmp_path, commands):
    return Home(log="kafka", url=f"kafka://{bootstrap}?prefix={prefix}", folder=tmp_path, commands=commands)


@pytest.mark.form(ci="kafka")
def test_committed_offsets_ahead_behind_and_deleted(home, bootstrap, prefix, row, dice, times):
    row.fault = "Kafka's committed offsets set ahead, behind, and deleted"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    truth = Truth(dice=dice)
    for _ in range(times(ci=1, short=1, long=10)):
        for offset in ("behind", "ahead", "deleted"):
            with home.open() as log:
                truth.grow(log, 60, near=6, far=6)
                ends = log.end_offsets(TOPICS)
            if offset == "deleted":
                admin.delete_consumer_groups([GROUP])[GROUP].result(30)
            else:
                wire = [WirePartition(prefix + at.topic, at.partition, end) for at, end in ends.items()]
                for one in wire:
                    one.offset = one.offset if offset == "ahead" else 0
                admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP, wire)])[GROUP].result(30)
            home.fold_here()
            row.runs += 1
            assert_whole(home, truth)


def test_a_stranger_of_the_same_group(home, bootstrap, prefix, row, dice, times):
    """It joins and leaves all the time, is given the partitions, and commits what it likes."""
    row.fault = "a stranger of the same group joins and leaves"
    truth = Truth(dice=dice)
    over, joined = threading.Event(), []
    with home.open() as log:
        truth.grow(log, 30)

    def intrude():
        while not over.is_set():
            stranger = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "auto.offset.reset": "earliest"})
            stranger.subscribe([prefix + topic for topic in TOPICS])
            until = time.monotonic() + 1.0
            while time.monotonic() < until and not over.is_set():
                stranger.poll(0.1)
            try:
                stranger.commit(asynchronous=False)
                joined.append(True)
            except KafkaException:
                joined.append(False)
            stranger.close()

    thread = threading.Thread(target=intrude)
    thread.start()
    try:
        for _ in range(times(ci=2, short=4, long=40)):
            with home.open() as log:
                truth.grow(log, 60, near=6, far=6, poison=1)
            home.project_to_the_end()
        until(lambda: len(joined) > 1, "the stranger was a member")
    finally:
        over.set()
        thread.join(60)
    row.runs = len(joined)
    assert_whole(home, truth)


@pytest.mark.form(ci="kafka")
def test_markers_and_holes_at_the_tail(home, bootstrap, prefix, row, dice, unique, times):
    """Transactions that were committed and aborted end every partition: the end is reached all the same."""
    row.fault = "transaction markers and aborted records at the tail"
    truth = Truth(dice=dice, partitions=1)
    markers = 0
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": unique("transactions")})
    producer.init_transactions(30)
    with home.open() as log:
        truth.grow(log, 30)
    for _ in range(times(ci=2, short=4, long=20)):
        fresh = [next(truth._fresh) for _ in range(20)]
        for kept in (True, False):
            some = fresh if kept else dice.sample(fresh, 7)
            batch = records(some)
            producer.begin_transaction()
            for topic, value in zip(batch.topics, batch.values, strict=True):
                producer.produce(prefix + topic, value, partition=0)
            producer.flush(30)
            producer.commit_transaction(30) if kept else producer.abort_transaction(30)
            markers += len(set(batch.topics)) + (0 if kept else len(some))
        truth.events += fresh
        truth.records += len(fresh)
        held = truth.records + markers
        with home.open() as log:
            # Markers are written a moment after a transaction was reported as ended.
            until(lambda log=log, held=held: sum(log.end_offsets(TOPICS).values()) == held, "all markers are written")
        home.project_to_the_end()
        row.runs += 2
    assert_whole(home, truth, markers=markers)


def test_holes_that_compaction_left(home, bootstrap, prefix, row, dice):
    """Somebody has set cleanup.policy=compact: what is left is folded, and the holes hold nothing up."""
    row.fault = "holes that the broker's log compaction left"
    truth = Truth(dice=dice, partitions=1)
    with home.open() as log:
        truth.grow(log, 200)
        admin = AdminClient({"bootstrap.servers": bootstrap})
        settings = {"cleanup.policy": "compact", "segment.ms": "50", "min.cleanable.dirty.ratio": "0.001"}
        settings |= {"max.compaction.lag.ms": "1", "delete.retention.ms": "0", "min.compaction.lag.ms": "0"}
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, prefix + CHAT, incremental_configs=entries)
        admin.incremental_alter_configs([resource])[resource].result(30)
        left = []

        def compacted():
            # The newest segment is never compacted, and it needs a record to be closed.
            with log.writer() as writer:
                writer.append(CHAT, b"filler", b"filler", partition=0)
            time.sleep(0.3)
            left[:] = _read(log)
            return log.end_offsets([CHAT])[(CHAT, 0)] - len(left) > 20

        until(compacted, "the broker compacts")
        admin.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, prefix + CHAT, incremental_configs=[_keep()])]
        )
        time.sleep(1.0)
        left[:] = _read(log)
        ends = log.end_offsets(TOPICS)
    chats = {value for value in left if value != b"filler"}
    gone = {event.event_id for event in truth.events if event.channel == "chat" and _value(event) not in chats}
    truth.events = [event for event in truth.events if event.event_id not in gone]
    truth.bad = sum(value == b"filler" for value in left)
    truth.records = len(left) + sum(end for at, end in ends.items() if at.topic != CHAT)
    row.runs = ends[(CHAT, 0)] - len(left)
    home.project_to_the_end()
    assert gone
    assert_whole(home, truth, markers=row.runs)


def _keep():
    return ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)


def _value(event):
    return records([event]).values[0]


def _read(log):
    positions, end, values = {(CHAT, 0): 0}, log.end_offsets([CHAT])[(CHAT, 0)], []
    from log.log import TopicPartition

    at = TopicPartition(CHAT, 0)
    with log.reader({at: 0}) as reader:
        while positions.get(at, 0) < end:
            batch = reader.poll(1000, 10)
            values += batch.values
            positions |= batch.next_positions
    return values
