"""customers: the card of every customer."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from schemas.models import Channel
from tests.oracle.consent import CONTENT_TYPES
from tests.oracle.conversations import FINISHED
from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

Row = dict[str, Any]


def customers(
    entries: list[Entry],
    who: Identity,
    now: datetime,
    *,
    points: list[Row],
    timeline: list[Row],
    conversations: list[Row],
    preference: list[Row],
) -> list[Row]:
    """One row per customer with a contact point that was seen and is not anonymous.

    An event is a customer's when its primary is one of their contact points, also on the identity topic. A promise is
    the newest of those still to come: a later event whose promise has passed does not hide it.
    """
    cards: dict[str, Row] = {}
    for customer, own in _by_customer(points).items():
        if any(point["kind"] != "anonymous" for point in own):
            cards[customer] = _card(customer, own)
    for row in timeline:
        card = cards.get(row["customer_id"])
        if card is not None:
            card["touchpoints"] += 1
            card[row["channel"]] += 1
    for row in conversations:
        for customer in row["customer_ids"]:
            if customer in cards:
                _count(cards[customer], row)
    for entry in entries:
        card = cards.get(who.customer_of(entry.key))
        if card is not None:
            _take_newest(card, entry, now)
    for row in preference:
        if row["rank"] == 1:
            cards[row["customer_id"]][f"{row['content_type']}_channel"] = row["channel"]
    return list(cards.values())


def _by_customer(points: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for point in points:
        grouped[point["customer_id"]].append(point)
    return grouped


def _card(customer: str, points: list[Row]) -> Row:
    return {
        "customer_id": customer,
        "contact_points": sorted(point["contact_point"] for point in points),
        "kinds": sorted({point["kind"] for point in points}),
        "first_at": min(point["first_seen"] for point in points),
        "last_at": max(point["last_seen"] for point in points),
        "touchpoints": 0,
        **{str(channel): 0 for channel in Channel},
        "open_conversations": 0,
        "waiting_since": None,
        "last_topic": None,
        "last_agent": None,
        "promised_at": None,
        **{f"{content_type}_channel": None for content_type in CONTENT_TYPES},
    }


def _count(card: Row, conversation: Row) -> None:
    if conversation["state"] not in FINISHED:
        card["open_conversations"] += 1
    since = conversation["waiting_since"]
    if since is not None and (card["waiting_since"] is None or since < card["waiting_since"]):
        card["waiting_since"] = since


def _take_newest(card: Row, entry: Entry, now: datetime) -> None:
    """Entries come in order, so a later one replaces what an earlier one said."""
    event = entry.event
    if event.topic is not None:
        card["last_topic"] = event.topic
    if event.agent is not None:
        card["last_agent"] = event.agent
    # When to look again is promised to nobody.
    if event.promised_at is not None and event.promised_at > now and event.type != "conversation.snoozed":
        card["promised_at"] = event.promised_at
