"""Versions of projections and what would change by them, as a person reads it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from projections.compare import Difference
from touchlog.render import as_time, cell, count, facts_table

_STATE_STYLES = {"live": "green", "ready": "cyan", "retired": "dim", "paused": "yellow"}


def versions_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Versions with their states."""
    table = [
        [row["name"], row["version"], Text(row["state"], style=_STATE_STYLES.get(row["state"], "yellow")), _since(row)]
        for row in rows
    ]
    return facts_table(["projection", "version", "state", "since"], table, numbers=["version"])


def differences(found: Sequence[Difference]) -> RenderableType:
    """A table of all views, then examples of each that differs."""
    rows = [[one.view, one.before, one.after, one.gone, one.new, one.changed, _columns(one)] for one in found]
    head = facts_table(
        ["view", "rows now", "rows then", "gone", "new", "changed", "in (rows)"],
        rows,
        numbers=["rows now", "rows then", "gone", "new", "changed"],
    )
    return Group(head, *(part for one in found if one.differs for part in _examples(one)))


def _columns(one: Difference) -> str:
    parts = [f"{name} ({count(number)})" for name, number in sorted(one.columns.items(), key=lambda pair: -pair[1])]
    parts += [f"without {name}" for name in one.columns_gone] + [f"with {name}" for name in one.columns_new]
    return ", ".join(parts) or ("-" if one.differs else "the same")


def _examples(one: Difference) -> Iterator[RenderableType]:
    if not one.examples:
        return
    yield Text(f"\n{one.view}, for example", style="bold")
    for before, after in one.examples:
        some = before or after or {}
        what = "changed" if before and after else "gone" if before else "new"
        named = ", ".join(f"{name} {_value(some[name])}" for name in one.key if some[name] is not None)
        yield Text(f"  {what}: {named}")
        if before and after:
            for name in one.columns:
                if before[name] != after[name]:
                    yield Text.assemble(
                        f"    {name}: ", (_value(before[name]), "red"), " → ", (_value(after[name]), "green")
                    )


def _value(value: Any) -> str:
    text = cell(value).plain
    return text if len(text) <= 200 else f"{text[:200]}…"


def _since(row: Mapping[str, Any]) -> str:
    since = row["since"]
    return since if isinstance(since, str) else as_time(since)
