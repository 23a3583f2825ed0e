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

GOOD = random_log(31, 12)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "views.duckdb") as store:
        yield store


@pytest.fixture(scope="module")
def preparer():
    """In columns; tests/consumers/test_decode.py shows that rows park the same."""
    return Preparer(Decoder(REGISTRY))


def _letters(store):
    store.con.execute("FROM touchlog.dead_letters ORDER BY topic, partition, log_offset")
    return store.con.to_arrow_table().to_pylist()


def _folded_ids(store):
    return {row[0] for row in store.con.execute("SELECT event_id FROM touchlog.interactions").fetchall()}


@pytest.mark.parametrize("name", POISON)
def test_parked_whole_and_alone(store, preparer, name):
    batch = RecordBatch()
    for event in GOOD[:6]:
        put(batch, event, (framed(event), ()))
    value, headers = POISON[name].make(GOOD[6])
    headers = [*headers, ("trace", b"\x00\xff")]
    place = put(batch, GOOD[6], (value, headers), partition=3)
    for event in GOOD[7:]:
        put(batch, event, in_header_form(event))

    folded = Folder(store).fold(preparer.prepare(batch))

    assert folded == Folded(read=12, applied=11, duplicates=0, parked=1)
    assert _folded_ids(store) == {event.event_id for event in GOOD} - {GOOD[6].event_id}
    (letter,) = _letters(store)
    assert letter["topic"] == batch.topics[place]
    assert (letter["partition"], letter["log_offset"]) == (3, place)
    assert letter["timestamp"] == datetime.fromtimestamp((1_700_000_000_000 + place) / 1000, UTC)
    assert (letter["key"], letter["value"]) == (batch.keys[place], value)
    assert [(key, base64.b64decode(text)) for key, text in json.loads(letter["headers"])] == headers
    assert (letter["stage"], letter["error_class"]) == (POISON[name].stage, POISON[name].error)
    assert letter["error_message"]
    # Ids, names of fields and positions only: nothing that the record itself says.
    assert GOOD[6].primary.value not in letter["error_message"]
    assert (letter["schema_id"] is not None) == (letter["stage"] != "frame" and "GUID" not in name)
    assert datetime.now(UTC) >= letter["first_seen"]


def test_a_batch_of_nothing_but_poison(store, preparer):
    batch = RecordBatch()
    for poison in POISON.values():
        put(batch, GOOD[0], poison.make(GOOD[0]))
    at = TopicPartition("interactions.chat", 0)
    batch.next_positions[at] = 40

    folder = Folder(store)
    folded = folder.fold(preparer.prepare(batch))

    assert folded == Folded(read=len(POISON), applied=0, duplicates=0, parked=len(POISON))
    assert {letter["stage"] for letter in _letters(store)} == {"frame", "schema", "decode", "check"}
    assert store.positions() == {at: 40}
    assert Folder(store).positions == {at: 40}


def test_the_registry_is_asked_once_for_a_schema_that_nobody_knows(store):
    asked = []

    class Registry:
        def schema(self, schema_id):
            asked.append(schema_id)
            return REGISTRY.schema(schema_id)

    preparer = Preparer(Decoder(Registry()))
    for _ in range(3):
        batch = RecordBatch()
        for event in GOOD[:3]:
            put(batch, event, POISON["unknown schema id"].make(event), topic="interactions.chat")
        assert len(preparer.prepare(batch).bad) == 3
    assert asked == [0x7F000001]
