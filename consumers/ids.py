"""128-bit ids as two columns of unsigned 64-bit integers: how the hot path compares, sorts and looks them up."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.contact_points import NAMESPACE

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_NO_DIGIT = 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _value, _text in enumerate("0123456789abcdef"):
    _DIGITS[ord(_text)] = _DIGITS[ord(_text.upper())] = _value
_TEXT_LENGTH = 36
_DASHES = (8, 13, 18, 23)
_DIGIT_PLACES = np.array([place for place in range(_TEXT_LENGTH) if place not in _DASHES])


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids, as parallel high and low halves of shape (n,)."""

    high: U64
    low: U64

    def __len__(self) -> int:
        return len(self.high)

    @staticmethod
    def empty(count: int = 0) -> "Ids":
        """`count` ids of zero."""
        return Ids(np.zeros(count, np.uint64), np.zeros(count, np.uint64))

    @staticmethod
    def concat(parts: Sequence["Ids"]) -> "Ids":
        if not parts:
            return Ids.empty()
        return Ids(np.concatenate([part.high for part in parts]), np.concatenate([part.low for part in parts]))

    @staticmethod
    def of(uuids: Sequence[UUID]) -> "Ids":
        high = np.fromiter((uuid.int >> 64 for uuid in uuids), np.uint64, len(uuids))
        return Ids(high, np.fromiter((uuid.int & (2**64 - 1) for uuid in uuids), np.uint64, len(uuids)))

    @staticmethod
    def from_bytes(raw: npt.NDArray[np.uint8]) -> "Ids":
        """From big-endian bytes of shape (n, 16)."""
        halves = np.ascontiguousarray(raw).view(">u8").astype(np.uint64)
        return Ids(halves[:, 0].copy(), halves[:, 1].copy())

    @staticmethod
    def from_arrow(array: pa.Array | pa.ChunkedArray) -> "Ids":
        """From a column of `arrow.uuid`, without nulls."""
        if isinstance(array, pa.ChunkedArray):
            return Ids.concat([Ids.from_arrow(chunk) for chunk in array.chunks])
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        raw = np.frombuffer(storage.buffers()[1], np.uint8)[storage.offset * 16 : (storage.offset + len(storage)) * 16]
        return Ids.from_bytes(raw.reshape(-1, 16))

    def at(self, place: int) -> bytes:
        """One id, as big-endian bytes."""
        return (int(self.high[place]) << 64 | int(self.low[place])).to_bytes(16, "big")

    def bytes(self) -> npt.NDArray[np.uint8]:
        """Big-endian bytes of shape (n, 16)."""
        return np.stack([self.high, self.low], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)

    def to_arrow(self, valid: Mask | None = None) -> pa.Array:
        """A column of `arrow.uuid`, null where not `valid`."""
        bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
        buffers = [bitmap, pa.py_buffer(self.bytes().tobytes())]
        storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(self), buffers)
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)

    def to_uuids(self) -> list[UUID]:
        return [UUID(int=high << 64 | low) for high, low in zip(self.high.tolist(), self.low.tolist(), strict=True)]

    def slice(self, start: int, stop: int) -> "Ids":
        return Ids(self.high[start:stop], self.low[start:stop])

    def split(self, lengths: Sequence[int]) -> "list[Ids]":
        """These ids in successive pieces of such lengths."""
        ends = np.cumsum(lengths).tolist()
        return [self.slice(end - length, end) for length, end in zip(lengths, ends, strict=True)]

    def take(self, places: npt.NDArray[np.int64]) -> "Ids":
        return Ids(self.high[places], self.low[places])

    def where(self, mask: Mask) -> "Ids":
        return Ids(self.high[mask], self.low[mask])

    def filled(self, mask: Mask, values: "Ids") -> "Ids":
        """These ids with `values` (as many as the mask has) put where the mask is set."""
        high, low = self.high.copy(), self.low.copy()
        high[mask], low[mask] = values.high, values.low
        return Ids(high, low)

    def order(self) -> npt.NDArray[np.int64]:
        """Places in ascending order; of equal ids the earlier place first."""
        order = np.argsort(self.high, kind="stable")
        ordered = self.high[order]
        if len(order) > 1 and bool(
            np.any((ordered[1:] == ordered[:-1]) & (self.low[order][1:] < self.low[order][:-1]))
        ):
            return np.lexsort((self.low, self.high))
        return order


def parse_ids(texts: pa.Array) -> tuple[Ids, Mask]:
    """UUIDs written as text, and which of the texts are one (`8-4-4-4-12` hexadecimal digits)."""
    lengths = np.diff(np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1])
    good: Mask = lengths == _TEXT_LENGTH
    if not good.all():
        texts = pa.array(
            [text if len(text.encode()) == _TEXT_LENGTH else "0" * _TEXT_LENGTH for text in texts.to_pylist()]
        )
    if len(texts) == 0:
        return Ids.empty(), good
    start = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset]
    raw = np.frombuffer(texts.buffers()[2], np.uint8)[start : start + len(texts) * _TEXT_LENGTH].reshape(
        -1, _TEXT_LENGTH
    )
    digits = _DIGITS[raw[:, _DIGIT_PLACES]]
    good &= (digits != _NO_DIGIT).all(axis=1) & (raw[:, _DASHES] == ord("-")).all(axis=1)
    return Ids.from_bytes((digits[:, 0::2] << 4 | digits[:, 1::2] & 15).astype(np.uint8)), good


def id_of_name(name: str) -> bytes:
    """`schemas.contact_points.contact_point_id` as big-endian bytes, without an object around them."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


class IdMaker:
    """UUIDv5 of names within the namespace of contact points, many at once (DuckDB's SHA-1, outside Python's lock)."""

    def __init__(self) -> None:
        self._con = duckdb.connect(":memory:", config={"threads": 1})
        prefix = "".join(f"\\x{byte:02x}" for byte in NAMESPACE.bytes)
        self._sql = f"SELECT sha1('{prefix}'::BLOB || encode(name)) AS digest FROM names"

    def of_names(self, names: pa.Array) -> Ids:
        """One id a name; the same as `schemas.contact_points.contact_point_id`."""
        if not len(names):
            return Ids.empty()
        self._con.register("names", pa.table({"name": names}))
        digests = self._con.sql(self._sql).to_arrow_table().column("digest").combine_chunks()
        width = 40
        raw = np.frombuffer(digests.buffers()[2], np.uint8)[: len(digests) * width].reshape(-1, width)[:, :32]
        # Digits that are known to be lower-case need no table: '0' is 0x30, 'a' is 0x61.
        digits = np.ascontiguousarray((raw & 15) + 9 * (raw >> 6)).view("<u2")
        octets = (digits << 4 | digits >> 8).astype(np.uint8)
        octets[:, 6] = octets[:, 6] & 0x0F | 0x50
        octets[:, 8] = octets[:, 8] & 0x3F | 0x80
        return Ids.from_bytes(octets)
