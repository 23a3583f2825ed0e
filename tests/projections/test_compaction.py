"""Compaction changes where rows lie and nothing that anybody sees: not while it goes on, not after a crash in it."""

import random
import shutil

import duckdb
import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections.compaction import Compaction, rows_at_once
from projections.store import Store
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS
from tests.projections.test_against_oracle import assert_equal, cut
from tests.strategies import random_log

_SMALL = {"after": 80, "rows_a_slice": 45, "runs_a_level": 2, "lag": 0.5}
"""So that a few hundred events freeze often, take several slices, are merged over several levels, and conversations
are now made of one tail, now of several."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "views.duckdb"


class Folding:
    """A store that is folded into and compacted by hand."""

    def __init__(self, store, **options):
        self.store = store
        self.folder = Folder(store)
        self.compaction = Compaction(store, **{**_SMALL, **options})
        self.preparer = Preparer(Decoder(REGISTRY))

    def fold(self, events):
        self.compaction.appended(self.folder.fold(self.preparer.prepare(records(events))).applied)


def seen(con):
    """What anybody sees, in short: how many rows each view has and a number that is made of all of them."""
    found = {}
    for view in VIEWS:
        relation = f"touchlog.{view}_at(?)" if view in DEPEND_ON_NOW else f"touchlog.{view}"
        sql = f"SELECT count(*), sum(hash(v)) FROM (SELECT v::VARCHAR AS v FROM {relation} AS v)"
        found[view] = con.execute(sql, [NOW] if view in DEPEND_ON_NOW else []).fetchone()
    return found


def parts(store):
    """Level -> number of runs of events."""
    store.forget_parts()
    levels = [part.level for part in store.parts("store", "events") if part.kind == "run"]
    return {level: levels.count(level) for level in levels}


def staging(con):
    return con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%staging%'").fetchone()[0]


def test_readers_see_the_same_before_during_and_after(path):
    with Store.open(path) as store:
        folding = Folding(store)
        steps = 0
        events = random_log(71, 170)
        for batch in (events[:85], events[85:]):
            folding.fold(batch)
            reader = store.cursor()
            before = seen(reader)
            while folding.compaction.step():
                steps += 1
                assert seen(reader) == before
        assert max(parts(store)) >= 1
        assert steps > 12


def test_a_transaction_that_began_before_a_swap_ends_with_what_it_began_with(path):
    with Store.open(path) as store:
        folding = Folding(store)
        folding.fold(random_log(72, 200))
        reader = store.cursor()
        reader.begin()
        before = seen(reader)
        folding.compaction.finish()
        folding.fold(random_log(73, 100))
        assert seen(reader) == before
        reader.commit()
        assert seen(reader) != before


def _crashed_copy(path, folder):
    """The store's files as a power cut would leave them: what is committed, in the file or its write-ahead log."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder / file.name)
    return folder / path.name


def test_a_crash_after_any_step_loses_nothing_and_is_made_up_for(path, tmp_path):
    events = random_log(74, 300)
    crashes = left_staging = left_frozen = 0
    with Store.open(path) as store:
        folding = Folding(store)
        for number, batch in enumerate(cut(events[:250], random.Random(74), 1)):
            folding.fold(batch)
            wanted = seen(store.cursor())
            step = 0
            while folding.compaction.step():
                step += 1
                crashes += 1
                copy = _crashed_copy(path, tmp_path / f"crash {number} {step}")
                left_staging += bool(staging(store.con))
                with Store.open(copy) as again:
                    left_frozen += len(again.tails()) > 1
                    assert staging(again.con) == 0
                    assert seen(again.con) == wanted
                    if step % 4 == 0:
                        _goes_on(again, wanted, events[250:])
    assert crashes >= 8
    assert left_staging >= 4
    assert left_frozen >= 4


def _goes_on(store, wanted, more):
    """Compaction begins again, without anything having been folded meanwhile, and folding goes on."""
    folding = Folding(store)
    folding.compaction.finish()
    assert len(store.tails()) == 1
    assert seen(store.con) == wanted
    folding.fold(more)
    folding.compaction.finish()
    assert store.con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (
        store.con.execute("SELECT sum(applied) FROM touchlog.batches").fetchone()
    )


def test_crash_after_crash_it_ends_where_it_would_have_ended(path):
    """Closed after every other step, with batches folded in between; the views are the oracle's."""
    dice = random.Random(75)
    events = random_log(75, 600)
    for batch in cut(events, dice, 14):
        with Store.open(path) as store:
            folding = Folding(store)
            folding.fold(batch)
            for _ in range(dice.randrange(0, 12)):
                folding.compaction.step()
    with Store.open(path) as store:
        assert_equal(store, events)
        Folding(store).compaction.finish()
        assert_equal(store, events)


def test_folding_goes_on_between_the_steps(path):
    """Late events, people who become one and conversations that join, while the rows they touch are being moved."""
    events = random_log(76, 900)
    random.Random(76).shuffle(events)
    with Store.open(path) as store:
        folding = Folding(store)
        for start in range(0, 900, 15):
            folding.fold(events[start : start + 15])
            folding.compaction.step()
            folding.compaction.step()
        assert_equal(store, events)
        folding.compaction.finish()
        assert max(parts(store)) >= 2
        assert_equal(store, events)


