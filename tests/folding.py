"""Folding events into a store as the projector does, without a log: for tests of the views."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from log.log import RecordBatch
from projections.compaction import Compaction
from projections.store import Store
from schemas.codec import encode
from schemas.models import Event
from schemas.registry import LockedRegistry
from schemas.topics import topic_of

REGISTRY = LockedRegistry()


def records(events: Sequence[Event]) -> RecordBatch:
    """Events as one batch of records."""
    batch = RecordBatch()
    for offset, event in enumerate(events):
        schema_id, schema = REGISTRY.current(event.channel)
        batch.topics.append(topic_of(event.channel))
        batch.partitions.append(0)
        batch.offsets.append(offset)
        batch.timestamps.append(0)
        batch.keys.append(event.primary.key.encode())
        batch.values.append(encode(event, schema_id=schema_id, schema=schema))
        batch.headers.append(())
    return batch


@cache
def empty_store() -> bytes:
    """The file of a store in which nothing is yet."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "views.duckdb"
        with Store.open(path) as store:
            store.con.execute("CHECKPOINT")
        return path.read_bytes()


def fold(
    path: Path | str,
    batches: Sequence[Sequence[Event]],
    *,
    compact_after: int = 10**9,
    lag: float = 0.4,
    columnar: bool = True,
) -> Store:
    """A new store with the batches folded one after the other; compacted whenever the tail holds `compact_after`, and
    conversations seldomer, as where there are many events."""
    store = Store.open(path)
    folder = Folder(store)
    compaction = Compaction(store, after=compact_after, lag=lag)
    preparer = Preparer(Decoder(REGISTRY, columnar=columnar))
    for batch in batches:
        folded = folder.fold(preparer.prepare(records(batch)))
        compaction.appended(folded.applied)
        compaction.finish()
    return store
