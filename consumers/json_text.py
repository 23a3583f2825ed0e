"""JSON text built in Arrow columns, without a Python statement per row.

Each function takes arrays of one length and returns string arrays of that length; null in, null out.
"""

import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

_CONTROL = r"[\x00-\x1f]"


def quoted(values: pa.Array) -> pa.Array:
    """Strings as JSON strings."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if len(values) == values.null_count:
        return values
    if pc.any(pc.match_substring_regex(values, _CONTROL)).as_py():
        return pa.array(
            [None if value is None else json.dumps(value, ensure_ascii=False) for value in values.to_pylist()]
        )
    escaped = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
    return _joined(['"', escaped, '"'])


def plain(values: pa.Array) -> pa.Array:
    """Numbers and booleans as JSON; timestamps as microseconds."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return values.cast(pa.string())


def of(values: pa.Array) -> pa.Array:
    """Any scalar or struct column as JSON."""
    if pa.types.is_struct(values.type):
        fields = {values.type.field(at).name: of(part) for at, part in enumerate(values.flatten())}
        text = obj(fields, len(values), empty="{}")
        return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.string()))
    if pa.types.is_string(values.type) or pa.types.is_dictionary(values.type):
        return quoted(values)
    return plain(values)


def obj(members: Mapping[str, pa.Array], length: int, *, empty: str | None = None) -> pa.Array:
    """JSON objects of the members that are not null; `empty` where all are null."""
    present = {name: array for name, array in members.items() if array.null_count < length}
    if not present:
        return pa.array([empty] * length, pa.string())
    # Not null_handling="skip": pyarrow 26 drops a row whose parts are all null.
    parts = [pc.fill_null(_joined([json.dumps(name) + ":", array, ","]), "") for name, array in present.items()]
    inner = pc.ascii_rtrim(_joined(parts), ",")
    text = _joined(["{", inner, "}"])
    return pc.if_else(pc.equal(inner, ""), pa.scalar(empty, pa.string()), text)


def lists(values: pa.Array) -> pa.Array:
    """A list column as JSON arrays, null for an empty list."""
    return _bracketed(values, of(values.flatten()), "[", "]")


def maps(values: pa.Array) -> pa.Array:
    """A map column of strings as JSON objects, null for an empty map."""
    first, last = values.offsets[0].as_py(), values.offsets[-1].as_py()
    keys, items = values.keys.slice(first, last - first), values.items.slice(first, last - first)
    members = _joined([quoted(keys), ":", quoted(items)])
    return _bracketed(values, members, "{", "}")


def _bracketed(values: pa.Array, members: pa.Array, left: str, right: str) -> pa.Array:
    offsets = pc.subtract(values.offsets, values.offsets[0])
    inner = pc.binary_join(pa.ListArray.from_arrays(offsets.cast(pa.int32()), members), ",")
    text = _joined([left, inner, right])
    return pc.if_else(pc.equal(inner, ""), pa.scalar(None, pa.string()), text)


def _joined(parts: list[pa.Array | pa.Scalar]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
