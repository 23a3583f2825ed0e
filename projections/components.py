"""Connected components that change with every batch and never depend on its order.

Nodes are names. A pair of nodes is linked or not; a node that is linked to more nodes of some kind than its limits
allow is *shared* and connects nobody. Two nodes of one unique kind are never in one component: where links would bring
them together, the weakest of these is left out. A component is known by its first node: the earliest seen, then the
smallest name. Whether a node is shared depends on its own links before any cut, and what is left out on the strength
of links, so there is no order in it.

What a change touches is what it is connected with before anything is left out, and this alone is computed anew. All of
that is walked from the nodes that changed: whatever was connected with them still is, or lies next to one whose being
shared changed, which is walked from, too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

Link = tuple[str, str]
Limits = Mapping[str, Mapping[str, int]]
FirstSeen = Callable[[list[str]], list[int]]
"""When each name was first seen, in microseconds since 1970."""
Strength = tuple[int, int]
"""What a link rests on (projections.identity_rules.STRENGTHS, by place), and since when; the smaller the stronger."""


def _all_alike(_: Link) -> Strength:
    return 0, 0


@dataclass(frozen=True, slots=True)
class Place:
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
    contested: set[str] = field(default_factory=set)
    """Nodes that are connected with two of one unique kind, before anything is left out."""

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
        altered: Iterable[Link] = (),
        earlier: Mapping[str, int] | None = None,
        first_seen: FirstSeen,
    ) -> dict[str, Place]:
        """Take in pairs that are linked now, pairs that no longer are, linked pairs of another strength than before,
        and known nodes seen earlier than thought.

        Returns the nodes that belong elsewhere than before. Only what these are connected with is walked.
        """
        touched: set[str] = set()
        for one, other in linked:
            self.links.setdefault(one, set()).add(other)
            self.links.setdefault(other, set()).add(one)
            touched |= {one, other}
        for one, other in unlinked:
            self.links.get(one, set()).discard(other)
            self.links.get(other, set()).discard(one)
            touched |= {one, other}
        fresh = [name for name in touched if name not in self.seen]
        self.seen.update(zip(fresh, first_seen(fresh), strict=True))
        for name, moment in (earlier or {}).items():
            self.seen[name] = moment
            touched.add(name)
        shared = {name: self._is_shared(name) for name in touched}
        # Elsewhere nothing is left out, whatever the strength. Pairs linked in the same call are touched as it is.
        touched.update(name for pair in altered if not self.contested.isdisjoint(pair) for name in pair)
        for name, now in shared.items():
            if now != self.place(name).shared:
                touched = touched | self.links.get(name, set())
        return self._walk(touched, shared)

    def _walk(self, touched: set[str], shared: dict[str, bool]) -> dict[str, Place]:
        def is_shared(name: str) -> bool:
            known = shared.get(name)
            return self.place(name).shared if known is None else known

        changed: dict[str, Place] = {}
        left = set(touched)
        made: dict[str, set[str]] = {}
        while left:
            start = left.pop()
            connected, stack = {start}, [start]
            while stack:
                name = stack.pop()
                if is_shared(name):
                    continue
                for neighbour in self.links.get(name, ()):
                    if neighbour not in connected and not is_shared(neighbour):
                        connected.add(neighbour)
                        stack.append(neighbour)
            left -= connected
            for name in connected:
                self.members.pop(self.place(name).first, None)
            for component in self._parted(connected):
                first = min(component, key=lambda name: (self.seen[name], name))
                if len(component) > 1:
                    made[first] = component
                for name in component:
                    place = Place(first, is_shared(name))
                    if place != self.place(name):
                        changed[name] = place
        self.members.update(made)
        self.places.update(changed)
        return changed

    def _parted(self, connected: set[str]) -> list[set[str]]:
        """The components of what unshared nodes are connected with."""
        kinds = [kind for name in connected if (kind := _kind(name)) in self.unique] if self.unique else []
        if len(kinds) == len(set(kinds)):
            if self.contested:
                self.contested -= connected
            return [connected]
        self.contested |= connected
        links = {
            (one, other) if one < other else (other, one)
            for one in connected
            for other in self.links.get(one, ())
            if other in connected
        }
        groups: dict[str, set[str]] = {name: {name} for name in connected}
        holds: dict[str, dict[str, str]] = {
            name: {kind: name} if (kind := _kind(name)) in self.unique else {} for name in connected
        }
        root = {name: name for name in connected}
        for one, other in sorted(links, key=lambda pair: (self.strength(pair), pair)):
            larger, smaller = root[one], root[other]
            if larger == smaller or not holds[larger].keys().isdisjoint(holds[smaller]):
                continue
            if len(groups[larger]) < len(groups[smaller]):
                larger, smaller = smaller, larger
            moved = groups.pop(smaller)
            groups[larger] |= moved
            holds[larger] |= holds.pop(smaller)
            root.update(dict.fromkeys(moved, larger))
        return list(groups.values())

    def _is_shared(self, name: str) -> bool:
        limits = self.limits.get(_kind(name))
        if limits is None:
            return False
        counts: dict[str, int] = {}
        for neighbour in self.links.get(name, ()):
            kind = _kind(neighbour)
            count = counts[kind] = counts.get(kind, 0) + 1
            if count > limits.get(kind, count):
                return True
        return False


def _kind(name: str) -> str:
    return name.partition(":")[0]
