"""Records to Arrow columns, by the schema they were written with.

The fast way decodes a whole group at once (pyruhvro); where it stumbles, and only there, the group is decoded record
by record (fastavro), which finds the bad ones. Both park the same records; tests hold them equal.
"""

import json
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyruhvro

from consumers.upcast import changes, defaults
from log.log import Headers, RecordBatch
from schemas.codec import MAGIC, decode, plain_schema
from schemas.errors import DeadLetter, PoisonRecord, RegistryUnavailable, UndecodableRecord, UnknownSchema
from schemas.registry import Registry, schema_text
from schemas.topics import stream_of

GUID_HEADER = "__value_schema_id"
_PREFIX = 5
_ASK_AGAIN_S = 30.0
_NEEDED_WITHIN = frozenset({"kind", "value", "assurance", "role"})
_NEEDED = ("event_id", "type", "occurred_at", "observed_at", "source", "direction", "contact_points")
"""Fields without which a record is no event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What is done about a schema that the registry does not know: its records are parked at once (`park`), or it is
    asked for during `seconds`, while nothing else is folded, and then they are parked (`wait`) or the projector ends
    (`stop`)."""

    action: Literal["park", "wait", "stop"] = "park"
    seconds: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRecord:
    """A record of a batch (by its place) that cannot be folded, and why."""

    place: int
    stage: str
    error: DeadLetter
    schema_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Records of one channel and one writer's schema: their places in the batch and their decoded columns."""

    channel: str
    schema_id: int | None
    places: list[int]
    columns: pa.RecordBatch


