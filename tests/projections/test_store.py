"""The store: one writer, one transaction, and a clear no to files that are not it."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import TopicPartition
from projections import layout
from projections.compaction import Compaction
from projections.projection import all_projections
from projections.store import Part, Store, open_readonly
from projections.versions import affected
from schemas.errors import ConfigurationError, OffsetConflict, ProjectionChanged, StoreBusy, StoreError, StoreFull
from tests.folding import REGISTRY, fold, records
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

ONE = UUID(int=1)
ITEMS = next(one.schema for one in all_projections() if one.name == "items")
AT, OTHER = TopicPartition("interactions.chat", 0), TopicPartition("interactions.email", 3)
_BATCHES = "INSERT INTO store.batches (batch, committed_at) VALUES (?, now())"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "views.duckdb"


def commit(store, batch, expected, moved, ends=None):
    with store.transaction():
        store.advance(batch, expected, moved, ends or {})
        store.con.execute(_BATCHES, [batch])


# --- who may open it


def _in_another_process(path, code):
    script = f"import sys\nfrom projections.store import Store, open_readonly\npath = sys.argv[1]\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr.strip().splitlines()[-1] if done.returncode else done.stdout


@pytest.mark.parametrize("opening", ["Store.open(path)", "open_readonly(path)"])
def test_a_second_process_is_told_that_it_is_busy(path, opening):
    with Store.open(path):
        told = _in_another_process(path, opening)
    assert "StoreBusy: another process has" in told
    assert "touchlog sql" in told
    assert _in_another_process(path, f"{opening}.close(); print('opened')") == "opened\n"


def test_a_folder_named_like_a_lock_is_not_busy(tmp_path):
    path = tmp_path / "clockwork" / "views.duckdb"
    path.mkdir(parents=True)
    with pytest.raises(StoreError) as told:
        Store.open(path)
    assert not isinstance(told.value, StoreBusy)


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + bytes(5000), random_log])
def test_a_file_that_is_no_store_is_refused_and_left_alone(path, content):
    if callable(content):
        duckdb.connect(str(path)).execute("CREATE SCHEMA store; CREATE TABLE store.events_tail_00000000 (a INTEGER)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"views\.duckdb"):
        Store.open(path)
    assert path.read_bytes()[:4096] == before[:4096]


@pytest.mark.parametrize(
    ("number", "advice"), [("0", "before the first release.*delete it"), ("99", "newer touchlog.*upgrade touchlog")]
)
def test_a_store_of_a_layout_that_nobody_knows_is_refused(path, number, advice):
    with Store.open(path) as store:
        store.con.execute("UPDATE store.meta SET value = ? WHERE key = 'layout'", [number])
    with pytest.raises(StoreError, match=advice):
        Store.open(path)


@pytest.mark.parametrize(
    "name", ["touchlog.duckdb", "store.duckdb", "Store.duckdb", "TOUCHLOG", "store.old.duckdb", f"{ITEMS}.duckdb"]
)
@pytest.mark.parametrize("opening", [Store.open, open_readonly])
def test_a_name_that_duckdb_takes_for_a_schema_is_refused(tmp_path, name, opening):
    path = tmp_path / name
    if opening is open_readonly:
        duckdb.connect(str(path)).close()
    with pytest.raises(ConfigurationError, match=r"cannot be called.*views\.duckdb"):
        opening(path)


@pytest.mark.parametrize("name", ["views", "items.duckdb", "Ada's views.duckdb", "a.b.c"])
def test_other_names_are_fine(tmp_path, name):
    with Store.open(tmp_path / "new folder" / name) as store:
        assert store.con.execute("SELECT count(*) FROM touchlog.items").fetchone() == (0,)


def test_reading_needs_a_store(path):
    with pytest.raises(ConfigurationError, match="touchlog project --until-caught-up"):
        open_readonly(path)
    assert not path.exists()


def test_a_reader_alone_cannot_write(path):
    with fold(path, [random_log(1, 20)]):
        pass
    with open_readonly(path) as con:
        assert con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (20,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            con.execute("DELETE FROM store.offsets")


# --- projections that change


def of_other_sql(name, **changes):
    """The program's projections, with one that somebody changed."""
    return [
        replace(one, blocks={**one.blocks, "view": one.blocks["view"] + " LIMIT 0"}, **changes)
        if one.name == name
        else one
        for one in all_projections()
    ]


