"""JSON built in columns is what the json module makes of the same values, one by one."""

import json

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from consumers import json_text

_ODD = ['"', "\\", '\\"', "\n", "\x00", "\x1f", "\x7f", "\u2028", "🎉", ",", ",,", "", "null", "}", "[", "é"]
texts = st.one_of(st.sampled_from(_ODD), st.text(max_size=8))
maybe = st.none() | texts
columns = st.lists(maybe, min_size=1, max_size=8)


def _sliced(values, kind):
    """The same values as the middle of a longer array."""
    return pa.array([None, *values, None], kind).slice(1, len(values))


@given(columns)
@example([None])
@example(["a\nb", None, 'plain "quotes"'])
def test_strings(values):
    wanted = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    for array in (pa.array(values, pa.string()), _sliced(values, pa.string())):
        assert json_text.quoted(array).to_pylist() == wanted
    assert json_text.quoted(pa.array(values, pa.string()).dictionary_encode()).to_pylist() == wanted


@given(st.lists(st.tuples(maybe, st.none() | st.booleans(), st.none() | st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_objects_leave_out_what_is_null(rows):
    names = ['te"xt', "flag", "number"]
    kinds = [pa.string(), pa.bool_(), pa.int64()]
    members = {
        name: json_text.of(_sliced([row[at] for row in rows], kind))
        for at, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    wanted = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]

    bare = json_text.obj(members, len(rows)).to_pylist()
    assert [None if text is None else json.loads(text) for text in bare] == [row or None for row in wanted]
    assert [json.loads(text) for text in json_text.obj(members, len(rows), empty="{}").to_pylist()] == wanted


@given(st.lists(st.lists(texts, max_size=4), min_size=1, max_size=6))
def test_lists_of_texts_and_null_for_an_empty_one(rows):
    for array in (pa.array(rows, pa.list_(pa.string())), _sliced(rows, pa.list_(pa.string()))):
        found = json_text.lists(array).to_pylist()
        assert [None if text is None else json.loads(text) for text in found] == [row or None for row in rows]


@given(st.lists(st.dictionaries(texts, texts, max_size=4), min_size=1, max_size=6))
def test_maps_and_null_for_an_empty_one(rows):
    kind = pa.map_(pa.string(), pa.string())
    pairs = [list(row.items()) for row in rows]
    for array in (pa.array(pairs, kind), pa.array([[("x", "y")], *pairs, []], kind).slice(1, len(pairs))):
        found = json_text.maps(array).to_pylist()
        assert [None if text is None else json.loads(text) for text in found] == [row or None for row in rows]


@given(st.lists(st.none() | st.tuples(maybe, st.none() | st.integers(-(2**31), 2**31 - 1)), min_size=1, max_size=6))
def test_structs_and_lists_of_them(rows):
    kind = pa.struct([("a", pa.string()), ("b", pa.int32())])
    values = [None if row is None else {"a": row[0], "b": row[1]} for row in rows]
    wanted = [None if row is None else {k: v for k, v in row.items() if v is not None} for row in values]
    for array in (pa.array(values, kind), _sliced(values, kind)):
        found = json_text.of(array).to_pylist()
        assert [None if text is None else json.loads(text) for text in found] == wanted

    there = [[value] for value in values if value is not None]
    found = json_text.lists(pa.array(there, pa.list_(kind))).to_pylist()
    assert [json.loads(text) for text in found] == [[row] for row in wanted if row is not None]


def test_times_are_microseconds():
    moments = pa.array([0, 1_700_000_000_000_001, None], pa.timestamp("us", tz="UTC"))
    assert json_text.of(moments).to_pylist() == ["0", "1700000000000001", None]
