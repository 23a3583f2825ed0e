"""Records that cannot be folded, kept whole, with where and why; and what became of them when they were tried again."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa

from consumers.decode import BadRecord
from consumers.ids import Mask
from consumers.prepare import Prepared
from log.log import RecordBatch
from projections import layout
from projections.store import Store

PARKED, REDRIVEN, DUPLICATE, DISCARDED = "parked", "redriven", "duplicate", "discarded"
"""States of a dead letter: still to be mended; folded since; its event was folded from elsewhere; not wanted."""


class LetterId(NamedTuple):
    """Where in the log a dead letter lies; as text `interactions.chat:0:17`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What became of a dead letter; stage and error where it is still parked."""

    letter: LetterId
    state: str
    stage: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    event_id: UUID | None = None
    patched: bytes | None = None


def dead_letter_rows(batch: RecordBatch, bad: Sequence[BadRecord], now: datetime, store: Store) -> pa.Table:
    """Rows of `dead_letters` for the bad records of a batch that is folded into `store`."""
    rows = [
        {
            "topic": batch.topics[record.place],
            "partition": batch.partitions[record.place],
            "log_offset": batch.offsets[record.place],
            "timestamp": _plausible(batch.timestamps[record.place]),
            "key": batch.keys[record.place],
            "value": batch.values[record.place],
            "headers": json.dumps(
                [[name, base64.b64encode(value or b"").decode()] for name, value in batch.headers[record.place] or ()]
            ),
            "schema_id": record.schema_id,
            "stage": record.stage,
            "error_class": type(record.error).__name__,
            "error_message": str(record.error),
            "first_seen": now,
            "projection": store.name,
            "layout": store.layout,
        }
        for record in bad
    ]
    return pa.Table.from_pylist(rows, schema=layout.arrow_schema(layout.DEAD_LETTER_COLUMNS))


def attempts_of(prepared: Prepared, fresh: Mask, patched: Mapping[int, bytes]) -> list[Attempt]:
    """What becomes of each record of a batch of dead letters, in its order; `fresh` tells which rows are new."""
    batch = prepared.batch
    found: dict[int, dict[str, Any]] = {
        record.place: {
            "state": PARKED,
            "stage": record.stage,
            "error_class": type(record.error).__name__,
            "error_message": str(record.error),
        }
        for record in prepared.bad
    }
    rows = zip(prepared.places.tolist(), prepared.ids.to_uuids(), np.asarray(fresh).tolist(), strict=True)
    found |= {place: {"state": REDRIVEN if new else DUPLICATE, "event_id": uuid} for place, uuid, new in rows}
    return [
        Attempt(
            letter=LetterId(batch.topics[place], batch.partitions[place], batch.offsets[place]),
            patched=patched.get(place),
            **found[place],
        )
        for place in range(len(batch))
    ]


def attempt_row(one: Attempt, now: datetime) -> tuple[Any, ...]:
    """The row of `redrives` (projections.layout.SMALL_TABLES)."""
    return (*one.letter, now, one.state, one.stage, one.error_class, one.error_message, one.event_id, one.patched)


def _plausible(milliseconds: int) -> int | None:
    """A record's timestamp, or None when it is no moment of the years 1970 to 9999 (nanoseconds given, say)."""
    return milliseconds if 0 <= milliseconds < 253_402_300_800_000 else None
