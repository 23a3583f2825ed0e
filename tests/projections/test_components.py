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

limits = st.sampled_from([{}, {}, _TIGHT, LIMITS])
uniques = st.sampled_from([{"account"}, {"account"}, {"account", "phone"}, set()])
strengths = st.tuples(st.integers(0, 2), st.integers(0, 3))
batches = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(_PAIRS), st.none() | strengths), max_size=8),
        st.dictionaries(st.sampled_from(_NAMES), st.integers(0, 5), max_size=2),
    ),
    max_size=10,
)
"""(pairs and how strongly they are linked now, None for no longer; names and when they were seen)"""
PLAIN = (1, 0)


class Village:
    """A graph kept up bit by bit, and what it ought to hold."""

    def __init__(self, limits, unique=frozenset({"account"})):
        self.links = {}
        self.components = Components(limits=limits, unique=unique, strength=lambda pair: self.links[pair])
        self.limits, self.unique = limits, unique
        self.seen = {name: 6 + place % 3 for place, name in enumerate(_NAMES)}
        self.told = {}

    def apply(self, changes, moments):
        wanted = dict(changes)
        linked = [pair for pair, strength in wanted.items() if strength and pair not in self.links]
        known = {pair: strength for pair, strength in wanted.items() if strength and pair in self.links}
        stronger = [pair for pair, strength in known.items() if strength < self.links[pair]]
        weaker = [pair for pair, strength in known.items() if strength > self.links[pair]]
        unlinked = [pair for pair, strength in wanted.items() if not strength and pair in self.links]
        self.links |= {pair: strength for pair, strength in wanted.items() if strength}
        for pair in unlinked:
            del self.links[pair]
        earlier = {name: moment for name, moment in moments.items() if moment < self.seen[name]}
        self.seen |= earlier
        # The fold tells only of names that have, or had, links.
        known = {name: moment for name, moment in earlier.items() if name in self.components}
        changed = self.components.apply(
            linked=linked,
            unlinked=unlinked,
            stronger=stronger,
            weaker=weaker,
            earlier=known,
            first_seen=lambda names: [self.seen[name] for name in names],
        )
        self.told |= changed
        return changed

    def places(self):
        return {name: self.components.place(name) for name in _NAMES}


def at_once(links, seen, limits, unique):
    """Where every name belongs: shared by its links, then connected over unshared ones, the strongest first and never
    two of a unique kind, known by its first."""
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
    for one, other in sorted(links, key=lambda pair: (links[pair], pair)):
        kinds = [name.partition(":")[0] for name in group[one] | group[other]]
        if not {one, other} & shared and all(kinds.count(kind) < 2 for kind in unique):
            group[one] |= group[other]
            for name in group[other]:
                group[name] = group[one]
    return {name: Place(min(group[name], key=lambda member: (seen[member], member)), name in shared) for name in _NAMES}


@settings(max_examples=400)
@given(limits, uniques, batches)
def test_after_every_batch_as_if_computed_at_once(limits, unique, batches):
    village = Village(limits, unique)
    for changes, moments in batches:
        before = village.places()
        changed = village.apply(changes, moments)
        wanted = at_once(village.links, village.seen, limits, unique)
        assert village.places() == wanted
        # What is told is what changed, no more and no less: it becomes rows.
        assert changed == {name: place for name, place in wanted.items() if place != before[name]}
        assert village.told | {name: Place(name) for name in _NAMES if name not in village.told} == wanted
        assert village.components.members == members(wanted)


def members(places):
    groups = {}
    for name, place in places.items():
        groups.setdefault(place.first, set()).add(name)
    return {first: names for first, names in groups.items() if len(names) > 1}


@settings(max_examples=200)
@given(
    limits,
    uniques,
    st.dictionaries(st.sampled_from(_PAIRS), strengths, max_size=14).map(lambda found: list(found.items())),
    st.randoms(use_true_random=False),
)
def test_no_order_and_no_cut_matters(limits, unique, pairs, dice):
    whole = Village(limits, unique)
    whole.apply(pairs, {"email:0": 1})

    pieces = Village(limits, unique)
    shuffled = dice.sample(pairs, len(pairs))
    pieces.apply([(pair, dice.choice([None, (0, 0), (2, 2)])) for pair, _ in shuffled], {})
    while shuffled:
        size = dice.randint(1, 4)
        pieces.apply(shuffled[:size], {})
        shuffled = shuffled[size:]
    pieces.apply([], {"email:0": 1})

    assert pieces.places() == whole.places()


@settings(max_examples=200)
@given(
    limits,
    st.dictionaries(st.sampled_from(_PAIRS), strengths, max_size=12),
    st.dictionaries(st.sampled_from(_PAIRS), strengths, max_size=6),
)
def test_unlinking_undoes_exactly_its_own_effect(limits, kept, taken_back):
    village = Village(limits)
    village.apply(kept.items(), {})
    before = village.places()
    village.apply(taken_back.items(), {})
    village.apply([(pair, kept.get(pair)) for pair in taken_back], {})
    assert village.places() == before


