"""Records as producers really send them: again and again, and by clocks that are wrong."""

import time
from datetime import timedelta

import pytest

from schemas.codec import encode, micros
from schemas.topics import TOPICS, topic_of
from tests.faults.checks import Truth, assert_whole
from tests.folding import REGISTRY


@pytest.mark.form(ci="embedded")
@pytest.mark.parametrize("batch", [17, 10_000])
def test_duplicates_within_a_batch_and_far_beyond(home, row, dice, times, batch):
    row.fault = f"duplicates, batches of {batch:,}"
    home.batch = batch
    truth = Truth(dice=dice)
    for _ in range(times(ci=2, short=3, long=20)):
        with home.open() as log:
            truth.grow(log, 80, near=80, far=80)
        home.fold_here()
    row.runs = truth.records - len(truth.events)
    assert row.runs > len(truth.events)
    assert_whole(home, truth)


@pytest.mark.form(ci="kafka")
def test_clocks_that_are_a_day_off(home, row, dice):
    """Vendors' clocks and the broker's: records are stamped a day early and a day late, and none is refused."""
    row.fault = "clocks a day off"
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 50)
        drawn = [next(truth._fresh) for _ in range(200)]
        log.create_topics(TOPICS, truth.partitions)
        told = []
        with log.writer() as writer:
            for event in drawn:
                off = timedelta(days=dice.choice((-1, 0, 1)))
                skewed = event.model_copy(update={"observed_at": event.observed_at + off})
                schema_id, schema = REGISTRY.current(event.channel)
                value = encode(skewed, schema_id=schema_id, schema=schema)
                now = _now() + int(off.total_seconds() * 1000)
                stamp = dice.choice((now, micros(skewed.occurred_at) // 1000))
                writer.append(
                    topic_of(event.channel),
                    event.primary.key.encode(),
                    value,
                    timestamp=stamp,
                    delivered=lambda _, error: told.append(error),
                )
            assert writer.flush(60) == 0
        assert told == [None] * len(drawn), (
            "a broker refuses records that are far from its own clock unless told not to"
        )
        truth.events += drawn
        truth.records += len(drawn)
    row.runs = len(drawn)
    home.fold_here()
    assert_whole(home, truth)


def _now():
    return time.time_ns() // 1_000_000
