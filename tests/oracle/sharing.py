"""shared_timeline: touchpoints of shared contact points, for each customer who may have been it."""

from collections import defaultdict
from typing import Any

from projections.identity_rules import JOINING, MOST_POSSIBLE
from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

Row = dict[str, Any]


def shared_timeline(entries: list[Entry], who: Identity, timeline: list[Row]) -> list[Row]:
    """One row per touchpoint of a shared contact point and customer whom it may concern."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for said in who.said:
        if said.linked:
            for key, other in (said.pair, said.pair[::-1]):
                if key in who.shared and other not in who.shared:
                    neighbours[key].add(other)
    entry_of = {entry.event_id: entry for entry in entries}
    rows = []
    for touchpoint in timeline:
        known = neighbours.get(touchpoint["contact_point"], set())
        possible = {who.customer_of(key) for key in known}
        entry = entry_of.get(touchpoint["event_id"])
        beside = set() if entry is None else _sure(entry) & known
        named = {who.customer_of(key) for key in beside}
        few = len(possible) <= MOST_POSSIBLE
        for customer in named or (possible if few else set()):
            own = {"customer_id": customer, "named": bool(named), "others": len(possible) - 1 if few else None}
            rows.append({**touchpoint, **own})
    return rows


def _sure(entry: Entry) -> set[str]:
    """The contact points that an event names as the person's own, and not by hearsay."""
    return {point.key for point in entry.points if point.role == "self" and point.assurance in JOINING}
