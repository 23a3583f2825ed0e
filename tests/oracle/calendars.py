"""How long it is open between two moments, by a definition's hours: day by day, with zoneinfo and holidays."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import holidays

FIRST, LAST = date(1995, 1, 1), date(2050, 12, 31)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Span = tuple[datetime, datetime]


class Calendar:
    """The spans of time in which it is open, in order, none into another."""

    def __init__(self, hours: dict[str, Any]) -> None:
        self._zone = ZoneInfo(hours["zone"])
        free = _free_days(hours.get("holidays", {}))
        days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
        found = [
            span
            for day in days
            if day not in free
            for text in hours.get(WEEK[day.weekday()], ())
            if (span := self._span(day, text))[0] < span[1]
        ]
        self._by_day: dict[date, list[Span]] = {}
        for opens, closes in _apart(found):
            self._by_day.setdefault(opens.date(), []).append((opens, closes))
        self._whole = {
            day: sum((closes - opens for opens, closes in spans), timedelta()) for day, spans in self._by_day.items()
        }

    def open_for(self, since: datetime, until: datetime) -> timedelta:
        """How long it is open from one moment to another."""
        total, day = timedelta(), since.date() - timedelta(days=2)
        while day <= until.date():
            if since.date() < day < until.date() - timedelta(days=2):
                total += self._whole.get(day, timedelta())
            else:
                for opens, closes in self._by_day.get(day, ()):
                    total += max(min(closes, until) - max(opens, since), timedelta())
            day += timedelta(days=1)
        return total

    def _span(self, day: date, text: str) -> Span:
        opens, closes = text.split("-")
        return self._moment(day, opens), self._moment(day, closes)

    def _moment(self, day: date, text: str) -> datetime:
        """Of a time that is skipped, or shown twice, the later reading."""
        hour, minute = map(int, text.split(":"))
        local = datetime(day.year, day.month, day.day, tzinfo=self._zone) + timedelta(hours=hour, minutes=minute)
        return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


@cache
def _of_country(country: str, subdivision: str | None) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=range(FIRST.year, LAST.year + 1)))


def _free_days(given: dict[str, Any]) -> frozenset[date]:
    named = _of_country(given["country"], given.get("subdivision")) if "country" in given else frozenset()
    own = {date.fromisoformat(day) if isinstance(day, str) else day for day in given.get("also_closed", ())}
    return frozenset(named | own)


def _apart(spans: list[Span]) -> list[Span]:
    """What lies over each other is one span."""
    joined: list[Span] = []
    for opens, closes in sorted(spans):
        if joined and opens < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], closes))
        else:
            joined.append((opens, closes))
    assert all(one[1] <= other[0] for one, other in pairwise(joined))
    return joined
