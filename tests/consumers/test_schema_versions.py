"""Records of every version of a schema become the same rows: of all that are in registry.lock, and of ones to come.

The next version of each schema is made up here: a field more, one less, a symbol more in every enum that may grow, ints
that became longs. It is met from both sides: as what a newer producer writes, and as what this program is once it has
it, while older producers still write.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from typing import Any
from uuid import UUID

import fastavro
import pytest

from consumers import columns, decode
from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.meaning import TypeTable
from consumers.prepare import Prepared, Preparer
from log.log import RecordBatch
from projections.store import Store
from schemas.codec import MAGIC, parsed, to_record
from schemas.errors import UndecodableRecord
from schemas.event_types import EVENT_TYPES, TYPE_OF_SYMBOL
from schemas.models import Event
from schemas.registry import LockedRegistry, SchemaVersion, locked_versions, schema_text, subject_of
from schemas.topics import STREAMS, stream_of, topic_of
from tests.consumers.test_decode import assert_prepared_equal
from tests.schemas.golden_files import golden_path
from tests.schemas.test_registry_lock import incompatibilities
from tests.strategies import random_log

ROWS = {
    **{
        name: f"FROM store.{name}"
        for name in ("rows", "mentions", "points", "edges", "member_changes", "thread_changes")
    },
    # Of a pair's evidence in one batch the fold may tell several times, ever earlier, by the order of its rows.
    "links": "SELECT verb, one, other, min(occurred_at) FROM store.links GROUP BY ALL",
}
LOG = random_log(61, 1000)
NEW_FIELD, LOST_FIELD, NEW_TYPE, NEW_SYMBOL = "mood", "purpose", "message_sung", "newest"
LATER = {stream: 900 + number for number, stream in enumerate(STREAMS)}
"""Ids of the versions to come."""

Record = dict[str, Any]


def of(stream: str) -> list[Event]:
    return [event for event in LOG if event.channel == stream]


def version(schema_id: int, stream: str, schema: Any) -> SchemaVersion:
    text = json.dumps(schema, separators=(",", ":"))
    guid = str(UUID(bytes=hashlib.md5(text.encode()).digest()))
    return SchemaVersion(id=schema_id, subject=subject_of(stream), version=99, guid=guid, fingerprint="", schema=text)


def enums(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "enum":
            yield node
        for value in node.values():
            yield from enums(value)
    elif isinstance(node, list):
        for one in node:
            yield from enums(one)


def promoted(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: promoted(value) if name != "default" else value for name, value in node.items()}
    if isinstance(node, list):
        return [promoted(one) for one in node]
    return "long" if node == "int" else node


def later(stream: str) -> SchemaVersion:
    """The next version of a stream's schema."""
    schema = promoted(deepcopy(json.loads(schema_text(stream))))
    fields = [field for field in schema["fields"] if field["name"] != LOST_FIELD]
    mood = {"type": "enum", "name": "Mood", "symbols": ["calm", "cross"], "default": "calm"}
    # Not at the end: places of fields mean nothing.
    schema["fields"] = [*fields[:5], {"name": NEW_FIELD, "type": mood, "default": "calm"}, *fields[5:]]
    for one in enums(schema["fields"]):
        if one["name"] == "EventType":
            one["symbols"].append(NEW_TYPE)
        elif "default" in one and one["name"] != "Mood":
            one["symbols"].insert(1, NEW_SYMBOL)
    return version(LATER[stream], stream, schema)


def registry() -> LockedRegistry:
    return LockedRegistry((*locked_versions(), *map(later, STREAMS)))


def known_to(one: SchemaVersion, record: Record) -> bool:
    """Whether that version can say all that a record says."""
    schema = json.loads(one.schema)
    names = {field["name"] for field in schema["fields"]}
    if any(name not in names and value not in (None, [], {}) for name, value in record.items()):
        return False
    try:
        fastavro.schemaless_writer(io.BytesIO(), parsed(one.schema), record)
    except ValueError:
        return False
    return True


def written(one: SchemaVersion, record: Record) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed(one.schema), record)
    return MAGIC + one.id.to_bytes(4, "big") + buffer.getvalue()


def batch_of(stream: str, values: Sequence[bytes]) -> RecordBatch:
    batch = RecordBatch()
    for offset, value in enumerate(values):
        batch.topics.append(topic_of(stream))
        batch.partitions.append(0)
        batch.offsets.append(offset)
        batch.timestamps.append(0)
        batch.keys.append(b"key")
        batch.values.append(value)
        batch.headers.append(())
    return batch


