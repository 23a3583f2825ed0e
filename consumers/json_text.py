"""JSON text built in Arrow columns, without a Python statement per row.

Each function takes arrays of one length and returns string arrays of that length; null in, null out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Text: TypeAlias = pa.Array | Sequence[pa.Array | str]
"""JSON texts, or the pieces that are joined to such."""

_ESCAPED = np.zeros(256, bool)
_ESCAPED[:0x20] = _ESCAPED[ord('"')] = _ESCAPED[ord("\\")] = True
_CONTROL = r"[\x00-\x1f]"


def quoted(values: pa.Array) -> pa.Array:
    """Strings as JSON strings."""
    return _whole(_quoted(values))


def plain(values: pa.Array) -> pa.Array:
    """Numbers and booleans as JSON; timestamps as microseconds."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return values.cast(pa.string())


def of(values: pa.Array) -> Text:
    """Any scalar or struct column as JSON."""
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_struct(values.type):
        fields = {values.type.field(at).name: of(part) for at, part in enumerate(values.flatten())}
        text = obj(fields, len(values), empty="{}")
        return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.string()))
    if pa.types.is_string(values.type) or pa.types.is_dictionary(values.type):
        return _quoted(values)
    return plain(values)


def obj(members: Mapping[str, Text], length: int, *, empty: str | None = None) -> pa.Array:
    """JSON objects of the members that are not null; `empty` where all are null."""
    parts: list[pa.Array | str] = ["{"]
    certain = False
    for name, text in members.items():
        pieces: list[pa.Array | str] = [json.dumps(name) + ":", *_pieces(text), ","]
        nulls = [piece.null_count for piece in pieces if isinstance(piece, pa.Array)]
        if max(nulls) == length:
            continue
        if any(nulls):
            # Not null_handling="skip": pyarrow 26 drops a row whose parts are all null.
            parts.append(pc.fill_null(_joined(pieces), ""))
        else:
            parts.extend(pieces)
            certain = True
    if len(parts) == 1:
        return pa.array([empty] * length, pa.string())
    if parts[-1] == ",":
        return _joined([*parts[:-1], "}"])
    whole = _joined([pc.ascii_rtrim(_joined(parts), ","), "}"])
    return whole if certain else pc.if_else(pc.equal(whole, "{}"), pa.scalar(empty, pa.string()), whole)


def lists(values: pa.Array) -> pa.Array:
    """A list column as JSON arrays, null for an empty list."""
    return _bracketed(values, _whole(of(values.flatten())), "[", "]")


def maps(values: pa.Array) -> pa.Array:
    """A map column of strings as JSON objects, null for an empty map."""
    first, last = values.offsets[0].as_py(), values.offsets[-1].as_py()
    keys, items = values.keys.slice(first, last - first), values.items.slice(first, last - first)
    members = _joined([*_pieces(_quoted(keys)), ":", *_pieces(_quoted(items))])
    return _bracketed(values, members, "{", "}")


def _bracketed(values: pa.Array, members: pa.Array, left: str, right: str) -> pa.Array:
    offsets = pc.subtract(values.offsets, values.offsets[0])
    inner = pc.binary_join(pa.ListArray.from_arrays(offsets.cast(pa.int32()), members), ",")
    text = _joined([left, inner, right])
    return pc.if_else(pc.equal(inner, ""), pa.scalar(None, pa.string()), text)


def _quoted(values: pa.Array) -> Text:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if len(values) == values.null_count:
        return values
    if not _ESCAPED[_bytes(values)].any():
        return ['"', values, '"']
    if pc.any(pc.match_substring_regex(values, _CONTROL)).as_py():
        return pa.array(
            [None if value is None else json.dumps(value, ensure_ascii=False) for value in values.to_pylist()]
        )
    return ['"', pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"'), '"']


def _bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """All bytes of a string array."""
    _, offsets, data = values.buffers()
    if data is None:
        return np.zeros(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)
    return np.frombuffer(data, np.uint8)[bounds[values.offset] : bounds[values.offset + len(values)]]


def _pieces(text: Text) -> Sequence[pa.Array | str]:
    return [text] if isinstance(text, pa.Array) else text


def _whole(text: Text) -> pa.Array:
    return text if isinstance(text, pa.Array) else _joined(text)


def _joined(parts: Sequence[pa.Array | str]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
