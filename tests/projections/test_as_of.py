"""As of two times: the answers are those of a fold of just the events that had happened and were known."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections.as_of import Cut, copy_whole, cut_of
from projections.card import Cards
from projections.compaction import Compaction
from projections.store import Store
from tests.folding import REGISTRY, fold, records
from tests.habits import NOW
from tests.projections.test_against_oracle import assert_equal, cut
from tests.projections.test_card import plain, rows
from tests.strategies import random_log


def folded(path, batches, *, compact_after=150):
    """A store, and for every batch the events that were first known by it."""
    store = Store.open(path)
    folder, compaction = Folder(store), Compaction(store, after=compact_after)
    preparer = Preparer(Decoder(REGISTRY))
    known = {}
    for events in batches:
        if not events:
            continue
        compaction.appended(folder.fold(preparer.prepare(records(events))).applied)
        compaction.finish()
        known[store.batch] = list(events)
    return store, known


def just(known, at):
    return [
        event
        for batch, events in known.items()
        for event in events
        if (at.batch is None or batch <= at.batch) and (at.happened is None or event.occurred_at <= at.happened)
    ]


def cuts(pick, events, known):
    moments = sorted(event.occurred_at for event in events)
    for _ in range(3):
        yield Cut(happened=pick.choice(moments), batch=pick.choice([None, *known]))
    yield Cut(batch=pick.choice(list(known)))


@pytest.mark.parametrize("seed", [1, 2])
def test_all_views_are_those_of_a_fold_of_just_the_events(tmp_path, seed):
    pick = random.Random(seed)
    events = random_log(40 + seed, 500)
    pick.shuffle(events)
    store, known = folded(tmp_path / "views.duckdb", cut(events, pick, 12))
    for number, at in enumerate(cuts(pick, events, known)):
        with Store.open(tmp_path / f"{number}.duckdb") as then:
            copy_whole(store.cursor(), then, at)
            assert_equal(then, just(known, at))


@pytest.mark.parametrize("seed", [4])
def test_a_card_is_that_of_a_fold_of_just_the_events(tmp_path, seed):
    pick = random.Random(seed)
    events = random_log(40 + seed, 700)
    pick.shuffle(events)
    store, known = folded(tmp_path / "views.duckdb", cut(events, pick, 10))
    con, cards, scratch = store.cursor(), Cards(), Cards()
    for number, at in enumerate(cuts(pick, events, known)):
        with fold(tmp_path / f"{number}.duckdb", [just(known, at)]) as then:
            people = rows(then.con, "SELECT contact_points FROM touchlog.customers_at(?) ORDER BY 1", NOW)
            assert people
            for person in pick.sample(people, min(12, len(people))):
                key = pick.choice(person["contact_points"])
                found, expected = cards.card(con, key, NOW, at), scratch.card(then.cursor(), key, NOW)
                assert found is not None
                for name in {*found, *expected}:
                    one, other = found.get(name), expected.get(name)
                    assert plain(one) == plain(other) if isinstance(one, list) else one == other, (key, name)


def test_who_had_not_come_yet_has_no_card(tmp_path):
    events = sorted(random_log(46, 60), key=lambda event: event.occurred_at)
    with fold(tmp_path / "views.duckdb", [events]) as store:
        before = Cut(happened=events[0].occurred_at - timedelta(seconds=1))
        assert Cards().card(store.cursor(), events[0].primary.key, NOW, before) is None
        assert Cards().card(store.cursor(), events[0].primary.key, NOW) is not None


def test_what_was_known_by_a_time_is_the_batches_committed_by_then(tmp_path):
    store, _ = folded(tmp_path / "views.duckdb", [random_log(47, 20), random_log(48, 20)])
    con = store.cursor()
    [(first,), (second,)] = con.execute("SELECT epoch_us(committed_at) FROM store.batches ORDER BY batch").fetchall()

    def known(micros):
        return cut_of(con, happened=None, known=datetime.fromtimestamp(micros / 1e6, UTC)).batch

    assert [known(first - 10), known(first + 10), known(second + 10)] == [0, 1, 2]
    assert cut_of(con, happened=NOW, known=None) == Cut(happened=NOW)
