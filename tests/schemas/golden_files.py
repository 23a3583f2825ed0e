"""Bytes of every schema version that was ever written, kept for ever: one file an id in `golden/`.

`python -m tests.schemas.golden_files` adds the files of new versions; it never changes one that is there.
"""

import io
import json
from pathlib import Path
from typing import Any

import fastavro

from schemas.codec import plain_schema
from schemas.registry import SchemaVersion, locked_versions

FOLDER = Path(__file__).parent / "golden"
MOMENT = 1_772_442_845_123_456
_VALUES: dict[str, Any] = {
    "event_id": "1b4e28ba-2fa1-5d2a-883f-0016d3cca427",
    "score": 7,
    "scale_max": 10,
}
_NO_VALUE = object()


def golden_path(version: SchemaVersion) -> Path:
    """`golden/007-interactions.email-value-2.json`."""
    return FOLDER / f"{version.id:03}-{version.subject}-{version.version}.json"


def written(version: SchemaVersion, *, full: bool) -> tuple[dict[str, Any], bytes]:
    """A record of that version, every field set or none that has a default, and its bytes with the five before."""
    schema = plain_schema(version.schema)
    record = _filled(schema, {}, "", full)
    buffer = io.BytesIO(b"\x00" + version.id.to_bytes(4, "big"))
    buffer.seek(5)
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), record, strict=True)
    return record, buffer.getvalue()


def _filled(schema: Any, named: dict[str, Any], name: str, full: bool) -> Any:
    if isinstance(schema, list):
        return _filled(schema[-1] if full else schema[0], named, name, full)
    if isinstance(schema, str):
        if schema in named:
            return _filled(named[schema], named, name, full)
        plain = {"string": f"{name} ö 漢 🎉", "long": MOMENT, "int": 42, "boolean": True, "null": None}
        return None if schema == "null" else _VALUES.get(name, plain[schema])
    if "name" in schema:
        named[schema["name"]] = schema
    match schema["type"]:
        case "record":
            return {field["name"]: _field(field, named, full) for field in schema["fields"]}
        case "enum":
            return schema["symbols"][-1 if full else 0]
        case "array":
            # The least event has one contact point; more than one kind of item is in no schema.
            return [_filled(schema["items"], named, name, full)] * (2 if full else 1)
        case "map":
            return {f"{name} ä": _filled(schema["values"], named, name, full)}
        case kind:
            raise ValueError(f"no golden value for {kind}")


def _field(field: dict[str, Any], named: dict[str, Any], full: bool) -> Any:
    filled = _filled(field["type"], named, field["name"], full)
    default = field.get("default", _NO_VALUE)
    return filled if full or default is _NO_VALUE else default


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for version in locked_versions():
        path = golden_path(version)
        if path.exists():
            continue
        written_now = [written(version, full=full) for full in (True, False)]
        samples = [{"bytes": wire.hex(), "record": record} for record, wire in written_now]
        content = {"guid": version.guid, "samples": samples}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
