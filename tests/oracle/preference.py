"""channel_preference: on which channel to reach a customer with which content."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from projections.contact_rules import KIND_OF_CHANNEL, MARKETING, NEEDS_OPT_IN, ORDER
from schemas.codec import micros
from tests.oracle.consent import CONTENT_TYPES, statements
from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

Row = dict[str, Any]

LIFE = ("created_at", "sent_at", "delivered_at", "opened_at", "clicked_at", "answered_at", "paid_at")
ENDED = ("returned_at", "failed_at")
MONTHS = 24
STATED = {"opt_out": "opted out", "do_not_contact": "not to be contacted"}


@dataclass(kw_only=True, slots=True)
class Known:
    """What is known of one customer."""

    points: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    consent: list[Row] = field(default_factory=list)
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
        customers[row["customer_id"]].consent.append(row)
    for statement, entry in statements(entries, who):
        if statement.kind == "prefer" and statement.channel is not None:
            customers[who.customer_of(entry.key)].wishes.append((statement, entry))
    rows = []
    for customer, known in customers.items():
        if any(point["kind"] != "anonymous" for point in known.points):
            for content_type in CONTENT_TYPES:
                rows += _rows(customer, content_type, known, who, now)
    return rows


def _rows(customer: str, content_type: str, known: Known, who: Identity, now: datetime) -> list[Row]:
    wish = _wish(known, content_type)
    responses = _responses(known, content_type, now)
    enough = sum(len(items) for items in responses.values()) >= 3 and len(responses) >= 2
    rows = []
    for channel in ORDER[content_type]:
        wished = wish if wish is not None and wish[0].channel == channel else None
        about = None if wished is None or wished[0].about is None else who.holder(wished[0].about, wished[1].at)
        found = _target(known, content_type, channel, about)
        if found is None:
            continue
        point, obstacle = found
        items = responses.get(channel, [])
        engaged = sum(engagement > 0 for _, _, engagement in items)
        if obstacle is not None:
            basis, because = obstacle
        elif wished is not None:
            basis, because = "stated", f"stated through {wished[1].channel} on {wished[1].at:%Y-%m-%d}"
        elif enough and engaged:
            since = min(at for at, _, _ in items)
            basis, because = "inferred", f"responded to {engaged} of {len(items)} since {since:%Y-%m-%d}"
        else:
            basis, because = "default", "the organisation's default"
        rows.append(
            {
                "customer_id": customer,
                "content_type": content_type,
                "channel": channel,
                "rank": None,
                "contact_point": point["contact_point"],
                "basis": basis,
                "score": _score(items) if items and obstacle is None else 0,
                "delivered": len(items),
                "engaged": engaged,
                "reason": f"{channel} for {content_type}: {because}",
            }
        )
    _rank(rows, ORDER[content_type])
    return rows


def _rank(rows: list[Row], order: tuple[str, ...]) -> None:
    bases = ["stated", "inferred", "default"]
    best_first = sorted(
        (row for row in rows if row["basis"] in bases),
        key=lambda row: (
            bases.index(row["basis"]),
            -row["score"] if row["basis"] == "inferred" else 0,
            order.index(row["channel"]),
        ),
    )
    for rank, row in enumerate(best_first, start=1):
        row["rank"] = rank


def _target(known: Known, content_type: str, channel: str, wished: str | None) -> tuple[Row, Any] | None:
    """One that can be used, then the one wished for, a reachable one, the last seen, the smallest key; and what stands
    in the way of using it."""
    candidates = [
        (row, _obstacle(known, content_type, channel, row))
        for row in known.points
        if row["kind"] == KIND_OF_CHANNEL[channel] and row["normalised"]
    ]
    return min(
        candidates,
        key=lambda found: (
            found[1] is not None,
            found[0]["contact_point"] != wished,
            not found[0]["reachable"],
            -micros(found[0]["last_seen"]),
            found[0]["contact_point"],
        ),
        default=None,
    )


def _obstacle(known: Known, content_type: str, channel: str, point: Row) -> tuple[str, str] | None:
    """(basis, why) of the first that holds: refused, unreachable, not clear whose, no opt-in where one is needed."""
    about = {
        row["contact_point"]: row
        for row in known.consent
        if (row["content_type"], row["channel"]) == (content_type, channel)
    }
    person, own = about.get(None), about.get(point["contact_point"])
    opted_in = [row for row in (person, own) if row is not None and row["stated"] == "opt_in"]
    excepted = person is not None and own in opted_in and own is not None and own["since"] > person["since"]
    if person is not None and not person["allowed"] and not excepted:
        return "legal", _refused(person)
    if own is not None and not own["allowed"]:
        return "legal", _refused(own)
    if not point["reachable"]:
        return "unreachable", f"{point['unreachable_reason']} on {point['unreachable_since']:%Y-%m-%d}"
    if content_type in MARKETING and point["shared"]:
        return "unclear", "shared with others"
    if content_type in MARKETING and point["assurance"] not in ("attested", "asserted"):
        return "unclear", f"only {point['assurance']}"
    if (content_type, channel) in NEEDS_OPT_IN and not opted_in:
        return "no_opt_in", "no opt-in"
    return None


def _refused(row: Row) -> str:
    until = f" until {row['until']:%Y-%m-%d}" if row["until"] is not None else ""
    what = f"paused{until}" if row["stated"] == "pause" else STATED[row["stated"]]
    return f"{what}, said through {row['stated_through']} on {row['since']:%Y-%m-%d}"


def _wish(known: Known, content_type: str) -> tuple[Any, Entry] | None:
    fitting = [wish for wish in known.wishes if wish[0].content_type in (None, content_type)]
    return max(
        fitting,
        key=lambda wish: (wish[0].content_type is not None, wish[1].at, wish[1].event_id),
        default=None,
    )


def _responses(known: Known, content_type: str, now: datetime) -> dict[str, list[tuple[datetime, int, int]]]:
    """(when, weight, engagement) of the items that tell what the customer responds to, by channel."""
    found: dict[str, list[tuple[datetime, int, int]]] = defaultdict(list)
    for item in known.items:
        arrived = [step for step in LIFE if step != "created_at" and item[step] is not None]
        if item["content_type"] != content_type or not arrived or any(item[end] is not None for end in ENDED):
            continue
        at = min(item[step] for step in LIFE if item[step] is not None)
        age = max(0, (now.year - at.year) * 12 + now.month - at.month)
        if age <= MONTHS:
            found[item["channel"]].append((at, weight_of(age), item["engagement"]))
    return found


@cache
def weight_of(months: int) -> int:
    """floor(1024 / 2^(months / 6)) without floating point: the largest w with w^6 * 2^months <= 1024^6."""
    return max(weight for weight in range(1025) if weight**6 * 2**months <= 1024**6)


def _score(items: list[tuple[datetime, int, int]]) -> float:
    """Four digits, a half upwards, exactly."""
    numerator = sum(weight * engagement for _, weight, engagement in items) + 4096
    denominator = sum(weight * 10 for _, weight, _ in items) + 20480
    return (2 * 10_000 * numerator + denominator) // (2 * denominator) / 10_000
