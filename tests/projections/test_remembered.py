"""What a store remembers about its rows: another meaning asks for the log, other relations for the rows alone."""

import json
from dataclasses import replace

import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections import layout, rebuild, remembered
from projections.compaction import Compaction
from projections.projection import all_projections
from projections.store import Store, open_readonly
from schemas.errors import RebuildNeeded
from schemas.event_types import EVENT_TYPES, UNKNOWN
from tests.folding import REGISTRY, fold, records
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

EVENTS = random_log(51, 240)
KNOWN = {(str(event.channel), event.type) for event in EVENTS}
CHANGED, ABSENT = ("email", "message.opened"), ("phone", "call.busy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "views.duckdb"


@pytest.fixture
def folded(path):
    fold(path, [EVENTS[:150], EVENTS[150:]], compact_after=100).close()
    return path


def with_types(monkeypatch, channel, types):
    monkeypatch.setattr(remembered, "EVENT_TYPES", {**EVENT_TYPES, channel: types})


def other_meaning(monkeypatch, channel, name):
    meaning = EVENT_TYPES[channel][name]
    with_types(
        monkeypatch, channel, {**EVENT_TYPES[channel], name: replace(meaning, touchpoint=not meaning.touchpoint)}
    )


def noted(path, key):
    with open_readonly(path) as con:
        return [value for (value,) in con.execute("SELECT value FROM store.meta WHERE key = ?", [key]).fetchall()]


# --- meaning


def test_a_type_that_means_something_else_asks_for_the_log(folded, monkeypatch):
    assert CHANGED in KNOWN
    count = sum((str(event.channel), event.type) == CHANGED for event in EVENTS)
    before = noted(folded, remembered.MEANING)
    other_meaning(monkeypatch, *CHANGED)
    with pytest.raises(
        RebuildNeeded, match=rf"holds {count} events .*\(email message.opened\).*touchlog rebuild --all --source log"
    ):
        Store.open(folded)
    # Readers go on with what there is, and nothing is said to be what it is not.
    with open_readonly(folded) as con:
        assert con.execute("SELECT count(*) FROM touchlog.interactions").fetchone() == (len(EVENTS),)
    assert noted(folded, remembered.MEANING) == before
    monkeypatch.undo()
    with Store.open(folded) as store:
        assert_equal(store, EVENTS)


def test_many_types_are_named_in_part(folded, monkeypatch):
    types = {name: replace(one, engagement=one.engagement + 1) for name, one in EVENT_TYPES["chat"].items()}
    with_types(monkeypatch, "chat", types)
    more = len({name for channel, name in KNOWN if channel == "chat"}) - 5
    with pytest.raises(RebuildNeeded, match=rf"\((chat [a-z_.]+, ){{4}}chat [a-z_.]+ and {more} more types\)"):
        Store.open(folded)


def test_a_type_that_is_not_in_the_store_may_mean_something_else(folded, monkeypatch):
    with fold(folded.with_name("other.duckdb"), [[one for one in EVENTS if one.type != ABSENT[1]]]) as store:
        path = store.path
    other_meaning(monkeypatch, *ABSENT)
    Store.open(path).close()
    [told] = noted(path, remembered.MEANING)
    assert json.loads(told) == remembered.meaning()
    # From here on that is what the store means.
    monkeypatch.undo()
    with Store.open(path) as store:
        assert_equal(store, [one for one in EVENTS if one.type != ABSENT[1]])


def test_a_new_type_may_be_one_that_was_not_known(path, monkeypatch):
    known = [event for event in EVENTS if event.channel == "chat" and event.type != UNKNOWN]
    for name, events in (("without", known), ("with", [known[0].model_copy(update={"type": UNKNOWN}), *known[1:]])):
        fold(path.with_name(f"{name}.duckdb"), [events]).close()
    with_types(monkeypatch, "chat", {**EVENT_TYPES["chat"], "poll.answered": EVENT_TYPES["chat"]["message.received"]})
    Store.open(path.with_name("without.duckdb")).close()
    with pytest.raises(RebuildNeeded, match=r"\(chat unknown\)"):
        Store.open(path.with_name("with.duckdb"))


def test_a_new_type_that_says_nothing_asks_for_nothing(path, monkeypatch):
    known = [event for event in EVENTS if event.channel == "chat"]
    fold(path, [[known[0].model_copy(update={"type": UNKNOWN}), *known[1:]]]).close()
    with_types(monkeypatch, "chat", {**EVENT_TYPES["chat"], "poll.closed": EVENT_TYPES["chat"][UNKNOWN]})
    Store.open(path).close()
    [told] = noted(path, remembered.MEANING)
    assert json.loads(told)["types"]["chat"]["poll.closed"] == {}


def test_a_type_that_the_program_no_longer_has_asks_for_the_log(folded, monkeypatch):
    assert ("chat", "message.received") in KNOWN
    with_types(
        monkeypatch, "chat", {name: one for name, one in EVENT_TYPES["chat"].items() if name != "message.received"}
    )
    with pytest.raises(RebuildNeeded, match=r"\(chat message.received\)"):
        Store.open(folded)


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (layout, "FOLD", layout.FOLD + 1),
        (remembered, "LIMITS", {**remembered.LIMITS, "email": {**remembered.LIMITS["email"], "phone": 9}}),
        (remembered, "JOINING", remembered.JOINING | {"claimed"}),
        (remembered, "OUR_STEPS", remembered.OUR_STEPS - {"failed"}),
    ],
)
def test_other_rules_of_folding_ask_for_the_log(folded, path, monkeypatch, where, name, value):
    monkeypatch.setattr(where, name, value)
    with pytest.raises(RebuildNeeded, match=f"{len(EVENTS)} events that were folded by other rules"):
        Store.open(folded)