def prepared(stream: str, values: Sequence[bytes]) -> Prepared:
    """The same by either way of decoding."""
    one, other = (
        Preparer(Decoder(registry(), columnar=columnar)).prepare(batch_of(stream, values)) for columnar in (True, False)
    )
    assert_prepared_equal(one, other)
    return one


def folded(batch: Prepared) -> dict[str, list[Any]]:
    """Everything that a batch leaves in a store, in an order of its own."""
    assert not batch.bad
    con = scratch().con
    for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'store'").fetchall():
        con.execute(f"DELETE FROM store.{table}")
    Folder(scratch()).fold(batch)
    return {name: sorted(con.execute(sql).to_arrow_table().to_pylist(), key=repr) for name, sql in ROWS.items()}


@cache
def scratch() -> Store:
    """One for all: to make one takes longer than to fold."""
    return Store.in_memory()


def current(stream: str) -> SchemaVersion:
    schema_id, _ = LockedRegistry().current(stream)
    return next(one for one in locked_versions() if one.id == schema_id)


def alternating(one: SchemaVersion, other: SchemaVersion, records: Iterable[Record]) -> list[bytes]:
    return [written((one, other)[number % 2], record) for number, record in enumerate(records)]


# --- versions that there were


@pytest.mark.parametrize("old", [pytest.param(one, id=f"{one.subject} {one.version}") for one in locked_versions()])
def test_every_version_of_the_lock_becomes_the_rows_of_the_current_one(old: SchemaVersion) -> None:
    stream = stream_of(old.subject.removesuffix("-value"))
    now = current(stream)
    records = [record for record in map(to_record, of(stream)) if known_to(old, record)]
    assert len(records) > 20
    expected = folded(prepared(stream, [written(now, record) for record in records]))
    assert folded(prepared(stream, [written(old, record) for record in records])) == expected
    assert folded(prepared(stream, alternating(old, now, records))) == expected


@pytest.mark.parametrize("old", [pytest.param(one, id=f"{one.subject} {one.version}") for one in locked_versions()])
def test_golden_bytes_become_the_rows_of_the_current_version(old: SchemaVersion) -> None:
    stream = stream_of(old.subject.removesuffix("-value"))
    for sample in json.loads(golden_path(old).read_text("utf-8"))["samples"]:
        wire, record = bytes.fromhex(sample["bytes"]), sample["record"]
        assert wire == written(old, record)
        assert folded(prepared(stream, [wire])) == folded(prepared(stream, [written(current(stream), record)]))


# --- a version to come, met by this program


@pytest.mark.parametrize("stream", STREAMS)
def test_the_version_to_come_is_one_that_may_come(stream: str) -> None:
    one = later(stream)
    assert incompatibilities(one.schema, schema_text(stream)) == []
    assert {"EventType", "Kind", "Author"} <= {each["name"] for each in enums(json.loads(one.schema))}
    if stream != "identity":
        assert '"long"' in one.schema
        assert '"int"' not in one.schema


@pytest.mark.parametrize("stream", STREAMS)
def test_what_a_newer_producer_writes_becomes_the_same_rows(stream: str) -> None:
    records = [record for record in map(to_record, of(stream)) if record[LOST_FIELD] is None]
    assert len(records) > 20
    expected = folded(prepared(stream, [written(current(stream), record) for record in records]))
    cross = [{**record, NEW_FIELD: "cross"} for record in records]
    assert folded(prepared(stream, [written(later(stream), record) for record in cross])) == expected
    assert folded(prepared(stream, alternating(later(stream), current(stream), cross))) == expected


@pytest.mark.parametrize("stream", STREAMS)
def test_a_type_that_is_newer_than_this_program_is_unknown(stream: str) -> None:
    records = [{**record, "type": NEW_TYPE} for record in map(to_record, of(stream)[:40])]
    as_unknown = [{**record, "type": "unknown"} for record in records]
    found = folded(prepared(stream, [written(later(stream), {**one, LOST_FIELD: None}) for one in records]))
    assert found == folded(
        prepared(stream, [written(current(stream), {**one, LOST_FIELD: None}) for one in as_unknown])
    )
    assert len(found["rows"]) == len(records)


