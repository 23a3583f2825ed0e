"""What every phone format needs: a call that its events are built from, and telephone numbers."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

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


# What we do ourselves on a call that we made; the rest of it is told by the network.
_OURS = frozenset({"call.initiated", "callback.attempted", "call.wrapped_up"})

_NUMBER = re.compile(r"\+?[\d\s().*#/-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What all events of one call have in common."""

    vendor: str
    reference: str
    direction: Direction
    points: tuple[ContactPoint, ...]
    common: dict[str, Any]
    system: str | None = None

    def event(
        self, event_type: str, at: datetime | None, options: Options, *, more: dict[str, str] | None = None, **own: Any
    ) -> Event:
        """One event of the call. What becomes of a call that we made is a report; `more` is added to the attributes."""
        begins = event_type in _OURS
        told = self.direction is Direction.OUTBOUND and not begins
        fields = {"direction": Direction.REPORT if told else self.direction, **self.common, **own}
        if more:
            fields["attributes"] = {**fields.get("attributes", {}), **more}
        return event_of(
            "phone",
            options,
            vendor=self.vendor,
            type=event_type,
            reference=self.reference,
            system=self.system,
            occurred_at=at,
            contact_points=self.points,
            **fields,
        )


def customer_points(
    account: str | None, number: str | None, reference: str, options: Options
) -> tuple[ContactPoint, ...]:
    """The customer's account and number. Who has neither is `anonymous:call:<reference>`, and nobody's identity."""
    points = [] if account is None else [point(Kind.ACCOUNT, account, options)]
    if number is not None and number.startswith("sip:"):
        # No kind of contact point is a SIP address: it is shown, and joins nobody.
        points.append(point(Kind.ANONYMOUS, number, options))
    elif not is_withheld(number):
        points.append(point(Kind.PHONE, number or "", options))
    return tuple(points) or (point(Kind.ANONYMOUS, f"call:{reference}", options),)


def dialled(address: str | None) -> str | None:
    """The number in `tel:+46…`, `sip:+46…@host;user=phone` (RFC 3966, RFC 3261) or as it is.

    A SIP address whose user is no number stays `sip:user@host`.
    """
    text = (address or "").strip()
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in {"tel", "sip", "sips"}:
        return text or None
    rest = unquote(rest).partition(";")[0].strip() if scheme.lower() == "tel" else unquote(rest)
    user, _, host = rest.partition("@")
    user, host = user.partition(";")[0].strip(), re.split(r"[;?]", host, maxsplit=1)[0].strip()
    if scheme.lower() == "tel" or not user or is_withheld(user) or _NUMBER.fullmatch(user):
        return user or None
    return f"sip:{user}@{host}"


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
