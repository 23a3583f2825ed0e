"""What only the embedded log has: a file, that can be something else, full, locked, damaged, or cut off by kill -9."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from log.embedded import EmbeddedLog
from log.log import Position, TopicPartition
from schemas.errors import ConfigurationError, DeliveryFailed, LogError, LogUnavailable


@pytest.fixture
def path(tmp_path):
    return tmp_path / "touchlog.log"


@pytest.fixture
def log(path):
    with EmbeddedLog(path) as log:
        log.create_topics(["chat"], 4)
        yield log


def _read(path, topic="chat"):
    """Values by partition and offset, of everything in the log."""
    with EmbeddedLog(path, must_exist=True) as log:
        positions, ends, values = log.begin_offsets([topic]), log.end_offsets([topic]), {}
        with log.reader(positions) as reader:
            while positions != ends:
                batch = reader.poll(1000, 5.0)
                assert batch.next_positions
                values |= dict(zip(zip(batch.partitions, batch.offsets, strict=True), batch.values, strict=True))
                positions |= batch.next_positions
    return values


# --- durability

APPEND = """
import sys
from log.embedded import EmbeddedLog
path, name, batch = sys.argv[1:]
def delivered(position, error):
    print(position.partition, position.offset, number_of.pop(0), flush=True)
number, number_of = 0, []
with EmbeddedLog(path, must_exist=True) as log, log.writer() as writer:
    while True:
        number_of.append(number)
        writer.append("chat", b"%d" % (number % 50), f"{name} {number}".encode(), delivered=delivered)
        number += 1
        if number % int(batch) == 0:
            writer.flush()