@pytest.mark.parametrize("stream", STREAMS)
def test_symbols_that_are_newer_than_this_program_are_read_as_avro_reads_them(stream: str) -> None:
    """As the default of this program's enum, which says less, never more: in every enum, one after the other."""
    # A long is no int to Avro, so to that its schema is promoted, too.
    now, new = parsed(json.dumps(promoted(json.loads(schema_text(stream))))), later(stream)
    read = []
    for number, given in enumerate(map(to_record, of(stream)[:60])):
        record = deepcopy({**given, LOST_FIELD: None, "contact_points": [dict(one) for one in given["contact_points"]]})
        where = [
            record,
            record["contact_points"][-1],
            *(record[name] for name in ("statement", "survey") if record[name]),
        ]
        fields = [
            (node, name) for node in where for name, value in node.items() if may_be_newest(new, node, name, value)
        ]
        node, name = fields[number % len(fields)]
        node[name] = NEW_TYPE if name == "type" else NEW_SYMBOL
        read.append(record)
    values = [written(new, record) for record in read]
    resolved = [fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed(new.schema), now) for value in values]
    assert all(NEW_SYMBOL not in json.dumps(record) for record in resolved)
    assert sum(NEW_SYMBOL in json.dumps(record) for record in read) > 20
    expected = folded(prepared(stream, [written(current(stream), record) for record in resolved]))
    assert folded(prepared(stream, values)) == expected
    assert folded(prepared(stream, alternating_values(values, stream, resolved))) == expected


def may_be_newest(new: SchemaVersion, node: Record, name: str, value: Any) -> bool:
    """Whether a field holds a symbol of an enum that got a newer one."""
    found = [one["symbols"] for one in enums(json.loads(new.schema)) if value in one["symbols"]]
    return name in {"type", "kind", "assurance", "role", "author", "content_type", "bounce_class"} and bool(found)


def alternating_values(values: Sequence[bytes], stream: str, resolved: Sequence[Record]) -> list[bytes]:
    return [
        value if number % 2 else written(current(stream), record)
        for number, (value, record) in enumerate(zip(values, resolved, strict=True))
    ]


def test_a_number_that_is_now_longer_is_parked_when_it_does_not_fit() -> None:
    calls = [record for record in map(to_record, of("phone")) if record["wait_s"] is not None][:3]
    assert len(calls) == 3
    calls[1]["wait_s"] = 2**31
    batch = prepared("phone", [written(later("phone"), record) for record in calls])
    assert [(bad.place, bad.stage, str(bad.error)) for bad in batch.bad] == [
        (1, "check", "wait_s: not between 0 and 2147483647")
    ]
    assert batch.places.tolist() == [0, 2]


def test_bytes_of_a_newer_version_under_an_older_id_are_no_rows() -> None:
    """The id says by which schema a record is read: nothing is guessed from what the bytes look like."""
    records = [{**record, NEW_FIELD: "cross"} for record in map(to_record, of("chat")[:5])]
    values = [written(later("chat"), record) for record in records]
    wrong = [MAGIC + current("chat").id.to_bytes(4, "big") + value[5:] for value in values]
    batch = prepared("chat", wrong)
    assert len(batch.bad) + len(batch.places) == 5
    assert {type(bad.error) for bad in batch.bad} >= {UndecodableRecord}


# --- a version that came: this program has it, older producers do not


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """This program with the later schemas, their new type and their new field."""
    monkeypatch.setattr(decode, "schema_text", lambda stream: later(stream).schema)
    for stream, types in EVENT_TYPES.items():
        with monkeypatch.context() as patch:
            patch.setitem(EVENT_TYPES, stream, {**types, "message.sung": types["unknown"]})
            table = TypeTable(stream)
        monkeypatch.setitem(columns._TYPES, stream, table)
        monkeypatch.setitem(columns._OWN, stream, [*columns._OWN[stream], NEW_FIELD])
    monkeypatch.setitem(TYPE_OF_SYMBOL, NEW_TYPE, "message.sung")


@pytest.mark.usefixtures("upgraded")
@pytest.mark.parametrize("stream", STREAMS)
def test_what_older_producers_write_becomes_the_rows_of_the_newer_version(stream: str) -> None:
    records = [record for record in map(to_record, of(stream)) if record[LOST_FIELD] is None]
    values = [written(later(stream), {**record, NEW_FIELD: "calm"}) for record in records]
    expected = folded(prepared(stream, values))
    assert folded(prepared(stream, [written(current(stream), record) for record in records])) == expected
    assert folded(prepared(stream, alternating(current(stream), later(stream), records))) == expected


@pytest.mark.usefixtures("upgraded")
@pytest.mark.parametrize("stream", STREAMS)
def test_the_newer_version_says_more(stream: str) -> None:
    """Otherwise the tests above would hold for a program that reads nothing new."""
    [record, *_] = map(to_record, of(stream))
    record |= {NEW_FIELD: "cross", LOST_FIELD: None, "type": NEW_TYPE}
    [row] = prepared(stream, [written(later(stream), record)]).events.to_pylist()
    assert row["type"] == "message.sung"
    assert json.loads(row["rest"])["details"][NEW_FIELD] == "cross"
