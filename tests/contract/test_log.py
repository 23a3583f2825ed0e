"""What callers of a log may rely on, held against both homes."""

import random
import subprocess
import sys
import threading
import time

import pytest

from log.log import Position, TopicPartition
from schemas.errors import ConfigurationError
from tests.contract.conftest import PARTITIONS, Home, Told, read_all, rows

NOON = 1_700_000_000_000

# --- records


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"email:ada@example.org", b"\x00\x00\x00\x00\x01rest", []),
        (None, b"value", []),
        (b"key", None, []),
        (None, None, []),
        (b"key", b"", []),
        (b"", b"value", []),
        (b"\xff\x00", bytes(range(256)), [("a", b"\x00\xff"), ("a", b"again"), ("\u00e9", b"")]),
    ],
)
def test_a_record_comes_back_as_it_went_in(log, topic, key, value, headers):
    with log.writer() as writer:
        writer.append(topic, key, value, headers=headers, timestamp=NOON, partition=1)

    (read,) = read_all(log, topic)

    assert (read.at, read.offset, read.timestamp) == (TopicPartition(topic, 1), 0, NOON)
    assert (read.key, read.value, read.headers) == (key, value, tuple(headers))


def test_random_records_come_back_as_they_went_in(log, topic):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)

    def some_bytes(most):
        return None if chance.random() < 0.1 else chance.randbytes(chance.randrange(most))

    sent = [
        (
            some_bytes(30),
            some_bytes(3000),
            tuple(
                (f"h{chance.randrange(5)}", chance.randbytes(chance.randrange(9))) for _ in range(chance.randrange(4))
            ),
            NOON + chance.randrange(10**6),
            chance.randrange(PARTITIONS),
        )
        for _ in range(1000)
    ]
    with log.writer() as writer:
        for key, value, headers, timestamp, partition in sent:
            writer.append(topic, key, value, headers=headers, timestamp=timestamp, partition=partition)

    read = read_all(log, topic, most=77)

    for partition in range(PARTITIONS):
        assert [
            (record.key, record.value, record.headers, record.timestamp, record.at.partition)
            for record in read
            if record.at.partition == partition
        ] == [record for record in sent if record[4] == partition]


def test_a_record_without_a_timestamp_gets_the_time_of_writing(log, topic):
    before = time.time_ns() // 1_000_000
    with log.writer() as writer:
        writer.append(topic, b"k", b"v")

    (read,) = read_all(log, topic)

    assert before <= read.timestamp <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("timestamp", [0, -1])
def test_a_timestamp_is_positive(log, topic, timestamp):
    with log.writer() as writer, pytest.raises(ConfigurationError, match="timestamp"):
        writer.append(topic, b"k", b"v", timestamp=timestamp)

    assert read_all(log, topic) == []


def test_ten_megabytes_are_a_record_too(real_home):
    value = random.Random(1).randbytes(10_000_000)
    with real_home.open(**{"message.max.bytes": str(12_000_000)}) as log:
        topic = real_home.topic(log)
        with log.writer() as writer:
            writer.append(topic, b"k", b"before", partition=0)
            writer.append(topic, b"k", value, partition=0)
            writer.append(topic, b"k", b"after", partition=0)

        assert [read.value for read in read_all(log, topic)] == [b"before", value, b"after"]


# --- partitions


# From the Java client's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def test_the_key_decides_the_partition_as_in_the_java_client(log, topic):
    with log.writer() as writer:
        for key in MURMUR2:
            writer.append(topic, key, b"v")

    assert {read.key: read.at.partition for read in read_all(log, topic)} == {
        key: (hashed & 0x7FFFFFFF) % PARTITIONS for key, hashed in MURMUR2.items()
    }


@pytest.mark.kafka
def test_both_homes_choose_the_same_partition(kafka, tmp_path, unique):
    homes = [
        Home(name="embedded", url=f"embedded:{tmp_path / 'touchlog.log'}", unique=unique),
        Home(name="kafka", url=f"kafka://{kafka.bootstrap}", unique=unique, options=kafka.options, real=kafka.real),
    ]
    keys = [b"", *(f"email:customer{number}@example.org".encode() for number in range(500)), *map(bytes, range(1, 9))]
    chosen = []
    for home in homes:
        with home.open() as log:
            topic = home.topic(log)
            with log.writer() as writer:
                for key in keys:
                    writer.append(topic, key, b"v")
            chosen.append({read.key: read.at.partition for read in read_all(log, topic)})

    assert chosen[0] == chosen[1]
    assert set(chosen[0].values()) == set(range(PARTITIONS))


def test_records_of_one_key_stay_in_order(log, topic):
    with log.writer() as writer:
        for number in range(2000):
            writer.append(topic, b"key%d" % (number % 7), b"%d" % number)

    read = read_all(log, topic, most=300)

    for key in range(7):
        assert [int(record.value) for record in read if record.key == b"key%d" % key] == list(range(key, 2000, 7))


