"""The views' macros as of two times say what the views of a copy say, which test_as_of.py holds to the oracle."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import as_of
from projections.as_of import Cut, copy_whole
from projections.store import Store
from tests.habits import NOW
from tests.projections.test_against_oracle import cut
from tests.projections.test_as_of import cuts, folded
from tests.projections.test_card import plain, rows
from tests.projections.test_identity import street_log, street_logs
from tests.strategies import random_log

_AS_OF = "(happened_by := ?, known_by := ?)"


def committed(con, batch):
    """When a batch was; None of none."""
    if batch is None:
        return None
    [(micros,)] = con.execute("SELECT epoch_us(committed_at) FROM store.batches WHERE batch = ?", [batch]).fetchall()
    return datetime.fromtimestamp(micros / 1e6, UTC)


def assert_same(store, then, at):
    """Every view's macro, and the same view of a copy of just the events, by the clock of then."""
    known = committed(store.con, at.batch)
    found = 0
    for view in store.live():
        relation, given = (f"{view.name}_at(?)", [at.happened or known]) if view.now else (view.name, [])
        expected = rows(then.con, f"FROM touchlog.{relation}", *given)
        told = rows(store.con, f"FROM touchlog.{view.name}_as_of{_AS_OF}", at.happened, known)
        assert plain(told) == plain(expected), (view.name, at)
        found += len(told)
    return found


@pytest.mark.parametrize("seed", [1])
def test_every_view_as_of_any_cut(tmp_path, seed):
    pick = random.Random(seed)
    events = random_log(60 + seed, 500)
    pick.shuffle(events)
    store, known = folded(tmp_path / "views.duckdb", cut(events, pick, 12))
    for number, at in enumerate(cuts(pick, events, known)):
        with Store.open(tmp_path / f"{number}.duckdb") as then:
            copy_whole(store.cursor(), then, at)
            assert assert_same(store, then, at) > 100


@pytest.mark.parametrize("seed", [3, 4])
def test_who_is_who_where_accounts_compete(tmp_path, seed):
    pick, events = random.Random(seed), street_log(seed, 240)
    pick.shuffle(events)
    store, known = folded(tmp_path / "views.duckdb", cut(events, pick, 8))
    for at in cuts(pick, events, known):
        assert_members(store, at)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(street_logs(), st.randoms(use_true_random=False))
def test_who_is_who_in_random_logs(tmp_path_factory, events, dice):
    if events:
        store, known = folded(tmp_path_factory.mktemp("store") / "views.duckdb", cut(events, dice, 3))
        with store:
            assert_members(store, Cut(happened=dice.choice(events).occurred_at, batch=dice.choice([None, *known])))


def assert_members(store, at):
    """The members of every customer as `projections.as_of` finds them, those that are alone aside."""
    expected = {row for row in as_of.member_rows(as_of.people(store.con, at)) if row[0] != row[1] or row[2]}
    sql = f"SELECT contact_point_id, customer_id, shared FROM store.members_as_of{_AS_OF}"
    told = store.con.execute(sql, [at.happened, committed(store.con, at.batch)]).fetchall()
    assert {row for row in told if row[0] != row[1] or row[2]} == expected
    assert len(told) == len({point for point, _, _ in told})


def test_without_a_time_they_are_the_views(tmp_path):
    store, _ = folded(tmp_path / "views.duckdb", [random_log(63, 150)])
    for view in ("timeline", "items", "identity_links", "contact_points"):
        now, then = (rows(store.con, f"FROM touchlog.{name}") for name in (view, f"{view}_as_of()"))
        assert now
        assert plain(then) == plain(now)


def test_times_are_written_as_anybody_would(tmp_path):
    store, _ = folded(tmp_path / "views.duckdb", [random_log(64, 40)])
    ((events,),) = store.con.execute(f"SELECT count(*) FROM touchlog.interactions_as_of('{NOW:%Y-%m-%d}')").fetchall()
    later = len(store.con.execute("FROM touchlog.interactions_as_of('2090-01-01 00:00:00+02')").to_arrow_table())
    assert 0 < events < later == 40
    assert rows(store.con, "FROM touchlog.customers_as_of('1995-06-01')") == []
    assert rows(store.con, "FROM touchlog.customers_as_of(known_by := '2020-01-01')") == []


def test_a_chain_of_links_that_grow_stronger_ends_where_its_strongest_does(tmp_path):
    """Each but the last wants its neighbour: as many rounds as there are links."""
    points = ["account:A", *(f"email:c{number:02}@example.org" for number in range(12)), "account:B"]
    store, _ = folded(tmp_path / "views.duckdb", [])
    at = [NOW + timedelta(days=number) for number in range(len(points))]
    links = [
        ("asserted", *sorted(pair), bytes(15) + bytes([place]), at[-1 - place], None)
        for place, pair in enumerate(pairwise(points))
    ]
    with store.transaction():
        store.insert_rows("links", links, 1)
    sql = "SELECT count(*), count(DISTINCT customer_id) FROM store.members_as_of()"
    ((members, customers),) = store.con.execute(sql).fetchall()
    assert (members, customers) == (len(points), 2)
    assert_members(store, Cut())