def test_changed_sql_of_the_same_version_is_refused(path):
    Store.open(path).close()
    with pytest.raises(ProjectionChanged, match=r"the SQL of projection items changed, its version 2 did not; raise"):
        Store.open(path, projections=of_other_sql("items"))


def test_another_version_waits_until_it_is_asked_for(path):
    with fold(path, [random_log(2, 60)]) as store:
        before = store.con.execute("SELECT count(*) FROM touchlog.items").fetchone()
    with Store.open(path, projections=of_other_sql("items", version=3)) as store:
        assert store.con.execute("SELECT count(*) FROM touchlog.items").fetchone() == before
        assert [one.version for one in store.live() if one.name == "items"] == [2]


@pytest.mark.parametrize("name", ["items", "conversations", "lateness"])
def test_a_new_projection_is_there_at_once_and_built_later(path, name):
    events = random_log(3, 300)
    without = affected([name], all_projections())
    others = [one for one in all_projections() if one.name not in without]
    with Store.open(path, projections=others) as store:
        folder, compaction = Folder(store), Compaction(store, after=100)
        compaction.appended(folder.fold(Preparer(Decoder(REGISTRY)).prepare(records(events))).applied)
        compaction.finish()
    with Store.open(path) as store:
        assert_equal(store, events)
        Compaction(store, after=100).finish()
        assert all(store.is_based(one) for one in store.folded())
        assert_equal(store, events)


# --- offsets


def test_offsets_are_inserted_when_the_stored_ones_are_the_expected(path):
    with Store.open(path) as store:
        commit(store, 1, {}, {AT: 10})
        commit(store, 2, {AT: 10}, {AT: 12, OTHER: 5})
        assert store.positions() == {AT: 12, OTHER: 5}
    with Store.open(path) as store:
        assert store.positions() == {AT: 12, OTHER: 5}
        assert store.batch == 2
        commit(store, 3, {AT: 12, OTHER: 5}, {OTHER: 6})


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (2, {AT: 9}),
        (2, {}),
        (2, {AT: 10, OTHER: 0}),
        (1, {AT: 10}),
        (3, {AT: 10}),
    ],
)
def test_offsets_that_are_not_the_expected_ones_are_a_conflict(path, batch, expected):
    with Store.open(path) as store:
        commit(store, 1, {}, {AT: 10})
        with pytest.raises(OffsetConflict, match="stop one of the two"):
            commit(store, batch, expected, {AT: 20})
        assert store.positions() == {AT: 10}
        assert store.batch == 1


def test_lag_is_told_from_the_newest_ends_that_were_heard_of(path):
    with Store.open(path) as store:
        commit(store, 1, {}, {AT: 10, OTHER: 1}, {AT: 25})
        commit(store, 2, {AT: 10, OTHER: 1}, {OTHER: 4})
        commit(store, 3, {AT: 10, OTHER: 4}, {AT: 30})
        rows = store.con.execute("SELECT topic, partition, next_offset, end_offset, lag FROM touchlog.lag").fetchall()
    # Never behind what was read, whatever was heard.
    assert sorted(rows) == [(*AT, 30, 30, 0), (*OTHER, 4, 4, 0)]


# --- transactions


