"""Comparing the views as they are with the views as they would be, through whoever holds the store."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa

from projections.compare import Difference, compare, differing_rows
from projections.projection import Projection, in_order, parse
from projections.publish import PUBLIC
from projections.versions import COMING, LIVE, NEXT_SCHEMA, affected
from schemas.errors import ConfigurationError

Ask = Callable[..., pa.Table]
"""One SELECT over the public views: (sql, parameters=…)."""

_COLUMNS = """
    SELECT column_name FROM duckdb_columns()
    WHERE schema_name = $schema AND table_name = $name ORDER BY column_index
"""


def views_to_compare(ask: Ask, names: Sequence[str] = ()) -> list[Projection]:
    """The views that may change, each after those that it reads, or those of these names.

    Raises ConfigurationError when no version is coming, and for a view that cannot change.
    """
    rows = ask("SELECT name, state, sql FROM touchlog.projections ORDER BY name, version, build").to_pylist()
    now = {row["name"]: row["sql"] for row in rows if row["state"] == LIVE}
    new = {row["name"]: row["sql"] for row in rows if row["state"] in COMING}
    if not new:
        raise ConfigurationError("no version of any projection is coming; begin one with: touchlog rebuild NAME")
    after = in_order(map(parse, {**now, **new}.values()))
    changed = affected(new, after)
    unknown = set(names) - set(changed)
    if unknown:
        raise ConfigurationError(f"{', '.join(sorted(unknown))} cannot change; what may is {', '.join(changed)}")
    return [one for one in after if one.name in (names or changed)]


def difference(
    ask: Ask, projection: Projection, *, now: datetime, parts: Mapping[str, Any], examples: int
) -> Difference:
    """How the view differs, cut to `parts` (column -> value, where the view has that column)."""
    columns, next_columns = _columns(ask, PUBLIC, projection), _columns(ask, NEXT_SCHEMA, projection)
    where, parameters = _where(parts, columns)

    def run(sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        return ask(sql, parameters={**parameters, **_now(projection, now)})

    return compare(
        run,
        projection,
        columns=columns,
        next_columns=next_columns,
        before=_relation(PUBLIC, projection),
        after=_relation(NEXT_SCHEMA, projection),
        where=where,
        parameters=parameters,
        examples=examples,
    )


def all_rows(
    batches: Callable[..., Any], ask: Ask, projection: Projection, *, now: datetime, parts: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Every row that differs: {"view", "what", "before", "after"}."""
    columns, next_columns = _columns(ask, PUBLIC, projection), _columns(ask, NEXT_SCHEMA, projection)
    where, parameters = _where(parts, columns)
    sql = differing_rows(
        projection,
        columns=columns,
        next_columns=next_columns,
        before=_relation(PUBLIC, projection),
        after=_relation(NEXT_SCHEMA, projection),
        where=where,
    )
    with batches(sql, parameters={**parameters, **_now(projection, now)}) as reader:
        for batch in reader:
            for row in batch.to_pylist():
                before, after = (row[name] and json.loads(row[name]) for name in ("before", "after"))
                yield {"view": projection.name, "what": row["what"], "before": before, "after": after}


def told(found: Difference) -> dict[str, Any]:
    """A difference as JSON values."""
    return {**asdict(found), "differs": found.differs}


def _columns(ask: Ask, schema: str, projection: Projection) -> list[str]:
    found: list[str] = ask(_COLUMNS, parameters={"schema": schema, "name": projection.name})["column_name"].to_pylist()
    return found


def _relation(schema: str, projection: Projection) -> str:
    return f"FROM {schema}.{projection.name}" + ("_at($now::TIMESTAMPTZ)" if projection.now else "")


def _now(projection: Projection, now: datetime) -> dict[str, Any]:
    return {"now": now} if projection.now else {}


def _where(parts: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, dict[str, Any]]:
    used = {name: value for name, value in parts.items() if name in columns}
    terms = [f'"{name}"::VARCHAR = $part_{name}' for name in used]
    return " AND ".join(terms) or "true", {f"part_{name}": str(value) for name, value in used.items()}
