"""Every rule of the views as a file that a person who does not program can read: scenarios/README.md."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from producers.emit import emitted_events
from producers.format import Options
from projections import metrics
from projections.as_of import Cut, copy_whole
from projections.store import Store
from schemas.contact_points import contact_point_id, parse_contact
from schemas.models import Event
from tests.folding import fold
from tests.oracle import fold as oracle
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS, Row, differences, read_view

FOLDER = Path(__file__).with_name("scenarios")
FILES = sorted(FOLDER.glob("*.json"))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _events(scenario: dict[str, Any]) -> list[Event]:
    options = Options(observed_at=_moment(scenario["now"]))
    return [event for content in scenario["given"] for event in emitted_events(content, options)]


def _orders(events: list[Event], seed: str) -> Iterator[tuple[str, list[list[Event]], int]]:
    """How they are folded: in words, in which batches, compacted after how many."""
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    yield "as written, in one batch", [events], 10**9
    yield "in reverse, one by one", [[event] for event in events[::-1]], 10**9
    yield "shuffled and twice, compacted in between", [events[::2], shuffled, events[::-1]], 1


@contextmanager
def _as_of(store: Store, moment: datetime, path: Path) -> Iterator[Store]:
    with Store.open(path) as then:
        copy_whole(store.cursor(), then, Cut(happened=moment))
        yield then


def _customer(store: Store, spelling: str) -> str:
    point = contact_point_id(parse_contact(spelling).key)
    found = store.con.execute(
        "SELECT customer_id FROM touchlog.contact_points WHERE contact_point_id = ?", [point]
    ).fetchone()
    assert found is not None, f"no contact point {spelling}"
    return str(found[0])


def _meant(value: Any, store: Store) -> Any:
    """A value of the file as a view would have it."""
    match value:
        case {"customer_of": spelling}:
            return _customer(store, spelling)
        case list():
            return [_meant(one, store) for one in value]
        case dict():
            return {name: _meant(one, store) for name, one in value.items()}
    return value


def _alike(found: Any, expected: Any) -> bool:
    if isinstance(found, datetime) and isinstance(expected, str):
        return found == _moment(expected)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(_alike(*pair) for pair in zip(found, expected, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        return all(name in found and _alike(found[name], value) for name, value in expected.items())
    if hasattr(found, "isoformat") and not isinstance(found, datetime):
        return bool(found.isoformat() == expected)
    return bool(found == expected)


def _asked(store: Store, question: dict[str, Any], now: datetime) -> list[Row]:
    view = question["view"]
    where = {
        "customer_id" if name == "customer_of" else name: _customer(store, value)
        if name == "customer_of"
        else _meant(value, store)
        for name, value in question.get("where", {}).items()
    }
    rows = read_view(store.cursor(), view, now if view in DEPEND_ON_NOW else None)
    for name in where:
        assert not rows or name in rows[0], f"{view} has no column {name}"
    return [row for row in rows if all(_alike(row[name], value) for name, value in where.items())]


def _check(store: Store, question: dict[str, Any], now: datetime, how: str) -> None:
    found = _asked(store, question, now)
    expected = _meant(question["expect"], store)
    told = f"{question['ask']} ({how})"
    wanted = [] if expected is None else expected if isinstance(expected, list) else [expected]
    assert len(found) == len(wanted), (told, found)
    for row in wanted:
        match = next((one for one in found if _alike(one, row)), None)
        assert match is not None, (told, row, found)
        found.remove(match)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path, tmp_path: Path) -> None:
    scenario = json.loads(file.read_text("utf-8"))
    now = _moment(scenario["now"])
    events = _events(scenario)
    definitions = scenario.get("metrics")
    expected = oracle(events, now, definitions)
    for number, (how, batches, compact_after) in enumerate(_orders(events, file.stem)):
        with fold(tmp_path / f"{number}.duckdb", batches, compact_after=compact_after) as store:
            if definitions is not None:
                with store.transaction():
                    metrics.load(store.con, metrics.checked({"definition": definitions}, where=file.name))
            for question in scenario["then"]:
                if "as_of" not in question:
                    _check(store, question, now, how)
                    continue
                moment = _moment(question["as_of"])
                with _as_of(store, moment, tmp_path / "then.duckdb") as then:
                    _check(then, question, moment, how)
                (tmp_path / "then.duckdb").unlink()
            if compact_after == 1:
                for view in sorted({"customers", *(question["view"] for question in scenario["then"])}):
                    rows = read_view(store.cursor(), view, now if view in DEPEND_ON_NOW else None)
                    assert not differences(expected[view], rows), (view, how, differences(expected[view], rows))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_is_told_as_agreed(file: Path) -> None:
    scenario = json.loads(file.read_text("utf-8"))
    assert set(scenario) - {"metrics"} == {"name", "source", "now", "given", "then"}
    assert scenario["name"].endswith(".")
    assert scenario["source"]
    assert scenario["then"]
    for question in scenario["then"]:
        assert {"ask", "view", "expect"} <= set(question) <= {"ask", "view", "where", "expect", "as_of"}
        assert question["view"] in VIEWS