def test_a_shared_point_connects_nobody_and_lets_go_of_those_it_had_connected():
    village = Village(LIMITS)
    family = [("email:0", f"phone:{number}") for number in range(3)]
    village.apply([(pair, PLAIN) for pair in family], {})
    assert {place.first for place in village.places().values() if place.first != "email:0"} >= {"email:1"}
    assert village.components.place("phone:2") == Place("email:0")

    changed = village.apply([(("email:0", "phone:3"), PLAIN)], {})

    assert changed["email:0"] == Place("email:0", shared=True)
    assert {name: changed[name] for name in changed if name != "email:0"} == {
        f"phone:{number}": Place(f"phone:{number}") for number in range(3)
    }
    village.apply([(("email:0", "phone:3"), None)], {})
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


_WAY = [("account:0", "email:0"), ("email:0", "phone:0"), ("email:1", "phone:0"), ("account:1", "email:1")]


@pytest.mark.parametrize("weakest", range(4))
def test_of_the_way_from_one_account_to_another_the_weakest_link_is_left_out(weakest):
    village = Village(LIMITS)
    village.apply([(pair, (2, 9) if place == weakest else (2, place)) for place, pair in enumerate(_WAY)], {})
    one, other = (village.components.place(name).first for name in _WAY[weakest])
    assert one != other
    assert all(
        len({village.components.place(name).first for name in pair}) == 1
        for place, pair in enumerate(_WAY)
        if place != weakest
    )
    # A person's word for the very link moves the cut to the next weakest.
    village.apply([(_WAY[weakest], (0, 99))], {})
    assert len({village.components.place(name).first for name in _WAY[weakest]}) == 1
    assert village.components.place("account:0").first != village.components.place("account:1").first


def test_of_equally_strong_links_the_names_decide():
    village = Village(LIMITS)
    village.apply([(pair, PLAIN) for pair in _WAY], {})
    who = {name: village.components.place(name).first for pair in _WAY for name in pair}
    assert who["account:0"] == who["email:0"] == who["phone:0"] != who["email:1"] == who["account:1"]


def test_what_two_accounts_contend_for_is_one_again_when_one_of_them_goes():
    village = Village(LIMITS)
    village.apply([(pair, PLAIN) for pair in _WAY], {})
    assert village.components.place("email:1") != village.components.place("email:0")
    village.apply([(_WAY[-1], None)], {})
    assert len({village.components.place(name).first for pair in _WAY[:-1] for name in pair}) == 1


def test_a_chain_of_a_thousand_accounts_is_as_many_people():
    """Each of them keeps its own address, and of the links between them not one counts."""
    own = [(f"account:{number:04}", f"email:{number:04}") for number in range(1000)]
    between = [(one[1], other[1]) for one, other in pairwise(own)]
    strength = {**dict.fromkeys(own, (1, 0)), **dict.fromkeys(between, (2, 0))}
    components = Components(limits=LIMITS, unique={"account"}, strength=strength.__getitem__)
    links = [*own, *between]
    random.Random(2).shuffle(links)
    components.apply(linked=links, first_seen=lambda asked: [0] * len(asked))
    assert {components.place(email).first for _, email in own} == {account for account, _ in own}


@pytest.mark.parametrize("seed", range(6))
def test_long_random_histories_are_as_if_computed_at_once(seed):
    """Many accounts, many links left out, and every change in the middle of what the others have made."""
    dice, limits_of = random.Random(seed), [{}, _TIGHT, LIMITS]
    limits = limits_of[seed % 3]
    village = Village(limits)
    left_out = 0
    for _ in range(300):
        changes = {}
        for pair in dice.sample(_PAIRS, dice.choice([1, 1, 2, 5])):
            # Mostly as few links as there are names, so that what is linked is not all one.
            known = pair in village.links
            gone = dice.random() < (0.6 if known or len(village.links) > 22 else 0.1)
            changes[pair] = None if gone else (dice.randrange(3), dice.randrange(4))
        village.apply(changes.items(), {})
        wanted = at_once(village.links, village.seen, limits, village.unique)
        assert village.places() == wanted
        assert village.components.members == members(wanted)
        left_out += sum(
            wanted[one].first != wanted[other].first and not (wanted[one].shared or wanted[other].shared)
            for one, other in village.links
        )
    assert left_out > 100 or limits is not limits_of[0]


@pytest.mark.parametrize("name", ["email:0", "never linked"])
def test_a_name_without_links_belongs_to_itself(name):
    assert Components().place(name) == Place(name)
    assert name not in Components()
