"""The decoded columns of one channel as the columns of the store, with what they say about identity and threads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consumers import json_text
from consumers.decode import BadRecord, Group
from consumers.ids import Ids, Mask, id_of_name, parse_ids
from consumers.meaning import Columns, TypeTable, conclude
from projections import layout
from projections.identity_rules import JOINING, joins, may_be_linked
from schemas.codec import micros
from schemas.errors import InvalidEvent
from schemas.event_types import EVENT_TYPES
from schemas.models import EARLIEST as EARLIEST_TIME
from schemas.models import EVENT_MODELS, MAX_CONTACT_POINTS, Event

Pair = tuple[int, str, str]
"""(row, name, name)"""
Evidence = tuple[int, int, str, str]
"""(row, assurance by its place in layout.ASSURANCE, key, key)"""
Ints = npt.NDArray[np.int64]

_TYPES = {channel: TypeTable(channel) for channel in EVENT_TYPES}
_OWN = {name: [f for f in model.model_fields if f not in Event.model_fields] for name, model in EVENT_MODELS.items()}
_OUTCOMES = ("bounce_class", "answered_by", "delivery_basis", "return_reason", "disposition")
_AS_THEY_ARE = (
    *("direction", "content_type", "purpose", "author", "topic", "agent", "source"),
    *("conversation_ref", "message_ref", "answers_ref", "summary"),
)
_EARLIEST = micros(EARLIEST_TIME)
_LATEST = 7_258_118_400_000_000  # 2200-01-01, beyond which DuckDB and people lose count
_FIRST_YEAR, _LAST_YEAR = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))
_MOST_SECONDS = 2**31 - 1
_LONGEST_SCALE = 100
_STATEMENTS = {"link.asserted": "asserted", "link.retracted": "retracted", "link.forbidden": "forbidden"}
_ENDED = "contact_point.ended"
ENDED = "ended"
"""The verb of a statement that its first contact point, named twice, belongs to somebody else from then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupColumns:
    """Rows of one group. `places` are places in the batch; all other row numbers count within the group."""

    places: Sequence[int]
    columns: dict[str, pa.Array]
    event_ids: Ids
    times: Ints
    primary_keys: pa.Array
    primary_is_self: Ints
    other_rows: Ints
    other_keys: pa.Array
    other_roles: pa.Array
    other_assurance: Ints
    other_normalised: Ints
    pairs: list[Evidence]
    statements: list[tuple[int, str, str, str]]
    threads: pa.Array
    case_rows: Ints
    case_names: pa.Array
    edges: list[Pair]


def group_columns(group: Group) -> tuple[GroupColumns, list[BadRecord]]:
    """The columns of the records that keep the contract, and the records that do not."""
    batch, places = group.columns, group.places
    ids, good = parse_ids(batch.column("event_id"))
    bad: list[BadRecord] = []
    for wrong, why in _broken(batch, good):
        bad.extend(
            BadRecord(place=places[row], stage="check", error=InvalidEvent(why), schema_id=group.schema_id)
            for row in np.flatnonzero(wrong & good)
        )
        good &= ~wrong
    if bad:
        batch = batch.filter(pa.array(good))
        ids = ids.where(good)
        places = [places[row] for row in np.flatnonzero(good)]
    return _columns(group.channel, batch, places, ids), bad


