"""Records that cannot be folded: each is parked whole, and nothing beside it suffers."""

import pytest

from projections.store import Store
from schemas.topics import topic_of
from tests.consumers.poison import POISON, framed
from tests.consumers.publishing import publish
from tests.faults.checks import Truth, assert_whole

_BIG = {"message.max.bytes": str(12_000_000)}


def _letters(home):
    with Store.open(home.store) as store:
        return store.con.execute("SELECT stage, error_class, value, topic FROM store.dead_letters").fetchall()


@pytest.mark.form(ci="embedded")
def test_every_sort_of_poison(home, row, dice):
    """Among good events, by the real command; with a tombstone and a record of ten megabytes."""
    row.fault = "every sort of poison, one of 10 MB"
    truth = Truth(dice=dice)
    event = truth._chat[0]
    made = [poison.make(event) for poison in POISON.values()]
    ten_megabytes = dice.randbytes(10_000_000)
    with home.open(**(_BIG if home.log == "kafka" else {})) as log:
        truth.grow(log, 100, near=20)
        truth.spoil(log, [*made, (framed(event)[:5] + ten_megabytes, ()), (ten_megabytes, ())])
        truth.grow(log, 100, far=20)
    home.project_to_the_end()

    parked = sorted((stage, error) for stage, error, _, _ in _letters(home))
    expected = [(poison.stage, poison.error) for poison in POISON.values()]
    assert parked == sorted([*expected, ("decode", "UndecodableRecord"), ("frame", "UndecodableRecord")])
    values = {bytes(value) for _, _, value, _ in _letters(home) if value is not None}
    assert {value for value, _ in made if value is not None} <= values, "whole"
    row.runs = truth.bad
    assert_whole(home, truth)


@pytest.mark.form(short="embedded")
@pytest.mark.parametrize("batch", [50, 10_000])
def test_a_batch_of_nothing_but_poison(home, row, dice, batch):
    row.fault = f"nothing but poison, batches of {batch:,}"
    home.batch = batch
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 0, poison=300)
        home.fold_here()
        assert len(_letters(home)) == 300
        truth.grow(log, 60)
        truth.grow(log, 0, poison=200)
    home.fold_here()
    row.runs = truth.bad
    assert_whole(home, truth)


@pytest.mark.form(short="embedded")
def test_one_bad_record_in_ten_thousand(home, row, dice):
    """Of one batch: it alone is parked, with where it was and what was wrong."""
    row.fault = "one bad record in 10,000"
    home.batch, home.compact_after = 20_000, 10**9
    truth = Truth(dice=dice, partitions=1)
    chat = truth._chat[0]
    bad = POISON["truncated"].make(chat)
    drawn = [next(truth._fresh) for _ in range(2500)]
    with home.open() as log:
        truth.add(log, drawn)
        truth.records += publish(log, dice.choices(drawn, k=3500), partitions=1)
        truth.spoil(log, [bad])
        truth.records += publish(log, dice.choices(drawn, k=3999), partitions=1)
    home.fold_here()
    ((stage, error, value, topic),) = _letters(home)
    assert (stage, error, bytes(value), topic) == ("decode", "UndecodableRecord", bad[0], topic_of("chat"))
    row.runs = 1
    assert_whole(home, truth)
