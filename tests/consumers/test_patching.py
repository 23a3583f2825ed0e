"""Dead letters read as far as it goes, and mended by hand."""

from dataclasses import replace

import pytest

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.letters import Letter, decoded, names, valid_id
from consumers.patching import merged, patched_value
from consumers.prepare import Preparer
from consumers.redrive import Asked
from projections.store import Store
from schemas.codec import encode, micros
from schemas.errors import ConfigurationError, InvalidEvent, UndecodableRecord
from schemas.topics import topic_of
from tests.consumers.poison import POISON, framed, in_header_form
from tests.consumers.redriving import again, all_letters, bad_and_good
from tests.folding import REGISTRY
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

CHAT = topic_of("chat")


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


# --- mended by hand


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    # The examples of RFC 7386, appendix A.
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_the_rfcs(target, patch, result):
    assert merged(target, patch) == result


@pytest.mark.parametrize("header_form", [False, True])
def test_a_patched_record_is_folded_and_the_bytes_of_both_are_kept(store, header_form):
    prepared, events, bad = bad_and_good(210, 200)
    batch, at = prepared.batch, events.index(bad)
    if header_form:
        _, headers = in_header_form(bad)
        batch.values[at], batch.headers[at] = (
            framed(bad, survey={"kind": "nps", "score": 11, "scale_max": 10})[5:],
            headers,
        )
        prepared = Preparer(Decoder(REGISTRY)).prepare(batch)
    folder = Folder(store)
    folder.fold(prepared)
    told = again(folder, store, Asked(patch={"survey": None}))
    assert (told.redriven, told.parked) == (1, 0)
    assert_equal(store, events)
    (letter,) = all_letters(store)
    assert (letter.state, letter.value) == ("redriven", batch.values[at])
    ((patched,),) = store.con.execute("SELECT patched FROM store.redrives").fetchall()
    assert decoded(patched, letter.headers, REGISTRY).record["survey"] is None


def test_times_in_a_patch_may_be_written_as_people_do_and_types_with_their_dot():
    event = next(event for event in random_log(211, 50) if event.channel == "chat")
    letter = _letter(framed(event, occurred_at=0))
    patch = {
        "occurred_at": "2026-03-02T09:14:05+01:00",
        "type": "conversation.resolved",
        "attributes": {"mended": "yes"},
    }
    record = decoded(patched_value(letter, patch, REGISTRY), (), REGISTRY).record
    assert record["occurred_at"] == 1_772_439_245_000_000
    assert record["type"] == "conversation_resolved"
    assert record["attributes"] == {**event.attributes, "mended": "yes"}
    assert record["event_id"] == str(event.event_id)
    assert record["observed_at"] == micros(event.observed_at)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"occurred_at": "yesterday"}, "patch: occurred_at: not ISO 8601"),
        ({"occurred_at": "2026-03-02T09:14:05"}, "patch: occurred_at: not ISO 8601 with an offset"),
        ({"occurred_at": None}, "patch: not of the schema's type: occurred_at"),
        ({"source": 7}, "patch: not of the schema's type: source"),
        ({"survey": {"kind": "hush"}}, "patch: not of the schema's type: "),
        ({"nosuch": "hush"}, "patch: 1 members are no fields of the record's schema"),
        ({"observed_at": 2**80}, "patch: not of the schema's type: observed_at"),
    ],
)
def test_a_patch_that_makes_no_record_is_told_by_its_field(patch, said):
    event = next(event for event in random_log(212, 50) if event.channel == "chat")
    with pytest.raises(InvalidEvent) as told:
        patched_value(_letter(framed(event)), patch, REGISTRY)
    assert str(told.value).startswith(said)
    assert "hush" not in str(told.value)


