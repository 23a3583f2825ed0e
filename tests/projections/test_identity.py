"""Who is who, on logs in which little else happens: the views equal the oracle, and a decision taken back is undone."""

import random
from itertools import pairwise
from uuid import uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections.as_of import Cut, copy_whole, people
from projections.store import Store
from schemas.contact_points import contact_point_id
from schemas.event import NAMESPACE, build_event
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.oracle import fold as oracle
from tests.oracle.compare import differences, read_view
from tests.oracle.entries import entries_of
from tests.oracle.identity import identify
from tests.projections.test_against_oracle import cut
from tests.villages import point

VIEWS = ("identity_links", "identity_review", "contact_points", "customers")
_TIMES = [NOW.replace(day=day, hour=hour) for day in (1, 2, 3) for hour in (9, 10)]
_STATEMENTS = ("link.asserted", "link.retracted", "link.forbidden", "contact_point.ended")


def _likely_pairs(village, people):
    """A street: everybody has an account, an address and a telephone, and something with the neighbour."""
    own = [
        (f"account:V{village}P{number}", f"email:p{number}@v{village}.example.org", f"phone:+46{village:03}{number:06}")
        for number in range(people)
    ]
    for account, email, phone in own:
        yield from [(account, email)] * 3 + [(account, phone)] * 2 + [(email, phone)]
    for (_, email, phone), (account, other, number) in pairwise(own):
        yield from [(email, number)] * 2 + [(phone, number), (email, other)]
        if number.endswith("4"):
            yield email, account


def happening(pick, pairs, name):
    """One event: evidence for a pair, sometimes with a third point, or a statement about it."""
    one, other = pick(pairs)
    statement = pick([False, False, False, True])
    role = pick(["self"] * 5 + ["mentioned"]) if statement else "self"
    points = [
        point(key, assurance=pick(["attested", "asserted", "asserted", "claimed"]), role=role) for key in (one, other)
    ]
    return build_event(
        "identity" if statement else "phone",
        type=pick(_STATEMENTS) if statement else "caller.verified",
        reference=name,
        event_id=uuid5(NAMESPACE, name),
        occurred_at=pick(_TIMES),
        observed_at=NOW,
        source="test",
        direction="inbound",
        contact_points=points if pick([True] * 5 + [False]) else [*points, point(pick(pick(pairs)))],
    )


