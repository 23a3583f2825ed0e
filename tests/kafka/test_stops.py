"""What ends a projector while it runs on a real Kafka, whose client reads ahead and looks at topics now and then."""

import time

import pytest

from consumers.projector import Projector
from log.kafka import KafkaLog
from log.log import TopicPartition
from projections.store import Store
from schemas.errors import LogError, RetentionLost, TopicRecreated
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import append, publish
from tests.consumers.test_stops import in_time, missing_of, once
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

pytestmark = [pytest.mark.kafka, pytest.mark.broker]

CHAT = topic_of("chat")
# The client itself reads little ahead, so that most of a backlog is still the broker's.
SMALL = {"fetch.message.max.bytes": "1000", "queued.max.messages.kbytes": "10", "queued.min.messages": "1"}


@pytest.fixture
def prefix(unique):
    return unique("stops") + "."


@pytest.fixture
def log(real_kafka, prefix):
    with KafkaLog(real_kafka.bootstrap, SMALL, namespace=prefix) as log:
        yield log


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


def test_records_deleted_under_a_live_projector_are_counted(real_kafka, log, store, prefix):
    publish(log, random_log(171, 3000), partitions=1)

    def delete():
        with KafkaLog(real_kafka.bootstrap, namespace=prefix) as another:
            another.delete_records({at: end - 2 for at, end in another.end_offsets(TOPICS).items()})

    look = once(lambda progress: progress.read > 0, delete)
    with pytest.raises(RetentionLost, match=r"set retention\.ms=-1.*delete the store.*touchlog project") as told:
        Projector(log, store, REGISTRY, batch_size=20, on_progress=look).run(stop=in_time(60))
    counts, total = missing_of(told.value)
    begins = log.begin_offsets(TOPICS)
    assert counts == {at: begins[at] - offset for at, offset in store.positions().items() if offset < begins[at]}
    assert total == sum(counts.values()) > 1000


def test_records_deleted_behind_a_live_projector_are_not_missed(real_kafka, log, store, prefix):
    events = random_log(172, 400)
    publish(log, events[:300], partitions=1)

    def delete():
        with KafkaLog(real_kafka.bootstrap, namespace=prefix) as another:
            another.delete_records(another.end_offsets(TOPICS))
            publish(another, events[300:])

    look = once(lambda progress: progress.state == "idle" and progress.read == 300, delete)
    projector = Projector(log, store, REGISTRY, on_progress=look)
    late = in_time(60)
    done = projector.run(stop=lambda: projector._progress.read == 400 or late())
    assert (done.read, done.applied) == (400, 400)
    assert_equal(store, events)


def test_a_topic_made_again_with_more_records_is_not_read_on_in_the_middle(real_kafka, log, store, prefix):
    """The position exists in the new topic, too, so only its identity tells."""
    publish(log, random_log(173, 200), partitions=1)

    def recreate():
        with KafkaLog(real_kafka.bootstrap, namespace=prefix) as another:
            another.delete_topics([CHAT])
            deadline = time.monotonic() + 20
            while CHAT not in another.create_topics([CHAT], 1):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            append(another, CHAT, [b"x"] * 500)

    look = once(lambda progress: progress.state == "idle", recreate)
    with pytest.raises(TopicRecreated, match=rf"topic {CHAT} was deleted and made again since it was folded \(it was"):
        Projector(log, store, REGISTRY, on_progress=look).run(stop=in_time(60))


def test_a_topic_deleted_under_a_live_projector_ends_it(real_kafka, log, store, prefix):
    publish(log, random_log(174, 200), partitions=1)

    def delete():
        with KafkaLog(real_kafka.bootstrap, namespace=prefix) as another:
            another.delete_topics([CHAT])

    look = once(lambda progress: progress.state == "idle", delete)
    with pytest.raises(LogError, match=rf"topic {CHAT} is in the store, not in the log.*restore the topic") as told:
        Projector(log, store, REGISTRY, on_progress=look).run(stop=in_time(60))
    assert not isinstance(told.value, TopicRecreated)
    assert TopicPartition(CHAT, 0) in store.positions()
