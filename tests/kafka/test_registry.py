"""The registry that the tests start speaks the API that touchlog relies on."""

import httpx
import pytest

pytestmark = pytest.mark.registry

OLD = '{"type":"record","name":"Contact","fields":[{"name":"id","type":"string"}]}'
NEW = (
    '{"type":"record","name":"Contact","fields":[{"name":"id","type":"string"},'
    '{"name":"reason","type":["null","string"],"default":null}]}'
)
CHANGED = '{"type":"record","name":"Contact","fields":[{"name":"id","type":"int"}]}'


def _register(registry, subject, schema):
    answer = httpx.post(f"{registry}/subjects/{subject}/versions", json={"schema": schema}).raise_for_status()
    return answer.json()["id"]


def test_equal_schemas_have_one_id_in_every_subject(registry, unique):
    first = _register(registry, unique("a") + "-value", OLD)

    assert _register(registry, unique("b") + "-value", OLD) == first
    assert httpx.get(f"{registry}/schemas/ids/{first}").json()["schema"] == OLD


def test_versions_of_a_subject_have_ids_of_their_own(registry, unique):
    subject = unique("a") + "-value"

    assert _register(registry, subject, OLD) != _register(registry, subject, NEW)
    assert len(httpx.get(f"{registry}/subjects/{subject}/versions").json()) == 2


def test_an_incompatible_schema_is_refused_where_compatibility_is_set(registry, unique):
    subject = unique("a") + "-value"
    _register(registry, subject, OLD)
    httpx.put(f"{registry}/config/{subject}", json={"compatibility": "BACKWARD_TRANSITIVE"}).raise_for_status()

    answer = httpx.post(f"{registry}/subjects/{subject}/versions", json={"schema": CHANGED})

    assert answer.status_code == httpx.codes.CONFLICT
