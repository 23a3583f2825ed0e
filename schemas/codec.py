"""Events as bytes: Confluent wire format, i.e. byte 0, a four-byte schema id, an Avro datum.

Encoding is fastavro over longs (logical types double its cost). `decode` is the exact one, record by record; the
hot path decodes columns (`consumers.decode`) and a test holds the two equal.
"""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import fastavro
from pydantic import ValidationError

from schemas.errors import InvalidEvent, UndecodableRecord
from schemas.event_types import TYPE_OF_SYMBOL, avro_symbol
from schemas.models import EVENT_MODELS, Event, Statement
from schemas.validation import explain

MAGIC = b"\x00"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMES = ("occurred_at", "observed_at", "read_up_to", "promised_at")


def micros(moment: datetime) -> int:
    """Microseconds since 1970 (UTC), exactly."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The moment that many microseconds after 1970, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def plain_schema(text: str) -> Any:
    """An Avro schema without logical types: strings and longs, as they lie on the wire."""
    return _without_logical_types(json.loads(text))


@cache
def parsed(text: str) -> Any:
    """The schema parsed once for fastavro, logical types left out."""
    return fastavro.parse_schema(plain_schema(text))


def encode(event: Event, *, schema_id: int, schema: str) -> bytes:
    """An event in Confluent wire format."""
    buffer = io.BytesIO()
    buffer.write(MAGIC + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(buffer, parsed(schema), to_record(event), strict=True)
    return buffer.getvalue()


def decode(datum: bytes, *, schema: str) -> dict[str, Any]:
    """The Avro datum (without the five bytes before it) as a record of strings, longs, lists and dicts.

    Raises UndecodableRecord when the bytes do not begin with a datum of the schema; what follows it is ignored, as
    every reader of this format does.
    """
    buffer = io.BytesIO(datum)
    try:
        record = fastavro.schemaless_reader(buffer, parsed(schema), None)
    except Exception as error:
        # fastavro raises EOFError, IndexError, UnicodeDecodeError, OverflowError, … by what it stumbles over.
        raise UndecodableRecord(f"not a datum of its schema: {type(error).__name__}") from None
    if not isinstance(record, dict):
        raise UndecodableRecord("the schema is not a record")
    return record


def to_record(event: Event) -> dict[str, Any]:
    """An event as the record that its Avro schema describes."""
    record = dict(event.__dict__)
    record["event_id"] = str(event.event_id)
    record["type"] = avro_symbol(event.type)
    for name in _TIMES:
        moment = record[name]
        record[name] = None if moment is None else micros(moment)
    record["contact_points"] = [point.__dict__ for point in event.contact_points]
    record["case_refs"] = list(event.case_refs)
    if event.statement is not None:
        record["statement"] = _statement_record(event.statement)
    if event.survey is not None:
        record["survey"] = event.survey.__dict__
    return record


def from_record(channel: str, record: Mapping[str, Any]) -> Event:
    """The event of a decoded record; fields that this version does not know are left out.

    Raises InvalidEvent when the record breaks the contract.
    """
    model = EVENT_MODELS[channel]
    values = {name: record[name] for name in model.model_fields if name in record}
    values["type"] = TYPE_OF_SYMBOL.get(record["type"], "unknown")
    try:
        for name in _TIMES:
            if values.get(name) is not None:
                values[name] = from_micros(values[name])
        if values.get("statement") and values["statement"].get("until") is not None:
            values["statement"] = {**values["statement"], "until": from_micros(values["statement"]["until"])}
        return model.model_validate(values)
    except OverflowError:
        raise InvalidEvent("a time after the year 9999 or before the year 1") from None
    except ValidationError as error:
        raise InvalidEvent(explain(error)) from None


def _statement_record(statement: Statement) -> dict[str, Any]:
    until = statement.until
    return {**statement.__dict__, "until": None if until is None else micros(until)}


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: _without_logical_types(value) for key, value in node.items() if key != "logicalType"}
        primitive = set(kept) == {"type"} and isinstance(kept["type"], str)
        return kept["type"] if primitive and kept["type"] in {"string", "long", "int"} else kept
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node
