"""continuations: conversations that may go on with an earlier one. A hint, from the rows of `conversations` alone."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

Row = dict[str, Any]

WITHIN = timedelta(days=7)
DAY = 86_400


def continuations(conversations: list[Row]) -> list[Row]:
    """One row per customer and pair of conversations of one topic."""
    by_topic: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in conversations:
        topic = (row["topic"] or "").lower().strip(" \t\n\r\v\f")
        for customer in row["customer_ids"] if topic else ():
            by_topic[customer, topic].append(row)
    return [
        _hint(customer, topic, later, earlier)
        for (customer, topic), rows in by_topic.items()
        for later in rows
        for earlier in rows
        if earlier["opened_at"] < later["opened_at"] <= earlier["last_at"] + WITHIN
    ]


def _hint(customer: str, topic: str, later: Row, earlier: Row) -> Row:
    gap = later["opened_at"] - earlier["last_at"]
    after_s = gap // timedelta(seconds=1) if gap >= timedelta(0) else None
    return {
        "customer_id": customer,
        "conversation_id": later["conversation_id"],
        "earlier_conversation_id": earlier["conversation_id"],
        "topic": topic,
        "opened_at": later["opened_at"],
        "earlier_channels": earlier["channels"],
        "earlier_last_at": earlier["last_at"],
        "after_s": after_s,
        "reason": f"same customer, same topic ({topic}): {_when(after_s)}",
    }


def _when(after_s: int | None) -> str:
    if after_s is None:
        return "opened while the other was going on"
    days = after_s // DAY
    length = "less than a day" if days == 0 else "1 day" if days == 1 else f"{days} days"
    return f"opened {length} after the last event of the other"
