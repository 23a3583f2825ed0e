"""Redriving while a projector runs, killed in the middle of it, and what the projector does about bad records."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumers.projector import Projector
from consumers.redrive import Asked
from log.open import open_log
from projections.store import Store
from schemas.errors import ConfigurationError
from schemas.models import Event
from schemas.topics import topic_of
from tests.consumers.publishing import publish
from tests.consumers.redriving import YOUNG
from tests.strategies import random_log
from tests.touchlog.letters import CHAT, LOG, SCRIPT, STORE, assert_views, fill, ids, project, projector, told, until
from touchlog.cli import cli
from touchlog.client import Reader
from touchlog.server import Answers, serving
from touchlog.status import status


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()


# --- while a projector runs


def test_a_running_projector_redrives_between_two_batches():
    events = fill(511, 200)
    more = random_log(512, 200)
    Path("patch.json").write_text('{"survey": null}')
    with projector() as process:
        until(lambda: len(told("--all")) == 4)
        found = ids()
        assert told("redrive", "--dry-run")["looked_at"] == 4
        with open_log(LOG) as log:
            for start in range(0, 200, 40):
                publish(log, more[start : start + 40], partitions=1)
                said = told("redrive", "--stage", "check", "--patch", "patch.json")
                assert said["redriven"] == (1 if start == 0 else 0)
        assert told("show", found["check"])["state"] == "redriven"
        # What cannot be asked for is refused by the projector, too.
        with Reader(STORE) as reader, pytest.raises(ConfigurationError, match="topic:partition:offset"):
            reader.errand("redrive", {"ids": ["nowhere"]})
        assert told("discard", "--stage", "frame")["discarded"] == 1
        until(lambda: _applied() == len({event.event_id for event in [*events, *more]}))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert_views(list({event.event_id: event for event in [*events, *more]}.values()))


def test_a_process_that_redrives_nothing_says_so():
    fill(513)
    project()
    with Store.open(STORE) as store:
        answers = Answers(cursor=store.con.cursor, card=lambda *_: None, status=status)
        with (
            serving(STORE, answers, query_timeout=5),
            Reader(STORE) as reader,
            pytest.raises(ConfigurationError, match="does no such thing when asked"),
        ):
            reader.errand("redrive", Asked().to_json())


@pytest.fixture
def many() -> list[Event]:
    """A store with more parked events than are redriven in one transaction, all of chat, and some good ones."""
    events = [event for event in random_log(514, 14_000) if event.channel == "chat"]
    events += [event for event in random_log(518, 200) if event.channel == "email"]
    with open_log(LOG) as log, Store.open(STORE) as store:
        publish(log, events, partitions=1)
        Projector(log, store, YOUNG).run(until_caught_up=True)
        assert _settled(store, events) == 0
    assert sum(event.channel == "chat" for event in events) > 2_000
    return events


def _settled(store: Store, events: list[Event]) -> int:
    """How many letters are settled: as many as there are events more than at first."""
    (settled,) = (
        store.con.execute("SELECT count(*) FROM touchlog.dead_letters WHERE state <> 'parked'").fetchone() or ()
    )
    (rows,) = store.con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() or ()
    assert rows == sum(event.channel != "chat" for event in events) + settled
    return int(settled)


def test_killed_in_the_middle_of_a_redrive_it_is_typed_again(many: list[Event]):
    """Some are settled, none twice, and the rest the next time."""
    dice, found = random.Random(514), []
    for most in (0.1, 0.3, 0.6, 0.9):
        asking = subprocess.Popen([*SCRIPT, "dead-letters", "redrive"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _until_it_writes(asking)
        time.sleep(dice.uniform(0.0, most))
        asking.kill()
        asking.communicate()
        assert asking.returncode in {0, -signal.SIGKILL}
        with Store.open(STORE) as store:
            found.append((asking.returncode, _settled(store, many)))
    assert any(code == -signal.SIGKILL for code, _ in found)
    assert told("redrive")["parked"] == 0
    assert_views(many)
    assert told("redrive")["looked_at"] == 0


def test_a_projector_that_is_killed_in_the_middle_of_a_redrive_leaves_the_rest_to_who_asked(many: list[Event]):
    with projector() as process, _asking_for_a_redrive():
        _until_it_writes(process)
        process.kill()
        process.communicate()
    assert told("redrive")["parked"] == 0
    assert_views(many)


def _until_it_writes(process: "subprocess.Popen[bytes]") -> None:
    wal = STORE.with_name(STORE.name + ".wal")
    until(lambda: process.poll() is not None or (wal.exists() and wal.stat().st_size > 0))


@contextmanager
def _asking_for_a_redrive() -> Iterator[None]:
    """Another process that asks; it goes on by itself when its projector dies."""
    asking = subprocess.Popen([*SCRIPT, "dead-letters", "redrive"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        asking.communicate(timeout=60)
        assert asking.returncode in {0, 3}


def _applied() -> int:
    done = CliRunner().invoke(cli, ["sql", "--json", "SELECT sum(applied) AS n FROM touchlog.batches"])
    return int(json.loads(done.stdout)[0]["n"] or 0)


# --- what the projector does about them


def test_the_projector_stops_at_poison_when_asked_to():
    fill(515)
    done = project("--on-poison", "stop")
    assert done.exit_code == 7
    assert "touchlog: interactions." in done.stderr
    assert "nothing of its batch was committed" in done.stderr
    assert told("--all") == []
    assert project().exit_code == 0
    assert len(told("--all")) == 4


def test_the_projector_stops_when_too_many_are_parked():
    fill(516)
    for _ in range(2):
        done = project("--max-parked", "2")
        assert done.exit_code == 7
        assert "2 may be" in done.stderr
        assert "raise --max-parked" in done.stderr
    assert project("--max-parked", "4").exit_code == 0
    assert len(told("--all")) == 4


def test_parked_records_are_published_too_when_asked_for():
    fill(517)
    assert project("--dead-letter-topic").exit_code == 0
    with open_log(LOG) as log:
        assert sum(log.end_offsets([CHAT + ".dead"]).values()) == 3
        assert sum(log.end_offsets([topic_of("email") + ".dead"]).values()) == 1
