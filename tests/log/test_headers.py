"""Record headers as the embedded log keeps them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.headers import LazyHeaders, pack, unpack
from schemas.errors import LogError

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=50)), max_size=6)


@given(HEADERS)
def test_what_is_packed_is_unpacked(headers):
    assert unpack(pack(headers)) == headers


def test_no_headers_take_no_room():
    assert pack([]) is None


@given(HEADERS, st.tuples(NAMES, st.binary(max_size=9)), st.data())
def test_headers_cut_in_the_middle_of_one_are_damage(headers, last, data):
    packed, whole = pack([*headers, last]), len(pack(headers) or b"")

    with pytest.raises(LogError, match="damaged"):
        unpack(packed[: data.draw(st.integers(whole + 1, len(packed) - 1))])


def test_a_name_that_is_not_text_is_damage():
    with pytest.raises(LogError, match="damaged"):
        unpack(b"\x00\x00\x00\x01\x00\x00\x00\x00\xff")


def test_lazy_headers_are_split_when_they_are_looked_at():
    looked = []
    headers = LazyHeaders(["a", "b", "c"], lambda raw: looked.append(raw) or [(raw, b"")])

    assert len(headers) == 3
    assert looked == []
    assert headers[-1] == [("c", b"")]
    assert list(headers[:2]) == [[("a", b"")], [("b", b"")]]
    assert looked == ["c", "a", "b"]
