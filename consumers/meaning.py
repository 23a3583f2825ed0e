"""`schemas.event_types.conclusions` over columns: what each event means, as the bits of `flags`."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from projections import layout
from schemas.event_types import EVENT_TYPES, OUR_STEPS, Meaning, avro_symbol

Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_OUR_STEPS = [layout.ITEM[1].index(step) for step in OUR_STEPS]
_SEEN_STEPS = [layout.ITEM[1].index(step) for step in ("opened", "clicked")]
_ANSWERED = layout.ITEM[1].index("answered")
_BAD = layout.REACH[1].index("bad")


def packed(meaning: Meaning) -> int:
    """One meaning as bits, without those of the primary contact point and of rare fields."""
    bits = (
        layout.TOUCHPOINT * meaning.touchpoint
        | layout.CUSTOMER * meaning.customer
        | layout.OPENS * meaning.opens
        | layout.CLOSES * meaning.closes
        | layout.REOPENS * meaning.reopens
        | layout.ABANDONS * meaning.abandons
        | layout.HAND_OVER * meaning.hand_over
    )
    for (shift, names), value in (
        (layout.CLOCK, meaning.clock),
        (layout.REACH, meaning.reach),
        (layout.ITEM, meaning.item),
    ):
        bits |= names.index(value or "") << shift
    return bits | meaning.engagement << layout.ENGAGEMENT_SHIFT


class TypeTable:
    """The types of one channel: Avro symbols to codes, codes to names and meanings."""

    def __init__(self, channel: str) -> None:
        self.names = pa.array(EVENT_TYPES[channel])
        self._symbols = pa.array([avro_symbol(name) for name in EVENT_TYPES[channel]])
        self._meanings = np.array([packed(meaning) for meaning in EVENT_TYPES[channel].values()], np.int32)

    def codes(self, symbols: pa.Array) -> Ints:
        """Codes of Avro symbols; one that this version does not know is `unknown`."""
        unknown = self.names.index("unknown").as_py()
        found: Ints = pc.fill_null(pc.index_in(symbols, self._symbols), unknown).to_numpy()
        return found

    def meanings(self, codes: Ints) -> Ints:
        """The bits that the types alone stand for."""
        found: Ints = self._meanings[codes]
        return found


def conclude(bits: Ints, column: "Columns") -> Ints:
    """The bits once each event's own fields have had their say; rule by rule as in `conclusions`."""
    inbound = column.equal("direction", ["inbound"])

    machine = column.true("machine")
    seen = np.isin(_field(bits, layout.ITEM), _SEEN_STEPS)
    bits = _cleared(bits, machine, layout.TOUCHPOINT | layout.CUSTOMER | _mask(layout.REACH) | _ENGAGEMENT)
    bits = _cleared(bits, machine & seen, _mask(layout.ITEM))

    automatic = column.equal("author", ["bot", "template", "machine"])
    bits = _cleared(bits, automatic, _mask(layout.CLOCK))
    bits = _cleared(bits, automatic & inbound, layout.OPENS)

    ours = np.isin(_field(bits, layout.ITEM), _OUR_STEPS)
    bad = _field(bits, layout.REACH) == _BAD
    bits = _cleared(bits, inbound & ours, _mask(layout.ITEM) | _ENGAGEMENT)
    bits = _cleared(bits, inbound & ours & bad, _mask(layout.REACH))

    unprompted = (_field(bits, layout.ITEM) == _ANSWERED) & ~column.some_text("answers_ref")
    bits = _cleared(bits, unprompted, _mask(layout.ITEM) | _ENGAGEMENT)

    bits = _cleared(bits, column.equal("bounce_class", ["soft"]), _mask(layout.ITEM) | _mask(layout.REACH))
    bits = _cleared(
        bits,
        column.equal("answered_by", ["machine"]),
        _mask(layout.CLOCK) | _ENGAGEMENT | _mask(layout.REACH) | _mask(layout.ITEM),
    )
    return _cleared(bits, column.equal("delivery_basis", ["estimated"]), _mask(layout.REACH))


class Columns:
    """Columns of decoded events by name; one that a writer's schema lacks is all null."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._names = set(batch.schema.names)

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def get(self, name: str, kind: pa.DataType) -> pa.Array:
        """The column, or nulls of the type."""
        if name not in self._names:
            return pa.nulls(len(self), kind)
        return self._batch.column(name)

    def equal(self, name: str, values: Sequence[str]) -> Mask:
        """Where a text column is one of the values."""
        if name not in self._names or self._batch.column(name).null_count == len(self):
            return np.zeros(len(self), bool)
        found: Mask = pc.is_in(self._batch.column(name), pa.array(values)).to_numpy(zero_copy_only=False)
        return found

    def true(self, name: str) -> Mask:
        """Where a boolean column is true."""
        if name not in self._names:
            return np.zeros(len(self), bool)
        found: Mask = pc.fill_null(self._batch.column(name), False).to_numpy(zero_copy_only=False)
        return found

    def some_text(self, name: str) -> Mask:
        """Where a text column holds a text that is not empty."""
        if name not in self._names or self._batch.column(name).null_count == len(self):
            return np.zeros(len(self), bool)
        found: Mask = pc.fill_null(pc.not_equal(self._batch.column(name), ""), False).to_numpy(zero_copy_only=False)
        return found


def _mask(field: tuple[int, tuple[str, ...]]) -> int:
    shift, names = field
    return ((1 << (len(names) - 1).bit_length()) - 1) << shift


def _field(bits: Ints, field: tuple[int, tuple[str, ...]]) -> Ints:
    shift, _ = field
    found: Ints = (bits & _mask(field)) >> shift
    return found


_ENGAGEMENT = 15 << layout.ENGAGEMENT_SHIFT


def _cleared(bits: Ints, where: Mask, mask: int) -> Ints:
    return np.where(where, bits & ~np.int32(mask), bits).astype(np.int32, copy=False)
