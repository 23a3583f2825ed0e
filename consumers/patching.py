"""A record mended by hand: a JSON merge patch (RFC 7386) on what it says, written again with its own schema."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import fastavro
from fastavro.validation import ValidationError

from consumers.letters import Letter, decoded, undecodable
from schemas.codec import micros, parsed
from schemas.errors import InvalidEvent
from schemas.event_types import avro_symbol
from schemas.registry import Registry

_TIMES = ("occurred_at", "observed_at", "read_up_to", "promised_at")


def merged(target: Any, patch: Any) -> Any:
    """`target` with the patch applied: objects member by member, null takes a member away, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patched_value(letter: Letter, patch: Mapping[str, Any], registry: Registry) -> bytes:
    """The letter's value after the patch, framed as it was.

    The patch speaks of the record as `touchlog dead-letters show` prints it; times may be ISO 8601, the type may have
    its dot. A member taken away gets the schema's default. Raises UndecodableRecord when the bytes cannot be read,
    InvalidEvent when the result is no record of its schema, RegistryUnavailable.
    """
    found = decoded(letter.value, letter.headers, registry)
    if found.record is None or found.schema is None or letter.value is None:
        raise undecodable(found)
    record = _as_written(merged(found.record, patch))
    schema = parsed(found.schema)
    known = {one["name"] for one in schema["fields"]}
    strange = sorted(set(patch) - known)
    if strange:
        raise InvalidEvent(f"patch: {len(strange)} members are no fields of the record's schema")
    buffer = io.BytesIO()
    try:
        fastavro.validation.validate(record, schema, raise_errors=True)
        fastavro.schemaless_writer(buffer, schema, record)
    except ValidationError as error:
        names = sorted({str(one.field).rpartition(".")[2] for one in error.errors if getattr(one, "field", None)})
        raise InvalidEvent(f"patch: not of the schema's type: {', '.join(names) or 'the record'}") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidEvent(f"patch: the result cannot be written: {type(error).__name__}") from None
    return letter.value[: found.datum] + buffer.getvalue()


def _as_written(record: dict[str, Any]) -> dict[str, Any]:
    """Times and the type as they lie on the wire."""
    for name in _TIMES:
        if isinstance(record.get(name), str):
            record[name] = _moment(name, record[name])
    statement = record.get("statement")
    if isinstance(statement, dict) and isinstance(statement.get("until"), str):
        record["statement"] = {**statement, "until": _moment("statement.until", statement["until"])}
    if isinstance(record.get("type"), str):
        record["type"] = avro_symbol(record["type"])
    return record


def _moment(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidEvent(f"patch: {name}: not ISO 8601 with an offset, such as 2026-03-02T09:14:05+01:00")
    return micros(moment)
