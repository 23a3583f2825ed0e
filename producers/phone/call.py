"""What every phone format needs: a call that its events are built from, and telephone numbers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from producers.format import Options
from producers.reading import event_of, point
from schemas.contact_points import normalised
from schemas.errors import InvalidEvent
from schemas.models import ContactPoint, Direction, Event, Kind

# What stands in place of a withheld number: words, and the same words typed on a telephone's keypad
# (ANONYMOUS, BLOCKED, PRIVATE, RESTRICTED, UNAVAILABLE, UNKNOWN).
WITHHELD = frozenset(
    {"anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld"}
) | frozenset({"266696687", "2562533", "7748283", "7378742833", "86282452253", "8656696"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What all events of one call have in common."""

    vendor: str
    reference: str
    direction: Direction
    points: tuple[ContactPoint, ...]
    common: dict[str, Any]
    system: str | None = None

    def event(self, event_type: str, at: datetime, options: Options, **own: Any) -> Event:
        """One event of the call. What becomes of a call that we made is a report."""
        begins = event_type in {"call.initiated", "call.wrapped_up"}
        told = self.direction is Direction.OUTBOUND and not begins
        return event_of(
            "phone",
            options,
            vendor=self.vendor,
            type=event_type,
            reference=self.reference,
            system=self.system,
            occurred_at=at,
            contact_points=self.points,
            direction=Direction.REPORT if told else self.direction,
            **{**self.common, **own},
        )


def customer_points(
    account: str | None, number: str | None, reference: str, options: Options
) -> tuple[ContactPoint, ...]:
    """The customer's account and number. Who has neither is `anonymous:call:<reference>`, and nobody's identity."""
    points = [] if account is None else [point(Kind.ACCOUNT, account, options)]
    if not is_withheld(number):
        points.append(point(Kind.PHONE, number or "", options))
    return tuple(points) or (point(Kind.ANONYMOUS, f"call:{reference}", options),)


def later(moment: datetime, seconds: int | None) -> datetime:
    """That many seconds later (earlier, below 0). Raises InvalidEvent where no calendar reaches."""
    try:
        return moment + timedelta(seconds=seconds or 0)
    except OverflowError:
        raise InvalidEvent("duration: too long") from None


def is_withheld(number: str | None) -> bool:
    """Whether this is no number but what stands in its place."""
    return not number or number.strip().lstrip("+").lower() in WITHHELD


def is_ours(number: str | None, options: Options) -> bool:
    """Whether a number is one of `options.our_numbers`, however both are written; so is a browser of ours."""
    if not number:
        return False
    return number.startswith("client:") or _e164(number, options.region) in _e164s(options.our_numbers, options.region)


@lru_cache(maxsize=64)
def _e164s(numbers: frozenset[str], region: str) -> frozenset[str]:
    return frozenset(_e164(number, region) for number in numbers)


@lru_cache(maxsize=4096)
def _e164(number: str, region: str) -> str:
    return normalised(Kind.PHONE, number, region=region) or number
