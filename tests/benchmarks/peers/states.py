"""What the peers compute, as one would write it by hand: decode with fastavro, fold in Python, upsert into DuckDB.

Nothing of touchlog is imported. The states are a part of touchlog's: every event once, contact points, items and topics
by day, with the next offsets in the same transaction. An event that was seen before changes nothing.
"""

import io
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pyarrow as pa

STEPS = ("created", "sent", "delivered", "opened", "clicked", "paid", "returned", "failed")
_OURS = {"created", "sent", "delivered", "failed", "returned"}
_DAY = 86_400_000_000

_TABLES = f"""
CREATE TABLE IF NOT EXISTS events (
    event_id VARCHAR PRIMARY KEY, channel VARCHAR, type VARCHAR, occurred_at BIGINT, contact_point VARCHAR
);
CREATE TABLE IF NOT EXISTS contact_points (
    contact_point VARCHAR PRIMARY KEY, first_seen BIGINT, last_seen BIGINT, events BIGINT
);
CREATE TABLE IF NOT EXISTS items (
    message_ref VARCHAR, contact_point VARCHAR, {", ".join(f"{step} BIGINT" for step in STEPS)}, opens BIGINT,
    PRIMARY KEY (message_ref, contact_point)
);
CREATE TABLE IF NOT EXISTS topics (
    contact_point VARCHAR, topic VARCHAR, day BIGINT, first_at BIGINT, last_at BIGINT,
    PRIMARY KEY (contact_point, topic, day)
);
CREATE TABLE IF NOT EXISTS offsets (
    topic VARCHAR, "partition" INTEGER, next_offset BIGINT, PRIMARY KEY (topic, "partition")
);
"""
_UPSERTS = {
    "contact_points": """
        INSERT INTO contact_points FROM staged ON CONFLICT DO UPDATE SET
            first_seen = least(first_seen, excluded.first_seen), last_seen = greatest(last_seen, excluded.last_seen),
            events = events + excluded.events
    """,
    "items": f"""
        INSERT INTO items FROM staged ON CONFLICT DO UPDATE SET
            {", ".join(f"{step} = least({step}, excluded.{step})" for step in STEPS)}, opens = opens + excluded.opens
    """,
    "topics": """
        INSERT INTO topics FROM staged ON CONFLICT DO UPDATE SET
            first_at = least(first_at, excluded.first_at), last_at = greatest(last_at, excluded.last_at)
    """,
    "offsets": "INSERT INTO offsets FROM staged ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
}


class Reader:
    """Values of the topics to (channel, record), by the schemas that the benchmark wrote down."""

    def __init__(self, meanings: Path) -> None:
        told = json.loads(meanings.read_text("utf-8"))
        self._schemas = {topic: fastavro.parse_schema(schema) for topic, schema in told["schemas"].items()}
        self.types: dict[str, dict[str, list[str]]] = told["types"]

    def decode(self, topic: str, value: bytes) -> dict[str, Any]:
        """The record behind the five bytes of the schema's id."""
        found = fastavro.schemaless_reader(io.BytesIO(value[5:]), self._schemas[topic], None)
        assert isinstance(found, dict)
        return found


class States:
    """The states in a DuckDB file; `fold` is one transaction."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self._con = duckdb.connect(str(path))
        self._con.execute(_TABLES)
        self._types = reader.types
        self.committed_at = 0.0

    def positions(self) -> dict[tuple[str, int], int]:
        """Where to read on."""
        rows = self._con.execute("FROM offsets").fetchall()
        return {(topic, partition): offset for topic, partition, offset in rows}

    def fold(self, records: Iterable[tuple[str, dict[str, Any]]], moved: dict[tuple[str, int], int]) -> None:
        """Fold decoded records (with their topics) and note the next offsets, or nothing of both."""
        batch = {record["event_id"]: (topic, record) for topic, record in records}
        con = self._con
        con.begin()
        con.register("ids", pa.table({"event_id": list(batch)}))
        for (known,) in con.execute("SELECT event_id FROM ids JOIN events USING (event_id)").fetchall():
            del batch[known]
        self._insert(batch)
        self._upsert("offsets", [(*at, offset) for at, offset in moved.items()])
        con.commit()
        self.committed_at = time.time()

    def _insert(self, batch: dict[str, tuple[str, dict[str, Any]]]) -> None:
        events, points, items, topics = [], {}, {}, {}
        for event_id, (stream, record) in batch.items():
            name, item = self._types[stream][record["type"]]
            at = record["occurred_at"]
            named = record["contact_points"]
            primary = f"{named[0]['kind']}:{named[0]['value']}"
            events.append((event_id, stream.removeprefix("interactions."), name, at, primary))
            for place, point in enumerate(named):
                if point["role"] == "self":
                    seen = points.setdefault(f"{point['kind']}:{point['value']}", [at, at, 0])
                    seen[0], seen[1] = min(seen[0], at), max(seen[1], at)
                    seen[2] += place == 0
            inbound = record["direction"] == "inbound"
            if item in STEPS and not (inbound and item in _OURS) and record["message_ref"]:
                steps = items.setdefault((record["message_ref"], primary), [*[None] * len(STEPS), 0])
                place = STEPS.index(item)
                steps[place] = at if steps[place] is None else min(steps[place], at)
                steps[-1] += item == "opened"
            topic = (record["topic"] or "").strip().lower()
            if inbound and topic:
                days = topics.setdefault((primary, topic, at // _DAY), [at, at])
                days[0], days[1] = min(days[0], at), max(days[1], at)
        if events:
            self._con.register("staged", _table(events))
            self._con.execute("INSERT INTO events FROM staged")
        self._upsert("contact_points", [(key, *seen) for key, seen in points.items()])
        self._upsert("items", [(*key, *steps) for key, steps in items.items()])
        self._upsert("topics", [(*key, *days) for key, days in topics.items()])

    def _upsert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._con.register("staged", _table(rows))
            self._con.execute(_UPSERTS[table])

    def close(self) -> None:
        """Tell the benchmark when the last transaction was committed, and close the file."""
        self._con.close()
        print(json.dumps({"committed_at": self.committed_at}))


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    columns = [column.cast(pa.int64()) if pa.types.is_null(column.type) else column for column in columns]
    return pa.table(columns, names=[f"c{place}" for place in range(len(columns))])
