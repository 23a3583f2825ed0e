"""Definitions of response times: what is a mistake in their file, and what becomes of them in a store."""

import json
from pathlib import Path
from typing import Any

import pytest

from projections import metrics
from projections.exchange import exchange, exchange_back, next_of
from projections.store import Store
from schemas.errors import ConfigurationError

HOURS = {"zone": "Europe/Stockholm", "mon": ["08:00-17:00"]}
PLAIN = {"name": "plain", "version": 1}


def checked(*given: dict[str, Any]) -> tuple[metrics.Definition, ...]:
    return metrics.checked({"definition": list(given)}, where="my.toml")


def loaded(store: Store, *given: dict[str, Any]) -> bool:
    with store.transaction():
        return metrics.load(store.con, checked(*given))


def names(store: Store) -> list[tuple[str, int]]:
    return store.con.execute("SELECT name, version FROM touchlog.metric_definitions ORDER BY place").fetchall()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"nmae": "x"}, "there is no field nmae"),
        ({"version": 0}, "version: "),
        ({"name": "Ours"}, "name: "),
        ({"name": None}, "name: "),
        ({"bots_answer": "yes"}, "bots_answer: "),
        ({"targets": {"first_reply": {"email": 1}}}, "targets.first_reply"),
        ({"targets": {"resolution": {"fax": 1}}}, "targets.resolution.fax"),
        ({"targets": {"resolution": {"chat": -1}}}, "targets.resolution.chat: "),
        ({"targets": {"resolution": {"chat": "1h"}}}, "targets.resolution.chat: "),
        ({"hours": {"mon": ["08:00-17:00"]}}, "hours.zone: "),
        ({"hours": {**HOURS, "zone": "Europe/Atlantis"}}, "hours.zone: not an IANA time zone"),
        ({"hours": {**HOURS, "monday": []}}, "there is no field hours.monday"),
        ({"hours": {"zone": "UTC"}}, "hours: it is open on no day of the week"),
        ({"hours": {**HOURS, "tue": ["08:00"]}}, "hours.tue: '08:00' is no span of hours"),
        ({"hours": {**HOURS, "tue": ["8-17"]}}, "hours.tue: '17' is no time of day"),
        ({"hours": {**HOURS, "tue": ["08:00-24:01"]}}, "hours.tue: '24:01' is no time of day"),
        ({"hours": {**HOURS, "tue": ["08:60-24:00"]}}, "hours.tue: '08:60' is no time of day"),
        ({"hours": {**HOURS, "tue": ["22:00-06:00"]}}, "hours.tue: '22:00-06:00' ends before it begins"),
        ({"hours": {**HOURS, "tue": ["08:00-12:00", "11:59-17:00"]}}, "hours.tue: '11:59-17:00' begins before"),
        ({"hours": {**HOURS, "holidays": {"country": "XX"}}}, "hours.holidays: no holidays are known of the country"),
        ({"hours": {**HOURS, "holidays": {"country": "DE", "subdivision": "QQ"}}}, "hours.holidays: no holidays"),
        ({"hours": {**HOURS, "holidays": {"subdivision": "BY"}}}, "hours.holidays: a subdivision is one of a country"),
        ({"hours": {**HOURS, "holidays": {"also_closed": ["tomorrow"]}}}, "hours.holidays.also_closed.0: "),
    ],
)
def test_a_mistake_is_told_with_its_definition_and_field(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(PLAIN, {"name": "ours", "version": 1, **given})
    assert str(caught.value).startswith("my.toml: definition ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no definition"),
        ("[[definition]", "is not TOML"),
        ('definition = "standard"', "there is no definition"),
        ('extra = 1\n[[definition]]\nname = "a"\nversion = 1', "there is no 'extra'"),
        (
            '[[definition]]\nname = "a"\nversion = 1\n[[definition]]\nname = "a"\nversion = 1',
            "version 1 stands there twice",
        ),
    ],
)
def test_a_file_that_is_none_is_told(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"metrics\.toml") as caught:
        metrics.read(file)
    assert told in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        metrics.read(tmp_path / "missing.toml")


def test_hours_that_touch_and_days_of_ones_own_are_read(tmp_path: Path) -> None:
    file = tmp_path / "metrics.toml"
    file.write_text(
        '[[definition]]\nname = "a"\nversion = 1\n[definition.hours]\nzone = "UTC"\n'
        'mon = ["00:00-06:00", "06:00-24:00"]\n[definition.hours.holidays]\nalso_closed = [2026-12-24]\n'
    )
    (found,) = metrics.rows_of(metrics.read(file))
    assert json.loads(found.closed) == ["2026-12-24"]
    assert found.calendar is None


def test_a_store_begins_with_the_packaged_ones_and_keeps_what_was_loaded(tmp_path: Path) -> None:
    with Store.open(tmp_path / "views.duckdb") as store:
        assert names(store) == [("standard", 1), ("business_hours", 1)]
        assert loaded(store, PLAIN)
        assert not loaded(store, PLAIN), "they stand already"
    with Store.open(tmp_path / "views.duckdb") as store:
        assert names(store) == [("plain", 1)]


def test_a_definition_that_changes_wants_a_new_version() -> None:
    store = Store.in_memory()
    loaded(store, PLAIN)
    changed = {**PLAIN, "snoozes_pause": True}
    with pytest.raises(ConfigurationError, match="plain changed, its version 1 did not; call it version 2"):
        loaded(store, changed)
    assert names(store) == [("plain", 1)]
    assert loaded(store, {**PLAIN, "note": "for people"})
    assert loaded(store, {**PLAIN, "note": "for people"}, {**changed, "version": 2})
    assert names(store) == [("plain", 1), ("plain", 2)]
    assert loaded(store, {**changed, "version": 2})
    with pytest.raises(ConfigurationError, match="call it version 3"):
        loaded(store, {"name": "plain", "version": 1, "bots_answer": True})


def test_they_stay_when_the_files_are_exchanged(tmp_path: Path) -> None:
    live = tmp_path / "views.duckdb"
    Store.open(live).close()
    with Store.open(next_of(live)) as store:
        loaded(store, {"name": "other", "version": 1})
    with Store.open(live) as store:
        loaded(store, PLAIN)
    assert exchange(live)
    with Store.open(live) as store:
        assert names(store) == [("plain", 1)]
        loaded(store, {"name": "later", "version": 1})
    assert exchange_back(live)
    with Store.open(live) as store:
        assert names(store) == [("later", 1)]
