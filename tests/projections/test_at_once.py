"""Work on a store in several threads: all of it is done, or what is begun is broken off and rolled back."""

import time

import duckdb
import pytest

from projections.at_once import at_once
from projections.store import Store

_ENDLESS = "SELECT count(*) FROM range(1000000000000) AS r(n) WHERE n % 7 = 3"


@pytest.fixture
def con(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        store.con.execute("CREATE TABLE did (task INTEGER, piece INTEGER)")
        yield store.con


def piece(task, number):
    return lambda con: con.execute("INSERT INTO did VALUES (?, ?)", [task, number])


def endless(con):
    con.begin()
    con.execute("INSERT INTO did VALUES (-1, -1)")
    con.execute(_ENDLESS)


def done(con):
    return con.execute("SELECT task, piece FROM did ORDER BY rowid").fetchall()


@pytest.mark.parametrize("count", [1, 2, 8])
def test_every_piece_is_done_and_those_of_a_task_in_order(con, count):
    tasks = [[piece(task, number) for number in range(1 + task)] for task in range(5)]
    told = [place for places in at_once(con.cursor, count, tasks) for place in places]

    assert sorted(told) == [task for task in range(5) for _ in range(1 + task)]
    for task in range(5):
        assert [number for of, number in done(con) if of == task] == list(range(1 + task))


def test_one_that_fails_breaks_off_the_others(con):
    def fails(con):
        time.sleep(0.2)
        con.execute("SELECT error('no')")

    with pytest.raises(duckdb.InvalidInputException, match="no"):
        list(at_once(con.cursor, 2, [[endless, piece(0, 1)], [piece(1, 0), fails, piece(1, 2)], [piece(2, 0)]]))
    assert done(con) == [(1, 0)]


def test_who_closes_it_breaks_it_off(con):
    work = at_once(con.cursor, 2, [[piece(0, 0), endless], [endless]])
    while next(work) == []:
        pass
    started = time.monotonic()
    work.close()
    assert time.monotonic() - started < 10
    assert done(con) == [(0, 0)]
