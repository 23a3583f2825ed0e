"""Ids seen are a dict from id to the earliest time, whatever the order of adding, finding, lowering."""

from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.ids import Ids
from consumers.seen import SeenIds, earliest

# Few halves, so that ids with equal high halves are the rule.
_ids = st.tuples(st.sampled_from([0, 1, 7, 2**64 - 1]), st.integers(0, 11)).map(
    lambda halves: UUID(int=halves[0] << 64 | halves[1])
)
_batches = st.lists(st.tuples(_ids, st.integers(-5, 5)), max_size=12)


def _arrays(pairs):
    return Ids.of([uuid for uuid, _ in pairs]), np.array([moment for _, moment in pairs], np.int64)


@settings(max_examples=200)
@given(st.lists(_batches, max_size=12))
def test_the_same_as_a_dict(batches):
    seen, model = SeenIds(), {}
    for batch in batches:
        ids, times, _ = earliest(*_arrays(batch))
        known, before = seen.find(ids)
        assert known.tolist() == [uuid in model for uuid in ids.to_uuids()]
        assert before.tolist() == [model.get(uuid, 0) for uuid in ids.to_uuids()]

        lower = known & (times < before)
        seen.lower(ids.where(lower), times[lower])
        seen.add(ids.where(~known), times[~known])
        for uuid, moment in batch:
            model[uuid] = min(moment, model.get(uuid, moment))
        assert len(seen) == len(model)
    # Asked for in any order, with strangers among them.
    everybody = [*model, *(UUID(int=99 << 64 | number) for number in range(3))]
    found, times = seen.find(Ids.of(everybody[::-1]))
    assert found.tolist() == [uuid in model for uuid in everybody[::-1]]
    assert times.tolist() == [model.get(uuid, 0) for uuid in everybody[::-1]]


@given(_batches)
def test_read_at_once_is_the_same_as_added_bit_by_bit(batch):
    ids, times, _ = earliest(*_arrays(batch))
    whole = SeenIds(ids, times)
    bits = SeenIds()
    for place in range(len(ids)):
        bits.add(ids.slice(place, place + 1), times[place : place + 1])
    for seen in (whole, bits):
        found, moments = seen.find(ids)
        assert found.all()
        assert moments.tolist() == times.tolist()


@given(_batches)
def test_earliest_names_each_id_once_with_a_row_that_holds_it(batch):
    ids, times, rows = earliest(*_arrays(batch))
    model = {}
    for uuid, moment in batch:
        model[uuid] = min(moment, model.get(uuid, moment))
    assert dict(zip(ids.to_uuids(), times.tolist(), strict=True)) == model
    assert ids.to_uuids() == sorted(model)
    assert [batch[row] for row in rows] == list(zip(ids.to_uuids(), times.tolist(), strict=True))


def test_few_runs_whatever_is_added():
    """Finding walks the runs, so there may never be many."""
    seen = SeenIds()
    dice = np.random.default_rng(1)
    for _ in range(300):
        count = int(dice.integers(1, 50))
        ids = Ids(dice.integers(0, 2**64, count, np.uint64), dice.integers(0, 2**64, count, np.uint64))
        seen.add(ids, np.zeros(count, np.int64))
    assert len(seen._runs) <= 16