def _broken(batch: pa.RecordBatch, valid_id: Mask) -> Iterator[tuple[Mask, str]]:
    """Where the contract is broken, one rule after the other."""
    if not valid_id.all():
        wrong = ~valid_id
        valid_id |= True
        yield wrong, "event_id: not a UUID"
    for name in ("occurred_at", "observed_at"):
        times = _micros(batch.column(name))
        yield (times < _EARLIEST) | (times > _LATEST), f"{name}: not between 1995 and 2200"
    column = Columns(batch)
    for name, times in _moments(column):
        known = pc.fill_null(times, 0).to_numpy()
        yield (known < _FIRST_YEAR) | (known > _LAST_YEAR), f"{name}: not between the years 1 and 9999"
    for name in ("wait_s", "talk_s"):
        if name in column:
            seconds = pc.fill_null(column.get(name, pa.int64()), 0).to_numpy()
            yield (seconds < 0) | (seconds > _MOST_SECONDS), f"{name}: not between 0 and {_MOST_SECONDS}"
    if "survey" in column:
        score, scale = (
            pc.fill_null(pc.struct_field(batch.column("survey"), name), 1).to_numpy() for name in ("score", "scale_max")
        )
        yield (score < 0) | (score > scale) | (scale < 1) | (scale > _LONGEST_SCALE), "survey.score: not on its scale"
    points = batch.column("contact_points")
    lengths = pc.list_value_length(points).to_numpy()
    yield lengths == 0, "contact_points: empty"
    yield lengths > MAX_CONTACT_POINTS, f"contact_points: more than {MAX_CONTACT_POINTS}"
    yield _holds_empty(points, pc.struct_field(points.flatten(), "value")), "contact_points.value: empty"
    for name in ("source", "conversation_ref", "message_ref", "answers_ref"):
        yield column.equal(name, [""]), f"{name}: empty"
    if "case_refs" in column:
        refs = column.get("case_refs", pa.list_(pa.string()))
        yield _holds_empty(refs, refs.flatten()), "case_refs: an empty one"


def _moments(column: Columns) -> Iterator[tuple[str, pa.Array]]:
    """The times that an event may name beside its own, as microseconds."""
    for name in ("read_up_to", "promised_at"):
        if name in column:
            yield name, column.get(name, pa.int64()).cast(pa.int64())
    if "statement" in column:
        yield "statement.until", pc.struct_field(column.get("statement", pa.null()), "until").cast(pa.int64())


def _holds_empty(lists: pa.Array, texts: pa.Array) -> Mask:
    """Which lists hold an empty text; `texts` are those of all lists, one after the other."""
    lengths = pc.list_value_length(lists).to_numpy()
    wrong = np.zeros(len(lists), bool)
    wrong[np.repeat(np.arange(len(lists)), lengths)[pc.equal(texts, "").to_numpy(zero_copy_only=False)]] = True
    return wrong


def _columns(channel: str, batch: pa.RecordBatch, places: Sequence[int], ids: Ids) -> GroupColumns:
    column = Columns(batch)
    count = len(column)
    types = _TYPES[channel]
    codes = types.codes(batch.column("type"))
    points = _Points(batch.column("contact_points"))
    times = _micros(batch.column("occurred_at"))
    case_refs = _case_refs(column)
    bits = conclude(types.meanings(codes), column) | points.primary_bits()
    for name, flag in (("statement", layout.STATEMENT), ("survey", layout.SURVEY), ("promised_at", layout.PROMISE)):
        if name in column:
            bits |= flag * batch.column(name).is_valid().to_numpy(zero_copy_only=False)

    bits[list(case_refs)] |= layout.CASES
    threads, case_rows, case_names, edges = _threads(channel, column, case_refs)
    text = pa.string()
    columns = {
        "occurred_at": pa.array(times, layout.UTC_MICROS),
        "observed_at": pa.array(_micros(batch.column("observed_at")), layout.UTC_MICROS),
        "flags": pa.array(bits.astype(np.int32)),
        "channel": pa.array([channel], text).take(pa.array(np.zeros(count, np.int8))),
        "type": types.names.take(pa.array(codes)),
        "outcome": _outcome(column),
        "rest": _rest(channel, column, points),
        **{name: column.get(name, text) for name in _AS_THEY_ARE},
    }
    return GroupColumns(
        places=places,
        columns=columns,
        event_ids=ids,
        times=times,
        primary_keys=points.primary_keys(),
        primary_is_self=points.primary_is_self.astype(np.int64),
        other_rows=points.other_rows,
        other_keys=points.others("key"),
        other_roles=points.others("role"),
        other_assurance=points.assurance_codes[points.other_places],
        other_normalised=points.normalised[points.other_places].astype(np.int64),
        pairs=[] if channel == "identity" else points.pairs(),
        statements=_statements(types.names.take(pa.array(codes)), points) if channel == "identity" else [],
        threads=threads,
        case_rows=case_rows,
        case_names=case_names,
        edges=edges,
    )


