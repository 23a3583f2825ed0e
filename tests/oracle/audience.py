"""audience: whom to reach where with which content, and why not."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from projections.contact_rules import ORDER, QUIET, ZONE
from tests.oracle.entries import plain
from tests.oracle.quiet import not_before

Row = dict[str, Any]


def audience(now: datetime, *, points: list[Row], preference: list[Row]) -> list[Row]:
    """One row per customer (with a contact point that is not anonymous) and content type.

    Where no channel is ranked, `basis` is that of the first channel in the organisation's order that has a contact
    point, and the reason goes through the channels in that order.
    """
    by_place: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in preference:
        by_place[row["customer_id"], row["content_type"]].append(row)
    customers = {point["customer_id"] for point in points if point["kind"] != "anonymous"}
    return [
        _row(customer, content_type, by_place[customer, content_type], now)
        for customer in customers
        for content_type in ORDER
    ]


def _row(customer: str, content_type: str, rows: list[Row], now: datetime) -> Row:
    first = next((row for row in rows if row["rank"] == 1), None)
    if first is not None:
        kept = ("content_type", "customer_id", "channel", "contact_point", "basis", "reason")
        return {name: first[name] for name in kept} | {
            "contact_point": plain(first["contact_point"]),
            "not_before": not_before(first["channel"], now, QUIET, ZONE),
        }
    by_channel = {row["channel"]: row for row in rows}
    there = [by_channel[channel] for channel in ORDER[content_type] if channel in by_channel]
    missing = [channel for channel in ORDER[content_type] if channel not in by_channel]
    why = [row["reason"].replace(f" for {content_type}: ", " ", 1) for row in there]
    why += [f"no contact point for {', '.join(missing)}"] if missing else []
    return {
        "content_type": content_type,
        "customer_id": customer,
        "channel": None,
        "contact_point": None,
        "basis": there[0]["basis"] if there else "no_contact_point",
        "reason": f"no {content_type}: {'; '.join(why)}",
        "not_before": None,
    }
