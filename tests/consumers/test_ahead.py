"""Reading ahead of the fold: of a backlog some batches, of what just came none."""

import time

from consumers import ahead as ahead_of_the_fold
from consumers.ahead import ReadAhead
from consumers.batch_size import BatchSize
from consumers.decode import Decoder
from consumers.fold import Folded
from consumers.prepare import Preparer
from log.embedded import EmbeddedLog
from schemas.topics import TOPICS
from tests.consumers.publishing import publish
from tests.folding import REGISTRY
from tests.strategies import random_log

PATIENCE_S = 60


def ahead_of(log, *, batch_size):
    return ReadAhead(log, log.begin_offsets(TOPICS), Preparer(Decoder(REGISTRY)), size=BatchSize(batch_size))


def take(ahead, count):
    """So many records, in one batch or several: Kafka gives them as they were fetched."""
    while count > 0:
        count -= len(ahead.take(PATIENCE_S))
    assert count == 0


def wait_for(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_what_comes_while_a_batch_is_folded_is_one_batch_when_the_fold_asks(home):
    events = random_log(46, 30)
    with home.open() as log:
        publish(log, events[:10])
        with ahead_of(log, batch_size=1_000).running() as ahead:
            take(ahead, 10)
            for start in (10, 20):
                publish(log, events[start : start + 10])
                wait_for(lambda end=start + 10: sum(ahead.ends.values()) == end)
            assert ahead._ready.empty()
            take(ahead, 20)


def test_of_a_backlog_batches_wait_for_the_fold(home):
    with home.open() as log:
        publish(log, random_log(47, 600))
        with ahead_of(log, batch_size=100).running() as ahead:
            wait_for(ahead._ready.full)
            take(ahead, 600)


def test_a_large_batch_is_read_and_prepared_in_pieces(home, monkeypatch):
    monkeypatch.setattr(ahead_of_the_fold, "_AT_ONCE", 7)
    events = random_log(48, 200)
    with home.open() as log:
        publish(log, events)
        with ahead_of(log, batch_size=60).running() as ahead:
            sizes = []
            while sum(sizes) < len(events):
                batch = ahead.take(PATIENCE_S)
                assert len(batch.places) == len(batch)
                sizes.append(len(batch))
                ahead._pulse.folded(Folded(read=len(batch), applied=len(batch), duplicates=0, parked=0), 0.1)
            # Kafka may give records later than it has told of them.
            assert max(sizes) == 60 if isinstance(log, EmbeddedLog) else max(sizes) <= 60
            assert not ahead._pulse._reading, "a batch was read once, however many pieces it came in"


def test_what_is_left_of_a_backlog_is_read_ahead_though_it_fills_no_batch(home, monkeypatch):
    monkeypatch.setattr(ahead_of_the_fold, "_BACKLOG", 50)
    with home.open() as log:
        publish(log, random_log(49, 120))
        with ahead_of(log, batch_size=1_000).running() as ahead:
            wait_for(lambda: not ahead._ready.empty())
            take(ahead, 120)


def test_large_records_make_smaller_batches(home, monkeypatch):
    monkeypatch.setattr(ahead_of_the_fold, "_AT_ONCE", 10)
    monkeypatch.setattr(ahead_of_the_fold, "_MOST_BYTES", 10_000)
    events = [event.model_copy(update={"summary": "x" * 1_000}) for event in random_log(50, 100)]
    with home.open() as log:
        publish(log, events)
        with ahead_of(log, batch_size=40).running() as ahead:
            read = 0
            while read < len(events):
                batch = ahead.take(PATIENCE_S)
                assert len(batch) <= 10
                read += len(batch)
