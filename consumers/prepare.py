"""A batch of records made ready to be folded: physical columns, ids, what it says about identity, what is bad.

Everything here is a function of the batch alone, so it runs beside the fold, ahead of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consumers.columns import Evidence, GroupColumns, Pair, group_columns
from consumers.decode import BadRecord, Decoder
from consumers.halving import breaking, may_be_a_records
from consumers.ids import IdMaker, Ids, Mask
from consumers.replies import ANSWERED, TOLD, Named, in_thread
from log.log import Positions, RecordBatch
from projections import layout
from schemas.errors import InvalidEvent

Told = TypeVar("Told", bound=tuple[Any, ...])


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What one batch brings. `place` columns and lists refer to rows of `events`; all arrays are parallel to it.

    - `events`: physical columns (projections.layout.EVENT_COLUMNS); `ids` their event ids.
    - `point_*`: every contact point named, in any role: the row that names it, its key, its id, and whether as `self`.
    - `mentions`: contact points beside the primary; `mention_rows` the row of `events` of each.
    - `pairs`: (row, assurance, key, key): evidence that two contact points are one person.
    - `statements`: (row, verb, key, key) of identity events; the verb is one of a link, or consumers.columns.ENDED.
    - `thread_*`: every thread and case reference named: the row that names it and its id; `edges`: (row, thread, case),
      these by the hexadecimal digits of their ids.
    - `told`, `answered`: messages named by rows in a thread (consumers.replies), as themselves and as answered.
    """

    batch: RecordBatch
    places: npt.NDArray[np.int64]
    events: pa.Table
    ids: Ids
    times: npt.NDArray[np.int64]
    point_rows: npt.NDArray[np.int64]
    point_keys: pa.Array
    point_ids: Ids
    point_is_self: npt.NDArray[np.bool_]
    mentions: pa.Table
    mention_rows: npt.NDArray[np.int64]
    pairs: Sequence[Evidence]
    statements: Sequence[tuple[int, str, str, str]]
    thread_rows: npt.NDArray[np.int64]
    thread_ids: Ids
    edges: Sequence[Pair]
    told: Named
    answered: Named
    bad: Sequence[BadRecord] = field(default_factory=tuple)
    next_positions: Positions = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.batch)


