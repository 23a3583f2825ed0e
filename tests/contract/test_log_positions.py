"""Positions that are not in the log, in both homes: never skipped over, never silently reset."""

import time

import pytest

from log.log import TopicPartition
from schemas.errors import ConfigurationError, LogError, LogUnavailable, OffsetBeyondEnd, RetentionLost, TopicRecreated
from tests.contract.conftest import PARTITIONS, read_all, rows


@pytest.fixture
def ten(log, topic):
    """A partition with ten records."""
    with log.writer() as writer:
        for number in range(10):
            writer.append(topic, b"k", b"%d" % number, partition=0)
    return TopicPartition(topic, 0)


def test_the_end_is_a_position_like_any_other(log, ten):
    with log.reader({ten: 10}) as reader:
        assert len(reader.poll(10, 0.3)) == 0
        with log.writer() as writer:
            writer.append(ten.topic, b"k", b"next", partition=0)
        assert reader.poll(10, 20.0).values == [b"next"]


def test_a_position_beyond_the_end_is_an_error_that_stays(log, ten):
    with log.reader({ten: 13}) as reader:
        for _ in range(2):
            with pytest.raises(OffsetBeyondEnd, match="ends at offset 10, 3 records before 13"):
                reader.poll(10, 20.0)


def test_a_position_before_the_beginning_is_an_error_that_stays(real_home, log, ten):
    log.delete_records({ten: 4})
    assert log.begin_offsets([ten.topic])[ten] == 4
    assert log.end_offsets([ten.topic])[ten] == 10

    with log.reader({ten: 1}) as reader:
        for _ in range(2):
            with pytest.raises(RetentionLost, match="begins at offset 4: 3 records from 1 on"):
                reader.poll(10, 20.0)
    with log.reader({ten: 4}) as reader:
        assert reader.poll(10, 20.0).offsets == [4, 5, 6, 7, 8, 9]


def test_a_partition_can_be_emptied_and_goes_on_where_it_was(real_home, log, ten):
    log.delete_records({ten: 99})
    assert log.begin_offsets([ten.topic])[ten] == log.end_offsets([ten.topic])[ten] == 10

    with log.writer() as writer:
        writer.append(ten.topic, b"k", b"next", partition=0)

    assert [(read.offset, read.value) for read in read_all(log, ten.topic)] == [(10, b"next")]


def test_records_of_a_partition_that_does_not_exist_are_not_deleted(real_home, log, ten):
    with pytest.raises(ConfigurationError, match="partition"):
        log.delete_records({TopicPartition(ten.topic, PARTITIONS): 1})


def test_a_bad_position_hides_no_record_of_another_partition(log, ten):
    """Whatever comes before the error is part of a batch or comes again: nothing is between the two."""
    other = TopicPartition(ten.topic, 1)
    with log.writer() as writer:
        for number in range(5):
            writer.append(ten.topic, b"k", b"%d" % number, partition=1)
    read = []

    def read_on():
        with log.reader({ten: 50, other: 0}) as reader:
            while True:
                read.extend(record.offset for record in rows(reader.poll(10, 5.0)))

    with pytest.raises(OffsetBeyondEnd):
        read_on()
    assert read == list(range(len(read)))


def test_a_partition_that_does_not_exist_has_no_reader(log, ten):
    for partition in (PARTITIONS, -1):
        with pytest.raises(ConfigurationError, match="partition"):
            log.reader({ten: 0, TopicPartition(ten.topic, partition): 0})


def _poll_until_stopped(reader):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            reader.poll(100, 0.5)
        except LogUnavailable:
            continue
    pytest.fail("the reader noticed nothing")


def test_a_deleted_topic_stops_its_readers(real_home, log, ten):
    with log.reader({ten: 0}) as reader:
        assert len(reader.poll(10, 20.0)) == 10
        log.delete_topics([ten.topic])

        with pytest.raises(LogError, match="deleted"):
            _poll_until_stopped(reader)


def test_a_recreated_topic_stops_its_readers(real_home, log, ten):
    with log.reader({ten: 0}) as reader:
        assert len(reader.poll(10, 20.0)) == 10
        log.delete_topics([ten.topic])
        deadline = time.monotonic() + 20
        while ten.topic in log.topics() and time.monotonic() < deadline:
            time.sleep(0.05)
        log.create_topics([ten.topic], PARTITIONS)
        with log.writer() as writer:
            for _ in range(30):
                writer.append(ten.topic, b"k", b"another", partition=0)

        with pytest.raises(TopicRecreated):
            _poll_until_stopped(reader)
