"""Schema ids: from the committed `registry.lock`, or from a Confluent-compatible registry.

`registry.lock` holds every version of every schema that was ever written, with its id, its GUID (MD5 of the
canonical text, as Confluent computes it) and its fingerprint (SHA-256 of the parsing canonical form). Ids are
appended, never reused. `python -m schemas.registry` adds the current files.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

import fastavro.schema
import httpx

from schemas.errors import ConfigurationError, RegistryUnavailable, UnknownSchema
from schemas.topics import STREAMS, topic_of

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY = "BACKWARD_TRANSITIVE"
"""Readers of a new version can read what every older one wrote."""

_TRY_AGAIN = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})
_HERE = resources.files("schemas")


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaVersion:
    """One version of one subject's schema."""

    id: int
    subject: str
    version: int
    guid: str
    fingerprint: str
    schema: str


class Registry(Protocol):
    """Where schema ids come from."""

    def current(self, stream: str) -> tuple[int, str]:
        """Id and text of the schema that a channel (or `identity`) is written with now."""
        ...

    def schema(self, schema_id: int) -> str:
        """Text of the schema with this id. Raises UnknownSchema, or RegistryUnavailable (try again)."""
        ...

    def schema_by_guid(self, guid: UUID) -> str:
        """Text of the schema with this GUID (the id in a header form). Raises UnknownSchema."""
        ...


class LockedRegistry:
    """Ids from `registry.lock`: no network, the same on every machine."""

    def __init__(self, versions: tuple[SchemaVersion, ...] | None = None) -> None:
        versions = locked_versions() if versions is None else versions
        self._by_id = {version.id: version for version in versions}
        self._by_guid = {UUID(version.guid): version for version in versions}
        self._newest = {version.subject: version for version in sorted(versions, key=lambda one: one.version)}

    def current(self, stream: str) -> tuple[int, str]:
        newest = self._newest[subject_of(stream)]
        return newest.id, newest.schema

    def schema(self, schema_id: int) -> str:
        try:
            return self._by_id[schema_id].schema
        except KeyError:
            raise UnknownSchema(f"schema id {schema_id} is not in registry.lock") from None

    def schema_by_guid(self, guid: UUID) -> str:
        try:
            return self._by_guid[guid].schema
        except KeyError:
            raise UnknownSchema(f"schema guid {guid} is not in registry.lock") from None


