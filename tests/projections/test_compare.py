"""What would change, row by row."""

import pyarrow as pa
import pytest

from projections import rebuild
from projections.compare import compare, differing_rows
from projections.publish import PUBLIC
from projections.versions import NEXT_SCHEMA
from tests.projections.test_rebuild import FENCE, NO_OPENS, built

assert FENCE == {}


@pytest.fixture
def con(tmp_path):
    store, _, _ = built(tmp_path / "views.duckdb")
    yield store.con
    store.close()


def asking(con):
    def ask(sql, parameters) -> pa.Table:
        return con.execute(sql, dict(parameters) or None).to_arrow_table()

    return ask


COLUMNS = ["message_ref", "contact_point", "channel", "engagement", "opens"]


def test_rows_are_paired_by_the_key_and_columns_counted(con):
    found = compare(
        asking(con),
        NO_OPENS,
        columns=[*COLUMNS, "old"],
        next_columns=["new", *COLUMNS],
        before=f"SELECT *, 1 AS old FROM {PUBLIC}.items WHERE channel <> 'post'",
        after=f"SELECT *, 1 AS new FROM {NEXT_SCHEMA}.items WHERE channel <> 'chat'",
        examples=2,
    )
    both = con.execute(
        f"SELECT count(*), count(*) FILTER (b.engagement <> a.engagement) FROM {PUBLIC}.items AS b"
        f" JOIN {NEXT_SCHEMA}.items AS a USING (message_ref, contact_point) WHERE b.channel NOT IN ('post', 'chat')"
    ).fetchone()
    counts = dict(con.execute(f"SELECT channel, count(*) FROM {PUBLIC}.items GROUP BY 1").fetchall())
    assert (found.gone, found.new, found.changed) == (counts["chat"], counts["post"], both[1])
    assert both[1] > 0
    assert found.columns == {"engagement": both[1]}
    assert (found.columns_gone, found.columns_new) == (["old"], ["new"])
    assert (found.before, found.after) == (both[0] + counts["chat"], both[0] + counts["post"])
    assert found.key == ("message_ref", "contact_point")
    changed = [(before, after) for before, after in found.examples if before and after]
    assert len(changed) == min(2, both[1])
    assert all(before["engagement"] != after["engagement"] for before, after in changed)
    assert sum(before is None for before, _ in found.examples) == min(2, counts["post"])


def test_every_row_that_differs_is_told(con):
    sql = differing_rows(
        NO_OPENS,
        columns=COLUMNS,
        next_columns=COLUMNS,
        before=f"FROM {PUBLIC}.items",
        after=f"FROM {NEXT_SCHEMA}.items",
    )
    rows = con.execute(sql).fetchall()
    assert rows
    assert {what for what, _, _ in rows} == {"changed"}
    assert all(before != after for _, before, after in rows)


def test_the_same_sql_differs_in_nothing(tmp_path):
    store, folding, _ = built(tmp_path / "views.duckdb")
    rebuild.cancel(store, [])
    rebuild.begin(store, list(store.live()), FENCE)
    folding.compaction.finish()
    for one in store.live():
        if one.now:
            continue
        names = [row[0] for row in store.con.execute(f"DESCRIBE {PUBLIC}.{one.name}").fetchall()]
        found = compare(
            asking(store.con),
            one,
            columns=names,
            next_columns=names,
            before=f"FROM {PUBLIC}.{one.name}",
            after=f"FROM {NEXT_SCHEMA}.{one.name}",
        )
        assert not found.differs, one.name
    store.close()
