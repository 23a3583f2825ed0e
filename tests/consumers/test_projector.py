"""The loop on a real log, in both of its homes: every record once, whatever stops it, and a refusal of other logs."""

import random
import threading
import time

import pytest

from consumers.projector import Projector
from log.log import TopicPartition
from projections.beside import Beside
from projections.store import Store
from schemas.errors import LogError, OffsetBeyondEnd, OffsetConflict, RetentionLost, TopicRecreated
from schemas.topics import TOPICS, topic_of
from tests.consumers.poison import POISON
from tests.consumers.publishing import PARTITIONS, append, publish
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log
from tests.villages import repeated

CHAT = topic_of("chat")


def told(progress):
    """Read, applied, duplicates, parked."""
    return progress.read, progress.applied, progress.duplicates, progress.parked


def first(events, channel):
    return next(event for event in events if event.channel == channel)


def after(asked):
    """A `stop` that says so from the time on that it was asked so often."""
    left = iter(range(asked))
    return lambda: next(left, None) is None


# --- every record once


@pytest.mark.parametrize(("batch_size", "compact_after"), [(10_000, 10**9), (97, 250)])
def test_the_views_are_the_oracles(home, batch_size, compact_after):
    log_events = random_log(41, 800)
    with home.open() as log:
        publish(log, log_events)

    done = home.run(batch_size=batch_size, compact_after=compact_after)

    assert told(done) == (800, 800, 0, 0)
    assert (done.state, done.lag) == ("caught up", 0)
    with Store.open(home.store) as store:
        assert_equal(store, log_events)


def test_a_start_goes_on_where_the_last_one_ended(home):
    events = random_log(42, 900)
    runs = []
    for piece in (events[:1], events[1:400], [], events[400:]):
        with home.open() as log:
            publish(log, piece)
        runs.append(told(home.run(batch_size=100, compact_after=200)))

    assert runs == [(1, 1, 0, 0), (399, 399, 0, 0), (0, 0, 0, 0), (500, 500, 0, 0)]
    with Store.open(home.store) as store:
        assert_equal(store, events)


def test_duplicates_are_counted_and_parked_records_kept(home):
    events, again = random_log(43, 400), random.Random(43)
    repeats = [repeated(event) for event in again.sample(events, 150)]
    bad = [
        poison.make(first(events, "chat"))
        for poison in POISON.values()
        if len(poison.make(first(events, "chat"))[1]) == 0
    ]
    with home.open() as log:
        publish(log, [*events[:300], *repeats[:50]])
        append(log, CHAT, [value for value, _ in bad], partition=1)
        publish(log, [*repeats[50:], *events[300:], *repeats])

    done = home.run(batch_size=64)

    assert told(done) == (700 + len(bad), 400, 300, len(bad))
    with Store.open(home.store) as store:
        assert_equal(store, events)
        assert store.con.execute("SELECT count(*) FROM touchlog.dead_letters").fetchone() == (len(bad),)
        counted = store.con.execute(
            "SELECT sum(read), sum(applied), sum(duplicates), sum(parked) FROM touchlog.batches"
        )
        assert counted.fetchone() == told(done)


def test_stopped_at_any_moment_nothing_is_lost_and_nothing_counted_twice(home):
    events = random_log(44, 900)
    with home.open() as log:
        publish(log, events)
    read = 0
    for batches in (0, 1, 3, 4):
        done = home.run(batch_size=40, compact_after=150, stop=after(batches))
        read += done.read
        assert done.state == "stopped"
        assert done.lag == 900 - read
        assert done.read == done.applied
    assert 0 < read < 900

    assert told(home.run()) == (900 - read, 900 - read, 0, 0)
    with Store.open(home.store) as store:
        assert_equal(store, events)


