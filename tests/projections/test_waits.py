"""Waits by several definitions at once equal the oracle's, whatever the zone, the hours, the pauses."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import metrics
from projections.as_of import Cut, copy_whole
from projections.store import Store
from projections.verify import from_tables, sample
from schemas.event_types import EVENT_TYPES
from schemas.models import Event
from tests.folding import fold
from tests.habits import NOW, WAITING
from tests.oracle import fold as oracle
from tests.oracle.compare import differences, read_view
from tests.oracle.waits import packaged
from tests.projections.test_against_oracle import cut
from tests.strategies import random_log
from tests.villages import built, drafted

VIEWS = ("waits", "response_times", "response_times_by_agent", "response_times_by_queue")
WEEK = {key: ["00:00-24:00"] for key in metrics.DAYS}
TARGETS = {"first_response": {"chat": 60}, "next_response": {"email": 0}, "resolution": {"chat": 3600, "post": 0}}
DEFINITIONS: list[dict[str, Any]] = [
    *packaged(),
    {"name": "standard", "version": 2, "bots_answer": True, "targets": TARGETS},
    {"name": "snoozes_alone", "version": 1, "snoozes_pause": True},
    # Hours over the moments at which the clock is changed, some of which it skips or shows twice.
    {
        "name": "nights",
        "version": 3,
        "snoozes_pause": True,
        "hours": {"zone": "Europe/Stockholm", **WEEK, "sun": ["00:00-01:30", "02:30-02:45", "03:00-03:30"]},
    },
    {"name": "always", "version": 1, "hours": {"zone": "Pacific/Auckland", **WEEK}},
    {
        "name": "bavaria",
        "version": 1,
        "bots_answer": True,
        "hours": {
            "zone": "Europe/Berlin",
            "mon": ["22:00-24:00"],
            "tue": ["00:00-06:00", "06:00-06:01", "12:00-12:30"],
            "fri": ["08:00-17:00"],
            "holidays": {"country": "DE", "subdivision": "BY", "also_closed": ["2025-06-10"]},
        },
    },
    {
        "name": "far_west",
        "version": 1,
        "hours": {"zone": "Pacific/Honolulu", "tue": ["08:00-20:00"], "sat": ["12:00-24:00"], "sun": ["00:00-12:00"]},
    },
]


def loaded(store: Store, definitions: Sequence[dict[str, Any]]) -> None:
    with store.transaction():
        assert metrics.load(store.con, metrics.checked({"definition": list(definitions)}, where="test"))


def assert_equal(store: Store, events: Sequence[Event], definitions: list[dict[str, Any]] | None = None) -> None:
    expected = oracle(events, NOW, definitions)
    for view in VIEWS:
        found = read_view(store.cursor(), view, None)
        assert not differences(expected[view], found), (view, differences(expected[view], found))


def village(pick: Any, size: int) -> list[Event]:
    return [built(drafted(pick, village=0, habits=WAITING), name=str(number)) for number in range(size)]


@pytest.mark.parametrize(("seed", "size"), [(2, 250)])
def test_definitions_stand_side_by_side_over_the_whole_history(tmp_path: Path, seed: int, size: int) -> None:
    pick = random.Random(seed)
    events = village(pick.choice, size) + random_log(seed, size)
    with fold(tmp_path / "views.duckdb", cut(events, pick, 5), compact_after=size) as store:
        assert_equal(store, events)
        loaded(store, DEFINITIONS)
        assert_equal(store, events, DEFINITIONS)
        found = read_view(store.cursor(), "waits", None)
        assert {row["definition"] for row in found} == {one["name"] for one in DEFINITIONS}
        assert any(row["counted_s"] not in (row["seconds"], 0, None) for row in found)
        loaded(store, DEFINITIONS[2:4])
        assert_equal(store, events, DEFINITIONS[2:4])
        assert not from_tables(store.cursor(), tmp_path, NOW)
        assert not sample(store.cursor(), 5, NOW)
        with Store.open(tmp_path / "then.duckdb") as then:
            moment = datetime(2025, 6, 1, tzinfo=UTC)
            copy_whole(store.cursor(), then, Cut(happened=moment))
            assert_equal(then, [one for one in events if one.occurred_at <= moment], DEFINITIONS[2:4])


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_waits_equal_the_oracles(data: st.DataObject) -> None:
    def pick(options: Sequence[Any]) -> Any:
        return options[data.draw(st.integers(0, len(options) - 1))]

    events = village(pick, data.draw(st.integers(2, 12)))
    with TemporaryDirectory() as folder, fold(Path(folder) / "views.duckdb", [events[::-1]]) as store:
        loaded(store, DEFINITIONS)
        assert_equal(store, events, DEFINITIONS)


def test_a_bots_answers_are_of_the_types_that_the_view_names() -> None:
    own = {name for types in EVENT_TYPES.values() for name, one in types.items() if one.clock == "stop"}
    sql = next(one for one in Store.in_memory().live() if one.name == "waits").text
    named = {name for name in own if f"'{name}'" in sql}
    # A call that a machine answers is a menu.
    assert named == own - {"call.answered"}
