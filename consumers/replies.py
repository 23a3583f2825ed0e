"""Which messages were told of, and which were answered, in which threads: where a reply joins two of them.

The two are found by what they name, in whatever order they arrive (docs/views.md, Terms, Reply). What is in memory here
is a cache of rows of the store: 24 bytes for each message in a thread, and for each reply. Of a message and its contact
point 64 bits are kept, and of a thread as many: of thirty million, the chance that any two are taken for one is one in
ten thousand.
"""

from dataclasses import dataclass, field

import duckdb
import numpy as np

from consumers.ids import U64, IdMaker, Ids, Mask
from consumers.seen import Micros, Places, SeenIds, earliest

TOLD, ANSWERED = "message_ref", "answers_ref"
"""The columns that name a message: the event is about it, or answers it."""

_NAMED = """
    SELECT {ref}, contact_point_id, thread_id, epoch_us(occurred_at)
    FROM store.rows WHERE {ref} IS NOT NULL AND thread_id IS NOT NULL
"""
_AT_ONCE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """Messages that rows of a batch name, in parallel: the row, and what `in_thread` makes of it."""

    rows: Places
    ids: Ids

    def where(self, kept: Mask, new: Places) -> "Named":
        """Of the rows that are kept alone, under their new numbers."""
        mine = kept[self.rows]
        return Named(rows=new[self.rows[mine]], ids=self.ids.where(mine))


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """Pairs of threads that replies join, in parallel: the high halves of their ids, and since when."""

    one: U64
    other: U64
    since: Micros


def in_thread(messages: Ids, points: Ids, threads: Ids) -> Ids:
    """A message of a contact point (in the high half) in a thread (the low one)."""
    # What UUIDs have in common is in other places of the two halves: 64 bits of both.
    return Ids(messages.high ^ messages.low ^ points.high, threads.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replies:
    """Messages and replies of a store, for the one thread that folds."""

    told: SeenIds = field(default_factory=SeenIds)
    answered: SeenIds = field(default_factory=SeenIds)

    @staticmethod
    def of(con: duckdb.DuckDBPyConnection) -> "Replies":
        """Those of a store's rows."""
        return Replies(told=_stored(con, TOLD), answered=_stored(con, ANSWERED))

    def take_in(self, told: Named, answered: Named, times: Micros) -> Joined:
        """Note what rows tell and answer, which happened at `times`; the threads that are joined by it, or earlier than
        was known."""
        new_told, new_answered = _add(self.told, told, times), _add(self.answered, answered, times)
        found = _across(*new_answered, self.answered, self.told), _across(*new_told, self.told, self.answered)
        one, other, since = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Joined(one=one, other=other, since=since)


def _stored(con: duckdb.DuckDBPyConnection, ref: str) -> SeenIds:
    maker = IdMaker()
    ids, moments = [Ids.empty()], [np.zeros(0, np.int64)]
    for rows in con.execute(_NAMED.format(ref=ref)).to_arrow_reader(_AT_ONCE):
        message, point, thread, moment = rows.columns
        ids.append(in_thread(maker.of_names(message), Ids.from_arrow(point), Ids.from_arrow(thread)))
        moments.append(moment.to_numpy())
    seen, first, _ = earliest(Ids.concat(ids), np.concatenate(moments))
    return SeenIds(seen, first)


def _add(seen: SeenIds, named: Named, times: Micros) -> tuple[Ids, Micros]:
    """Those that are new, or earlier than was known."""
    ids, moments, _ = earliest(named.ids, times[named.rows])
    known, before = seen.find(ids)
    earlier = known & (moments < before)
    seen.lower(ids.where(earlier), moments[earlier])
    seen.add(ids.where(~known), moments[~known])
    said = ~known | earlier
    return ids.where(said), moments[said]


def _across(ids: Ids, moments: Micros, own: SeenIds, others: SeenIds) -> tuple[U64, U64, Micros]:
    """The threads of these, which are among `own`, and the other ones in which the same message is among `others`.

    A thread is paired with the first of the other side alone, as all of its own side are: that connects them all, also
    of what happened or was known by a time, by as many pairs as there are threads.
    """
    rows, low, times = others.alike(ids.high)
    messages, place = np.unique(ids.high[rows], return_inverse=True)
    first = (others.first(messages)[place] == low) | (own.first(messages)[place] == ids.low[rows])
    first &= low != ids.low[rows]
    rows = rows[first]
    return ids.low[rows], low[first], np.maximum(moments[rows], times[first])
