"""Which messages were told of, and which were answered, in which threads: where a reply joins two of them.

The two are found by what they name, in whatever order they arrive (docs/views.md, Terms, Conversation). What is in
memory here is a cache of rows of the store: 24 bytes for each message in a thread, and for each reply.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from consumers.ids import Ids, Mask
from consumers.seen import Micros, SeenIds, earliest

TOLD, ASKED = "message_ref", "answers_ref"
"""The columns that name a message: the event is about it, or answers it."""

_SEEN = """
    SELECT store.contact_point_id({ref}) AS message, contact_point_id, thread_id, epoch_us(min(occurred_at))
    FROM store.rows WHERE {ref} IS NOT NULL AND thread_id IS NOT NULL
    GROUP BY ALL
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """Messages that rows of a batch name, in parallel: the row, and what `in_thread` makes of it."""

    rows: npt.NDArray[np.int64]
    ids: Ids

    def where(self, kept: Mask, new: npt.NDArray[np.int64]) -> "Named":
        """Of the rows that are kept alone, under their new numbers."""
        mine = kept[self.rows]
        return Named(rows=new[self.rows[mine]], ids=self.ids.where(mine))


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """Pairs of threads that replies join, in parallel: the high halves of their ids, and since when."""

    one: npt.NDArray[np.uint64]
    other: npt.NDArray[np.uint64]
    since: Micros


def in_thread(messages: Ids, points: Ids, threads: Ids) -> Ids:
    """A message of a contact point (in the high half) in a thread (the low one)."""
    # What UUIDs have in common is in other places of the two halves: 64 bits of both.
    return Ids(messages.high ^ messages.low ^ points.high, threads.high)


class Replies:
    """Messages and replies of a store, for the one thread that folds."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.told, self.asked = (_stored(con, ref) for ref in (TOLD, ASKED))

    def take_in(self, told: Named, asked: Named, times: Micros) -> Joined:
        """Note what rows tell and ask, which happened at `times`; the threads that are joined by it, or earlier than
        was known."""
        new_told, new_asked = _add(self.told, told, times), _add(self.asked, asked, times)
        found = _across(*new_asked, self.told), _across(*new_told, self.asked)
        one, other, since = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Joined(one=one, other=other, since=since)


def _stored(con: duckdb.DuckDBPyConnection, ref: str) -> SeenIds:
    message, point, thread, moment = con.execute(_SEEN.format(ref=ref)).to_arrow_table().columns
    ids = in_thread(Ids.from_arrow(message), Ids.from_arrow(point), Ids.from_arrow(thread))
    return SeenIds(ids, moment.to_numpy())


def _add(seen: SeenIds, named: Named, times: Micros) -> tuple[Ids, Micros]:
    """Those that are new, or earlier than was known."""
    ids, moments, _ = earliest(named.ids, times[named.rows])
    known, before = seen.find(ids)
    earlier = known & (moments < before)
    seen.lower(ids.where(earlier), moments[earlier])
    seen.add(ids.where(~known), moments[~known])
    said = ~known | earlier
    return ids.where(said), moments[said]


def _across(ids: Ids, moments: Micros, seen: SeenIds) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], Micros]:
    """The threads of these, and the other ones in which the same message was seen."""
    rows, others, times = seen.find_others(ids)
    return ids.low[rows], others, np.maximum(moments[rows], times)
