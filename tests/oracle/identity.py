"""Who is who: evidence and statements become links, links become customers."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from projections.identity_rules import JOINING, LIMITS, joins
from schemas.contact_points import contact_point_id
from schemas.models import ContactPoint
from tests.oracle.components import components, first_node
from tests.oracle.entries import Entry

Pair = tuple[str, str]

RESTRICTIVE = {"link.asserted": 0, "link.retracted": 1, "link.forbidden": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which customer a contact point belongs to, and which contact points are shared."""

    customer_by_key: dict[str, str]
    shared: frozenset[str]

    def customer_of(self, key: str) -> str:
        """Customer of a contact point; one that no link joins, or that nobody ever saw, is its own."""
        known = self.customer_by_key.get(key)
        return str(contact_point_id(key)) if known is None else known


def identify(entries: list[Entry]) -> Identity:
    """Customers of a log.

    A contact point that only identity statements name, in other roles than `self`, is never seen: it can be linked,
    and names a customer only if none of its points was ever seen (then the smallest key does).
    """
    links = _links(entries)
    shared = _shared(links)
    first_seen = _first_seen(entries)
    joining = [pair for pair in links if not shared.intersection(pair)]
    customer_by_key = {}
    for component in components(first_seen, joining):
        customer = str(contact_point_id(first_node(component, first_seen)))
        for key in component:
            customer_by_key[key] = customer
    return Identity(customer_by_key=customer_by_key, shared=shared)


def _first_seen(entries: list[Entry]) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for entry in entries:
        for point in entry.points:
            if point.role == "self":
                first.setdefault(point.key, entry.at)
    return first


def _links(entries: list[Entry]) -> set[Pair]:
    evidence: set[Pair] = set()
    newest: dict[Pair, tuple[datetime, int]] = {}
    for entry in entries:
        if entry.on_a_channel:
            evidence |= _evidence(entry)
            continue
        pair = _pair_of_statement(entry)
        if pair is not None:
            statement = (entry.at, RESTRICTIVE[entry.event.type])
            newest[pair] = max(newest.get(pair, statement), statement)
    stands = {pair: restrictive for pair, (_, restrictive) in newest.items()}
    asserted = {pair for pair, restrictive in stands.items() if restrictive == RESTRICTIVE["link.asserted"]}
    forbidden = {pair for pair, restrictive in stands.items() if restrictive == RESTRICTIVE["link.forbidden"]}
    return (evidence | asserted) - forbidden


def _evidence(entry: Entry) -> set[Pair]:
    """Pairs of an event's contact points that are one person."""
    joining = [point for point in entry.points if _can_join(point)]
    return {
        _pair(one, other)
        for one, other in combinations(joining, 2)
        if one.key != other.key and not (one.kind == "account" and other.kind == "account")
    }


def _can_join(point: ContactPoint) -> bool:
    return (
        point.role == "self"
        and point.normalised
        and point.kind != "anonymous"
        and point.assurance in JOINING
        and joins(point.key)
    )


def _pair_of_statement(entry: Entry) -> Pair | None:
    """The first two contact points, whatever their roles; also blocked values and such as are not normalised."""
    if entry.event.type not in RESTRICTIVE or len(entry.points) < 2:
        return None
    one, other = entry.points[:2]
    if "anonymous" in (one.kind, other.kind) or one.kind == other.kind == "account" or one.key == other.key:
        return None
    return _pair(one, other)


def _pair(one: ContactPoint, other: ContactPoint) -> Pair:
    smaller, larger = sorted((one.key, other.key))
    return smaller, larger


def _shared(links: set[Pair]) -> frozenset[str]:
    neighbours: dict[str, set[str]] = defaultdict(set)
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)
    return frozenset(key for key, others in neighbours.items() if _over_its_limits(key, others))


def _over_its_limits(key: str, neighbours: set[str]) -> bool:
    count: dict[str, int] = defaultdict(int)
    for neighbour in neighbours:
        count[_kind(neighbour)] += 1
    return any(number > LIMITS[_kind(key)][kind] for kind, number in count.items())


def _kind(key: str) -> str:
    return key.partition(":")[0]