class _Points:
    """The contact points of a group, flattened; primary first in each event."""

    def __init__(self, lists: pa.Array) -> None:
        offsets = np.asarray(lists.offsets.to_numpy(), np.int64)
        self.starts: Ints = offsets[:-1] - offsets[0]
        self.lengths: Ints = np.diff(offsets)
        flat = lists.flatten()
        self.flat = flat
        self.field = {flat.type.field(at).name: part for at, part in enumerate(flat.flatten())}
        self.keys = pc.binary_join_element_wise(self.field["kind"], self.field["value"], ":")
        primary = np.zeros(len(flat), bool)
        primary[self.starts] = True
        self.other_places: Ints = np.flatnonzero(~primary)
        self.other_rows: Ints = np.repeat(np.arange(len(self.starts)), self.lengths)[self.other_places]

    def primary_keys(self) -> pa.Array:
        return self.keys.take(pa.array(self.starts))

    @cached_property
    def primary_is_self(self) -> Mask:
        found: Mask = pc.equal(self.field["role"], "self").to_numpy(zero_copy_only=False)[self.starts]
        return found

    def others(self, name: str) -> pa.Array:
        column = self.keys if name == "key" else self.field[name]
        return column.take(pa.array(self.other_places))

    @cached_property
    def assurance_codes(self) -> Ints:
        _, names = layout.ASSURANCE
        weakest = len(names) - 1
        found: Ints = pc.fill_null(pc.index_in(self.field["assurance"], pa.array(names)), weakest).to_numpy()
        return found

    @cached_property
    def normalised(self) -> Mask:
        if "normalised" not in self.field:
            return np.ones(len(self.flat), bool)
        found: Mask = self.field["normalised"].to_numpy(zero_copy_only=False)
        return found

    def primary_bits(self) -> npt.NDArray[np.int32]:
        known: Mask = pc.not_equal(self.field["kind"], "anonymous").to_numpy(zero_copy_only=False)[self.starts]
        bits = (
            layout.SELF * self.primary_is_self
            | layout.NORMALISED * self.normalised[self.starts]
            | layout.SHAREABLE * known
            | self.assurance_codes[self.starts] << layout.ASSURANCE[0]
        )
        return bits.astype(np.int32)

    def json(self) -> pa.Array:
        """All contact points of an event as JSON; null where there is only one plain `self` point."""
        if not len(self.other_places) and self.primary_is_self.all():
            return pa.nulls(len(self.starts), pa.string())
        offsets = pa.array(np.append(self.starts, len(self.flat)), pa.int32())
        told = (self.lengths > 1) | ~self.primary_is_self
        text = json_text.lists(pa.ListArray.from_arrays(offsets, self.flat).filter(pa.array(told)))
        return text.take(pa.array(np.cumsum(told) - 1, mask=~told))

    def pairs(self) -> list[Evidence]:
        """Every pair of an event's contact points that is evidence for one person; as sure as the less sure of both."""
        if not len(self.other_places):
            return []
        able = (
            pc.equal(self.field["role"], "self").to_numpy(zero_copy_only=False)
            & pc.is_in(self.field["assurance"], pa.array(sorted(JOINING))).to_numpy(zero_copy_only=False)
            & self.normalised
        )
        owners = np.repeat(np.arange(len(self.starts)), self.lengths)
        able &= (self.lengths > 1)[owners]
        places = np.flatnonzero(able)
        named: dict[int, dict[str, int]] = {}
        keys = self.keys.take(pa.array(places)).to_pylist()
        for row, key, code in zip(owners[places].tolist(), keys, self.assurance_codes[places].tolist(), strict=True):
            if joins(key):
                surest = named.setdefault(row, {})
                surest[key] = min(code, surest.get(key, code))
        return [
            (row, max(surest[one], surest[other]), one, other)
            for row, surest in named.items()
            for one, other in combinations(sorted(surest), 2)
            if may_be_linked(one, other)
        ]


