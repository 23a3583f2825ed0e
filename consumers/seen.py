"""Which ids were seen, over all history, exactly: sorted runs in memory, a cache of durable rows.

24 bytes an id, 17 where nobody asks when it was seen. Runs double in size, so that there are few of them and each id is
moved few times.
"""

import numpy as np
import numpy.typing as npt

from consumers.ids import U64, Ids, Mask

Micros = npt.NDArray[np.signedinteger]
Places = npt.NDArray[np.int64]


class Run:
    """Ids in ascending order and when each was first seen (microseconds since 1970)."""

    def __init__(self, ids: Ids, times: Micros) -> None:
        self.ids = ids
        self.times = times

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Ids) -> tuple[Mask, npt.NDArray[np.int64]]:
        """Which of the ids are here, and where. Faster when they are sorted."""
        places = np.searchsorted(self.ids.high, ids.high)
        inside = np.minimum(places, len(self) - 1)
        same = self.ids.high[inside] == ids.high
        found = same & (self.ids.low[inside] == ids.low)
        for row in np.flatnonzero(same & ~found):
            # Two ids with equal high halves: one in 10^5 at thirty million ids.
            place = int(inside[row])
            while place < len(self) and self.ids.high[place] == ids.high[row]:
                if self.ids.low[place] == ids.low[row]:
                    found[row], inside[row] = True, place
                    break
                place += 1
        return found, inside

    def alike(self, high: U64) -> tuple[Places, Places]:
        """Where ids with these high halves are: places in `high`, and here, in parallel."""
        first = np.searchsorted(self.ids.high, high)
        counts = np.searchsorted(self.ids.high, high, "right") - first
        rows = np.repeat(np.arange(len(high)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, first[rows] + within


class SeenIds:
    """Every id seen, with the earliest time it was seen at."""

    def __init__(self, ids: Ids | None = None, times: Micros | None = None) -> None:
        self._runs: list[Run] = []
        if ids is not None:
            self.add(ids, times)

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def find(self, ids: Ids) -> tuple[Mask, Micros]:
        """Which ids were seen, and when first (0 where not)."""
        seen = np.zeros(len(ids), bool)
        times = np.zeros(len(ids), np.int64)
        for run in self._runs:
            found, places = run.find(ids)
            seen |= found
            times[found] = run.times[places[found]]
        return seen, times

    def add(self, ids: Ids, times: Micros | None = None) -> None:
        """Take in ids that were not seen and are not repeated; without times, they were seen at 0."""
        if not len(ids):
            return
        if times is None:
            times = np.zeros(len(ids), np.int8)
        order = ids.order()
        run = Run(ids.take(order), times[order])
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def alike(self, high: U64) -> tuple[Places, U64, Micros]:
        """What was seen with these high halves: places in `high`, the low halves, and when first, in parallel."""
        rows, lows, times = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for run in self._runs:
            found, places = run.alike(high)
            rows.append(found)
            lows.append(run.ids.low[places])
            times.append(run.times[places])
        return np.concatenate(rows), np.concatenate(lows), np.concatenate(times)

    def first(self, high: U64) -> U64:
        """The low half of the id that was seen first of those with each of these high halves (there is one)."""
        rows, low, times = self.alike(high)
        order = np.lexsort((low, times, rows))
        return low[order][np.searchsorted(rows[order], np.arange(len(high)))]

    def whole(self, high: U64) -> Ids:
        """The ids that were seen with these high halves."""
        found = Ids(high, np.zeros(len(high), np.uint64))
        for run in self._runs:
            rows, places = run.alike(high)
            found.low[rows] = run.ids.low[places]
        return found

    def lower(self, ids: Ids, times: Micros) -> None:
        """Set when ids that were seen were first seen."""
        for run in self._runs:
            found, places = run.find(ids)
            run.times[places[found]] = times[found]


def earliest(ids: Ids, times: Micros) -> tuple[Ids, Micros, npt.NDArray[np.int64]]:
    """Each id once, in ascending order, with its earliest time and a row that names it."""
    if not len(ids):
        return ids, times, np.zeros(0, np.int64)
    order = np.argsort(ids.high)
    high, low = ids.high[order], ids.low[order]
    same = high[1:] == high[:-1]
    if bool(np.any(same & (low[1:] != low[:-1]))):
        order = np.lexsort((ids.low, ids.high))
        high, low = ids.high[order], ids.low[order]
        same = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    if not same.any():
        return Ids(high, low), times[order], order
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    moments = times[order]
    first = np.minimum.reduceat(moments, starts)
    rows = np.zeros(len(starts), np.int64)
    places = np.flatnonzero(moments == first[group])
    rows[group[places]] = order[places]
    return Ids(high[starts], low[starts]), first, rows


def _merged(one: Run, other: Run) -> Run:
    ids = Ids.concat([one.ids, other.ids])
    order = ids.order()
    return Run(ids.take(order), np.concatenate([one.times, other.times])[order])
