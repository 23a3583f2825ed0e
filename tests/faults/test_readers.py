"""Eight long readers beside the writer: each sees one moment, none holds the writer up, and nothing is lost."""

import threading
import time

import pytest

from consumers.projector import Projector
from projections.store import Store
from tests.faults.checks import Truth, assert_whole
from tests.faults.homes import run_to_the_end
from tests.folding import REGISTRY

_READERS = 8
_LOOK = """
    SELECT (SELECT coalesce(sum(applied), 0) FROM touchlog.batches), (SELECT count(*) FROM touchlog.interactions),
        (SELECT coalesce(sum(read), 0) FROM touchlog.batches), (SELECT coalesce(sum(next_offset), 0) FROM touchlog.lag)
"""


@pytest.mark.form(ci="embedded", short="embedded")
def test_eight_long_readers(home, row, dice, times):
    row.fault = "eight long readers beside the writer"
    truth = Truth(dice=dice)
    over, told = threading.Event(), []
    with home.open() as log, Store.open(home.store) as store:
        readers = [
            threading.Thread(target=_read, args=(store.cursor(), number * 0.1, told, over))
            for number in range(_READERS)
        ]
        for reader in readers:
            reader.start()
        try:
            projector = Projector(log, store, REGISTRY, batch_size=home.batch, compact_after=home.compact_after)
            for _ in range(times(ci=2, short=5, long=30)):
                truth.grow(log, 150, near=20, far=20, poison=2)
                run_to_the_end(projector)
        finally:
            over.set()
            for reader in readers:
                reader.join(60)
    for first, second in told:
        assert first == second, "a reader sees one moment for as long as it looks"
        applied, rows, read, offsets = first
        assert (applied, read) == (rows, offsets), "rows, counts and offsets of the same batches"
    row.runs = len(told)
    assert len({first for first, _ in told}) > 3, "the readers looked too seldom to prove anything"
    assert_whole(home, truth)


def _read(con, seconds, told, over):
    while not over.is_set():
        con.begin()
        first = con.execute(_LOOK).fetchone()
        time.sleep(seconds)
        told.append((first, con.execute(_LOOK).fetchone()))
        con.commit()
    con.close()
