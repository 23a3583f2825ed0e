"""What would change: a view as it is beside the same view as it would be, row by row, in one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from projections.projection import Projection

Row = dict[str, Any]


class Ask(Protocol):
    """Runs one SELECT and gives its rows."""

    def __call__(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How two versions of a view differ.

    `before`, `after`: rows of each; `gone`, `new`: rows that one of them alone has; `changed`: rows of the same key
    that differ, and `columns` how many of them in which column. `examples`: a few of each, as (before, after), where a
    row is None on the side that lacks it. `columns_gone`, `columns_new`: columns that one alone has.
    """

    view: str
    key: tuple[str, ...]
    before: int
    after: int
    gone: int
    new: int
    changed: int
    columns: Mapping[str, int]
    examples: Sequence[tuple[Row | None, Row | None]] = ()
    columns_gone: Sequence[str] = ()
    columns_new: Sequence[str] = ()
    positions: Sequence[Row] = field(default_factory=tuple)

    @property
    def differs(self) -> bool:
        return bool(self.gone or self.new or self.changed or self.columns_gone or self.columns_new)


def compare(
    ask: Ask,
    projection: Projection,
    *,
    columns: Sequence[str],
    next_columns: Sequence[str],
    before: str,
    after: str,
    where: str = "true",
    parameters: Mapping[str, Any] | None = None,
    examples: int = 5,
) -> Difference:
    """Compare the relations `before` and `after` (SQL that gives the view's rows), both cut by `where`.

    Rows are paired by the projection's key; a projection without a key has rows that are equal or not. All of it is
    one SELECT, so both sides are at the same offsets of the log, which are told as `positions`.
    """
    shared = [name for name in columns if name in next_columns]
    key = [name for name in projection.key if name in shared] or shared
    sql = _sql(key, shared, before=before, after=after, where=where, examples=examples)
    row = ask(sql, dict(parameters or {})).to_pylist()[0]
    return Difference(
        view=projection.name,
        key=tuple(key),
        before=row["before_rows"],
        after=row["after_rows"],
        gone=row["gone"],
        new=row["new"],
        changed=row["changed"],
        columns={name: rows for name, rows in zip(shared, row["by_column"], strict=True) if rows},
        examples=[
            (example["b"], example["a"])
            for kind in ("changed", "gone", "new")
            for example in row[f"{kind}_examples"] or ()
        ],
        columns_gone=[name for name in columns if name not in shared],
        columns_new=[name for name in next_columns if name not in shared],
        positions=row["positions"] or (),
    )


def differing_rows(
    projection: Projection,
    *,
    columns: Sequence[str],
    next_columns: Sequence[str],
    before: str,
    after: str,
    where: str = "true",
) -> str:
    """SQL for every row that differs: `what` (gone, new, changed), `before` and `after` as JSON."""
    shared = [name for name in columns if name in next_columns]
    key = [name for name in projection.key if name in shared] or shared
    return (
        f"SELECT what, to_json(b) AS before, to_json(a) AS after FROM ({_paired(key, shared, before, after, where)})"
        " WHERE what IS NOT NULL ORDER BY what, coalesce(b, a)::VARCHAR"
    )


def _sql(key: Sequence[str], shared: Sequence[str], *, before: str, after: str, where: str, examples: int) -> str:
    # Rows that differ are looked at once, in a list of flags: DuckDB takes seconds over the same terms in aggregates.
    flags = ", ".join(f"b.{_quoted(name)} IS DISTINCT FROM a.{_quoted(name)}" for name in shared)
    kinds = ",\n".join(
        f"count(*) FILTER (what = '{kind}') AS {kind},"
        f" (SELECT list({{'b': b, 'a': a}} ORDER BY place) FROM shown WHERE what = '{kind}') AS {kind}_examples"
        for kind in ("gone", "new", "changed")
    )
    by_column = ", ".join(f"count(*) FILTER (flags[{place}])" for place, _ in enumerate(shared, 1))
    return f"""
        WITH paired AS MATERIALIZED ({_paired(key, shared, before, after, where)}),
        differing AS MATERIALIZED (SELECT b, a, what, [{flags}] AS flags FROM paired WHERE what IS NOT NULL),
        -- The rows that differ in most columns tell most.
        shown AS MATERIALIZED (
            SELECT b, a, what, row_number() OVER (
                PARTITION BY what ORDER BY list_sum(flags) DESC, coalesce(b, a)::VARCHAR
            ) AS place
            FROM differing
            QUALIFY place <= {examples}
        )
        SELECT
            count(b) AS before_rows, count(a) AS after_rows, {kinds},
            (SELECT [{by_column}] FROM differing WHERE what = 'changed') AS by_column,
            (SELECT list({{'topic': topic, 'partition': partition, 'next_offset': next_offset}}
                ORDER BY topic, partition) FROM touchlog.lag) AS positions
        FROM paired
    """


def _paired(key: Sequence[str], shared: Sequence[str], before: str, after: str, where: str) -> str:
    packed = "{" + ", ".join(f"'{name}': {_quoted(name)}" for name in shared) + "}"
    on = " AND ".join(f"x.b.{_quoted(name)} IS NOT DISTINCT FROM y.a.{_quoted(name)}" for name in key)
    return f"""
        SELECT
            b, a,
            CASE WHEN a IS NULL THEN 'gone' WHEN b IS NULL THEN 'new'
                WHEN b IS DISTINCT FROM a THEN 'changed' END AS what
        FROM (SELECT {packed} AS b FROM ({before}) WHERE {where}) AS x
        FULL JOIN (SELECT {packed} AS a FROM ({after}) WHERE {where}) AS y ON {on}
    """


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
