"""Random logs in which everything collides: for hypothesis (they shrink), and from a seed (for large sizes).

Both draw the same kind of events through one function, `tests.villages.drafted`: people with several contact points
each, some shared, blocked or not normalised; threads that cases carry over channels; items whose steps come in any
order; statements, surveys, machines, bots; times on a coarse grid, so that many are equal.
"""

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from schemas.models import Event
from tests.habits import ALL_HABITS, Habits
from tests.villages import built, drafted, repeated

VILLAGE_SIZE = 120
"""Events of one village in a large log; its six people share nothing but a few numbers with other villages."""


@st.composite
def _drafts(draw: st.DrawFn, habits: Habits) -> dict[str, Any]:
    def pick(options: Sequence[Any]) -> Any:
        return options[draw(st.integers(0, len(options) - 1))]

    return drafted(pick, village=0, habits=habits)


def events(max_size: int = 40, min_size: int = 0) -> st.SearchStrategy[list[Event]]:
    """Distinct events of one village with one sort of habits, in no particular order of time."""

    def of_habits(habits: Habits) -> st.SearchStrategy[list[dict[str, Any]]]:
        drafts = _drafts(habits)
        # Lists alone stay short, whatever max_size is.
        least = st.integers(min_size, max(min_size, max_size // 2))
        return least.flatmap(lambda size: st.lists(drafts, min_size=size, max_size=max_size))

    drafts = st.sampled_from(ALL_HABITS).flatmap(of_habits)
    return drafts.map(lambda found: [built(draft, name=str(number)) for number, draft in enumerate(found)])


@st.composite
def logs(draw: st.DrawFn, max_size: int = 40) -> list[Event]:
    """Events as they arrive: in any order, some of them again, seen at another time."""
    distinct = draw(events(max_size))
    if not distinct:
        return []
    again = draw(st.lists(st.sampled_from(distinct), max_size=5))
    return list(draw(st.permutations([*distinct, *(repeated(event) for event in again)])))


def random_log(seed: int, size: int) -> list[Event]:
    """`size` distinct events from a seed, in order of arrival: roughly that of time, with a tail of late ones."""
    dice = random.Random(seed)
    villages = max(1, size // VILLAGE_SIZE)
    found = []
    for number in range(size):
        village = dice.randrange(villages)
        habits = ALL_HABITS[village % len(ALL_HABITS)]
        found.append(built(drafted(dice.choice, village=village, habits=habits), name=f"{seed}.{number}"))
    return sorted(found, key=lambda event: (event.observed_at, event.event_id))
