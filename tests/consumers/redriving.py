"""Redriving in a store of a test's own, and looking at what came of it."""

from consumers.decode import Decoder
from consumers.letters import Wanted, letters
from consumers.prepare import Preparer
from consumers.redrive import Asked, redrive
from schemas.registry import LockedRegistry, locked_versions
from schemas.topics import topic_of
from tests.consumers.poison import POISON
from tests.folding import REGISTRY, records
from tests.strategies import random_log

YOUNG = LockedRegistry(tuple(one for one in locked_versions() if not one.subject.startswith(topic_of("chat"))))
"""A registry in which nobody has registered chat yet."""


def batch_of(events, *, start=0, registry=REGISTRY):
    """The events as records of one partition from an offset on, prepared."""
    batch = records(events)
    batch.offsets[:] = range(start, start + len(events))
    return Preparer(Decoder(registry)).prepare(batch)


def again(folder, store, asked=None, registry=REGISTRY):
    """What comes of a redrive, run to its end."""
    steps = redrive(folder, store, registry, asked or Asked())
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def counts(store):
    """Read, applied, duplicates and parked over all batches."""
    return store.con.execute(
        "SELECT sum(read)::INT, sum(applied)::INT, sum(duplicates)::INT, sum(parked)::INT FROM touchlog.batches"
    ).fetchone()


def states(store):
    return dict(store.con.execute("SELECT state, count(*) FROM touchlog.dead_letters GROUP BY state").fetchall())


def all_letters(store):
    def ask(sql, values):
        return store.con.execute(sql, list(values)).to_arrow_table()

    return [letter for some in letters(ask, Wanted(states=())) for letter in some]


def bad_and_good(seed, count, name="off the scale"):
    """A log of which one chat event in it was written badly; the batch, the events, the bad one."""
    events = random_log(seed, count)
    bad = next(event for event in events if event.channel == "chat" and event.survey is None)
    batch = records(events)
    batch.values[events.index(bad)] = POISON[name].make(bad)[0]
    return Preparer(Decoder(REGISTRY)).prepare(batch), events, bad
