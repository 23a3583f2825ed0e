"""friction: topics and steps at which many stumble. channel_usage: who comes through which channels."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from tests.oracle.contacts import NEARBY, Row

DIGITAL = {"email", "chat", "social"}
_WEEK = timedelta(days=7)


def friction(contacts: list[Row]) -> list[Row]:
    """One row per topic or step and week (its Monday); contacts come by customer, in order."""
    last: dict[tuple[str, str, str], Row] = {}
    weeks: dict[tuple[str, str], dict[date, Row]] = defaultdict(dict)
    who: dict[tuple[str, str, date], set[str]] = defaultdict(set)
    for contact in contacts:
        named = [("topic", contact["topic"])] if contact["topic"] is not None else []
        for kind, name in [*named, *(("step", step) for step in contact["steps"])]:
            before = last.get((kind, name, contact["customer_id"]))
            last[kind, name, contact["customer_id"]] = contact
            day = contact["started_at"].date()
            week = day - timedelta(days=day.weekday())
            row = weeks[kind, name].setdefault(
                week, dict.fromkeys(("contacts", "repeats", "switches", "gave_up", "stumbled"), 0)
            )
            again = before is not None and contact["started_at"] - before["started_at"] <= NEARBY
            gave_up = contact["gave_up_at"] is not None and (kind == "topic" or contact["last_step"] == name)
            row["contacts"] += 1
            row["repeats"] += again
            row["switches"] += again and before["channel"] != contact["channel"]
            row["gave_up"] += gave_up
            row["stumbled"] += again or gave_up
            who[kind, name, week].add(contact["customer_id"])
    found = []
    for (kind, name), by_week in weeks.items():
        for week, row in by_week.items():
            before_it = [by_week[day] for number in range(1, 5) if (day := week - number * _WEEK) in by_week]
            contacts_before = sum(one["contacts"] for one in before_it)
            stumbled_before = sum(one["stumbled"] for one in before_it)
            found.append(
                {
                    "kind": kind,
                    "name": name,
                    "week": week,
                    "customers": len(who[kind, name, week]),
                    **row,
                    "percent": _percent(row["stumbled"], row["contacts"]),
                    "contacts_before": contacts_before,
                    "stumbled_before": stumbled_before,
                    "percent_before": _percent(stumbled_before, contacts_before) if contacts_before else None,
                }
            )
    return found


def channel_usage(timeline: list[Row]) -> list[Row]:
    """One row per month, channel and content type with a touchpoint of somebody who is not anonymous."""
    cells: dict[tuple[date, str], dict[str, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: [0, 0]))
    )
    for row in timeline:
        if row["contact_point"].startswith("anonymous:") or row["direction"] not in ("inbound", "outbound"):
            continue
        month = row["occurred_at"].date().replace(day=1)
        for content_type in (row["content_type"] or "none", "any"):
            counts = cells[month, content_type][row["customer_id"]][row["channel"]]
            counts[row["direction"] == "outbound"] += 1
    rows: dict[tuple[date, str, str], Row] = {}
    for (month, content_type), customers in cells.items():
        for by_channel in customers.values():
            used = {channel for channel, (inbound, _) in by_channel.items() if inbound}
            everywhere = [sum(counts[side] for counts in by_channel.values()) for side in (0, 1)]
            for channel, (inbound, outbound) in {**by_channel, "any": everywhere}.items():
                row = rows.setdefault((month, channel, content_type), _nothing(month, channel, content_type))
                row["touchpoints"] += inbound
                row["sent"] += outbound
                row["sent_to"] += outbound > 0
                if inbound:
                    row["customers"] += 1
                    row["one_channel"] += len(used) == 1
                    row["digital_only"] += used <= DIGITAL
                    row["post_only"] += used == {"post"}
    return list(rows.values())


def _nothing(month: date, channel: str, content_type: str) -> dict[str, Any]:
    names = ("customers", "touchpoints", "one_channel", "digital_only", "post_only", "sent_to", "sent")
    return {"month": month, "channel": channel, "content_type": content_type, **dict.fromkeys(names, 0)}


def _percent(part: int, whole: int) -> int:
    """Halves up."""
    return (200 * part + whole) // (2 * whole)
