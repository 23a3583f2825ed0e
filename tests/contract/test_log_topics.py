"""Topics, offsets and prefixes, in both homes."""

import time

import pytest

from log.log import Position, TopicPartition
from schemas.errors import ConfigurationError
from tests.contract.conftest import PARTITIONS, Told, read_all


def test_create_topics_creates_what_is_missing(real_home, log):
    first, second = real_home.unique("a"), real_home.unique("b")
    assert log.create_topics([first], 3) == [first]

    assert log.create_topics([first, second], 5) == [second]

    assert log.create_topics([first, second], 5) == []
    assert {first, second} <= log.topics().keys()
    assert len(log.end_offsets([first])) == 3, "topics that exist keep their partitions"
    assert len(log.end_offsets([second])) == 5


def test_a_topic_needs_a_partition(log, home):
    with pytest.raises(ConfigurationError, match="partition"):
        log.create_topics([home.unique("a")], 0)


def test_every_topic_has_an_identity_that_ends_with_it(real_home, log):
    topic, other = real_home.topic(log), real_home.topic(log)
    before = log.topics()
    assert before[topic] != before[other]
    assert real_home.open().topics()[topic] == before[topic]

    log.delete_topics([topic, real_home.unique("never")])
    deadline = time.monotonic() + 20
    while topic in log.topics() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert topic not in log.topics()
    log.create_topics([topic], PARTITIONS)

    assert log.topics()[topic] != before[topic]
    assert set(log.end_offsets([topic]).values()) == {0}


def test_offsets_of_an_empty_topic_are_zero_and_of_a_missing_one_are_absent(home, log, topic):
    empty = {TopicPartition(topic, partition): 0 for partition in range(PARTITIONS)}

    assert log.begin_offsets([topic, home.unique("missing")]) == empty
    assert log.end_offsets([topic, home.unique("missing")]) == empty
    assert log.end_offsets([]) == {}


def test_end_offsets_are_where_the_next_record_goes(log, topic):
    with log.writer() as writer:
        for _ in range(3):
            writer.append(topic, b"k", b"v", partition=2)

    assert log.begin_offsets([topic])[TopicPartition(topic, 2)] == 0
    assert log.end_offsets([topic]) == {
        TopicPartition(topic, partition): 3 if partition == 2 else 0 for partition in range(PARTITIONS)
    }


def test_a_prefix_keeps_environments_apart(real_home):
    one, two = (real_home.open(query=f"?prefix={real_home.unique(name)}.") for name in ("one", "two"))
    with one, two:
        one.create_topics(["interactions.chat"], 1)
        two.create_topics(["interactions.chat", "interactions.post"], 2)
        told = Told()
        with one.writer() as writer:
            writer.append("interactions.chat", b"k", b"one", delivered=told.about("it"))

        assert one.topics().keys() == {"interactions.chat"}
        assert two.topics().keys() == {"interactions.chat", "interactions.post"}
        assert one.topics()["interactions.chat"] != two.topics()["interactions.chat"]
        assert told.outcomes["it"] == [Position("interactions.chat", 0, 0)]
        assert [(read.at, read.value) for read in read_all(one, "interactions.chat")] == [
            (TopicPartition("interactions.chat", 0), b"one")
        ]
        assert read_all(two, "interactions.chat", "interactions.post") == []
        one.delete_topics(["interactions.chat"])
        assert "interactions.chat" in two.topics()
