"""A broker that dies and comes back, and a network that does not carry what it should."""

import signal
import time

import pytest

from schemas.topics import TOPICS
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.homes import Home, until
from tests.faults.proxy import troubled

pytestmark = [pytest.mark.kafka, pytest.mark.broker]


@pytest.fixture
def home(broker, unique, tmp_path, commands):
    """Projectors reach the broker through the proxy."""
    url = f"kafka://{broker.through_proxy}?prefix={unique('broker')}."
    return Home(log="kafka", url=url, folder=tmp_path, commands=commands)


@pytest.fixture
def direct(home, broker, tmp_path, commands):
    """The same log, without the proxy."""
    url = home.url.replace(broker.through_proxy, broker.bootstrap)
    return Home(log="kafka", url=url, folder=tmp_path, commands=commands)


def _end(home, command):
    command.send(signal.SIGTERM)
    assert command.wait() == 0, command.said
    return look(home.store)


@pytest.mark.form(ci="kafka")
def test_a_broker_killed_again_and_again(broker, direct, row, dice, times):
    """The projector outlives it, and goes on as soon as it is back."""
    row.fault = "kill -9 of the broker while folding"
    truth = Truth(dice=dice)
    with direct.open() as log:
        truth.grow(log, 300, near=30)
    command = direct.project(until_caught_up=False)
    # What is away while it starts ends it, to be started again; from then on it waits.
    until(lambda: not command.running or (direct.answers() and _lag(direct) == 0), "it folds")
    for _ in range(times(ci=1, short=3, long=25)):
        time.sleep(dice.uniform(0, 0.5))
        broker.kill()
        time.sleep(dice.uniform(0, 1.5))
        broker.start()
        with direct.open() as log:
            truth.grow(log, 60, near=6, far=6, poison=1)
        assert command.running, command.said
        row.runs += 1
    # What came after the last of the broker's lives is folded without a new start.
    until(lambda: not command.running or _lag(direct) == 0, "it has caught up")
    assert _end(direct, command) == truth.records
    assert_whole(direct, truth)


def _lag(home):
    """As a person would ask."""
    read = int(home.ask("SELECT coalesce(sum(read), 0) AS n FROM touchlog.batches"))
    with home.open() as log:
        return sum(log.end_offsets(TOPICS).values()) - read


@pytest.mark.form(ci="kafka")
def test_a_bad_network(broker, home, direct, row, dice, times):
    """Connections are dropped, delayed, held and half-closed every 0.1 to 1 s, for as long as it folds."""
    row.fault = "a proxy that drops, delays, holds and half-closes"
    truth = Truth(dice=dice)
    with direct.open() as log:
        truth.grow(log, 100)
    command = home.project(until_caught_up=False)
    until(lambda: not command.running or (home.answers() and _lag(direct) == 0), "it folds")
    assert command.running, command.said
    with troubled(broker.proxy, dice) as happened:
        for _ in range(times(ci=6, short=15, long=150)):
            with direct.open() as log:
                truth.grow(log, 25, near=5, far=5)
            time.sleep(dice.uniform(0.2, 0.8))
            assert command.running, command.said
    row.runs = len(happened)
    assert row.runs > 1
    until(lambda: not command.running or _lag(direct) == 0, "it has caught up")
    assert _end(home, command) == truth.records
    assert_whole(direct, truth)
