"""Times as vendors write them, made aware and brought to UTC."""

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from producers.format import Options
from schemas.errors import ConfigurationError, InvalidEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?")
_NUMERIC_DATE = re.compile(
    r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})"
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?\s*(?P<half>[AaPp][Mm])?)?",
    re.ASCII,
)
_JAVASCRIPT = re.compile(r"\w{3} (\w{3} \d{1,2} \d{4} \d{2}:\d{2}:\d{2}) (?:GMT|UTC)([+-]\d{4})(?: \(.*\))?", re.ASCII)
_ZONE_NAME = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_SPACED_OFFSET = re.compile(r"\s+([+-]\d{2}:?\d{2})$")


def read_time(value: Any, options: Options | None = None, *, field: str = "time") -> datetime:
    """A point in time, in UTC, with microseconds.

    Understood: ISO 8601 with or without offset (`2026-03-02 09:14:05 UTC` as well), seconds, milli-, micro- or
    nanoseconds since 1970 as number or text (told apart by their size), RFC 2822 dates, JavaScript's
    `Mon Mar 02 2026 10:14:05 GMT+0100 (…)`, `02/03/2026 9:14 PM` (`options.day_first` says which is the day),
    `2.3.2026 09:14`. A time without offset is in `options.timezone`.
    Raises InvalidEvent naming `field`, and ConfigurationError for a timezone that does not exist.
    """
    zone = timezone((options or Options()).timezone)
    if isinstance(value, datetime):
        return _utc(value if value.tzinfo else value.replace(tzinfo=zone), field)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidEvent(f"{field}: not a time")
    if not isinstance(value, str):
        return _since_epoch(value, field)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _since_epoch(float(text) if "." in text else int(text), field)
    found = _iso(text) or _numeric_date(text, day_first=(options or Options()).day_first) or _javascript(text)
    found = found or _rfc_2822(text)
    if found is None:
        raise InvalidEvent(f"{field}: not a time; ISO 8601 with an offset is best")
    return _utc(found if found.tzinfo else found.replace(tzinfo=zone), field)


@lru_cache(maxsize=16)
def timezone(name: str) -> ZoneInfo:
    """The timezone of that IANA name; raises ConfigurationError when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            "the timezone is not an IANA name; type one such as --timezone Europe/Stockholm"
        ) from None


def _since_epoch(value: float, field: str) -> datetime:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidEvent(f"{field}: not a time")
    size = abs(value)
    # Seconds reach the year 5138 before the first millisecond value of 1973 is met.
    per_second = 1 if size < 10**11 else 10**3 if size < 10**14 else 10**6 if size < 10**17 else 10**9
    if size >= 10**20:
        raise InvalidEvent(f"{field}: not a time since 1970")
    exact = isinstance(value, int)
    micros = int(value * 10**6 // per_second) if exact else round(value * 10**6 / per_second)
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise InvalidEvent(f"{field}: not a time since 1970") from None


def _iso(text: str) -> datetime | None:
    named = _ZONE_NAME.search(text)
    if named is not None:
        text = text[: named.start()] + "+00:00"
    try:
        return datetime.fromisoformat(_SPACED_OFFSET.sub(r"\1", text))
    except ValueError:
        return None


def _numeric_date(text: str, *, day_first: bool) -> datetime | None:
    found = _NUMERIC_DATE.fullmatch(text)
    if found is None:
        return None
    first, second = int(found["a"]), int(found["b"])
    # Dots are written by those who put the day first; and a 13th month is none.
    if day_first or found["mark"] == "." or first > 12:
        first, second = second, first
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    try:
        moment = datetime(int(found["year"]), first, second, hour, int(found["minute"] or 0), int(found["second"] or 0))  # noqa: DTZ001 - the caller adds the zone
    except ValueError:
        return None
    return moment


def _javascript(text: str) -> datetime | None:
    found = _JAVASCRIPT.fullmatch(text)
    try:
        return datetime.strptime(f"{found[1]} {found[2]}", "%b %d %Y %H:%M:%S %z") if found else None
    except ValueError:
        return None


def _rfc_2822(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # RFC 5322 3.3: -0000 is UTC, told by a clock that does not know its own zone.
    return found.replace(tzinfo=UTC) if found.tzinfo is None and "-0000" in text else found


def _utc(value: datetime, field: str) -> datetime:
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise InvalidEvent(f"{field}: not a time") from None
