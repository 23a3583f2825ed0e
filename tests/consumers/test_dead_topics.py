"""Parked records on topics of their own, in both homes of the log: after the commit, none left out, whole."""

import threading
import time

import pytest

from consumers.dead_topics import DeadTopics
from consumers.projector import Projector
from log.log import TopicPartition
from projections.store import Store
from schemas.errors import LogUnavailable
from schemas.topics import DEAD_TOPICS, STREAMS, TOPICS, stream_of, topic_of
from tests.consumers.poison import POISON
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY
from tests.strategies import random_log

CHAT = topic_of("chat")
DEAD = CHAT + ".dead"
HEADERS = [("trace", b"\x00\xff"), ("trace", b"again")]


def read_all(log, topics):
    """Every record of the topics: (topic, key, value, headers, timestamp), and how many there are."""
    begins, ends = log.begin_offsets(topics), log.end_offsets(topics)
    found = []
    if not ends:
        return found
    with log.reader(begins) as reader:
        deadline = time.monotonic() + 30
        while len(found) < sum(ends.values()) - sum(begins.values()):
            assert time.monotonic() < deadline
            batch = reader.poll(1000, 1.0)
            found += zip(batch.topics, batch.keys, batch.values, batch.headers, batch.timestamps, strict=True)
    return found


def run(home, **options):
    return home.run(dead_letter_topic=True, partitions=2, **options)


def published(home):
    with Store.open(home.store) as store:
        return store.con.execute("SELECT batch, records FROM store.published ORDER BY batch").fetchall()


def test_every_topic_has_one_and_none_is_taken_for_one_of_events():
    assert len(DEAD_TOPICS) == len(STREAMS)
    for topic in DEAD_TOPICS:
        assert topic not in TOPICS
        with pytest.raises(ValueError, match="not a touchlog topic"):
            stream_of(topic)


def test_what_is_parked_is_published_whole_with_connects_headers(home):
    events = random_log(401, 60)
    event = next(one for one in events if one.channel == "chat")
    off_the_scale = POISON["off the scale"].make(event)[0]
    with home.open() as log:
        publish(log, events, partitions=2)
        at = TopicPartition(CHAT, 1)
        offset = log.end_offsets([CHAT])[at]
        with log.writer() as writer:
            writer.append(CHAT, b"k\xff", off_the_scale, headers=HEADERS, timestamp=1_700_000_000_123, partition=1)
            writer.append(CHAT, None, None, partition=1)
            writer.append(topic_of("email"), b"key", b"\x07no event", partition=0)
            assert writer.flush(30) == 0

    assert run(home).parked == 3

    with home.open() as log:
        found = read_all(log, DEAD_TOPICS)
        assert len(found) == 3
        (checked,) = [one for one in found if one[2] == off_the_scale]
        topic, key, _, headers, timestamp = checked
        assert (topic, key, timestamp) == (DEAD, b"k\xff", 1_700_000_000_123)
        assert list(headers[:2]) == HEADERS
        assert dict(headers[2:]) == {
            "__connect.errors.topic": CHAT.encode(),
            "__connect.errors.partition": b"1",
            "__connect.errors.offset": str(offset).encode(),
            "__connect.errors.connector.name": b"touchlog-views",
            "__connect.errors.task.id": b"0",
            "__connect.errors.stage": b"TRANSFORMATION",
            "__connect.errors.class.name": b"consumers.columns.group_columns",
            "__connect.errors.exception.class.name": b"schemas.errors.InvalidEvent",
            "__connect.errors.exception.message": b"survey.score: not on its scale",
            "touchlog.stage": b"check",
        }
        assert {(one[0], one[1], one[2]) for one in found if one is not checked} == {
            (DEAD, None, None),
            (topic_of("email") + ".dead", b"key", b"\x07no event"),
        }
    # Once, however often it starts.
    run(home)
    with home.open() as log:
        assert len(read_all(log, DEAD_TOPICS)) == 3


def test_unless_asked_for_nothing_is_published_and_no_topic_made(home):
    with home.open() as log:
        publish(log, [])
        append(log, CHAT, [b"\x07"])
    assert home.run().parked == 1
    assert published(home) == []
    with home.open() as log:
        assert not set(DEAD_TOPICS) & set(log.topics())


