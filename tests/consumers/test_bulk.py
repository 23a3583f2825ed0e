"""A replay writes batches as sorted runs and builds states last: the store is that of a fold in tails."""

import random

import pytest

from consumers import ahead
from consumers.replay import fold_again
from projections.compaction import Compaction
from projections.exchange import next_of
from projections.store import Store
from tests.consumers.poison import POISON
from tests.consumers.publishing import append, publish
from tests.consumers.test_replay import ends_of
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.projections.test_compaction import parts, staging
from tests.strategies import random_log

_SMALL = {"batch_size": 9, "compact_after": 70}
"""A log of a few hundred events is several batches, each of them a run."""


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    """Batches that are read in pieces, as large ones are."""
    monkeypatch.setattr(ahead, "_AT_ONCE", 25)


@pytest.fixture
def log(home):
    with home.open() as opened:
        yield opened


def built(store):
    """Names of projections that have a state of their own."""
    store.forget_parts()
    return {one.name for one in store.folded() if store.parts(one.schema)}


@pytest.mark.parametrize("seed", [211, 212, 213])
def test_all_views_are_those_of_the_oracle(home, log, seed):
    events = random_log(seed, 320)
    again = random.Random(seed).sample(events, 60)
    publish(log, [*events, *again])
    ends = ends_of(log, 380)
    done = fold_again(log, home.store, REGISTRY, ends, **_SMALL)

    assert (done.read, done.applied, done.duplicates, done.lag) == (380, 320, 60, 0)
    with Store.open(home.store) as store:
        assert store.batch >= 4
        assert parts(store), "batches are runs"
        (tail,) = store.tails()
        assert store.con.sql(f"FROM {tail.table}").fetchall() == [], "and nothing is in the tail"
        for run in (part for part in store.parts("store", "events") if part.kind == "run"):
            rows = store.con.sql(f"SELECT contact_point_id, epoch_us(occurred_at) FROM {run.table} ORDER BY rowid")
            assert (found := rows.fetchall()) == sorted(found)
        assert built(store) == {one.name for one in store.folded()}
        assert staging(store.con) == 0
        assert_equal(store, events)


def test_what_comes_later_goes_into_the_tail_as_ever(home, log):
    first, second = random_log(214, 200), random_log(215, 150)
    publish(log, first)
    fold_again(log, home.store, REGISTRY, ends_of(log, 200), **_SMALL)
    publish(log, second)
    fold_again(log, home.store, REGISTRY, ends_of(log, 350), batch_size=40)
    with Store.open(home.store) as store:
        assert_equal(store, [*first, *second])
        Compaction(store, after=1).finish()
        assert_equal(store, [*first, *second])


@pytest.mark.parametrize("rounds", [3, 5, 8])
def test_stopped_it_goes_on_and_states_are_built_once_all_is_read(home, log, rounds):
    events = random_log(216, 300)
    publish(log, events)
    ends = ends_of(log, 300)
    left = iter(range(rounds))
    done = fold_again(log, home.store, REGISTRY, ends, **_SMALL, stop=lambda: next(left, None) is None)
    assert done.lag == 300 - done.read
    assert done.lag or rounds > 3, "the first is stopped before it has read everything"
    with Store.open(home.store) as store:
        assert not done.lag or not built(store)
        known = {row[0] for row in store.con.execute("SELECT event_id FROM touchlog.interactions").fetchall()}
        assert_equal(store, [event for event in events if event.event_id in known])
    assert fold_again(log, home.store, REGISTRY, ends, **_SMALL).read == 300 - done.read
    with Store.open(home.store) as store:
        assert built(store)
        assert_equal(store, events)


def test_many_runs_become_one_of_the_next_level(home, log):
    events = random_log(217, 400)
    publish(log, events)
    fold_again(log, home.store, REGISTRY, ends_of(log, 400), batch_size=2, compact_after=20)
    with Store.open(home.store) as store:
        assert max(parts(store)) >= 1
        assert_equal(store, events)


def test_poison_is_parked_and_the_rest_of_its_batch_is_in_the_run(home, log):
    events = random_log(218, 200)
    publish(log, events)
    chat = next(event for event in events if event.channel == "chat")
    for poison in POISON.values():
        value, headers = poison.make(chat)
        append(log, "interactions.chat", [value], headers)
    done = fold_again(log, next_of(home.store), REGISTRY, ends_of(log, 200 + len(POISON)), **_SMALL)
    assert (done.applied, done.parked) == (200, len(POISON))
    with Store.open(next_of(home.store)) as store:
        assert len(parts(store)) >= 1
        assert_equal(store, events)