def test_an_empty_store_takes_any_meaning(path, monkeypatch):
    Store.open(path).close()
    monkeypatch.setattr(layout, "FOLD", layout.FOLD + 1)
    other_meaning(monkeypatch, *CHANGED)
    Store.open(path).close()
    [told] = noted(path, remembered.MEANING)
    assert json.loads(told) == remembered.meaning()


def test_what_nobody_released_asks_for_the_log(folded):
    with Store.open(folded) as store:
        store.con.execute("DELETE FROM store.meta")
        store.con.execute("INSERT INTO store.meta VALUES ('layout', ?)", [f"{layout.LAYOUT}-0123456789abcdef"])
    with pytest.raises(RebuildNeeded, match="other rules"):
        Store.open(folded)


def test_a_new_sort_of_conclusion_leaves_types_alone_that_have_none():
    [(channel, types), *_] = remembered.meaning()["types"].items()
    assert types[UNKNOWN] == {}
    assert types["message.opened"] == {"customer": True, "engagement": 1, "item": "opened"}, channel


# --- relations


def tampered(path):
    """States that nothing derives from these events, as if other relations had made them."""
    with Store.open(path) as store:
        for one in store.folded():
            for part in store.parts(one.schema):
                store.con.execute(f"DELETE FROM {part.table}")
        with pytest.raises(AssertionError):
            assert_equal(store, EVENTS)


def test_other_relations_have_states_built_anew(folded):
    tampered(folded)
    with Store.open(folded) as store:
        store.con.execute("UPDATE store.meta SET value = 'others' WHERE key = 'relations'")
    with Store.open(folded) as store:
        assert_equal(store, EVENTS)
        assert not any(store.is_based(one) for one in store.folded())
        Compaction(store, after=10**9).finish()
        assert all(store.is_based(one) for one in store.folded())
        assert_equal(store, EVENTS)
    assert noted(folded, remembered.RELATIONS) == [remembered.relations()]
    with Store.open(folded) as store:
        assert all(store.is_based(one) for one in store.folded())


def test_a_version_that_was_ready_is_built_again(folded):
    items = next(one for one in all_projections() if one.name == "items")
    with Store.open(folded) as store:
        rebuild.begin(store, [items], {})
        Compaction(store, after=10**9).finish()
        rebuild.settle(store, store.positions())
        assert [version.state for version in store.versions() if version.name == "items"] == ["live", "ready"]
        store.con.execute("UPDATE store.meta SET value = 'others' WHERE key = 'relations'")
    with Store.open(folded) as store:
        assert [version.state for version in store.versions() if version.name == "items"] == ["live", "building"]
        Compaction(store, after=10**9).finish()
        rebuild.settle(store, store.positions())
        rebuild.switch(store, ["items"])
        assert_equal(store, EVENTS)


def test_relations_are_compared_without_comments_and_white_space(monkeypatch):
    before = remembered.relations()
    monkeypatch.setattr(
        remembered,
        "DERIVED",
        {name: f"-- said otherwise\n{sql}\n" for name, sql in remembered.DERIVED.items()},
    )
    assert remembered.relations() == before
    monkeypatch.setattr(
        remembered, "DERIVED", {name: sql.replace("max_by", "min_by") for name, sql in remembered.DERIVED.items()}
    )
    assert remembered.relations() != before


def test_dead_letters_tell_what_rows_meant(folded, monkeypatch):
    with Store.open(folded) as store:
        label = store.layout
        batch = records(EVENTS[:1])
        batch.values[0] = b"none"
        Folder(store).fold(Preparer(Decoder(REGISTRY)).prepare(batch))
        assert store.con.execute("SELECT layout FROM touchlog.dead_letters").fetchall() == [(label,)]
    assert label.startswith(f"{layout.LAYOUT}-")
    monkeypatch.setattr(layout, "FOLD", layout.FOLD + 1)
    assert remembered.label.__wrapped__() != label
