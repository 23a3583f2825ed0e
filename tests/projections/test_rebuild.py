"""A version beside the live one: built in slices while batches go on, compared, switched, switched back, retired."""

import random
from dataclasses import replace

import pytest

from log.log import TopicPartition
from projections import rebuild
from projections.projection import all_projections, parse
from projections.store import Store
from projections.versions import NEXT_SCHEMA, affected
from schemas.errors import ConfigurationError
from tests.habits import NOW
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS
from tests.projections.test_against_oracle import assert_equal, cut
from tests.projections.test_compaction import Folding, seen
from tests.strategies import random_log

ITEMS = next(one for one in all_projections() if one.name == "items")
NO_OPENS = parse(
    ITEMS.text.replace("version: 2", "version: 3").replace(
        "max(engagement) AS engagement\nFROM events",
        "coalesce(max(engagement) FILTER (item <> 'opened'), 0) AS engagement\nFROM events",
    )
)
FENCE: dict[TopicPartition, int] = {}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "views.duckdb"


def seen_next(con):
    found = {}
    for view in VIEWS:
        relation = f"{NEXT_SCHEMA}.{view}_at(?)" if view in DEPEND_ON_NOW else f"{NEXT_SCHEMA}.{view}"
        sql = f"SELECT count(*), sum(hash(v)) FROM (SELECT v::VARCHAR AS v FROM {relation} AS v)"
        found[view] = con.execute(sql, [NOW] if view in DEPEND_ON_NOW else []).fetchone()
    return found


def states(store):
    return {(v.name, v.projection.version, v.projection.build): v.state for v in store.versions() if v.state != "live"}


@pytest.mark.parametrize("seed", [1])
def test_the_same_sql_built_again_gives_the_same_rows_at_every_moment(path, seed):
    pick = random.Random(seed)
    events = random_log(70 + seed, 700)
    batches = cut(events, pick, 12)
    with Store.open(path) as store:
        folding = Folding(store)
        for batch in batches[:7]:
            folding.fold(batch)
            folding.compaction.finish()
        rebuild.begin(store, [one for one in all_projections() if one.sort != "plain"], FENCE)
        for batch in batches[7:]:
            folding.fold(batch)
            for _ in range(pick.randrange(4)):
                folding.compaction.step()
            rebuild.settle(store, folding.folder.positions)
            assert seen_next(store.con) == seen(store.con)
        folding.compaction.finish()
        rebuild.settle(store, folding.folder.positions)
        assert set(states(store).values()) == {"ready"}
        assert all(store.is_based(projection) for projection in store.folded())
        rebuild.switch(store, [])
        assert_equal(store, events)
        rebuild.retire(store, [])
        assert not states(store)
        assert_equal(store, events)


def built(path, seed=5, wanted=(NO_OPENS,)):
    store = Store.open(path)
    folding = Folding(store)
    for batch in cut(random_log(seed, 600), random.Random(seed), 10):
        folding.fold(batch)
        folding.compaction.finish()
    before = seen(store.con)
    rebuild.begin(store, list(wanted), FENCE)
    folding.compaction.finish()
    rebuild.settle(store, folding.folder.positions)
    return store, folding, before


def test_a_changed_rule_is_seen_beside_then_in_place_then_taken_back(path):
    store, _, before = built(path)
    changed = affected(["items"], store.live())
    assert changed[0] == "items"
    assert set(changed) == {
        "items",
        "channel_preference",
        "audience",
        "timeline",
        "customers",
        "channel_usage",
        "shared_timeline",
    }
    assert states(store) == {("items", 3, 1): "ready"}
    assert seen(store.con) == before
    after = seen_next(store.con)
    assert {name for name in VIEWS if after[name] != before[name]} <= set(changed)
    assert after["items"] != before["items"]

    rebuild.switch(store, ["items"])
    assert seen(store.con) == after
    assert states(store) == {("items", 2, 1): "retired"}
    rebuild.switch_back(store, ["items"])
    assert seen(store.con) == before
    assert seen_next(store.con) == after
    rebuild.switch(store, [])
    rebuild.retire(store, ["items"])
    assert seen(store.con) == after
    store.close()
    with Store.open(path) as again:
        assert seen(again.con) == after
        assert [one.version for one in again.live() if one.name == "items"] == [3]


def test_what_is_not_live_goes_on_being_folded(path):
    store, folding, _ = built(path)
    rebuild.switch(store, [])
    for batch in cut(random_log(6, 400), random.Random(6), 8):
        folding.fold(batch)
        folding.compaction.finish()
    rebuild.switch_back(store, [])
    kept = seen(store.con)
    rebuild.cancel(store, ["items"])
    rebuild.begin(store, [ITEMS], FENCE)
    assert seen_next(store.con) == kept


def test_it_is_ready_past_its_fence_and_not_before(path):
    with Store.open(path) as store:
        folding = Folding(store)
        first, second = random_log(8, 100)[:50], random_log(9, 100)[:50]
        folding.fold(first)
        beyond = {TopicPartition("interactions.email", 0): 7}
        rebuild.begin(store, [NO_OPENS], beyond)
        rebuild.settle(store, {TopicPartition("interactions.email", 0): 6})
        assert set(states(store).values()) == {"catching up"}
        with pytest.raises(ConfigurationError, match="no version of items is ready: version 2 is live, 3 is catching"):
            rebuild.switch(store, ["items"])
        folding.fold(second)
        rebuild.settle(store, beyond)
        assert set(states(store).values()) == {"ready"}


