"""What became of everything that was to be published."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.errors import TouchlogError

# A reason can name a place in the payload; a file of nothing but broken lines has as many.
MOST_REASONS = 100
OTHER_REASONS = "other reasons"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What became of everything that was read.

    `reasons` counts rejections and failed deliveries by why; `unreadable` holds sources that could not be read to
    their end, with why (their payloads before that are counted); `stopped` says that not all was read; `error` is
    what ended it, when something did.
    """

    with_events: int = 0
    without_events: int = 0
    rejected: int = 0
    events: int = 0
    delivered: int = 0
    by_topic: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()
    stopped: bool = False
    error: TouchlogError | None = None

    @property
    def read(self) -> int:
        """Payloads whose fate is decided."""
        return self.with_events + self.without_events + self.rejected

    @property
    def failed(self) -> int:
        """Events that the log has not confirmed."""
        return self.events - self.delivered

    @property
    def complete(self) -> bool:
        """Whether everything was read to the end, understood and confirmed by the log."""
        return not (self.stopped or self.error or self.unreadable or self.rejected or self.failed)


@dataclass(kw_only=True, slots=True)
class Counts:
    """A report in the making."""

    with_events: int = 0
    without_events: int = 0
    rejected: int = 0
    events: int = 0
    delivered: int = 0
    by_topic: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False
    error: TouchlogError | None = None

    def because(self, reason: str) -> None:
        """Count one rejection or failed delivery."""
        known = reason in self.reasons or len(self.reasons) < MOST_REASONS
        self.reasons[reason if known else OTHER_REASONS] += 1

    def report(self) -> Report:
        """What it is so far."""
        return Report(
            with_events=self.with_events,
            without_events=self.without_events,
            rejected=self.rejected,
            events=self.events,
            delivered=self.delivered,
            by_topic=MappingProxyType(dict(self.by_topic)),
            reasons=MappingProxyType(dict(self.reasons)),
            unreadable=tuple(self.unreadable),
            stopped=self.stopped,
            error=self.error,
        )
