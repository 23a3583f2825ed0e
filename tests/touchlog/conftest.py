"""A small store: tables in the schema touchlog that stand for the views, in a real DuckDB file."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.as_of import Cut
from touchlog import guard
from touchlog.client import Reader
from touchlog.server import Answers, serving
from touchlog.status import status

ADA = "6f9e0c0a-0000-5000-8000-000000000001"

TABLES = f"""
CREATE SCHEMA touchlog;
CREATE TABLE touchlog.timeline AS
    SELECT '{ADA}'::UUID AS customer_id, TIMESTAMPTZ '2026-03-02 09:14:05+00' + to_minutes(i) AS occurred_at,
        ['email', 'chat', 'phone', 'post', 'social'][1 + i % 5] AS channel, 'number ' || i AS summary, i AS number
    FROM range(1000) AS r(i);
CREATE MACRO touchlog.timeline_as_of(t, known := NULL) AS TABLE
    SELECT * FROM touchlog.timeline WHERE occurred_at <= t::TIMESTAMPTZ;
CREATE MACRO touchlog.timeline_at(t) AS TABLE SELECT * FROM touchlog.timeline WHERE occurred_at <= t;
CREATE TABLE touchlog.contact_points AS SELECT * FROM (VALUES
    ('email:ada@example.org', '{ADA}'::UUID, TIMESTAMPTZ '2026-01-12 08:00:00+00'),
    ('phone:+46700000001', '{ADA}'::UUID, TIMESTAMPTZ '2026-02-01 08:00:00+00')
) AS v(contact_point, customer_id, first_seen);
CREATE TABLE touchlog.lag AS SELECT * FROM (VALUES
    ('interactions.email', 0::USMALLINT, 90, 100, 10, TIMESTAMPTZ '2026-03-02 10:00:00+00'),
    ('interactions.phone', 0::USMALLINT, 5, 5, 0, TIMESTAMPTZ '2026-03-02 10:00:00+00')
) AS v(topic, partition, next_offset, end_offset, lag, as_of);
CREATE TABLE touchlog.batches AS SELECT * FROM (VALUES
    (1, TIMESTAMPTZ '2026-03-02 09:59:00+00', 60::BIGINT, 58::BIGINT, 1::BIGINT, 1::BIGINT, 0.5),
    (2, TIMESTAMPTZ '2026-03-02 10:00:00+00', 35::BIGINT, 35::BIGINT, 0::BIGINT, 0::BIGINT, 0.5)
) AS v(batch, committed_at, read, applied, duplicates, parked, seconds);
CREATE TABLE touchlog.dead_letters AS SELECT * FROM (VALUES
    ('interactions.email', 0, 17, 'decode', 'UndecodableRecord', TIMESTAMPTZ '2026-03-02 09:59:00+00', 'parked'),
    ('interactions.email', 0, 18, 'decode', 'UndecodableRecord', TIMESTAMPTZ '2026-03-02 09:59:00+00', 'redriven')
) AS v(topic, partition, log_offset, stage, error_class, first_seen, state);
CREATE TABLE touchlog.projections AS SELECT * FROM (VALUES
    ('items', 1, 'merged', 'a1b2', 2, 400, 'live'), ('timeline', 1, 'plain', 'c3d4', 0, 0, 'live')
) AS v(name, version, sort, fingerprint, runs, rows, state);
CREATE SEQUENCE touchlog.numbers;
CREATE SCHEMA store;
CREATE TABLE store.endings (batch INTEGER, contact_point VARCHAR, event_id UUID, occurred_at TIMESTAMPTZ);
"""


def small_card(con: duckdb.DuckDBPyConnection, key: str, now: datetime, _: Cut) -> dict[str, Any] | None:
    """What the tests need of a card: found by contact point, with ids and times in it."""
    row = con.execute("SELECT customer_id FROM touchlog.contact_points WHERE contact_point = $1", [key]).fetchone()
    return None if row is None else {"customer_id": row[0], "asked_for": key, "made_at": now}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "views.duckdb"
    with closing(duckdb.connect(str(path))) as con:
        con.execute(TABLES)
    return path


@pytest.fixture
def writer(store: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection of the process that holds the store, locked down as `touchlog project` does."""
    with closing(duckdb.connect(str(store))) as con:
        con.execute("SET arrow_lossless_conversion = true")
        guard.lock_down(con)
        yield con


@pytest.fixture
def answers(writer: duckdb.DuckDBPyConnection) -> Answers:
    return Answers(cursor=writer.cursor, card=small_card, status=status)


@pytest.fixture
def served(store: Path, answers: Answers) -> Iterator[Path]:
    """The store while its readers are answered over the socket."""
    with serving(store, answers, query_timeout=5.0):
        yield store


def open_file(path: Path) -> duckdb.DuckDBPyConnection:
    """As `projections.store.open_readonly`, of a store of any shape."""
    from schemas.errors import ConfigurationError, StoreBusy

    if not path.exists():
        raise ConfigurationError(f"no store at {path}; type: touchlog project")
    try:
        return duckdb.connect(str(path), read_only=True)
    except duckdb.IOException:
        raise StoreBusy(f"another process has {path} open") from None


@pytest.fixture
def reader_of() -> Iterator[Callable[..., Reader]]:
    readers: list[Reader] = []

    def make(path: Path, **options: Any) -> Reader:
        readers.append(Reader(path, **{"open_store": open_file, "card": small_card, **options}))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()
