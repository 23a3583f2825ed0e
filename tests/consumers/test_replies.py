"""Which threads a reply joins: those that all messages and all answers to them would, by far fewer pairs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consumers.ids import Ids
from consumers.replies import Named, Replies
from tests.oracle.components import components

THREADS = 6
SAID = st.tuples(
    st.sampled_from(("told", "answered")),
    st.integers(0, 1),  # the message
    st.integers(0, THREADS - 1),
    st.integers(0, 9),  # when
)


def named(batch, what):
    """The messages that rows of a batch name in one way: (what, message, thread, when) a row."""
    rows = [row for row, said in enumerate(batch) if said[0] == what]
    high = np.array([batch[row][1] for row in rows], np.uint64)
    low = np.array([batch[row][2] for row in rows], np.uint64)
    return Named(rows=np.array(rows, np.int64), ids=Ids(high, low))


def joined(replies, batch):
    """The pairs that a batch brings: (thread, thread, since)."""
    times = np.array([when for *_, when in batch], np.int64)
    found = replies.take_in(named(batch, "told"), named(batch, "answered"), times)
    return list(zip(found.one.tolist(), found.other.tolist(), found.since.tolist(), strict=True))


def together(pairs):
    return {frozenset(component) for component in components(range(THREADS), pairs)}


@given(st.lists(st.lists(SAID, max_size=6), max_size=6))
def test_after_every_batch_and_at_every_time_they_join_what_all_pairs_would(batches):
    replies, found, said = Replies(), [], []
    for batch in batches:
        found += joined(replies, batch)
        said += batch
        for moment in range(10):
            then = [one for one in said if one[-1] <= moment]
            every = [
                (one[2], other[2])
                for one in then
                for other in then
                if (one[0], other[0]) == ("told", "answered") and one[1] == other[1]
            ]
            assert together([pair[:2] for pair in found if pair[2] <= moment]) == together(every)


def test_a_reference_that_is_everywhere_makes_as_many_pairs_as_threads():
    batch = [(what, 0, thread, thread) for thread in range(500) for what in ("told", "answered")]
    pairs = {frozenset(pair[:2]) for pair in joined(Replies(), batch)}
    assert pairs == {frozenset((0, thread)) for thread in range(1, 500)}


def test_nothing_joins_nothing():
    assert joined(Replies(), []) == []