def test_asked_for_later_it_begins_with_what_was_parked_before(home):
    with home.open() as log:
        publish(log, [])
        append(log, CHAT, [b"\x07%d" % number for number in range(10)])
    home.run(batch_size=3)
    run(home)
    with home.open() as log:
        assert sorted(value for _, _, value, _, _ in read_all(log, DEAD_TOPICS)) == [b"\x07%d" % n for n in range(10)]
        append(log, CHAT, [b"\x07new"])
    run(home)
    with home.open() as log:
        assert len(read_all(log, DEAD_TOPICS)) == 11
    assert sum(records for _, records in published(home)) == 11


def test_a_crash_between_publishing_and_noting_it_repeats_one_batch_and_leaves_none_out(home):
    with home.open() as log:
        publish(log, [])
        append(log, CHAT, [b"\x07%d" % number for number in range(9)])
    # At most three: a fetch from Kafka may bring fewer.
    home.run(batch_size=3)
    with Store.open(home.store) as store:
        parked = [count for (count,) in store.con.execute("SELECT parked FROM store.batches ORDER BY batch").fetchall()]
    parked = [count for count in parked if count]
    assert sum(parked) == 9
    assert len(parked) >= 3

    class Crashed(BaseException):
        pass

    class Dying(DeadTopics):
        left = 2

        def _publish(self, some):
            super()._publish(some)
            self.left -= 1
            if not self.left:
                raise Crashed

    with home.open() as log, Store.open(home.store) as store:
        dying = Dying(log, store, partitions=2)
        with pytest.raises(Crashed):
            dying.finish()
        dying.close()
    assert [records for _, records in published(home)] == parked[:1]
    run(home)
    with home.open() as log:
        values = [value for _, _, value, _, _ in read_all(log, DEAD_TOPICS)]
    assert len(values) == 9 + parked[1]
    assert set(values) == {b"\x07%d" % number for number in range(9)}
    assert [records for _, records in published(home)] == parked


def test_a_log_that_takes_nothing_now_does_not_hold_up_the_fold(home):
    """The dead letters wait; the views go on, and what waited is published by the next run."""
    events = random_log(402, 200)

    class Away(DeadTopics):
        def _append(self, *_):
            raise LogUnavailable("not now")

    with home.open() as log:
        publish(log, events[:100], partitions=2)
        append(log, CHAT, [b"\x07"])
        publish(log, events[100:], partitions=2)
    with home.open() as log, Store.open(home.store) as store:
        projector = Projector(log, store, REGISTRY, batch_size=20, dead_letter_topic=True, partitions=2)
        projector._dead_topics = Away(log, store, partitions=2)
        done = projector.run(until_caught_up=True)
        assert (done.applied, done.parked, done.state) == (200, 1, "caught up")
    assert published(home) == []
    run(home)
    with home.open() as log:
        assert len(read_all(log, DEAD_TOPICS)) == 1


def test_published_while_it_runs_not_only_at_the_end(home):
    with home.open() as log:
        publish(log, [], partitions=2)
    over = threading.Event()
    deadline = time.monotonic() + 60
    with home.open() as log, Store.open(home.store) as store:
        projector = Projector(log, store, REGISTRY, dead_letter_topic=True, partitions=2)

        def watch():
            with home.open() as another:
                append(another, CHAT, [b"\x07live"])
                while not over.is_set() and time.monotonic() < deadline:
                    if sum(another.end_offsets(DEAD_TOPICS).values()):
                        over.set()
                    time.sleep(0.1)

        watching = threading.Thread(target=watch)
        watching.start()
        projector.run(stop=lambda: over.is_set() or time.monotonic() > deadline)
        watching.join()
        assert over.is_set()


def test_a_record_that_is_too_large_with_its_headers_is_published_without_its_value(home):
    if home.url.startswith("embedded"):
        pytest.skip("the embedded log has no largest record")
    from log.kafka import KafkaLog

    servers, _, prefix = home.url.removeprefix("kafka://").partition("?prefix=")
    with home.open() as log:
        publish(log, [], partitions=2)
        append(log, CHAT, [b"\x07" * 5000, b"\x07small"])
    # The dead-letter topics take less than what was parked.
    small = KafkaLog(servers, {"message.max.bytes": "4000"}, namespace=prefix)
    with small as log, Store.open(home.store) as store:
        assert (
            Projector(log, store, REGISTRY, dead_letter_topic=True, partitions=2).run(until_caught_up=True).parked == 2
        )
    with home.open() as log:
        found = read_all(log, DEAD_TOPICS)
    assert sorted((value or b"", dict(headers).get("touchlog.value", b"")) for _, _, value, headers, _ in found) == [
        (b"", b"left out: too large with its new headers"),
        (b"\x07small", b""),
    ]
