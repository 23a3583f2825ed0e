"""The Avro files and the models say the same."""

import enum
import json
import types
import typing
from datetime import datetime
from uuid import UUID

import fastavro
import pytest

from schemas.event_types import EVENT_TYPES, TYPE_OF_SYMBOL, avro_symbol
from schemas.models import EVENT_MODELS, ContactPoint, Event, Kind, Statement, Survey
from schemas.registry import schema_text
from schemas.topics import STREAMS

COMMON = list(Event.model_fields)
MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def fields(stream):
    return json.loads(schema_text(stream))["fields"]


def python_type(annotation):
    """The annotation without what validates, and whether it may be None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arguments = typing.get_args(annotation)
        [inner] = [one for one in arguments if one is not types.NoneType]
        return python_type(inner)[0], len(arguments) > 1
    return annotation, False


def avro_type(annotation, known, nullable=None):
    """The Avro type that a model's field has to have, names of named types only where they are met again."""
    plain, optional = python_type(annotation)
    origin, arguments = typing.get_origin(plain), typing.get_args(plain)
    if origin is tuple:
        found = {"type": "array", "items": avro_type(arguments[0], known)}
    elif origin is dict:
        found = {"type": "map", "values": avro_type(arguments[1], known)}
    elif plain in known:
        found = plain.__name__
    elif isinstance(plain, type) and issubclass(plain, enum.Enum):
        known.add(plain)
        found = {"type": "enum", "name": plain.__name__, "symbols": [one.value for one in plain]}
    elif plain in (ContactPoint, Statement, Survey):
        found = {
            "type": "record",
            "name": plain.__name__,
            "fields": [
                {"name": name, "type": avro_type(field.annotation, known)} for name, field in plain.model_fields.items()
            ],
        }
    else:
        # AwareDatetime is a marker of pydantic's, in an Annotated for type checkers only.
        found = {str: "string", int: "int", bool: "boolean", datetime: MICROS}.get(plain) or (
            {"type": "string", "logicalType": "uuid"} if plain is UUID else MICROS
        )
    return ["null", found] if optional else found


def bare(node):
    """An Avro type without defaults and documentation."""
    if isinstance(node, dict):
        return {name: bare(value) for name, value in node.items() if name not in {"default", "doc"}}
    return [bare(one) for one in node] if isinstance(node, list) else node


@pytest.mark.parametrize("stream", STREAMS)
def test_a_file_has_the_fields_of_its_model_in_the_same_order(stream):
    assert [field["name"] for field in fields(stream)] == list(EVENT_MODELS[stream].model_fields)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_file_has_the_types_of_its_model(stream):
    known = set()
    for field in fields(stream):
        if field["name"] == "type":
            continue
        annotation = typing.get_type_hints(EVENT_MODELS[stream], include_extras=True)[field["name"]]
        assert bare(field["type"]) == avro_type(annotation, known), field["name"]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_common_fields_come_first_and_are_identical(stream):
    first, of_email = fields(stream)[: len(COMMON)], fields("email")[: len(COMMON)]

    assert [field["name"] for field in first] == COMMON
    for field, known in zip(first, of_email, strict=True):
        if field["name"] == "type":
            field["type"].pop("symbols"), known["type"].pop("symbols")
        assert field == known


@pytest.mark.parametrize("stream", STREAMS)
def test_the_types_of_a_file_are_those_of_the_table(stream):
    [of_type] = [field["type"] for field in fields(stream) if field["name"] == "type"]

    assert of_type["symbols"] == [avro_symbol(name) for name in EVENT_TYPES[stream]]
    assert of_type["symbols"][0] == of_type["default"] == "unknown"


def test_no_two_types_have_one_symbol():
    names = {name for types_ in EVENT_TYPES.values() for name in types_}

    assert len(TYPE_OF_SYMBOL) == len(names)
    assert {avro_symbol(name): name for name in names} == TYPE_OF_SYMBOL


@pytest.mark.parametrize("stream", STREAMS)
def test_what_a_writer_may_leave_out_has_the_default_of_the_model(stream):
    for field in fields(stream):
        of_model = EVENT_MODELS[stream].model_fields[field["name"]]
        assert ("default" in field) is not of_model.is_required(), field["name"]
        if "default" in field:
            default = of_model.get_default(call_default_factory=True, validated_data={})
            assert field["default"] == (list(default) if isinstance(default, tuple) else default), field["name"]


def enums(node):
    if isinstance(node, dict):
        if node.get("type") == "enum":
            yield node
        for value in node.values():
            yield from enums(value)
    elif isinstance(node, list):
        for one in node:
            yield from enums(one)


# What a reader makes of a symbol that is newer than itself: never more than is said.
CAUTIOUS = {
    "EventType": "unknown",
    "Kind": "anonymous",
    "Assurance": "inferred",
    "Role": "mentioned",
    "StatementKind": "opt_out",
    "BounceClass": "soft",
    "DeliveryBasis": "estimated",
    "Author": "machine",
}


@pytest.mark.parametrize("stream", STREAMS)
def test_enums_that_may_grow_have_a_cautious_default(stream):
    found = {one["name"]: one for one in enums(json.loads(schema_text(stream)))}

    assert set(found) >= {"EventType", "Kind", "Assurance", "Role", "Direction"}
    for name, one in found.items():
        # The three directions are closed: a fourth would need another meaning in every view.
        assert name == "Direction" or one["default"] in one["symbols"], name
        assert one.get("default") == CAUTIOUS.get(name, one.get("default")), name


@pytest.mark.parametrize("stream", STREAMS)
def test_a_file_is_an_avro_schema_for_another_library_too(stream):
    import avro.schema

    text = schema_text(stream)
    theirs = avro.schema.parse(text)

    assert theirs.fullname == f"touchlog.{stream}.{stream.capitalize()}Event"
    assert fastavro.parse_schema(json.loads(text))["name"] == theirs.fullname


def test_anonymous_is_the_last_kind():
    assert list(Kind)[-1] is Kind.ANONYMOUS
