"""Quix Streams with a batching sink that writes to DuckDB.

    python quix.py BOOTSTRAP STORE MEANINGS RECORDS BATCH

The sink's batches of all partitions are one transaction, which is faster than one for each. Its offsets are Kafka's, so
it is at least once; that an event counts once is the sink's work.
"""

import sys
import time
from pathlib import Path
from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer
from quixstreams.sinks import BatchingSink, SinkBatch
from states import Reader, States


class Avro(Deserializer):
    """A value by the schema of its topic."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        return self._reader.decode(ctx.topic, value)


class DuckDBSink(BatchingSink):
    """Collects what comes between two checkpoints and folds it in one transaction."""

    def __init__(self, states: States) -> None:
        super().__init__()
        self._states = states
        self._records: list[tuple[str, dict[str, Any]]] = []
        self._moved: dict[tuple[str, int], int] = {}

    def write(self, batch: SinkBatch) -> None:
        for item in batch:
            self._records.append((batch.topic, item.value))
            self._moved[batch.topic, batch.partition] = item.offset + 1

    def flush(self) -> None:
        super().flush()
        if self._records:
            self._states.fold(self._records, self._moved)
        self._records, self._moved = [], {}


def main(bootstrap: str, store: str, meanings: str, records: str, size: str) -> None:
    """Fold that many records."""
    reader = Reader(Path(meanings))
    states = States(Path(store), reader)
    sink = DuckDBSink(states)
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        commit_every=int(size),
        commit_interval=60.0,
        auto_create_topics=False,
        loglevel="ERROR",
    )
    for topic in reader.types:
        app.dataframe(app.topic(topic, value_deserializer=Avro(reader), key_deserializer="bytes")).sink(sink)
    app.run(count=int(records), timeout=60, collect=False)
    states.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
