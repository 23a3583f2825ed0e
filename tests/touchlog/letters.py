"""A log with bad records in it, in the working directory, and the commands that look at them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from log.open import open_log
from projections.store import Store
from schemas.models import Event
from schemas.topics import topic_of
from tests.consumers.poison import POISON
from tests.consumers.publishing import append, publish
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log
from touchlog.cli import cli
from touchlog.reader_file import read_live

LOG, STORE = "embedded:touchlog-data/log.sqlite", Path("touchlog-data/views.duckdb")
CHAT = topic_of("chat")
SCRIPT = [sys.executable, "-m", "touchlog"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["dead-letters", *arguments], prog_name="touchlog")


def told(*arguments: str) -> Any:
    """What a command says as JSON; redrive ends with 1 while some are still parked."""
    done = run(*arguments, "--json")
    assert done.exit_code in {0, 1}, done.stderr
    return json.loads(done.stdout)


def project(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["project", "--until-caught-up", *arguments], prog_name="touchlog")


def fill(seed: int, count: int = 60) -> list[Event]:
    """A log with the events, of which the first chat event without a survey is written badly, and three other bad
    records: one cut in half, one that is nothing, one of a schema that nobody knows."""
    events = random_log(seed, count)
    bad = bad_of(events)
    with open_log(LOG) as log:
        publish(log, [event for event in events if event is not bad], partitions=1)
        append(log, CHAT, [POISON[name].make(bad)[0] for name in ("off the scale", "cut in half")])
        append(log, topic_of("email"), [b"\x07" + b"no event" * 9])
        append(log, CHAT, [POISON["unknown schema id"].make(bad)[0]])
    return events


def bad_of(events: list[Event]) -> Event:
    return next(event for event in events if event.channel == "chat" and event.survey is None)


def ids() -> dict[str, str]:
    """Stage -> id of the one letter of it."""
    return {row["stage"]: row["id"] for row in told("--all", "--state", "any")}


def assert_views(events: list[Event]) -> None:
    with Store.open(STORE) as store:
        assert_equal(store, events)
        read, applied, duplicates, parked = store.con.execute(
            "SELECT sum(read), sum(applied), sum(duplicates), sum(parked) FROM touchlog.batches"
        ).fetchone() or (0, 0, 0, 0)
        assert read == applied + duplicates + parked
        assert applied == len(events)


@contextmanager
def projector() -> Iterator[subprocess.Popen[bytes]]:
    """`touchlog project` in a process of its own, ready for readers."""
    process = subprocess.Popen([*SCRIPT, "project"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: process.poll() is not None or read_live(STORE) is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
