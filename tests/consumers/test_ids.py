"""Ids in columns are the uuid module's, for one array or a slice of one."""

import re
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.ids import IdMaker, Ids, parse_ids
from schemas.contact_points import contact_point_id

_FORM = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_A = "6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a02"

uuids = st.uuids(allow_nil=True)
written = st.one_of(
    uuids.map(str),
    uuids.map(lambda uuid: str(uuid).upper()),
    uuids.map(lambda uuid: uuid.hex),
    uuids.map(lambda uuid: f"{{{uuid}}}"),
    st.tuples(uuids, st.integers(0, 35), st.characters(exclude_categories=["Cs"])).map(
        lambda found: str(found[0])[: found[1]] + found[2] + str(found[0])[found[1] + 1 :]
    ),
    st.text(max_size=40),
)


@given(st.lists(written, max_size=8), st.integers(0, 3), st.integers(0, 3))
@example([_A, ""], 0, 0)
@example(["ü" * 18], 0, 0)
@example([_A.replace("-", "_")], 0, 0)
def test_parsed_as_the_uuid_module_does(texts, before, after):
    array = pa.array(["x" * 7] * before + texts + [_A] * after, pa.string()).slice(before, len(texts))
    ids, good = parse_ids(array)

    assert good.tolist() == [_FORM.fullmatch(text) is not None for text in texts]
    assert ids.where(good).to_uuids() == [UUID(text) for text in texts if _FORM.fullmatch(text)]
    assert len(ids) == len(texts)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8), st.integers(0, 3))
@example(["email:ada@example.org", "", "postal:SE|11122|Ä", "phone:\x00"], 2)
def test_made_from_names_as_uuid5_does(maker, names, before):
    array = pa.array(["skipped"] * before + names, pa.string()).slice(before)
    assert maker.of_names(array).to_uuids() == [contact_point_id(name) for name in names]


def test_many_names_keep_their_order(maker):
    names = [f"email:person{number}@example.org" for number in range(5000)]
    assert maker.of_names(pa.array(names)).to_uuids() == [contact_point_id(name) for name in names]


@pytest.fixture(scope="module")
def maker():
    return IdMaker()


@given(st.lists(uuids, max_size=8), st.data())
def test_to_arrow_and_back(values, data):
    ids = Ids.of(values)
    assert ids.to_uuids() == values
    assert ids.to_arrow().to_pylist() == values
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    assert Ids.from_arrow(ids.to_arrow().slice(start, stop - start)).to_uuids() == values[start:stop]
    chunks = pa.chunked_array([ids.to_arrow().slice(0, start), ids.to_arrow().slice(start)], pa.uuid())
    assert Ids.from_arrow(chunks).to_uuids() == values
    assert ids.slice(start, stop).to_uuids() == values[start:stop]

    valid = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), bool)
    shown = [value if there else None for value, there in zip(values, valid, strict=True)]
    assert ids.to_arrow(valid).to_pylist() == shown
    there = [value for value in shown if value is not None]
    assert Ids.empty(len(values)).filled(valid, Ids.of(there)).to_uuids() == [value or UUID(int=0) for value in shown]


# Few halves, so that many ids share one of theirs.
_halves = st.sampled_from([0, 1, 2**63, 2**64 - 1])


@given(st.lists(st.tuples(_halves, _halves).map(lambda both: UUID(int=both[0] << 64 | both[1])), max_size=12))
def test_in_ascending_order_and_of_equals_the_first_first(values):
    order = Ids.of(values).order().tolist()
    assert order == sorted(range(len(values)), key=lambda place: (values[place], place))
