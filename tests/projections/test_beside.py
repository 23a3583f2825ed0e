"""Staging tables filled in another thread: the same rows, whatever is folded, changed or broken off meanwhile."""

import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from projections import compaction, rebuild
from projections.beside import READERS_NICE, give_way
from projections.projection import all_projections
from projections.store import Store
from tests.projections.test_against_oracle import assert_equal, cut
from tests.projections.test_compaction import Folding, parts, staging
from tests.strategies import random_log

_ENDLESS = "SELECT count(*) FROM range(1000000000000) AS r(n) WHERE n % 7 = 3"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as opened:
        yield opened


def _until_busy(folding):
    deadline = time.monotonic() + 60
    while not folding.store.beside.busy:
        assert folding.compaction.step(), "nothing is being compacted"
        assert time.monotonic() < deadline


def test_batches_are_folded_while_the_tail_is_compacted(store):
    events = random_log(91, 320)
    folding = Folding(store, beside=True)
    met = 0
    for batch in cut(events, random.Random(91), 8):
        folding.fold(batch)
        met += store.beside.busy
        folding.compaction.step()
        met += store.beside.busy
    folding.compaction.finish()

    assert met, "nothing was compacted beside"
    assert sum(parts(store).values()) >= 1
    assert staging(store.con) == 0
    assert_equal(store, events)


def test_a_change_of_versions_breaks_it_off_and_it_begins_again(store):
    events = random_log(92, 200)
    folding = Folding(store, beside=True)
    folding.fold(events)
    _until_busy(folding)

    (items,) = (one for one in all_projections() if one.name == "items")
    rebuild.begin(store, [items], {})
    assert not store.beside.busy
    folding.compaction.finish()
    rebuild.settle(store, {})
    rebuild.switch(store, ["items"])

    assert_equal(store, events)


def test_work_that_is_stopped_is_rolled_back_and_not_done(store):
    def work(con):
        with store.transaction(con):
            con.execute("CREATE TABLE store.begun_staging (a INTEGER)")
            con.execute(_ENDLESS)

    store.beside.begin(work)
    time.sleep(0.2)
    assert store.beside.busy
    store.beside.stop()

    assert not store.beside.took()
    assert staging(store.con) == 0
    store.beside.begin(lambda con: con.execute("SELECT 1"))
    store.beside.wait(10)
    assert store.beside.took()


def test_what_goes_wrong_beside_is_raised_where_steps_are_asked_for(store):
    folding = Folding(store, beside=True)
    folding.fold(random_log(93, 100))
    con = store.beside._connect

    class Broken:
        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def execute(self, sql, *given):
            if "_staging" in sql:
                raise duckdb.ConversionException("struck")
            return self._inner.execute(sql, *given)

    store.beside._connect = lambda: Broken(con())
    with pytest.raises(duckdb.ConversionException, match="struck"):
        folding.compaction.finish()
    store.beside.close()
    store.beside._connect = con

    folding.compaction.finish()
    assert sum(parts(store).values()) == 1


def test_a_store_that_is_closed_breaks_it_off(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        store.beside.begin(lambda con: con.execute(_ENDLESS))
        began = time.monotonic()
    assert time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_who_compacts_and_who_reads_gives_way_to_the_fold(store):
    def niceness(_con=None):
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()
    found = []
    for nice in (True, False, True):
        store.beside.begin(lambda con: found.append(niceness(con)), nice=nice)
        store.beside.wait(60)
        assert store.beside.took()
    assert found == [found[0], mine, found[0]]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(give_way, READERS_NICE).result()
        again = pool.submit(niceness).result()
        # Less than it gives way already is not taken back, which an ordinary user could not do.
        pool.submit(give_way, 0).result()
        assert pool.submit(niceness).result() == again
    assert mine < found[0] < again <= 19
    assert niceness() == mine


def test_a_checkpoint_every_few_tails_while_batches_go_on(store, monkeypatch):
    monkeypatch.setattr(compaction, "_LEAST_WAL_BYTES", 0)
    checkpoint, held = store.checkpoint, []

    def slowly(con):
        held.append(store.wal_bytes)
        time.sleep(0.2)
        checkpoint(con)
        held.append(store.wal_bytes)

    monkeypatch.setattr(store, "checkpoint", slowly)
    events = random_log(97, 900)
    folding = Folding(store, beside=True)
    met = 0
    for batch in cut(events, random.Random(97), 45):
        folding.compaction.step()
        before = len(held)
        folding.fold(batch)
        met += before % 2
    folding.compaction.finish()
    assert len(held) >= 4, "there is more than one checkpoint, and each ends"
    assert met >= 3, "batches are folded meanwhile"
    assert all(after < before for before, after in zip(held[::2], held[1::2], strict=True))
    assert_equal(store, events)
    path = store.path
    store.close()
    with Store.open(path) as again:
        assert_equal(again, events)


def test_a_checkpoint_that_an_old_snapshot_holds_up_comes_again(store, monkeypatch):
    """A reader still looks at a table that is gone: nothing fails, and the log is kept meanwhile."""
    folding = Folding(store, beside=True)
    folding.fold(random_log(98, 100))
    folding.compaction.finish()
    reader = store.cursor()
    reader.begin()
    assert reader.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (100,)
    folding.fold(random_log(99, 100))
    folding.compaction.finish()
    before = store.wal_bytes
    store.checkpoint(store.cursor())
    assert store.wal_bytes >= before > 0
    reader.rollback()
    store.checkpoint(store.cursor())
    assert store.wal_bytes < before
