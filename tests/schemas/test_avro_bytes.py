"""Avro data written by our own functions: the bytes of fastavro, or an error. Whole events are in test_codec.py."""

import io

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.avro_bytes import encoder
from schemas.codec import plain_schema
from schemas.registry import locked_versions
from tests.schemas.event_strategies import unhurried

COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
EVERYTHING = {
    "type": "record",
    "name": "Everything",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "small", "type": ["int", "null"]},
        {"name": "sure", "type": ["null", "boolean"]},
        {"name": "colour", "type": COLOUR},
        {"name": "again", "type": ["null", "Colour"]},
        {"name": "notes", "type": {"type": "map", "values": "string"}},
        {
            "name": "parts",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "Part", "fields": [{"name": "no", "type": "int"}]},
            },
        },
        {"name": "part", "type": ["null", "Part"]},
    ],
}
COLOURS = st.sampled_from(["red", "green"])
INTS = st.integers(-(2**31), 2**31 - 1)
PARTS = st.fixed_dictionaries({"no": INTS})


def by_fastavro(schema, value):
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), value, strict=True)
    return buffer.getvalue()


@unhurried
@given(
    st.fixed_dictionaries(
        {
            "text": st.text(),
            "number": st.integers(-(2**63), 2**63 - 1),
            "small": st.none() | INTS,
            "sure": st.none() | st.booleans(),
            "colour": COLOURS,
            "again": st.none() | COLOURS,
            "notes": st.dictionaries(st.text(), st.text()),
            "parts": st.lists(PARTS),
            "part": st.none() | PARTS,
        }
    )
)
def test_bytes_are_those_of_fastavro(record):
    assert encoder(EVERYTHING)(record) == by_fastavro(EVERYTHING, record)


@unhurried
@given(st.integers(-(2**63), 2**63 - 1))
@example(-(2**63))
@example(2**63 - 1)
@example(-64)
@example(64)
def test_a_long_has_the_bytes_of_fastavro(number):
    assert encoder("long")(number) == by_fastavro("long", number)


@pytest.mark.parametrize("length", [0, 63, 64, 4095, 4096, 8191, 8192, 1_048_576])
def test_a_text_of_any_length_has_the_bytes_of_fastavro(length):
    assert encoder("string")("ö" * (length // 2)) == by_fastavro("string", "ö" * (length // 2))


@pytest.mark.parametrize("version", locked_versions(), ids=lambda version: f"{version.subject}-{version.version}")
def test_every_schema_of_the_lock_has_an_encoder(version):
    assert encoder(plain_schema(version.schema))


@pytest.mark.parametrize(
    "schema", ["double", "bytes", ["null", "string", "long"], ["string"], {"type": "fixed", "name": "F", "size": 2}]
)
def test_what_it_cannot_encode_it_refuses_beforehand(schema):
    with pytest.raises(ValueError, match=r"^no encoder for "):
        encoder({"type": "record", "name": "R", "fields": [{"name": "f", "type": schema}]})


def test_a_record_of_other_fields_and_an_unknown_symbol_are_refused_without_their_values():
    encode = encoder({"type": "record", "name": "R", "fields": [{"name": "colour", "type": COLOUR}]})
    for record in ({}, {"colour": "red", "secret": "Ada"}, {"colour": "Ada"}, {"secret": "Ada"}):
        with pytest.raises((ValueError, KeyError)) as raised:
            encode(record)
        assert "Ada" not in str(raised.value)
