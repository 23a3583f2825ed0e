"""touchlog metrics: definitions of response times seen and loaded, with a projector running and without."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from log.open import open_log
from tests.consumers.publishing import publish
from tests.strategies import random_log
from tests.touchlog.letters import LOG, projector
from touchlog.cli import cli

EVENTS = random_log(612, 200)
MINE = """
[[definition]]
name = "standard"
version = 2
note = "An hour for everything."
bots_answer = true
[definition.targets]
first_response = {email = 3600, chat = 3600, phone = 3600, post = 3600, social = 5400}
[definition.hours]
zone = "Europe/Berlin"
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
sat = ["10:00-12:00"]
holidays = {country = "DE", subdivision = "BY"}
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()
    Path("mine.toml").write_text(MINE, encoding="utf-8")
    with open_log(LOG) as log:
        publish(log, EVENTS, partitions=2)
    done("project", "--until-caught-up")


def done(*words: str, code: int = 0):
    ended = CliRunner().invoke(cli, list(words), prog_name="touchlog")
    assert ended.exit_code == code, ended.output
    return ended


def told(*words: str):
    return json.loads(done(*words, "--json").stdout)


def counted() -> dict[str, int]:
    rows = told(
        "sql", "SELECT definition || ' ' || definition_version AS d, count(*) AS n FROM touchlog.waits GROUP BY 1"
    )
    return {row["d"]: row["n"] for row in rows}


@pytest.mark.parametrize("running", [projector, nullcontext], ids=["with a projector", "alone"])
def test_they_are_redefined_after_the_fact(running):
    with running():
        before = counted()
        assert set(before) == {"standard 1", "business_hours 1"}
        shown = done("metrics").stdout
        assert "business_hours  version 1" in shown
        assert "mon-fri 08:00-17:00 (Europe/Stockholm)" in shown
        batches = told("sql", "SELECT count(*) AS n FROM touchlog.batches")
        Path("both.toml").write_text(done("metrics", "default").stdout + MINE, encoding="utf-8")
        assert "the views count by these now" in done("metrics", "load", "both.toml").stderr
        after = counted()
        assert set(after) == {*before, "standard 2"}
        assert {name: after[name] for name in before} == before
        assert "these stood already" in done("metrics", "load", "both.toml").stderr
        [mine] = told("metrics", "load", "mine.toml")
        assert (mine["name"], mine["version"], mine["zone"], mine["bots_answer"]) == (
            *("standard", 2, "Europe/Berlin"),
            True,
        )
        assert "2026-01-06" in mine["closed"], "Epiphany, in Bavaria"
        assert set(counted()) == {"standard 2"}
        # No batch was folded for any of it.
        assert told("sql", "SELECT count(*) AS n FROM touchlog.batches") == batches
        shown = done("metrics").stdout
        assert "mon-tue 09:00-17:00, sat 10:00-12:00 (Europe/Berlin)" in shown
        assert "holidays of DE BY" in shown
        assert "social 1 h 30 min" in shown
        Path("mine.toml").write_text(MINE.replace("true", "false"), encoding="utf-8")
        refused = done("metrics", "load", "mine.toml", code=2)
        assert "definition standard changed, its version 2 did not; call it version 3" in refused.stderr
        done("verify")


def test_a_file_of_them_is_loaded_at_the_start():
    done("project", "--until-caught-up", "--metrics", "mine.toml")
    assert set(counted()) == {"standard 2"}
    done("project", "--until-caught-up")
    assert set(counted()) == {"standard 2"}
    Path("mine.toml").write_text("[[definition]]\nname = 'x'", encoding="utf-8")
    ended = done("project", "--until-caught-up", "--metrics", "mine.toml", code=2)
    assert "mine.toml: definition x: version: " in ended.stderr


def test_a_store_that_is_folded_again_keeps_them():
    done("metrics", "load", "mine.toml")
    before = counted()
    done("rebuild", "--source", "log")
    done("diff", "--source", "log")
    done("switch", "--source", "log")
    assert counted() == before
