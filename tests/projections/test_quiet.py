"""Quiet hours end at the same moment by DuckDB and by zoneinfo, also in the nights in which the clock is changed."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

import duckdb
import pytest

from projections.contact_rules import QUIET, ZONE
from projections.quiet import quiet_until
from tests.oracle.quiet import not_before

Quiet = Mapping[str, tuple[time, time]]
_NIGHTS = [
    datetime.fromisoformat(f"{day}T{hour:02}:{minute:02}:00+00:00")
    for day in ("2025-03-29", "2025-03-30", "2025-10-26", "2024-12-31")
    for hour in range(24)
    for minute in (0, 30)
]


def found(quiet: Quiet, zone: str, now: datetime) -> dict[str, datetime]:
    return asked(knowing(quiet, zone), now)


def knowing(quiet: Quiet, zone: str) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA store").execute(quiet_until(quiet, zone))
    return con


def asked(con: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, datetime]:
    rows = con.execute("FROM store.quiet_until(?)", [now]).to_arrow_table().to_pylist()
    return {row["channel"]: row["not_before"].astimezone(UTC) for row in rows}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("begins", "ends", "now", "until"),
    [
        # In Stockholm 21:00 is 19:00 UTC in summer, and 08:00 is 07:00 UTC in winter.
        ("21:00", "08:00", "2025-06-10T18:59:59.999999", None),
        ("21:00", "08:00", "2025-06-10T19:00", "2025-06-11T06:00"),
        ("21:00", "08:00", "2025-06-11T05:59:59.999999", "2025-06-11T06:00"),
        ("21:00", "08:00", "2025-06-11T06:00", None),
        # The night in which the clock is put forward is an hour shorter, the other an hour longer.
        ("21:00", "08:00", "2025-03-29T20:00", "2025-03-30T06:00"),
        ("21:00", "08:00", "2025-10-25T19:00", "2025-10-26T07:00"),
        # 02:30 is skipped: half an hour after the change, which is at 01:00 UTC.
        ("21:00", "02:30", "2025-03-30T00:45", "2025-03-30T01:30"),
        ("21:00", "02:30", "2025-03-30T01:15", "2025-03-30T01:30"),
        ("02:30", "08:00", "2025-03-30T01:15", None),
        ("02:30", "08:00", "2025-03-30T01:30", "2025-03-30T06:00"),
        # 02:30 is shown twice, at 00:30 and 01:30 UTC: it is quiet until the second.
        ("21:00", "02:30", "2025-10-26T00:35", "2025-10-26T01:30"),
        ("02:30", "08:00", "2025-10-26T00:35", None),
        ("02:30", "08:00", "2025-10-26T01:30", "2025-10-26T07:00"),
        # Within a day.
        ("12:00", "13:00", "2025-06-10T10:30", "2025-06-10T11:00"),
        # So that the skipped hour lays one span over the next.
        ("03:10", "02:50", "2025-03-30T00:55", "2025-03-31T00:50"),
    ],
)
def test_until_when_it_is_quiet(begins: str, ends: str, now: str, until: str | None) -> None:
    quiet = {"phone": (time.fromisoformat(begins), time.fromisoformat(ends))}
    expected = {} if until is None else {"phone": utc(until)}
    assert found(quiet, "Europe/Stockholm", utc(now)) == expected
    assert not_before("phone", utc(now), quiet, "Europe/Stockholm") == expected.get("phone")


@pytest.mark.parametrize("zone", ["Europe/Stockholm", "Australia/Lord_Howe", "UTC"])
def test_every_half_hour_of_such_nights(zone: str) -> None:
    quiet = {"phone": (time(21), time(8)), "chat": (time(2, 30), time(3)), "post": (time(2), time(1, 45))}
    con = knowing(quiet, zone)
    for now in _NIGHTS:
        expected = {channel: not_before(channel, now, quiet, zone) for channel in quiet}
        wanted = {channel: moment for channel, moment in expected.items() if moment is not None}
        assert asked(con, now) == wanted, (zone, now)


def test_nothing_is_quiet_without_settings() -> None:
    assert found({}, ZONE, datetime(2025, 6, 10, 23, tzinfo=UTC)) == {}


def test_the_settings_are_quiet_for_part_of_the_day() -> None:
    assert all(begins != ends for begins, ends in QUIET.values())
    assert all(not moment.second and not moment.microsecond for hours in QUIET.values() for moment in hours)
    midnight = datetime(2025, 6, 10, 22, tzinfo=UTC)
    assert found(QUIET, ZONE, midnight) == {"phone": midnight + timedelta(hours=8)}
