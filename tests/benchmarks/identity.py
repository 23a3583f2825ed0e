"""What one batch costs the identity of a million contact points, in process: from evidence to who belongs elsewhere.

    python -m tests.benchmarks.identity --points 1000000 --hub 10000 --batches 50

Times are of the processor. Households of five points each (an account, two addresses, two telephones) make up the
graph; the hub is one telephone that many have called from. Each kind of batch is timed alone; with `unlimited`
nothing is shared, so that the hub's whole crowd is one graph, of as many accounts.
"""

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from projections.components import Components, Limits, Link, Strength
from projections.identity_rules import LIMITS, UNIQUE

Batch = tuple[Sequence[Link], Sequence[Link], Sequence[Link]]
"""(pairs linked, pairs no longer linked, pairs stronger than before)"""

HUB = "phone:+46800000000"
_HOUSE = 5


class Graph:
    """Components, and the strengths they ask for."""

    def __init__(self, limits: Limits) -> None:
        self.strengths: dict[Link, Strength] = {}
        self.components = Components(limits=limits, unique=UNIQUE, strength=self.strengths.__getitem__)

    def apply(self, batch: Batch) -> int:
        linked, unlinked, stronger = batch
        for place, pair in enumerate((*linked, *stronger)):
            self.strengths[pair] = (2 - place % 2, place)
        return len(
            self.components.apply(
                linked=linked, unlinked=unlinked, stronger=stronger, first_seen=lambda names: [0] * len(names)
            )
        )


def key(kind: str, house: int, number: int = 0) -> str:
    return f"{kind}:{house:08}.{number}"


def household(house: int) -> list[Link]:
    account, one, other = key("account", house), key("email", house), key("email", house, 1)
    return [(account, one), (account, other), (one, key("phone", house)), (other, key("phone", house, 1))]


def batches_of(kind: str, houses: int, count: int, dice: random.Random) -> Iterator[Batch]:
    """`count` batches of 300 changes each (but for those of the hub, which are single ones)."""
    for number in range(count):
        if kind == "new households":
            yield [pair for house in range(75) for pair in household(houses + 75 * number + house)], [], []
        elif kind == "evidence inside households":
            picked = dice.sample(range(houses), 300)
            yield [(key("account", house), key("phone", house, number % 2)) for house in picked], [], []
        elif kind == "stronger evidence":
            yield [], [], [household(house)[0] for house in dice.sample(range(houses), 300)]
        elif kind == "two accounts each":
            # New points, so that nothing is shared: each path is one conflict.
            picked = dice.sample(range(houses), 300)
            yield (
                [
                    pair
                    for place, house in enumerate(picked)
                    for middle in [key("social", number * 300 + place)]
                    for pair in ((key("phone", house), middle), (key("phone", (house + 1) % houses), middle))
                ],
                [],
                [],
            )
        elif kind == "one more at the hub":
            yield [(key("email", dice.randrange(houses)), HUB)], [], []
        elif kind == "one link in the crowd taken back":
            yield [], [(key("email", number * 3), HUB)], []
        else:
            yield [], [], [household(number * 3)[0]]


def timed(graph: Graph, batches: Iterator[Batch]) -> tuple[list[float], int]:
    """Milliseconds of each batch, and how many points belong elsewhere by all of them."""
    spent, moved = [], 0
    for batch in batches:
        began = time.process_time()
        moved += graph.apply(batch)
        spent.append((time.process_time() - began) * 1000)
    return spent, moved


def begun(limits: Limits, houses: int, hub: int) -> tuple[Graph, float]:
    graph = Graph(limits)
    began = time.process_time()
    for start in range(0, houses, 10_000):
        graph.apply(
            ([pair for house in range(start, min(houses, start + 10_000)) for pair in household(house)], [], [])
        )
    graph.apply(([(key("email", house), HUB) for house in range(hub)], [], []))
    return graph, time.process_time() - began


@click.command()
@click.option("--points", default=1_000_000, show_default=True)
@click.option("--hub", default=10_000, show_default=True, help="Points that the hub is linked to.")
@click.option("--batches", default=50, show_default=True, help="Of each kind.")
def main(points: int, hub: int, batches: int) -> None:
    """Build the graph, then time batches of every kind."""
    out = Console()
    houses = points // _HOUSE
    table = Table("limits", "batch", "p50 ms", "p99 ms", "max ms", "moved a batch")
    kinds: Mapping[str, Sequence[str]] = {
        "as they are": (
            *("new households", "evidence inside households", "stronger evidence", "two accounts each"),
            *("one more at the hub", "one link in the crowd taken back"),
        ),
        "unlimited": ("one more at the hub", "one link in the crowd taken back", "one link of it stronger"),
    }
    for name, limits in (("as they are", LIMITS), ("unlimited", {})):
        graph, seconds = begun(limits, houses, hub)
        out.print(f"limits {name}: {len(graph.components.seen):,} points built in {seconds:.1f} s")
        dice = random.Random(1)
        for kind in kinds[name]:
            spent, moved = timed(graph, batches_of(kind, houses, batches, dice))
            spent.sort()
            figures = (statistics.median(spent), spent[int(len(spent) * 0.99)], spent[-1])
            table.add_row(name, kind, *(f"{figure:.2f}" for figure in figures), f"{moved / batches:,.0f}")
    out.print(table)


if __name__ == "__main__":
    main()
