"""How the oracle's own tests write down what happened, and what they expect."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from schemas.contact_points import NAMESPACE, contact_point_id
from schemas.event import build_event
from schemas.event_types import EVENT_TYPES
from schemas.models import ContactPoint, Event
from tests.oracle import fold
from tests.villages import point

ADA = "email:ada@example.org"
BOB = "email:bob@example.org"
ADAS_PHONE = "phone:+46700000001"
ADAS_ACCOUNT = "account:ADA1"
BOBS_ACCOUNT = "account:BOB1"

_number = count(1)


def at(text: str) -> datetime:
    """`06-10 09:00` of 2025, or a whole ISO time; UTC."""
    return datetime.fromisoformat(text if text.startswith(("1", "2")) else f"2025-{text}").replace(tzinfo=UTC)


NOW = at("06-15 12:00")


def happened(what: str, when: str, *points: str | ContactPoint, **fields: Any) -> Event:
    """An event: `email message.received`, when, the primary contact point and others; ids grow as written."""
    channel, event_type = what.split()
    customer = EVENT_TYPES[channel][event_type].customer
    return build_event(
        channel,
        type=event_type,
        reference="",
        event_id=fields.pop("event_id", None) or UUID(int=next(_number)),
        occurred_at=at(when),
        observed_at=at(when),
        contact_points=[point(name) if isinstance(name, str) else name for name in points],
        source="test",
        **{"direction": "inbound" if customer else "outbound", **fields},
    )


def view(name: str, *events: Event, now: datetime = NOW) -> list[dict[str, Any]]:
    """Rows of a view of these events."""
    return fold(events, now)[name]


def row(rows: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
    """The one row in which these columns have these values."""
    found = [row for row in rows if all(row[name] == value for name, value in where.items())]
    assert len(found) == 1, f"{len(found)} rows, not one, with {where}"
    return found[0]


def part(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some columns of a row."""
    return {name: row[name] for name in names}


def customer(key: str) -> str:
    """Id of the customer whose first contact point this is."""
    return str(contact_point_id(key))


def conversation(first_node: str) -> str:
    """Id of the conversation whose first node this is, `thread:email:c1`."""
    return str(uuid5(NAMESPACE, first_node))