def _statements(types: pa.Array, points: _Points) -> list[tuple[int, str, str, str]]:
    found = []
    for row, name in enumerate(types.to_pylist()):
        start = int(points.starts[row])
        if name == _ENDED and (key := points.keys[start].as_py()).partition(":")[0] != "anonymous":
            found.append((row, ENDED, key, key))
        verb = _STATEMENTS.get(name)
        if verb is None or points.lengths[row] < 2:
            continue
        one, other = sorted(points.keys.slice(start, 2).to_pylist())
        if may_be_linked(one, other):
            found.append((row, verb, one, other))
    return found


def _case_refs(column: Columns) -> dict[int, list[str]]:
    """Row -> its case references as node names, sorted, where there are any."""
    if "case_refs" not in column:
        return {}
    lists = column.get("case_refs", pa.list_(pa.string()))
    rows = np.flatnonzero(pc.list_value_length(lists).to_numpy())
    return {int(row): sorted({f"case:{ref}" for ref in lists[int(row)].as_py()}) for row in rows}


def _threads(
    channel: str, column: Columns, case_refs: dict[int, list[str]]
) -> tuple[pa.Array, Ints, pa.Array, list[Pair]]:
    """Thread of each row, the case references named, and which thread each of them is connected with."""
    empty: Ints = np.zeros(0, np.int64)
    if channel == "identity":
        return pa.nulls(len(column), pa.string()), empty, pa.array([], pa.string()), []
    refs = column.get("conversation_ref", pa.string())
    threads = pc.binary_join_element_wise(f"thread:{channel}:", refs, "")
    if not case_refs:
        return threads, empty, pa.array([], pa.string()), []
    names = threads.to_pylist()
    for row, cases in case_refs.items():
        names[row] = names[row] or cases[0]
    edges = [
        (row, id_of_name(names[row]).hex(), id_of_name(case).hex())
        for row, cases in case_refs.items()
        for case in cases
        if case != names[row]
    ]
    case_rows = [row for row, cases in case_refs.items() for _ in cases]
    case_names = [case for cases in case_refs.values() for case in cases]
    return pa.array(names, pa.string()), np.array(case_rows, np.int64), pa.array(case_names, pa.string()), edges


def _outcome(column: Columns) -> pa.Array:
    present = [column.get(name, pa.string()) for name in _OUTCOMES if name in column]
    return pc.coalesce(*present) if present else pa.nulls(len(column), pa.string())


def _rest(channel: str, column: Columns, points: _Points) -> pa.Array:
    """What is seldom asked for, as one JSON text."""
    count = len(column)
    text = pa.string()
    own = {name: json_text.of(column.get(name, text)) for name in _OWN[channel] if name in column}
    members = {
        "contact_points": points.json(),
        **{
            name: json_text.of(column.get(name, text))
            for name in ("source_event_id", "read_up_to", "machine", "promised_at", "statement", "survey")
            if name in column
        },
        "details": json_text.obj(own, count),
    }
    if "case_refs" in column:
        members["case_refs"] = json_text.lists(column.get("case_refs", pa.list_(text)))
    if "attributes" in column:
        members["attributes"] = json_text.maps(column.get("attributes", pa.map_(text, text)))
    return json_text.obj(members, count)


def _micros(values: pa.Array) -> Ints:
    found: Ints = values.cast(pa.int64()).to_numpy()
    return found
