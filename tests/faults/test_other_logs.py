"""A log that is not the one that was folded: the projector stops in words and leaves the store as it is."""

import pytest

from log.log import TopicPartition
from projections.store import Store
from schemas.topics import TOPICS, topic_of
from tests.consumers.publishing import append
from tests.faults.checks import Truth
from tests.faults.homes import until

CHAT = topic_of("chat")
_LOG_ERROR = 4


@pytest.fixture
def truth(home, dice):
    """A log, folded to its end."""
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 200, near=20)
    home.fold_here()
    return truth


def _found(home):
    with Store.open(home.store) as store:
        rows = store.con.execute("SELECT count(*) FROM store.rows").fetchone()
        return store.positions(), store.batch, store.topics(), rows


def _recreate(home):
    with home.open() as log:
        log.delete_topics([CHAT])
        until(lambda: CHAT not in log.topics(), "the topic is gone")
        until(lambda: _created(log), "the topic is there again")
        # More than there was: every stored offset lies within the new topic, and only its identity tells.
        for partition in range(3):
            append(log, CHAT, [b"other"] * 100, partition=partition)


def _created(log):
    # A broker deletes a topic in its own time.
    log.create_topics([CHAT], 3)
    return CHAT in log.topics()


def _expire(home):
    """Retention passes the stored offset: records that were not folded yet are gone."""
    with home.open() as log:
        append(log, CHAT, [b"x"] * 9, partition=1)
        end = log.end_offsets([CHAT])[TopicPartition(CHAT, 1)]
        log.delete_records({TopicPartition(CHAT, 1): end - 2})


def _delete(home):
    with home.open() as log:
        log.delete_topics([CHAT])
        until(lambda: CHAT not in log.topics(), "the topic is gone")


def _cut_off(home):
    """The store remembers more than there is, as after a log was restored from an older copy."""
    at = TopicPartition(CHAT, 0)
    with home.open() as log, Store.open(home.store) as store:
        end = log.end_offsets([CHAT])[at]
        with store.transaction():
            store.advance(store.batch + 1, store.positions(), {at: end + 7}, {})
            store.insert_rows("batches", [(None, 0, 0, 0, 0, 0.0)], store.batch + 1)


_CHANGES = {
    "topic recreated": _recreate,
    "topic deleted": _delete,
    "retention passed": _expire,
    "log shorter than the store": _cut_off,
}

_KEY = ("topic recreated", "retention passed")


@pytest.mark.form(ci="embedded kafka")
@pytest.mark.parametrize(
    "change", [pytest.param(change, marks=[] if change in _KEY else pytest.mark.form(ci="")) for change in _CHANGES]
)
def test_changed_while_the_projector_was_away(home, row, truth, change):
    row.fault = f"{change}, while away"
    _CHANGES[change](home)
    before = _found(home)
    for _ in range(2):
        command = home.project()
        assert command.wait() == _LOG_ERROR, command.said
        assert CHAT in command.said
        assert "Traceback" not in command.said
        row.runs += 1
    assert _found(home) == before
    if change == "topic deleted":
        with home.open() as log:
            assert CHAT not in log.topics()


@pytest.mark.parametrize("change", ["topic recreated", "topic deleted"])
def test_changed_while_the_projector_runs(home, row, truth, change):
    row.fault = f"{change}, while running"
    command = home.project(until_caught_up=False)
    until(lambda: home.answers() or not command.running, "the projector answers")
    _CHANGES[change](home)
    assert command.wait() == _LOG_ERROR, command.said
    assert CHAT in command.said
    positions, _, _, (rows,) = _found(home)
    row.runs = 1
    assert rows == len(truth.events)
    assert set(positions) == {TopicPartition(topic, at) for topic in TOPICS for at in range(truth.partitions)}
