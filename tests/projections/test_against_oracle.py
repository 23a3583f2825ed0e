"""The views equal an independent fold of the same events, whatever the order, the batches, the repetitions."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.store import Store
from schemas.models import Event
from tests.folding import fold
from tests.habits import NOW
from tests.oracle import fold as oracle
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS, differences, read_view
from tests.strategies import logs, random_log

NEVER = 10**9
NIGHT = NOW + timedelta(hours=10)


def assert_equal(store: Store, events: Sequence[Event], now: datetime = NOW) -> None:
    """Every view of the store equals the oracle's."""
    expected = oracle(events, now)
    con = store.cursor()
    for view in VIEWS:
        found = read_view(con, view, now if view in DEPEND_ON_NOW else None)
        assert not differences(expected[view], found), (view, differences(expected[view], found))


def cut(events: Sequence[Event], pick: random.Random, pieces: int) -> list[Sequence[Event]]:
    """The events cut into batches at random places."""
    places = sorted(pick.sample(range(len(events) + 1), min(pieces, len(events))))
    return [events[start:stop] for start, stop in zip([0, *places], [*places, len(events)], strict=True)]


@pytest.mark.parametrize(
    ("seed", "size", "compact_after"),
    [(1, 300, NEVER), (2, 400, 60), (3, 1500, 300), (4, 3000, 700), (5, 800, 30), (6, 10_000, 3000)],
)
def test_views_equal_the_oracle(tmp_path: Path, seed: int, size: int, compact_after: int) -> None:
    events = random_log(seed, size)
    batches = cut(events, random.Random(seed), 20)
    with fold(tmp_path / "views.duckdb", batches, compact_after=compact_after) as store:
        assert_equal(store, events)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_order_batches_and_repetitions_change_nothing(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    events = random_log(seed, 500)
    scrambled = [*events, *pick.sample(events, 200)]
    pick.shuffle(scrambled)
    with fold(tmp_path / "views.duckdb", cut(scrambled, pick, 30), compact_after=100) as store:
        assert_equal(store, events)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=logs(max_size=40),
    pieces=st.integers(0, 6),
    compact_after=st.sampled_from([5, 15, NEVER]),
    now=st.sampled_from([NOW, NIGHT]),
)
def test_random_logs_equal_the_oracle(log: list[Event], pieces: int, compact_after: int, now: datetime) -> None:
    with (
        TemporaryDirectory() as folder,
        fold(
            Path(folder) / "views.duckdb", cut(log, random.Random(pieces), pieces), compact_after=compact_after
        ) as store,
    ):
        assert_equal(store, log, now)


def test_row_decode_gives_the_same_views_as_columns(tmp_path: Path) -> None:
    events = random_log(21, 600)
    with fold(tmp_path / "rows.duckdb", [events], columnar=False) as store:
        assert_equal(store, events)


def test_unions_and_joins_of_views_end(tmp_path: Path) -> None:
    """DuckDB 1.5 deadlocks on some of these unless the store is opened as it is (docs/decisions/0006-duckdb.md)."""
    events = random_log(22, 3000)
    with fold(tmp_path / "views.duckdb", cut(events, random.Random(22), 10), compact_after=900) as store:
        con = store.cursor()
        pairs = random.Random(22).sample([*product(VIEWS, VIEWS)], 60)
        for one, other in [*pairs, *((view, view) for view in VIEWS)]:
            con.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM touchlog.{one} UNION ALL SELECT 2 FROM touchlog.{other})"
            ).fetchall()
        con.execute("""
            SELECT customer_id, last_seen FROM touchlog.contact_points
            UNION ALL SELECT customer_id, sent_at FROM touchlog.items
            UNION ALL SELECT customer_id, last_at FROM touchlog.conversations
        """)
        assert con.to_arrow_table().num_rows
