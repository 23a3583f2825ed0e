"""Dead letters folded after all: the same views as if they had never been bad, counted once, whatever happens."""

import random
import threading
import time
from concurrent.futures import wait

import pytest

from consumers.decode import Decoder
from consumers.errands import Errands
from consumers.fold import Folded, Folder
from consumers.letters import Wanted
from consumers.prepare import Preparer
from consumers.projector import Projector
from consumers.redrive import Asked, redrive
from log.log import TopicPartition
from projections.store import Store
from schemas.errors import StoreBusy
from schemas.topics import topic_of
from tests.consumers.poison import POISON, put
from tests.consumers.publishing import append, publish
from tests.consumers.redriving import YOUNG, again, all_letters, bad_and_good, batch_of, counts, states
from tests.folding import REGISTRY, records
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log
from tests.villages import repeated

AT = TopicPartition("interactions.chat", 0)
CHAT = topic_of("chat")


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


# --- once the cause is gone


def test_once_the_schema_is_known_all_is_as_if_it_had_always_been(store):
    events = random_log(201, 600)
    chats = sum(event.channel == "chat" for event in events)
    folder = Folder(store)
    for start in range(0, 600, 150):
        folder.fold(batch_of(events[start : start + 150], start=start, registry=YOUNG))
    assert counts(store) == (600, 600 - chats, 0, chats)

    told = again(folder, store)

    assert (told.looked_at, told.redriven, told.duplicates, told.parked) == (chats, chats, 0, 0)
    assert counts(store) == (600, 600, 0, 0)
    assert states(store) == {"redriven": chats}
    assert_equal(store, events)
    ids = {one["event_id"] for one in told.letters}
    assert ids == {str(event.event_id) for event in events if event.channel == "chat"}

    for _ in range(2):
        assert again(folder, store).looked_at == 0
    assert counts(store) == (600, 600, 0, 0)
    # What is remembered is what was written: a start reads the same.
    assert Folder(store).fold(batch_of(events)).duplicates == 600


def test_offsets_and_places_in_the_log_stay(store):
    events = [event for event in random_log(202, 200) if event.channel == "chat"]
    folder = Folder(store)
    first = batch_of(events, start=40, registry=YOUNG)
    first.next_positions[AT] = 40 + len(events)
    folder.fold(first)
    before = store.positions()
    again(folder, store)
    assert store.positions() == before == folder.positions == {AT: 40 + len(events)}
    found = store.con.execute("SELECT event_id, log_offset FROM touchlog.interactions").fetchall()
    assert dict(found) == {event.event_id: 40 + at for at, event in enumerate(events)}


def test_an_event_that_came_by_another_way_is_a_duplicate_then(store):
    events = random_log(203, 200)
    chats = [event for event in events if event.channel == "chat"]
    folder = Folder(store)
    folder.fold(batch_of(events, registry=YOUNG))
    folder.fold(batch_of(chats[:5], start=1000))
    told = again(folder, store)
    assert (told.redriven, told.duplicates, told.parked) == (len(chats) - 5, 5, 0)
    assert counts(store) == (205, 200, 5, 0)
    assert states(store) == {"redriven": len(chats) - 5, "duplicate": 5}
    assert_equal(store, events)


def test_letters_that_repeat_one_another_are_applied_once(store):
    chats = [event for event in random_log(204, 200) if event.channel == "chat"]
    folder = Folder(store)
    folder.fold(batch_of([*chats, *map(repeated, chats)], registry=YOUNG))
    told = again(folder, store)
    assert (told.redriven, told.duplicates) == (len(chats), len(chats))
    assert_equal(store, chats)


@pytest.mark.parametrize("name", POISON)
def test_what_is_still_bad_stays_parked_and_has_been_tried_once_more(store, name):
    events = random_log(205, 8)
    batch = records(events[:7])
    value, headers = POISON[name].make(events[7])
    put(batch, events[7], (value, headers))
    folder = Folder(store)
    folder.fold(Preparer(Decoder(REGISTRY)).prepare(batch))
    before = counts(store)
    for tries in (2, 3):
        told = again(folder, store)
        assert (told.looked_at, told.parked) == (1, 1)
        assert told.letters[0]["error_class"] == POISON[name].error
        (letter,) = all_letters(store)
        assert (letter.state, letter.attempts, letter.stage) == ("parked", tries, POISON[name].stage)
        assert letter.last_attempt > letter.first_seen
        assert (letter.value, list(letter.headers)) == (value, list(headers))
    assert counts(store) == before
    assert_equal(store, events[:7])