def test_a_patch_that_does_not_help_leaves_it_parked_with_its_own_error(store):
    prepared, *_ = bad_and_good(213, 60)
    folder = Folder(store)
    folder.fold(prepared)
    for tries, patch in ((2, {"source": 7}), (3, {"survey": {"score": 12}}), (4, {"source": ""})):
        told = again(folder, store, Asked(patch=patch))
        assert (told.looked_at, told.parked) == (1, 1)
        (letter,) = all_letters(store)
        assert (letter.attempts, letter.stage, letter.state) == (tries, "check", "parked")
        assert letter.error_message == "survey.score: not on its scale"


def test_bytes_that_cannot_be_read_take_a_whole_event_and_no_patch(store):
    prepared, events, bad = bad_and_good(214, 60, "cut in half")
    folder = Folder(store)
    folder.fold(prepared)
    told = again(folder, store, Asked(patch={"topic": "delivery"}))
    assert told.letters[0]["error_message"].endswith("give the whole event with --patch")
    (letter,) = all_letters(store)
    schema_id, schema = REGISTRY.current("chat")
    value = encode(bad, schema_id=schema_id, schema=schema)
    asked = replace(Asked.from_json({"ids": [letter.id]}), value=value)
    assert again(folder, store, Asked.from_json(asked.to_json())).redriven == 1
    assert_equal(store, events)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"id": "x"},
        {"ids": "interactions.chat:0:1"},
        {"ids": ["interactions.chat"]},
        {"classes": [7]},
        {"dry_run": 1},
        {"patch": "x"},
        {"value": "AA=="},
        {"ids": ["interactions.chat:0:1"], "value": "not base64!"},
    ],
)
def test_what_cannot_be_asked_is_refused(content):
    with pytest.raises(ConfigurationError):
        Asked.from_json(content)


def test_ids_are_topic_partition_and_offset():
    assert valid_id("interactions.chat:0:17") == "interactions.chat:0:17"
    for wrong in ("", "interactions.chat", "interactions.chat:0", "interactions.chat:a:1", ":0:1", "a:0:-1"):
        with pytest.raises(ConfigurationError):
            valid_id(wrong)


# --- what can be read of them


def test_a_record_is_read_as_far_as_it_goes():
    event = next(event for event in random_log(215, 50) if event.channel == "chat")
    whole = decoded(framed(event), (), REGISTRY)
    assert whole.record["event_id"] == str(event.event_id)
    assert whole.problem is None
    cut = framed(event)[:-4]
    half = decoded(cut, (), REGISTRY)
    assert half.record is None
    assert half.problem.startswith("not a datum of its schema")
    assert half.fields.items() <= whole.record.items()
    assert half.fields["event_id"] == str(event.event_id)
    assert event.primary.key in names(_letter(cut), half)
    for value, headers in ((None, ()), (b"", ()), (b"\x07abc", ()), POISON["unknown GUID"].make(event)):
        nothing = decoded(value, headers, REGISTRY)
        assert (nothing.record, nothing.fields) == (None, {})
        assert nothing.problem
    assert decoded(*in_header_form(event), REGISTRY).record == whole.record


@pytest.mark.parametrize("name", POISON)
def test_nothing_that_was_parked_cannot_be_looked_at(name):
    event = next(event for event in random_log(216, 50) if event.channel == "chat")
    value, headers = POISON[name].make(event)
    found = decoded(value, headers, REGISTRY)
    assert (found.record is None) == (found.problem is not None)
    assert isinstance(names(_letter(value), found), set)
    with pytest.raises((UndecodableRecord, InvalidEvent)):
        patched_value(_letter(value, headers), {"nosuch": 1}, REGISTRY)


def _letter(value, headers=()):
    now = random_log(1, 1)[0].observed_at
    return Letter(
        id="interactions.chat:0:0", topic=CHAT, partition=0, offset=0, timestamp=None, key=None, value=value,
        headers=headers, schema_id=None, projection="views", layout="", stage="", error_class="", error_message="",
        batch=1, state="parked", attempts=1, first_seen=now, last_attempt=now,
    )  # fmt: skip
