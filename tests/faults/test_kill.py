"""kill -9 of the projector at random moments: afterwards every record has been folded once, and the views are right.

The real command runs in a process of its own, over and over, until it has been killed often enough and at last reaches
the end. Batches are small and compaction frequent, so that kills fall into everything that it does.
"""

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from projections.store import open_readonly
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.homes import Home

pytestmark = pytest.mark.timeout(7200)

_MORE, _LEAST = 400, 300


@dataclass(kw_only=True)
class Killer:
    """What was found after each kill of a projector."""

    home: Home
    dice: random.Random
    folding: int = 0
    """Kills after which more was folded than after the one before."""
    compacting: int = 0
    """Kills after which a compaction was half done."""
    read: list[int] = field(default_factory=lambda: [0])

    def kill_after_work(self, longest: float) -> bool:
        """Kill it some time after its first commit of this run; False if it had ended."""
        command = self.home.project()
        before = self.home.wal_size()
        deadline = time.monotonic() + 60
        while command.running and self.home.wal_size() == before and time.monotonic() < deadline:
            time.sleep(0.005)
        return self._kill(command, self.dice.uniform(0, longest))

    def kill_early(self) -> bool:
        """Kill it while it starts."""
        return self._kill(self.home.project(fresh=True), self.dice.uniform(0.1, 1.0))

    def _kill(self, command, seconds):
        with suppress(AssertionError):
            until = time.monotonic() + seconds
            while command.running and time.monotonic() < until:
                time.sleep(0.002)
        if command.kill():
            self._look()
            return True
        assert command.wait() == 0, command.said
        return False

    def _look(self):
        read = look(self.home.store)
        self.folding += read > self.read[-1]
        self.read.append(read)
        if not self.home.store.exists() or not self.home.store.stat().st_size:
            return
        with open_readonly(self.home.store) as con:
            names = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        self.compacting += sum("events_tail" in name for name in names) > 1


@pytest.mark.form(ci="kafka")
def test_killed_at_random_moments(home, row, dice, times):
    """Two kills before anything is committed, then kills after work, and bursts of them while it starts."""
    row.fault = "kill -9 at random moments"
    home.batch, home.compact_after = 50, 400
    kills = times(ci=6, short=16, long=220)
    truth = Truth(dice=dice)
    killer = Killer(home=home, dice=dice)
    with home.open() as log:
        truth.grow(log, 1500, near=200, far=0, poison=10)
    while row.runs < kills or (row.runs < 3 * kills and not (killer.folding and killer.compacting)):
        left = truth.records - killer.read[-1]
        if left < _LEAST:
            # It was faster than its killer: more work, most of it of events that it knows.
            with home.open() as log:
                truth.grow(log, 10, near=0, far=_MORE, poison=2)
        burst = 2 if row.runs == 0 else dice.choice((0, 0, 0, 0, 1, 3))
        for _ in range(burst):
            row.runs += killer.kill_early()
        row.runs += killer.kill_after_work(longest=0.8)
    home.project_to_the_end()

    print(f"{row.runs} kills: {killer.folding} after new batches, {killer.compacting} within a compaction")
    row.fault += f" ({killer.folding} after new batches, {killer.compacting} within a compaction)"
    assert killer.folding
    assert killer.compacting or kills < 10
    assert_whole(home, truth)
