"""Times and durations as spreadsheets and telephone systems write them."""

import re
from datetime import datetime

from producers.fields import Fields
from producers.format import Options
from producers.times import read_time
from schemas.errors import InvalidEvent

_CLOCK = r"(?:[ T,]+(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?(?P<end>.*))?"
_COMPACT = re.compile(r"((?:19|20)\d{6})T?(\d{6})?", re.ASCII)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})([./-])(?P<month>\d{1,2})\2(?P<day>\d{1,2})" + _CLOCK, re.ASCII)
_YEAR_LAST = re.compile(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _CLOCK, re.ASCII)
_DURATION = re.compile(
    r"(?:(?:(?P<hours>\d{1,4}):)?(?P<minutes>\d{1,5}):)?(?P<seconds>\d{1,9})(?:\.\d+)?\s*(?:s|sec)?", re.ASCII
)


def moment(fields: Fields, name: str, options: Options) -> datetime | None:
    """A time as a spreadsheet writes it, in UTC, or None: `9.3.10 8:05`, `2010/3/9 8:05`, `3/9/2010 8:05 PM`, ISO 8601.

    Dots mean that the day comes first, otherwise `options.day_first` says it; two digits of a year are of 1969 to
    2068; a time without offset is in `options.timezone`. Raises InvalidEvent, also for a month above 12: guessing
    the order row by row would turn 9/3 and 25/3 of one file into different months.
    """
    found = fields.value(name)
    if isinstance(found, str):
        found = _plain_time(found.strip(), options, fields.where(name))
    return None if found is None else read_time(found, options, field=fields.where(name))


def seconds(fields: Fields, name: str) -> int | None:
    """A duration in whole seconds, or None: `184`, `184.0`, `3:04`, `0:03:04`. Raises InvalidEvent."""
    text = fields.text(name)
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidEvent(f"{fields.where(name)}: not a duration; write seconds or h:mm:ss")
    return int(found["hours"] or 0) * 3600 + int(found["minutes"] or 0) * 60 + int(found["seconds"])


def _plain_time(text: str, options: Options, field: str) -> str:
    """The same time in a spelling that `producers.times` reads; other text as it is."""
    found = _COMPACT.fullmatch(text)
    if found is not None:
        return "T".join(part for part in found.groups() if part)
    found = _YEAR_FIRST.fullmatch(text)
    if found is not None:
        return f"{found['year']}-{found['month']:0>2}-{found['day']:0>2}{_clock(found, 'T')}"
    found = _YEAR_LAST.fullmatch(text)
    if found is None:
        return text
    day, month = found["a"], found["b"]
    if not (options.day_first or found["mark"] == "."):
        day, month = month, day
    if int(month) > 12:
        raise InvalidEvent(f"{field}: no such month; does the day come first, or the month? Set day_first")
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 69 else 2000
    return f"{day}.{month}.{year}{_clock(found, ' ')}"


def _clock(found: re.Match[str], separator: str) -> str:
    if found["hour"] is None:
        return ""
    seconds_text = "" if found["second"] is None else f":{found['second']}"
    return f"{separator}{found['hour']:0>2}:{found['minute']}{seconds_text}{found['end']}"
