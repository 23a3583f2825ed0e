"""Records that cannot be folded, kept whole, with where and why."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from consumers.decode import BadRecord
from log.log import RecordBatch
from projections import layout


def dead_letter_rows(batch: RecordBatch, bad: Sequence[BadRecord], now: datetime) -> pa.Table:
    """Rows of `dead_letters` for the bad records of a batch."""
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
        }
        for record in bad
    ]
    return pa.Table.from_pylist(rows, schema=layout.arrow_schema(layout.DEAD_LETTER_COLUMNS))


def _plausible(milliseconds: int) -> int | None:
    """A record's timestamp, or None when it is no moment of the years 1970 to 9999 (nanoseconds given, say)."""
    return milliseconds if 0 <= milliseconds < 253_402_300_800_000 else None
