"""A disk that is full, a folder that is not for writing, a file that is damaged: told as what it is, and mended."""

import os
import re
import resource
import subprocess
from contextlib import contextmanager

import pytest

from consumers.projector import Projector
from log.open import open_log
from projections.store import Store, open_readonly
from schemas.errors import StoreError, StoreFull
from tests.consumers.publishing import publish
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log


@contextmanager
def small_disk(folder, megabytes):
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def longest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_ends_it_and_with_space_the_same_call_goes_on(tmp_path):
    events, url = random_log(79, 3000), f"embedded:{tmp_path / 'log.sqlite'}"
    folder = tmp_path / "disk"
    with open_log(url) as log:
        publish(log, events)
    with small_disk(folder, 32):
        filler = folder / "filler"
        Store.open(folder / "views.duckdb").close()
        free = os.statvfs(folder)
        filler.write_bytes(bytes(free.f_bavail * free.f_bsize - 1_000_000))
        applied = _until_full(url, folder / "views.duckdb")
        assert 0 < applied < 3000
        # As long as it is full, it says so again.
        assert _until_full(url, folder / "views.duckdb") == 0
        filler.unlink()
        with open_log(url) as log, Store.open(folder / "views.duckdb") as store:
            done = Projector(log, store, REGISTRY, compact_after=1000).run(until_caught_up=True)
            assert done.applied == 3000 - applied
            assert_equal(store, events)


def test_so_does_a_limit_of_the_size_of_files(tmp_path):
    events, url, path = random_log(80, 2000), f"embedded:{tmp_path / 'log.sqlite'}", tmp_path / "views.duckdb"
    with open_log(url) as log:
        publish(log, events)
    Store.open(path).close()
    with longest_file(1_000_000):
        applied = _until_full(url, path)
    assert 0 < applied < 2000
    with open_log(url) as log, Store.open(path) as store:
        assert Projector(log, store, REGISTRY).run(until_caught_up=True).applied == 2000 - applied
        assert_equal(store, events)


def _until_full(url, path):
    """Fold until there is no space; how many events were applied."""
    applied = [0]
    said = rf"no space left for {path} \([\d,]+ bytes are free there, the store takes [\d,]+\); .*free some, then type"
    with pytest.raises(StoreFull, match=said), open_log(url) as log, Store.open(path) as store:
        Projector(
            log,
            store,
            REGISTRY,
            batch_size=100,
            compact_after=700,
            on_progress=lambda progress: applied.append(progress.applied),
        ).run(until_caught_up=True)
    return applied[-1]


def test_a_folder_that_cannot_be_written_is_told_as_that(tmp_path):
    folder = tmp_path / "disk"
    with small_disk(folder, 8):
        Store.open(folder / "views.duckdb").close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for path in (folder / "views.duckdb", folder / "other.duckdb", folder / "new" / "views.duckdb"):
            with pytest.raises(StoreError, match=rf"{path} cannot be written: read-only file system; make it and its"):
                Store.open(path)
        # Reading it is no trouble.
        open_readonly(folder / "views.duckdb").close()


def test_a_folder_that_is_a_file_is_told_as_that(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be written: (not a directory|file exists); .*--store"):
        Store.open(tmp_path / "file" / "views.duckdb")


@pytest.fixture
def kept(tmp_path):
    """A log and a store in which it was folded, compacted."""
    url, path = f"embedded:{tmp_path / 'log.sqlite'}", tmp_path / "views.duckdb"
    events = random_log(81, 1500)
    with open_log(url) as log:
        publish(log, events)
        with Store.open(path) as store:
            Projector(log, store, REGISTRY, compact_after=500).run(until_caught_up=True)
    return url, path, events


@pytest.mark.parametrize("size", [100, 4096, 12_288, 0.5])
def test_a_store_that_was_cut_off_is_told_as_damaged_and_folded_again(kept, size):
    url, path, events = kept
    os.truncate(path, size if size > 1 else int(path.stat().st_size * size))
    with pytest.raises(
        StoreError, match=rf"{path} is damaged( at byte \d+)? \([\d,]+ bytes\); restore it .* or delete"
    ):
        Store.open(path)
    path.unlink()
    with open_log(url) as log, Store.open(path) as store:
        Projector(log, store, REGISTRY).run(until_caught_up=True)
        assert_equal(store, events)


def test_a_store_with_a_bad_block_is_told_as_damaged_wherever_it_lies(kept):
    """Not every block is read by a projector, and DuckDB does not look at every checksum; what is noticed is told."""
    url, path, _ = kept
    whole, told = path.read_bytes(), []
    blocks = range(12_288, len(whole), 262_144)
    for start in blocks[:: max(1, len(blocks) // 6)]:
        place = start + 4000
        path.write_bytes(whole[:place] + bytes(256) + whole[place + 256 :])
        try:
            with open_log(url) as log, Store.open(path) as store:
                Projector(log, store, REGISTRY).run(until_caught_up=True)
        except StoreError as error:
            told.append(str(error))
    assert told
    assert all(re.match(rf"{path} is damaged( at byte \d+)? \([\d,]+ bytes\); restore it", one) for one in told)


def test_a_bad_write_ahead_log_is_told_as_damaged(kept):
    _, path, _ = kept
    with Store.open(path) as store:
        store.con.execute("SET checkpoint_threshold = '1GB'")
        with store.transaction():
            store.insert_rows("topics", [(f"topic{number}", "x" * 200) for number in range(3000)], store.batch)
        wal = path.with_name(path.name + ".wal")
        middle = wal.stat().st_size // 2
        copy = path.with_name("copy.duckdb")
        copy.write_bytes(path.read_bytes())
        bad = bytearray(wal.read_bytes())
        bad[middle : middle + 64] = bytes(64)
        copy.with_name(copy.name + ".wal").write_bytes(bad)
    with pytest.raises(StoreError, match=r"copy\.duckdb is damaged.*delete it and copy\.duckdb\.wal"):
        Store.open(copy)


def test_another_programs_file_is_never_handed_to_duckdb(tmp_path):
    """DuckDB would fetch an extension for an SQLite file from the net."""
    with open_log(f"embedded:{tmp_path / 'log.sqlite'}"):
        for open_it in (Store.open, open_readonly):
            with pytest.raises(StoreError, match=r"log\.sqlite is not a DuckDB file; name another with --store"):
                open_it(tmp_path / "log.sqlite")
