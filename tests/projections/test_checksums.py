"""One number a view: the same for the same rows, however they came there, and another for any other rows."""

import random
from datetime import timedelta

import pytest

from projections import rebuild
from projections.checksums import OF_BATCHES, Checksum, checksums, checksums_by_customer
from projections.projection import all_projections
from tests.folding import fold
from tests.habits import NOW
from tests.oracle.compare import DEPEND_ON_NOW
from tests.projections.test_against_oracle import NEVER, cut
from tests.strategies import random_log

EVENTS = random_log(31, 840)
NAMES = [one.name for one in all_projections()]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Folded in a few batches, and compacted."""
    path = tmp_path_factory.mktemp("store") / "views.duckdb"
    with fold(path, cut(EVENTS, random.Random(31), 4), compact_after=100) as store:
        yield store


@pytest.fixture
def con(store):
    """A connection whose changes are taken back."""
    con = store.cursor()
    con.begin()
    yield con
    con.rollback()


def test_all_views_have_one_and_rows(con):
    found = checksums(con, NOW)
    assert list(found) == NAMES
    for view, (rows, checksum) in found.items():
        counted = con.execute(f"SELECT count(*) FROM touchlog.{view}").fetchone()
        assert (rows,) == counted or view in DEPEND_ON_NOW
        assert rows
        assert checksum > 1 << 64 or rows < 10
    assert checksums(con, NOW, views=["items"]) == {"items": found["items"]}
    with pytest.raises(ValueError, match="no such view: itms"):
        checksums(con, NOW, views=["itms"])


def test_order_batches_repetitions_and_compaction_change_none(tmp_path, store):
    pick = random.Random(32)
    events = [*EVENTS, *pick.sample(EVENTS, 50)]
    pick.shuffle(events)
    with fold(tmp_path / "views.duckdb", cut(events, pick, 9), compact_after=NEVER) as other:
        places = {"interactions": (*OF_BATCHES["interactions"], "log_offset")}
        one, two = (checksums(of.con, NOW, leave_out=places) for of in (store, other))
        assert one == two
        assert checksums(store.con, NOW)["interactions"] != checksums(other.con, NOW)["interactions"]


def test_a_row_that_changes_goes_or_stands_twice_changes_it(con):
    before = checksums(con, NOW)
    (run,) = con.execute(
        "SELECT min(table_name) FROM duckdb_tables() WHERE schema_name = 'items_v2' AND table_name LIKE 'run%'"
    ).fetchone()
    for sql in (
        f"UPDATE items_v2.{run} SET opens = opens + 1",
        f"DELETE FROM items_v2.{run}",
    ):
        con.execute(sql)
        after = checksums(con, NOW)
        assert after["items"] != before["items"]
        assert after["topics"] == before["topics"]
        before = after
    con.execute("CREATE TEMP TABLE twice AS FROM touchlog.satisfaction")
    con.execute("CREATE OR REPLACE VIEW touchlog.satisfaction AS FROM twice UNION ALL FROM twice")
    rows, checksum = before["satisfaction"]
    assert checksums(con, NOW)["satisfaction"] == Checksum(2 * rows, 2 * checksum)


def test_another_time_is_another_answer(con):
    one, other = checksums(con, NOW), checksums(con, NOW - timedelta(days=365))
    assert one["topics"] != other["topics"]
    assert {view for view in one if one[view] != other[view]} <= {one.name for one in all_projections() if one.now}


def test_customers_together_are_the_whole(con):
    whole = checksums(con, NOW)
    everybody = " UNION ".join(
        f"SELECT customer_id FROM touchlog.{view}" for view in ("contact_points", "interactions", "shared_timeline")
    )
    customers = [
        one for (one,) in con.execute(f"{everybody} UNION SELECT customer_id FROM touchlog.consent").fetchall()
    ]
    found = checksums_by_customer(con, NOW, customers)
    assert list(found) == customers
    views = set(found[customers[0]])
    of_nobody = {"lateness", "satisfaction", *(name for name in NAMES if name.startswith("response_times"))}
    of_nobody |= {"identity_links", "identity_review", "channel_usage", "friction", "journeys"}
    assert views == set(NAMES) - of_nobody
    for view in views - {"conversations"}:
        rows, total = (sum(found[customer][view][place] for customer in customers) for place in (0, 1))
        assert (rows, total) == whole[view], view
    parts = con.execute("SELECT sum(length(customer_ids)) FROM touchlog.conversations").fetchone()
    assert (sum(found[customer]["conversations"].rows for customer in customers),) == parts
    assert parts[0] > whole["conversations"].rows


def test_versions_that_are_coming_have_theirs(tmp_path):
    with fold(tmp_path / "views.duckdb", [EVENTS]) as store:
        rebuild.begin(store, [one for one in all_projections() if one.name == "items"], {})
        assert checksums(store.con, NOW, schema="touchlog_next") == checksums(store.con, NOW)