class ConfluentRegistry:
    """Ids from a registry that speaks Confluent's API (Confluent, Karapace, Apicurio's `/apis/ccompat/v7`)."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        if not _is_address(url):
            raise ConfigurationError("the registry's address must be a URL; type --registry http://host:8081")
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._current: dict[str, tuple[int, str]] = {}
        self._schemas: dict[int | UUID, str] = {}

    def current(self, stream: str) -> tuple[int, str]:
        """Registers the schema where it is not yet; a subject that nobody checks is checked from here on."""
        known = self._current.get(stream)
        if known is None:
            text = schema_text(stream)
            subject = quote(subject_of(stream), safe="")
            self._hold_compatible(subject)
            answer = self._call("POST", f"/subjects/{subject}/versions", {"schema": text, "schemaType": "AVRO"})
            known = self._current[stream] = (int(answer["id"]), text)
        return known

    def _hold_compatible(self, subject: str) -> None:
        """Some registries check nothing until told (Apicurio); another level that somebody chose is left alone."""
        try:
            level = self._call("GET", f"/config/{subject}").get("compatibilityLevel")
        except UnknownSchema:
            level = None
        if level in {None, "NONE"}:
            self._call("PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})

    def schema(self, schema_id: int) -> str:
        known = self._schemas.get(schema_id)
        if known is None:
            known = self._schemas[schema_id] = str(self._call("GET", f"/schemas/ids/{schema_id}")["schema"])
        return known

    def schema_by_guid(self, guid: UUID) -> str:
        """From `registry.lock` when it is one of ours: not every registry can be asked for a GUID."""
        known = self._schemas.get(guid)
        if known is None:
            known = self._schemas[guid] = self._own_by_guid(guid) or self._asked_by_guid(guid)
        return known

    def _own_by_guid(self, guid: UUID) -> str | None:
        return next((version.schema for version in locked_versions() if UUID(version.guid) == guid), None)

    def _asked_by_guid(self, guid: UUID) -> str:
        path = f"/schemas/guids/{guid}"
        response = self._request("GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            self._call("GET", "/config")
            raise UnknownSchema(f"the schema registry does not know {path}")
        return str(_answer(response, path)["schema"])

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        return _answer(self._request(method, path, body), path)

    def _request(self, method: str, path: str, body: Mapping[str, str] | None = None) -> httpx.Response:
        # Each schema is asked for once: a connection kept open would only have to be closed by somebody.
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        try:
            return httpx.request(method, self._url + path, json=body, headers=headers, timeout=self._timeout)
        except httpx.HTTPError as error:
            raise RegistryUnavailable(f"the schema registry does not answer: {type(error).__name__}") from None


def _is_address(url: str) -> bool:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.host)


def _answer(response: httpx.Response, path: str) -> dict[str, Any]:
    """What a registry answered, or the error that its status stands for."""
    status = response.status_code
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
        raise RegistryUnavailable(f"the schema registry answered {status} to {path}")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise ConfigurationError("the schema registry wants credentials; type --registry https://user:password@host")
    if status in {httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY}:
        raise ConfigurationError(f"the schema registry refuses the schema of {path}: not compatible with what it holds")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if status == httpx.codes.NOT_FOUND and isinstance(answer, dict) and "error_code" in answer:
        raise UnknownSchema(f"the schema registry does not know {path}")
    if status != httpx.codes.OK or not isinstance(answer, dict):
        raise ConfigurationError(
            f"no schema registry speaks Confluent's API at this address ({status} to {path});"
            " type --registry http://host:8081, or for Apicurio http://host:8080/apis/ccompat/v7"
        )
    return answer


def open_registry(url: str | None) -> Registry:
    """The registry at `url`, or the committed lock file when there is none."""
    return LockedRegistry() if url is None else ConfluentRegistry(url)


def subject_of(stream: str) -> str:
    """Topic name strategy: `interactions.email-value`."""
    return topic_of(stream) + "-value"


@cache
def schema_text(stream: str) -> str:
    """The current schema of a channel (or `identity`) as canonical JSON text."""
    text = (_HERE / "avro" / f"{stream}.avsc").read_text("utf-8")
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@cache
def locked_versions() -> tuple[SchemaVersion, ...]:
    """Every version in `registry.lock`, in order of id."""
    lock = json.loads((_HERE / "registry.lock").read_text("utf-8"))
    return tuple(SchemaVersion(**{**entry, "schema": _compact(entry["schema"])}) for entry in lock["schemas"])


def extended(versions: tuple[SchemaVersion, ...]) -> tuple[SchemaVersion, ...]:
    """The versions with the current files appended where they differ from the newest."""
    out = list(versions)
    for stream in STREAMS:
        subject, text = subject_of(stream), schema_text(stream)
        own = [version for version in out if version.subject == subject]
        if own and own[-1].schema == text:
            continue
        canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
        out.append(
            SchemaVersion(
                id=max((version.id for version in out), default=0) + 1,
                subject=subject,
                version=len(own) + 1,
                guid=str(UUID(bytes=hashlib.md5(text.encode(), usedforsecurity=False).digest())),
                fingerprint=hashlib.sha256(canonical.encode()).hexdigest(),
                schema=text,
            )
        )
    return tuple(out)


def _compact(schema: Any) -> str:
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def _write_lock() -> None:
    path = Path(str(_HERE / "registry.lock"))
    versions = extended(locked_versions() if path.exists() else ())
    entries = [{**asdict(version), "schema": json.loads(version.schema)} for version in versions]
    path.write_text(json.dumps({"schemas": entries}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"registry.lock: {len(versions)} schema versions")


if __name__ == "__main__":
    _write_lock()