def test_a_crash_while_building_begins_the_slices_again(path):
    with Store.open(path) as store:
        folding = Folding(store)
        events = random_log(10, 500)
        folding.fold(events)
        folding.compaction.finish()
        rebuild.begin(store, [NO_OPENS], FENCE)
        assert folding.compaction.step()
        (built_share,) = store.con.execute("SELECT built FROM touchlog.projections WHERE state = 'building'").fetchone()
        assert 0 < built_share < 1
    with Store.open(path) as store:
        assert states(store) == {("items", 3, 1): "building"}
        compaction = Folding(store).compaction
        compaction.finish()
        rebuild.settle(store, {})
        assert states(store) == {("items", 3, 1): "ready"}


def test_paused_it_does_nothing_and_cancelled_it_leaves_nothing(path):
    with Store.open(path) as store:
        folding = Folding(store)
        folding.fold(random_log(10, 500))
        folding.compaction.finish()
        rebuild.begin(store, [NO_OPENS], FENCE)
        folding.compaction.step()
        rebuild.pause(store, ["items"])
        assert not folding.compaction.step()
        assert not rebuild.settle(store, folding.folder.positions)
        rebuild.begin(store, [NO_OPENS], FENCE)
        assert states(store) == {("items", 3, 1): "building"}
        rebuild.cancel(store, [])
        assert not folding.compaction.step()
        assert not states(store)
        assert not store.con.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'items_v3'").fetchall()
        rebuild.begin(store, [NO_OPENS], FENCE)
        assert states(store) == {("items", 3, 2): "building"}


def test_a_version_that_goes_in_the_middle_of_a_compaction_takes_nothing_with_it(path):
    store, folding, _ = built(path)
    before = random_log(5, 600)
    rebuild.switch(store, [])
    more = random_log(7, 200)
    folding.fold(more)
    for _ in range(2):
        assert folding.compaction.step()
    rebuild.retire(store, [])
    folding.compaction.finish()
    rebuild.begin(store, [replace(NO_OPENS, version=4, text=NO_OPENS.text.replace("version: 3", "version: 4"))], FENCE)
    folding.fold(random_log(8, 200))
    for _ in range(3):
        assert folding.compaction.step()
    rebuild.cancel(store, [])
    folding.compaction.finish()
    rebuild.begin(store, [parse(ITEMS.text.replace("version: 2", "version: 5"))], FENCE)
    folding.compaction.finish()
    rebuild.settle(store, folding.folder.positions)
    rebuild.switch(store, [])
    assert_equal(store, [*before, *more, *random_log(8, 200)])


def test_there_and_back_are_one_step_however_often_they_are_asked_for(path):
    """An answer that was lost is asked for again; two versions of a name are never coming at once."""
    store, folding, _ = built(path)
    for names in ([], [], ["items"]):
        rebuild.switch(store, names)
        assert states(store) == {("items", 2, 1): "retired"}
    with pytest.raises(ConfigurationError, match="no version of topics is ready"):
        rebuild.switch(store, ["topics", "items"])
    third = parse(NO_OPENS.text.replace("version: 3", "version: 4"))
    rebuild.begin(store, [third], FENCE)
    folding.compaction.finish()
    with pytest.raises(ConfigurationError, match=r"version 4 of items is building; take it with .* or drop it with"):
        rebuild.switch_back(store, [])
    rebuild.settle(store, folding.folder.positions)
    rebuild.switch(store, [])
    rebuild.switch_back(store, [])
    expected = {("items", 2, 1): "retired", ("items", 4, 1): "ready"}
    assert states(store) == expected
    with pytest.raises(ConfigurationError, match="version 4 of items is ready"):
        rebuild.switch_back(store, ["items"])
    assert states(store) == expected


def test_what_cannot_be_is_said(path):
    store, _, _ = built(path)
    other = parse(NO_OPENS.text.replace("coalesce(max(", "coalesce(min("))
    with pytest.raises(ConfigurationError, match="version 3 of items is ready; take it with touchlog switch items"):
        rebuild.begin(store, [other], FENCE)
    rebuild.switch(store, [])
    with pytest.raises(ConfigurationError, match="the SQL of items changed, its version 3 did not"):
        rebuild.begin(store, [other], FENCE)
    with pytest.raises(ConfigurationError, match="version 3 of items is live, which is newer than 2"):
        rebuild.begin(store, [ITEMS], FENCE)
    wrong = parse(NO_OPENS.text.replace("version: 3", "version: 4").replace("s.opens,", "s.openings,"))
    with pytest.raises(ConfigurationError, match=r"the SQL cannot run: .*openings"):
        rebuild.begin(store, [wrong], FENCE)
    assert states(store) == {("items", 2, 1): "retired"}
    circle = parse(NO_OPENS.text.replace("version: 3", "version: 4").replace("-- key:", "-- reads: customers\n-- key:"))
    with pytest.raises(ConfigurationError, match="reads"):
        rebuild.begin(store, [circle], FENCE)
    assert replace(NO_OPENS, build=1) in store.live()
