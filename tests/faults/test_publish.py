"""Publishing loses nothing: whatever ends the producer or the broker, what was confirmed is there, and once."""

import time

import pytest

from tests.faults.homes import Home, until
from tests.faults.proxy import troubled
from tests.faults.publishing import assert_in_the_log, assert_published, calls, confirmed, produce

_ROWS = 500
_AWAY = 75


@pytest.mark.form(ci="embedded kafka")
def test_a_producer_killed_at_random_moments(home, row, dice, times):
    row.fault = "kill -9 of the producer"
    file = calls(home, dice, _ROWS)
    told = []
    kills = times(ci=2, short=8, long=100)
    for number in range(4 * kills):
        delivered = home.folder / f"delivered{number}"
        command = produce(home, file, delivered=delivered)
        until(lambda command=command, path=delivered: path.exists() or not command.running, "the first delivery")
        time.sleep(dice.uniform(0, 0.15))
        row.runs += command.kill()
        told += confirmed(delivered)
        assert_in_the_log(home, told)
        if row.runs >= kills:
            break
    assert row.runs, "it was always faster than its killer"

    last = produce(home, file)
    assert last.wait() == 0, last.said
    assert_in_the_log(home, told)
    assert_published(home, file, dice, again=True)


def _home(bootstrap, unique, tmp_path, commands):
    url = f"kafka://{bootstrap}?prefix={unique('publish')}."
    return Home(log="kafka", url=url, folder=tmp_path, commands=commands)


def _until_all_is_confirmed(home, file):
    for _ in range(10):
        command = produce(home, file)
        code = command.wait()
        if code == 0:
            return
        assert code == _AWAY, command.said
    raise AssertionError(command.said)


@pytest.mark.kafka
@pytest.mark.broker
def test_a_broker_killed_while_it_is_published_to(broker, unique, tmp_path, commands, row, dice, times):
    row.fault = "kill -9 of the broker while publishing"
    home = _home(broker.bootstrap, unique, tmp_path, commands)
    file = calls(home, dice, _ROWS)
    told = []
    for number in range(times(short=3, long=25)):
        delivered = tmp_path / f"delivered{number}"
        command = produce(home, file, delivered=delivered)
        until(lambda command=command, path=delivered: path.exists() or not command.running, "the first delivery")
        time.sleep(dice.uniform(0, 0.2))
        broker.kill()
        time.sleep(dice.uniform(0, 1.0))
        broker.start()
        assert command.wait() in (0, _AWAY), command.said
        told += confirmed(delivered)
        assert_in_the_log(home, told)
        row.runs += 1
    _until_all_is_confirmed(home, file)
    assert_published(home, file, dice)


@pytest.mark.kafka
@pytest.mark.broker
def test_published_through_a_bad_network(broker, unique, tmp_path, commands, row, dice, times):
    row.fault = "publishing through a proxy that drops, delays, holds and half-closes"
    home = _home(broker.through_proxy, unique, tmp_path, commands)
    file = calls(home, dice, _ROWS)
    told = []
    with troubled(broker.proxy, dice) as happened:
        for number in range(times(short=3, long=25)):
            delivered = tmp_path / f"delivered{number}"
            command = produce(home, file, delivered=delivered)
            assert command.wait() in (0, _AWAY), command.said
            told += confirmed(delivered)
    row.runs = len(happened)
    assert_in_the_log(home, told)
    _until_all_is_confirmed(home, file)
    assert_published(home, file, dice)
