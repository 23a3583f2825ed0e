"""Definitions of response times: read from a TOML file, checked, and laid in the store as settings.

They are no events: whatever is loaded last stands, views count the whole history by it, and nothing is replayed.
Holidays are looked up when a definition is loaded, and lie in the store as dates: an answer of a view never depends on
who asks.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import ConfigurationError

FIRST_YEAR, LAST_YEAR = 1995, 2050
"""Years of the calendar: before and after them it is never open. No event is from before 1995 (docs/event.md)."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60

TABLE = (
    "step INTEGER, loaded_at TIMESTAMPTZ, place INTEGER, name VARCHAR, version INTEGER, note VARCHAR,"
    " definition VARCHAR, closed VARCHAR, calendar VARCHAR"
)
"""Columns of store.metric_loads, insert-only: of all steps the last one stands. `place` in the file, from 1;
`definition`: JSON of what is neither name, version nor note; `closed`: JSON of the days on which it is closed all day;
`calendar`: which release of `holidays` named them."""


def _minutes(text: str) -> int:
    hour, _, minute = text.strip().partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
        raise ValueError(f"{text.strip()!r} is no time of day; write it as 08:00, midnight at the end as 24:00")
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > MINUTES_A_DAY:
        raise ValueError(f"{text.strip()!r} is no time of day; write it as 08:00, midnight at the end as 24:00")
    return found


def _apart(spans: tuple[str, ...]) -> tuple[str, ...]:
    """Opening hours of one day: in order, none into another."""
    before = -1
    for span in spans:
        opens, dash, closes = span.partition("-")
        if not dash:
            raise ValueError(f"{span!r} is no span of hours; write it as 08:00-17:00")
        if _minutes(closes) <= _minutes(opens):
            raise ValueError(f"{span!r} ends before it begins; hours over midnight are two, up to 24:00 and from 00:00")
        if _minutes(opens) < before:
            raise ValueError(f"{span!r} begins before the hours above it end")
        before = _minutes(closes)
    return spans


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not an IANA time zone, for example Europe/Stockholm") from None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)


OfOneDay = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_apart)]
Day = Annotated[date, Field(strict=False)]
Seconds = Annotated[int, Field(ge=0)]
Targets = dict[Literal["email", "chat", "phone", "post", "social"], Seconds]


