"""Quiet hours: the nights around a moment, by zoneinfo."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

Hours = tuple[time, time]


def not_before(channel: str, now: datetime, quiet: Mapping[str, Hours], zone: str) -> datetime | None:
    """When a channel that is quiet at `now` is so no more; None when it is not quiet."""
    if channel not in quiet:
        return None
    nights = _nights(quiet[channel], now, ZoneInfo(zone))
    until = now
    # What lies over each other is one.
    for begins, ends in nights:
        if begins <= until < ends:
            until = ends
    return None if until == now else until


def _nights(hours: Hours, now: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    begins, ends = hours
    today = now.astimezone(zone).date()
    found = []
    for number in range(-3, 4):
        day = today + timedelta(days=number)
        last = day + timedelta(days=1) if ends < begins else day
        found.append(
            (_later_reading(datetime.combine(day, begins), zone), _later_reading(datetime.combine(last, ends), zone))
        )
    return sorted(found)


def _later_reading(local: datetime, zone: ZoneInfo) -> datetime:
    return max(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
