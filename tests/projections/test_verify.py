"""Whether a store says what its events say: no false alarm at any moment, and every sabotage found by the right one."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.dead_letters import LetterId
from consumers.fold import Folder
from consumers.letters import Wanted
from consumers.projector import Projector
from consumers.redrive import Asked, redrive
from consumers.replay import from_log
from log.open import open_log
from projections import rebuild
from projections.compaction import Compaction
from projections.projection import all_projections, parse
from projections.store import Store, open_readonly
from projections.verify import from_tables, sample
from schemas.errors import ConfigurationError, LogError, TopicRecreated
from schemas.topics import topic_of
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY, records
from tests.habits import NOW
from tests.strategies import logs, random_log
from tests.villages import repeated


@dataclass(frozen=True, kw_only=True)
class Place:
    """A log and the store that it is folded into."""

    folder: Path

    @property
    def store(self):
        return self.folder / "views.duckdb"

    def log(self):
        return open_log(f"embedded:{self.folder / 'log.sqlite'}")

    def publish(self, events):
        with self.log() as log:
            publish(log, events)

    def fold(self, *, batches=None, **options):
        """To the end, or so many rounds of the loop."""
        left = iter(range(batches)) if batches is not None else None
        with self.log() as log, Store.open(self.store) as store:
            projector = Projector(log, store, REGISTRY, **options)
            projector.run(until_caught_up=True, stop=lambda: left is not None and next(left, None) is None)

    def from_log(self, con):
        with self.log() as log:
            found = from_log(con, log, REGISTRY, self.folder, NOW)
        assert found is not None
        return views(found)

    def found(self, of=10**6):
        """Views in which something is wrong, by each of the checks: the tables', the sample's, the log's."""
        with open_readonly(self.store) as con:
            return (
                views(from_tables(con, self.folder, NOW)),
                views(sample(con, of, NOW)),
                self.from_log(con),
            )


def views(mismatches):
    assert all(one.live != one.rebuilt for one in mismatches)
    return {one.view for one in mismatches}


NOTHING = (set(), set(), set())


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=logs(max_size=40),
    batches=st.integers(0, 12),
    batch_size=st.integers(3, 20),
    compact_after=st.sampled_from([5, 15, 10**9]),
)
def test_a_store_that_nobody_touched_is_right_at_any_moment(tmp_path_factory, log, batches, batch_size, compact_after):
    place = Place(folder=tmp_path_factory.mktemp("place"))
    place.publish(log)
    place.fold(batches=batches, batch_size=batch_size, compact_after=compact_after)
    assert place.found() == NOTHING


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """A log with repetitions, folded and compacted, with a tail."""
    place = Place(folder=tmp_path_factory.mktemp("folded"))
    events = random_log(61, 240)
    place.publish([*events[:200], *(repeated(event) for event in events[::7]), *events[200:]])
    place.fold(batch_size=70, compact_after=90)
    with open_readonly(place.store) as con:
        assert con.execute("SELECT sum(duplicates) FROM store.batches").fetchone()[0] > 20
    return place


@pytest.fixture
def place(folded, tmp_path):
    """The same, to be spoilt."""
    for file in folded.folder.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    return Place(folder=tmp_path)


def spoil(place, sql, point="contact_point_id"):
    """One statement that changes one row, with `{schema}` for a run of that schema; the key of its contact point."""
    with duckdb.connect(str(place.store)) as con:
        for schema, prefix in (("store", "events_run"), ("items_v2", "run"), ("conversations_v3", "run")):
            found = con.execute(
                "SELECT max(table_name) FROM duckdb_tables() WHERE schema_name = ? AND starts_with(table_name, ?)",
                [schema, prefix],
            ).fetchone()
            sql = sql.replace(f"{{{schema}}}", f"{schema}.{found[0]}")
        [(changed,)] = con.execute(f"{sql} RETURNING {point}").fetchall()
        return con.execute(
            "SELECT kind || ':' || value FROM store.points WHERE contact_point_id = ?", [changed]
        ).fetchone()[0]


def test_what_nobody_touched_is_right(folded):
    assert folded.found() == NOTHING
    with open_readonly(folded.store) as con:
        assert from_tables(con, None, NOW) == sample(con, 3, NOW) == []


def test_an_event_that_is_gone_is_found_by_the_log(place):
    spoil(place, "DELETE FROM {store} WHERE rowid = (SELECT min(rowid) FROM {store} WHERE channel <> 'identity')")
    with open_readonly(place.store) as con:
        assert "interactions" in place.from_log(con)


