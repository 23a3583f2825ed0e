"""One bad record costs itself, whatever table refuses it; too many, or any at all, can be made a reason to stop."""

import random
import time
from dataclasses import replace
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from consumers import prepare
from consumers.decode import Decoder
from consumers.fold import Folded, Folder
from consumers.halving import MOST, breaking, may_be_a_records
from consumers.ids import Ids
from consumers.poison import around_poison, refused
from consumers.prepare import Preparer, without_rows
from consumers.projector import Projector
from consumers.temper import Temper
from log.log import TopicPartition
from projections.store import Store
from schemas.errors import ParkingRefused, PoisonRecord, StoreError, StoreFull, TooManyParked
from schemas.topics import topic_of
from tests.consumers.poison import POISON
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY, records
from tests.projections.test_against_oracle import assert_equal
from tests.strategies import random_log

CHAT = topic_of("chat")
AT = TopicPartition(CHAT, 0)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


def prepared(events, start=0):
    batch = records(events)
    batch.offsets[:] = range(start, start + len(events))
    batch.next_positions[AT] = start + len(events)
    return Preparer(Decoder(REGISTRY)).prepare(batch)


# --- halving


@pytest.mark.parametrize("bad", [set(), {0}, {99}, {3, 4, 5}, set(range(100)), {0, 50, 99}])
def test_what_breaks_is_found_and_nothing_else(bad):
    def attempt(items):
        for one in items:
            if one in bad:
                raise ValueError(one)

    assert [one for one, _ in breaking(range(100), attempt)] == sorted(bad)


def test_one_in_ten_thousand_is_found_in_few_steps():
    asked = []

    def attempt(items):
        asked.append(len(items))
        if 7123 in items:
            raise ValueError

    assert [one for one, _ in breaking(range(10_000), attempt)] == [7123]
    assert len(asked) < 30


def test_what_breaks_with_everything_is_no_records_fault():
    with pytest.raises(StoreError, match=f"more than {MOST} records of one batch fail as ZeroDivisionError"):
        breaking(range(5000), lambda _: 1 / 0)


@pytest.mark.parametrize(
    "error",
    [
        StoreFull("x"),
        MemoryError(),
        OSError(28, "x"),
        KeyboardInterrupt(),
        duckdb.IOException("x"),
        duckdb.OutOfMemoryException("x"),
        duckdb.TransactionException("x"),
        duckdb.CatalogException("x"),
        duckdb.FatalException("x"),
        duckdb.InternalException("x"),
    ],
)
def test_disk_memory_and_the_stores_own_failures_are_nobodys_records(error):
    assert not may_be_a_records(error)

    def attempt(_):
        raise error

    with pytest.raises(type(error)):
        breaking(range(10), attempt)


# --- one bad record of a batch, in each of the tables


def _column(table, name, row, value, kind):
    at = table.column_names.index(name)
    values = [str(one) if one is not None else None for one in table[name].to_pylist()]
    values[row] = value
    return table.set_column(at, name, pa.array(values, kind))


def _spoilt_event(good):
    row = len(good.places) // 2
    return row, replace(good, events=_column(good.events, "thread_id", row, "no UUID", pa.string()))


def _spoilt_mention(good):
    at = len(good.mention_rows) // 2
    return int(good.mention_rows[at]), replace(
        good, mentions=_column(good.mentions, "primary_id", at, "no UUID", pa.string())
    )


def _spoilt_point(good):
    """A new contact point whose key has no value: it is split into columns only where it is inserted."""
    at = len(good.point_rows) // 2
    keys, here = good.point_keys.to_pylist(), np.arange(len(good.point_rows)) == at
    keys[at] = "nothing"
    ids = good.point_ids.filled(here, Ids.of([UUID(int=7)]))
    return int(good.point_rows[at]), replace(good, point_keys=pa.array(keys, pa.string()), point_ids=ids)


