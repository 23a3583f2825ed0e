"""The suite finds what it is made to find: a few mutants here, all of them in `make faults-selftest`."""

import pytest

from tests.faults import selftest
from tests.faults.mutants import MUTANTS

_SOME = ("no-compare-and-set", "no-dedup-across", "offsets-first", "poison-swallowed")


@pytest.mark.form(ci="embedded", short="", long="")
def test_some_mutants_are_caught():
    assert set(_SOME) <= set(MUTANTS)
    assert selftest.main(["--no-kafka", "--no-baseline", "--only", *_SOME]) == 0


def test_the_table_tells_of_a_mutant_that_survives_and_of_one_that_does_not_fit():
    survived = selftest.Verdict(mutant="a")
    caught = selftest.Verdict(mutant="b", test="t", why="AssertionError: rows")
    broken = selftest.Verdict(mutant="c", test="t", why="AttributeError: no such function")
    assert [(one.caught, one.broken) for one in (survived, caught, broken)] == [
        (False, False),
        (True, False),
        (True, True),
    ]
