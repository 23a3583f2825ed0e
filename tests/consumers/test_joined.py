"""Several prepared batches as one: what they say together is what the records say when they are prepared together."""

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.decode import Decoder
from consumers.joined import joined
from consumers.prepare import Preparer, without_rows
from log.headers import LazyHeaders
from log.log import RecordBatch, TopicPartition
from tests.consumers.poison import POISON, mixed
from tests.folding import REGISTRY
from tests.strategies import logs

COLUMNS = ("topics", "partitions", "offsets", "timestamps", "keys", "values")


def piece(batch, start, stop):
    """Some records of a batch, as a reader gives them."""
    parts = {name: getattr(batch, name)[start:stop] for name in COLUMNS}
    ends = {
        TopicPartition(*at): offset + 1
        for *at, offset in zip(parts["topics"], parts["partitions"], parts["offsets"], strict=True)
    }
    headers = LazyHeaders(batch.headers[start:stop], lambda given: given)
    return RecordBatch(**parts, headers=headers, next_positions=ends)


def said(prepared):
    """All that a prepared batch says, by the places of its records."""
    at = [int(place) for place in prepared.places]

    def rows(numbers, *columns):
        return sorted(zip((at[row] for row in numbers), *columns, strict=True), key=repr)

    points = zip(prepared.point_keys.to_pylist(), prepared.point_ids.to_uuids(), prepared.point_is_self, strict=True)
    return {
        "events": rows(range(len(at)), prepared.events.to_pylist(), prepared.ids.to_uuids(), prepared.times.tolist()),
        "points": rows(prepared.point_rows, map(repr, points)),
        "mentions": rows(prepared.mention_rows, prepared.mentions.to_pylist()),
        "threads": rows(prepared.thread_rows, prepared.thread_ids.to_uuids()),
        "told": rows(prepared.told.rows, prepared.told.ids.to_uuids()),
        "answered": rows(prepared.answered.rows, prepared.answered.ids.to_uuids()),
        **{
            name: sorted((at[row], *rest) for row, *rest in getattr(prepared, name))
            for name in ("pairs", "statements", "edges")
        },
        "bad": sorted((one.place, one.stage, str(one.error), one.schema_id) for one in prepared.bad),
        **{name: list(getattr(prepared.batch, name)) for name in (*COLUMNS, "headers")},
        "next": dict(prepared.next_positions),
        "length": (len(prepared), dict(prepared.batch.next_positions)),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=logs(max_size=20),
    poison=st.lists(st.tuples(st.sampled_from(sorted(POISON)), st.integers(0, 20)), max_size=5),
    cuts=st.lists(st.integers(0, 30), max_size=4),
    gone=st.integers(0, 20),
)
def test_pieces_say_what_the_whole_says(log, poison, cuts, gone):
    if not log:
        return
    batch = mixed(log, poison)
    bounds = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    preparer = Preparer(Decoder(REGISTRY))
    whole = preparer.prepare(piece(batch, 0, len(batch)))
    pieces = [preparer.prepare(piece(batch, *some)) for some in pairwise(bounds)]
    together = joined(pieces)
    assert said(together) == said(whole)

    def without(prepared):
        return without_rows(prepared, prepared.places == gone)

    assert said(without(together)) == said(without(whole))
