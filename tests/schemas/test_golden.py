"""What was ever written is read for ever: golden bytes of every schema version."""

import io
import json

import fastavro
import pytest

from schemas.codec import decode, encode, from_record, parsed
from schemas.registry import LockedRegistry, locked_versions, schema_text, subject_of
from schemas.topics import STREAMS, stream_of
from tests.schemas.golden_files import FOLDER, golden_path, written

VERSIONS = [pytest.param(version, id=f"{version.subject} {version.version}") for version in locked_versions()]


def golden(version):
    path = golden_path(version)
    assert path.exists(), "a version without golden bytes; type: python -m tests.schemas.golden_files"
    content = json.loads(path.read_text("utf-8"))
    assert content["guid"] == version.guid, "a version in registry.lock was changed; versions are only appended"
    samples = content["samples"]
    assert len(samples) == 2
    return [(bytes.fromhex(sample["bytes"]), sample["record"]) for sample in samples]


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_bytes_decode_to_what_was_written(version):
    for wire, record in golden(version):
        assert wire[:5] == b"\x00" + version.id.to_bytes(4, "big")
        assert decode(wire[5:], schema=LockedRegistry().schema(version.id)) == record


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_bytes_are_read_with_the_current_schema(version):
    stream = stream_of(version.subject.removesuffix("-value"))
    for wire, record in golden(version):
        now = fastavro.schemaless_reader(io.BytesIO(wire[5:]), parsed(version.schema), parsed(schema_text(stream)))
        assert {name: now[name] for name in record if name in now} == record
        event = from_record(stream, now)
        assert str(event.event_id) == record["event_id"]
        assert [point.value for point in event.contact_points] == [one["value"] for one in record["contact_points"]]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_current_version_is_still_written_to_the_byte(stream):
    schema_id, schema = LockedRegistry().current(stream)
    [version] = [version for version in locked_versions() if version.id == schema_id]
    for wire, record in golden(version):
        assert encode(from_record(stream, record), schema_id=schema_id, schema=schema) == wire


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_bytes_have_every_field_set_and_then_none(version):
    (_, full), (_, least) = golden(version)
    fields = json.loads(version.schema)["fields"]

    assert all(full[field["name"]] not in (None, [], {}) for field in fields)
    assert all(least[field["name"]] == field["default"] for field in fields if "default" in field)
    assert [record for record, _ in (written(version, full=True), written(version, full=False))] == [full, least]


def test_there_is_no_golden_file_without_a_version():
    assert sorted(FOLDER.iterdir()) == sorted(golden_path(version) for version in locked_versions())
    assert {version.subject for version in locked_versions()} == {subject_of(stream) for stream in STREAMS}
