"""Components kept up bit by bit are those computed at once, whatever the order, and unlinking undoes exactly."""

import random
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.components import Components, Place
from projections.identity_rules import LIMITS

_NAMES = [f"{kind}:{number}" for kind in ("email", "phone", "account", "postal") for number in range(4)]
_PAIRS = [pair for pair in combinations(sorted(_NAMES), 2) if pair[0][:7] != pair[1][:7] or "account" not in pair[0]]
_TIGHT = {
    "email": {"account": 1, "email": 1, "phone": 1},
    "phone": {"account": 1, "email": 2, "phone": 0},
    "account": {"email": 2, "phone": 2, "postal": 1},
    "postal": {"account": 1},
}

limits = st.sampled_from([{}, _TIGHT, LIMITS])
batches = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(_PAIRS), st.booleans()), max_size=5),
        st.dictionaries(st.sampled_from(_NAMES), st.integers(0, 5), max_size=2),
    ),
    max_size=10,
)
"""(pairs that are linked or no longer, names and when they were seen)"""


class Village:
    """A graph kept up bit by bit, and what it ought to hold."""

    def __init__(self, limits):
        self.components = Components(limits=limits)
        self.limits = limits
        self.seen = {name: 6 + place % 3 for place, name in enumerate(_NAMES)}
        self.links = set()
        self.told = {}

    def apply(self, changes, moments):
        wanted = dict(changes)
        linked = [pair for pair, on in wanted.items() if on and pair not in self.links]
        unlinked = [pair for pair, on in wanted.items() if not on and pair in self.links]
        self.links = (self.links | set(linked)) - set(unlinked)
        earlier = {name: moment for name, moment in moments.items() if moment < self.seen[name]}
        self.seen |= earlier
        # The fold tells only of names that have, or had, links.
        known = {name: moment for name, moment in earlier.items() if name in self.components}
        changed = self.components.apply(
            linked=linked,
            unlinked=unlinked,
            earlier=known,
            first_seen=lambda names: [self.seen[name] for name in names],
        )
        self.told |= changed
        return changed

    def places(self):
        return {name: self.components.place(name) for name in _NAMES}


def at_once(links, seen, limits):
    """Where every name belongs: shared by its links, then connected over unshared ones, known by its first."""
    neighbours = {name: set() for name in _NAMES}
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)

    def is_shared(name):
        kind = name.partition(":")[0]
        kinds = [other.partition(":")[0] for other in neighbours[name]]
        return any(kinds.count(other) > most for other, most in limits.get(kind, {}).items())

    shared = {name for name in _NAMES if is_shared(name)}
    group = {name: {name} for name in _NAMES}
    for one, other in links:
        if not {one, other} & shared and group[one] is not group[other]:
            group[one] |= group[other]
            for name in group[other]:
                group[name] = group[one]
    return {name: Place(min(group[name], key=lambda member: (seen[member], member)), name in shared) for name in _NAMES}


@settings(max_examples=400)
@given(limits, batches)
def test_after_every_batch_as_if_computed_at_once(limits, batches):
    village = Village(limits)
    for changes, moments in batches:
        before = village.places()
        changed = village.apply(changes, moments)
        wanted = at_once(village.links, village.seen, limits)
        assert village.places() == wanted
        # What is told is what changed, no more and no less: it becomes rows.
        assert changed == {name: place for name, place in wanted.items() if place != before[name]}
        assert village.told | {name: Place(name) for name in _NAMES if name not in village.told} == wanted


@settings(max_examples=200)
@given(limits, st.lists(st.sampled_from(_PAIRS), unique=True, max_size=12), st.randoms(use_true_random=False))
def test_no_order_and_no_cut_matters(limits, pairs, dice):
    whole = Village(limits)
    whole.apply([(pair, True) for pair in pairs], {"email:0": 1})

    pieces = Village(limits)
    shuffled = dice.sample(pairs, len(pairs))
    while shuffled:
        size = dice.randint(1, 4)
        pieces.apply([(pair, True) for pair in shuffled[:size]], {})
        shuffled = shuffled[size:]
    pieces.apply([], {"email:0": 1})

    assert pieces.places() == whole.places()


@settings(max_examples=200)
@given(limits, st.lists(st.sampled_from(_PAIRS), max_size=10), st.lists(st.sampled_from(_PAIRS), max_size=6))
def test_unlinking_undoes_exactly_its_own_effect(limits, kept, taken_back):
    village = Village(limits)
    village.apply([(pair, True) for pair in kept], {})
    before = village.places()
    extra = [pair for pair in taken_back if pair not in village.links]
    village.apply([(pair, True) for pair in extra], {})
    village.apply([(pair, False) for pair in extra], {})
    assert village.places() == before


def test_a_shared_point_connects_nobody_and_lets_go_of_those_it_had_connected():
    village = Village(LIMITS)
    family = [("email:0", f"phone:{number}") for number in range(3)]
    village.apply([(pair, True) for pair in family], {})
    assert {place.first for place in village.places().values() if place.first != "email:0"} >= {"email:1"}
    assert village.components.place("phone:2") == Place("email:0")

    changed = village.apply([(("email:0", "phone:3"), True)], {})

    assert changed["email:0"] == Place("email:0", shared=True)
    assert {name: changed[name] for name in changed if name != "email:0"} == {
        f"phone:{number}": Place(f"phone:{number}") for number in range(3)
    }
    village.apply([(("email:0", "phone:3"), False)], {})
    assert village.components.place("phone:2") == Place("email:0", shared=False)


def test_a_long_chain_is_cut_in_the_middle():
    """Only what the cut touches is told: half of the chain, and nobody else."""
    names = [f"visitor:{number:04}" for number in range(2000)]
    components = Components()
    links = list(pairwise(names))
    random.Random(1).shuffle(links)
    components.apply(linked=links, first_seen=lambda asked: [0] * len(asked))
    changed = components.apply(unlinked=[(names[999], names[1000])], first_seen=lambda asked: [0] * len(asked))
    assert changed == {name: Place(names[1000]) for name in names[1000:]}


@pytest.mark.parametrize("name", ["email:0", "never linked"])
def test_a_name_without_links_belongs_to_itself(name):
    assert Components().place(name) == Place(name)
    assert name not in Components()
