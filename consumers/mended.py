"""Records that were mended by hand (`touchlog dead-letters redrive --patch`), for a store that is folded again.

The log keeps them as they were; what was folded in their place is in the store alone.
"""

from collections.abc import Mapping

import duckdb

from consumers.dead_letters import DISCARDED, PARKED, REDRIVEN, LetterId
from consumers.fold import Folder
from consumers.letters import Wanted
from consumers.redrive import Asked, redrive
from log.log import Positions, TopicPartition
from projections.store import Store
from schemas.registry import Registry

Mended = Mapping[LetterId, bytes]
"""Where a record lies, and the value that was folded in its place."""


def mended(con: duckdb.DuckDBPyConnection) -> Mended:
    """The records that were mended in a store (a connection to it)."""
    rows = con.execute(
        """
        SELECT topic, partition, log_offset, max_by(patched, attempted_at)
        FROM store.redrives
        WHERE state = ? AND patched IS NOT NULL
        GROUP BY topic, partition, log_offset
        ORDER BY topic, partition, log_offset
        """,
        [REDRIVEN],
    ).fetchall()
    return {LetterId(topic, partition, offset): bytes(value) for topic, partition, offset, value in rows}


def mend_again(store: Store, registry: Registry, values: Mended, until: Positions) -> int:
    """Fold the same values in place of the records of the store that are parked there; how many it was asked for.

    Those at or beyond `until` are no records of it. Raises RegistryUnavailable and what the store raises; a second time
    those that are settled are left alone.
    """
    parked = {
        LetterId(topic, partition, offset)
        for topic, partition, offset in store.con.execute(
            "SELECT topic, partition, log_offset FROM touchlog.dead_letters WHERE state IN (?, ?)", [PARKED, DISCARDED]
        ).fetchall()
    }
    wanted = [
        one
        for one in values
        if one in parked and one.offset < until.get(TopicPartition(one.topic, one.partition), 0)
    ]
    if not wanted:
        return 0
    folder = Folder(store)
    for one in wanted:
        asked = Asked(wanted=Wanted(ids=(str(one),), states=(PARKED, DISCARDED)), value=values[one])
        for _ in redrive(folder, store, registry, asked):
            pass
    return len(wanted)
