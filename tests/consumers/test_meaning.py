"""What an event means, in columns and one by one: the same, for everything that the rules look at."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from consumers.meaning import Columns, TypeTable, conclude, packed
from schemas.event_types import EVENT_TYPES, avro_symbol, conclusions
from schemas.models import AnsweredBy, Author, BounceClass, DeliveryBasis, Direction

_FIELDS = {
    "direction": [str(value) for value in Direction],
    "author": [None, *(str(value) for value in Author)],
    "machine": [None, False, True],
    "answers_ref": [None, "", "m1"],
}
_OWN = {
    "email": {"bounce_class": [None, *(str(value) for value in BounceClass)]},
    "phone": {"answered_by": [None, *(str(value) for value in AnsweredBy)]},
    "post": {"delivery_basis": [None, *(str(value) for value in DeliveryBasis)]},
}


def _everything(channel, **fields):
    """Every type with every combination of the fields' values."""
    columns = {"type": list(EVENT_TYPES[channel]), **_FIELDS, **_OWN.get(channel, {}), **fields}
    return [dict(zip(columns, values, strict=True)) for values in product(*columns.values())]


def _in_columns(channel, events):
    types = TypeTable(channel)
    rows = [{**event, "type": avro_symbol(event["type"])} for event in events]
    batch = pa.RecordBatch.from_pylist(rows)
    return conclude(types.meanings(types.codes(batch.column("type"))), Columns(batch))


def _one_by_one(channel, events):
    return [packed(conclusions(EVENT_TYPES[channel][event["type"]], event)) for event in events]


@pytest.mark.parametrize("channel", EVENT_TYPES)
def test_every_combination_means_the_same(channel):
    events = _everything(channel)
    assert len(events) >= len(EVENT_TYPES[channel]) * 162
    assert _in_columns(channel, events).tolist() == _one_by_one(channel, events)


@pytest.mark.parametrize("name", ["author", "machine", "answers_ref"])
def test_a_field_that_the_writer_does_not_know_is_a_field_without_a_value(name):
    events = [{key: value for key, value in event.items() if key != name} for event in _everything("chat")]
    assert _in_columns("chat", events).tolist() == _one_by_one("chat", events)


def test_a_type_of_a_later_version_is_unknown():
    types = TypeTable("chat")
    (code,) = types.codes(pa.array(["hologram_shown"]))
    assert types.names[code].as_py() == "unknown"


@pytest.mark.parametrize("channel", EVENT_TYPES)
def test_no_meaning_runs_into_the_bits_of_another(channel):
    """Every type has room for itself: unpacked, the bits tell it apart from all that differ."""
    meanings = set(EVENT_TYPES[channel].values())
    assert len({packed(meaning) for meaning in meanings}) == len(meanings)
    assert all(np.int32(packed(meaning)) >= 0 for meaning in meanings)
