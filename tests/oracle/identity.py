"""Who is who: evidence and statements become links, links become customers."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from projections.identity_rules import JOINING, LIMITS, UNIQUE, joins
from schemas.contact_points import contact_point_id
from schemas.models import Assurance, ContactPoint
from tests.oracle.components import first_node
from tests.oracle.entries import Entry, endings, holder, plain

Pair = tuple[str, str]
Row = dict[str, Any]

RESTRICTIVE = {"link.asserted": 0, "link.retracted": 1, "link.forbidden": 2}
ASSURANCES = [str(assurance) for assurance in Assurance]
STRENGTHS = ["stated", *ASSURANCES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What counts for a pair of contact points: an assertion, a retraction, a prohibition, or evidence."""

    pair: Pair
    verb: str
    strength: str | None
    at: datetime
    event_id: str

    @property
    def linked(self) -> bool:
        return self.strength is not None

    @property
    def place(self) -> tuple[int, datetime, Pair]:
        """Where a link stands among links, the strongest first."""
        return STRENGTHS.index(str(self.strength)), self.at, self.pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which customer a contact point belongs to, which contact points are shared, and what each pair rests on."""

    customer_by_key: dict[str, str]
    shared: frozenset[str]
    said: tuple[Said, ...]
    left_out: frozenset[Pair]
    ended: dict[str, list[datetime]]

    def holder(self, key: str, at: datetime) -> str:
        """The key of whoever had a contact point at a time."""
        return holder(key, at, self.ended)

    def customer_of(self, key: str) -> str:
        """Customer of a contact point; one that no link joins, or that nobody ever saw, is its own."""
        known = self.customer_by_key.get(key)
        return str(contact_point_id(key)) if known is None else known


def identify(entries: list[Entry]) -> Identity:
    """Customers of a log.

    A contact point that only identity statements name, in other roles than `self`, is never seen: it can be linked,
    and names a customer only if none of its points was ever seen (then the smallest key does).
    """
    said = _what_counts(entries)
    links = [one for one in said if one.linked]
    shared = _shared({link.pair for link in links})
    first_seen = _first_seen(entries)
    joining = [link for link in links if not shared.intersection(link.pair)]
    people, left_out = _people([*first_seen, *(key for link in links for key in link.pair)], joining)
    customer_by_key = {}
    for person in people:
        customer = str(contact_point_id(first_node(person, first_seen)))
        for key in person:
            customer_by_key[key] = customer
    ended = endings(entry.event for entry in entries)
    return Identity(customer_by_key=customer_by_key, shared=shared, said=tuple(said), left_out=left_out, ended=ended)


def identity_links(who: Identity) -> list[Row]:
    """One row per pair that evidence or a statement names."""
    rows = []
    for said in who.said:
        one, other = said.pair
        shared = sorted(who.shared.intersection(said.pair))
        reason = None
        if not said.linked:
            reason = said.verb
        elif shared:
            reason = "shared"
        elif said.pair in who.left_out:
            reason = "conflict"
        rows.append(
            {
                "one": one,
                "other": other,
                "verb": said.verb,
                "strength": said.strength,
                "event_id": said.event_id,
                "occurred_at": said.at,
                "effective": reason is None,
                "reason": reason,
                "shared": shared,
                "one_customer_id": who.customer_of(one),
                "other_customer_id": who.customer_of(other),
            }
        )
    return rows


def identity_review(who: Identity) -> list[Row]:
    """Shared contact points by kind of their neighbours, and links that were left out for a conflict."""
    degree: dict[Pair, int] = defaultdict(int)
    for said in who.said:
        if said.linked:
            for key, other in (said.pair, said.pair[::-1]):
                degree[key, _kind(other)] += 1
    nothing = dict.fromkeys(("other", "account", "other_account", "strength", "event_id", "occurred_at"))
    rows: list[Row] = [
        {
            **nothing,
            "reason": "shared",
            "contact_point": key,
            "kind": kind,
            "degree": count,
            "allowed": LIMITS[_kind(key)][kind],
        }
        for (key, kind), count in degree.items()
        if key in who.shared
    ]
    keys = {*who.customer_by_key} - who.shared
    for said in who.said:
        if said.pair not in who.left_out:
            continue
        one, other = said.pair
        for kind in UNIQUE:
            mine, theirs = (
                [key for key in keys if _kind(key) == kind and who.customer_of(key) == who.customer_of(end)]
                for end in said.pair
            )
            if mine and theirs:
                rows.append(
                    {
                        "reason": "conflict",
                        "contact_point": one,
                        "other": other,
                        "kind": kind,
                        "degree": None,
                        "allowed": None,
                        "account": mine[0],
                        "other_account": theirs[0],
                        "strength": said.strength,
                        "event_id": said.event_id,
                        "occurred_at": said.at,
                    }
                )
    return rows


def _first_seen(entries: list[Entry]) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for entry in entries:
        for point in entry.points:
            if point.role == "self":
                first.setdefault(point.key, entry.at)
    return first


def _people(keys: Iterable[str], links: list[Said]) -> tuple[list[set[str]], frozenset[Pair]]:
    """Link by link, the strongest first: whom they make one, and which of them would give somebody two accounts."""
    person = {key: {key} for key in keys}
    left_out = set()
    for link in sorted(links, key=lambda link: link.place):
        one, other = (person[key] for key in link.pair)
        if one is other:
            continue
        if any(_kind(key) == _kind(twin) for key in one if _kind(key) in UNIQUE for twin in other):
            left_out.add(link.pair)
            continue
        both = one | other
        person.update(dict.fromkeys(both, both))
    return list({id(people): people for people in person.values()}.values()), frozenset(left_out)


def _what_counts(entries: list[Entry]) -> list[Said]:
    evidence: dict[Pair, list[tuple[int, datetime, str]]] = defaultdict(list)
    statements: dict[Pair, list[tuple[datetime, int, str]]] = defaultdict(list)
    for entry in entries:
        if entry.on_a_channel:
            for pair, assurance in _evidence(entry).items():
                evidence[pair].append((assurance, entry.at, entry.event_id))
            continue
        named = _pair_of_statement(entry)
        if named is not None:
            statements[named].append((entry.at, RESTRICTIVE[entry.event.type], entry.event_id))
    return [_counts(pair, evidence[pair], statements[pair]) for pair in sorted({*evidence, *statements})]


def _counts(pair: Pair, evidence: list[tuple[int, datetime, str]], statements: list[tuple[datetime, int, str]]) -> Said:
    if statements:
        at, restrictive, event_id = max(statements)
        if restrictive == RESTRICTIVE["link.asserted"]:
            return Said(pair=pair, verb="asserted", strength="stated", at=at, event_id=event_id)
        if restrictive == RESTRICTIVE["link.forbidden"]:
            return Said(pair=pair, verb="forbidden", strength=None, at=at, event_id=event_id)
        if not evidence:
            return Said(pair=pair, verb="retracted", strength=None, at=at, event_id=event_id)
    assurance, at, event_id = min(evidence)
    return Said(pair=pair, verb="evidence", strength=ASSURANCES[assurance], at=at, event_id=event_id)


def _evidence(entry: Entry) -> dict[Pair, int]:
    """Pairs of an event's contact points that are one person, and how sure that is (0 is attested)."""
    surest: dict[str, int] = {}
    for point in entry.points:
        if _can_join(point):
            assurance = ASSURANCES.index(point.assurance)
            surest[point.key] = min(assurance, surest.get(point.key, assurance))
    return {
        (one, other): max(surest[one], surest[other])
        for one, other in combinations(sorted(surest), 2)
        if not _both_unique(one, other)
    }


def _can_join(point: ContactPoint) -> bool:
    return (
        point.role == "self"
        and point.normalised
        and point.kind != "anonymous"
        and point.assurance in JOINING
        and joins(plain(point.key))
    )


def _pair_of_statement(entry: Entry) -> Pair | None:
    """The first two contact points, whatever their roles; also blocked values and such as are not normalised."""
    if entry.event.type not in RESTRICTIVE or len(entry.points) < 2:
        return None
    one, other = sorted(point.key for point in entry.points[:2])
    if "anonymous" in (_kind(one), _kind(other)) or _both_unique(one, other) or one == other:
        return None
    return one, other


def _both_unique(one: str, other: str) -> bool:
    return _kind(one) == _kind(other) and _kind(one) in UNIQUE


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