def test_all_or_nothing(path):
    with Store.open(path) as store:
        with pytest.raises(ZeroDivisionError):
            _write_and_fail(store)
        assert len(store.tails()) == 1
        assert store.con.execute("SELECT count(*) FROM store.thread_changes").fetchone() == (0,)
        with store.transaction():
            store.insert_rows("thread_changes", [(ONE, ONE)], 1)
        assert store.con.execute("FROM store.thread_changes").fetchall() == [(1, ONE, ONE)]


def _write_and_fail(store):
    with store.transaction():
        store.con.execute("CREATE TABLE store.events_tail_00000007 AS FROM store.events_tail_00000000")
        store.forget_parts()
        assert len(store.tails()) == 2
        store.insert_rows("thread_changes", [(ONE, ONE)], 1)
        raise ZeroDivisionError


def test_a_reader_sees_what_is_committed_and_nothing_else(path):
    with Store.open(path) as store:
        reader = store.cursor()
        with store.transaction():
            store.insert_rows("thread_changes", [(ONE, ONE)], 1)
            assert reader.execute("SELECT count(*) FROM store.thread_changes").fetchone() == (0,)
        assert reader.execute("SELECT count(*) FROM store.thread_changes").fetchone() == (1,)


def test_many_readers_at_once(path):
    with fold(path, [random_log(4, 200)]) as store:
        found = []

        def look(con):
            found.extend(con.execute("SELECT count(*) FROM touchlog.timeline").fetchone() for _ in range(5))

        threads = [threading.Thread(target=look, args=(store.cursor(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 40
        assert len(set(found)) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device
def test_no_space_is_said_as_such():
    with pytest.raises(StoreFull, match="no space left for"):
        Store.open("/dev/full")


# --- what lies in it


def test_reopened_it_goes_on(path):
    events = random_log(5, 300)
    with fold(path, [events[:200]]):
        pass
    with fold(path, [events[200:]], compact_after=100) as store:
        assert store.batch == 2
        assert_equal(store, events)
    with Store.open(path) as store:
        assert_equal(store, events)


@pytest.mark.parametrize(
    "part",
    [
        Part(schema="store", stream="events", kind="tail", level=0, number=0),
        Part(schema="store", stream="mentions", kind="run", level=2, number=41),
        Part(schema=ITEMS, stream="", kind="run", level=0, number=7),
        Part(schema="store", stream="events", kind="tail", level=0, number=1_234_567_890),
    ],
)
def test_parts_are_found_by_their_names(path, part):
    """Also beyond a hundred million batches, where the names become longer."""
    with Store.open(path) as store:
        store.con.execute(f"CREATE TABLE IF NOT EXISTS {part.table} (a INTEGER)")
        store.forget_parts()
        assert part in store.parts(part.schema, part.stream)


def test_tails_come_in_the_order_of_their_batches(path):
    with Store.open(path) as store:
        for number in (99_999_999, 100_000_000, 5):
            store.con.execute(f"CREATE TABLE store.events_tail_{number:08d} (a INTEGER)")
        store.forget_parts()
        assert [part.number for part in store.tails()] == [0, 5, 99_999_999, 100_000_000]


def test_tables_that_a_crash_left_half_written_are_gone_after_a_start(path):
    with Store.open(path) as store:
        store.con.execute("CREATE TABLE store.events_run_0_00000003_staging (a INTEGER)")
        store.con.execute("CREATE TABLE items_v2.run_0_00000003_staging (a INTEGER)")
    with Store.open(path) as store:
        names = store.con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert not [name for (name,) in names if "staging" in name]


def test_small_tables_take_rows_in_the_order_of_their_columns(path):
    with Store.open(path) as store:
        for table, columns in layout.SMALL_TABLES.items():
            found = store.con.execute(f"SELECT * FROM store.{table} LIMIT 0").to_arrow_table()
            assert found.column_names == ["batch", *columns]
    assert layout.rows_table("topics", []).num_rows == 0
    assert layout.rows_table("topics", [("a", "b")]).schema == pa.schema(
        [("topic", pa.string()), ("identity", pa.string())]
    )
