"""channel_preference: on which channel to reach a customer with which content."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from schemas.codec import micros
from tests.oracle.consent import CONTENT_TYPES, statements_of
from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

Row = dict[str, Any]

KIND_OF_CHANNEL = {"email": "email", "post": "postal", "phone": "phone", "chat": "visitor", "social": "social"}
ORDER = ["email", "post", "phone", "chat", "social"]
"""The organisation's."""

LIFE = ("created_at", "sent_at", "delivered_at", "opened_at", "clicked_at", "answered_at", "paid_at")
ENDED = ("returned_at", "failed_at")
MONTHS = 24


@dataclass(kw_only=True, slots=True)
class Known:
    """What is known of one customer."""

    points: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    refusals: list[Row] = field(default_factory=list)
    wishes: list[tuple[Any, Entry]] = field(default_factory=list)


def channel_preference(
    entries: list[Entry], who: Identity, now: datetime, *, points: list[Row], items: list[Row], consent: list[Row]
) -> list[Row]:
    """Up to 20 rows per customer: four content types on five channels.

    `points`, `items`, `consent` are rows of these views. The score is 0 wherever nothing was delivered, whatever the
    basis; channels are ranked by the score as shown, rounded.
    """
    customers: dict[str, Known] = defaultdict(Known)
    for point in points:
        customers[point["customer_id"]].points.append(point)
    for item in items:
        customers[item["customer_id"]].items.append(item)
    for row in consent:
        if not row["allowed"]:
            customers[row["customer_id"]].refusals.append(row)
    for entry in entries:
        for statement in statements_of(entry):
            if statement.kind == "prefer" and statement.channel is not None:
                customers[who.customer_of(entry.key)].wishes.append((statement, entry))
    rows = []
    for customer, known in customers.items():
        if any(point["kind"] != "anonymous" for point in known.points):
            for content_type in CONTENT_TYPES:
                rows += _rows(customer, content_type, known, now)
    return rows


def _rows(customer: str, content_type: str, known: Known, now: datetime) -> list[Row]:
    wish = _wish(known, content_type)
    responses = _responses(known, content_type, now)
    enough = sum(len(items) for items in responses.values()) >= 3 and len(responses) >= 2
    rows = []
    for channel in ORDER:
        point = _point(known, channel)
        if point is None:
            continue
        items = responses.get(channel, [])
        row = {
            "customer_id": customer,
            "content_type": content_type,
            "channel": channel,
            "rank": None,
            "contact_point": point["contact_point"],
            "basis": None,
            "score": _score(items) if items else 0,
            "delivered": len(items),
            "engaged": sum(engagement > 0 for _, engagement in items),
            "reason": None,
        }
        refusal = _refusal(known, content_type, channel, point)
        if refusal is not None:
            because = f"{refusal['stated']} through {refusal['stated_through']} on {refusal['since']:%Y-%m-%d}"
            row |= {"basis": "legal", "score": 0, "reason": because}
        elif not point["reachable"]:
            because = f"{point['unreachable_reason']} on {point['unreachable_since']:%Y-%m-%d}"
            row |= {"basis": "unreachable", "score": 0, "reason": because}
        elif wish is not None and wish[0].channel == channel:
            row |= {"basis": "stated", "reason": f"stated through {wish[1].channel} on {wish[1].at:%Y-%m-%d}"}
        elif enough and row["engaged"]:
            row |= {"basis": "inferred", "reason": f"responded to {row['engaged']} of {row['delivered']}"}
        else:
            row |= {"basis": "default", "reason": "the organisation's default"}
        row["reason"] = f"{channel} for {content_type}: {row['reason']}"
        rows.append(row)
    _rank(rows)
    return rows


def _rank(rows: list[Row]) -> None:
    bases = ["stated", "inferred", "default"]
    best_first = sorted(
        (row for row in rows if row["basis"] in bases),
        key=lambda row: (
            bases.index(row["basis"]),
            -row["score"] if row["basis"] == "inferred" else 0,
            ORDER.index(row["channel"]),
        ),
    )
    for rank, row in enumerate(best_first, start=1):
        row["rank"] = rank


def _point(known: Known, channel: str) -> Row | None:
    """Reachable before others, then the last seen, then the smallest key."""
    candidates = [row for row in known.points if row["kind"] == KIND_OF_CHANNEL[channel] and row["normalised"]]
    return min(
        candidates,
        key=lambda row: (not row["reachable"], -micros(row["last_seen"]), row["contact_point"]),
        default=None,
    )


def _refusal(known: Known, content_type: str, channel: str, point: Row) -> Row | None:
    """The person's own before that of the contact point."""
    found: dict[bool, Row] = {}
    for row in known.refusals:
        if (row["content_type"], row["channel"]) != (content_type, channel):
            continue
        if row["stated"] == "do_not_contact" and (content_type, channel) == ("invoices", "post"):
            continue
        if row["contact_point"] in (None, point["contact_point"]):
            found[row["contact_point"] is None] = row
    return found.get(True) or found.get(False)


def _wish(known: Known, content_type: str) -> tuple[Any, Entry] | None:
    fitting = [wish for wish in known.wishes if wish[0].content_type in (None, content_type)]
    return max(
        fitting,
        key=lambda wish: (wish[0].content_type is not None, wish[1].at, wish[1].event_id),
        default=None,
    )


def _responses(known: Known, content_type: str, now: datetime) -> dict[str, list[tuple[int, int]]]:
    """(weight, engagement) of the items that tell what the customer responds to, by channel."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for item in known.items:
        arrived = [step for step in LIFE if step != "created_at" and item[step] is not None]
        if item["content_type"] != content_type or not arrived or any(item[end] is not None for end in ENDED):
            continue
        at = min(item[step] for step in LIFE if item[step] is not None)
        age = max(0, (now.year - at.year) * 12 + now.month - at.month)
        if age <= MONTHS:
            found[item["channel"]].append((weight_of(age), item["engagement"]))
    return found


@cache
def weight_of(months: int) -> int:
    """floor(1024 / 2^(months / 6)) without floating point: the largest w with w^6 * 2^months <= 1024^6."""
    return max(weight for weight in range(1025) if weight**6 * 2**months <= 1024**6)


def _score(items: list[tuple[int, int]]) -> float:
    """Four digits, a half upwards, exactly."""
    numerator = sum(weight * engagement for weight, engagement in items) + 4096
    denominator = sum(weight * 10 for weight, _ in items) + 20480
    return (2 * 10_000 * numerator + denominator) // (2 * denominator) / 10_000
