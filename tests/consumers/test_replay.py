"""Folding the log again: exactly so far, whatever is appended, whatever interrupts it; and parts of it, for looking."""

import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import pytest

from consumers.part import PartOfBatch
from consumers.replay import Part, Replayed, fold_again
from log.log import TopicPartition
from projections.checksums import checksums
from projections.exchange import PART, exchange, marked, next_of
from projections.store import Store
from schemas.contact_points import contact_point
from schemas.errors import (
    ConfigurationError,
    LogError,
    OffsetBeyondEnd,
    RegistryUnavailable,
    RetentionLost,
)
from schemas.event import build_event
from schemas.models import Statement
from schemas.topics import TOPICS, topic_of
from tests.consumers.poison import POISON
from tests.consumers.publishing import PARTITIONS, append, publish
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

CHAT, POST = topic_of("chat"), topic_of("post")


def read(log, start=None, most=1000):
    """All records of the topics as (place, offset, value), and where reading ended."""
    positions = log.begin_offsets(TOPICS) if start is None else dict(start)
    ends, found = log.end_offsets(TOPICS), []
    deadline = time.monotonic() + 30
    with log.reader(positions) as reader:
        while any(positions[at] < ends[at] for at in positions) and time.monotonic() < deadline:
            batch = reader.poll(most, 0.2)
            assert len(batch) <= most
            places = map(TopicPartition, batch.topics, batch.partitions)
            found += zip(places, batch.offsets, batch.values, strict=True)
            positions |= batch.next_positions
        assert len(reader.poll(most, 0)) == 0
        reader.commit(positions)
    return sorted(found), positions