def test_the_error_told_is_the_newest_and_what_was_parked_first_stays_known(store):
    (event,) = [event for event in random_log(206, 60) if event.channel == "chat"][:1]
    batch = records([event])
    batch.values[0] = POISON["off the scale"].make(event)[0]
    folder = Folder(store)
    folder.fold(Preparer(Decoder(YOUNG)).prepare(batch))
    again(folder, store)
    (letter,) = all_letters(store)
    assert (letter.stage, letter.error_class) == ("check", "InvalidEvent")
    assert letter.error_message == "survey.score: not on its scale"
    first = store.con.execute("SELECT stage, error_class, projection, layout FROM store.dead_letters").fetchall()
    assert first == [("schema", "UnknownSchema", "views", store.layout)]


def test_only_those_wanted_are_tried(store):
    events = random_log(207, 300)
    batch = records(events)
    bad = [at for at, event in enumerate(events) if event.channel == "email"][:3]
    for at in bad:
        batch.values[at] = b"\x07no event"
    folder = Folder(store)
    folder.fold(Preparer(Decoder(YOUNG)).prepare(batch))
    chats = sum(event.channel == "chat" for event in events)
    for wanted, looked_at in (
        (Wanted(classes=("InvalidEvent",)), 0),
        (Wanted(stages=("frame",)), 3),
        (Wanted(classes=("UndecodableRecord", "InvalidEvent")), 3),
        (Wanted(ids=(f"interactions.email:0:{bad[0]}", "interactions.email:0:99999")), 1),
        (Wanted(stages=("frame",), classes=("UnknownSchema",)), 0),
        (Wanted(stages=("schema",)), chats),
    ):
        assert again(folder, store, Asked(wanted=wanted)).looked_at == looked_at
    assert states(store) == {"parked": 3, "redriven": chats}


def test_a_dry_run_foresees_what_will_come_and_changes_nothing(store):
    events = random_log(208, 300)
    chats = [event for event in events if event.channel == "chat"]
    batch = records(events)
    batch.values[events.index(chats[0])] = POISON["off the scale"].make(chats[0])[0]
    folder = Folder(store)
    folder.fold(Preparer(Decoder(YOUNG)).prepare(batch))
    folder.fold(batch_of(chats[1:4], start=1000))
    before = counts(store), states(store), store.batch
    foreseen = again(folder, store, Asked(dry_run=True))
    assert (counts(store), states(store), store.batch) == before
    assert foreseen.dry_run
    assert (foreseen.redriven, foreseen.duplicates, foreseen.parked) == (len(chats) - 4, 3, 1)
    done = again(folder, store)
    assert foreseen.letters == done.letters


def test_discarded_ones_are_counted_as_parked_and_asked_for_no_more(store):
    prepared, events, _ = bad_and_good(209, 100)
    folder = Folder(store)
    folder.fold(prepared)
    told = again(folder, store, Asked(discard=True))
    assert (told.looked_at, told.discarded) == (1, 1)
    assert states(store) == {"discarded": 1}
    assert counts(store) == (100, 99, 0, 1)
    assert again(folder, store).looked_at == 0
    assert again(folder, store, Asked(discard=True)).looked_at == 0
    # By its name it can be had again.
    (letter,) = all_letters(store)
    assert letter.attempts == 1
    asked = Asked.from_json({"ids": [letter.id], "patch": {"survey": None}})
    assert again(folder, store, asked).redriven == 1
    assert_equal(store, events)


# --- beside the traffic


