"""What another version's writer said, as this program reads it: Avro's rules for a reader's schema, over columns.

A symbol that the reader's enum lacks becomes that enum's default, which says less, never more (`schemas/avro`). A field
that the writer's schema lacks gets its default where that says something.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Change = Callable[[pa.Array], pa.Array]


def changes(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> dict[str, Change]:
    """What is to be done to columns of a writer's schema, by name; nothing when it says all as the reader does."""
    return _of_fields(writer, reader, _named(writer, {}), _named(reader, {}))


def defaults(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the reader's fields that the writer's schema lacks, where they say something."""
    written = {field["name"] for field in writer["fields"]}
    return {
        field["name"]: field["default"]
        for field in reader["fields"]
        if field["name"] not in written and field.get("default") not in (None, [], {})
    }


def _of_fields(
    writer: Mapping[str, Any], reader: Mapping[str, Any], named: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Change]:
    types = {field["name"]: field["type"] for field in reader["fields"]}
    found = {
        field["name"]: _change(field["type"], types[field["name"]], named, known)
        for field in writer["fields"]
        if field["name"] in types
    }
    return {name: change for name, change in found.items() if change is not None}


def _change(writer: Any, reader: Any, named: Mapping[str, Any], known: Mapping[str, Any]) -> Change | None:
    one, other = _resolved(writer, named), _resolved(reader, known)
    if one.get("type") != other.get("type"):
        return None
    match one["type"]:
        case "enum":
            newer = [symbol for symbol in one["symbols"] if symbol not in other["symbols"]]
            return _symbols(newer, other["default"]) if newer and "default" in other else None
        case "array":
            within = _change(one["items"], other["items"], named, known)
            return None if within is None else _list(within)
        case "record":
            fields = _of_fields(one, other, named, known)
            return _struct(fields) if fields else None
        case _:
            return None


def _symbols(newer: list[str], default: str) -> Change:
    def change(values: pa.Array) -> pa.Array:
        texts = values.cast(pa.string())
        return pc.if_else(pc.is_in(texts, pa.array(newer)), default, texts).cast(values.type)

    return change


def _list(within: Change) -> Change:
    def change(values: pa.Array) -> pa.Array:
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
        offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int32())
        found = pa.ListArray.from_arrays(offsets, within(values.flatten()), type=values.type)
        return pc.if_else(values.is_valid(), found, pa.scalar(None, values.type)) if values.null_count else found

    return change


def _struct(fields: Mapping[str, Change]) -> Change:
    def change(values: pa.Array) -> pa.Array:
        kinds = list(values.type.fields)
        parts = [
            fields[kind.name](part) if kind.name in fields else part
            for kind, part in zip(kinds, values.flatten(), strict=True)
        ]
        return pa.StructArray.from_arrays(parts, fields=kinds, mask=values.is_null())

    return change


def _resolved(node: Any, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """A type without `null` beside it, a name as what it names."""
    if isinstance(node, list):
        (node,) = [one for one in node if one != "null"] or ["null"]
    if isinstance(node, str):
        node = named.get(node, {"type": node})
    found: Mapping[str, Any] = node if isinstance(node["type"], str) else _resolved(node["type"], named)
    return found


def _named(node: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Named types of a schema by name."""
    if isinstance(node, list):
        for one in node:
            _named(one, found)
    elif isinstance(node, dict):
        kind = node.get("type")
        if isinstance(kind, str) and kind in {"record", "enum", "fixed"}:
            found[node["name"]] = node
        for key in ("type", "items", "values", "fields"):
            _named(node.get(key), found)
    return found
