"""What ends a projector, and what it waits for: the error says what happened, how much is concerned and what to type;
nothing is lost, and the same call goes on once the cause is gone."""

import re
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from consumers.decode import Unknown
from consumers.projector import Projector
from consumers.pulse import Pulse
from log.log import TopicPartition
from log.open import open_log
from projections.store import Store
from schemas.errors import (
    LogError,
    LogUnavailable,
    OffsetBeyondEnd,
    OffsetConflict,
    PoisonRecord,
    RegistryUnavailable,
    RetentionLost,
    StoreBusy,
    TopicRecreated,
    UnknownSchema,
)
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import PARTITIONS, publish
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

CHAT, EMAIL = topic_of("chat"), topic_of("email")


def once(happens, act):
    """An `on_progress` that acts the first time that something holds."""
    done = []

    def look(progress):
        if not done and happens(progress):
            done.append(True)
            act()

    return look


def in_time(seconds=30):
    """A `stop` that ends a test which would otherwise wait for ever."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


# --- another log


@pytest.fixture
def folded(home):
    with home.open() as log:
        publish(log, random_log(71, 200))
    home.run()
    return home


def test_every_topic_that_was_made_again_is_told(folded):
    with folded.open() as log:
        before = log.topics()
        log.delete_topics([CHAT, EMAIL])
        log.create_topics([CHAT, EMAIL], PARTITIONS)
        after = log.topics()
    with pytest.raises(TopicRecreated, match=r"is this the right --log\?.*delete the store .*views\.duckdb") as told:
        folded.run()
    for topic in (CHAT, EMAIL):
        assert f"topic {topic} was deleted and made again since it was folded (it was {before[topic]}" in str(
            told.value
        )
        assert f"it is {after[topic]})" in str(told.value)


def test_a_topic_made_again_while_it_runs_ends_it(folded):
    def recreate():
        with folded.open() as log:
            log.delete_topics([CHAT])
            log.create_topics([CHAT], PARTITIONS)

    with pytest.raises(TopicRecreated, match=rf"topic {CHAT} was deleted and made again.*type: touchlog project"):
        folded.run(stop=in_time(), on_progress=once(lambda progress: progress.state == "idle", recreate))


def test_a_topic_deleted_while_it_runs_ends_it(folded):
    def delete():
        with folded.open() as log:
            log.delete_topics([CHAT])

    with pytest.raises(LogError, match=rf"topic {CHAT} is in the store, not in the log") as told:
        folded.run(stop=in_time(), on_progress=once(lambda progress: progress.state == "idle", delete))
    assert not isinstance(told.value, TopicRecreated)


def missing_of(told):
    """Partition -> records that are missing, and the sum, as a message of RetentionLost has them."""
    found = re.findall(r"([\w.]+), partition (\d+): ([\d,]+) records .*?\(offsets (\d+) to (\d+)\)", str(told))
    for *_, count, first, last in found:
        assert int(count.replace(",", "")) == int(last) - int(first) + 1
    (total,) = re.findall(r"([\d,]+) in all", str(told))
    counts = {TopicPartition(topic, int(at)): int(count.replace(",", "")) for topic, at, count, *_ in found}
    return counts, int(total.replace(",", ""))


def test_what_retention_took_is_counted_for_each_partition_and_in_all(folded):
    with folded.open() as log:
        ends = log.end_offsets(TOPICS)
        publish(log, random_log(72, 300))
        gone = {at: min(ends[at] + 3, end) for at, end in log.end_offsets(TOPICS).items() if at.topic in (CHAT, EMAIL)}
        log.delete_records(gone)
    with pytest.raises(RetentionLost, match=r"set retention\.ms=-1.*delete the store.*touchlog project") as told:
        folded.run()
    counts, total = missing_of(told.value)
    assert counts == {at: end - ends[at] for at, end in gone.items() if end > ends[at]}
    assert total == sum(counts.values()) > 3


def test_of_many_partitions_some_are_named_and_the_rest_is_counted(home):
    home.run(partitions=8)
    with home.open() as log:
        publish(log, random_log(73, 900))
        log.delete_records(log.end_offsets(TOPICS))
    with pytest.raises(RetentionLost, match=r"; and \d+ more; 900 in all;") as told:
        home.run()
    assert str(told.value).count(", partition ") == 12


def test_what_retention_takes_while_it_runs_ends_it(tmp_path):
    """On Kafka, where the client has records of its own, in tests/kafka/test_stops.py."""
    url, path = f"embedded:{tmp_path / 'log.sqlite'}", tmp_path / "views.duckdb"
    with open_log(url) as log:
        publish(log, random_log(74, 900), partitions=1)

    def delete():
        with open_log(url) as log:
            log.delete_records({at: end - 2 for at, end in log.end_offsets(TOPICS).items()})

    with open_log(url) as log, Store.open(path) as store:
        look = once(lambda progress: progress.read > 0, delete)
        with pytest.raises(RetentionLost) as told:
            Projector(log, store, REGISTRY, batch_size=20, on_progress=look).run(stop=in_time())
        counts, total = missing_of(told.value)
        begins = log.begin_offsets(TOPICS)
        assert counts == {at: begins[at] - offset for at, offset in store.positions().items() if offset < begins[at]}
        assert total == sum(counts.values()) > 500
        # What had been read before it was deleted is folded, not dropped.
        assert sum(store.positions().values()) == 900 - total - 2 * len(counts)


def test_every_partition_that_is_shorter_than_the_store_remembers_is_told(folded):
    with Store.open(folded.store) as store:
        beyond = {at: offset + 7 for at, offset in store.positions().items() if at.topic == CHAT}
        with store.transaction():
            store.advance(store.batch + 1, store.positions(), beyond, {})
    with pytest.raises(OffsetBeyondEnd, match=r"restored from an older copy, delete the store") as told:
        folded.run()
    for at, offset in beyond.items():
        assert (
            f"{CHAT}, partition {at.partition}: the store is at offset {offset}, the log ends at {offset - 7}"
            in str(told.value)
        )


# --- a second writer


def test_a_store_that_another_process_has_is_told_with_the_process(tmp_path):
    path = tmp_path / "views.duckdb"
    hold = "import sys; from projections.store import Store; s = Store.open(sys.argv[1]); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(StoreBusy, match=rf"\(process {holder.pid}\); stop it, or read through it: touchlog sql"):
            Store.open(path)
        holder.communicate(b"\n")
    Store.open(path).close()


def test_a_second_writer_is_told_how_far_the_other_got(home):
    with home.open() as log:
        publish(log, random_log(75, 300))
    with home.open() as log, Store.open(home.store) as store:
        zombie = Projector(log, store, REGISTRY, batch_size=100)
        zombie.run(stop=iter([False, False, False, True, True, True]).__next__)
        left = store.batch
        Projector(log, store, REGISTRY).run(until_caught_up=True)
        with pytest.raises(
            OffsetConflict,
            match=rf"at batch {store.batch}, this one left it at {left}, and \d+ of its \d+ offsets moved; stop one",
        ):
            zombie.run(until_caught_up=True)


# --- schemas that nobody knows, and a registry that is away


class Registry:
    """The ids of registry.lock, of which some are not registered yet; it does not answer while `away`."""

    def __init__(self, *, unknown=(), away=False):
        self.unknown = set(unknown)
        self.away = away
        self.asked = 0

    def current(self, stream):
        return REGISTRY.current(stream)

    def schema(self, schema_id):
        self.asked += 1
        if self.away:
            raise RegistryUnavailable("the schema registry does not answer: ConnectError")
        if schema_id in self.unknown:
            raise UnknownSchema(f"schema id {schema_id} is not registered")
        return REGISTRY.schema(schema_id)

    schema_by_guid = schema


@pytest.fixture
def published(home):
    events = random_log(76, 300)
    with home.open() as log:
        publish(log, events)
    return home, events


def run_with(home, registry, **options):
    stop = options.pop("stop", None)
    with home.open() as log, Store.open(home.store) as store:
        projector = Projector(log, store, registry, **options)
        return projector.run(until_caught_up=True) if stop is None else projector.run(stop=stop)


def test_records_of_a_schema_that_nobody_knows_are_parked_at_once_unless_told_otherwise(published):
    home, events = published
    chats = sum(event.channel == "chat" for event in events)
    done = run_with(home, Registry(unknown={REGISTRY.current("chat")[0]}))
    assert (done.parked, done.applied) == (chats, 300 - chats)
    assert done.seconds < 10


def test_they_are_waited_for_until_the_schema_is_registered(published):
    home, events = published
    chat, email = (REGISTRY.current(channel)[0] for channel in ("chat", "email"))
    registry, states, pulse = Registry(unknown={chat, email}), [], Pulse()

    def look(progress):
        states.append(progress.state)
        if progress.state == "waiting for the schema registry":
            states.append(pulse.vitals().waiting.why)
            registry.unknown.clear()

    done = run_with(home, registry, unknown=Unknown(action="wait", seconds=60), on_progress=look, pulse=pulse)
    assert (done.parked, done.applied) == (0, 300)
    # One wait for both, not one after the other; Kafka may send the records of one topic alone at first.
    both = [rf"schema id {one}, schema id {other}" for one, other in [(chat, email), (email, chat)]]
    named = [*both, *([] if home.url.startswith("embedded") else [f"schema id {chat}", f"schema id {email}"])]
    assert any(
        re.fullmatch(rf"nobody knows {ids} yet; asked for another \d+ s", state) for state in states for ids in named
    )
    with Store.open(home.store) as store:
        assert_equal(store, events)


def test_they_are_parked_when_waiting_does_not_help_and_the_schema_is_waited_for_but_once(published):
    home, events = published
    chats = sum(event.channel == "chat" for event in events)
    registry = Registry(unknown={REGISTRY.current("chat")[0]})
    done = run_with(home, registry, unknown=Unknown(action="wait", seconds=0.5), batch_size=50)
    assert (done.parked, done.applied) == (chats, 300 - chats)
    assert 0.5 < done.seconds < 10


def test_it_stops_at_them_when_told_to_and_goes_on_when_the_schema_is_known(published):
    home, events = published
    chat = REGISTRY.current("chat")[0]
    with pytest.raises(
        PoisonRecord,
        match=rf"{CHAT}, partition \d, offset \d+: nobody knows schema id {chat}, asked for 0\.3 s; register it and",
    ):
        run_with(home, Registry(unknown={chat}), unknown=Unknown(action="stop", seconds=0.3))
    run_with(home, Registry(), unknown=Unknown(action="stop", seconds=0.3))
    with Store.open(home.store) as store:
        counted = store.con.execute("SELECT sum(read), sum(applied), sum(parked) FROM touchlog.batches")
        assert counted.fetchone() == (300, 300, 0)
        assert_equal(store, events)


def test_a_registry_that_is_away_is_waited_for_and_the_log_is_watched_meanwhile(published):
    home, events = published
    registry, pulse, told, late = Registry(away=True), Pulse(), [], in_time(120)
    more = random_log(77, 100)

    def look(progress):
        vitals = pulse.vitals()
        if progress.state == "waiting for the schema registry":
            told.append(vitals)
        if len(told) == 1 and told[0].waiting is not None:
            with home.open() as log:
                publish(log, more)
            told.append(vitals)
        if vitals.lag_s > 0.5 and sum(one.records for one in vitals.lag.values()) == 400:
            registry.away = False

    done = run_with(
        home,
        registry,
        on_progress=look,
        pulse=pulse,
        stop=lambda: pulse.vitals().applied == 400 or late(),
        batch_size=50,
    )
    assert done.applied == 400
    assert told[-1].waiting.why == "the schema registry does not answer: ConnectError"
    assert told[-1].cycles > told[0].cycles
    assert told[-1].oldest_record_at is not None
    assert pulse.vitals().waiting is None
    with Store.open(home.store) as store:
        assert_equal(store, [*events, *more])


def test_records_that_the_store_refuses_are_parked_though_the_registry_is_away(tmp_path):
    from tests.consumers.test_fold import _doctored, prepared

    good = prepared(random_log(78, 50), 50)
    with open_log(f"embedded:{tmp_path / 'log.sqlite'}") as log, Store.open(tmp_path / "views.duckdb") as store:
        folded = Projector(log, store, Registry(away=True))._fold(_doctored(good, 5, 30), {})
    assert (folded.applied, folded.parked) == (48, 2)


def test_while_it_stops_a_waiting_projector_ends_soon(published):
    home, _ = published
    over = threading.Event()
    states = []

    def look(progress):
        states.append(progress.state)
        if progress.state.startswith("waiting"):
            over.set()

    began = time.monotonic()
    done = run_with(home, Registry(away=True), on_progress=look, stop=over.is_set)
    assert (done.state, done.read) == ("stopped", 0)
    assert time.monotonic() - began < 10


class Flaky:
    """A log that does not answer a few questions after the first ones."""

    def __init__(self, log, *, after, times):
        self._log, self._after, self._left = log, after, times

    def __getattr__(self, name):
        return getattr(self._log, name)

    def begin_offsets(self, topics):
        self._after -= 1
        if self._after < 0 < self._left:
            self._left -= 1
            raise LogUnavailable("the log does not answer; try again")
        return self._log.begin_offsets(topics)


def test_a_log_that_is_away_when_partitions_were_added_is_waited_for(tmp_path):
    path, states = tmp_path / "log.sqlite", []
    with open_log(f"embedded:{path}") as log, Store.open(tmp_path / "views.duckdb") as store:
        publish(log, random_log(82, 60), partitions=1)

        def add():
            with closing(sqlite3.connect(path)) as con, con:
                con.execute("INSERT INTO partitions (topic, partition) SELECT id, 1 FROM topics")
            with log.writer() as writer:
                writer.append(CHAT, b"k", b"x", partition=1)

        add_once = once(lambda progress: progress.read == 60, add)

        def look(progress):
            states.append(progress.state)
            add_once(progress)

        flaky, late = Flaky(log, after=1, times=2), in_time(60)
        projector = Projector(flaky, store, REGISTRY, on_progress=look, new_partitions_every=0.1)
        done = projector.run(stop=lambda: projector._progress.read == 61 or late())
        assert (done.applied, done.parked) == (60, 1)
        assert states.count("waiting for the log") >= 2


def test_a_log_that_is_away_at_the_start_is_told(tmp_path):
    with open_log(f"embedded:{tmp_path / 'log.sqlite'}") as log, Store.open(tmp_path / "views.duckdb") as store:
        projector = Projector(Flaky(log, after=0, times=1), store, REGISTRY)
        with pytest.raises(LogUnavailable):
            projector.run(until_caught_up=True)
