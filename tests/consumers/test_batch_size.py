"""A batch is as large as the time that one transaction may take allows, and no larger than was said."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.batch_size import BatchSize
from projections.store import Store
from tests.consumers.publishing import publish
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

MOST = 30_000


def settled(size, cost, *, base=0.0, batches=30):
    """The size after so many full batches, each of which takes `base` seconds and `cost` more for every record."""
    for _ in range(batches):
        size.folded(size.now, base + cost * size.now)
    return size.now


@given(cost=st.floats(1e-6, 1e-3), seconds=st.floats(0.1, 5))
def test_a_full_batch_takes_as_long_as_it_may(cost, seconds):
    size = settled(BatchSize(MOST, seconds=seconds), cost)

    assert size in {MOST, 500} or 0.9 * seconds <= cost * size <= seconds
    assert (size == MOST) <= (cost * MOST <= seconds * 1.001)
    assert (size == 500) <= (cost * 501 >= seconds * 0.999)


def test_what_slowed_it_down_for_a_moment_is_made_good():
    size = BatchSize(MOST, seconds=1.0)

    size.folded(MOST, 60.0)
    assert size.now == MOST // 2
    assert settled(size, 1e-5, batches=2) == MOST


def test_what_comes_slowly_says_nothing():
    size = BatchSize(MOST, seconds=0.5)

    for _ in range(100):
        size.folded(40, 3.0)

    assert size.now == MOST


def test_without_a_bound_on_time_batches_are_as_large_as_was_said():
    assert settled(BatchSize(MOST), 10.0) == MOST
    assert settled(BatchSize(7, seconds=1e-6), 10.0) == 7


def test_a_backlog_is_folded_in_smaller_batches_where_they_take_too_long(home):
    log_events = random_log(48, 4_800)
    with home.open() as log:
        publish(log, log_events)

    home.run(batch_size=800, latency=1e-6)

    with Store.open(home.store) as store:
        read = [count for (count,) in store.con.execute("SELECT read FROM store.batches ORDER BY batch").fetchall()]
        assert sum(read) == 4_800
        assert max(read) > 500 >= read[-1]
        assert_equal(store, log_events)
