"""Two that write one store: the lock on its file, and what holds where that does not."""

import signal
import threading
from contextlib import suppress

import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import RecordBatch
from projections.store import Store
from schemas.errors import OffsetConflict
from schemas.topics import TOPICS
from tests.faults.checks import Truth, assert_whole
from tests.faults.homes import until
from tests.folding import REGISTRY


def test_a_stopped_projector_and_its_successor(home, row, dice, times):
    """A projector that hangs holds its store: the successor is refused, and the zombie goes on unharmed."""
    row.fault = "SIGSTOP of the projector, a successor starts"
    truth = Truth(dice=dice)
    for _ in range(times(ci=1, short=2, long=10)):
        with home.open() as log:
            truth.grow(log, 400, near=40, far=40)
        zombie = home.project()
        until(lambda zombie=zombie: home.answers() or not zombie.running, "the projector answers")
        zombie.send(signal.SIGSTOP)
        assert zombie.running, zombie.said
        successor = home.project()
        assert successor.wait() == 3, successor.said
        assert "a projector is running already" in successor.said
        zombie.send(signal.SIGCONT)
        assert zombie.wait() == 0, zombie.said
        row.runs += 1
    assert_whole(home, truth)


class Other:
    """A projector of its own in this process: another handle on the same store, another memory of it."""

    def __init__(self, home):
        self.store = Store.open(home.store)
        self.folder = Folder(self.store)
        self.preparer = Preparer(Decoder(REGISTRY))
        self.home = home

    def take(self, at_most):
        """The records that come next, as far as this one knows."""
        with self.home.open() as log:
            if new := {at: begin for at, begin in log.begin_offsets(TOPICS).items() if at not in self.folder.positions}:
                self.folder.begin(new, {})
            with log.reader(self.folder.positions) as reader:
                batch = reader.poll(at_most, 0.5)
            # Kafka tells of ends of partitions before it sends their records.
            return batch if len(batch) else RecordBatch()

    def fold(self, batch):
        return self.folder.fold(self.preparer.prepare(batch))


@pytest.fixture
def both(home):
    """Two handles on one store, which only one process can have: what a lock that does not hold would allow."""
    one, other = Other(home), Other(home)
    yield one, other
    one.store.close()
    other.store.close()


@pytest.mark.form(ci="embedded", short="embedded")
def test_two_folders_of_one_store(home, row, dice, times, both):
    """They take turns at random; whoever is late is refused, reads the store again and goes on."""
    row.fault = "two writers of one store, in turns"
    truth = Truth(dice=dice)
    refused = 0
    taken = {}
    for number in range(times(ci=60, short=150, long=1000)):
        if number % 30 == 0:
            with home.open() as log:
                truth.grow(log, 100, near=20)
        who = dice.choice(both)
        try:
            if who in taken and dice.random() < 0.7:
                who.fold(taken.pop(who))
            else:
                taken[who] = who.take(dice.choice((1, 5, 20)))
        except OffsetConflict:
            refused += 1
            taken.pop(who, None)
            who.folder.reload()
        row.runs += 1
    assert refused > 3
    for who in both:
        who.store.close()
    home.project_to_the_end()
    assert_whole(home, truth)


@pytest.mark.form(ci="embedded", short="embedded")
def test_two_folders_at_the_same_instant(home, row, dice, times, both, monkeypatch):
    """Both have compared before either has committed: one of the two is refused all the same."""
    row.fault = "two writers of one store, at once"
    truth = Truth(dice=dice)
    barrier = threading.Barrier(2)
    advance = Store.advance

    def together(*arguments):
        advance(*arguments)
        # One that changes views, too (a contact point ended for the first time), is refused before it gets here.
        with suppress(threading.BrokenBarrierError):
            barrier.wait(2)

    home.fold_here()
    monkeypatch.setattr(Store, "advance", together)
    for _ in range(times(ci=2, short=6, long=100)):
        with home.open() as log:
            truth.grow(log, 30, near=5)
        for who in both:
            who.folder.reload()
        batches = [who.take(1000) for who in both]
        while not all(map(len, batches)):
            batches = [who.take(1000) for who in both]
        told = []
        barrier.reset()
        threads = [
            threading.Thread(target=_told, args=(told, who, batch)) for who, batch in zip(both, batches, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [one for one in told if one is not None].count(OffsetConflict) == 1, told
        assert len(told) == 2
        row.runs += 1
    monkeypatch.undo()
    for who in both:
        who.store.close()
    home.project_to_the_end()
    assert_whole(home, truth)


def _told(told, who, batch):
    try:
        who.fold(batch)
        told.append(None)
    except BaseException as error:
        told.append(type(error))