def _spoilt_link(good):
    row, _, one, _ = good.pairs[len(good.pairs) // 2]
    strangers = [(row, 1, one, "email:nobody@example.org")]
    return row, replace(good, pairs=[pair for pair in good.pairs if pair[0] != row] + strangers)


def _spoilt_thread(good):
    row, thread, _ = good.edges[len(good.edges) // 2]
    return row, replace(good, edges=[*good.edges, (row, thread, "case")])


def _spoilt_statement(good):
    row = len(good.places) // 2
    return row, replace(
        good, statements=[*good.statements, (row, "hinted", "email:a@example.org", "phone:+46700000001")]
    )


@pytest.mark.parametrize(
    "spoil", [_spoilt_event, _spoilt_mention, _spoilt_point, _spoilt_link, _spoilt_thread, _spoilt_statement]
)
@pytest.mark.parametrize("seed", [301, 302])
def test_a_record_that_any_table_refuses_costs_itself_alone(store, spoil, seed):
    events = random_log(seed, 400)
    earlier, later = events[:100], events[100:]
    folder = Folder(store)
    folder.fold(prepared(earlier))
    good = prepared(later, 100)
    row, bad = spoil(good)
    with pytest.raises(Exception) as alone:  # noqa: PT011 - whatever it is, as long as it is refused
        folder.fold(bad)
    assert may_be_a_records(alone.value)

    done = around_poison(folder, bad, folder.fold)

    assert done == Folded(read=300, applied=299, duplicates=0, parked=1)
    lost = later[int(good.places[row])]
    found = store.con.execute("SELECT log_offset, stage, value FROM touchlog.dead_letters").fetchall()
    place = int(good.places[row])
    assert found == [(100 + place, "fold", good.batch.values[place])]
    assert store.positions() == {AT: 400}
    assert_equal(store, [event for event in events if event is not lost])


def test_one_of_ten_thousand_costs_itself_and_not_much_time(store):
    events = random_log(303, 10_000)
    _, bad = _spoilt_mention(prepared(events))
    folder = Folder(store)
    began = time.monotonic()
    done = around_poison(folder, bad, folder.fold)
    assert done == Folded(read=10_000, applied=9_999, duplicates=0, parked=1)
    assert time.monotonic() - began < 60


class _Picky(Folder):
    """Fails at one event, and only where it has other events already: as what is remembered can make it."""

    def __init__(self, store, event_id):
        super().__init__(store)
        self.event_id = event_id

    def _insert_threads(self, prepared, fresh, batch):
        super()._insert_threads(prepared, fresh, batch)
        if self.batch and self.event_id in prepared.ids.where(fresh).to_uuids():
            raise KeyError("remembered otherwise")


def test_a_record_that_only_this_store_refuses_is_found_in_it(store):
    events = random_log(304, 300)
    folder = _Picky(store, events[170].event_id)
    folder.fold(prepared(events[:100]))
    late = prepared(events[100:], 100)
    assert refused(late) == []
    assert around_poison(folder, late, folder.fold) == Folded(read=200, applied=199, duplicates=0, parked=1)
    (row,) = store.con.execute("SELECT log_offset, error_message FROM touchlog.dead_letters").fetchall()
    assert row == (170, "refused by the store: KeyError")
    assert_equal(store, [event for event in events if event is not events[170]])


def test_a_batch_that_fails_for_another_reason_is_not_blamed_on_its_records(store):
    class Broken(Folder):
        def _insert_threads(self, _, fresh, __):
            if len(fresh) > 1:
                raise ValueError("only together")

    folder = Broken(store)
    with pytest.raises(StoreError, match="the store refuses a batch and no single record of it: ValueError"):
        around_poison(folder, prepared(random_log(305, 50)), folder.fold)
    assert store.positions() == {}

    class Full(Folder):
        def _insert_threads(self, *_):
            raise duckdb.IOException("x")

    folder = Full(store)
    with pytest.raises(StoreError, match="cannot be read or written"):
        around_poison(folder, prepared(random_log(305, 50)), folder.fold)


def test_a_record_that_no_check_foresaw_is_parked_and_the_rest_prepared(store, monkeypatch):
    events = random_log(306, 500)
    odd = {str(events[at].event_id) for at in (3, 250, 251)}
    real = prepare.group_columns

    def stumbling(group):
        if odd & set(group.columns.column("event_id").to_pylist()):
            raise pa.ArrowInvalid("what a customer wrote")
        return real(group)

    monkeypatch.setattr(prepare, "group_columns", stumbling)
    good = prepared(events)
    assert sorted(record.place for record in good.bad) == [3, 250, 251]
    assert {str(record.error) for record in good.bad} == {"not understood: ArrowInvalid"}
    monkeypatch.undo()
    assert Folder(store).fold(good) == Folded(read=500, applied=497, duplicates=0, parked=3)
    assert_equal(store, [event for event in events if str(event.event_id) not in odd])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_batch_without_some_rows_is_the_batch_of_the_others(store, seed):
    dice = random.Random(seed)
    events = random_log(310 + seed, 300)
    whole = prepared(events)
    gone = np.array([dice.random() < 0.3 for _ in range(300)])
    kept = {int(whole.places[row]) for row in np.flatnonzero(~gone)}
    done = Folder(store).fold(without_rows(whole, gone))
    assert done == Folded(read=300, applied=len(kept), duplicates=0, parked=0)
    assert_equal(store, [event for at, event in enumerate(events) if at in kept])


# --- when parking ends


def test_asked_to_stop_at_poison_it_stops_before_anything_of_the_batch(home):
    events = random_log(307, 300)
    with home.open() as log:
        publish(log, events[:200])
    home.run()
    event = next(event for event in events if event.channel == "chat")
    with home.open() as log:
        publish(log, events[200:])
        end = log.end_offsets([CHAT])[TopicPartition(CHAT, 1)]
        append(log, CHAT, [POISON["off the scale"].make(event)[0], b"\x07no event"], partition=1)
    stored = _look(home)
    said = (
        rf"^{CHAT}, partition 1, offset {end}: InvalidEvent \(check\): survey.score: not on its scale; nothing of its"
    )
    for _ in range(2):
        with pytest.raises(PoisonRecord, match=said):
            home.run(temper=Temper(on_poison="stop"), batch_size=10_000)
        after = _look(home)
        assert after["parked"] == stored["parked"] == 0
        # Whole batches that came before it are in the store; nothing of its own is.
        assert after["read"] == after["applied"] == after["offsets"]
    assert home.run().parked == 2
    with Store.open(home.store) as store:
        assert_equal(store, events)


def test_asked_to_stop_it_stops_at_what_the_store_refuses_too(store):
    _, bad = _spoilt_mention(prepared(random_log(308, 200)))
    folder = Folder(store, temper=Temper(on_poison="stop"))
    with pytest.raises(PoisonRecord, match=r"offset \d+: InvalidEvent \(fold\): refused by the store: "):
        around_poison(folder, bad, folder.fold)
    assert store.positions() == {}
    assert store.batch == 0


def test_more_parked_than_may_be_stops_and_loses_nothing(home):
    events = random_log(309, 100)
    bad = [b"\x07%d" % number for number in range(25)]
    event = next(event for event in events if event.channel == "chat")
    with home.open() as log:
        publish(log, events)
        append(log, CHAT, [*bad, POISON["off the scale"].make(event)[0]])
    said = (
        r"^\d+ records would be parked, 20 may be; \d+ of them are UndecodableRecord; nothing of the last batch was"
        r" committed and nothing is lost; look with touchlog dead-letters, .*raise --max-parked$"
    )
    for _ in range(2):
        with pytest.raises(TooManyParked, match=said) as told:
            home.run(temper=Temper(max_parked=20), batch_size=7)
        assert isinstance(told.value, ParkingRefused)
        found = _look(home)
        assert found["parked"] <= 20
        assert found["read"] == found["applied"] + found["parked"]
    # Exactly as many may be parked.
    assert home.run(temper=Temper(max_parked=26), batch_size=7).state == "caught up"
    found = _look(home)
    assert (found["read"], found["applied"], found["parked"]) == (126, 100, 26)
    with Store.open(home.store) as store:
        assert_equal(store, events)


def test_what_is_settled_counts_no_more_against_the_bound(store):
    folder = Folder(store, temper=Temper(max_parked=10))
    events = random_log(311, 40)
    batch = records(events)
    for at in range(10):
        batch.values[at] = b"\x07"
    folder.fold(Preparer(Decoder(REGISTRY)).prepare(batch))
    more = records(events[:3])
    more.offsets[:] = [100, 101, 102]
    more.values[1] = b"\x07"
    again = Preparer(Decoder(REGISTRY)).prepare(more)
    with pytest.raises(
        TooManyParked, match=r"^11 records would be parked, 10 may be; 11 of them are UndecodableRecord"
    ):
        folder.fold(again)
    from consumers.dead_letters import DISCARDED, Attempt, LetterId

    folder.discard([Attempt(letter=LetterId(batch.topics[0], 0, 0), state=DISCARDED)])
    assert folder.fold(again).parked == 1
    with pytest.raises(TooManyParked):
        Folder(store, temper=Temper(max_parked=10)).fold(replace(again, next_positions={}))


def test_good_batches_pass_whatever_the_bound(store):
    folder = Folder(store, temper=Temper(max_parked=0, on_poison="stop"))
    assert folder.fold(prepared(random_log(312, 50))).applied == 50


def test_the_projector_parks_without_bound_unless_told(home):
    with home.open() as log:
        publish(log, random_log(313, 20))
        append(log, CHAT, [b"\x07"] * 50)
        with Store.open(home.store) as store:
            assert Projector(log, store, REGISTRY).run(until_caught_up=True).parked == 50


def _look(home):
    with Store.open(home.store) as store:
        read, applied, parked = store.con.execute(
            "SELECT coalesce(sum(read), 0)::INT, coalesce(sum(applied), 0)::INT, coalesce(sum(parked), 0)::INT"
            " FROM touchlog.batches"
        ).fetchone()
        offsets = sum(store.positions().values())
        assert offsets == read
        assert store.con.execute("SELECT count(*) FROM touchlog.dead_letters").fetchone() == (parked,)
        return {"read": read, "applied": applied, "parked": parked, "offsets": offsets}
