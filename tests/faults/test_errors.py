"""An error at any step of a batch leaves nothing behind, neither in the store nor in the memory of the process."""

from contextlib import suppress

import duckdb
import pytest

from consumers.projector import Projector
from projections.store import Store
from schemas.errors import StoreError
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.steps import COMPACTION, FOLD, OFTEN, Steps, watch
from tests.folding import REGISTRY

_ERRORS = (duckdb.IOException, duckdb.ConversionException, duckdb.OutOfMemoryException, MemoryError, KeyboardInterrupt)
_KEY = (
    "fold.begin",
    "fold.insert.points",
    "fold.insert.batches",
    "fold.commit.before",
    "fold.commit.after",
    "swap.drop",
)


@pytest.fixture
def striking(dice):
    """The steps of this process, with an error at the one that is set."""

    def strike(step):
        steps.at = None
        raise dice.choice(_ERRORS)(f"an error at {step}")

    steps = Steps(None, 1, strike)
    unwatch = watch(steps)
    yield steps
    unwatch()


@pytest.mark.form(ci="embedded", short="embedded")
def test_an_error_at_every_step(home, row, dice, times, striking):
    """The same projector goes on: what an error rolled back is folded again, what was committed is not.

    After COMMIT the outcome is unknown to the one who asked for it: it was committed, and an error came back.
    """
    row.fault = "an error at every step, also when COMMIT had succeeded"
    truth = Truth(dice=dice)
    with home.open() as log, Store.open(home.store) as store:
        truth.grow(log, 50, near=5)
        projector = Projector(log, store, REGISTRY, batch_size=home.batch, compact_after=home.compact_after)
        projector.run(until_caught_up=True)
        steps = [*FOLD, *COMPACTION]
        for _ in range(times(ci=1, short=1, long=10)):
            dice.shuffle(steps)
            for step in [*_KEY, *steps][: times(ci=len(_KEY), short=100, long=100)]:
                _strike(projector, log, truth, striking, step, dice.choice((1, 2)) if step in OFTEN else 1)
                row.runs += 1
        projector.run(until_caught_up=True)
    look(home.store)
    assert_whole(home, truth)


def _strike(projector, log, truth, striking, step, nth):
    for _ in range(8):
        truth.grow(log, 30, near=6, far=6, poison=1)
        striking.passed.clear()
        striking.at, striking.nth = step, nth
        with suppress(*_ERRORS, StoreError):
            projector.run(until_caught_up=True)
        if striking.at is None:
            return
    raise AssertionError(f"the projector did not come to the step {step}, number {nth}")


@pytest.mark.form(short="embedded")
def test_a_command_whose_commit_failed_after_it_succeeded(home, row, dice, times):
    """The command ends with an error, and the next one does not fold twice what is in the store."""
    row.fault = "COMMIT succeeded and reported an error"
    truth = Truth(dice=dice)
    for step in ("fold.commit.after", "swap.commit.after", "freeze.commit.after", "begin.commit.after")[
        : times(ci=2, short=4, long=4)
    ]:
        with home.open() as log:
            truth.grow(log, 200, near=20, far=20, poison=2)
        for path in home.folder.glob(home.store.name + "*") if step.startswith("begin") else ():
            path.unlink()
        command = home.project(at=step, victim=("--do", "raise"))
        assert command.wait() not in (0, -9), command.said
        assert "Traceback" not in command.said
        look(home.store)
        row.runs += 1
    home.project_to_the_end()
    assert_whole(home, truth)
