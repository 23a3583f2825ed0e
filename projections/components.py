"""Connected components that change with every batch and never depend on its order.

Nodes are names. A pair of nodes is linked or not; a node that is linked to more nodes of some kind than its limits
allow is *shared* and connects nobody. A component is known by its first node: the earliest seen, then the smallest
name. Whether a node is shared depends on its own links before any cut, so there is no order in it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Limits = Mapping[str, Mapping[str, int]]
FirstSeen = Callable[[list[str]], list[int]]
"""When each name was first seen, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node belongs: the first node of its component, and whether it is shared."""

    first: str
    shared: bool = False


@dataclass(kw_only=True)
class Components:
    """A cache of durable rows: built again from them at start and after a rollback."""

    limits: Limits = field(default_factory=dict)
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
        linked: Iterable[tuple[str, str]] = (),
        unlinked: Iterable[tuple[str, str]] = (),
        earlier: Mapping[str, int] | None = None,
        first_seen: FirstSeen,
    ) -> dict[str, Place]:
        """Take in pairs that are linked now, pairs that no longer are, and known nodes seen earlier than thought.

        Returns the nodes that belong elsewhere than before. Only the components that these touch are walked.
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
        for name, now in shared.items():
            if now != self.place(name).shared:
                touched = touched | self.links.get(name, set())
        affected = set(touched)
        for name in touched:
            affected |= self.members.get(self.place(name).first, set())
        return self._walk(affected, shared)

    def _walk(self, affected: set[str], shared: dict[str, bool]) -> dict[str, Place]:
        def is_shared(name: str) -> bool:
            known = shared.get(name)
            return self.place(name).shared if known is None else known

        for name in affected:
            self.members.pop(self.place(name).first, None)
        changed: dict[str, Place] = {}
        left = set(affected)
        while left:
            start = left.pop()
            component, stack = {start}, [start]
            while stack:
                name = stack.pop()
                if is_shared(name):
                    continue
                for neighbour in self.links.get(name, ()):
                    if neighbour not in component and not is_shared(neighbour):
                        component.add(neighbour)
                        stack.append(neighbour)
            left -= component
            first = min(component, key=lambda name: (self.seen[name], name))
            if len(component) > 1:
                self.members[first] = component
            for name in component:
                place = Place(first, is_shared(name))
                if place != self.place(name):
                    changed[name] = place
        self.places.update(changed)
        return changed

    def _is_shared(self, name: str) -> bool:
        limits = self.limits.get(_kind(name))
        if limits is None:
            return False
        counts: dict[str, int] = {}
        for neighbour in self.links.get(name, ()):
            kind = _kind(neighbour)
            counts[kind] = counts.get(kind, 0) + 1
        return any(count > limits[kind] for kind, count in counts.items() if kind in limits)


def _kind(name: str) -> str:
    return name.partition(":")[0]
