"""What earlier versions left comes through: their stores are brought up to date, their logs are folded.

A release has a folder in `tests/released`, made with its own code by `tests/released/make.py`.
"""

import random
import subprocess
import sys
from datetime import datetime
from itertools import product
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import RecordBatch, TopicPartition
from projections import layout, migrations, remembered, verify
from projections.as_of import Cut, copy_whole, thread_rows, threads
from projections.compaction import Compaction
from projections.projection import all_projections
from projections.store import Store, open_readonly
from schemas.errors import RebuildNeeded, StoreError
from schemas.event_types import EVENT_TYPES
from tests.consumers.publishing import publish
from tests.folding import REGISTRY
from tests.habits import NOW
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS, read_view
from tests.projections.test_against_oracle import assert_equal
from tests.released.place import RELEASES, Place, content, unpacked
from tests.strategies import random_log
from tests.villages import repeated

FIRST = "0.1.0"


@pytest.fixture(params=RELEASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return unpacked(request.param, tmp_path)


@pytest.fixture
def first(tmp_path: Path) -> Place:
    """A store of layout 1."""
    return unpacked(FIRST, tmp_path)


def test_the_first_release_is_there() -> None:
    assert FIRST in RELEASES


# --- the store


def test_an_old_store_says_what_it_said(place: Place) -> None:
    expected, at = place.expected, datetime.fromisoformat(place.expected["views_at"])
    with Store.open(place.store) as store:
        counts = store.con.execute(
            "SELECT sum(read)::INT, sum(applied)::INT, sum(duplicates)::INT, sum(parked)::INT FROM touchlog.batches"
        ).fetchone()
        assert dict(zip(("read", "applied", "duplicates", "parked"), counts or (), strict=True)) == expected["batches"]
        assert store.positions() == place.positions
        assert_equal(store, place.events(folded=True))
        same = {one.name for one in store.live() if one.version == expected["projections"].get(one.name)}
        for view in same.intersection(VIEWS):
            rows = read_view(store.cursor(), view, at if view in DEPEND_ON_NOW else None)
            assert len(rows) == expected["views"][view], view
        letters = store.con.execute("SELECT state, attempts, projection FROM touchlog.dead_letters").fetchall()
        assert letters == [("parked", 1, "views")] * expected["batches"]["parked"]
    with open_readonly(place.store) as con:
        assert con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (expected["batches"]["applied"],)


@pytest.mark.parametrize("compact_after", [100, 10**9])
def test_an_old_store_goes_on(place: Place, compact_after: int) -> None:
    new, old = random_log(77, 150), place.events()
    with place.log() as log:
        publish(log, [*new, *map(repeated, random.Random(7).sample(old, 30))])
    done = place.fold(place.store, compact_after=compact_after)
    assert (done.applied, done.duplicates) == (len(new) + place.expected["not_folded"], 30)
    with Store.open(place.store) as store:
        assert_equal(store, [*old, *new])
        Compaction(store, after=1).finish()
        assert all(store.is_based(one) for one in store.folded())
        assert_equal(store, [*old, *new])


def test_a_second_start_finds_nothing_to_do(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(place.store).close()
    before = content(place.store)
    monkeypatch.setattr(migrations, "STEPS", dict.fromkeys(migrations.STEPS, ("SELECT error('again')",)))
    Store.open(place.store).close()
    assert content(place.store) == before


def test_an_old_store_has_the_tables_of_a_new_one(place: Place, tmp_path: Path) -> None:
    Store.open(place.store).close()
    Store.open(tmp_path / "new.duckdb").close()
    old, new = (_tables(path) for path in (place.store, tmp_path / "new.duckdb"))
    assert old == new


def _tables(path: Path) -> list[tuple[object, ...]]:
    """Columns and constraints of what is in schema `store`, but for tails and runs."""
    with duckdb.connect(str(path), read_only=True) as con:
        columns = con.execute("""
            SELECT table_name, column_index, column_name, data_type, is_nullable, column_default
            FROM duckdb_columns()
            WHERE schema_name = 'store' AND NOT internal AND NOT regexp_matches(table_name, '_(tail|run)_')
            ORDER BY ALL
        """).fetchall()
        constraints = con.execute("""
            SELECT table_name, constraint_text FROM duckdb_constraints() WHERE schema_name = 'store' ORDER BY ALL
        """).fetchall()
    return [*columns, *constraints]


# --- its migration


def test_a_crash_in_the_middle_leaves_the_old_store(first: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before, events = content(first.store), first.events(folded=True)
    steps = list(migrations.STEPS[1])
    for done in range(len(steps) + 1):
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", {**migrations.STEPS, 1: [*steps[:done], "SELECT error('crash')"]})
            with pytest.raises(duckdb.Error, match="crash"):
                Store.open(first.store)
        assert content(first.store) == before, f"{done} of {len(steps)} statements"
        with pytest.raises(StoreError, match=r"earlier touchlog \(layout 1.*touchlog project --until-caught-up"):
            open_readonly(first.store)
    with Store.open(first.store) as store:
        assert_equal(store, events)


_KILLED = """
import os, sys
from projections import remembered
from projections.store import Store

def killed(con):
    noted(con)
    os.kill(os.getpid(), 9)

noted = getattr(remembered, sys.argv[2])
setattr(remembered, sys.argv[2], killed)
Store.open(sys.argv[1])
"""


@pytest.mark.parametrize(("at", "number"), [("note_layout", "1-"), ("take_relations", str(layout.LAYOUT))])
def test_a_process_that_is_killed_leaves_the_old_store_or_the_new(first: Place, at: str, number: str) -> None:
    """Before the migration is committed, and after it, when it is in the write-ahead log alone."""
    before = content(first.store)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(first.store), at], timeout=60, check=False)
    assert done.returncode == -9
    with duckdb.connect(str(first.store)) as con:
        [(found,)] = con.execute("SELECT value FROM store.meta WHERE key = 'layout'").fetchall()
    assert found.startswith(number)
    assert (content(first.store) == before) is (at == "note_layout")
    with Store.open(first.store) as store:
        assert_equal(store, first.events(folded=True))
    assert first.fold(first.store).applied == first.expected["not_folded"]


@pytest.mark.parametrize("number", [str(layout.LAYOUT + 1), "17"])
def test_a_store_of_a_newer_version_is_left_alone(first: Place, number: str) -> None:
    with duckdb.connect(str(first.store)) as con:
        con.execute("UPDATE store.meta SET value = ? || '-0123456789abcdef' WHERE key = 'layout'", [number])
    before = content(first.store)
    for opening in (Store.open, open_readonly):
        with pytest.raises(StoreError, match=rf"newer touchlog \(layout {number}.*upgrade touchlog"):
            opening(first.store)
    assert content(first.store) == before


def test_a_program_before_the_migration_does_not_take_the_store_for_its_own(first: Place) -> None:
    """0.1.0 looks for exactly one text."""
    with duckdb.connect(str(first.store), read_only=True) as con:
        [(then,)] = con.execute("SELECT value FROM store.meta WHERE key = 'layout'").fetchall()
    with Store.open(first.store) as store:
        [(now,)] = store.con.execute("SELECT value FROM store.meta WHERE key = 'layout'").fetchall()
    assert (then.partition("-")[0], now) == ("1", str(layout.LAYOUT))


@pytest.mark.parametrize("name", ["items", "conversations", "timeline"])
def test_sql_that_nobody_knows_any_more_is_replaced_by_the_programs(first: Place, name: str) -> None:
    with duckdb.connect(str(first.store)) as con:
        con.execute("UPDATE store.projections SET fingerprint = 'forgotten' WHERE name = ?", [name])
    with Store.open(first.store) as store:
        [found] = [version for version in store.versions() if version.name == name]
        assert (found.state, found.projection.build) == ("live", 1)
        assert not store.parts(found.projection.schema)
        assert_equal(store, first.events(folded=True))
        Compaction(store, after=1).finish()
        assert_equal(store, first.events(folded=True))


def test_a_projection_that_the_program_no_longer_has_is_gone(first: Place) -> None:
    left = [one for one in all_projections() if one.name not in {"topics", "lateness"}]
    with Store.open(first.store, projections=left) as store:
        assert {one.name for one in store.live()} == {one.name for one in left}
        for view in ("topics", "lateness"):
            with pytest.raises(duckdb.CatalogException):
                store.con.execute(f"FROM touchlog.{view}")
        assert not store.con.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'topics_v1'").fetchall()


def test_an_old_store_of_another_meaning_is_read_until_it_is_folded_again(
    first: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        remembered, "EVENT_TYPES", {**EVENT_TYPES, "email": {"unknown": EVENT_TYPES["email"]["unknown"]}}
    )
    with pytest.raises(RebuildNeeded, match="touchlog rebuild --all --source log"):
        Store.open(first.store)
    _reads_of_the_rebuild(first)


def test_an_old_store_of_no_release_is_folded_again(first: Place) -> None:
    with duckdb.connect(str(first.store)) as con:
        con.execute("UPDATE store.meta SET value = '1-0123456789abcdef' WHERE key = 'layout'")
    with pytest.raises(RebuildNeeded, match="touchlog rebuild --all --source log"):
        Store.open(first.store)
    _reads_of_the_rebuild(first)


def _reads_of_the_rebuild(place: Place) -> None:
    """What is in today's layout alone: records that were mended, the SQL of projections."""
    with open_readonly(place.store) as con:
        assert verify.mended(con) == {}
        assert verify.snapshot(con, NOW).positions == place.positions
        assert con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (
            place.expected["batches"]["applied"],
        )
        letters = con.execute("SELECT state, projection FROM touchlog.dead_letters").fetchall()
        assert letters == [("parked", "views")] * place.expected["batches"]["parked"]
        assert con.execute("SELECT DISTINCT state FROM touchlog.projections").fetchall() == [("live",)]


# --- what is found out about earlier times


def test_links_are_those_that_todays_fold_would_have_written(first: Place, tmp_path: Path) -> None:
    # Within a batch the fold may tell of one pair several times, ever earlier; and it leaves out what is no surer than
    # something as early.
    sql = """
        SELECT verb, one, other, min({'assurance': assurance, 'at': epoch_us(occurred_at)}) FROM store.links
        GROUP BY ALL ORDER BY ALL
    """
    with Store.open(first.store) as old, Store.open(tmp_path / "again.duckdb") as again:
        _fold_the_same_batches(first, old, again)
        found = old.con.execute(sql).fetchall()
        assert found == again.con.execute(sql).fetchall()
        assert len(found) > 40, "the release's own rows, and what turned out to be earlier"


def test_edges_join_what_those_of_todays_fold_would_have_joined_after_every_batch(first: Place, tmp_path: Path) -> None:
    with Store.open(first.store) as old, Store.open(tmp_path / "again.duckdb") as again:
        _fold_the_same_batches(first, old, again)
        sizes = set()
        moments = sorted(event.occurred_at for event in first.events(folded=True))
        for batch, happened in product(range(again.batch + 1), (None, *moments[:: len(moments) // 10])):
            cut = Cut(batch=batch, happened=happened)
            found, expected = (
                {row for row in thread_rows(threads(store.con, cut)) if row[0] != row[1]} for store in (old, again)
            )
            assert found == expected
            sizes.add(len(found))
        assert len(sizes) > 3, "more threads are joined by and by"


def test_views_as_of_earlier_times_are_those_of_a_store_folded_today(first: Place, tmp_path: Path) -> None:
    events = first.events(folded=True)
    moments = sorted(event.occurred_at for event in events)
    with Store.open(first.store) as old:
        for number, moment in enumerate(moments[40 :: len(moments) // 3]):
            with Store.open(tmp_path / f"{number}.duckdb") as then:
                copy_whole(old.cursor(), then, Cut(happened=moment))
                assert_equal(then, [event for event in events if event.occurred_at <= moment])


def _fold_the_same_batches(place: Place, old: Store, into: Store) -> None:
    """The log's records in the batches in which they are in the store."""
    batch_of = {
        (topic, partition, offset): batch
        for batch, topic, partition, offset in old.con.execute(
            "SELECT batch, 'interactions.' || channel, \"partition\", log_offset FROM store.rows"
        ).fetchall()
    }
    records, batches = place.records(), {number: RecordBatch() for number in sorted(set(batch_of.values()))}
    names = ("topics", "partitions", "offsets", "timestamps", "keys", "values", "headers")
    for row in zip(*(getattr(records, name) for name in names), strict=True):
        number = batch_of.get(row[:3])
        for name, value in zip(names, row, strict=True):
            if number is not None:
                getattr(batches[number], name).append(value)
    folder, preparer = Folder(into), Preparer(Decoder(REGISTRY))
    for number, batch in batches.items():
        folder.fold(preparer.prepare(batch))
        assert into.batch == number


# --- the log


def test_an_old_log_folds_into_a_new_store(place: Place, tmp_path: Path) -> None:
    done = place.fold(tmp_path / "new.duckdb", compact_after=100)
    assert done.applied == place.expected["batches"]["applied"] + place.expected["not_folded"]
    with Store.open(tmp_path / "new.duckdb") as store:
        assert_equal(store, place.events())


def test_records_are_still_folded_into_the_rows_that_they_were(place: Place, tmp_path: Path) -> None:
    """When this fails, stores that were folded before say something else than the log: raise FOLD in
    projections.layout, unless the change is one of the tables in schemas.event_types or projections.identity_rules."""
    place.fold(tmp_path / "new.duckdb")
    with Store.open(place.store) as old, Store.open(tmp_path / "new.duckdb") as new:
        for relation in ("rows", "mentions"):
            was, now = (_rows(store, relation, place.positions) for store in (old, new))
            assert was.num_rows
            assert was.equals(now)


def _rows(store: Store, relation: str, ends: dict[TopicPartition, int]) -> pa.Table:
    """Rows of events that the release had folded, batches aside, in an order of their own."""
    folded = [
        UUID(event_id)
        for event_id, topic, partition, offset in store.con.execute(
            "SELECT event_id::VARCHAR, 'interactions.' || channel, \"partition\", log_offset FROM store.rows"
        ).fetchall()
        if offset < ends[TopicPartition(topic, partition)]
    ]
    sql = f"SELECT * EXCLUDE (batch) FROM store.{relation} WHERE list_contains(?::UUID[], event_id) ORDER BY ALL"
    return store.con.execute(sql, [folded]).to_arrow_table()
