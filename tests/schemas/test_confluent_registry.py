"""Ids from a real registry that speaks Confluent's API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from threading import Thread
from uuid import UUID

import httpx
import pytest

from consumers.decode import GUID_HEADER
from schemas.codec import decode, encode, from_record
from schemas.errors import ConfigurationError, RegistryUnavailable, UnknownSchema
from schemas.registry import (
    COMPATIBILITY,
    ConfluentRegistry,
    LockedRegistry,
    locked_versions,
    open_registry,
    schema_text,
    subject_of,
)
from schemas.topics import STREAMS, topic_of
from tests.kafka.java import free_port
from tests.schemas.test_event import an_event


def subject_url(registry, stream):
    return f"{registry}/subjects/{subject_of(stream)}/versions"


@pytest.mark.registry
def test_all_schemas_are_registered_once_and_have_ids(registry):
    ids = {stream: ConfluentRegistry(registry).current(stream) for stream in STREAMS}

    again = open_registry(registry)
    for stream, (schema_id, text) in ids.items():
        assert text == schema_text(stream)
        assert again.current(stream) == again.current(stream) == (schema_id, text)
        assert json.loads(again.schema(schema_id)) == json.loads(text)
        assert len(httpx.get(subject_url(registry, stream)).json()) == 1
    assert len({schema_id for schema_id, _ in ids.values()}) == len(STREAMS)


@pytest.mark.registry
def test_a_registry_holds_our_subjects_compatible_from_the_first_version_on(registry):
    ConfluentRegistry(registry).current("phone")
    level = httpx.get(f"{registry}/config/{subject_of('phone')}").json()

    assert level == {"compatibilityLevel": "BACKWARD_TRANSITIVE"} == {"compatibilityLevel": COMPATIBILITY}


@pytest.fixture
def social_alone(registry):
    """The subject of social, before us with one other version, and without a trace after."""
    url = f"{registry}/subjects/{subject_of('social')}"
    config = f"{registry}/config/{subject_of('social')}"

    def forget():
        httpx.delete(config)
        httpx.delete(url)
        httpx.delete(f"{url}?permanent=true")

    forget()
    yield registry
    forget()


def register(registry, schema):
    answer = httpx.post(subject_url(registry, "social"), json={"schema": json.dumps(schema), "schemaType": "AVRO"})
    return answer.raise_for_status().json()["id"]


def other_schema():
    """Ours, and a field of which our readers would not know what to read for it."""
    schema = json.loads(schema_text("social"))
    schema["fields"][4]["type"] = "int"
    return schema


@pytest.mark.registry
def test_a_schema_that_is_not_compatible_is_refused(social_alone):
    register(social_alone, other_schema())

    with pytest.raises(ConfigurationError) as caught:
        ConfluentRegistry(social_alone).current("social")

    assert str(caught.value) == (
        "the schema registry refuses the schema of /subjects/interactions.social-value/versions:"
        " not compatible with what it holds"
    )


@pytest.mark.registry
def test_a_compatibility_level_that_somebody_chose_is_left_alone(social_alone):
    schema = json.loads(schema_text("social"))
    register(social_alone, {**schema, "fields": schema["fields"][:-1]})
    config = f"{social_alone}/config/{subject_of('social')}"
    httpx.put(config, json={"compatibility": "FULL"}).raise_for_status()

    schema_id, text = ConfluentRegistry(social_alone).current("social")

    assert json.loads(ConfluentRegistry(social_alone).schema(schema_id)) == json.loads(text)
    assert httpx.get(config).json() == {"compatibilityLevel": "FULL"}


@pytest.mark.registry
def test_an_id_that_the_registry_does_not_know_is_unknown(registry):
    with pytest.raises(UnknownSchema, match=r"^the schema registry does not know /schemas/ids/2147483647$"):
        ConfluentRegistry(registry).schema(2**31 - 1)


@pytest.mark.registry
def test_a_guid_of_ours_is_known_without_asking(registry):
    asked = ConfluentRegistry(registry)
    for version in locked_versions():
        assert asked.schema_by_guid(UUID(version.guid)) == LockedRegistry().schema(version.id)
    nobody = ConfluentRegistry(f"http://127.0.0.1:{free_port()}")
    assert nobody.schema_by_guid(UUID(locked_versions()[0].guid)) == locked_versions()[0].schema


@pytest.mark.registry
def test_a_guid_that_nobody_knows_is_unknown(registry):
    with pytest.raises(UnknownSchema, match=r"does not know /schemas/guids/00000000-0000-0000-0000-000000000007"):
        ConfluentRegistry(registry).schema_by_guid(UUID(int=7))


@pytest.mark.registry
def test_an_address_without_the_api_is_a_wrong_address(registry):
    root = ConfluentRegistry(registry.partition("/apis/")[0] + "/nowhere")
    for asking in (
        lambda: root.current("email"),
        lambda: root.schema(1),
        lambda: root.schema_by_guid(UUID(int=7)),
    ):
        with pytest.raises(ConfigurationError, match=r"no schema registry speaks Confluent's API .*; type --registry"):
            asking()


@pytest.mark.registry
@pytest.mark.parametrize("stream", STREAMS)
def test_confluents_serializer_writes_the_same_bytes(registry, stream):
    """Both id forms: the prefix that we write, the header that a newer serializer may write."""
    avro = pytest.importorskip("confluent_kafka.schema_registry.avro", reason="needs confluent-kafka[avro]")
    from confluent_kafka.schema_registry import SchemaRegistryClient, prefix_schema_id_serializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    event = an_event(
        stream, type="unknown", read_up_to=an_event().occurred_at, case_refs=["case:1"], attributes={"ö": "🎉"}
    )
    schema_id, text = ConfluentRegistry(registry).current(stream)
    with SchemaRegistryClient({"url": registry}) as client:
        settings = {"subject.name.strategy.type": "TOPIC", "schema.id.serializer": prefix_schema_id_serializer}
        theirs = avro.AvroSerializer(client, text, lambda one, _: one, {**settings, "auto.register.schemas": True})
        context = SerializationContext(topic_of(stream), MessageField.VALUE)
        record = event.model_dump() | {"type": event.type}

        ours = encode(event, schema_id=schema_id, schema=text)
        assert theirs(record, context) == ours
        read = avro.AvroDeserializer(client)(ours, context)
        assert read["event_id"] == event.event_id
        assert read["occurred_at"] == event.occurred_at
        assert decode(ours[5:], schema=ConfluentRegistry(registry).schema(schema_id))["attributes"] == {"ö": "🎉"}


def test_the_header_form_is_a_bare_datum_beside_the_guid_of_the_lock():
    pytest.importorskip("confluent_kafka.schema_registry.avro", reason="needs confluent-kafka[avro]")
    from confluent_kafka.schema_registry.serde import SchemaId

    event = an_event()
    schema_id, text = LockedRegistry().current("email")
    [guid] = [version.guid for version in locked_versions() if version.id == schema_id]
    header = SchemaId("AVRO", guid=guid).guid_to_bytes()

    assert GUID_HEADER == "__value_schema_id"
    assert (header[:1], UUID(bytes=header[1:])) == (b"\x01", UUID(guid))
    datum = encode(event, schema_id=schema_id, schema=text)[5:]
    assert from_record("email", decode(datum, schema=LockedRegistry().schema_by_guid(UUID(bytes=header[1:])))) == event


# a registry that is away, or something that is none


def test_nobody_there_is_unavailable():
    away = ConfluentRegistry(f"http://127.0.0.1:{free_port()}")
    for asking in (lambda: away.current("email"), lambda: away.schema(1), lambda: away.schema_by_guid(UUID(int=7))):
        with pytest.raises(RegistryUnavailable, match=r"^the schema registry does not answer: ConnectError$"):
            asking()


@contextmanager
def answering(status, body, headers=()) -> Iterator[str]:
    """A server that gives one answer to everything; status 0 never answers."""

    class Server(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if status == 0:
                waiting.wait(10)
                return
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - names that http.server asks for

        def log_message(self, *_):
            pass

    waiting = Flag()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        waiting.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_that_passes_is_unavailable(status):
    with answering(status, b"{}") as url:
        with pytest.raises(RegistryUnavailable, match=f"^the schema registry answered {status} to /schemas/ids/1$"):
            ConfluentRegistry(url).schema(1)
        with pytest.raises(RegistryUnavailable, match=str(status)):
            ConfluentRegistry(url).schema_by_guid(UUID(int=7))


def test_no_answer_in_time_is_unavailable():
    with answering(0, b"") as url, pytest.raises(RegistryUnavailable, match=r"does not answer: ReadTimeout$"):
        ConfluentRegistry(url, timeout=0.2).schema(1)


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_lets_nobody_in_wants_credentials(status):
    with answering(status, b"") as url, pytest.raises(ConfigurationError, match=r"wants credentials; type --registry"):
        ConfluentRegistry(url).current("email")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>welcome</html>"),
        (200, b"[]"),
        (200, b""),
        (200, b"\xff"),
        (400, b"{}"),
        (404, b"<html>not found</html>"),
        (404, b"{}"),
        (405, b""),
        (410, b""),
    ],
)
def test_something_else_that_answers_is_a_wrong_address(status, body):
    with answering(status, body) as url:
        registry = ConfluentRegistry(url)
        for asking in (lambda: registry.current("email"), lambda: registry.schema(1)):
            with pytest.raises(ConfigurationError, match=f"no schema registry .* \\({status} to "):
                asking()


def test_a_redirection_is_not_followed():
    elsewhere = [("Location", "https://example.org/")]
    with answering(302, b"", elsewhere) as url, pytest.raises(ConfigurationError, match=r"302 to /schemas/ids/1"):
        ConfluentRegistry(url).schema(1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8081",
        "registry",
        "kafka://localhost:9092",
        "http://",
        "http:///x",
        "http://host:abc",
        "http://[::1",
        "file:///etc",
    ],
)
def test_an_address_that_is_no_url_is_refused(url):
    with pytest.raises(ConfigurationError, match=r"must be a URL; type --registry http://host:8081"):
        ConfluentRegistry(url)


def test_no_message_holds_a_password():
    with answering(500, b"") as url:
        registry = ConfluentRegistry(url.replace("http://", "http://ada:secret-word@"))
        with pytest.raises(RegistryUnavailable) as caught:
            registry.schema(1)
    assert "secret-word" not in str(caught.value)
