"""docs/views.md and the views agree: every view, every column."""

import re
from pathlib import Path

import pytest

from projections.store import Store

DOCS = (Path(__file__).parents[2] / "docs" / "views.md").read_text("utf-8")


@pytest.fixture(scope="module")
def columns() -> dict[str, list[str]]:
    """View -> its columns, in order."""
    con = Store.in_memory().con
    rows = con.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'touchlog' ORDER BY column_index"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for view, column in rows:
        found.setdefault(view, []).append(column)
    return found


def section(view: str) -> str:
    """The text that documents a view."""
    heading = re.search(rf"^## {view}:.*?(?=^## )", DOCS, re.MULTILINE | re.DOTALL)
    if heading:
        return heading.group()
    entry = re.search(rf"^- \*\*{view}\*\*:.*?(?=^- |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert entry, f"docs/views.md does not document the view {view}"
    return entry.group()


def test_every_view_and_column_is_documented(columns: dict[str, list[str]]) -> None:
    missing = [
        f"{view}.{column}"
        for view, names in columns.items()
        for column in names
        if not re.search(rf"\b{column}\b", section(view))
    ]
    assert not missing


def test_every_documented_view_exists(columns: dict[str, list[str]]) -> None:
    documented = set(re.findall(r"^## (\w+):", DOCS, re.MULTILINE)) | set(
        re.findall(r"^- \*\*(\w+)\*\*: .*", DOCS.partition("## Operations")[2], re.MULTILINE)
    )
    assert documented == set(columns)
