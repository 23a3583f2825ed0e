"""rebuild, diff, switch, retire, verify, and the views as of two times: with a projector running, and without."""

import json
import signal
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from log.open import open_log
from projections.store import Store
from tests.consumers.publishing import append, publish
from tests.habits import NOW
from tests.projections.test_against_oracle import assert_equal
from tests.projections.test_rebuild import NO_OPENS
from tests.strategies import random_log
from tests.touchlog.letters import LOG, STORE, projector, until
from touchlog.cli import cli

EVENTS = random_log(611, 400)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()
    Path("items.sql").write_text(NO_OPENS.text, encoding="utf-8")
    with open_log(LOG) as log:
        publish(log, EVENTS, partitions=2)
    done("project", "--until-caught-up", "--compact-after", "100")


@pytest.fixture(params=[False, True], ids=["alone", "with a projector"])
def running(request):
    return projector if request.param else nullcontext


def done(*words: str, code: int = 0) -> str:
    ended = CliRunner().invoke(cli, list(words), prog_name="touchlog")
    assert ended.exit_code == code, ended.output
    return ended.stdout


def told(*words: str, code: int = 0):
    return json.loads(done(*words, "--json", code=code))


def states(*words: str) -> list[tuple[int, str]]:
    return [(version["version"], version["state"]) for version in told(*words)]


def test_a_changed_rule_is_seen_taken_and_taken_back(running):
    with running():
        before = told("sql", "FROM touchlog.items ORDER BY ALL")
        assert states("rebuild", "items.sql") == [(2, "live"), (3, "ready")]
        assert states("rebuild", "items.sql") == [(2, "live"), (3, "ready")], "asked for again it is what it was"
        found = {one["view"]: one for one in told("diff", code=1)}
        changed = "items channel_preference audience timeline shared_timeline customers channel_usage"
        assert set(found) == set(changed.split())
        assert found["items"]["columns"].keys() == {"engagement"}
        assert found["channel_preference"]["changed"] > 0
        shown = done("diff", "items", "--examples", "1", code=1)
        assert "engagement: " in shown
        assert " → " in shown
        done("diff", "items", "--all", "changes.jsonl", code=1)
        lines = [json.loads(line) for line in Path("changes.jsonl").read_text("utf-8").split("\n")[:-1]]
        assert len(lines) == found["items"]["changed"]
        assert states("switch") == [(2, "retired"), (3, "live")]
        after = told("sql", "FROM touchlog.items ORDER BY ALL")
        assert sum(one != other for one, other in zip(before, after, strict=True)) == found["items"]["changed"]
        assert states("switch", "--back") == [(2, "live"), (3, "ready")]
        assert told("sql", "FROM touchlog.items ORDER BY ALL") == before
        assert states("rebuild", "items", "--cancel") == [(2, "live")]
        assert "no version of any projection is coming" in CliRunner().invoke(cli, ["diff"]).stderr
        done("diff", code=2)
        done("switch", code=2)
        done("rebuild", "nothing", code=2)
    with Store.open(STORE) as store:
        assert_equal(store, EVENTS)


def test_the_next_is_folded_on_and_retired_when_it_is_not_wanted(running):
    more = random_log(612, 100)
    with running():
        states("rebuild", "items.sql")
        states("switch")
        with open_log(LOG) as log:
            publish(log, more, partitions=2)
        if running is nullcontext:
            done("project", "--until-caught-up")
        total = len({event.event_id for event in [*EVENTS, *more]})
        until(lambda: told("sql", "SELECT count(*) AS n FROM touchlog.interactions") == [{"n": total}])
        assert states("switch", "--back") == [(2, "live"), (3, "ready")]
        states("switch")
        assert states("retire") == [(3, "live")]
        done("switch", "--back", code=2)