class Preparer:
    """Prepares batches, one after the other, in one thread."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._ids = IdMaker()

    def prepare(self, batch: RecordBatch, known_bad: Sequence[BadRecord] = ()) -> Prepared:
        """Decode, check, derive; records known to be bad are left out and parked with the others.

        So are those with which something fails that no check foresaw. Raises RegistryUnavailable (try the same batch
        again).
        """
        try:
            return self._prepared(batch, known_bad)
        except Exception as error:
            if not may_be_a_records(error):
                raise
        known = {record.place for record in known_bad}
        good = [place for place in range(len(batch)) if place not in known]
        wrong = breaking(good, lambda places: self._prepared(batch, _all_but(len(batch), places)))
        odd = [
            BadRecord(place=place, stage="check", error=InvalidEvent(f"not understood: {type(error).__name__}"))
            for place, error in wrong
        ]
        return self._prepared(batch, [*known_bad, *odd])

    def _prepared(self, batch: RecordBatch, known_bad: Sequence[BadRecord]) -> Prepared:
        groups, bad = self._decoder.decode(batch, {record.place for record in known_bad})
        bad.extend(known_bad)
        parts: list[GroupColumns] = []
        for group in groups:
            columns, wrong = group_columns(group)
            bad.extend(wrong)
            parts.append(columns)
        return self._assembled(batch, parts, bad)

    def _assembled(self, batch: RecordBatch, parts: list[GroupColumns], bad: list[BadRecord]) -> Prepared:
        parts = [part for part in parts if len(part.places)]
        starts = np.cumsum([0, *(len(part.places) for part in parts)])
        places = _concat([np.asarray(part.places, np.int64) for part in parts])
        primary_keys = _strings([part.primary_keys for part in parts])
        other_keys = _strings([part.other_keys for part in parts])
        other_rows = _concat([part.other_rows + start for part, start in zip(parts, starts, strict=False)])
        thread_names = _strings([part.threads for part in parts])
        case_rows = _concat([part.case_rows + start for part, start in zip(parts, starts, strict=False)])
        case_names = _strings([part.case_names for part in parts])

        all_threads = pa.concat_arrays([thread_names, case_names])
        named = all_threads.is_valid().to_numpy(zero_copy_only=False)
        count = len(places)
        refs = [_in_threads([part.columns[name] for part in parts], named[:count]) for name in (TOLD, ANSWERED)]
        keys = pa.concat_arrays([primary_keys, other_keys])
        names = [keys, all_threads.filter(pa.array(named)), *(texts for texts, _ in refs)]
        found = self._ids.of_names(pa.concat_arrays(names))
        point_ids, named_ids, told, answered = found.split([len(part) for part in names])
        thread_ids = Ids.empty(len(all_threads)).filled(named, named_ids)
        primary_ids = point_ids.slice(0, count)
        messages = [
            Named(rows=rows, ids=in_thread(ids, primary_ids.take(rows), thread_ids.take(rows)))
            for ids, (_, rows) in zip((told, answered), refs, strict=True)
        ]

        ids = Ids.concat([part.event_ids for part in parts])
        columns = {
            "event_id": ids.to_arrow(),
            "contact_point_id": primary_ids.to_arrow(),
            "thread_id": thread_ids.slice(0, count).to_arrow(named[:count]),
            **{
                name: _column([part.columns[name] for part in parts], layout.EVENT_COLUMNS[name][1])
                for name in (parts[0].columns if parts else ())
            },
            "partition": pa.array(np.asarray(batch.partitions, np.uint16)[places]),
            "log_offset": pa.array(np.asarray(batch.offsets, np.int64)[places]),
        }
        schema = layout.arrow_schema(layout.EVENT_COLUMNS)
        events = pa.Table.from_pydict(columns).select(schema.names) if parts else schema.empty_table()
        times = _concat([part.times for part in parts])

        mention_ids = point_ids.slice(count, len(keys))
        mentions = pa.table(
            {
                "contact_point_id": mention_ids.to_arrow(),
                "event_id": ids.take(other_rows).to_arrow(),
                "primary_id": primary_ids.take(other_rows).to_arrow(),
                "occurred_at": pa.array(times[other_rows], layout.UTC_MICROS),
                "role": _strings([part.other_roles for part in parts]),
                "assurance": pa.array(_concat([part.other_assurance for part in parts]).astype(np.uint8)),
                "normalised": pa.array(_concat([part.other_normalised for part in parts]).astype(bool)),
            }
        )
        seen = np.concatenate(
            [
                _concat([part.primary_is_self for part in parts]).astype(bool),
                pc.equal(mentions["role"], "self").to_numpy(),
            ]
        )
        rows = np.concatenate([np.arange(count), other_rows])
        return Prepared(
            batch=batch,
            places=places,
            events=events,
            ids=ids,
            times=times,
            point_rows=rows,
            point_keys=keys,
            point_ids=point_ids,
            point_is_self=seen,
            mentions=mentions,
            mention_rows=other_rows,
            pairs=moved([part.pairs for part in parts], starts),
            statements=moved([part.statements for part in parts], starts),
            thread_rows=np.concatenate([np.arange(count), case_rows])[named],
            thread_ids=named_ids,
            edges=moved([part.edges for part in parts], starts),
            told=messages[0],
            answered=messages[1],
            bad=bad,
            next_positions=batch.next_positions,
        )


def without_rows(prepared: Prepared, gone: Mask) -> Prepared:
    """The same batch without some rows of `events` and all that they bring; records and positions stay."""
    if not gone.any():
        return prepared
    kept = ~gone
    new = np.cumsum(kept) - 1
    points, mentions, threads = (
        kept[rows] for rows in (prepared.point_rows, prepared.mention_rows, prepared.thread_rows)
    )
    return replace(
        prepared,
        places=prepared.places[kept],
        events=prepared.events.filter(pa.array(kept)),
        ids=prepared.ids.where(kept),
        times=prepared.times[kept],
        point_rows=new[prepared.point_rows[points]],
        point_keys=prepared.point_keys.filter(pa.array(points)),
        point_ids=prepared.point_ids.where(points),
        point_is_self=prepared.point_is_self[points],
        mentions=prepared.mentions.filter(pa.array(mentions)),
        mention_rows=new[prepared.mention_rows[mentions]],
        pairs=[(int(new[row]), sure, one, other) for row, sure, one, other in prepared.pairs if kept[row]],
        statements=[(int(new[row]), verb, one, other) for row, verb, one, other in prepared.statements if kept[row]],
        thread_rows=new[prepared.thread_rows[threads]],
        thread_ids=prepared.thread_ids.where(threads),
        edges=[(int(new[row]), one, other) for row, one, other in prepared.edges if kept[row]],
        told=prepared.told.where(kept, new),
        answered=prepared.answered.where(kept, new),
    )


def moved(parts: Sequence[Sequence[Told]], starts: npt.NDArray[np.int64]) -> list[Told]:
    """Tuples that begin with a row of their part: those of all parts, with the row of the whole."""
    found: list[Any] = []
    for tuples, start in zip(parts, starts.tolist(), strict=False):
        found += [(row + start, *said) for row, *said in tuples] if start else tuples
    return found


def _all_but(count: int, places: Sequence[int]) -> list[BadRecord]:
    """All places but these as records to leave out."""
    left, reason = set(places), InvalidEvent("left out")
    return [BadRecord(place=place, stage="check", error=reason) for place in range(count) if place not in left]


def _concat(arrays: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)


def _strings(arrays: Sequence[pa.Array]) -> pa.Array:
    return pa.concat_arrays([array.cast(pa.string()) for array in arrays]) if arrays else pa.array([], pa.string())


def _in_threads(arrays: Sequence[pa.Array], in_thread: Mask) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The texts of rows that are in a thread and have one, and these rows."""
    texts = _strings(arrays)
    rows = np.flatnonzero(in_thread & texts.is_valid().to_numpy(zero_copy_only=False))
    return texts.take(pa.array(rows)), rows


def _column(arrays: Sequence[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([array.cast(kind) for array in arrays], kind)
