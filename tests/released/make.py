"""Make the folder of a release: a log that it wrote, the store that it folded from it, and what it says there is.

Run with the code of the release, once, when it is released:

    git worktree add ../release v0.1.0
    PYTHONPATH=../release python tests/released/make.py 0.1.0

Only what every release has is called here. The folder is never made anew: what was released does not change.
"""

import gzip
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from consumers.projector import Projector
from log.log import Log
from log.open import open_log
from projections.projection import all_projections
from projections.store import Store
from schemas.models import Event
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY
from tests.habits import NOW
from tests.oracle import fold as oracle
from tests.strategies import random_log
from tests.villages import repeated

SEED, EVENTS, AGAIN = 31, 300, 20
COMPACTED, FOLDED = 180, 260
"""Of the events in the order in which they are published: so many lie in runs, so many are folded at all."""

BATCH_SIZE, COMPACT_AFTER, PARTITIONS = 37, 120, 2
POISON = b"\x00\x00\x00\x00\x01no datum of this schema"
POISONED = "interactions.email"


def main(release: str) -> None:
    folder = Path(__file__).parent / release
    folder.mkdir()
    with tempfile.TemporaryDirectory() as made:
        expected = _made(Path(made), release)
        for name in ("log.sqlite", "views.duckdb"):
            content = (Path(made) / name).read_bytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")


def _made(folder: Path, release: str) -> dict[str, Any]:
    events = random_log(SEED, EVENTS)
    # Out of order, so that what came late turns out to have been first: evidence, cases, customers.
    dice = random.Random(SEED)
    dice.shuffle(events)
    compacted, folded = events[:COMPACTED], events[:FOLDED]
    assert {event.channel for event in folded} == {"email", "chat", "phone", "post", "social", "identity"}
    with open_log(f"embedded:{folder / 'log.sqlite'}") as log:
        publish(log, compacted, partitions=PARTITIONS)
        append(log, POISONED, [POISON], partition=1)
        with Store.open(folder / "views.duckdb") as store:
            _fold(log, store)
            publish(log, [*folded[COMPACTED:], *map(repeated, dice.sample(compacted, AGAIN))])
            _fold(log, store)
            _check(store)
            expected = _told(store, release, folded)
        publish(log, events[FOLDED:])
    return expected


def _fold(log: Log, store: Store) -> None:
    Projector(log, store, REGISTRY, batch_size=BATCH_SIZE, compact_after=COMPACT_AFTER).run(until_caught_up=True)


def _check(store: Store) -> None:
    """What the folder is for: both runs and a tail with rows, cases, people who were joined."""
    assert {part.kind for part in store.parts("store", "events")} == {"run", "tail"}
    assert store.parts(next(one.schema for one in store.live() if one.name == "items"))
    for table in (store.tails()[-1].table, "store.edges", "store.links", "store.dead_letters"):
        assert store.con.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,), table


def _told(store: Store, release: str, folded: Sequence[Event]) -> dict[str, Any]:
    counts = store.con.execute(
        "SELECT sum(read)::INT, sum(applied)::INT, sum(duplicates)::INT, sum(parked)::INT FROM store.batches"
    ).fetchone()
    views = oracle(folded, NOW)
    return {
        "release": release,
        "batches": dict(zip(("read", "applied", "duplicates", "parked"), counts or (), strict=True)),
        "not_folded": EVENTS - FOLDED,
        "positions": [[*at, offset] for at, offset in sorted(store.positions().items())],
        "projections": {projection.name: projection.version for projection in all_projections()},
        "views_at": NOW.isoformat(),
        "views": {view: len(rows) for view, rows in sorted(views.items())},
    }


if __name__ == "__main__":
    main(sys.argv[1])
