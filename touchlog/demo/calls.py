"""Telephone as it arrives: call records of our switchboard, and Twilio's callbacks on the hotline."""

from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from touchlog.demo.archive import CALLS, TWILIO, Archive
from touchlog.demo.people import Person

ZONE = "Europe/Stockholm"
"""Where the switchboard's clock hangs, which writes no offset."""
HOTLINE = "+46855501000"

Step = tuple[str, datetime, int | None]
"""A call's status, since when, and the seconds talked when it is over."""


def call(
    archive: Archive,
    person: Person | None,
    at: datetime,
    *,
    topic: str,
    agent: str,
    wait: timedelta = timedelta(),
    talk: timedelta = timedelta(),
    outcome: str = "answered",
    outbound: bool = False,
    about: dict[str, str] | None = None,
    **how: Any,
) -> str:
    """A call through the switchboard; its reference. `person` None: the number was withheld."""
    number = f"R-{archive.number('call', 70_001)}"
    row = {
        "call_id": number,
        "direction": "outbound" if outbound else "inbound",
        "started_at": f"{at.astimezone(ZoneInfo(ZONE)):%Y-%m-%d %H:%M:%S}",
        "customer_number": person.account if person else "",
        "phone": person.phone if person else "anonymous",
        "queue": "" if outbound else topic,
        "wait_s": int(wait.total_seconds()),
        "talk_s": int(talk.total_seconds()) if outcome == "answered" else "",
        "outcome": outcome,
        "agent": agent if outcome == "answered" or outbound else "",
        "subject": topic,
        **(about or {}),
    }
    archive.add_row(CALLS, at, row, **how)
    return number


def hotline_call(archive: Archive, number: str, at: datetime, *, wait: timedelta, talk: timedelta | None) -> None:
    """A customer's call to the hotline; `talk` None: they hung up before anybody answered."""
    steps: list[Step] = [("ringing", at, None), ("in-progress", at + wait, None)]
    if talk is None:
        steps = [steps[0], ("canceled", at + wait, None)]
    else:
        steps.append(("completed", at + wait + talk, int(talk.total_seconds())))
    _callbacks(archive, steps, {"From": number, "To": HOTLINE, "Direction": "inbound"})


def call_back(archive: Archive, person: Person, at: datetime, *, status: str, talk: timedelta = timedelta()) -> None:
    """We call a customer: completed, no-answer or busy."""
    ring = timedelta(seconds=12)
    steps: list[Step] = [("initiated", at, None), ("ringing", at + timedelta(seconds=2), None)]
    if status == "completed":
        steps += [("in-progress", at + ring, None), ("completed", at + ring + talk, int(talk.total_seconds()))]
    else:
        steps.append((status, at + timedelta(seconds=40), None))
    _callbacks(archive, steps, {"From": HOTLINE, "To": person.phone, "Direction": "outbound-api"})


def _callbacks(archive: Archive, steps: list[Step], about: dict[str, str]) -> None:
    call_id = f"CA{archive.number('twilio'):032}"
    for place, (status, at, seconds) in enumerate(steps):
        given = {"CallSid": call_id, "AccountSid": f"AC{1:032}", **about, "CallStatus": status}
        if seconds is not None:
            given |= {"CallDuration": str(seconds)}
        given |= {"Timestamp": format_datetime(at), "SequenceNumber": str(place)}
        archive.add(TWILIO, at, urlencode(given).encode(), twice=place == len(steps) - 1 and call_id.endswith("7"))