class Holidays(_Part):
    """Days that are no working days: those of a country, or of a part of it, and one's own."""

    country: str | None = None
    subdivision: str | None = None
    also_closed: Annotated[tuple[Day, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _known(self) -> "Holidays":
        if self.country is None and self.subdivision is not None:
            raise ValueError("a subdivision is one of a country; name that too")
        if self.country is not None:
            _of_country(self.country, self.subdivision)
        return self

    @property
    def days(self) -> frozenset[date]:
        """All of them, from FIRST_YEAR to LAST_YEAR."""
        named = frozenset[date]() if self.country is None else _of_country(self.country, self.subdivision)
        return named | frozenset(self.also_closed)


class Hours(_Part):
    """When it is open: spans of local time by day of the week."""

    zone: Annotated[str, AfterValidator(_known_zone)]
    mon: OfOneDay = ()
    tue: OfOneDay = ()
    wed: OfOneDay = ()
    thu: OfOneDay = ()
    fri: OfOneDay = ()
    sat: OfOneDay = ()
    sun: OfOneDay = ()
    holidays: Holidays = Holidays()

    @model_validator(mode="after")
    def _open_at_all(self) -> "Hours":
        if not any(getattr(self, day) for day in DAYS):
            raise ValueError('it is open on no day of the week; give hours, mon = ["08:00-17:00"]')
        return self


class Definition(_Part):
    """How waits are counted; docs/views.md says what each field means."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,62}$")]
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    note: Annotated[str, Field(max_length=1000)] = ""
    bots_answer: bool = False
    snoozes_pause: bool = False
    targets: dict[Literal["first_response", "next_response", "after_handoff", "resolution"], Targets] = {}
    hours: Hours | None = None


class Row(NamedTuple):
    """One row of store.metric_loads, but for step and loaded_at."""

    place: int
    name: str
    version: int
    note: str
    definition: str
    closed: str
    calendar: str | None


def read(path: Path) -> tuple[Definition, ...]:
    """The definitions of a file. Raises ConfigurationError naming the file, the definition and the field."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    return checked(content, where=str(path))


def checked(content: Any, *, where: str) -> tuple[Definition, ...]:
    """The definitions of a file's content, `{"definition": [{…}, …]}`. Raises ConfigurationError."""
    if not isinstance(content, Mapping) or not isinstance(content.get("definition"), list) or not content["definition"]:
        raise ConfigurationError(f"{where}: there is no definition; each begins with a line [[definition]]")
    unknown = sorted(set(content) - {"definition"})
    if unknown:
        raise ConfigurationError(f"{where}: there is no {unknown[0]!r} outside of [[definition]]")
    found: list[Definition] = []
    for number, given in enumerate(content["definition"], 1):
        name = given.get("name") if isinstance(given, Mapping) else None
        called = f"definition {name}" if isinstance(name, str) else f"definition {number}"
        try:
            one = Definition.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(f"{where}: {called}: {_explained(error)}") from None
        if (one.name, one.version) in {(other.name, other.version) for other in found}:
            raise ConfigurationError(f"{where}: {called}: version {one.version} stands there twice")
        found.append(one)
    return tuple(found)


def packaged_text() -> str:
    """The file of the definitions that a new store begins with."""
    return (resources.files("projections") / "metrics.toml").read_text("utf-8")


@cache
def packaged() -> tuple[Row, ...]:
    """The rows of these."""
    return rows_of(checked(tomllib.loads(packaged_text()), where="metrics.toml"))


def rows_of(definitions: Sequence[Definition]) -> tuple[Row, ...]:
    """Definitions as they lie in the store."""
    return tuple(
        Row(
            place=place,
            name=one.name,
            version=one.version,
            note=one.note,
            definition=_told(one),
            closed=json.dumps([] if one.hours is None else sorted(map(str, one.hours.holidays.days))),
            calendar=None if one.hours is None or one.hours.holidays.country is None else _release(),
        )
        for place, one in enumerate(definitions, 1)
    )


def to_json(definitions: Sequence[Definition]) -> dict[str, Any]:
    """What `checked` takes."""
    return {"definition": [one.model_dump(mode="json", exclude_none=True) for one in definitions]}


def standing(con: duckdb.DuckDBPyConnection) -> tuple[Row, ...]:
    """What stands in a store."""
    rows = con.execute(
        f"""
        SELECT {", ".join(Row._fields)} FROM store.metric_loads
        WHERE step = (SELECT max(step) FROM store.metric_loads) ORDER BY place
        """
    ).fetchall()
    return tuple(Row(*row) for row in rows)


def shown(rows: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """The rows of what the view metric_definitions shows."""
    told = [{**row, "closed": json.dumps([str(day) for day in row["closed"]])} for row in rows]
    return tuple(sorted(Row(**{name: row[name] for name in Row._fields}) for row in told))


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """The packaged definitions stand in a store that has none."""
    if not standing(con):
        put(con, packaged())


def load(con: duckdb.DuckDBPyConnection, definitions: Sequence[Definition]) -> bool:
    """These stand from now on, in the caller's transaction; False when they stood already.

    Raises ConfigurationError when one of them says something else than it did when its name and version were loaded
    before, and for a time zone that DuckDB does not know.
    """
    rows = rows_of(definitions)
    before = con.execute("SELECT DISTINCT name, version, definition FROM store.metric_loads").fetchall()
    known = {(name, version): text for name, version, text in before}
    for row in rows:
        if known.get((row.name, row.version), row.definition) != row.definition:
            newest = max(version for name, version in known if name == row.name)
            raise ConfigurationError(
                f"definition {row.name} changed, its version {row.version} did not; call it version {newest + 1}"
                " (the one of before may stay in the file)"
            )
    zones = {one.hours.zone for one in definitions if one.hours is not None}
    in_sql = {name for (name,) in con.execute("SELECT name FROM pg_timezone_names()").fetchall()}
    if zones - in_sql:
        raise ConfigurationError(f"the database knows no time zone {min(zones - in_sql)}; take another name of it")
    return put(con, rows)


def put(con: duckdb.DuckDBPyConnection, rows: Sequence[Row]) -> bool:
    """These rows stand from now on; False when they stood already."""
    if tuple(rows) == standing(con):
        return False
    (step,) = con.execute("SELECT coalesce(max(step), 0) + 1 FROM store.metric_loads").fetchall()[0]
    loaded_at = datetime.now(UTC)
    con.executemany(
        "INSERT INTO store.metric_loads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [(step, loaded_at, *row) for row in rows]
    )
    return True


def _told(one: Definition) -> str:
    return json.dumps(one.model_dump(mode="json", exclude={"name", "version", "note"}), sort_keys=True)


def _explained(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        return f"there is no field {where}"
    problem = first["msg"].removeprefix("Value error, ")
    return f"{where}: {problem}" if where else problem


@cache
def _of_country(country: str, subdivision: str | None) -> frozenset[date]:
    # It takes as long to import as everything else together, and most commands need none of it.
    import holidays

    try:
        found = holidays.country_holidays(country, subdiv=subdivision, years=range(FIRST_YEAR, LAST_YEAR + 1))
    except NotImplementedError:
        what = f"the country {country!r}" if subdivision is None else f"{subdivision!r} in the country {country!r}"
        raise ValueError(f"no holidays are known of {what}; a country is two letters, SE") from None
    return frozenset(found)


def _release() -> str:
    return f"holidays {version('holidays')}"