def test_what_is_appended_while_it_runs_is_folded(home):
    events = random_log(45, 600)
    seen = []
    with home.open() as log, Store.open(home.store) as store:
        publish(log, events[:100])
        deadline = time.monotonic() + 60
        projector = Projector(log, store, REGISTRY, on_progress=lambda progress: seen.append(progress.state))
        running = threading.Thread(target=_publish_slowly, args=(home, events[100:]))
        running.start()

        def all_of_it():
            return projector._progress.read == 600 and "idle" in seen

        done = projector.run(stop=lambda: all_of_it() or time.monotonic() > deadline)
        running.join()

        assert told(done) == (600, 600, 0, 0)
        assert "idle" in seen
        assert "folding" in seen
        assert_equal(store, events)


def test_compaction_gives_way_unless_there_is_a_backlog(home, monkeypatch):
    begin, nices = Beside.begin, []

    def noted(self, work, *, nice):
        nices.append(nice)
        begin(self, work, nice=nice)

    monkeypatch.setattr(Beside, "begin", noted)
    with home.open() as log:
        publish(log, random_log(46, 600))
    home.run(batch_size=100, compact_after=200)
    assert not nices[0]

    nices.clear()
    with home.open() as log, Store.open(home.store) as store:
        publish(log, random_log(47, 300))
        # All of it is one batch: afterwards nothing is left to read.
        projector = Projector(log, store, REGISTRY, compact_after=200)
        projector.run(stop=lambda: bool(nices))
    assert all(nices)


def _publish_slowly(home, events):
    with home.open() as log:
        for start in range(0, len(events), 100):
            publish(log, events[start : start + 100])
            time.sleep(0.15)


def test_a_reader_never_sees_offsets_and_rows_disagree(home):
    events = random_log(46, 1000)
    with home.open() as log:
        publish(log, events)
    found, over = [], threading.Event()
    with home.open() as log, Store.open(home.store) as store:
        reader = threading.Thread(target=_look, args=(store.cursor(), found, over))
        reader.start()
        Projector(log, store, REGISTRY, batch_size=40, compact_after=250).run(until_caught_up=True)
        over.set()
        reader.join()

    assert not [row for row in found if row[0] != row[1] or row[0] != row[2]]
    assert len({row[0] for row in found}) > 5, "the reader looked too seldom to prove anything"


def _look(con, found, over):
    while not over.is_set():
        con.begin()
        (applied,) = con.execute("SELECT coalesce(sum(applied), 0) FROM touchlog.batches").fetchone()
        (rows,) = con.execute("SELECT count(*) FROM touchlog.interactions").fetchone()
        (offsets,) = con.execute("SELECT coalesce(sum(next_offset), 0) FROM touchlog.lag").fetchone()
        con.commit()
        found.append((applied, rows, offsets))


# --- topics and partitions


def test_missing_topics_are_made_with_the_partitions_asked_for(home):
    done = home.run(partitions=2)

    assert told(done) == (0, 0, 0, 0)
    with home.open() as log:
        assert set(log.begin_offsets(TOPICS)) == {TopicPartition(topic, at) for topic in TOPICS for at in range(2)}
        publish(log, random_log(47, 50))
    assert home.run().applied == 50


def test_the_view_lag_says_how_far_behind_it_was(home):
    events = random_log(48, 300)
    with home.open() as log:
        publish(log, events)
        ends = log.end_offsets(TOPICS)
    done = home.run(batch_size=50, stop=after(4))
    with Store.open(home.store) as store:
        rows = store.con.execute("SELECT topic, partition, next_offset, end_offset, lag FROM touchlog.lag").fetchall()
    assert {TopicPartition(topic, at): end for topic, at, _, end, _ in rows} == ends
    assert all(end - offset == lag >= 0 for _, _, offset, end, lag in rows)
    assert sum(lag for *_, lag in rows) == done.lag == 300 - done.read
    assert done.lag > 0

    home.run()
    with Store.open(home.store) as store:
        rows = store.con.execute("SELECT topic, partition, next_offset, lag FROM touchlog.lag").fetchall()
    assert {TopicPartition(topic, at): offset for topic, at, offset, _ in rows} == ends
    assert {lag for *_, lag in rows} == {0}


