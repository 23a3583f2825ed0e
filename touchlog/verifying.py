"""Verifying the views through whoever holds the store."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from consumers.replay import same_as_log
from log.log import Position, TopicPartition
from projections import metrics
from projections.checksums import Checksum
from projections.projection import parse
from projections.store import open_readonly
from projections.verify import Mismatch, Snapshot, from_tables, sample, snapshot
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings


def through(cursor: Callable[[], duckdb.DuckDBPyConnection]) -> Callable[[Any], Any]:
    """How a projector's server verifies: on a cursor of its own, beside the fold."""

    def answer(content: Any) -> Any:
        asked = content if isinstance(content, dict) else {}
        now = datetime.fromisoformat(str(asked.get("now")))
        with closing(cursor()) as con:
            if asked.get("source") == "log":
                return _snapshot_told(snapshot(con, now))
            return [told(one) for one in _tables(con, now, asked.get("keys"), asked.get("sample"))]

    return answer


def verify_tables(
    settings: "Settings", reader: "Reader", now: datetime, *, contacts: Sequence[str], sample: int | None
) -> list[dict[str, Any]]:
    """Views that are not what the event tables make of them."""
    keys = _keys(settings, reader, contacts)
    asked = {"source": "tables", "now": now.isoformat(), "keys": keys, "sample": sample}
    answered: list[dict[str, Any]] | None = reader.errand("verify", asked)
    if answered is not None:
        return answered
    with closing(open_readonly(settings.store)) as con:
        return [told(one) for one in _tables(con, now, keys, sample)]


def verify_log(settings: "Settings", reader: "Reader", now: datetime) -> list[dict[str, Any]]:
    """Views that are not what the log says, up to the offsets that the store is at."""
    from log.open import open_log
    from schemas.registry import open_registry

    live = live_snapshot(settings, reader, now)
    registry = open_registry(settings.registry_url)
    with open_log(settings.log, kafka_options=settings.kafka_options or None) as log:
        found = same_as_log(live, log, registry, None, batch_size=settings.batch_size)
    return [told(one) for one in found or ()]


def live_snapshot(settings: "Settings", reader: "Reader", now: datetime) -> Snapshot:
    """What the live store says, whoever holds it."""
    answered = reader.errand("verify", {"source": "log", "now": now.isoformat()})
    if answered is not None:
        return _snapshot_of(answered)
    with closing(open_readonly(settings.store)) as con:
        return snapshot(con, now)


def told(one: Mismatch) -> dict[str, Any]:
    """A mismatch as JSON values."""
    return {
        "view": one.view,
        "customer": None if one.customer is None else str(one.customer),
        "live": {"rows": one.live.rows, "checksum": str(one.live.checksum)},
        "rebuilt": {"rows": one.rebuilt.rows, "checksum": str(one.rebuilt.checksum)},
    }


def _snapshot_told(live: Snapshot) -> dict[str, Any]:
    return {
        "now": live.now.isoformat(),
        "positions": [[*at, offset] for at, offset in live.positions.items()],
        "topics": dict(live.topics),
        "projections": [[one.text, one.build] for one in live.projections],
        "definitions": [list(row) for row in live.definitions],
        "duplicates": live.duplicates,
        "mended": [[*at, b64encode(value).decode()] for at, value in live.mended.items()],
        "checksums": {view: [one.rows, str(one.checksum)] for view, one in live.checksums.items()},
    }


def _snapshot_of(content: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        now=datetime.fromisoformat(content["now"]),
        positions={TopicPartition(topic, partition): offset for topic, partition, offset in content["positions"]},
        topics=content["topics"],
        projections=[replace(parse(text), build=build) for text, build in content["projections"]],
        definitions=[metrics.Row(*row) for row in content["definitions"]],
        duplicates=content["duplicates"],
        mended={
            Position(topic, partition, offset): b64decode(value)
            for topic, partition, offset, value in content["mended"]
        },
        checksums={view: Checksum(rows, int(total)) for view, (rows, total) in content["checksums"].items()},
    )


def _tables(
    con: duckdb.DuckDBPyConnection, now: datetime, keys: Sequence[str] | None, count: int | None
) -> list[Mismatch]:
    if keys:
        return sample(con, keys, now)
    return sample(con, count, now) if count else from_tables(con, None, now)


def _keys(settings: "Settings", reader: "Reader", contacts: Sequence[str]) -> list[str]:
    """Contact points by key, of what a person types."""
    from touchlog.contact import contact_keys

    found = []
    for contact in contacts:
        card = reader.customer(contact_keys(contact, region=settings.region))
        if card is None or not card["contact_points"]:
            raise ConfigurationError(f"nobody is known by {contact}")
        found.append(card["contact_points"][0]["contact_point"])
    return found
