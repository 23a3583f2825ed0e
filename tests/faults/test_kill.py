"""kill -9 of the projector at random moments: afterwards every record has been folded once, and the views are right.

The real command runs in a process of its own, over and over, until it has been killed often enough and at last reaches
the end. Batches are small and compaction frequent, so that kills fall into everything that it does.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from log.open import open_log
from projections.store import Store, open_readonly
from schemas.models import Event
from tests.consumers.publishing import publish
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log
from tests.villages import repeated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

_BATCH, _COMPACT_AFTER = 250, 2500
_MORE = 5000


@dataclass(kw_only=True)
class Victim:
    """A projector that is killed: its log, its store, and what was found after each kill."""

    url: str
    store: Path
    kills: int = 0
    folding: int = 0
    """Kills after which more was folded than after the one before."""
    compacting: int = 0
    """Kills after which a compaction was half done."""
    read: list[int] = field(default_factory=lambda: [0])

    def start(self) -> subprocess.Popen[str]:
        options = {
            "--log": self.url,
            "--store": self.store,
            "--data-dir": self.store.parent,
            "--batch-size": _BATCH,
            "--compact-after": _COMPACT_AFTER,
        }
        words = [str(word) for option in options.items() for word in option]
        return subprocess.Popen(
            [sys.executable, "-c", "from touchlog.cli import main; main()", "project", "--until-caught-up", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_and_kill(self, seconds: float, *, early: bool) -> bool:
        """Start it and kill it some seconds later, or later than its first work of this run; False if it had ended."""
        process = self.start()
        if not early:
            self._wait_for_work(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        ended = process.poll()
        process.kill()
        said, _ = process.communicate()
        assert ended in (None, 0), said
        if ended is None:
            assert process.returncode == -signal.SIGKILL
            self.kills += 1
            self._look()
        return ended is None

    def run_to_the_end(self) -> None:
        process = self.start()
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        assert "caught up" in said

    def _wait_for_work(self, process: subprocess.Popen[str]) -> None:
        before = self._written()
        while process.poll() is None and self._written() == before:
            time.sleep(0.005)

    def _written(self) -> int:
        wal = self.store.with_name(self.store.name + ".wal")
        return wal.stat().st_size if wal.exists() else 0

    def _look(self) -> None:
        """What a kill leaves is whole: rows, counts and offsets of the same batches."""
        if not self.store.exists():
            return
        with open_readonly(self.store) as con:
            tables = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            if "batches" not in tables:
                return
            (read, applied) = con.execute(
                "SELECT coalesce(sum(read), 0), coalesce(sum(applied), 0) FROM store.batches"
            ).fetchone()
            assert con.execute("SELECT count(*) FROM store.rows").fetchone() == (applied,)
            assert con.execute("SELECT coalesce(sum(next_offset), 0) FROM touchlog.lag").fetchone() == (read,)
        self.folding += read > self.read[-1]
        self.read.append(int(read))
        self.compacting += sum("events_tail" in name for name in tables) > 1


def kill_and_compare(
    victim: Victim, events: Sequence[Event], repeats: Sequence[Event], dice: random.Random, kills: int, longest: float
) -> None:
    """Publish, kill so often, run to the end, and hold the views against the oracle's.

    `longest` is how many seconds a projector lives at most after its first write.
    """
    arriving = [*events, *repeats]
    dice.shuffle(arriving)
    with open_log(victim.url) as log:
        records = publish(log, arriving, partitions=4)

    while victim.kills < kills or (victim.kills < 3 * kills and not (victim.folding and victim.compacting)):
        # The first two before anything is committed; then one in five while it starts.
        early = victim.kills < 2 or dice.random() < 0.2
        if not victim.run_and_kill(dice.uniform(0, 0.4 if early else longest), early=early):
            # It was faster than its killer: more work, of events that it knows.
            with open_log(victim.url) as log:
                records += publish(log, dice.sample(arriving, _MORE))
    victim.run_to_the_end()

    print(
        f"{victim.kills} kills: {victim.folding} after new batches, {victim.compacting} within a compaction;"
        f" records folded by then: {victim.read[1:]}"
    )
    assert victim.folding
    assert victim.compacting
    with Store.open(victim.store) as store:
        counted = store.con.execute(
            "SELECT sum(read), sum(applied), sum(duplicates), sum(parked) FROM touchlog.batches"
        )
        assert counted.fetchone() == (records, len(events), records - len(events), 0)
        assert_equal(store, events)


def _repeats(events: Sequence[Event], count: int) -> list[Event]:
    dice = random.Random(count)
    return [repeated(event) for event in dice.choices(events, k=count)]


def test_kills_on_the_embedded_log(tmp_path, dice, kills):
    events = random_log(91, 16_000)
    victim = Victim(url=f"embedded:{tmp_path / 'log.sqlite'}", store=tmp_path / "views.duckdb")
    kill_and_compare(victim, events, _repeats(events, 4_000), dice, kills or 10, longest=1.5)


@pytest.mark.kafka
@pytest.mark.broker
def test_kills_on_kafka(tmp_path, real_kafka, unique, dice, kills):
    events = random_log(92, 65_000)
    url = f"kafka://{real_kafka.bootstrap}?prefix={unique('kill')}."
    victim = Victim(url=url, store=tmp_path / "views.duckdb")
    kill_and_compare(victim, events, _repeats(events, 35_000), dice, kills or 20, longest=3.0)
