"""The store's files change places: never is there none, and a crash anywhere is made up for by the same call."""

import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from log.log import TopicPartition
from projections.exchange import (
    PART,
    UNTIL,
    exchange,
    exchange_back,
    mark,
    marked,
    next_of,
    retire,
    retired_of,
    settle_files,
    told,
)
from projections.store import Store, open_readonly
from schemas.errors import ConfigurationError, StoreBusy, StoreError

AT = TopicPartition("interactions.chat", 0)
WAL = ".wal"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Two stores that know their name, to be copied."""
    folder = tmp_path_factory.mktemp("templates")
    found = {}
    for name in ("old", "new"):
        found[name] = folder / f"{name}.duckdb"
        with Store.open(found[name]) as store:
            mark(store.con, "name", name)
    return found


@pytest.fixture
def live(tmp_path, templates):
    """The live path, with a next file beside it."""
    path = tmp_path / "views.duckdb"
    shutil.copy(templates["old"], path)
    shutil.copy(templates["new"], next_of(path))
    return path


def name_of(path):
    with duckdb.connect(str(path), read_only=True) as con:
        return marked(con, "name")


def files(path):
    """Which store lies under which name."""
    return {file.name: name_of(file) for file in sorted(path.parent.iterdir())}


BEFORE = {"views.duckdb": "old", "views.next.duckdb": "new"}
EXCHANGED = {"views.duckdb": "new", "views.retired.duckdb": "old"}


def test_next_becomes_live_and_live_becomes_retired_and_back(live):
    assert exchange(live)
    assert files(live) == EXCHANGED
    assert not exchange(live), "a second time there is nothing to do"
    assert files(live) == EXCHANGED

    assert exchange_back(live)
    assert files(live) == BEFORE
    assert not exchange_back(live)
    assert files(live) == BEFORE

    assert exchange(live)
    assert retire(live)
    assert not retire(live)
    assert files(live) == {"views.duckdb": "new"}
    with Store.open(live) as store:
        assert store.batch == 0


def test_without_a_live_file_the_next_becomes_live(live):
    live.unlink()
    assert exchange(live)
    assert files(live) == {"views.duckdb": "new"}


# --- what is refused, and leaves everything as it is


def refused(path, call, error, match):
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(error, match=match):
        call(path)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_cannot_become_live_is_refused(live, templates):
    with duckdb.connect(str(next_of(live))) as con:
        mark(con, UNTIL, told({AT: 7}))
    refused(live, exchange, ConfigurationError, "not folded to its end yet: 7 records are left")

    with Store.open(next_of(live)) as store, store.transaction():
        store.insert_rows("offsets", [(*AT, 7, 7)], 0)
        mark(store.con, PART, "{}")
    refused(live, exchange, ConfigurationError, "holds a part of the log, for looking")

    next_of(live).write_bytes(b"no store" * 1000)
    refused(live, exchange, StoreError, "not a DuckDB file")
    next_of(live).unlink()
    refused(live, exchange, ConfigurationError, "there is no .*views.next.duckdb .*: touchlog rebuild")
    refused(live, exchange_back, ConfigurationError, "there is no .*views.retired.duckdb to go back to")

    shutil.copy(templates["new"], next_of(live))
    shutil.copy(templates["old"], retired_of(live))
    refused(
        live, exchange, ConfigurationError, "still there, from the last exchange; free it: touchlog retire --source log"
    )
    refused(live, exchange_back, ConfigurationError, "views.next.duckdb is there already")


def test_the_offsets_that_were_asked_for_last_are_its_end(live):
    with Store.open(next_of(live)) as store, store.transaction():
        mark(store.con, UNTIL, told({AT: 99}))
        mark(store.con, UNTIL, told({AT: 7}))
        store.insert_rows("offsets", [(*AT, 7, 7)], 0)
    assert exchange(live)


@pytest.mark.parametrize("which", ["views.duckdb", "views.next.duckdb"])
def test_a_file_that_a_process_writes_to_is_left_alone(live, which):
    with _in_another_process(live.with_name(which), read_only=False):
        refused(live, exchange, StoreBusy, f"another process has .*{which} open")
    assert exchange(live)


def test_readers_do_not_hold_it_up(live):
    with _in_another_process(live, read_only=True), _in_another_process(next_of(live), read_only=True):
        assert exchange(live)
    assert files(live) == EXCHANGED


@contextmanager
def _in_another_process(path, *, read_only):
    code = f"import duckdb, sys; con = duckdb.connect({str(path)!r}, read_only={read_only}); print(1); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        yield
        process.stdin.close()


@pytest.mark.parametrize("which", ["views.duckdb", "views.next.duckdb"])
def test_what_a_killed_process_left_in_its_write_ahead_log_comes_along(live, which):
    path = live.with_name(which)
    code = (
        f"import duckdb, os; con = duckdb.connect({str(path)!r});"
        "con.execute(\"INSERT INTO store.meta VALUES ('said', 'before it was killed')\"); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.with_name(path.name + WAL).exists()

    exchange(live)

    assert files(live) == EXCHANGED, "and nothing lies beside them"
    moved = retired_of(live) if which == "views.duckdb" else live
    with duckdb.connect(str(moved), read_only=True) as con:
        assert marked(con, "said") == "before it was killed"


def test_a_write_ahead_log_of_nothing_is_not_taken_for_one_of_the_retired(live):
    stray = retired_of(live).with_name(retired_of(live).name + WAL)
    stray.write_bytes(b"of a file that is gone")
    exchange(live)
    assert not stray.exists()
    assert files(live) == EXCHANGED


# --- crashes

_CALLS = frozenset({"os.link", "os.rename", "os.remove", "open"})


class Crash(BaseException):
    """Nothing catches it."""


class _Crashing:
    """Raises Crash in place of a system call: Python tells its audit hooks before each. Hooks stay for good."""

    def __init__(self):
        self.folder, self.left = None, 0
        sys.addaudithook(self)

    def __call__(self, event, args):
        if self.folder is None or event not in _CALLS or not str(args[0]).startswith(self.folder):
            return
        self.left -= 1
        if self.left < 0:
            raise Crash

    @contextmanager
    def before(self, number, folder):
        """Crash before the system call of this number, counted from 0."""
        self.folder, self.left = str(folder), number
        try:
            yield
        finally:
            self.folder = None


@pytest.fixture(scope="module")
def crashing():
    return _Crashing()


def _prepare(path, call):
    if call is not exchange:
        exchange(path)


WANTED = {exchange: EXCHANGED, exchange_back: BEFORE, retire: {"views.duckdb": "new"}}


@pytest.mark.parametrize("again", ["the same call", "settle_files", "the other way"])
@pytest.mark.parametrize("call", [exchange, exchange_back, retire], ids=lambda call: call.__name__)
def test_after_a_crash_before_any_system_call_the_same_call_goes_on(tmp_path, templates, crashing, call, again):
    crashes = 0
    for number in range(20):
        path = tmp_path / str(number) / "views.duckdb"
        path.parent.mkdir()
        shutil.copy(templates["old"], path)
        shutil.copy(templates["new"], next_of(path))
        _prepare(path, call)
        before = name_of(path)
        try:
            with crashing.before(number, path.parent):
                call(path)
        except Crash:
            crashes += 1
        else:
            break
        assert name_of(path) in {before, WANTED[call][path.name]}
        if again == "the same call":
            with Store.open(path) as store:
                assert store.batch == 0, "a projector that settled nothing"
            call(path)
            assert files(path) == WANTED[call]
        elif again == "settle_files":
            # Whatever was begun is ended, and what was not is not.
            settle_files(path)
            settled = files(path)
            assert settled in (WANTED[call], EXCHANGED if call is not exchange else BEFORE)
            assert not settle_files(path)
            call(path)
            assert files(path) == WANTED[call]
        elif call is exchange and retired_of(path).exists():
            exchange_back(path)
            assert files(path) == BEFORE
        elif call is exchange_back:
            exchange(path)
            assert files(path) == EXCHANGED
    assert crashes >= (1 if call is retire else 4)


def test_a_second_name_whose_move_cannot_go_on_is_taken_away(live):
    retired_of(live).hardlink_to(live)
    next_of(live).unlink()
    with pytest.raises(ConfigurationError, match="there is no"):
        exchange(live)
    assert files(live) == {"views.duckdb": "old"}
    next_of(live).hardlink_to(live)
    assert settle_files(live)
    assert files(live) == {"views.duckdb": "old"}


_EXIT = """
import os, sys
from pathlib import Path
from projections.exchange import exchange
path, left = Path(sys.argv[1]), int(sys.argv[2])
calls = {"os.link", "os.rename", "os.remove", "open"}

