"""Contact points that ended: a number given to somebody else, a household that moved.

Until then they were one holder's, and later they are another's, who is known by a key of its own
(schemas.contact_points.held_since). In the store that is the relation `holdings` (projections.relations); here are the
same rules for what is kept in memory, and the evidence that has to be looked at again.
"""

import json
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import duckdb

from projections import layout
from projections.identity_rules import JOINING, joins, may_be_linked
from projections.relations import DERIVED, scoped
from schemas.codec import from_micros
from schemas.contact_points import contact_point_id, held_since

Evidence = tuple[int, bytes, int, str, str]
"""(occurred_at in microseconds, event_id as 16 bytes, assurance by its place in layout.ASSURANCE, key, key)"""

ENDINGS = "SELECT contact_point, epoch_us(occurred_at) FROM store.endings"

NEVER = (1 << 63) - 1
"""When a contact point was first seen that was only ever named in another role than `self`."""

_OF_SEVERAL = """
    SELECT epoch_us(occurred_at), event_id, rest -> '$.contact_points'
    FROM store.rows
    WHERE channel <> 'identity' AND (rest -> '$.contact_points') IS NOT NULL
        AND (list_contains($ids::UUID[], contact_point_id) OR event_id IN (
            SELECT event_id FROM store.mention_rows WHERE list_contains($ids::UUID[], contact_point_id)
        ))
"""


@dataclass(kw_only=True)
class Holdings:
    """When contact points ended: key -> times in microseconds, ascending."""

    endings: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int]]) -> "Holdings":
        """From (key, microseconds)."""
        found = cls()
        for key, moment in rows:
            found.end(key, moment)
        return found

    def __contains__(self, key: str) -> bool:
        return key in self.endings

    def __bool__(self) -> bool:
        return bool(self.endings)

    def end(self, key: str, moment: int) -> bool:
        """Note an ending; whether it is a new one."""
        known = self.endings.setdefault(key, [])
        if moment in known:
            return False
        insort(known, moment)
        return True

    def holder(self, key: str, moment: int) -> str:
        """Under which key what happened to a contact point at a time is known: an ending's own time is before it."""
        known = self.endings.get(key)
        earlier = bisect_left(known, moment) if known else 0
        return held_since(key, from_micros(known[earlier - 1])) if known and earlier else key

    def holders(self, key: str) -> list[str]:
        """All the keys that a contact point goes by, one after the other."""
        return [key, *(held_since(key, from_micros(moment)) for moment in self.endings.get(key, ()))]


def first_seen_sql(where: str = "true", holdings: str = "store.holdings") -> str:
    """A query for contact_point_id and when it was first seen, in microseconds, by the rows of which `where` holds."""
    events, mentions = (
        scoped(DERIVED[relation], {rows: f"SELECT * FROM store.{rows} WHERE {where}", "holdings": holdings})
        for relation, rows in (("events", "rows"), ("mentions", "mention_rows"))
    )
    return f"""
        SELECT contact_point_id, min(moment) FROM (
            SELECT contact_point_id, CASE WHEN is_self THEN epoch_us(occurred_at) ELSE {NEVER} END AS moment
            FROM ({events})
            UNION ALL
            SELECT contact_point_id, CASE WHEN role = 'self' THEN epoch_us(occurred_at) ELSE {NEVER} END
            FROM ({mentions})
        ) GROUP BY contact_point_id
    """


def evidence(con: duckdb.DuckDBPyConnection, keys: Collection[str]) -> Iterator[Evidence]:
    """All that events say about these contact points being one person with others."""
    ids = [contact_point_id(key) for key in keys]
    for moment, event_id, named in con.execute(_OF_SEVERAL, {"ids": ids}).fetchall():
        surest = _surest(json.loads(named))
        for one, other in combinations(sorted(surest), 2):
            if (one in keys or other in keys) and may_be_linked(one, other):
                yield moment, event_id.bytes, max(surest[one], surest[other]), one, other


def _surest(points: list[dict[str, Any]]) -> dict[str, int]:
    """Contact points that can be evidence, and how sure each is."""
    _, names = layout.ASSURANCE
    surest: dict[str, int] = {}
    for point in points:
        key = f"{point['kind']}:{point['value']}"
        if point["role"] == "self" and point["assurance"] in JOINING and point.get("normalised", True) and joins(key):
            sure = names.index(point["assurance"])
            surest[key] = min(sure, surest.get(key, sure))
    return surest
