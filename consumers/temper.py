"""What the projector does about a record that cannot be folded: park it, within bounds, or stop at it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from consumers.prepare import Prepared
from log.log import Position, RecordBatch
from schemas.errors import PoisonRecord, TooManyParked

OnPoison = Literal["park", "stop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Temper:
    """`on_poison` "park" keeps bad records beside the views and goes on, "stop" ends at the first that is not among
    `known` (places in the log); `max_parked`: how many may be parked in the store at any time (None: no bound)."""

    on_poison: OnPoison = "park"
    max_parked: int | None = None
    known: frozenset[Position] = frozenset()

    def admit(self, prepared: Prepared, parked: Mapping[str, int]) -> None:
        """Let a batch pass, before anything of it is committed; `parked`: records parked by now, by error class.

        Raises PoisonRecord, TooManyParked.
        """
        if not prepared.bad:
            return
        new = [record for record in prepared.bad if _position(prepared.batch, record.place) not in self.known]
        if self.on_poison == "stop" and new:
            first = min(new, key=lambda record: record.place)
            batch, at = prepared.batch, first.place
            where = f"{batch.topics[at]}, partition {batch.partitions[at]}, offset {batch.offsets[at]}"
            raise PoisonRecord(
                f"{where}: {type(first.error).__name__} ({first.stage}): {first.error}; nothing of its batch was"
                " committed; mend it and start again, or type: touchlog project --on-poison park"
            )
        counts = Counter(parked) + Counter(type(record.error).__name__ for record in prepared.bad)
        if self.max_parked is not None and counts.total() > self.max_parked:
            ((name, often),) = counts.most_common(1)
            raise TooManyParked(
                f"{counts.total():,} records would be parked, {self.max_parked:,} may be; {often:,} of them are"
                f" {name}; nothing of the last batch was committed and nothing is lost; look with touchlog"
                " dead-letters, mend the cause and redrive, or raise --max-parked"
            )


def _position(batch: RecordBatch, place: int) -> Position:
    return Position(batch.topics[place], batch.partitions[place], batch.offsets[place])
