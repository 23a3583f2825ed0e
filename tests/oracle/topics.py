"""topics: what a customer came with, most frequent of late first."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

RECENT_DAYS = 365


def topics(entries: list[Entry], who: Identity, now: datetime) -> list[dict[str, Any]]:
    """One row per customer and topic; white space of any sort is trimmed.

    A day is recent when it is today or one of the 365 days before today (UTC); a day to come is not.
    """
    by_topic: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for entry in entries:
        topic = (entry.event.topic or "").lower().strip(" \t\n\r\v\f")
        if entry.event.direction == "inbound" and topic:
            by_topic[who.customer_of(entry.key), topic].append(entry.at)
    by_customer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    recent = {}
    for (customer, topic), times in by_topic.items():
        days = {at.date() for at in times}
        recent[customer, topic] = sum(0 <= (now.date() - day).days <= RECENT_DAYS for day in days)
        by_customer[customer].append(
            {
                "customer_id": customer,
                "topic": topic,
                "days": len(days),
                "first_at": times[0],
                "last_at": times[-1],
                "rank": None,
            }
        )
    for customer, rows in by_customer.items():
        rows.sort(key=lambda row: row["topic"])
        rows.sort(key=lambda row: (recent[customer, row["topic"]], row["last_at"]), reverse=True)
        for rank, row in enumerate(rows, start=1):
            row["rank"] = rank
    return [row for rows in by_customer.values() for row in rows]
