"""A broker that dies and comes back: readers and writers go on, and nothing is lost or skipped."""

import random
import threading
import time
from contextlib import suppress

import pytest

from log.kafka import KafkaLog
from log.log import TopicPartition
from schemas.errors import DeliveryFailed, LogUnavailable
from tests.kafka.broker import JavaBroker
from tests.kafka.java import NotAvailable

pytestmark = [pytest.mark.kafka, pytest.mark.broker]


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


def _poll_through(reader, count):
    """Values of `count` records, trying again whenever the log is unavailable."""
    values, deadline = [], time.monotonic() + 60
    while len(values) < count and time.monotonic() < deadline:
        with suppress(LogUnavailable):
            values += reader.poll(100, 0.5).values
    return values


def _becomes_unavailable(reader):
    """Whether the reader says so, instead of going on as if there were no records."""
    try:
        for _ in range(20):
            assert len(reader.poll(100, 0.5)) == 0
    except LogUnavailable:
        return True
    return False


def test_reader_and_writer_outlive_a_broker_that_is_killed(mortal):
    told = []
    with KafkaLog(mortal.bootstrap, timeout=5.0) as log:
        log.create_topics(["topic"], 1)
        at = TopicPartition("topic", 0)
        with log.reader({at: 0}) as reader, log.writer() as writer:
            for number in range(500):
                writer.append("topic", b"k", b"%d" % number, delivered=lambda *outcome: told.append(outcome))
            assert writer.flush() == 0
            values = _poll_through(reader, 500)

            mortal.kill()
            for number in range(500, 1000):
                writer.append("topic", b"k", b"%d" % number, delivered=lambda *outcome: told.append(outcome))
            assert writer.flush(0.5) == 500
            assert _becomes_unavailable(reader)
            again = threading.Timer(1.0, mortal.start)
            again.start()
            assert writer.flush(60) == 0
            again.join()
            values += _poll_through(reader, 500)
            ends = log.end_offsets(["topic"])

    assert [error for _, error in told] == [None] * 1000
    assert sorted(position.offset for position, _ in told) == list(range(1000))
    assert values == [b"%d" % number for number in range(1000)]
    assert ends == {at: 1000}


def test_a_reader_goes_on_exactly_where_the_broker_left_it(mortal):
    sent = [random.Random(number).randbytes(1000) for number in range(5000)]
    # Little is fetched ahead, so that most of it comes from the broker's second life.
    options = {"fetch.message.max.bytes": "20000", "queued.max.messages.kbytes": "50"}
    with KafkaLog(mortal.bootstrap, options, timeout=5.0) as log:
        log.create_topics(["topic"], 1)
        with log.writer() as writer:
            for value in sent:
                writer.append("topic", b"k", value, partition=0)
        with log.reader({TopicPartition("topic", 0): 0}) as reader:
            values = reader.poll(70, 20.0).values
            mortal.kill()
            again = threading.Timer(1.0, mortal.start)
            again.start()
            values += _poll_through(reader, 5000 - len(values))
        again.join()

    assert values == sent


def test_records_that_are_never_acknowledged_are_told_of_and_raised(mortal):
    told = []
    with KafkaLog(mortal.bootstrap, {"message.timeout.ms": "1500"}, timeout=5.0) as log:
        log.create_topics(["topic"], 1)
        writer = log.writer()
        writer.append("topic", b"k", b"first")
        assert writer.flush() == 0
        mortal.kill()

        writer.append("topic", b"k", b"told", delivered=lambda *outcome: told.append(outcome))
        writer.append("topic", b"k", b"not told")
        with pytest.raises(DeliveryFailed, match="1 records"):
            writer.flush(30)
        writer.close()

    ((position, error),) = told
    assert position is None
    assert isinstance(error, DeliveryFailed)
    assert "topic" in str(error)
