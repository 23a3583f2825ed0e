"""A part of the log, for looking: some contact points, some channels, from some time on.

A view over a part says what these records alone say, so a store of a part is marked and never becomes the live one.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consumers.decode import Decoder, Group
from log.log import RecordBatch
from schemas.codec import micros
from schemas.contact_points import plain_key
from schemas.errors import ConfigurationError
from schemas.registry import Registry
from schemas.topics import CHANNELS, IDENTITY, TOPICS, topic_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Which records: all conditions hold; an empty one, or None, is none.

    `contact_points`: keys (`email:ada@example.org`) of which the event names one, as primary or beside it, in any
    role, or in a statement about it. `channels`: of these; statements about identity belong to all of them. `since`:
    of what occurred then or later.
    """

    contact_points: frozenset[str] = field(default_factory=frozenset)
    channels: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None

    def __post_init__(self) -> None:
        unknown = self.channels - set(CHANNELS)
        if unknown:
            raise ConfigurationError(f"no such channel: {', '.join(sorted(unknown))}; one of {', '.join(CHANNELS)}")
        if self.since is not None and self.since.tzinfo is None:
            raise ConfigurationError("a time needs an offset from UTC, as in 2026-03-02T09:00:00+01:00")
        if not all(value for _, _, value in (key.partition(":") for key in self.contact_points)):
            raise ConfigurationError("a contact point is named by its kind and its value, as in email:ada@example.org")

    @property
    def topics(self) -> frozenset[str]:
        """The topics that can hold such records."""
        return frozenset(topic_of(name) for name in (*self.channels, IDENTITY)) if self.channels else frozenset(TOPICS)

    def told(self) -> str:
        """As JSON, the same for equal parts."""
        since = None if self.since is None else self.since.astimezone(UTC).isoformat()
        return json.dumps(
            {"contact_points": sorted(self.contact_points), "channels": sorted(self.channels), "since": since},
            ensure_ascii=False,
        )


class PartOfBatch:
    """Finds the records of a part in batches of its topics."""

    def __init__(self, part: Part, registry: Registry) -> None:
        self._part = part
        self._decoder = Decoder(registry)
        # A record names a contact point by its own key, whoever has it then.
        wanted = sorted({plain_key(key) for key in part.contact_points})
        self._keys = {key.encode() for key in wanted}
        # Avro writes a text as it is: a record that names a contact point holds the bytes of its value.
        self._texts = [key.partition(":")[2].encode() for key in wanted]
        self._wanted = pa.array(wanted, pa.string())

    def __call__(self, batch: RecordBatch) -> Sequence[int]:
        """The places of the part's records, in order. Of a record that cannot be decoded the key says whose it is;
        when it occurred nobody knows, so it is one of them.

        Raises RegistryUnavailable (ask again).
        """
        part = self._part
        if not part.contact_points and part.since is None:
            return range(len(batch))
        maybe = set(range(len(batch))) if not self._texts else set(self._may_name(batch))
        groups, bad = self._decoder.decode(batch, set(range(len(batch))) - maybe)
        found = [record.place for record in bad if not self._keys or batch.keys[record.place] in self._keys]
        for group in groups:
            found += np.asarray(group.places)[self._matches(group)].tolist()
        return sorted(found)

    def _may_name(self, batch: RecordBatch) -> Iterator[int]:
        for place, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            if key in self._keys or (value is not None and any(text in value for text in self._texts)):
                yield place

    def _matches(self, group: Group) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        columns = group.columns
        matches = np.ones(columns.num_rows, bool)
        if self._part.since is not None:
            times = columns.column("occurred_at").cast(pa.int64()).to_numpy()
            matches &= times >= micros(self._part.since)
        if self._part.contact_points:
            matches &= self._names(columns)
        return matches

    def _names(self, columns: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        points = columns.column("contact_points")
        flat = points.flatten()
        keys = pc.binary_join_element_wise(pc.struct_field(flat, "kind"), pc.struct_field(flat, "value"), ":")
        rows = pc.list_parent_indices(points).filter(pc.is_in(keys, self._wanted))
        names = np.zeros(columns.num_rows, bool)
        names[rows.to_numpy()] = True
        if "statement" in columns.schema.names and pa.types.is_struct(columns.column("statement").type):
            statement = columns.column("statement")
            if "about" in [one.name for one in statement.type.fields]:
                about = pc.struct_field(statement, "about")
                names |= pc.is_in(about, self._wanted).to_numpy(zero_copy_only=False)
        return names
