"""The exit codes of docs/errors.md are what the commands really end with. (tests/schemas/test_errors.py holds the
table of errors against the classes.)"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from log.open import open_log
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import append, publish
from tests.strategies import random_log
from touchlog import cli

PAGE = (Path(__file__).parents[2] / "docs/errors.md").read_text("utf-8")
LOG = "embedded:touchlog-data/log.sqlite"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()


EVENT = (
    '{"channel": "chat", "type": "message.received", "occurred_at": "2026-03-02T10:14:05Z", "source": "a",'
    ' "direction": "inbound", "contact_points": ["email:ada@example.org"]}\n'
)


def run(*arguments):
    command = [sys.executable, "-m", "touchlog", *arguments]
    return subprocess.run(command, input=EVENT, capture_output=True, text=True, check=False)


def folded():
    with open_log(LOG) as log:
        publish(log, random_log(501, 40), partitions=1)
    assert run("project", "--until-caught-up").returncode == 0


def recreated():
    folded()
    with open_log(LOG) as log:
        log.delete_topics(TOPICS[:1])
        log.create_topics(TOPICS[:1], 1)


def emptied():
    folded()
    with open_log(LOG) as log:
        publish(log, random_log(502, 40))
        log.delete_records(log.end_offsets(TOPICS))


def shortened():
    folded()
    from projections.store import Store

    with Store.open("touchlog-data/views.duckdb") as store, store.transaction():
        ends = {at: offset + 5 for at, offset in store.positions().items()}
        store.advance(store.batch + 1, store.positions(), ends, {})


def poisoned():
    with open_log(LOG) as log:
        log.create_topics(TOPICS, 1)
        append(log, topic_of("chat"), [b"\x00\x7f\x00\x00\x01abc"])


def damaged():
    folded()
    os.truncate("touchlog-data/views.duckdb", 5000)


def nothing():
    pass


@pytest.mark.parametrize(
    ("before", "arguments", "error"),
    [
        (nothing, ["project", "--log", "nonsense://"], "ConfigurationError"),
        (nothing, ["sql", "SELECT 1"], "ConfigurationError"),
        (damaged, ["project"], "StoreError"),
        (recreated, ["project"], "TopicRecreated"),
        (emptied, ["project"], "RetentionLost"),
        (shortened, ["project"], "OffsetBeyondEnd"),
        (folded, ["sql", "DROP TABLE store.batches"], "QueryRefused"),
        (poisoned, ["project", "--unknown-schema", "stop", "--unknown-schema-seconds", "0"], "PoisonRecord"),
        (nothing, ["project", "--log", "kafka://127.0.0.1:9"], "LogUnavailable"),
        (nothing, ["emit", "--registry", "http://127.0.0.1:9"], "RegistryUnavailable"),
    ],
)
def test_a_command_ends_with_the_code_of_its_error(before, arguments, error):
    before()
    done = run(*arguments)
    (code,) = re.findall(rf"^\| `{error}` \| (\d+) \|", PAGE, re.MULTILINE)
    assert done.returncode == int(code), done.stderr
    assert done.stderr.splitlines()[-1].startswith("touchlog: ")
    assert "Traceback" not in done.stderr


def others():
    """The table of the other exit codes: code -> meaning."""
    return {int(code): said for code, said in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)}


def test_the_other_codes_are_on_the_page():
    assert set(others()) == {0, 1, 2, cli._UNEXPECTED, cli._INTERRUPTED}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["log"], 0),
        (["customer", "ada@example.org"], 1),
        (["status", "--check"], 1),
        (["produce", "email", "garbage"], 1),
        (["nonsense"], 2),
        (["sql"], 2),
    ],
)
def test_a_command_without_an_error_of_touchlog_ends_with_one_of_them(arguments, code):
    folded()
    Path("garbage").write_bytes(b"\x00\x01nothing")
    assert run(*arguments).returncode == code
    assert code in others()


def test_an_interrupted_one_ends_as_shells_say_it():
    with subprocess.Popen(
        [sys.executable, "-m", "touchlog", "emit"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not Path("touchlog-data/log.sqlite").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "interrupted" in others()[130]