def test_an_event_that_was_changed_is_found_by_the_log(place):
    spoil(
        place, "UPDATE {store} SET summary = 'x' WHERE rowid = (SELECT min(rowid) FROM {store} WHERE summary = 'Hello')"
    )
    with open_readonly(place.store) as con:
        assert "interactions" in place.from_log(con)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM {items_v2} WHERE rowid = (SELECT min(rowid) FROM {items_v2} WHERE sent_at IS NOT NULL)",
        "UPDATE {items_v2} SET opens = opens + 1 WHERE rowid = (SELECT min(rowid) FROM {items_v2}"
        " WHERE sent_at IS NOT NULL)",
    ],
    ids=["gone", "changed"],
)
def test_a_state_is_found_by_all(place, sql):
    key = spoil(place, sql)
    for found in place.found(of=[key]):
        assert "items" in found
        assert "interactions" not in found


def test_a_state_of_a_conversation_is_found_by_all(place):
    key = spoil(
        place,
        "UPDATE {conversations_v3} SET messages_in = messages_in + 1 WHERE rowid = (SELECT max(rowid)"
        " FROM {conversations_v3} WHERE conversation_id NOT IN (SELECT thread_id FROM store.thread_changes))",
        "first_contact_point_id",
    )
    for found in place.found(of=[key]):
        assert found == {"conversations"}


def test_a_member_is_found_by_all(place):
    with open_readonly(place.store) as con:
        (moved, to) = con.execute("""
            SELECT a.contact_point_id, b.customer_id FROM store.members AS a, store.members AS b
            JOIN touchlog.contact_points AS c ON c.contact_point_id = a.contact_point_id
            WHERE a.customer_id <> b.customer_id AND a.customer_id <> a.contact_point_id
            ORDER BY ALL LIMIT 1
        """).fetchone()
        names = dict(con.execute("SELECT contact_point_id, kind || ':' || value FROM store.points").fetchall())
    spoil(place, f"INSERT INTO store.member_changes VALUES (1000000, '{moved}', '{to}', false)")
    assert all({"contact_points", "interactions"} <= found for found in place.found(of=[names[to]]))
    with open_readonly(place.store) as con:
        for key in (names[moved], names[to]):
            mismatches = sample(con, [key], NOW)
            assert {one.customer for one in mismatches} == {to}
            assert {"contact_points", "customers"} <= views(mismatches)


def test_a_key_that_nobody_has_is_refused_without_telling_it(folded):
    with open_readonly(folded.store) as con:
        with pytest.raises(ConfigurationError, match="no event names the contact point with the id") as told:
            sample(con, ["email:nobody@example.org"], NOW)
        assert "nobody@" not in str(told.value)
        con.begin()  # nothing was left open


def test_another_log_is_refused(place):
    with place.log() as log:
        log.delete_topics([topic_of("chat")])
        log.create_topics([topic_of("chat")], 3)
    with open_readonly(place.store) as con:
        with pytest.raises(TopicRecreated, match=f"topic {topic_of('chat')} was deleted and made again"):
            place.from_log(con)
        with place.log() as log:
            log.delete_topics([topic_of("chat")])
        with pytest.raises(LogError, match="is not in the log"):
            place.from_log(con)
    assert {file.name for file in place.folder.iterdir()} == {"log.sqlite", "views.duckdb"}, "no scratch is left"


def test_the_log_may_go_on_meanwhile_and_the_store_too(place):
    place.publish(random_log(62, 50))
    with Store.open(place.store) as store:
        assert place.from_log(store.cursor()) == set()
    place.fold()
    with open_readonly(place.store) as con:
        assert place.from_log(con) == set()


def test_what_is_live_is_made_again_whatever_the_program_has_by_now(place):
    items = next(one for one in all_projections() if one.name == "items")
    other = parse(items.text.replace("version: 2", "version: 3").replace("    s.opens,", "    s.opens + 1 AS opens,"))
    with Store.open(place.store) as store:
        rebuild.begin(store, [other], {})
        Compaction(store, after=10**9).finish()
        rebuild.settle(store, store.positions())
        rebuild.switch(store, ["items"])
        assert {one.version for one in store.live() if one.name == "items"} == {3}
    assert place.found(of=5) == NOTHING


def test_what_was_mended_by_hand_is_mended_again(place):
    chat = topic_of("chat")
    with place.log() as log:
        offset = next(end for at, end in log.end_offsets([chat]).items() if at.partition == 1)
        append(log, chat, [b"not an event", b"nor this"], partition=1)
    place.fold()
    event = next(event for event in random_log(63, 50) if event.channel == "chat")
    (value,) = records([event]).values
    with Store.open(place.store) as store:
        asked = Asked(wanted=Wanted(ids=(str(LetterId(chat, 1, offset)),)), value=value)
        for _ in redrive(Folder(store), store, REGISTRY, asked):
            pass
        assert store.con.execute("SELECT count(*) FROM store.redrives WHERE state = 'redriven'").fetchone() == (1,)
    assert place.found(of=[event.primary.key]) == NOTHING
