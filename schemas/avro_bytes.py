"""Avro data of validated events, by functions made once of the schema: the bytes of fastavro, at some 40 % of its cost.

fastavro tries the branches of a union one after the other, and nearly every field of an event is a union with null.
Here a union is null and one other type, so that the value alone tells the branch. Tests hold the bytes equal.
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Callable, Mapping
from typing import Any

Encode = Callable[[Any], bytes]
"""The bytes of a value that is of its type; ValueError where that shows."""

_SHORT = 4_096


def encoder(schema: Any) -> Encode:
    """What encodes the values of a schema without logical types (`schemas.codec.plain_schema`).

    Taken are records, enums, arrays, maps, strings, longs, ints, booleans, and unions of null with one of them; for
    anything else ValueError is raised here, and not at a value.
    """
    return _of(schema, {})


def _of(schema: Any, named: dict[str, Encode]) -> Encode:
    if isinstance(schema, list):
        return _nullable(schema, named)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        made = _record(schema, named)
    elif kind == "enum":
        made = _enum(schema)
    elif kind == "array":
        return _array(_of(schema["items"], named))
    elif kind == "map":
        return _map(_of(schema["values"], named))
    elif kind in _PRIMITIVES:
        return _PRIMITIVES[kind]
    elif kind in named:
        return named[kind]
    else:
        raise ValueError(f"no encoder for the Avro type {kind}")
    named[schema["name"]] = made
    return made


def _record(schema: Any, named: dict[str, Encode]) -> Encode:
    # A null that stands first in its union is so frequent that it is worth no call.
    fields = [(field["name"], field["type"], _of(field["type"], named)) for field in schema["fields"]]
    steps = [(name, isinstance(kind, list) and kind[0] == "null", encode) for name, kind, encode in fields]

    def encode_record(record: Mapping[str, Any]) -> bytes:
        if len(record) != len(steps):
            raise ValueError("the record has other fields than its schema")
        return b"".join(
            [b"\x00" if (value := record[name]) is None and null else encode(value) for name, null, encode in steps]
        )

    return encode_record


def _nullable(branches: list[Any], named: dict[str, Encode]) -> Encode:
    if len(branches) != 2 or "null" not in branches:
        raise ValueError("no encoder for a union of other than null and one type")
    null = branches.index("null")
    before_null, before_value, encode = _long(null), _long(1 - null), _of(branches[1 - null], named)
    return lambda value: before_null if value is None else before_value + encode(value)


def _enum(schema: Any) -> Encode:
    places = {symbol: _long(place) for place, symbol in enumerate(schema["symbols"])}

    def encode_enum(value: str) -> bytes:
        place = places.get(value)
        if place is None:
            raise ValueError(f"no symbol of the Avro enum {schema['name']}")
        return place

    return encode_enum


def _array(encode: Encode) -> Encode:
    return lambda items: _block(items, b"".join([encode(item) for item in items]))


def _map(encode: Encode) -> Encode:
    return lambda items: _block(items, b"".join([_string(name) + encode(value) for name, value in items.items()]))


def _block(items: Any, encoded: bytes) -> bytes:
    """One block of all items, and the empty one that ends them."""
    return _long(len(items)) + encoded + b"\x00" if items else b"\x00"


def _long(value: int) -> bytes:
    """Zigzag of 64 bits, then seven bits a byte, the lowest first. What is encoded was validated: nothing is larger."""
    rest = value << 1 ^ value >> 63
    if rest < 128:
        return rest.to_bytes()
    found = bytearray()
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    found.append(rest)
    return bytes(found)


_LENGTHS = [_long(length) for length in range(_SHORT)]


def _string(text: str) -> bytes:
    encoded = text.encode()
    length = len(encoded)
    return (_LENGTHS[length] if length < _SHORT else _long(length)) + encoded


def _boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


_PRIMITIVES: dict[str, Encode] = {"string": _string, "long": _long, "int": _long, "boolean": _boolean}
