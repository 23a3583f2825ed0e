"""registry.lock: every version that was ever written, with ids that stay."""

import hashlib
import json
from dataclasses import replace
from uuid import UUID

import avro.schema
import fastavro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas.errors import UnknownSchema
from schemas.registry import LockedRegistry, extended, locked_versions, open_registry, schema_text, subject_of
from schemas.topics import STREAMS

UPDATE = "type: python -m schemas.registry && python -m tests.schemas.golden_files"


def incompatibilities(reader, writer):
    """Why a reader of one schema cannot read what was written with another; empty when it can."""
    checker = ReaderWriterCompatibilityChecker()
    result = checker.get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return sorted(result.messages) or ["incompatible"]


def changed(stream, change):
    schema = json.loads(schema_text(stream))
    change(schema)
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def test_the_lock_holds_the_current_files():
    missing = [version.subject for version in extended(locked_versions())[len(locked_versions()) :]]

    assert not missing, f"changed without an entry in registry.lock: {', '.join(missing)}; {UPDATE}"


def test_a_changed_file_is_noticed_and_gets_the_next_id():
    given = locked_versions()
    newest = max(version.id for version in given)
    other = [replace(v, schema='{"type":"string"}') if v.subject == subject_of("phone") else v for v in given]

    added = extended(tuple(other))[len(given) :]

    assert [(one.id, one.subject) for one in added] == [(newest + 1, subject_of("phone"))]
    assert added[0].version == 1 + max(v.version for v in given if v.subject == subject_of("phone"))
    assert added[0].schema == schema_text("phone")


def test_the_first_lock_of_all_has_one_version_a_stream():
    assert [(one.id, one.subject, one.version) for one in extended(())] == [
        (number, subject_of(stream), 1) for number, stream in enumerate(STREAMS, start=1)
    ]


def test_ids_are_appended_and_never_used_twice():
    versions = locked_versions()

    assert [version.id for version in versions] == list(range(1, len(versions) + 1))
    assert len({version.guid for version in versions}) == len(versions)
    for subject in {version.subject for version in versions}:
        own = [version.version for version in versions if version.subject == subject]
        assert own == list(range(1, len(own) + 1))
    assert {version.subject for version in versions} == {subject_of(stream) for stream in STREAMS}


def test_guid_and_fingerprint_are_those_of_the_text():
    for version in locked_versions():
        assert UUID(version.guid).bytes == hashlib.md5(version.schema.encode()).digest()
        theirs = fastavro.schema.fingerprint(
            fastavro.schema.to_parsing_canonical_form(json.loads(version.schema)), "sha256"
        )
        assert version.fingerprint == theirs


def pairs():
    versions = locked_versions()
    return [
        pytest.param(newer, older, id=f"{newer.subject} {newer.version} reads {older.version}")
        for newer in versions
        for older in versions
        if newer.subject == older.subject and newer.version >= older.version
    ]


@pytest.mark.parametrize(("newer", "older"), pairs())
def test_every_version_reads_what_every_older_one_wrote(newer, older):
    assert incompatibilities(newer.schema, older.schema) == []


def another_type(schema):
    schema["fields"][4]["type"] = "int"


def without_default(schema):
    schema["fields"].append({"name": "mood", "type": "string"})


def fewer_directions(schema):
    [direction] = [field for field in schema["fields"] if field["name"] == "direction"]
    direction["type"]["symbols"].remove("report")


def no_longer_null(schema):
    [summary] = [field for field in schema["fields"] if field["name"] == "summary"]
    summary["type"], summary["default"] = "string", ""


@pytest.mark.parametrize("change", [another_type, without_default, fewer_directions, no_longer_null])
@pytest.mark.parametrize("stream", STREAMS)
def test_an_incompatible_change_is_reported(stream, change):
    assert incompatibilities(changed(stream, change), schema_text(stream))


def one_more_field(schema):
    schema["fields"].append({"name": "mood", "type": ["null", "string"], "default": None})


def one_more_type(schema):
    schema["fields"][1]["type"]["symbols"].append("message_sung")


def one_field_less(schema):
    schema["fields"].pop()


@pytest.mark.parametrize("change", [one_more_field, one_more_type, one_field_less])
@pytest.mark.parametrize("stream", STREAMS)
def test_a_change_that_readers_survive_is_not_reported(stream, change):
    assert incompatibilities(changed(stream, change), schema_text(stream)) == []


@pytest.mark.parametrize("stream", STREAMS)
def test_the_locked_registry_answers_by_stream_id_and_guid(stream):
    registry = open_registry(None)
    schema_id, text = registry.current(stream)
    [version] = [version for version in locked_versions() if version.id == schema_id]

    assert version.subject == f"interactions.{stream}-value"
    assert version.version == max(v.version for v in locked_versions() if v.subject == version.subject)
    assert text == schema_text(stream) == registry.schema(schema_id) == registry.schema_by_guid(UUID(version.guid))


def test_the_locked_registry_says_which_id_it_does_not_know():
    registry = LockedRegistry()

    with pytest.raises(UnknownSchema, match=r"schema id 4711 is not in registry.lock"):
        registry.schema(4711)
    with pytest.raises(UnknownSchema, match=r"00000000-0000-0000-0000-000000000007 is not in registry.lock"):
        registry.schema_by_guid(UUID(int=7))


def test_the_newest_version_counts_whatever_the_order_of_the_entries():
    first, *others = locked_versions()
    newest = max(one.version for one in (first, *others) if one.subject == first.subject)
    second = replace(first, id=99, version=newest + 1, guid=str(UUID(int=99)), schema='{"type":"string"}')

    registry = LockedRegistry((second, *others, first))

    assert registry.current("email") == (99, '{"type":"string"}')
    assert registry.schema(first.id) == first.schema
