"""Connected components that change with every batch and never depend on its order.

Nodes are names. A pair of nodes is linked or not; a node that is linked to more nodes of some kind than its limits
allow is *shared* and connects nobody. Two nodes of one unique kind are never in one component: where links would bring
them together, the weakest of these is left out. A component is known by its first node: the earliest seen, then the
smallest name. Whether a node is shared depends on its own links before any cut, and what is left out on the strength
of links, so there is no order in it.

Only what a change can reach is computed anew. Links taken strongest first, of which none joins two nodes of a unique
kind, are the strongest spanning forest of a graph in which all nodes of that kind are joined at a root. In such a
forest a link that comes concerns the components of its two ends, and one that goes concerns the component that it
held together and those that its other links lead to; however many more components lie behind these. With several
unique kinds that is no longer so, and all that is connected is computed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Link = tuple[str, str]
Limits = Mapping[str, Mapping[str, int]]
FirstSeen = Callable[[list[str]], list[int]]
"""When each name was first seen, in microseconds since 1970."""
Strength = tuple[int, int]
"""What a link rests on (projections.identity_rules.STRENGTHS, by place), and since when; the smaller the stronger."""

_NOBODY: frozenset[str] = frozenset()
_FEW = 8


def _all_alike(_: Link) -> Strength:
    return 0, 0


class Place(NamedTuple):
    """Where a node belongs: the first node of its component, and whether it is shared."""

    first: str
    shared: bool = False


@dataclass(kw_only=True)
class Components:
    """A cache of durable rows: built again from them at start and after a rollback.

    `unique`: kinds of which a component has one node; `strength`: of a pair (the smaller name first) that is linked.
    """

    limits: Limits = field(default_factory=dict)
    unique: Collection[str] = ()
    strength: Callable[[Link], Strength] = _all_alike
    links: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.seen

    def place(self, name: str) -> Place:
        """Where a node belongs; one without links belongs to itself."""
        return self.places.get(name) or Place(name)

    def apply(
        self,
        *,
        linked: Iterable[Link] = (),
        unlinked: Iterable[Link] = (),
        stronger: Iterable[Link] = (),
        weaker: Iterable[Link] = (),
        earlier: Mapping[str, int] | None = None,
        first_seen: FirstSeen,
    ) -> dict[str, Place]:
        """Take in pairs that are linked now, pairs that no longer are, pairs that still are, but stronger or weaker
        than before, and known nodes seen earlier than thought.

        Returns the nodes that belong elsewhere than before.
        """
        touched, loosened = set[str](), set[str]()
        for one, other in linked:
            self.links.setdefault(one, set()).add(other)
            self.links.setdefault(other, set()).add(one)
            touched |= {one, other}
        for one, other in unlinked:
            self.links.get(one, set()).discard(other)
            self.links.get(other, set()).discard(one)
            loosened |= {one, other}
        touched |= loosened
        fresh = [name for name in touched if name not in self.seen]
        self.seen.update(zip(fresh, first_seen(fresh), strict=True))
        for name, moment in (earlier or {}).items():
            self.seen[name] = moment
            touched.add(name)
        shared = {name: self._is_shared(name) for name in touched}
        for name, now in shared.items():
            known = self.places.get(name)
            if now != (known is not None and known.shared):
                touched = touched | self.links.get(name, _NOBODY)
                loosened.add(name)
        # A link that counts cannot count for more, nor one that was left out for less.
        touched.update(name for pair in stronger if self._concerns(pair, apart=True) for name in pair)
        loosened.update(name for pair in weaker if self._concerns(pair, apart=False) for name in pair)
        return self._walk(touched | loosened, loosened, shared)

    def _concerns(self, pair: Link, *, apart: bool) -> bool:
        one, other = (self.place(name).first for name in pair)
        return len(self.unique) > 1 or (one != other) == apart

    def _walk(self, touched: set[str], loosened: set[str], shared: dict[str, bool]) -> dict[str, Place]:
        def is_shared(name: str) -> bool:
            known = shared.get(name)
            return self.place(name).shared if known is None else known

        if len(self.unique) > 1:
            near = self._connected(touched, is_shared)
        else:
            near, open_ended = (
                {member for name in names for member in self._component(name)} for names in (touched, loosened)
            )
            for name in open_ended:
                for neighbour in () if is_shared(name) else self.links.get(name, _NOBODY) - near:
                    if not is_shared(neighbour):
                        near |= self._component(neighbour)
        places, seen = self.places, self.seen
        changed: dict[str, Place] = {}
        for name in near:
            known = places.get(name)
            self.members.pop(name if known is None else known.first, None)
        apart = {name for name in near if is_shared(name)}
        left = set(near)
        while left:
            connected = self._connected_within(left.pop(), near, apart)
            left -= connected
            for component in self._parted(connected):
                if len(component) > 1:
                    first = min(component, key=lambda name: (seen[name], name))
                    self.members[first] = component
                else:
                    (first,) = component
                for name in component:
                    place, known = (first, name in apart), places.get(name)
                    if place != ((name, False) if known is None else known):
                        changed[name] = Place(*place)
        places.update(changed)
        return changed

    def _component(self, name: str) -> set[str]:
        known = self.places.get(name)
        return self.members.get(name if known is None else known.first) or {name}

    def _connected_within(self, start: str, near: set[str], apart: set[str]) -> set[str]:
        """What is connected with a node, whatever is left out, within some nodes of which those `apart` are shared."""
        connected, stack = {start}, [] if start in apart else [start]
        while stack:
            neighbours = self.links.get(stack.pop(), _NOBODY)
            for neighbour in neighbours & near if len(neighbours) > _FEW else neighbours:
                if neighbour not in connected and neighbour in near and neighbour not in apart:
                    connected.add(neighbour)
                    stack.append(neighbour)
        return connected

    def _connected(self, start: set[str], is_shared: Callable[[str], bool]) -> set[str]:
        """What is connected with some nodes, whatever is left out."""
        connected, stack = set(start), list(start)
        while stack:
            name = stack.pop()
            if is_shared(name):
                continue
            for neighbour in self.links.get(name, _NOBODY) - connected:
                if not is_shared(neighbour):
                    connected.add(neighbour)
                    stack.append(neighbour)
        return connected

    def _parted(self, connected: set[str]) -> list[set[str]]:
        """The components of what unshared nodes are connected with."""
        if len(connected) == 1 or not self.unique:
            return [connected]
        kinds = [kind for name in connected if (kind := _kind(name)) in self.unique]
        if len(kinds) == len(set(kinds)):
            return [connected]
        links = {
            (one, other) if one < other else (other, one)
            for one in connected
            for other in self.links.get(one, _NOBODY) & connected
        }
        groups: dict[str, set[str]] = {name: {name} for name in connected}
        holds = {name: {_kind(name)}.intersection(self.unique) for name in connected}
        of = {name: name for name in connected}
        for one, other in sorted(links, key=lambda pair: (self.strength(pair), pair)):
            larger, smaller = of[one], of[other]
            if larger == smaller or not holds[larger].isdisjoint(holds[smaller]):
                continue
            if len(groups[larger]) < len(groups[smaller]):
                larger, smaller = smaller, larger
            moved = groups.pop(smaller)
            groups[larger] |= moved
            holds[larger] |= holds.pop(smaller)
            of.update(dict.fromkeys(moved, larger))
        return list(groups.values())

    def _is_shared(self, name: str) -> bool:
        neighbours = self.links.get(name)
        limits = self.limits.get(_kind(name)) if neighbours else None
        if limits is None or not neighbours:
            return False
        counts: dict[str, int] = {}
        for neighbour in neighbours:
            kind = _kind(neighbour)
            count = counts[kind] = counts.get(kind, 0) + 1
            if count > limits.get(kind, count):
                return True
        return False


def _kind(name: str) -> str:
    return name.partition(":")[0]