class WriterSchema:
    """A schema that records were written with."""

    def __init__(self, text: str, channel: str) -> None:
        self.text = text
        try:
            described = json.loads(text)
        except ValueError:
            described = None
        if (
            not isinstance(described, dict)
            or described.get("type") != "record"
            or not str(described.get("namespace", "")).endswith(f".{channel}")
        ):
            raise UnknownSchema(f"the schema is not one of channel {channel}")
        known = _arrow(schema_text(channel))
        odd = [
            name
            for name in self._field_names()
            if name in known.names and not _fits(known.field(name), self.arrow.field(name))
        ]
        if odd:
            raise UnknownSchema(f"the schema is not one of channel {channel}: other types of {', '.join(sorted(odd))}")
        lacking = [name for name in _NEEDED if name not in self._field_names()]
        if lacking:
            raise UnknownSchema(f"the schema is not one of channel {channel}: it lacks {', '.join(lacking)}")
        reader = json.loads(schema_text(channel))
        self._changes = changes(described, reader)
        self._defaults = {name: (value, known.field(name).type) for name, value in defaults(described, reader).items()}

    def _field_names(self) -> Set[str]:
        try:
            return set(self.arrow.names)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:
            # A panic in Rust is a BaseException of its own.
            raise UnknownSchema(f"the schema cannot be read as Avro: {type(error).__name__}") from None

    @cached_property
    def plain(self) -> str:
        return _plain(self.text)

    @cached_property
    def arrow(self) -> pa.Schema:
        return _arrow(self.text)

    def upcast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns as the reader's schema has them; the same object where the writer's says no more and no less."""
        for name, change in self._changes.items():
            place = batch.schema.get_field_index(name)
            batch = batch.set_column(place, batch.schema.field(place), change(batch.column(place)))
        for name, (value, kind) in self._defaults.items():
            batch = batch.append_column(pa.field(name, kind), pa.repeat(pa.scalar(value, kind), batch.num_rows))
        return batch

    def columns(self, datums: Sequence[bytes]) -> pa.RecordBatch:
        """All datums at once. Raises UndecodableRecord when any is bad, without saying which."""
        try:
            batch = pyruhvro.deserialize_array(datums, self.plain)
            batch.validate(full=True)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:
            # A panic in Rust is a BaseException of its own.
            raise UndecodableRecord(f"not columns of its schema: {type(error).__name__}") from None
        return batch

    def rows(self, datums: Sequence[bytes]) -> tuple[list[int], pa.RecordBatch, dict[int, DeadLetter]]:
        """One datum after the other: places of the good ones, their columns, and what is wrong with the others."""
        good: list[int] = []
        records: list[dict[str, Any]] = []
        bad: dict[int, DeadLetter] = {}
        for place, datum in enumerate(datums):
            try:
                records.append(_arrow_row(decode(datum, schema=self.text)))
                good.append(place)
            except DeadLetter as error:
                bad[place] = error
        try:
            return good, pa.RecordBatch.from_pylist(records, schema=self.arrow), bad
        except (pa.ArrowException, OverflowError):
            # A number of more than 64 bits, which Python does not mind.
            fits = [self._fits(record) for record in records]
        bad |= {
            place: UndecodableRecord("not a datum of its schema: a number out of range")
            for place, fit in zip(good, fits, strict=True)
            if not fit
        }
        good = [place for place, fit in zip(good, fits, strict=True) if fit]
        records = [record for record, fit in zip(records, fits, strict=True) if fit]
        return good, pa.RecordBatch.from_pylist(records, schema=self.arrow), bad

    def _fits(self, record: dict[str, Any]) -> bool:
        try:
            pa.RecordBatch.from_pylist([record], schema=self.arrow)
        except (pa.ArrowException, OverflowError):
            return False
        return True


class Decoder:
    """Decodes batches; keeps the writer schemas it has met."""

    def __init__(self, registry: Registry, *, columnar: bool = True, unknown: Unknown | None = None) -> None:
        self._registry = registry
        self._columnar = columnar
        self._policy = unknown or Unknown()
        self._missed_since: dict[int | UUID, float] = {}
        self._awaited: dict[int | UUID, float] = {}
        self._schemas: dict[tuple[str, int | UUID], WriterSchema] = {}
        self._unknown: dict[tuple[str, int | UUID], tuple[float, DeadLetter | None]] = {}

    def decode(self, batch: RecordBatch, leave_out: Set[int] = frozenset()) -> tuple[list[Group], list[BadRecord]]:
        """The batch's records in groups (without the places left out), and those that cannot be decoded.

        Raises RegistryUnavailable when a schema is needed and the registry does not answer, or does not know it and is
        to be asked again; PoisonRecord when that was in vain and the projector is to end.
        """
        bad: list[BadRecord] = []
        self._awaited.clear()
        prefixes = [b"" if value is None else value[:_PREFIX] for value in batch.values]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(zip(batch.topics, prefixes, strict=True)))}
        keys = zip(batch.topics, prefixes, strict=True)
        members = np.fromiter(map(numbers.__getitem__, keys), np.int64, len(prefixes))
        groups = []
        for (topic, prefix), number in numbers.items():
            places = np.flatnonzero(members == number).tolist()
            if leave_out:
                places = [place for place in places if place not in leave_out]
            if not places:
                continue
            if len(prefix) == _PREFIX and prefix[:1] == MAGIC:
                key = int.from_bytes(prefix[1:], "big")
                groups.append(self._group(batch, topic, key, places, _PREFIX, bad))
            else:
                groups.extend(self._by_header(batch, topic, places, bad))
        if self._awaited:
            raise RegistryUnavailable(
                f"nobody knows {', '.join(map(_named, self._awaited))} yet; asked for another"
                f" {max(self._awaited.values()):.0f} s"
            )
        return [group for group in groups if group is not None], bad

    def _by_header(
        self, batch: RecordBatch, topic: str, places: list[int], bad: list[BadRecord]
    ) -> list["Group | None"]:
        """Records whose schema is named by a GUID in a header, or that are no events at all."""
        by_guid: dict[UUID, list[int]] = {}
        for place in places:
            guid = guid_of(batch.headers[place])
            if batch.values[place] is None:
                bad.append(BadRecord(place=place, stage="frame", error=UndecodableRecord("a record without a value")))
            elif guid is None:
                error = UndecodableRecord("neither byte 0 with a schema id nor a schema id in the headers")
                bad.append(BadRecord(place=place, stage="frame", error=error))
            else:
                by_guid.setdefault(guid, []).append(place)
        return [self._group(batch, topic, guid, found, 0, bad) for guid, found in by_guid.items()]

    def _group(
        self, batch: RecordBatch, topic: str, key: int | UUID, places: list[int], skip: int, bad: list[BadRecord]
    ) -> "Group | None":
        schema_id = key if isinstance(key, int) else None
        channel = stream_of(topic)
        schema = self._schema(channel, key)
        if schema is None:
            return None
        if isinstance(schema, DeadLetter) and self._policy.action == "stop" and key in self._missed_since:
            raise PoisonRecord(
                f"{topic}, partition {batch.partitions[places[0]]}, offset {batch.offsets[places[0]]}: nobody knows"
                f" {_named(key)}, asked for {self._policy.seconds:g} s; register it and start again, or type: touchlog"
                " project --unknown-schema park"
            )
        if isinstance(schema, DeadLetter):
            bad.extend(BadRecord(place=place, stage="schema", error=schema, schema_id=schema_id) for place in places)
            return None
        values = batch.values
        datums = [values[place][skip:] for place in places]  # type: ignore[index]  # None has no prefix
        try:
            if not self._columnar:
                raise UndecodableRecord("columns not wanted")
            columns = schema.columns(datums)
        except UndecodableRecord:
            good, columns, wrong = schema.rows(datums)
            bad.extend(
                BadRecord(place=places[at], stage="decode", error=error, schema_id=schema_id)
                for at, error in wrong.items()
            )
            places = [places[at] for at in good]
        return Group(channel=channel, schema_id=schema_id, places=places, columns=schema.upcast(columns))

    def _schema(self, channel: str, key: int | UUID) -> WriterSchema | DeadLetter | None:
        """The schema, or why there is none; None while it is to be asked for again."""
        until, error = self._unknown.get((channel, key), (0.0, None))
        if error is not None and time.monotonic() < until:
            return error
        known = self._schemas.get((channel, key))
        if known is None:
            text = None
            try:
                text = self._registry.schema(key) if isinstance(key, int) else self._registry.schema_by_guid(key)
                known = WriterSchema(text, channel)
            except DeadLetter as error:
                if text is None and self._asks_again(key):
                    return None
                # Not for ever: it may be registered a moment later.
                self._unknown[(channel, key)] = (time.monotonic() + _ASK_AGAIN_S, error)
                return error
            self._schemas[(channel, key)] = known
        return known

    def _asks_again(self, key: int | UUID) -> bool:
        if self._policy.action == "park":
            return False
        missed = self._missed_since.setdefault(key, time.monotonic())
        left = missed + self._policy.seconds - time.monotonic()
        if left > 0:
            self._awaited[key] = left
        return left > 0


def _named(key: int | UUID) -> str:
    return f"schema {'id' if isinstance(key, int) else 'guid'} {key}"


def _widened(node: Any) -> Any:
    """The schema with every int a long: the same bytes, and a number too long for an int is seen, not cut off."""
    if isinstance(node, list):
        return [_widened(item) for item in node]
    if isinstance(node, dict):
        kept = {key: _widened(value) if key in {"type", "items", "values"} else value for key, value in node.items()}
        if isinstance(kept.get("fields"), list):
            kept["fields"] = [{**field, "type": _widened(field["type"])} for field in kept["fields"]]
        return kept
    return "long" if node == "int" else node


def _plain(text: str) -> str:
    return json.dumps(_widened(plain_schema(text)))


def _arrow(text: str) -> pa.Schema:
    return pyruhvro.avro_to_arrow_schema(_plain(text))


def _fits(known: pa.Field, found: pa.Field) -> bool:
    """Whether a writer's field can be read as the one of this version: as strict, and of the same type within."""
    one, other = known.type, found.type
    if found.nullable and not known.nullable:
        return False
    if pa.types.is_struct(one):
        return bool(pa.types.is_struct(other)) and all(
            _fits(part, other.field(part.name)) if part.name in other.names else part.name not in _NEEDED_WITHIN
            for part in one.fields
        )
    if pa.types.is_map(one):
        return bool(pa.types.is_map(other) and one.key_type == other.key_type and one.item_type == other.item_type)
    if pa.types.is_list(one):
        return pa.types.is_list(other) and _fits(one.value_field, other.value_field)
    return bool(one == other)


def guid_of(headers: Headers) -> UUID | None:
    """The schema's GUID in header form: byte 1 and sixteen bytes."""
    for name, value in headers:
        if name == GUID_HEADER and len(value) == 17 and value[:1] == b"\x01":
            return UUID(bytes=value[1:])
    return None


def _arrow_row(record: dict[str, Any]) -> dict[str, Any]:
    """Arrow takes a map as a list of pairs."""
    return {name: list(value.items()) if name == "attributes" else value for name, value in record.items()}
