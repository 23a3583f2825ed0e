"""Dead letters as people ask for them: by cause, by contact, one of them whole."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from consumers.letters import Ask, Decoded, Letter, Wanted, decoded, letters, names
from schemas.contact_points import plain_key
from schemas.errors import ConfigurationError, RegistryUnavailable
from schemas.models import Kind
from schemas.registry import Registry
from touchlog.contact import CUSTOMER, HANDLE

WHAT_TO_DO = {
    "frame": "not the wire format (docs/event.md): find who writes it; redrive --id ID --patch EVENT.json, or discard",
    "schema": "register the schema, or name its --registry; then redrive --stage schema",
    "decode": "not of its schema: find who writes it; redrive --id ID --patch EVENT.json, or discard",
    "check": "breaks the contract (docs/event.md): look with show ID; redrive --id ID --patch PATCH.json",
    "fold": "the views cannot hold it: look with show ID; redrive --id ID --patch PATCH.json",
}
"""By stage, what a person can do next."""

_CAUSES = """
    SELECT error_class, stage, count(*) AS records, min(first_seen) AS first_seen, max(first_seen) AS last_seen,
        min_by(topic || ':' || partition || ':' || log_offset, (batch, log_offset)) AS example
    FROM touchlog.dead_letters WHERE {where} GROUP BY error_class, stage ORDER BY records DESC, error_class, stage
"""
_LISTED = """
    SELECT topic || ':' || partition || ':' || log_offset AS id, state, stage, error_class, error_message, schema_id,
        attempts, first_seen, last_attempt
    FROM touchlog.dead_letters WHERE {where} ORDER BY batch, topic, partition, log_offset
"""
_POINTS = "SELECT contact_point FROM touchlog.contact_points WHERE customer_id = ?::UUID"


def causes(ask: Ask, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of error_class, stage, records, first_seen, last_seen, example (an id), what_to_do; most records first."""
    where, values = wanted.where()
    rows = ask(_CAUSES.format(where=where), values).to_pylist()
    return [{**row, "what_to_do": WHAT_TO_DO.get(row["stage"])} for row in rows]


def listed(ask: Ask, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of id, state, stage, error_class, error_message, schema_id, attempts, first_seen, last_attempt."""
    where, values = wanted.where()
    rows: list[dict[str, Any]] = ask(_LISTED.format(where=where), values).to_pylist()
    return rows


def naming(ask: Ask, wanted: Wanted, keys: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """Ids of the wanted letters that name one of the contact points, as far as their bytes can be read.

    `keys` are those of `touchlog.contact.contact_keys`: of contact points, `customer:` ids and `handle:`s.
    """
    exact = {key for key in keys if not key.startswith((CUSTOMER, HANDLE))}
    handles = [":" + key.removeprefix(HANDLE).lower() for key in keys if key.startswith(HANDLE)]
    for key in keys:
        if key.startswith(CUSTOMER):
            points = ask(_POINTS, [key.removeprefix(CUSTOMER)])["contact_point"].to_pylist()
            exact.update(map(plain_key, points))

    def meant(one: str) -> bool:
        kind, _, value = one.partition(":")
        return one in exact or (kind == Kind.SOCIAL and any(value.lower().endswith(handle) for handle in handles))

    return tuple(
        letter.id for letter in every(ask, wanted) if any(meant(one) for one in names(letter, _read(letter, registry)))
    )


def every(ask: Ask, wanted: Wanted) -> Iterator[Letter]:
    """The wanted letters, whole, one after the other."""
    for some in letters(ask, wanted):
        yield from some


def one_letter(ask: Ask, letter_id: str) -> Letter:
    """The letter of this id, whatever its state. Raises ConfigurationError when there is none."""
    found = next(every(ask, Wanted(ids=(letter_id,), states=())), None)
    if found is None:
        raise ConfigurationError(f"no dead letter {letter_id}; type: touchlog dead-letters --all --state any")
    return found


def shown(letter: Letter, registry: Registry) -> dict[str, Any]:
    """The letter with all that can be read of it: `record`, or `fields` and the `problem`; key and headers as text."""
    found = _read(letter, registry)
    said = letter.to_json()
    del said["value"]
    return {
        **said,
        "key": None if letter.key is None else _text(letter.key),
        "headers": [[name, _text(value)] for name, value in letter.headers],
        "size": None if letter.value is None else len(letter.value),
        "schema_id": found.schema_id if letter.schema_id is None else letter.schema_id,
        "schema_guid": found.guid,
        "schema": None if found.schema is None else _name(found.schema),
        "record": found.record,
        "fields": {} if found.record is not None else found.fields,
        "problem": found.problem,
    }


def settled(told: Iterable[dict[str, Any]], asked: Sequence[str]) -> list[str]:
    """Of the ids that were asked for by name, those of which nothing was told: not parked, or not there."""
    return sorted(set(asked) - {one["id"] for one in told})


def _read(letter: Letter, registry: Registry) -> Decoded:
    try:
        return decoded(letter.value, letter.headers, registry)
    except RegistryUnavailable as error:
        return Decoded(problem=str(error))


def _name(schema: str) -> str | None:
    """The full name of an Avro record's schema."""
    said = json.loads(schema)
    return (
        ".".join(str(said[part]) for part in ("namespace", "name") if part in said) if isinstance(said, dict) else None
    )


def _text(value: bytes) -> str:
    """Text where it is, else hexadecimal digits."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