# --- other logs than the one that was folded


@pytest.fixture
def folded(home):
    """A home whose log was folded to its end."""
    with home.open() as log:
        publish(log, random_log(49, 200))
    home.run()
    return home


def _store_is_untouched(home, action):
    def counts():
        with Store.open(home.store) as store:
            return store.positions(), store.batch, store.topics()

    before = counts()
    action()
    assert counts() == before


def test_a_topic_made_again_is_refused(folded):
    def refused():
        with folded.open() as log:
            log.delete_topics([CHAT])
            log.create_topics([CHAT], PARTITIONS)
        with pytest.raises(TopicRecreated, match=rf"{CHAT} was deleted and made again.*delete the store"):
            folded.run()

    _store_is_untouched(folded, refused)


def test_a_log_without_the_topics_is_refused_and_left_as_it_is(folded):
    def refused():
        with folded.open() as log:
            log.delete_topics([CHAT])
        with pytest.raises(LogError, match=rf"{CHAT} is in the store, not in the log; is this the right --log"):
            folded.run()

    _store_is_untouched(folded, refused)
    with folded.open() as log:
        assert CHAT not in log.topics()


def test_records_deleted_before_they_were_folded_are_missed(folded):
    at = TopicPartition(CHAT, 1)
    with folded.open() as log:
        end = log.end_offsets([CHAT])[at]
        append(log, CHAT, [b"x"] * 5, partition=1)
        log.delete_records({at: end + 3})
    with pytest.raises(RetentionLost, match=rf"{CHAT}, partition 1: 3 records that were not folded yet are gone"):
        folded.run()


def test_records_deleted_from_a_partition_that_was_empty_are_missed(home):
    """Where a partition begins is remembered from the first look at it, not from its first record."""
    at = TopicPartition(CHAT, 2)
    home.run(partitions=PARTITIONS)
    with home.open() as log:
        append(log, CHAT, [b"x"] * 5, partition=2)
        log.delete_records({at: 4})
    with pytest.raises(RetentionLost, match=rf"{CHAT}, partition 2: 4 records"):
        home.run()


def test_records_deleted_after_they_were_folded_are_not(folded):
    at = TopicPartition(CHAT, 0)
    with folded.open() as log:
        end = log.end_offsets([CHAT])[at]
        assert end > 2
        log.delete_records({at: end})
        append(log, CHAT, [b"x"])
    assert told(folded.run()) == (1, 0, 0, 1)


def test_a_partition_that_was_emptied_before_the_first_look_does_not_hold_up(home):
    with home.open() as log:
        publish(log, random_log(50, 100))
        log.delete_records({at: end for at, end in log.end_offsets(TOPICS).items() if at.partition == 0})
        kept = sum(end for at, end in log.end_offsets(TOPICS).items() if at.partition)
    assert told(home.run()) == (kept, kept, 0, 0)


def test_a_log_that_is_shorter_than_the_store_remembers_is_refused(folded):
    at = TopicPartition(CHAT, 0)
    with Store.open(folded.store) as store:
        with folded.open() as log:
            end = log.end_offsets([CHAT])[at]
        with store.transaction():
            store.advance(store.batch + 1, store.positions(), {at: end + 7}, {})
    with pytest.raises(
        OffsetBeyondEnd, match=rf"{CHAT}, partition 0: the store is at offset {end + 7}.*ends at {end};"
    ):
        folded.run()


def test_two_projectors_of_one_store_do_not_count_twice(home):
    events = random_log(51, 400)
    with home.open() as log:
        publish(log, events)
    with home.open() as log, Store.open(home.store) as one, Store.open(home.store) as other:
        zombie = Projector(log, other, REGISTRY)
        Projector(log, one, REGISTRY).run(until_caught_up=True)
        with pytest.raises(OffsetConflict):
            zombie.run(until_caught_up=True)
        assert_equal(one, events)
        assert one.con.execute("SELECT sum(applied) FROM touchlog.batches").fetchone() == (400,)