def test_many_levels(path):
    events = random_log(77, 1000)
    with Store.open(path) as store:
        folding = Folding(store, after=30, rows_a_slice=200)
        for batch in cut(events, random.Random(77), 30):
            folding.fold(batch)
            folding.compaction.finish()
            assert all(count < 2 for count in parts(store).values()), "two runs of a level become one of the next"
        assert max(parts(store)) >= 3
        runs = [part for part in store.parts("store", "events") if part.kind == "run"]
        moved = sum(store.con.execute(f"SELECT count(*) FROM {run.table}").fetchone()[0] for run in runs)
        assert moved > 900
        assert_equal(store, events)


def test_conversations_are_made_anew_when_enough_has_come_for_them(path):
    """What has come since their last run is folded by their view, wherever compaction has put it meanwhile."""
    events = random_log(84, 1200)
    random.Random(84).shuffle(events)
    covered = []
    with Store.open(path) as store:
        folding = Folding(store, after=60, rows_a_slice=200, lag=0.25)
        (regrouped,) = [one for one in store.folded() if one.sort == "regrouped"]
        for start in range(0, 1200, 60):
            folding.fold(events[start : start + 60])
            folding.compaction.finish()
            store.forget_parts()
            runs = [part.number for part in store.parts(regrouped.schema)]
            compacted = max(part.number for part in store.parts("store", "events") if part.kind == "run")
            covered.append((max(runs), compacted))
            if start % 240 == 180:
                assert_equal(store, events[: start + 60])
    assert covered[0][0] == covered[0][1], "the first tail is all that there is"
    behind = [compacted - run for run, compacted in covered]
    assert behind.count(0) >= 4
    assert 2 <= max(behind) <= 0.25 * len(behind)


def test_runs_are_sorted_by_contact_point(path):
    with Store.open(path) as store:
        folding = Folding(store, after=100, rows_a_slice=60, runs_a_level=3)
        for start in range(0, 800, 200):
            folding.fold(random_log(78, 800)[start : start + 200])
            folding.compaction.finish()
        for stream in ("events", "mentions"):
            for run in [part for part in store.parts("store", stream) if part.kind == "run"]:
                ids = store.con.execute(f"SELECT contact_point_id::VARCHAR FROM {run.table} ORDER BY rowid").fetchall()
                assert ids == sorted(ids)
                assert ids


def test_nothing_is_compacted_before_its_time(path):
    with Store.open(path) as store:
        folding = Folding(store, after=50)
        folding.fold(random_log(79, 49))
        assert not folding.compaction.step()
        assert not folding.compaction.running
        folding.fold(random_log(80, 1))
        assert folding.compaction.step()
        assert folding.compaction.running


def test_a_crash_right_after_the_freeze_does_not_freeze_again(path):
    """The frozen tail is what is left to do; the new one is empty and has the number that the next would get."""
    events = random_log(81, 200)
    with Store.open(path) as store:
        folding = Folding(store)
        folding.fold(events)
        assert folding.compaction.step()
        assert len(store.tails()) == 2
    with Store.open(path) as store:
        Folding(store).compaction.finish()
        assert len(store.tails()) == 1
        assert parts(store) == {0: 1}
        assert_equal(store, events)


def test_a_step_that_failed_is_done_again_from_the_beginning(path):
    """What it had put aside by then does not count twice."""
    events = random_log(82, 200)
    with Store.open(path) as store:
        folding = Folding(store)
        folding.fold(events)
        while not staging(store.con):
            folding.compaction.step()
        with pytest.raises(duckdb.Error):
            folding.compaction._steps.throw(duckdb.Error("a step that fails"))
        assert staging(store.con)
        folding.compaction.finish()
        Folding(store).compaction.finish()
        assert staging(store.con) == 0
        assert len(store.tails()) == 1
        assert_equal(store, events)


def test_offsets_are_trimmed_to_the_newest(path):
    with Store.open(path) as store:
        folding = Folding(store)
        for start in range(0, 200, 10):
            batch = records(random_log(83, 200)[start : start + 10])
            batch.next_positions[("interactions.chat", 0)] = start + 10
            folding.compaction.appended(folding.folder.fold(folding.preparer.prepare(batch)).applied)
        positions = store.positions()
        lag = store.con.execute("SELECT topic, partition, next_offset, end_offset, lag FROM touchlog.lag").fetchall()
        assert store.con.execute("SELECT count(*) FROM store.offsets").fetchone() == (20,)
        folding.compaction.finish()
        assert store.con.execute("SELECT count(*) FROM store.offsets").fetchone() == (1,)
        assert store.positions() == positions
        assert (
            store.con.execute("SELECT topic, partition, next_offset, end_offset, lag FROM touchlog.lag").fetchall()
            == lag
        )


@pytest.mark.parametrize(("limit", "rows"), [("100MB", 500_000), ("6GB", 2_000_000), ("1.2TB", 400_000_000)])
def test_slices_of_who_is_alone_are_what_memory_bears(path, limit, rows):
    with Store.open(path, memory_limit=limit) as store:
        assert rows_at_once(store) == pytest.approx(rows, rel=0.1)
