"""Record headers: as one blob in the embedded log, and split out only for whoever looks."""

from collections.abc import Callable, Sequence
from struct import Struct, error
from typing import overload

from log.log import Headers
from schemas.errors import LogError

_LENGTHS = Struct(">II")


def pack(headers: Headers) -> bytes | None:
    """Each header as name length, value length (four bytes each, big-endian), name, value; None for none."""
    if not headers:
        return None
    parts = []
    for name, value in headers:
        encoded = name.encode()
        parts += [_LENGTHS.pack(len(encoded), len(value)), encoded, value]
    return b"".join(parts)


def unpack(blob: bytes | None) -> Headers:
    """The inverse of `pack`; LogError for bytes that `pack` did not write."""
    headers, at = [], 0
    try:
        while blob and at < len(blob):
            names, values = _LENGTHS.unpack_from(blob, at)
            middle = at + _LENGTHS.size + names
            at = middle + values
            headers.append((blob[middle - names : middle].decode(), blob[middle:at]))
    except (error, UnicodeDecodeError):
        at = -1
    if at != len(blob or b""):
        raise LogError("a record's headers in the log are damaged; restore the log's file from a copy")
    return headers


class LazyHeaders(Sequence[Headers]):
    """Headers of many records, each split out when it is looked at: most readers never look."""

    def __init__(self, raw: Sequence[object], split: Callable[..., Headers]) -> None:
        self._raw, self._split = raw, split

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, index: int) -> Headers: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyHeaders": ...
    def __getitem__(self, index: int | slice) -> "Headers | LazyHeaders":
        if isinstance(index, slice):
            return LazyHeaders(self._raw[index], self._split)
        return self._split(self._raw[index])
