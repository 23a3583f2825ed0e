"""The embedded log: its writers killed two at a time, its WAL torn, its disk full, its file vacuumed."""

import shutil
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from schemas.topics import TOPICS
from tests.faults.checks import Truth, assert_whole, read_back
from tests.faults.homes import Home, until
from tests.faults.publishing import assert_in_the_log, assert_published, calls, confirmed, produce
from tests.faults.test_disk_full import Disk, disk  # noqa: F401 (a fixture)

_LOG_ERRORS = (4, 75)


@pytest.fixture
def home(tmp_path, commands):
    return Home(log="embedded", url=f"embedded:{tmp_path / 'log.sqlite'}", folder=tmp_path, commands=commands)


def test_two_writers_and_a_reader_killed(home, row, dice, times):
    """Two producers and a projector at once, killed one after the other at random moments."""
    row.fault = "two writers and a reader killed"
    file = calls(home, dice, 500)
    told = []
    for number in range(times(ci=2, short=5, long=60)):
        paths = [home.folder / f"delivered{number}.{name}" for name in "ab"]
        commands = [produce(home, file, delivered=path) for path in paths]
        commands.append(home.project(until_caught_up=False))
        until(lambda paths=paths: all(path.exists() for path in paths), "both have written")
        dice.shuffle(commands)
        for command in commands:
            time.sleep(dice.uniform(0, 0.1))
            row.runs += command.kill()
        told += [one for path in paths for one in confirmed(path)]
        assert_in_the_log(home, told)
    last = produce(home, file)
    assert last.wait() == 0, last.said
    assert_published(home, file, dice, again=True)


@pytest.mark.form(ci="embedded")
@pytest.mark.parametrize("sort", ["cut off", "with a byte changed"])
def test_a_torn_wal(home, row, dice, times, sort):
    """What the file system lost is lost, from some moment on: the log opens, and is a prefix of what it was."""
    row.fault = f"the log's WAL {sort}"
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 50)
    for number in range(times(ci=1, short=2, long=200)):
        folder = home.folder / f"copy{number}"
        folder.mkdir()
        with home.open() as log:
            for _ in range(4):
                truth.grow(log, 15)
            for name in ("log.sqlite", "log.sqlite-wal"):
                shutil.copy(home.folder / name, folder / name)
            whole = log.end_offsets(TOPICS)
        wal = folder / "log.sqlite-wal"
        content = bytearray(wal.read_bytes())
        place = dice.randrange(len(content))
        if sort == "cut off":
            del content[place:]
        else:
            content[place] ^= 1 << dice.randrange(8)
        wal.write_bytes(content)
        copy = Home(log="embedded", url=f"embedded:{folder / 'log.sqlite'}", folder=folder, commands=home.commands)
        left = read_back(copy, dice)
        with copy.open() as log:
            ends = log.end_offsets(TOPICS)
        assert all(ends.get(at, 0) <= end for at, end in whole.items())
        assert sum(ends.values()) == left.records == len(left.events)
        known = {event.event_id for event in truth.events}
        assert all(event.event_id in known for event in left.events)
        copy.fold_here()
        assert_whole(copy, left)
        row.runs += 1


@pytest.mark.form(ci="embedded")
def test_a_store_that_is_ahead_of_a_torn_log(home, row, dice):
    """The log lost records that the store has folded: a stop in words, and the store stays as it is."""
    row.fault = "a log restored from before what the store has"
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 100)
    home.fold_here()
    kept = home.folder / "kept.sqlite"
    with closing(sqlite3.connect(home.folder / "log.sqlite")) as con:
        con.execute("VACUUM INTO ?", (str(kept),))
    with home.open() as log:
        truth.grow(log, 100)
    home.fold_here()
    for path in home.folder.glob("log.sqlite*"):
        path.unlink()
    kept.rename(home.folder / "log.sqlite")
    command = home.project()
    assert command.wait() == 4, command.said
    assert "the log ends at" in command.said or "ends at offset" in command.said
    row.runs = 1


def test_the_logs_disk_is_full(tmp_path, commands, row, dice, disk):  # noqa: F811
    """The producer stops in words; after there is space again the same file is published whole."""
    row.fault = "the log's disk full, then freed"
    home = Home(log="embedded", url=f"embedded:{disk.folder / 'log.sqlite'}", folder=tmp_path, commands=commands)
    file = calls(home, dice, 1500)
    quick = produce(home, calls_of(file, 20, home))
    assert quick.wait() == 0, quick.said
    disk.fill()
    delivered = tmp_path / "delivered"
    for _ in range(2):
        command = produce(home, file, delivered=delivered)
        assert command.wait() == 3, command.said
        assert "cannot grow" in command.said or "no space" in command.said
        row.runs += 1
    disk.free()
    assert_in_the_log(home, confirmed(delivered))
    last = produce(home, file)
    assert last.wait() == 0, last.said
    assert_published(home, file, dice)


def calls_of(file, rows, home):
    """The first rows of a file, as a file."""
    from dataclasses import replace

    path = home.folder / "some.csv"
    path.write_text("".join(file.path.read_text("utf-8").splitlines(keepends=True)[: rows + 1]), encoding="utf-8")
    return replace(file, path=path)


def test_vacuumed_while_it_is_read_and_written(home, row, dice, times):
    row.fault = "VACUUM while the log is read and written"
    truth = Truth(dice=dice)
    over, done = threading.Event(), []

    def vacuum():
        with closing(sqlite3.connect(home.folder / "log.sqlite", timeout=30, isolation_level=None)) as con:
            while not over.is_set():
                con.execute("VACUUM")
                done.append(True)
                over.wait(0.05)

    with home.open() as log:
        truth.grow(log, 200)
    thread = threading.Thread(target=vacuum)
    thread.start()
    try:
        for _ in range(times(ci=2, short=5, long=40)):
            command = home.project()
            for _ in range(4):
                with home.open() as log:
                    truth.grow(log, 30, near=3, far=3)
            assert command.wait() == 0, command.said
    finally:
        over.set()
        thread.join(60)
    row.runs = len(done)
    assert row.runs > 2
    home.project_to_the_end()
    assert_whole(home, truth)
