"""Definitions of response times, as a person reads them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from touchlog.render import as_time, harmless

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))
_MEASURES = ("first_response", "next_response", "after_handoff", "resolution")


def definitions(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One paragraph a definition; rows of the view metric_definitions, `definition` parsed."""
    now = datetime.now(UTC).date().year
    return Group(*(line for row in rows for line in _definition(row, now)))


def _definition(row: Mapping[str, Any], year: int) -> Iterator[RenderableType]:
    yield Text.assemble(
        (row["name"], "bold"), f"  version {row['version']}", (f"  since {as_time(row['loaded_at'])[:16]}Z", "dim")
    )
    if row["note"]:
        yield Text(f"  {harmless(row['note'])}")
    yield _fact("bots", "a bot's answer stops the clock" if row["bots_answer"] else "a bot's answer does not count")
    yield _fact("snoozed", "the clock stands still" if row["snoozes_pause"] else "the clock runs on")
    yield _fact("hours", _hours(row["definition"]["hours"]))
    closed = row["closed"] or ()
    if closed:
        given = row["definition"]["hours"]["holidays"]
        whose = " ".join(part for part in (given["country"], given["subdivision"]) if part)
        days = ", ".join(f"{day:%-d %b}" for day in closed if day.year == year)
        yield _fact("closed", f"{'holidays of ' + whose if whose else 'days of your own'}; in {year}: {days or 'none'}")
    for measure in _MEASURES:
        targets = row["definition"]["targets"].get(measure)
        if targets:
            told = "  ".join(f"{channel} {_seconds(seconds)}" for channel, seconds in targets.items())
            yield _fact(measure, f"within  {told}")
    yield Text("")


def _fact(name: str, said: str) -> Text:
    return Text.assemble("  ", (f"{name:<15}", "dim"), said)


def _hours(hours: Mapping[str, Any] | None) -> str:
    """`mon-fri 08:00-17:00, sat 10:00-14:00 (Europe/Stockholm)`."""
    if hours is None:
        return "every second counts"
    told = []
    for spans, days in groupby(_DAYS, key=lambda day: tuple(hours[day])):
        if spans:
            named = list(days)
            whole = named[0] if len(named) == 1 else f"{named[0]}-{named[-1]}"
            told.append(f"{whole} {' '.join(spans)}")
    return f"{', '.join(told)} ({hours['zone']})"


def _seconds(seconds: int) -> str:
    """`45 h`, `1 h 30 min`: in no days, which are no 24 hours where working hours alone count."""
    told = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            told.append(f"{number} {unit}")
    return " ".join(told) or "0 s"
