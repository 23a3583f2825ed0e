"""Versions of projections in a store: what was built, what is live, what waits to be.

    building ── catching up ── ready ── live ── retired
       └ paused                  cancelled or retired for good: gone

`store.projections` holds the SQL that each version was built from, so that a store is read and folded by what is in
it, whatever the files of the program say by now. `store.projection_states` holds every change of state; the newest
counts. A version that is not gone is folded on, whatever its state, so that a switch forth or back is one moment.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

import duckdb

from log.log import TopicPartition
from projections.projection import Projection, in_order, parse
from schemas.codec import from_micros

BUILDING, PAUSED, CATCHING_UP, READY = "building", "paused", "catching up", "ready"
LIVE, RETIRED, GONE = "live", "retired", "gone"
COMING = frozenset({BUILDING, PAUSED, CATCHING_UP, READY})
"""States of a version that is to become live."""

NEXT_SCHEMA = "touchlog_next"
"""Where the views stand as they would be with every version that is coming."""

TABLES = {
    "projections": "batch INTEGER, name VARCHAR, version INTEGER, build INTEGER, sort VARCHAR, fingerprint VARCHAR,"
    " text VARCHAR",
    "projection_states": "step BIGINT, since TIMESTAMPTZ, name VARCHAR, version INTEGER, build INTEGER, state VARCHAR,"
    " fence VARCHAR, done BIGINT, total BIGINT",
}

CURRENT = """
    SELECT
        p.name, p.version, p.build, p.sort, p.fingerprint, p.text, s.state, s.since, s.fence, s.done, s.total
    FROM store.projections AS p
    JOIN (
        SELECT
            name, version, build, max(step) AS step, max_by(state, step) AS state, max_by(since, step) AS since,
            max_by(fence, step) AS fence, max_by(done, step) AS done, max_by(total, step) AS total
        FROM store.projection_states
        GROUP BY name, version, build
    ) AS s USING (name, version, build)
    WHERE s.state <> 'gone'
"""

Fence = Mapping[TopicPartition, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A projection as it was built, and how far it is.

    `fence`: offsets of the log that must be folded before it is ready; `done` of `total`: slices of the build.
    """

    projection: Projection
    state: str
    since: datetime
    fence: Fence
    done: int = 0
    total: int = 0

    @property
    def name(self) -> str:
        return self.projection.name


def versions(con: duckdb.DuckDBPyConnection) -> list[Version]:
    """All versions that are not gone, by name, the oldest first."""
    rows = con.execute(
        f"SELECT text, build, state, epoch_us(since), fence, done, total FROM ({CURRENT}) ORDER BY name, version, build"
    ).fetchall()
    return [
        Version(
            projection=replace(_parsed(text), build=build),
            state=state,
            since=from_micros(since),
            fence=_fence(fence),
            done=done or 0,
            total=total or 0,
        )
        for text, build, state, since, fence, done, total in rows
    ]


def live(known: Iterable[Version]) -> tuple[Projection, ...]:
    """The projections that people read, each after those that it reads."""
    return in_order(version.projection for version in known if version.state == LIVE)


def coming(known: Iterable[Version]) -> tuple[Projection, ...]:
    """The projections as they would be with every version that is coming; nothing when none is."""
    by_name = {version.name: version.projection for version in known if version.state == LIVE}
    new = {version.name: version.projection for version in known if version.state in COMING}
    return in_order({**by_name, **new}.values()) if new else ()


def affected(changed: Iterable[str], projections: Iterable[Projection]) -> list[str]:
    """Names of these projections and of all that read them, directly or not, in order."""
    found = set(changed)
    for projection in projections:
        if found.intersection(projection.reads):
            found.add(projection.name)
    return [projection.name for projection in projections if projection.name in found]


def register(con: duckdb.DuckDBPyConnection, projection: Projection, batch: int) -> None:
    """Note a version's SQL, and make the schema of its state."""
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {projection.schema}")
    con.execute(
        "INSERT INTO store.projections VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            *(batch, projection.name, projection.version, projection.build),
            *(projection.sort, projection.fingerprint, projection.text),
        ],
    )


def note(
    con: duckdb.DuckDBPyConnection,
    projection: Projection,
    state: str,
    *,
    fence: Fence | None = None,
    done: int = 0,
    total: int = 0,
) -> None:
    """Note a version's state from now on."""
    con.execute(
        """
        INSERT INTO store.projection_states
        SELECT coalesce(max(step), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM store.projection_states
        """,
        [
            *(datetime.now(UTC), projection.name, projection.version, projection.build),
            *(state, _told(fence or {}), done, total),
        ],
    )


def note_progress(con: duckdb.DuckDBPyConnection, projection: Projection, done: int, total: int) -> None:
    """Note how many slices of a version's build are done; its state stays what it is."""
    con.execute(
        f"""
        INSERT INTO store.projection_states
        SELECT (SELECT max(step) + 1 FROM store.projection_states), now(), name, version, build, state, fence, ?, ?
        FROM ({CURRENT}) WHERE name = ? AND version = ? AND build = ? AND state = 'building'
        """,
        [done, total, projection.name, projection.version, projection.build],
    )


@lru_cache
def _parsed(text: str) -> Projection:
    return parse(text)


def _told(fence: Fence) -> str:
    return json.dumps([[*at, offset] for at, offset in sorted(fence.items())])


def _fence(text: str | None) -> Fence:
    return {TopicPartition(topic, partition): offset for topic, partition, offset in json.loads(text or "[]")}
