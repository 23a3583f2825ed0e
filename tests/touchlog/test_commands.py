"""From payloads to answers, with the commands alone and everything real: log, store, sockets, signals."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from log.open import open_log
from schemas.topics import TOPICS
from touchlog.cli import cli
from touchlog.reader_file import read_live, reader_file_of

MAIL = """\
From: Ada Example <ada@example.org>
To: support@acme.example
Subject: Where is my parcel?
Message-ID: <m{number}@example.org>
Date: Mon, 02 Mar 2026 09:{number:02}:05 +0000

It has not come.
"""
OPENED = {
    "email": "ada@example.org", "timestamp": 1772442899, "event": "open", "sg_event_id": "ev-2",
    "sg_message_id": "m-1.filter", "sg_machine_open": True, "category": ["invoices"],
}  # fmt: skip
CALLED = {
    "channel": "phone", "type": "call.initiated", "occurred_at": "2026-03-02T10:14:05+01:00", "source": "pbx/acme",
    "direction": "inbound", "contact_points": ["phone:070-000 00 01", "email:Ada@Example.org"],
    "conversation_ref": "call-1", "topic": "delivery",
}  # fmt: skip
STORE = Path("touchlog-data/views.duckdb")
SCRIPT = str(Path(sys.executable).with_name("touchlog"))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("mails").mkdir()
    for number in range(3):
        Path(f"mails/{number}.eml").write_text(MAIL.format(number=number))


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="touchlog")


def rows(sql: str) -> Any:
    done = run("sql", "--json", sql)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def records() -> int:
    with open_log("embedded:touchlog-data/log.sqlite", must_exist=True) as log:
        return sum(log.end_offsets(TOPICS).values())


def test_everything_that_is_read_is_published_or_rejected_and_kept():
    webhook = [OPENED, {**OPENED, "timestamp": "never", "sg_event_id": "ev-3"}]
    Path("events.json").write_text(json.dumps(webhook))
    mails = run("produce", "email", "mails", "--our-domain", "acme.example")
    assert mails.exit_code == 0, mails.stderr
    assert _words("published 3 confirmed by the log 3") in _words(mails.stderr)
    opens = run("produce", "email", "events.json", "--rejects", "kept/rejects.jsonl")
    assert opens.exit_code == 0
    assert _words("read 2 in all 1") in _words(opens.stderr)
    assert "kept whole in kept/rejects.jsonl" in opens.stderr
    (kept,) = Path("kept/rejects.jsonl").read_text().splitlines()
    assert json.loads(json.loads(kept)["raw"])["sg_event_id"] == "ev-3"
    assert records() == 4
    assert Path("touchlog-data").stat().st_mode & 0o777 == 0o700


def test_a_dry_run_prints_events_and_writes_nothing():
    done = run("produce", "email", "mails", "--dry-run", "--our-domain", "acme.example", "--account", "acme")
    assert done.exit_code == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["message.received"] * 3
    assert {event["channel"] for event in events} == {"email"}
    assert all(event["source"].endswith("/acme") for event in events)
    assert not Path("touchlog-data").exists()


def test_options_reach_the_format():
    Path("calls.csv").write_text("when;who;length;way\n03/02/2026 10:14;0700000001;184;inbound\n")
    columns = [f"--column={pair}" for pair in ("start=when", "number=who", "talk=length", "direction=way")]
    done = run(
        "produce", "phone", "calls.csv", "--format", "calls", "--dry-run", "--day-first", "--region", "SE",
        "--timezone", "Europe/Stockholm", *columns,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert first["occurred_at"] == "2026-02-03T09:14:00Z"
    assert first["contact_points"][0]["value"] == "+46700000001"


def test_standard_input_is_a_file_and_gzip_is_unpacked():
    import gzip

    assert run("produce", "email", "-", stdin=MAIL.format(number=7)).exit_code == 0
    Path("one.eml.gz").write_bytes(gzip.compress(MAIL.format(number=8).encode()))
    assert run("produce", "email", "one.eml.gz").exit_code == 0
    assert records() == 2


def test_a_file_of_no_known_format_is_told_and_the_rest_goes_on():
    Path("mails/9.txt").write_bytes(b"\x00\x01nothing")
    done = run("produce", "chat", "mails/9.txt")
    assert done.exit_code == 1
    assert "mails/9.txt" in done.stderr
    assert "--format" in done.stderr


def test_emit_takes_events_as_lines_and_the_same_event_once():
    lines = "\n".join(json.dumps(one) for one in [CALLED, {"channel": "phone"}, CALLED]) + "\n"
    done = run("emit", "--region", "SE", stdin=lines)
    assert done.exit_code == 0
    assert _words("rejected 1") in _words(done.stderr)
    assert run("project", "--until-caught-up").exit_code == 0
    found = rows("SELECT contact_point, contact_points FROM touchlog.interactions")
    assert [row["contact_point"] for row in found] in (["phone:+46700000001"], ["email:ada@example.org"])
    assert run("emit", "--dry-run", stdin=json.dumps(CALLED)).stdout.count("\n") == 1


def test_from_payloads_to_answers():
    assert run("produce", "email", "mails", "--our-domain", "acme.example").exit_code == 0
    assert run("emit", "--region", "SE", stdin=json.dumps(CALLED)).exit_code == 0
    log = json.loads(run("log", "--json").stdout)
    assert sum(row["records"] for row in log["partitions"]) == 4
    assert "4 records in 36 partitions" in run("log").stdout

    folded = run("project", "--until-caught-up", "--batch-size", "2")
    assert folded.exit_code == 0, folded.stderr
    assert "4 records read = 4 applied + 0 duplicates + 0 parked" in folded.stderr

    told = json.loads(run("status", "--json").stdout)
    assert (told["running"], told["lag_total"], told["batches"]["applied"], told["parked"]) == (False, 0, 4, 0)
    assert {row["name"] for row in told["projections"]} >= {"timeline", "customers", "conversations"}
    assert "caught up" in run("status").stdout

    for typed in ("ada@example.org", "070-000 00 01", "email:Ada@example.org"):
        card = run("customer", typed, "--region", "SE")
        assert card.exit_code == 0, card.stderr
        assert "ada@example.org" in card.stdout
        assert "Where is my parcel?" in card.stdout
    card = json.loads(run("customer", "ada@example.org", "--json").stdout)
    assert len(card["timeline"]) == 4
    assert run("customer", card["customer_id"]).stdout.count("+46 70 000 00 01") == 2
    menu = json.loads(run("customer", "070-000 00 01", "--region", "SE", "--next-menu", "--json").stdout)
    assert menu["customer_id"] == card["customer_id"]
    assert [choice["topic"] for choice in menu["menu"]] == [row["topic"] for row in card["topics"]]
    assert menu["fill_in"]["service_channel"] in run("customer", "ada@example.org", "--next-menu").stdout
    assert run("customer", "bob@example.org", "--next-menu", "--json").exit_code == 1
    nobody = run("customer", "bob@example.org")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "nobody is known by bob@example.org; looked for email:bob@example.org" in nobody.stderr


def test_the_status_without_a_projector_asks_the_log_for_its_end():
    run("produce", "email", "mails")
    run("project", "--until-caught-up")
    run("emit", stdin=json.dumps(CALLED))
    assert json.loads(run("status", "--json").stdout)["lag_total"] == 1
    Path("touchlog-data/log.sqlite").rename("touchlog-data/elsewhere.sqlite")
    told = json.loads(run("status", "--json").stdout)
    assert (told["log_answers"], told["lag_total"]) == (False, 0)


def test_sql_answers_as_a_table_json_and_csv():
    run("produce", "email", "mails", "--our-domain", "acme.example")
    run("project", "--until-caught-up")
    asked = "SELECT channel, summary, NULL AS nothing, [1, 2] AS list, 1 AS one, 2 AS one FROM touchlog.timeline"
    table = run("sql", asked).stdout
    assert table.count("Where is my parcel?") == 3
    assert "NULL" in table
    assert table.endswith("3 rows\n")
    assert (
        json.loads(run("sql", "--json", "-", stdin=asked).stdout)
        == [
            {
                "channel": "email",
                "summary": "Where is my parcel?",
                "nothing": None,
                "list": [1, 2],
                "one": 1,
                "one_2": 2,
            }
        ]
        * 3
    )
    header, *lines = csv.reader(io.StringIO(run("sql", "--csv", asked).stdout))
    assert header == ["channel", "summary", "nothing", "list", "one", "one"]
    assert lines == [["email", "Where is my parcel?", "", "[1, 2]", "1", "2"]] * 3
    assert run("sql", "--json", "SELECT 1 AS n WHERE false").stdout == "[]\n"
    assert "PROJECTION" in run("sql", "EXPLAIN SELECT count(*) + 1 FROM touchlog.timeline").stdout
    many = run("sql", "--csv", "SELECT range AS n FROM range(300000)").stdout
    assert many.count("\n") == 300_001


def test_what_readers_may_not_do_ends_with_its_own_exit_code():
    run("project", "--until-caught-up")
    for asked in ("DROP TABLE store.batches", "SELECT nothing", "SELECT * FROM read_csv('mails/0.eml')"):
        done = run("sql", asked)
        assert done.exit_code == 6
        assert done.stderr.startswith("touchlog: ")
        assert "Traceback" not in done.stderr


def test_readers_are_answered_while_the_projector_folds_what_comes():
    run("produce", "email", "mails")
    with projector() as process:
        _until(lambda: rows("SELECT count(*) AS n FROM touchlog.interactions") == [{"n": 3}])
        told = json.loads(run("status", "--json").stdout)
        assert told["running"] is True
        assert run("emit", "--region", "SE", stdin=json.dumps(CALLED)).exit_code == 0
        _until(lambda: rows("SELECT count(*) AS n FROM touchlog.interactions") == [{"n": 4}])
        assert run("customer", "0700000001", "--region", "SE").exit_code == 0
        menu = json.loads(run("customer", "0700000001", "--region", "SE", "--next-menu", "--json").stdout)
        assert [choice["topic"] for choice in menu["menu"]] == ["delivery"]
        assert run("customer", "bob@example.org", "--next-menu").exit_code == 1
        assert run("sql", "DROP TABLE store.batches").exit_code == 6

        second = run("project")
        assert second.exit_code == 3
        assert f"a projector is running already (process {process.pid})" in second.stderr

        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert b"stopped: 4 records read = 4 applied" in said
    assert not reader_file_of(STORE).exists()
    assert rows("SELECT count(*) AS n FROM touchlog.interactions") == [{"n": 4}]


def test_a_killed_projector_loses_nothing_and_the_next_goes_on():
    run("produce", "email", "mails")
    with projector() as process:
        _until(lambda: rows("SELECT count(*) AS n FROM touchlog.interactions") == [{"n": 3}])
        process.kill()
        process.communicate(timeout=30)
    assert rows("SELECT count(*) AS n FROM touchlog.interactions") == [{"n": 3}]
    assert "0 records read" in run("project", "--until-caught-up").stderr


def test_ctrl_c_stops_the_projector_cleanly():
    with projector() as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert said.startswith(b"stopped: ")


def test_a_projector_waits_for_a_reader_that_has_the_file():
    run("project", "--until-caught-up")
    reading = (
        "import sys, time; from projections.store import open_readonly as o; c = o(sys.argv[1]); print(flush=True); "
    )
    with subprocess.Popen(
        [sys.executable, "-c", reading + "time.sleep(2)", str(STORE)], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        assert run("sql", "SELECT 1").exit_code == 0
        began = time.monotonic()
        done = run("project", "--until-caught-up")
    assert done.exit_code == 0, done.stderr
    assert time.monotonic() - began > 0.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupting_a_producer_loses_nothing_that_it_reported(number: signal.Signals):
    process = subprocess.Popen([SCRIPT, "emit"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    for count in range(50):
        process.stdin.write(json.dumps({**CALLED, "conversation_ref": f"call-{count}"}).encode() + b"\n")
    process.stdin.flush()
    _until(lambda: Path("touchlog-data/log.sqlite").exists())
    time.sleep(1)
    process.send_signal(number)
    # Its standard input is still open: it ends because it was told to.
    process.wait(timeout=30)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert _words(f"confirmed by the log {records()}") in _words(said.decode())
    assert b"interrupted: " in said


@contextmanager
def projector() -> Iterator[subprocess.Popen[bytes]]:
    """`touchlog project` in a process of its own, ready for readers."""
    process = subprocess.Popen([SCRIPT, "project"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _until(lambda: process.poll() is not None or read_live(STORE) is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _words(text: str) -> str:
    return " ".join(text.split())
