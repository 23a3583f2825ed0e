"""The fold's memory is a cache: read again at any moment it is the same, and an error leaves nothing behind."""

import random
from copy import deepcopy
from dataclasses import replace

import pyarrow as pa
import pytest

from consumers.decode import Decoder
from consumers.fold import Folded, Folder
from consumers.poison import refused
from consumers.prepare import Preparer
from consumers.projector import Projector
from log.embedded import EmbeddedLog
from log.log import TopicPartition
from projections.store import Store
from schemas.errors import OffsetConflict
from schemas.event import build_event
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.projections.test_against_oracle import assert_equal, cut
from tests.strategies import random_log
from tests.villages import point

AT = TopicPartition("interactions.chat", 0)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


def prepared(events, end=None):
    """A batch; `end` is where it says that its partition is read on."""
    batch = records(events)
    if end is not None:
        batch.next_positions[AT] = end
    return Preparer(Decoder(REGISTRY)).prepare(batch)


def _cache(folder):
    """What a folder remembers now, but for what says nothing."""
    people, threads = folder._people.graph, folder._threads
    found = {
        "positions": folder.positions,
        "batch": folder.batch,
        "ids": _seen(folder._seen),
        "evidence": folder._people.evidence,
        "statements": folder._people.statements,
        "edges": folder._edges,
        "points seen": _seen(people.seen),
        "threads seen": _seen(threads.seen),
        **{
            f"{name} {what}": value
            for name, graph in (("people", people), ("threads", threads))
            for what, value in _graph(graph.components).items()
        },
    }
    return deepcopy(found)


def _seen(seen):
    return {
        uuid: moment for run in seen._runs for uuid, moment in zip(run.ids.to_uuids(), run.times.tolist(), strict=True)
    }


def _graph(components):
    linked = {name: others for name, others in components.links.items() if others}
    return {
        "links": linked,
        "seen": {name: components.seen[name] for name in linked},
        "places": {name: place for name, place in components.places.items() if place.first != name or place.shared},
        "members": components.members,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_read_again_it_is_what_was_built(store, seed):
    dice = random.Random(seed)
    log = random_log(seed, 500)
    events = [*log, *dice.sample(log, 60)]
    dice.shuffle(events)
    folder = Folder(store)
    for batch in cut(events, dice, 12):
        folder.fold(prepared(batch))
        assert _cache(Folder(store)) == _cache(folder)
    built = _cache(folder)
    assert built["people links"]
    assert built["threads links"]
    assert built["statements"]
    folder.reload()
    assert _cache(folder) == built


def test_a_start_between_any_two_batches_changes_nothing(store):
    log = random_log(4, 400)
    for batch in cut(log, random.Random(4), 15):
        Folder(store).fold(prepared(batch))
    assert_equal(store, log)


def test_cases_of_an_identity_event_connect_no_conversations(store):
    """Neither at once nor after a start: such an event belongs to no conversation."""
    both = [point("email:ada@example.org"), point("account:A1")]
    common = {"observed_at": NOW, "source": "test", "contact_points": both, "case_refs": ("A-1",)}
    earlier = build_event(
        "identity",
        type="link.asserted",
        reference="1",
        occurred_at=NOW.replace(year=2020),
        direction="inbound",
        **common,
    )
    mails = [
        build_event(
            "email",
            type="message.received",
            reference=ref,
            conversation_ref=ref,
            message_ref=ref,
            occurred_at=NOW,
            direction="inbound",
            **common,
        )
        for ref in ("2", "3")
    ]
    folder = Folder(store)
    folder.fold(prepared([earlier]))
    assert _cache(Folder(store)) == _cache(folder)
    Folder(store).fold(prepared(mails))
    assert_equal(store, [earlier, *mails])


# --- what cannot be committed


def test_a_second_writer_is_told_and_nothing_of_its_batch_is_kept(tmp_path):
    events = random_log(5, 90)
    with Store.open(tmp_path / "views.duckdb") as one, Store.open(tmp_path / "views.duckdb") as other:
        first, zombie = Folder(one), Folder(other)
        first.fold(prepared(events[:30], 30))
        with pytest.raises(OffsetConflict, match="another projector"):
            zombie.fold(prepared(events[30:60], 60))
        # It has read its caches again: the same events are no duplicates of what was rolled back.
        assert zombie.fold(prepared(events[30:60], 60)).applied == 30
        with pytest.raises(OffsetConflict):
            first.fold(prepared(events[60:], 90))
        first.fold(prepared(events[60:], 90))
        assert _cache(Folder(one)) == _cache(first)
        assert one.positions() == {AT: 90}
        assert_equal(one, events)


def test_offsets_are_compared_even_when_no_event_is_new(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as one, Store.open(tmp_path / "views.duckdb") as other:
        first, zombie = Folder(one), Folder(other)
        first.begin({AT: 5}, {AT: 7})
        with pytest.raises(OffsetConflict):
            zombie.begin({AT: 0}, {AT: 7})
        with pytest.raises(OffsetConflict):
            zombie.fold(prepared([], 3))
        assert one.positions() == {AT: 5}


def test_an_error_in_the_middle_of_the_fold_leaves_the_batch_before(store):
    events = random_log(6, 200)
    folder = Folder(store)
    folder.fold(prepared(events[:100], 100))
    before = _cache(folder)
    good = prepared(events[100:], 200)

    with pytest.raises(ValueError, match="fromhex"):
        # Everything but threads has been written by then.
        folder.fold(replace(good, edges=[(0, "thread", "case")]))
    with pytest.raises(OverflowError):
        # Everything but the offsets.
        folder.fold(good, ends={AT: 2**70})

    assert store.positions() == {AT: 100}
    folder.reload()
    assert _cache(folder) == before
    assert folder.fold(good) == Folded(read=100, applied=100, duplicates=0, parked=0)
    assert_equal(store, events)


# --- what the store refuses


def _doctored(good, *rows):
    """Some rows with a thread that is no UUID, which no check before the store looks at."""
    threads = [None if uuid is None else str(uuid) for uuid in good.events["thread_id"].to_pylist()]
    for row in rows:
        threads[row] = "not a UUID"
    at = good.events.column_names.index("thread_id")
    return replace(good, events=good.events.set_column(at, "thread_id", pa.array(threads, pa.string())))


@pytest.mark.parametrize("rows", [[0], [17], [49], [3, 4, 40], list(range(50))])
def test_refused_rows_are_found_without_the_store(rows):
    good = prepared(random_log(7, 50))
    bad = refused(_doctored(good, *rows))
    assert [record.place for record in bad] == [good.places[row] for row in rows]
    assert {(record.stage, str(record.error)) for record in bad} == {
        ("fold", "refused by the store: ConversionException")
    }
    assert refused(good) == []


def test_refused_rows_are_parked_and_the_rest_goes_on(tmp_path, store):
    events = random_log(8, 50)
    good = prepared(events, 50)
    lost = {events[good.places[row]].event_id for row in (5, 30)}
    with EmbeddedLog(tmp_path / "log.sqlite") as log:
        projector = Projector(log, store, REGISTRY)
        folded = projector._fold(_doctored(good, 5, 30), {})

    assert folded == Folded(read=50, applied=48, duplicates=0, parked=2)
    assert_equal(store, [event for event in events if event.event_id not in lost])
    assert store.positions() == {AT: 50}
    letters = store.con.execute("SELECT value FROM touchlog.dead_letters WHERE stage = 'fold'").fetchall()
    values = [good.batch.values[good.places[row]] for row in (5, 30)]
    assert sorted(letters) == sorted((value,) for value in values)