def test_redriven_while_the_log_is_folded(home):
    """The projector does it between two batches, however many ask; the views are the oracle's."""
    events = random_log(217, 900)
    chats = sum(event.channel == "chat" for event in events)
    with home.open() as log:
        publish(log, events[:300])
    with home.open() as log, Store.open(home.store) as store:
        Projector(log, store, YOUNG).run(until_caught_up=True)
        assert states(store) == {"parked": sum(event.channel == "chat" for event in events[:300])}
    errands, told, deadline = Errands(), [], time.monotonic() + 60
    with home.open() as log, Store.open(home.store) as store:
        projector = Projector(log, store, REGISTRY, batch_size=40, compact_after=150, errands=errands)
        done = threading.Event()

        def traffic():
            with home.open() as another:
                for start in range(300, 900, 60):
                    publish(another, [*events[start : start + 60], *map(repeated, events[:10])])
                    told.append(errands.ask(lambda folder: redrive(folder, store, REGISTRY, Asked())))
            wait(told)
            done.set()

        thread = threading.Thread(target=traffic)
        thread.start()
        reached = lambda: done.is_set() and projector._progress.read == 700  # noqa: E731
        projector.run(stop=lambda: reached() or time.monotonic() > deadline)
        thread.join()
        errands.close()

        assert sum(one.result().redriven for one in told) + sum(one.result().duplicates for one in told) == sum(
            event.channel == "chat" for event in events[:300]
        )
        assert_equal(store, events)
        read, applied, duplicates, parked = counts(store)
        assert (read, applied, parked) == (1000, 900, 0)
        assert read == applied + duplicates + parked
        assert chats


def test_who_asks_a_projector_that_ends_is_told(store):
    errands, folder = Errands(), Folder(store)

    def endless(_):
        while True:
            yield

    first, second = errands.ask(endless), errands.ask(endless)
    assert errands.step(folder)
    errands.close()
    third = errands.ask(endless)
    for future in (first, second, third):
        with pytest.raises(StoreBusy, match="type the command again"):
            future.result(1)
    assert not errands.step(folder)


def test_what_an_errand_raises_goes_to_who_asked_and_nowhere_else(store):
    errands, folder = Errands(), Folder(store)

    def broken(_):
        raise KeyError("x")
        yield

    def fine(given):
        yield
        return given

    one, two = errands.ask(broken), errands.ask(fine)
    while errands.step(folder):
        pass
    assert isinstance(one.exception(1), KeyError)
    assert two.result(1) is folder


# --- a new store from the same log


def test_a_rebuild_parks_again_what_is_bad_in_the_log_and_nothing_else(home):
    events = random_log(218, 300)
    bad = next(event for event in events if event.channel == "chat" and event.survey is None)
    with home.open() as log:
        publish(log, [event for event in events if event is not bad])
        append(log, CHAT, [POISON["off the scale"].make(bad)[0], b"\x07no event"])
    with home.open() as log, Store.open(home.store) as store:
        Projector(log, store, YOUNG).run(until_caught_up=True)
        folder = Folder(store)
        assert again(folder, store, Asked(wanted=Wanted(stages=("schema",)))).parked == 1
        assert again(folder, store, Asked(wanted=Wanted(stages=("check",)), patch={"survey": None})).redriven == 1
        assert states(store)["parked"] == 1
        assert counts(store)[1:] == (300, 0, 1)
        assert_equal(store, events)
    home.store.unlink()
    with home.open() as log, Store.open(home.store) as store:
        Projector(log, store, REGISTRY).run(until_caught_up=True)
        assert counts(store) == (301, 299, 0, 2)
        assert {letter.value for letter in all_letters(store)} == {
            POISON["off the scale"].make(bad)[0],
            b"\x07no event",
        }
        assert_equal(store, [event for event in events if event is not bad])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_any_order_with_any_batches_the_views_are_the_oracles(store, seed):
    dice = random.Random(seed)
    events = random_log(220 + seed, 400)
    arriving = [*events, *map(repeated, dice.sample(events, 80))]
    dice.shuffle(arriving)
    folder, start = Folder(store), 0
    while start < len(arriving):
        size = dice.randint(1, 90)
        registry = dice.choice((YOUNG, REGISTRY))
        folder.fold(batch_of(arriving[start : start + size], start=start, registry=registry))
        start += size
        if dice.random() < 0.3:
            again(folder, store)
        if dice.random() < 0.2:
            folder = Folder(store)
    again(folder, store)
    assert counts(store) == (480, 400, 80, 0)
    assert_equal(store, events)
    assert Folder(store).fold(batch_of(events)) == Folded(read=400, applied=0, duplicates=400, parked=0)