"""


def test_what_was_delivered_survives_kill_9(path, log):
    """Two processes append, each is killed at a random moment, six times over."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance, told = random.Random(seed), {}
    for life in range(6):
        writers = {
            f"{name}{life}": subprocess.Popen(
                [sys.executable, "-c", APPEND, str(path), f"{name}{life}", str(chance.choice((1, 20, 3000)))],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in ("a", "b")
        }
        for writer in writers.values():
            assert writer.stdout.readline(), "a writer wrote nothing"
        time.sleep(chance.random() * 0.3)
        for name, writer in writers.items():
            writer.send_signal(signal.SIGKILL)
            for line in writer.communicate()[0].splitlines():
                numbers = [int(word) for word in line.split()]
                if len(numbers) == 3:
                    told[numbers[0], numbers[1]] = (name, numbers[2])

    read = _read(path)

    assert len(told) > 100
    for position, (name, number) in told.items():
        # The last line of a killed process may be cut, and then its number is shorter.
        assert read[position].decode().startswith(f"{name} {number}")
    for partition in range(4):
        offsets = sorted(offset for at, offset in read if at == partition)
        assert offsets == list(range(len(offsets))), "offsets stay dense"


def test_a_copy_of_the_file_and_its_wal_is_a_log(path, log, tmp_path):
    with log.writer() as writer:
        for number in range(5000):
            writer.append("chat", b"k", b"%d" % number, partition=0)
            if number % 500 == 499:
                writer.flush()
        copy = tmp_path / "copy.log"
        copy.write_bytes(path.read_bytes())
        wal = path.with_name(path.name + "-wal").read_bytes()
        # Cut in the middle of a transaction.
        copy.with_name(copy.name + "-wal").write_bytes(wal[: len(wal) * 2 // 3])

    values = [value for _, value in sorted(_read(copy).items())]

    assert values == [b"%d" % number for number in range(len(values))]
    assert len(values) % 500 == 0, "whole transactions"
    assert 0 < len(values) < 5000


# --- several processes


def test_many_processes_may_create_the_log_at_once(path):
    script = (
        "import sys; from log.embedded import EmbeddedLog; print(EmbeddedLog(sys.argv[1]).create_topics(['chat'], 3))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    printed = sorted(process.communicate(timeout=60)[0].strip() for process in processes)

    assert printed == ["['chat']", *["[]"] * 5]
    assert [process.returncode for process in processes] == [0] * 6


def test_a_writer_waits_for_another_and_loses_nothing(path, log):
    told = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other, log.writer() as writer:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            writer.append("chat", b"k", b"%d" % number, partition=0, delivered=lambda *outcome: told.append(outcome))

        started = time.monotonic()
        assert writer.flush(0.3) == 3, "the other one holds the file"
        assert 0.2 < time.monotonic() - started < 5
        assert writer.flush(0) == 3
        assert told == []
        other.execute("COMMIT")

        assert writer.flush(5) == 0
    assert told == [(Position("chat", 0, offset), None) for offset in range(3)]


def test_readers_wake_within_milliseconds(log):
    waits = []
    with log.reader(log.end_offsets(["chat"])) as reader, log.writer() as writer:
        for _ in range(20):
            written = []

            def write_soon(written=written):
                time.sleep(0.03)
                writer.append("chat", b"k", b"v")
                writer.flush()
                written.append(time.monotonic())

            thread = threading.Thread(target=write_soon)
            thread.start()
            assert len(reader.poll(10, 5.0)) == 1
            woken = time.monotonic()
            thread.join()
            waits.append(woken - written[0])

    assert sorted(waits)[10] < 0.02, "the median of twenty"


# --- reading


def test_every_partition_has_a_share_of_a_batch(log):
    with log.writer() as writer:
        for number in range(4000):
            writer.append("chat", b"k", b"v", partition=min(number % 10, 3))
    with log.reader(log.begin_offsets(["chat"])) as reader:
        batch = reader.poll(400, 1.0)
        assert {partition: batch.partitions.count(partition) for partition in range(4)} == dict.fromkeys(range(4), 100)
        # What the small ones leave goes to the large one.
        batch = reader.poll(3000, 1.0)
        assert [batch.partitions.count(partition) for partition in range(4)] == [300, 300, 300, 2100]


def test_a_batch_smaller_than_the_partitions_starves_none(log):
    with log.writer() as writer:
        for number in range(400):
            writer.append("chat", b"k", b"v", partition=number % 4)
    with log.reader(log.begin_offsets(["chat"])) as reader:
        first = [reader.poll(1, 1.0).partitions[0] for _ in range(8)]

    assert sorted(first) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_batch_ends_before_it_fills_the_memory(log):
    with log.writer() as writer:
        for number in range(20):
            writer.append("chat", b"k", bytes(10_000_000), partition=number % 4)
    sizes = []
    with log.reader(log.begin_offsets(["chat"])) as reader:
        while sum(sizes) < 20:
            sizes.append(len(reader.poll(1000, 1.0)))

    assert sizes == [7, 7, 6], "the batch ends with the record that makes 64 MB"


# --- writing


def test_records_for_a_topic_that_is_deleted_meanwhile_are_told_of(log):
    told = []
    writer = log.writer()
    writer.append("chat", b"k", b"told", delivered=lambda *outcome: told.append(outcome))
    writer.append("chat", b"k", b"not told")
    log.delete_topics(["chat"])

    with pytest.raises(DeliveryFailed, match="1 records"):
        writer.flush()
    ((position, error),) = told
    assert position is None
    assert isinstance(error, LogError)
    with pytest.raises(ConfigurationError, match="no topic chat"):
        writer.append("chat", b"k", b"again")
    writer.close()


def test_an_error_of_the_caller_in_delivered_costs_no_other_record(log):
    told = []

    def fails_once(position, error):
        told.append(position)
        if len(told) == 1:
            raise ZeroDivisionError

    writer = log.writer()
    for _ in range(3):
        writer.append("chat", b"k", b"v", partition=0, delivered=fails_once)
    with pytest.raises(ZeroDivisionError):
        writer.flush()
    writer.close()

    assert told == [Position("chat", 0, offset) for offset in range(3)]


FILL = """
import resource, sys
from log.embedded import EmbeddedLog
from schemas.errors import StoreFull
log = EmbeddedLog(sys.argv[1], must_exist=True)
writer = log.writer()
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
told, sent = [], 0
try:
    while True:
        writer.append("chat", b"k", bytes(10_000), partition=0, delivered=lambda *outcome: told.append(outcome))
        sent += 1
        if sent % 10 == 0:
            writer.flush()
except StoreFull as error:
    assert "cannot grow" in str(error)
before = len(told)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
writer.close()
assert 10 < before < len(told) == sent, (before, len(told), sent)
assert [position.offset for position, error in told] == list(range(len(told)))
print(len(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_stops_the_writer_and_loses_nothing(path, log):
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )

    assert done.returncode == 0, done.stderr
    assert len(_read(path)) == int(done.stdout)


# --- what is not a log


def test_the_log_must_exist_where_that_is_asked_for(path):
    with pytest.raises(ConfigurationError, match="no log at"):
        EmbeddedLog(path, must_exist=True)
    assert not path.exists()


def test_folders_on_the_way_are_made(tmp_path):
    with EmbeddedLog(tmp_path / "a" / "b" / "touchlog.log") as log:
        assert log.topics() == {}


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder"):
        EmbeddedLog(tmp_path)


def test_a_file_of_another_kind_is_left_alone(path):
    path.write_bytes(b"Dear Ada,\n" * 1000)

    with pytest.raises(ConfigurationError, match="is not a touchlog log"):
        EmbeddedLog(path)

    assert path.read_bytes() == b"Dear Ada,\n" * 1000


def test_the_database_of_another_program_is_left_alone(path):
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()

    with pytest.raises(ConfigurationError, match="but not a touchlog log"):
        EmbeddedLog(path)

    assert path.read_bytes() == before


def test_a_log_of_a_newer_version_is_left_alone(path, log):
    log.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")

    with pytest.raises(ConfigurationError, match="version 2"):
        EmbeddedLog(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_log_without_permission_is_a_mistake_of_the_configuration(path, log):
    log.close()
    path.chmod(0)

    with pytest.raises(ConfigurationError, match="cannot be opened"):
        EmbeddedLog(path)


def test_a_damaged_log_says_so(path, log):
    with log.writer() as writer:
        for _ in range(2000):
            writer.append("chat", b"k", bytes(500))
    log.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(path.read_bytes())
    damaged[100_000:400_000] = bytes(300_000)
    path.write_bytes(damaged)

    with pytest.raises(LogError, match="damaged"):
        _read(path)


def test_a_log_that_stays_locked_is_unavailable(path, log, monkeypatch):
    monkeypatch.setattr("log.sqlite_file.BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, EmbeddedLog(path) as waiting:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(LogUnavailable, match="held by another process"):
            waiting.create_topics(["post"], 1)


def test_a_recreated_topic_is_another_one_for_its_reader(log):
    at = TopicPartition("chat", 0)
    with log.reader({at: 0}) as reader:
        log.delete_topics(["chat"])
        log.create_topics(["chat"], 4)
        with log.writer() as writer:
            writer.append("chat", b"k", b"another", partition=0)

        with pytest.raises(LogError, match="created again"):
            reader.poll(10, 1.0)


def test_a_log_that_is_deleted_or_replaced_while_it_is_open_is_noticed(tmp_path):
    path = tmp_path / "log.sqlite"
    with EmbeddedLog(path) as log:
        log.create_topics(["t"], 1)
        assert log.end_offsets(["t"])
        for file in tmp_path.iterdir():
            file.unlink()
        with pytest.raises(LogError, match="deleted or replaced"):
            log.end_offsets(["t"])