def test_records_without_a_key_are_spread(log, topic):
    written, deadline = set(), time.monotonic() + 20
    with log.writer() as writer:
        while len(written) < PARTITIONS and time.monotonic() < deadline:
            writer.append(topic, None, b"v", delivered=lambda position, _: written.add(position.partition))
            writer.flush()

    assert written == set(range(PARTITIONS))


def test_a_partition_that_does_not_exist_is_refused(log, topic):
    with log.writer() as writer:
        for partition in (PARTITIONS, -1):
            with pytest.raises(ConfigurationError, match=f"{PARTITIONS} partitions"):
                writer.append(topic, b"k", b"v", partition=partition)


def test_a_topic_that_does_not_exist_is_refused_and_not_created(home, log):
    missing = home.unique("missing")
    with log.writer() as writer, pytest.raises(ConfigurationError, match=missing):
        writer.append(missing, b"k", b"v")
    with pytest.raises(ConfigurationError, match=missing):
        log.reader({TopicPartition(missing, 0): 0})

    assert log.end_offsets([missing]) == {}


# --- writing


def test_delivered_is_told_once_for_every_record_where_it_lies(log, topic):
    told = Told()
    with log.writer() as writer:
        for number in range(3000):
            writer.append(topic, b"key%d" % (number % 50), b"%d" % number, delivered=told.about(number))
        assert writer.flush() == 0
        assert all(len(outcome) == 1 for outcome in told.outcomes.values())

    read = {Position(*record.at, record.offset): int(record.value) for record in read_all(log, topic)}

    assert read == {outcome: number for number, (outcome,) in told.outcomes.items()}
    assert all(len(outcome) == 1 for outcome in told.outcomes.values()), "closing tells nothing again"
    for partition in range(PARTITIONS):
        offsets = sorted(position.offset for position in read if position.partition == partition)
        assert offsets == list(range(len(offsets))), "offsets are dense"


def test_delivered_is_called_in_the_thread_that_writes(log, topic):
    threads = []

    def delivered(*outcome):
        threads.append(threading.get_ident())

    with log.writer() as writer:
        for _ in range(500):
            writer.append(topic, b"k", b"v", delivered=delivered)

    assert threads == [threading.get_ident()] * 500


def test_what_was_flushed_is_there_for_others(home, log, topic):
    with log.writer() as writer:
        writer.append(topic, b"k", b"v")
        assert writer.flush() == 0
        with home.open() as other:
            assert [read.value for read in read_all(other, topic)] == [b"v"]


def test_closing_a_writer_flushes(log, topic):
    writer, told = log.writer(), Told()
    for number in range(10):
        writer.append(topic, b"k", b"v", delivered=told.about(number))
    writer.close()

    assert [len(outcome) for outcome in told.outcomes.values()] == [1] * 10
    assert len(read_all(log, topic)) == 10


def test_leaving_by_an_error_still_writes_what_was_handed_over(log, topic):
    class OfTheCaller(Exception):
        pass

    def fail_while_writing():
        with log.writer() as writer:
            writer.append(topic, b"k", b"v")
            raise OfTheCaller

    with pytest.raises(OfTheCaller):
        fail_while_writing()

    assert len(read_all(log, topic)) == 1


WRITE = """
import sys
from log.open import open_log
url, options, topic, name, count = sys.argv[1:]
def delivered(position, error):
    print(position.partition, position.offset, flush=True)
with open_log(url, kafka_options=dict(eval(options))) as log, log.writer() as writer:
    for number in range(int(count)):
        writer.append(topic, b"%d" % (number % 20), f"{name} {number}".encode(), delivered=delivered)
        if number % 100 == 0:
            writer.flush()
"""