def test_the_whole_store_is_built_from_the_log_beside_the_live_one(running):
    with running() as process:
        done("rebuild", "--source", "log")
        assert not any(one["differs"] for one in told("diff", "--source", "log"))
        more = random_log(613, 60)
        with open_log(LOG) as log:
            publish(log, more, partitions=2)
        if process is None:
            done("project", "--until-caught-up")
        total = len({event.event_id for event in [*EVENTS, *more]})
        until(lambda: told("sql", "SELECT count(*) AS n FROM touchlog.interactions") == [{"n": total}])
        assert not any(one["differs"] for one in told("diff", "--source", "log"))
        inode = STORE.stat().st_ino
        done("switch", "--source", "log")
        until(lambda: STORE.stat().st_ino != inode)
        until(lambda: told("sql", "SELECT count(*) AS n FROM touchlog.interactions") == [{"n": total}])
        done("switch", "--source", "log", "--back")
        until(lambda: STORE.stat().st_ino == inode)
        done("switch", "--source", "log")
        done("retire", "--source", "log")
        if process is not None:
            until(lambda: told("status")["running"])
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 0
    with Store.open(STORE) as store:
        assert_equal(store, list({event.event_id: event for event in [*EVENTS, *more]}.values()))


def test_a_part_of_the_log_is_for_looking(running):
    # Of a customer whom nobody else's evidence touches: a part knows its own alone.
    contact = EVENTS[1].primary.key
    with running():
        done("rebuild", "--source", "log", "--contact", contact)
        found = told("diff", "--source", "log")
        assert {one["view"] for one in found} >= {"interactions", "items", "timeline"}
        assert not [one["view"] for one in found if one["differs"]]
        assert sum(one["after"] for one in found if one["view"] == "interactions") > 0
        done("switch", "--source", "log", code=2)
        done("rebuild", "--source", "log", "--cancel")
        done("rebuild", "--source", "log", "--channel", "chat")
        [found] = told("diff", "--source", "log")
        assert (found["view"], found["differs"]) == ("interactions", False)
        done("rebuild", "--source", "log", "--cancel")
        done("diff", "--source", "log", code=2)


def test_a_rebuild_from_the_log_stops_at_new_poison_and_parks_what_was_parked():
    with open_log(LOG) as log:
        append(log, "interactions.chat", [b"\x00\x00\x00\x00\x01nonsense"])
    done("rebuild", "--source", "log", code=7)
    done("rebuild", "--source", "log", "--cancel")
    done("rebuild", "--source", "log", "--on-poison", "park")
    done("rebuild", "--source", "log", "--cancel")
    done("project", "--until-caught-up")
    done("rebuild", "--source", "log")
    assert not any(one["differs"] for one in told("diff", "--source", "log"))


def test_the_views_are_what_the_events_say(running):
    with running():
        assert told("verify") == {"tables": [], "log": []}
        assert told("verify", "--contact", EVENTS[0].primary.key, "--sample", "5") == {"tables": []}


def test_a_view_that_is_wrong_is_found():
    with Store.open(STORE) as store:
        (run, *_) = [part.table for part in store.parts("items_v2")]
        store.con.execute(f"UPDATE {run} SET opens = opens + 1 WHERE rowid = 0")
    found = told("verify", code=1)
    assert {one["view"] for one in found["tables"]} == {one["view"] for one in found["log"]} == {"items"}
    assert "items" in done("verify", code=1)


def test_as_of_a_time_is_what_had_happened_by_then(running):
    moment = sorted(event.occurred_at for event in EVENTS)[200]
    with running():
        found = told("sql", "SELECT count(*) AS n FROM touchlog.interactions", "--as-of", moment.isoformat())
        assert found == [{"n": sum(event.occurred_at <= moment for event in EVENTS)}]
        first = min(EVENTS, key=lambda event: event.occurred_at)
        key = first.primary.key
        assert told("customer", key, "--as-of", first.occurred_at.isoformat())["touchpoints"] <= 1
        earlier = (first.occurred_at - timedelta(days=1)).isoformat()
        done("customer", key, "--as-of", earlier, code=1)
        done("customer", key, "--known-at", earlier, code=1)
        assert told("customer", key, "--as-of", NOW.isoformat())["customer_id"]
        done("customer", key, "--as-of", "yesterday", code=2)
