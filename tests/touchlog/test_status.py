"""The status of a running projector and of a store alone, and the check that a cron job makes of it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumers.fold import Folded
from consumers.patience import Wait
from consumers.pulse import _MARKS, Arrivals, Pulse
from log.log import TopicPartition
from log.open import open_log
from tests.consumers.publishing import append, publish
from tests.strategies import random_log
from touchlog.cli import cli
from touchlog.health import ailment, rss_bytes
from touchlog.reader_file import read_live

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
STORE = Path("touchlog-data/views.duckdb")
LOG = "embedded:touchlog-data/log.sqlite"
AT = TopicPartition("interactions.chat", 0)


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()


def run(*arguments):
    return CliRunner().invoke(cli, list(arguments), prog_name="touchlog")


def told():
    done = run("status", "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def projector(*options):
    """`touchlog project` in a process of its own, which answers."""
    command = [sys.executable, "-m", "touchlog", "project", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: process.poll() is not None or (read_live(STORE) is not None and told()["projector"]["cycles"]))
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- a running projector


def test_an_idle_projector_goes_round_and_one_that_hangs_does_not():
    with open_log(LOG) as log:
        publish(log, random_log(401, 120))
        append(log, "interactions.chat", [b"x"])
    with projector() as process:
        until(lambda: told()["batches"]["read"] == 121 and told()["projector"]["state"] == "idle")
        first = told()
        time.sleep(0.5)
        second = told()
        one, other = first["projector"], second["projector"]
        assert one["pid"] == process.pid
        assert (one["state"], other["state"], one["waiting"]) == ("idle", "idle", None)
        assert other["state_since"] == one["state_since"]
        assert other["cycles"] > one["cycles"] + 1
        assert other["reader_cycles"] > one["reader_cycles"] + 1
        assert max(other["cycle_age_seconds"], other["reader_age_seconds"]) < 5
        assert other["rss_bytes"] > 10_000_000
        assert other["compaction"] == {"running": False, "tail_events": 120, "after": 300_000}
        assert (second["lag_total"], second["lag_seconds"], second["parked"]) == (0, 0, 1)
        assert second["minute"]["read_per_second"] == pytest.approx(121 / 60)
        assert second["minute"]["parked_per_second"] == pytest.approx(1 / 60)
        assert 0 < second["recent"]["p50_s"] <= second["recent"]["p99_s"] < 60

        well = run("status", "--check", "--max-lag-seconds", "60")
        assert (well.exit_code, well.stdout, well.stderr) == (0, "well: idle\n", "")
        page = " ".join(run("status").stdout.split())
        assert f"process {process.pid}, running since" in page
        assert re.search(r"idle since .* round [\d,]+ ended 0\.\d s ago · reader's [\d,]+ 0\.\d s ago", page)
        assert re.search(r"the longest wait 0 s · last minute 2\.0 records/s · a batch \d+ ms \(p99 \d+ ms\)", page)
        assert re.search(r"tail 120 of 300,000 events · \d+ MB of memory", page)

        os.kill(process.pid, signal.SIGSTOP)
        hung = run("status", "--check")
        assert (hung.exit_code, hung.stdout) == (3, "")
        assert "does not answer in time" in hung.stderr
        os.kill(process.pid, signal.SIGCONT)
        until(lambda: run("status", "--check").exit_code == 0)


def test_what_it_waits_for_and_how_long_records_wait_is_told():
    with open_log(LOG) as log:
        publish(log, random_log(402, 50))
    with projector("--registry", "http://127.0.0.1:9") as process:
        until(lambda: told()["projector"]["waiting"] and told()["lag_seconds"] > 1)
        found = told()
        assert found["projector"]["state"] == "waiting for the schema registry"
        assert found["projector"]["waiting"]["for"] == "the schema registry"
        assert "does not answer: ConnectError" in found["projector"]["waiting"]["why"]
        assert found["projector"]["state_since"] == found["projector"]["waiting"]["since"]
        assert found["projector"]["oldest_record_at"] is not None
        # What comes meanwhile is seen, though nothing was folded since.
        assert (found["lag_total"], found["batches"]["batches"]) == (50, 0)
        with open_log(LOG) as log:
            publish(log, random_log(403, 30))
        until(lambda: told()["lag_total"] == 80)
        assert re.search(
            r"waiting for the schema registry since .*: the schema registry does not", run("status").stdout
        )

        assert run("status", "--check").exit_code == 0
        late = run("status", "--check", "--max-lag-seconds", "0.5")
        assert late.exit_code == 1
        assert re.search(
            r"touchlog: 80 records are not folded, one of them for \d+ s \(state waiting for the", late.stderr
        )
        process.terminate()
        assert process.wait(30) == 0


def test_without_a_projector_the_file_says_what_it_knows():
    with open_log(LOG) as log:
        publish(log, random_log(404, 60))
    assert run("project", "--until-caught-up").exit_code == 0
    with open_log(LOG) as log:
        publish(log, random_log(405, 7))
    found = told()
    assert (found["running"], found["projector"], found["lag_seconds"]) == (False, None, None)
    assert (found["lag_total"], found["batches"]["applied"]) == (7, 60)
    assert "no projector is running" in run("status").stdout
    check = run("status", "--check")
    assert (check.exit_code, check.stderr) == (1, "touchlog: no projector is running; type: touchlog project\n")
    STORE.unlink()
    assert run("status", "--check").exit_code == 2


def test_every_field_of_the_projector_and_of_the_status_is_on_the_page():
    with projector() as process:
        found = told()
        process.terminate()
        process.wait(30)
    names = {f"projector.{name}" for name in found["projector"]} | set(found) - {"projector"}
    section = PAGE.partition("## Status")[2].partition("## Metrics")[0]
    said = {
        name for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", line)
    }
    said = {f"projector{name}" if name.startswith(".") else name for name in said} | {"running"}
    assert names == said


# --- the check and the pulse


def state(**changes):
    projector = {"pid": 1, "state": "idle", "cycle_age_seconds": 0.1, "reader_age_seconds": 0.1, **changes}
    return {"running": True, "projector": projector, "lag_seconds": 4.0, "lag_total": 17}


@pytest.mark.parametrize(
    ("found", "limits", "said"),
    [
        (state(), {}, None),
        (state(), {"max_lag_seconds": 5.0}, None),
        (state(), {"max_lag_seconds": 3.0}, "17 records are not folded, one of them for 4 s"),
        (state(cycle_age_seconds=31.0), {}, "the projector's loop has not gone round for 31 s"),
        (state(reader_age_seconds=99.0), {}, "the projector's reader has not gone round for 99 s"),
        (state(cycle_age_seconds=31.0), {"max_cycle_seconds": 60.0}, None),
        ({"running": False, "projector": None, "lag_seconds": None}, {}, "no projector is running"),
        ({"running": True, "projector": None, "lag_seconds": None}, {}, "no projector is running"),
    ],
)
def test_the_check_tells_what_is_wrong(found, limits, said):
    wrong = ailment(found, **{"max_cycle_seconds": 30.0, "max_lag_seconds": None, **limits})
    assert wrong is None if said is None else said in str(wrong)


def test_a_pulse_that_nobody_feeds_grows_old():
    pulse = Pulse()
    pulse.reader_cycled()
    pulse.cycled("idle")
    time.sleep(0.3)
    vitals = pulse.vitals()
    assert vitals.cycles == vitals.reader_cycles == 1
    assert min(vitals.cycle_age_s, vitals.reader_age_s) >= 0.3
    pulse.cycled("idle")
    assert pulse.vitals().cycle_age_s < 0.3
    assert pulse.vitals().state_since == vitals.state_since
    pulse.reader_left()
    assert pulse.vitals().reader_age_s == 0


def test_a_record_waits_from_when_the_log_was_seen_to_hold_it():
    pulse = Pulse()
    pulse.moved({AT: 10}, {AT: 10})
    assert pulse.vitals().lag_s == 0
    pulse.moved({AT: 10}, {AT: 12})
    time.sleep(0.2)
    pulse.moved({AT: 10}, {AT: 15})
    assert pulse.vitals().lag_s >= 0.2
    assert pulse.vitals().lag[AT].records == 5
    ends = {AT: 15}
    pulse.moved({AT: 12}, ends)
    assert pulse.vitals().lag_s < 0.2
    pulse.moved({AT: 15}, ends)
    assert pulse.vitals().lag_s == 0


def test_marks_are_bounded_and_a_wait_is_never_told_too_short():
    arrivals, moments = Arrivals(), 5000
    for number in range(1, moments):
        arrivals.note(number, float(number), 0)
    assert len(arrivals._marks) <= _MARKS
    for position in range(moments - 1):
        found = arrivals.of(position)
        assert found is not None
        assert found <= position + 1
    assert arrivals.of(0) == 1
    assert arrivals.of(moments) is None


def test_the_oldest_timestamp_is_of_what_was_read_and_not_folded():
    pulse = Pulse()
    now = datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC)
    first, second = (
        [round((now + timedelta(seconds=s)).timestamp() * 1000) for s in seconds] for seconds in ([5, 2], [9])
    )
    pulse.read([*first, -1, 2**62])
    pulse.read(second)
    pulse.read([second[0] + 3_000], more=True)
    assert pulse.vitals().oldest_record_at == now + timedelta(seconds=2)
    pulse.folded(Folded(read=4, applied=4, duplicates=0, parked=0), 0.1)
    assert pulse.vitals().oldest_record_at == now + timedelta(seconds=9)
    pulse.folded(Folded(read=2, applied=2, duplicates=0, parked=0), 0.1)
    assert pulse.vitals().oldest_record_at is None
    pulse.read(second)
    pulse.began()
    assert pulse.vitals().oldest_record_at is None


def test_either_thread_may_wait():
    pulse = Pulse()
    wait = Wait(what="log", since=datetime.now(UTC), why="away")
    pulse.waits("folding", wait)
    pulse.waits("reading", None)
    assert pulse.vitals().waiting == wait
    assert pulse.vitals().state_since == wait.since
    pulse.waits("folding", None)
    assert pulse.vitals().waiting is None


def test_the_memory_is_that_of_this_process():
    found = rss_bytes()
    if found is None:
        pytest.skip("the system does not tell")
    block = bytearray(50_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert rss_bytes() > found + 30_000_000


# --- arguments that are no text


@pytest.mark.parametrize("command", ["customer", "sql"])
def test_bytes_that_are_no_text_are_a_mistake_of_the_command_line(command):
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"touchlog", command.encode(), b"ad\xffa@example.org"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"not UTF-8 text; check the encoding of your terminal" in done.stderr
    assert b"fault" not in done.stderr


def test_so_they_are_on_standard_input():
    done = subprocess.run(
        [sys.executable, "-m", "touchlog", "sql", "-"], input=b"SELECT '\xff'", capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, b"touchlog: standard input is not UTF-8 text (byte 8)\n")
