"""consent: what holds, per person or contact point, content type and channel."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.models import Channel, ContentType, Statement
from tests.oracle.entries import Entry, text, utc
from tests.oracle.identity import Identity

CONTENT_TYPES = [str(content_type) for content_type in ContentType]
CHANNELS = [str(channel) for channel in Channel]
RESTRICTIVE = {"opt_in": 0, "pause": 1, "opt_out": 2, "do_not_contact": 3}


def statements_of(entry: Entry) -> Iterator[Statement]:
    """What an event states, or its type implies; also events of the identity topic state."""
    event = entry.event
    if event.statement is not None:
        if event.statement.kind != "opt_in" or event.direction == "inbound":
            yield event.statement
        return
    if entry.channel != "email":
        return
    both = ("news", "offers")
    match event.type:
        case "message.complained":
            yield from _on_email("opt_out", both)
        case "message.complaint_withdrawn":
            yield from _on_email("opt_in", both)
        case "subscription.opted_out":
            yield from _on_email("opt_out", both if event.content_type is None else (str(event.content_type),))
        case "subscription.opted_in" if event.direction == "inbound":
            yield from _on_email("opt_in", both if event.content_type is None else (str(event.content_type),))


def consent(entries: list[Entry], who: Identity, now: datetime) -> list[dict[str, Any]]:
    """One row per (person or contact point, content type, channel) about which something was stated."""
    holds: dict[tuple[str, str | None, str, str], tuple[Any, Statement, Entry]] = {}
    for entry in entries:
        for statement in statements_of(entry):
            if statement.kind == "prefer":
                continue
            customer, contact_point = _bound_to(statement, entry, who)
            rank = (entry.at, RESTRICTIVE[statement.kind], entry.event_id)
            for content_type in CONTENT_TYPES if statement.content_type is None else [str(statement.content_type)]:
                for channel in CHANNELS if statement.channel is None else [str(statement.channel)]:
                    place = (customer, contact_point, content_type, channel)
                    if place not in holds or holds[place][0] < rank:
                        holds[place] = (rank, statement, entry)
    return [
        {
            "customer_id": customer,
            "contact_point": contact_point,
            "content_type": content_type,
            "channel": channel,
            "stated": text(statement.kind),
            "since": entry.at,
            "until": utc(statement.until),
            "stated_through": entry.channel,
            "event_id": entry.event_id,
            "allowed": _allowed(statement, now),
        }
        for (customer, contact_point, content_type, channel), (_, statement, entry) in holds.items()
    ]


def _on_email(kind: str, content_types: tuple[str, ...]) -> Iterator[Statement]:
    for content_type in content_types:
        yield Statement(kind=kind, content_type=content_type, channel="email")


def _bound_to(statement: Statement, entry: Entry, who: Identity) -> tuple[str, str | None]:
    """Customer, and the contact point where the statement is about one (which may never have been seen)."""
    if statement.about is not None:
        about = who.holder(statement.about, entry.at)
        return who.customer_of(about), about
    if entry.key in who.shared or entry.points[0].kind == "anonymous":
        return who.customer_of(entry.key), entry.key
    return who.customer_of(entry.key), None


def _allowed(statement: Statement, now: datetime) -> bool:
    if statement.kind == "pause":
        return statement.until is not None and statement.until <= now
    return statement.kind == "opt_in"