def ends_of(log, count):
    """Where the log ends, once it shows so many records: Kafka does some milliseconds after it acknowledged them."""
    deadline = time.monotonic() + 30
    while sum((ends := log.end_offsets(TOPICS)).values()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return ends


@pytest.fixture
def published(home):
    """A log of three hundred events, and where it ended then."""
    with home.open() as log:
        publish(log, random_log(81, 300))
        return ends_of(log, 300)


# --- a log that ends where it is told


@pytest.mark.parametrize("most", [7, 1000])
def test_nothing_at_or_beyond_the_end_is_read(home, published, most):
    # One partition to its beginning, one half, the others to their ends; and the log goes on.
    until = dict(published)
    until[TopicPartition(CHAT, 0)] //= 2
    until[TopicPartition(CHAT, 1)] = 0
    del until[TopicPartition(POST, 2)]
    with home.open() as log:
        publish(log, random_log(82, 400))
        ends_of(log, 700)
        replayed = Replayed(log, until)
        whole, _ = read(log)
        assert replayed.begin_offsets(TOPICS) == dict.fromkeys(until, 0)
        assert replayed.end_offsets(TOPICS) == until

        found, positions = read(replayed, most=most)

        assert found == [one for one in whole if one[1] < until.get(one[0], 0)]
        assert positions == until
        start = {at: offset // 3 for at, offset in until.items()}
        again, positions = read(replayed, start, most)
        assert again == [one for one in found if one[1] >= start[one[0]]]
        assert positions == until


def test_the_end_of_a_log_that_is_shorter_is_its_end(home, published):
    with home.open() as log:
        replayed = Replayed(log, {at: offset + 5 for at, offset in published.items()})
        assert replayed.end_offsets([CHAT]) == log.end_offsets([CHAT])
        assert replayed.topics() == log.topics()
        assert Replayed(log, {TopicPartition(CHAT, 0): 5}).topics().keys() == {CHAT}


def test_it_is_only_read(home, published):
    at = TopicPartition(CHAT, 0)
    with home.open() as log:
        replayed = Replayed(log, {at: 2})
        assert replayed.create_topics(["interactions.fax"], 1) == []
        assert log.topics().keys() == set(TOPICS)
        with pytest.raises(ConfigurationError, match="only read"):
            replayed.writer()
        with pytest.raises(ConfigurationError, match=f"topic {POST}, partition 0 is not replayed"):
            replayed.reader({TopicPartition(POST, 0): 0})
        with replayed.reader({at: 3}) as reader:
            for _ in range(2):
                with pytest.raises(OffsetBeyondEnd, match="replayed up to offset 2, 1 records before 3"):
                    reader.poll(10, 0.1)
        with replayed.reader({at: 2}) as done:
            began = time.monotonic()
            assert len(done.poll(10, 0.2)) == 0
            assert time.monotonic() - began >= 0.2
        reader = replayed.reader({at: 0})
        for thing in (reader, replayed):
            thing.close()
            thing.close()
        for use in (lambda: reader.poll(1, 0), lambda: reader.commit({}), replayed.topics, lambda: replayed.reader({})):
            with pytest.raises(ValueError, match="closed"):
                use()
        assert log.topics(), "what lies beneath is still open"


# --- folding again


def test_the_store_is_that_of_the_records_up_to_the_end_and_no_other(home, published):
    home.run(batch_size=90, compact_after=100)
    with home.open() as log:
        publish(log, random_log(83, 200))
        done = fold_again(log, next_of(home.store), REGISTRY, published, batch_size=64, compact_after=150)

        assert (done.read, done.applied, done.lag, done.state) == (300, 300, 0, "caught up")
        with Store.open(next_of(home.store)) as store, Store.open(home.store) as live:
            assert store.positions() == published == live.positions()
            places = {"interactions": ("batch", "customer_id_then")}
            assert checksums(store.con, NOW, leave_out=places) == checksums(live.con, NOW, leave_out=places)
            assert_equal(store, random_log(81, 300))

        assert fold_again(log, next_of(home.store), REGISTRY, ends_of(log, 500)).read == 200
    exchange(home.store)
    assert home.run().read == 0
    with Store.open(home.store) as store:
        assert_equal(store, [*random_log(81, 300), *random_log(83, 200)])


def test_stopped_it_goes_on_where_it_was(home, published):
    read = 0
    with home.open() as log:
        for rounds in (0, 1, 2):
            left = iter(range(rounds))
            done = fold_again(
                log,
                next_of(home.store),
                REGISTRY,
                published,
                batch_size=40,
                stop=lambda left=left: next(left, None) is None,
            )
            read += done.read
            assert done.lag == 300 - read > 0
        with Store.open(home.store) as live:
            assert live.batch == 0
        with pytest.raises(ConfigurationError, match=f"not folded to its end yet: {300 - read} records are left"):
            exchange(home.store)
        assert fold_again(log, next_of(home.store), REGISTRY, published).read == 300 - read
    assert exchange(home.store)
    with Store.open(home.store) as store:
        assert_equal(store, random_log(81, 300))


_FOLD = """
import sys, time
from log.open import open_log
from consumers.replay import fold_again
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS
with open_log(sys.argv[1]) as log:
    fold_again(log, sys.argv[2], LockedRegistry(), log.end_offsets(TOPICS), batch_size=20, compact_after=60,
        on_progress=lambda progress: print(progress.read, flush=True))
"""


def test_killed_at_any_moment_it_goes_on_where_it_was(home, published):
    path = next_of(home.store)
    for reached in (1, 60, 120):
        with subprocess.Popen(
            [sys.executable, "-c", _FOLD, home.url, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            # Of this run: what was read before it was killed is not read again.
            next((line for line in process.stdout if int(line) >= reached), None)
            process.kill()
    with home.open() as log:
        done = fold_again(log, path, REGISTRY, published)
    assert done.read == done.applied < 300 - 120
    with Store.open(path) as store:
        assert store.con.execute("SELECT sum(applied) FROM store.batches").fetchone() == (300,)
        assert_equal(store, random_log(81, 300))


def test_records_that_are_gone_from_the_log_are_missed_and_counted(home, published):
    one, other = TopicPartition(CHAT, 0), TopicPartition(POST, 1)
    with home.open() as log:
        log.delete_records({one: 3, other: 2})
        with pytest.raises(
            RetentionLost,
            match=rf"no longer holds 5 records .*{CHAT}, partition 0: 3 records; {POST}, partition 1: 2 records",
        ):
            fold_again(log, home.store, REGISTRY, published)
        assert not home.store.exists(), "nothing was begun"

        # Of a partition that is not read, and of records beyond the end, none is missed.
        short = {TopicPartition(CHAT, 2): 1, one: 0}
        assert fold_again(log, next_of(home.store), REGISTRY, short).read == 1

        done = fold_again(log, home.store, REGISTRY, published, from_what_is_left=True)
        assert done.applied == 295
        # What it has is not missed when the log forgets it afterwards; what it has not, is.
        log.delete_records({one: published[one]})
        assert fold_again(log, home.store, REGISTRY, published).read == 0
        append(log, CHAT, [b"x"] * 4)
        ends_of(log, 304)
        log.delete_records({one: published[one] + 3})
        with pytest.raises(RetentionLost, match=f"{CHAT}, partition 0: 3 records.*delete the file that was begun"):
            fold_again(log, home.store, REGISTRY, ends_of(log, 304), from_what_is_left=True)


def test_what_cannot_be_is_refused(home, published):
    at = TopicPartition(CHAT, 0)
    home.run()
    with home.open() as log:
        again = partial(fold_again, log, next_of(home.store), REGISTRY)
        with pytest.raises(ConfigurationError, match="a store that was not begun by a replay"):
            fold_again(log, home.store, REGISTRY, published)
        with pytest.raises(OffsetBeyondEnd, match=rf"{CHAT}, partition 0 ends at offset \d+, before"):
            again({**published, at: published[at] + 1})
        with pytest.raises(LogError, match=f"{CHAT}, partition {PARTITIONS} is not in the log"):
            again({**published, TopicPartition(CHAT, PARTITIONS): 1})
        assert not next_of(home.store).exists()
        again(published)
        with pytest.raises(ConfigurationError, match="folded beyond what is asked for already, in 1 partitions"):
            again({**published, at: 1})
        with pytest.raises(ConfigurationError, match="begun with another part"):
            again(published, part=Part(channels=frozenset({"chat"})))


# --- parts


def named(event):
    keys = {point.key for point in event.contact_points}
    return keys | {event.statement.about} if event.statement and event.statement.about else keys


def test_a_part_is_the_records_that_name_a_contact_point(home, published):
    events = random_log(81, 300)
    key = Counter(point.key for event in events for point in event.contact_points[1:]).most_common(1)[0][0]
    other = next(event.primary.key for event in events if event.primary.kind == "account")
    stated = next(event.statement.about for event in events if event.statement and event.statement.about)
    for keys in ({key}, {other, stated}):
        wanted = [event for event in events if keys & named(event)]
        assert 0 < len(wanted) < 300
        assert any(event.primary.key not in keys for event in wanted)
        path = home.store.with_name(f"{len(keys)}.duckdb")
        with home.open() as log:
            done = fold_again(log, path, REGISTRY, published, part=Part(contact_points=frozenset(keys)), batch_size=50)
        assert (done.read, done.applied, done.lag) == (len(wanted), len(wanted), 0)
        with Store.open(path) as store:
            assert store.positions() == published
            assert_equal(store, wanted)


def test_a_part_is_the_records_of_channels_and_of_identity(home, published):
    wanted = [event for event in random_log(81, 300) if event.channel in {"chat", "post", "identity"}]
    with home.open() as log:
        done = fold_again(log, home.store, REGISTRY, published, part=Part(channels=frozenset({"chat", "post"})))
    assert done.read == len(wanted) < 300
    with Store.open(home.store) as store:
        assert {at.topic for at in store.positions()} == {CHAT, POST, topic_of("identity")}
        assert_equal(store, wanted)


def test_a_part_is_the_records_since_a_time_and_all_conditions_hold(home, published):
    events = random_log(81, 300)
    since = sorted(event.occurred_at for event in events)[150]
    key = next(event.primary.key for event in events if event.channel == "chat" and event.occurred_at > since)
    whole = Part(contact_points=frozenset({key}), channels=frozenset({"chat"}), since=since)
    for number, (part, wanted) in enumerate(
        [
            (Part(since=since), [event for event in events if event.occurred_at >= since]),
            (
                whole,
                [
                    event
                    for event in events
                    if event.occurred_at >= since and event.channel in {"chat", "identity"} and key in named(event)
                ],
            ),
        ]
    ):
        assert 0 < len(wanted) < 300
        with home.open() as log:
            fold_again(log, home.store.with_name(f"{number}.duckdb"), REGISTRY, published, part=part)
        with Store.open(home.store.with_name(f"{number}.duckdb")) as store:
            assert_equal(store, wanted)


def test_of_a_record_that_cannot_be_read_its_key_says_whose_it_is(home):
    keys = {b"email:ada@example.org": 2, b"email:eve@example.org": 3, None: 1}
    with home.open() as log:
        log.create_topics(TOPICS, 1)
        with log.writer() as writer:
            for key, count in keys.items():
                for _ in range(count):
                    said = b"no event" if key == b"email:ada@example.org" else b"no event, of email:ada@example.org"
                    writer.append(CHAT, key, said, partition=0)
            assert writer.flush(60) == 0
        ends = ends_of(log, 6)
        ada = Part(contact_points=frozenset({"email:ada@example.org"}))
        assert fold_again(log, home.store, REGISTRY, ends, part=ada).parked == 2
        every = Part(since=datetime(2020, 1, 1, tzinfo=UTC))
        assert fold_again(log, next_of(home.store), REGISTRY, ends, part=every).parked == 6


def test_a_part_is_marked_and_never_becomes_live(home, published):
    path = next_of(home.store)
    part = Part(channels=frozenset({"chat"}), contact_points=frozenset({"email:å@example.org"}))
    home.run()
    with home.open() as log:
        fold_again(log, path, REGISTRY, published, part=part)
        fold_again(log, path, REGISTRY, published, part=part)
        for other in (None, Part(channels=frozenset({"post"}))):
            with pytest.raises(ConfigurationError, match="begun with another part"):
                fold_again(log, path, REGISTRY, published, part=other)
    with Store.open(path) as store:
        assert marked(store.con, PART) == part.told()
    with pytest.raises(ConfigurationError, match="holds a part of the log"):
        exchange(home.store)


def test_a_part_that_cannot_be_is_refused():
    with pytest.raises(ConfigurationError, match="no such channel: fax; one of email"):
        Part(channels=frozenset({"fax", "chat"}))
    with pytest.raises(ConfigurationError, match="offset from UTC"):
        Part(since=datetime(2025, 1, 1))  # noqa: DTZ001
    with pytest.raises(ConfigurationError, match="by its kind and its value") as told:
        Part(contact_points=frozenset({"eve@example.org"}))
    assert "eve@" not in str(told.value)


def test_records_that_hold_the_text_elsewhere_do_not_name_it():
    phone, account = contact_point("phone", "+46700000001"), contact_point("account", "C-1")

    def event(*points, reference, summary=None, about=None):
        return build_event(
            "chat",
            type="preference.stated" if about else "message.received",
            reference=reference,
            occurred_at=NOW,
            observed_at=NOW,
            contact_points=points,
            direction="inbound",
            source="web/acme",
            summary=summary,
            statement=Statement(kind="opt_out", about=about) if about else None,
        )

    batch = records(
        [
            event(phone, reference="1"),
            event(account, reference="2", summary="call +46700000001"),
            event(account, contact_point("phone", "+46700000001", role="mentioned"), reference="3"),
            event(contact_point("visitor", "+46700000001"), reference="4"),
            event(account, reference="5", about="phone:+46700000001"),
        ]
    )
    wanted = PartOfBatch(Part(contact_points=frozenset({"phone:+46700000001"})), REGISTRY)
    assert wanted(batch) == [0, 2, 4]
    batch.keys[1] = b"phone:+46700000001"
    assert wanted(batch) == [0, 2, 4], "what an event says counts, not what it is kept under"


class _AwayAtFirst:
    """A registry that is away for the first few questions."""

    def __init__(self, times):
        self.times = times

    def schema(self, schema_id):
        self.times -= 1
        if self.times >= 0:
            raise RegistryUnavailable("away")
        return REGISTRY.schema(schema_id)


def test_nothing_is_lost_while_the_registry_is_away(home, published):
    events = random_log(81, 300)
    since = sorted(event.occurred_at for event in events)[100]
    with home.open() as log:
        done = fold_again(log, home.store, _AwayAtFirst(3), published, part=Part(since=since), batch_size=80)
    assert done.applied == sum(event.occurred_at >= since for event in events)


def test_what_was_mended_is_folded_in_place_of_what_is_parked(home, published):
    event = next(event for event in random_log(84, 50) if event.channel == "chat")
    poison = next(iter(POISON.values())).make(event)[0]
    (value,) = records([event]).values
    with home.open() as log:
        append(log, CHAT, [poison, poison], partition=1)
        ends = ends_of(log, 302)
        offset = ends[TopicPartition(CHAT, 1)] - 2
        mended = {(CHAT, 1, offset): value, (POST, 0, 10**6): b"of another log"}
        for _ in range(2):
            fold_again(log, home.store, REGISTRY, ends, mended=mended)
    with Store.open(home.store) as store:
        states = store.con.execute("SELECT log_offset, state FROM touchlog.dead_letters ORDER BY 1").fetchall()
        assert states == [(offset, "redriven"), (offset + 1, "parked")]
        assert_equal(store, [*random_log(81, 300), event])
