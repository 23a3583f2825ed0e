"""Reading views from DuckDB and telling rows apart."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from tests.oracle.compare import differences, normalise, read_view

MOMENT = datetime(2025, 6, 10, 9, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def con():
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA touchlog")
        yield con


def test_values_come_as_the_oracle_writes_them(con):
    con.execute("SET TimeZone = 'Asia/Tokyo'")
    con.execute(
        """CREATE VIEW touchlog.items AS SELECT uuid '6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01' AS id,
        timestamptz '2025-06-10 09:00:00.000001+00' AS at, sum(3) AS n, 0.25::DECIMAL(4, 2) AS share,
        date '2025-06-10' AS day, [uuid '6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01'] AS ids, NULL::UUID AS nothing"""
    )
    assert read_view(con, "items", None) == [
        {
            "id": "6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01",
            "at": MOMENT,
            "n": 3,
            "share": 0.25,
            "day": date(2025, 6, 10),
            "ids": ["6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01"],
            "nothing": None,
        }
    ]


def test_json_of_interactions_is_parsed_and_columns_about_folding_are_left_out(con):
    con.execute(
        """CREATE VIEW touchlog.interactions AS SELECT 1 AS batch, now() AS observed_at,
        '["A"]'::JSON AS case_refs, NULL::JSON AS survey, until.statement
        FROM (VALUES ('{"kind": "pause", "until": 1749546000000001}'),
        ('{"kind": "pause", "until": "2025-06-10T11:00:00.000001+02:00"}')) AS until(statement)"""
    )
    expected = {"case_refs": ["A"], "survey": None, "statement": {"kind": "pause", "until": MOMENT}}
    assert read_view(con, "interactions", None) == [expected, expected]


def test_a_view_that_depends_on_now_is_asked_for_the_moment_given(con):
    con.execute("CREATE VIEW touchlog.consent AS SELECT NULL::TIMESTAMPTZ AS at")
    con.execute("CREATE MACRO touchlog.consent_at(t) AS TABLE SELECT t AS at")
    assert read_view(con, "consent", MOMENT) == [{"at": MOMENT}]
    assert read_view(con, "consent", None) == [{"at": None}]


def test_an_unknown_view_is_refused(con):
    with pytest.raises(ValueError, match="no such view: 'secrets'"):
        read_view(con, "secrets", None)


def test_equal_rows_in_another_order_do_not_differ():
    one, other = {"id": "a", "n": 1, "at": MOMENT}, {"id": "b", "n": 0, "at": None}
    as_float = {"n": 0.0, "id": "b", "at": None}
    local = {**one, "at": MOMENT}
    assert differences([one, other], [as_float, local]) == []
    assert normalise([one, other]) == normalise([other, one])


def test_how_often_a_row_stands_is_a_difference():
    row = {"id": "a"}
    assert differences([row, row], [row]) == [
        'missing: {"id": "a"}',
        "2 rows expected, 1 found; 1 of the expected missing, 0 of the found unexpected",
    ]
    assert differences([], [row])[0] == 'unexpected: {"id": "a"}'


def test_a_row_that_differs_is_told_by_its_columns():
    expected = {"id": "a", "state": "new", "at": MOMENT, "n": 1}
    found = {**expected, "at": MOMENT + timedelta(microseconds=1), "extra": True}
    lines = differences([expected, {"id": "b"}], [{"id": "b"}, found])
    assert lines[0] == (
        "at: expected '2025-06-10T09:00:00.000001+00:00', found '2025-06-10T09:00:00.000002+00:00'; "
        'extra: expected \'no such column\', found True (in the row with {"id": "a", "n": 1, "state": "new"})'
    )


def test_true_is_not_one_and_no_more_lines_come_than_asked_for():
    assert differences([{"n": 1}], [{"n": True}]) != []
    assert len(differences([{"n": n} for n in range(9)], [{"m": n} for n in range(9)], limit=3)) == 4
