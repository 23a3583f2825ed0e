"""What readers get does not depend on a setting that the projector makes for itself."""

from contextlib import closing

import duckdb
import pyarrow as pa
import pytest

from touchlog.plain_arrow import plain_schema, plain_table

VALUES = {
    "id": "CASE WHEN i % 3 = 0 THEN NULL ELSE ('6f9e0c0a-0000-5000-8000-00000000000' || i)::UUID END",
    "whole": "CASE WHEN i % 2 = 0 THEN (i - 4)::HUGEINT END",
    "largest": "170141183460469231731687303715884105727::HUGEINT - i",
    "unsigned": "i::UHUGEINT",
    "json": "CASE WHEN i % 2 = 0 THEN '{\"a\": 1}'::JSON END",
    "flag": "CASE WHEN i % 4 <> 0 THEN i % 2 = 0 END",
    "bits": "'101'::BIT",
    "ids": "CASE WHEN i % 3 = 1 THEN [uuid_of_i, NULL] END",
    "none": "[]::UUID[]",
    "record": "CASE WHEN i % 3 = 1 THEN {'id': uuid_of_i, 'n': i::HUGEINT} END",
    "counts": "map {'a': i::HUGEINT, 'b': NULL}",
    "fixed": "[i, 2, NULL]::HUGEINT[3]",
    "deep": "[[{'x': [i::HUGEINT]}], NULL]",
    "flags": "[true, NULL]",
    "time": "TIMESTAMPTZ '2026-03-02 09:14:05+00' + to_minutes(i)",
    "span": "INTERVAL 1 DAY",
    "word": "'a'::ENUM('a', 'b')",
    "bytes": "'\\x01'::BLOB",
}
SQL = (
    f"SELECT {', '.join(f'{value} AS {name}' for name, value in VALUES.items())}"
    " FROM (SELECT i, ('6f9e0c0a-0000-5000-8000-00000000000' || i)::UUID AS uuid_of_i FROM range({rows}) AS r(i))"
)


def _answer(rows: int, *, lossless: bool) -> pa.Table:
    with closing(duckdb.connect()) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET arrow_lossless_conversion = {lossless}")
        return con.execute(SQL.replace("{rows}", str(rows))).to_arrow_table()


@pytest.mark.parametrize("rows", [0, 1, 10])
def test_every_type_comes_as_with_the_setting_off(rows: int):
    lossy, lossless = _answer(rows, lossless=False), _answer(rows, lossless=True)
    plain = plain_table(lossless)
    plain.validate()
    for name in VALUES:
        assert plain[name].type == lossy[name].type, name
        assert plain[name].to_pylist() == lossy[name].to_pylist(), name
    assert plain.schema == plain_schema(lossless.schema)
    assert plain_table(lossy) == lossy


def test_a_slice_stays_a_slice():
    lossless = _answer(10, lossless=True)
    assert plain_table(lossless.slice(3, 5)).to_pylist() == plain_table(lossless).to_pylist()[3:8]
