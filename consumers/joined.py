"""Several prepared batches as one: reading and preparing go fastest in pieces that the processor's caches hold, and a
run of the store is best made of many."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.ids import Ids
from consumers.prepare import Prepared, moved
from consumers.replies import Named
from log.headers import LazyHeaders
from log.log import Headers, RecordBatch

Places = npt.NDArray[np.int64]


def joined(parts: Sequence[Prepared]) -> Prepared:
    """Batches that were read one after the other (at least one) as one; nothing is checked or derived again."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.ids) for part in parts[:-1])])
    places = np.cumsum([0, *(len(part) for part in parts[:-1])])

    def together(of: Callable[[Prepared], Places], begins: Places) -> Places:
        return np.concatenate([of(part) + begin for part, begin in zip(parts, begins, strict=True)])

    def named(of: Callable[[Prepared], Named]) -> Named:
        rows = together(lambda part: of(part).rows, starts)
        return Named(rows=rows, ids=Ids.concat([of(part).ids for part in parts]))

    return Prepared(
        batch=_records([part.batch for part in parts]),
        places=together(lambda part: part.places, places),
        events=pa.concat_tables([part.events for part in parts]),
        ids=Ids.concat([part.ids for part in parts]),
        times=np.concatenate([part.times for part in parts]),
        point_rows=together(lambda part: part.point_rows, starts),
        point_keys=pa.concat_arrays([part.point_keys for part in parts]),
        point_ids=Ids.concat([part.point_ids for part in parts]),
        point_is_self=np.concatenate([part.point_is_self for part in parts]),
        mentions=pa.concat_tables([part.mentions for part in parts]),
        mention_rows=together(lambda part: part.mention_rows, starts),
        pairs=moved([part.pairs for part in parts], starts),
        statements=moved([part.statements for part in parts], starts),
        thread_rows=together(lambda part: part.thread_rows, starts),
        thread_ids=Ids.concat([part.thread_ids for part in parts]),
        edges=moved([part.edges for part in parts], starts),
        told=named(lambda part: part.told),
        answered=named(lambda part: part.answered),
        bad=[
            replace(record, place=record.place + int(begin))
            for part, begin in zip(parts, places, strict=True)
            for record in part.bad
        ],
        next_positions={at: offset for part in parts for at, offset in part.next_positions.items()},
    )


def _records(batches: Sequence[RecordBatch]) -> RecordBatch:
    """The records of batches that were read one after the other."""
    ends = list(accumulate(map(len, batches)))

    def headers(place: int) -> Headers:
        number = bisect_right(ends, place)
        return batches[number].headers[place - (ends[number - 1] if number else 0)]

    return RecordBatch(
        topics=list(chain.from_iterable(batch.topics for batch in batches)),
        partitions=list(chain.from_iterable(batch.partitions for batch in batches)),
        offsets=list(chain.from_iterable(batch.offsets for batch in batches)),
        timestamps=list(chain.from_iterable(batch.timestamps for batch in batches)),
        keys=list(chain.from_iterable(batch.keys for batch in batches)),
        values=list(chain.from_iterable(batch.values for batch in batches)),
        headers=LazyHeaders(range(ends[-1]), headers),
        next_positions={at: offset for batch in batches for at, offset in batch.next_positions.items()},
    )