def _start_writer(home, topic, name, count):
    command = [sys.executable, "-c", WRITE, home.url, repr(home.options), topic, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once(home, log, topic):
    names, count = ("one", "two", "three"), 1500
    writers = [_start_writer(home, topic, name, count) for name in names]
    told = [
        tuple(map(int, line.split())) for writer in writers for line in writer.communicate(timeout=120)[0].splitlines()
    ]
    assert [writer.returncode for writer in writers] == [0, 0, 0]

    read = read_all(log, topic)

    assert sorted(told) == sorted((record.at.partition, record.offset) for record in read)
    assert sum(log.end_offsets([topic]).values()) == len(names) * count == len(read), "offsets are dense"
    for name in names:
        for key in range(20):
            values = [record.value.decode() for record in read if record.key == b"%d" % key]
            numbers = [int(value.split()[1]) for value in values if value.startswith(f"{name} ")]
            assert numbers == list(range(key, count, 20)), "each writer's records keep their order"


# --- reading


def test_a_reader_reads_while_another_process_writes(home, log, topic):
    count, read = 4000, []
    positions = log.begin_offsets([topic])
    with log.reader(positions) as reader:
        writer = _start_writer(home, topic, "one", count)
        deadline = time.monotonic() + 100
        while len(read) < count and time.monotonic() < deadline:
            read += rows(reader.poll(500, 1.0))
        writer.communicate(timeout=60)

    assert sorted(int(record.value.split()[1]) for record in read) == list(range(count))
    assert [record.offset for record in read if record.at.partition == 0] == list(
        range(sum(record.at.partition == 0 for record in read))
    )


def test_a_reader_begins_where_it_is_told_and_reads_nothing_else(log, topic):
    with log.writer() as writer:
        for number in range(100):
            writer.append(topic, b"k", b"%d" % number, partition=number % PARTITIONS)
    start = {TopicPartition(topic, 1): 10, TopicPartition(topic, 3): 25, TopicPartition(topic, 0): 0}

    read = read_all(log, topic, start=start)

    assert sorted((record.at.partition, record.offset) for record in read) == [
        *((0, offset) for offset in range(25)),
        *((1, offset) for offset in range(10, 25)),
    ]


def test_next_positions_are_where_to_go_on(log, topic):
    with log.writer() as writer:
        for number in range(1000):
            writer.append(topic, b"%d" % number, b"%d" % number)
    positions, values = log.begin_offsets([topic]), []
    ends = log.end_offsets([topic])

    while positions != ends:
        with log.reader(positions) as reader:
            batch = reader.poll(70, 20.0)
            assert batch.next_positions
            values += [int(value) for value in batch.values]
            positions = positions | batch.next_positions

    assert sorted(values) == list(range(1000))


def test_poll_returns_at_most_what_is_asked_for(log, topic):
    with log.writer() as writer:
        for _ in range(100):
            writer.append(topic, b"k", b"v")
    with log.reader(log.begin_offsets([topic])) as reader:
        seen = 0
        while seen < 100:
            batch = reader.poll(7, 20.0)
            assert len(batch) <= 7
            seen += len(batch)
        assert len(reader.poll(7, 0.1)) == 0


def test_an_empty_poll_waits_as_long_as_it_may(log, topic):
    with log.reader(log.begin_offsets([topic])) as reader:
        reader.poll(10, 0.5)
        started = time.monotonic()

        batch = reader.poll(10, 0.4)

        assert len(batch) == 0
        assert 0.35 < time.monotonic() - started < 5


def test_a_waiting_poll_wakes_for_a_new_record(log, topic):
    written = []

    def write_soon():
        with log_of_thread.writer() as writer:
            time.sleep(0.5)
            writer.append(topic, b"k", b"v")
            writer.flush()
            written.append(time.monotonic())

    log_of_thread = log
    with log.reader(log.begin_offsets([topic])) as reader:
        reader.poll(10, 0.1)
        thread = threading.Thread(target=write_soon)
        thread.start()
        batch = reader.poll(10, 30.0)
        woken = time.monotonic()
        thread.join()

    assert batch.values == [b"v"]
    assert woken - written[0] < 2


def test_a_reader_of_nothing_reads_nothing(log):
    with log.reader({}) as reader:
        batch = reader.poll(10, 0.1)
        assert (len(batch), list(batch.headers), batch.next_positions) == (0, [], {})


def test_commit_never_decides_where_a_reader_begins(home, log, topic):
    with log.writer() as writer:
        for _ in range(5):
            writer.append(topic, b"k", b"v", partition=0)
    group, at = home.unique("group"), TopicPartition(topic, 0)
    with log.reader({at: 0}, group=group) as reader:
        assert len(reader.poll(10, 20.0)) == 5
        reader.commit({at: 5})
        reader.commit({})

    with log.reader({at: 2}, group=group) as reader:
        assert reader.poll(10, 20.0).offsets == [2, 3, 4]


# --- closing


def test_closing_twice_is_nothing_and_using_what_is_closed_is_an_error(home, topic):
    log = home.open()
    reader, writer = log.reader({TopicPartition(topic, 0): 0}), log.writer()
    for thing in (reader, writer, log):
        thing.close()
        thing.close()

    for use in (
        lambda: reader.poll(1, 0),
        lambda: reader.commit({TopicPartition(topic, 0): 0}),
        lambda: writer.append(topic, b"k", b"v"),
        writer.flush,
        lambda: log.end_offsets([topic]),
        log.topics,
        lambda: log.create_topics([topic], 1),
        lambda: log.reader({}),
        log.writer,
    ):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_readers_and_writers_outlive_the_log_they_came_from(home, topic):
    with home.open() as log:
        reader, writer = log.reader({TopicPartition(topic, 0): 0}), log.writer()
    with reader, writer:
        writer.append(topic, b"k", b"v", partition=0)
        assert writer.flush() == 0
        assert reader.poll(10, 20.0).values == [b"v"]
