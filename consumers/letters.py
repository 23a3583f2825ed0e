"""Dead letters as they lie in a store: which ones, read whole, and what can be made of their bytes."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import fastavro
import pyarrow as pa
from fastavro.schema import expand_schema

from consumers.dead_letters import PARKED, LetterId
from consumers.decode import guid_of
from log.log import Headers
from schemas.codec import MAGIC, decode, plain_schema
from schemas.errors import ConfigurationError, DeadLetter, UndecodableRecord
from schemas.registry import Registry

Ask = Callable[[str, Sequence[Any]], pa.Table]
"""Asks a store: one SELECT and its parameters to an Arrow table."""

FRAME = 5
_AT_ONCE = 2_000
_BYTES_AT_ONCE = 32 << 20
_ID = "topic || ':' || partition || ':' || log_offset"
_COLUMNS = f"""
    {_ID} AS id, topic, partition, log_offset AS "offset", epoch_ms(timestamp) AS timestamp, key, value, headers,
    schema_id, projection, layout, stage, error_class, error_message, batch, state, attempts, first_seen, last_attempt
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which dead letters: of these classes of error, stages, ids and states; empty means any."""

    classes: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    states: tuple[str, ...] = (PARKED,)

    def where(self) -> tuple[str, list[str]]:
        """A condition on `touchlog.dead_letters` and its parameters."""
        parts: list[str] = []
        values: list[str] = []
        for column, given in (
            ("state", self.states),
            ("error_class", self.classes),
            ("stage", self.stages),
            (_ID, self.ids),
        ):
            if given:
                parts.append(f"{column} IN ({', '.join('?' * len(given))})")
                values.extend(given)
        return " AND ".join(parts) or "true", values


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A dead letter, whole; columns of `touchlog.dead_letters` (docs/views.md). `timestamp` in ms, or None."""

    id: str
    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    schema_id: int | None
    projection: str
    layout: str
    stage: str
    error_class: str
    error_message: str
    batch: int
    state: str
    attempts: int
    first_seen: datetime
    last_attempt: datetime

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """From a row of the view."""
        headers = [(name, base64.b64decode(value)) for name, value in json.loads(row["headers"])]
        return cls(**{**row, "headers": headers})

    @property
    def place(self) -> LetterId:
        return LetterId(self.topic, self.partition, self.offset)

    def to_json(self) -> dict[str, Any]:
        """Everything, as `touchlog.as_json` can say it: bytes become base64."""
        whole: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**whole, "headers": [[name, value] for name, value in self.headers]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """What can be made of a record's bytes: all of it (`record`), or the `fields` before the first that cannot be read.

    `datum` is where the Avro begins in the value, `schema` the writer's, `problem` what kept from going on.
    """

    schema_id: int | None = None
    guid: UUID | None = None
    schema: str | None = None
    datum: int = 0
    record: dict[str, Any] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


def valid_id(text: str) -> str:
    """`topic:partition:offset` as it was given. Raises ConfigurationError."""
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not topic or not partition.isdecimal() or not offset.isdecimal():
        raise ConfigurationError("a dead letter is named topic:partition:offset, for example interactions.chat:0:17")
    return f"{topic}:{int(partition)}:{int(offset)}"


def letters(ask: Ask, wanted: Wanted) -> Iterator[list[Letter]]:
    """The wanted letters in the order in which they were parked, a few megabytes at a time."""
    yield from _chunks(ask, *wanted.where())


def letters_of_batch(ask: Ask, batch: int) -> Iterator[list[Letter]]:
    """The letters that were parked in one batch, a few megabytes at a time, whatever became of them."""
    yield from _chunks(ask, f"batch = {batch}", ())


def _chunks(ask: Ask, where: str, values: Sequence[str]) -> Iterator[list[Letter]]:
    found = ask(
        f"SELECT {_ID} AS id, coalesce(octet_length(value), 0) AS size FROM touchlog.dead_letters"
        f" WHERE {where} ORDER BY batch, topic, partition, log_offset",
        values,
    ).to_pylist()
    chunk: list[str] = []
    size = 0
    for row in found:
        if chunk and (len(chunk) == _AT_ONCE or size + row["size"] > _BYTES_AT_ONCE):
            yield _read(ask, chunk)
            chunk, size = [], 0
        chunk.append(row["id"])
        size += row["size"]
    if chunk:
        yield _read(ask, chunk)


def _read(ask: Ask, ids: Sequence[str]) -> list[Letter]:
    sql = (
        f"SELECT {_COLUMNS} FROM touchlog.dead_letters WHERE {_ID} IN ({', '.join('?' * len(ids))})"
        " ORDER BY batch, topic, partition, log_offset"
    )
    return [Letter.of(row) for row in ask(sql, ids).to_pylist()]


def decoded(value: bytes | None, headers: Headers, registry: Registry) -> Decoded:
    """As much of a record as can be read. Raises RegistryUnavailable."""
    if value is None:
        return Decoded(problem="a record without a value")
    framed = len(value) >= FRAME and value[:1] == MAGIC
    guid = None if framed else guid_of(headers)
    if framed:
        known = Decoded(schema_id=int.from_bytes(value[1:FRAME], "big"), datum=FRAME)
    elif guid is not None:
        known = Decoded(guid=guid)
    else:
        return Decoded(problem="neither byte 0 with a schema id nor a schema id in the headers")
    try:
        text = registry.schema(known.schema_id or 0) if guid is None else registry.schema_by_guid(guid)
    except DeadLetter as error:
        return replace(known, problem=str(error))
    known, datum = replace(known, schema=text), value[known.datum :]
    try:
        record = decode(datum, schema=text)
    except DeadLetter as error:
        return replace(known, fields=_as_far_as_it_goes(datum, text), problem=str(error))
    except RecursionError:
        return replace(known, problem="not a datum of its schema: nested too deeply")
    return replace(known, record=record, fields=record)


def names(letter: Letter, found: Decoded) -> set[str]:
    """Keys of the contact points that a letter names, as far as that can be read; its own key, too."""
    points = found.fields.get("contact_points")
    listed = points if isinstance(points, list) else []
    said = {f"{one.get('kind')}:{one.get('value')}" for one in listed if isinstance(one, dict)}
    return said if letter.key is None else said | {letter.key.decode("utf-8", "replace")}


def _as_far_as_it_goes(datum: bytes, text: str) -> dict[str, Any]:
    """The fields before the first that cannot be read."""
    found: dict[str, Any] = {}
    buffer = io.BytesIO(datum)
    try:
        whole: Any = expand_schema(plain_schema(text))
        for one in whole["fields"]:
            found[one["name"]] = fastavro.schemaless_reader(buffer, one["type"], None)
    except Exception:
        # fastavro raises whatever it stumbles over (schemas.codec.decode).
        return found
    return found


def undecodable(found: Decoded) -> UndecodableRecord:
    """Why a record cannot be patched field by field."""
    return UndecodableRecord(f"the record cannot be read ({found.problem}); give the whole event with --patch")