def street_log(seed, size, people_a_street=6):
    dice = random.Random(seed)
    streets = [list(_likely_pairs(number, people_a_street)) for number in range(max(1, size // 60))]
    return [happening(dice.choice, dice.choice(streets), f"{seed}.{number}") for number in range(size)]


@st.composite
def street_logs(draw):
    pairs = list(_likely_pairs(0, 3))
    size = draw(st.integers(0, 25))

    def pick(options):
        return options[draw(st.integers(0, len(options) - 1))]

    return [happening(pick, pairs, str(number)) for number in range(size)]


class Folding:
    """A store in memory, folded batch by batch; with `forgetful`, by another folder each time."""

    def __init__(self, *, forgetful=False):
        self.store = Store.in_memory()
        self.store.con.execute("SET arrow_lossless_conversion = true")
        self.forgetful = forgetful
        self.folder = Folder(self.store)
        self.preparer = Preparer(Decoder(REGISTRY))

    def fold(self, *batches):
        for events in batches:
            if self.forgetful:
                self.folder = Folder(self.store)
            self.folder.fold(self.preparer.prepare(records(events)))
        return self

    def view(self, name):
        return read_view(self.store.cursor(), name, NOW if name == "customers" else None)

    def assert_equal(self, events, views=VIEWS):
        expected = oracle(events, NOW)
        for name in views:
            assert not differences(expected[name], self.view(name)), name


@pytest.mark.parametrize(("seed", "forgetful"), [(1, False), (2, False), (3, True)])
def test_in_any_order_and_batches_and_told_twice(seed, forgetful):
    dice, log = random.Random(seed), street_log(seed, 240)
    told = [*log, *dice.sample(log, 60)]
    dice.shuffle(told)
    folding = Folding(forgetful=forgetful).fold(*cut(told, dice, 25))
    folding.assert_equal(log)
    reasons = [row["reason"] for row in folding.view("identity_links")]
    assert all(reasons.count(reason) > 3 for reason in (None, "conflict", "shared", "forbidden"))
    assert {row["reason"] for row in folding.view("identity_review")} == {"shared", "conflict"}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(street_logs(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_random_logs(log, pieces, dice):
    Folding().fold(*cut(log, dice, pieces)).assert_equal(log, ("identity_links", "identity_review", "contact_points"))


def test_no_customer_has_two_accounts_and_links_count_only_within_one():
    folding = Folding().fold(street_log(4, 600))
    for row in folding.view("customers"):
        assert sum(key.startswith("account:") for key in row["contact_points"]) <= 1
    for row in folding.view("identity_links"):
        assert not row["effective"] or row["one_customer_id"] == row["other_customer_id"]


@pytest.mark.parametrize("seed", [5, 6])
def test_as_of_any_cut_they_are_those_of_just_the_events(tmp_path, seed):
    dice, log = random.Random(seed), street_log(seed, 240)
    dice.shuffle(log)
    batches = [batch for batch in cut(log, dice, 8) if batch]
    folding = Folding().fold(*batches)
    for _ in range(4):
        at = Cut(happened=dice.choice([None, *_TIMES]), batch=dice.choice([None, *range(1, len(batches))]))
        just = [
            event
            for number, batch in enumerate(batches, 1)
            for event in batch
            if (at.batch is None or number <= at.batch) and (at.happened is None or event.occurred_at <= at.happened)
        ]
        then = Folding()
        copy_whole(folding.store.cursor(), then.store, at)
        then.assert_equal(just)

        entries = entries_of(just)
        who = identify(entries)
        for key in dice.sample(sorted({named.key for entry in entries for named in entry.points}), 5):
            found = people(folding.store.cursor(), at, [key])
            assert str(contact_point_id(found.first(key))) == who.customer_of(key)
            members = [name for name, customer in who.customer_by_key.items() if customer == who.customer_of(key)]
            assert found.members(key) == sorted(members)


@pytest.mark.parametrize("undoing", ["link.retracted", "link.asserted"])
def test_a_statement_that_is_taken_back_leaves_everybody_as_they_were(undoing):
    """An assertion by a retraction, as long as no evidence stands; a prohibition by an assertion, where a person's
    word had stood before."""
    dice, log = random.Random(7), street_log(7, 180)
    folding = Folding().fold(log)
    before = folding.view("contact_points")
    links = {(row["one"], row["other"]): row for row in folding.view("identity_links")}
    doing = "link.asserted" if undoing == "link.retracted" else "link.forbidden"
    if doing == "link.asserted":
        keys = sorted(row["contact_point"] for row in before)
        strangers = [(one, other) for one in keys for other in keys if one < other and (one, other) not in links]
        pairs = dice.sample([pair for pair in strangers if not pair[1].startswith("account:")], 12)
    else:
        pairs = [pair for pair, row in links.items() if row["verb"] == "asserted"]
    moved = 0
    for number, pair in enumerate(pairs):
        for step, (what, minutes) in enumerate(((doing, 1), (undoing, 2))):
            said = build_event(
                "identity",
                type=what,
                reference=f"{number}.{step}",
                occurred_at=NOW.replace(minute=minutes),
                observed_at=NOW.replace(hour=13),
                source="test",
                direction="report",
                # Not seen: else when they were last seen would change.
                contact_points=[point(key, role="mentioned") for key in pair],
            )
            folding.fold([said])
            same = not differences(before, folding.view("contact_points"))
            moved += not same
        assert same, pair
    assert moved > 3


def test_evidence_that_grows_stronger_is_kept_and_what_was_known_before_still_is():
    """First an assertion by a provider, then a login, then an earlier login: each of them counted for a time."""

    def seen(assurance, day, name):
        keys = ("account:A1", "email:ada@example.org")
        return build_event(
            "phone", type="caller.verified", reference=name, event_id=uuid5(NAMESPACE, name),
            occurred_at=NOW.replace(day=day), observed_at=NOW, source="test", direction="inbound",
            contact_points=[point(key, assurance=assurance) for key in keys],
        )  # fmt: skip

    told = [seen("asserted", 5, "a"), seen("attested", 9, "b"), seen("asserted", 6, "c"), seen("attested", 7, "d"),
            seen("attested", 8, "e"), seen("asserted", 2, "f")]  # fmt: skip
    folding = Folding().fold(*([event] for event in told))
    kept = folding.store.con.execute("SELECT event_id FROM store.links ORDER BY batch").fetchall()
    assert [one for (one,) in kept] == [told[place].event_id for place in (0, 1, 3, 5)]
    for batch in range(1, 7):
        then = Folding()
        copy_whole(folding.store.cursor(), then.store, Cut(batch=batch))
        then.assert_equal(told[:batch], ["identity_links"])
