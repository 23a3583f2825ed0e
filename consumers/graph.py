"""Named things that are connected: who is whose, and when each was first seen. A cache of durable rows."""

from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa

from consumers.ids import Ids, Mask, id_of_name
from consumers.seen import Micros, SeenIds
from projections.components import Components


@dataclass(kw_only=True)
class Graph:
    """Components of named things, with when each was first seen."""

    components: Components
    seen: SeenIds
    id_of: Callable[[str], bytes] = id_of_name
    """The id that a name stands for, big-endian."""
    names: dict[int, str] = field(default_factory=dict)
    """High half of the id -> name, of those that have links."""
    ids: dict[str, bytes] = field(default_factory=dict)
    """Name -> id, of the same."""

    def first_seen(self, names: list[str]) -> list[int]:
        if not names:
            return []
        found_ids = [self.id_of(name) for name in names]
        self.ids.update(zip(names, found_ids, strict=True))
        ids = Ids.from_bytes(np.frombuffer(b"".join(found_ids), np.uint8).reshape(-1, 16))
        self.names.update(zip(ids.high.tolist(), names, strict=True))
        found, times = self.seen.find(ids)
        assert found.all()
        return [int(time) for time in times]

    def take_in(self, ids: Ids, times: Micros) -> tuple[Mask, dict[str, int]]:
        """Note when ids (each once) were seen; which of them are new, and which linked names were seen earlier."""
        known, before = self.seen.find(ids)
        lower = known & (times < before)
        self.seen.lower(ids.where(lower), times[lower])
        self.seen.add(ids.where(~known), times[~known])
        highs, moments = ids.high[lower].tolist(), times[lower].tolist()
        earlier = {self.names[high]: moment for high, moment in zip(highs, moments, strict=True) if high in self.names}
        return ~known, earlier


def first_seen(con: duckdb.DuckDBPyConnection, sql: str) -> SeenIds:
    """The ids of a query, with the microseconds that it says beside them."""
    rows = con.execute(sql).to_arrow_table()
    return SeenIds(Ids.from_arrow(rows.column(0)), rows.column(1).cast(pa.int64()).to_numpy())
