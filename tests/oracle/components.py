"""Connected components, and the node that names one."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

NEVER = datetime.max.replace(tzinfo=UTC)


def components(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Sets of nodes that edges connect, directly or through others; a node without edges is alone."""
    neighbours: dict[str, set[str]] = {node: set() for node in nodes}
    for one, other in edges:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    found = []
    visited: set[str] = set()
    for start in neighbours:
        if start in visited:
            continue
        component = {start}
        to_visit = [start]
        while to_visit:
            for neighbour in neighbours[to_visit.pop()]:
                if neighbour not in component:
                    component.add(neighbour)
                    to_visit.append(neighbour)
        visited |= component
        found.append(component)
    return found


def first_node(component: set[str], first_seen: Mapping[str, datetime]) -> str:
    """The node seen earliest, and of those the smallest; one that was never seen comes last."""
    return min(component, key=lambda node: (first_seen.get(node, NEVER), node))
