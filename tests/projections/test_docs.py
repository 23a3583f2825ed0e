"""docs/views.md and the views agree: every view, every column."""

import re
from pathlib import Path

import pytest

from projections.store import Store
from tests.folding import fold
from tests.strategies import random_log

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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with some of everything."""
    return fold(tmp_path_factory.mktemp("examples") / "views.duckdb", [random_log(71, 400)])


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


@pytest.mark.parametrize("example", re.findall(r"^```sql\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL))
def test_every_example_runs(example: str, told: Store) -> None:
    assert told.cursor().execute(example).to_arrow_table().num_columns
