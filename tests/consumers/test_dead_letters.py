"""A record that cannot be folded is parked whole, with where and why; the rest of its batch is folded."""

import base64
import json
from datetime import UTC, datetime

import pytest

from consumers.decode import Decoder
from consumers.fold import Folded, Folder
from consumers.prepare import Preparer
from log.log import RecordBatch, TopicPartition
from projections.store import Store
from tests.consumers.poison import POISON, framed, in_header_form, put
from tests.folding import REGISTRY
from tests.strategies import random_log

AT = TopicPartition("interactions.chat", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One store for all: every test has events of its own, and looks at its own batch."""
    with Store.open(tmp_path_factory.mktemp("store") / "views.duckdb") as store:
        yield Folder(store)


@pytest.fixture(scope="module")
def preparer():
    """In columns; tests/consumers/test_decode.py shows that rows park the same."""
    return Preparer(Decoder(REGISTRY))


def _last_batch(folder):
    """Dead letters and ids of events of the last batch."""
    con = folder._store.cursor()
    con.execute("SET TimeZone = 'UTC'")
    letters = con.execute("FROM touchlog.dead_letters WHERE batch = ?", [folder.batch]).to_arrow_table().to_pylist()
    ids = con.execute("SELECT event_id FROM touchlog.interactions WHERE batch = ?", [folder.batch]).fetchall()
    return letters, {event_id for (event_id,) in ids}


@pytest.mark.parametrize("name", POISON)
def test_parked_whole_and_alone(folder, preparer, name):
    events = random_log(100 + list(POISON).index(name), 12)
    batch = RecordBatch()
    for event in events[:6]:
        put(batch, event, (framed(event), ()))
    value, headers = POISON[name].make(events[6])
    headers = [*headers, ("trace", b"\x00\xff")]
    place = put(batch, events[6], (value, headers), partition=3)
    for event in events[7:]:
        put(batch, event, in_header_form(event))

    folded = folder.fold(preparer.prepare(batch))

    assert folded == Folded(read=12, applied=11, duplicates=0, parked=1)
    (letter,), ids = _last_batch(folder)
    assert ids == {event.event_id for event in events} - {events[6].event_id}
    assert letter["topic"] == batch.topics[place]
    assert (letter["partition"], letter["log_offset"]) == (3, place)
    assert letter["timestamp"] == datetime.fromtimestamp((1_700_000_000_000 + place) / 1000, UTC)
    assert (letter["key"], letter["value"]) == (batch.keys[place], value)
    assert [(key, base64.b64decode(text)) for key, text in json.loads(letter["headers"])] == headers
    assert (letter["stage"], letter["error_class"]) == (POISON[name].stage, POISON[name].error)
    assert letter["error_message"]
    # Ids, names of fields and positions only: nothing that the record itself says.
    assert events[6].primary.value not in letter["error_message"]
    assert (letter["schema_id"] is not None) == (letter["stage"] != "frame" and "GUID" not in name)
    assert datetime.now(UTC) >= letter["first_seen"] == letter["last_attempt"]
    assert (letter["state"], letter["attempts"]) == ("parked", 1)
    assert (letter["projection"], letter["layout"]) == ("views", folder._store.layout)


def test_a_batch_of_nothing_but_poison(folder, preparer):
    (event,) = random_log(99, 1)
    batch = RecordBatch()
    for poison in POISON.values():
        put(batch, event, poison.make(event))
    batch.next_positions[AT] = 40

    folded = folder.fold(preparer.prepare(batch))

    assert folded == Folded(read=len(POISON), applied=0, duplicates=0, parked=len(POISON))
    letters, ids = _last_batch(folder)
    assert {letter["stage"] for letter in letters} == {"frame", "schema", "decode", "check"}
    assert not ids
    assert folder.positions == folder._store.positions() == {AT: 40}


@pytest.mark.parametrize("timestamp", [-1, 2**62, 1_700_000_000_000_000_000])
def test_a_timestamp_that_is_no_moment_does_not_keep_a_record_from_being_parked(folder, preparer, timestamp):
    (event,) = random_log(97, 1)
    batch = RecordBatch()
    put(batch, event, (b"", ()))
    batch.timestamps[0] = timestamp
    assert folder.fold(preparer.prepare(batch)).parked == 1
    (letter,), _ = _last_batch(folder)
    assert letter["timestamp"] is None
    assert letter["value"] == b""


def test_the_registry_is_asked_once_for_a_schema_that_nobody_knows():
    asked = []

    class Registry:
        def schema(self, schema_id):
            asked.append(schema_id)
            return REGISTRY.schema(schema_id)

    preparer = Preparer(Decoder(Registry()))
    for _ in range(3):
        batch = RecordBatch()
        for event in random_log(98, 3):
            put(batch, event, POISON["unknown schema id"].make(event), topic="interactions.chat")
        assert len(preparer.prepare(batch).bad) == 3
    assert asked == [0x7F000001]