def hook(event, args):
    global left
    if event in calls and str(args[0]).startswith(str(path.parent)):
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(hook)
exchange(path)
"""


def test_a_process_that_ends_at_any_system_call_leaves_what_another_goes_on_from(tmp_path, templates):
    ended = []
    for number in range(20):
        path = tmp_path / str(number) / "views.duckdb"
        path.parent.mkdir()
        shutil.copy(templates["old"], path)
        shutil.copy(templates["new"], next_of(path))
        done = subprocess.run([sys.executable, "-c", _EXIT, str(path), str(number)], check=False, timeout=60)
        ended.append(done.returncode)
        assert name_of(path) in {"old", "new"}
        exchange(path)
        assert files(path) == EXCHANGED
        if done.returncode == 0:
            break
    assert ended == [9, 9, 9, 9, 0]


# --- readers meanwhile

_READ = """
import sys
from pathlib import Path
from projections.exchange import marked
from projections.store import open_readonly
path = Path(sys.argv[1])
seen = {}
print("ready", flush=True)
while not path.with_name("over").exists():
    with open_readonly(path) as con:
        name = marked(con, "name")
    seen[name] = seen.get(name, 0) + 1
print(seen.get("old", 0), seen.get("new", 0), sum(seen.values()))
"""


def test_readers_in_other_processes_see_the_old_or_the_new_file_and_never_none(live):
    readers = [
        subprocess.Popen([sys.executable, "-c", _READ, str(live)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    over = threading.Event()
    ending = threading.Timer(2.0, over.set)
    ending.start()
    exchanges = 0
    while not over.is_set() or exchanges < 4:
        exchange(live)
        exchange_back(live)
        exchanges += 2
    (live.parent / "over").touch()
    for reader in readers:
        said, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0
        old, new, looks = map(int, said.split())
        assert old + new == looks
        assert old, looks
        assert new, looks


def test_the_names_are_made_of_the_live_ones():
    assert next_of(Path("data/views.duckdb")) == Path("data/views.next.duckdb")
    assert retired_of("my.views.db") == Path("my.views.retired.db")
    with pytest.raises(ConfigurationError):
        open_readonly("nothing.duckdb")
