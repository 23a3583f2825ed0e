"""kill -9 at every numbered step of the loop: the next start goes on, and every record has been folded once."""

import signal

import pytest

from consumers.projector import Projector
from projections.store import Store
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.steps import AHEAD, ALL, CHECKPOINT, COMPACTION, FOLD, OFTEN, START, Steps, watch
from tests.folding import REGISTRY

_KEY = (
    "open.commit.before",
    "begin.commit.after",
    "prepare",
    "fold.insert.events",
    "fold.insert.offsets",
    "fold.commit.before",
    "fold.commit.after",
    "swap.rename",
    "tell.before",
    "freeze.commit.after",
    "stage.commit.before",
    "swap.commit.before",
    "swap.commit.after",
    "checkpoint.during",
)
"""One of each sort, for the tests that run with all the others."""

_TRIES = 8


@pytest.mark.form(ci="embedded kafka")
def test_killed_at_every_step(home, row, dice, times):
    """One victim after the other on one log and one store, each with new work, each killed at another step."""
    row.fault = "kill -9 at every step of the loop"
    rounds = times(ci=0, short=1 if home.log == "embedded" else 0, long=6)
    chosen = list(_KEY if home.log == "embedded" or times(ci=0, short=1, long=1) else _KEY[::2])
    for number in range(rounds):
        later = [*AHEAD, *FOLD, *COMPACTION, *CHECKPOINT]
        dice.shuffle(later)
        # A store is made once: the first steps of all come first, and twice in a row.
        chosen = [*(chosen if number else []), *START, *(START if rounds > 1 and number == 0 else ()), *later]
    truth = Truth(dice=dice)
    for step in chosen:
        _kill_at(home, truth, step, dice.choice((1, 2, 3)) if step in OFTEN else 1)
        row.runs += 1

    home.project_to_the_end()
    assert rounds == 0 or set(chosen) == set(ALL)
    assert_whole(home, truth)


@pytest.mark.form(ci="embedded", short="embedded")
def test_the_loop_has_every_step(home, row, dice):
    """At a step that the loop does not come to any more no fault would strike, and the form of CI would not show it."""
    row.fault = "none: which steps the loop passes"
    truth, steps = Truth(dice=dice), Steps(None, 1, lambda _: None)
    unwatch = watch(steps)
    try:
        for row.runs in range(1, _TRIES + 1):
            with home.open() as log, Store.open(home.store) as store:
                truth.grow(log, 100, near=6, far=6, poison=1)
                Projector(log, store, REGISTRY, batch_size=home.batch, compact_after=home.compact_after).run(
                    until_caught_up=True
                )
            if steps.passed.keys() >= set(ALL):
                break
    finally:
        unwatch()
    assert set(ALL) - steps.passed.keys() == set()


def _kill_at(home, truth, step, nth):
    fresh_store = step in START and step.startswith(("topics", "begin"))
    for _ in range(_TRIES):
        with home.open() as log:
            truth.grow(log, 30, near=6, far=6, poison=1)
        if fresh_store and home.store.exists():
            # These steps are taken once in the life of a store.
            _throw_away(home)
        command = home.project(at=step, victim=("--nth", nth))
        code = command.wait()
        look(home.store)
        if code == -signal.SIGKILL:
            return
        assert code == 0, f"{step}: {command.said}"
    raise AssertionError(f"no projector came to the step {step}, number {nth}: does the loop still have it?")


def _throw_away(home):
    for path in home.folder.glob(home.store.name + "*"):
        path.unlink()
