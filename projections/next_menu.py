"""The telephone menu for one caller: what they most likely want, first, and what is known to fill in.

Asked while a telephone rings, so it reads no more of the caller's views than it tells; docs/views.md says the rule.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import duckdb

Rows = Callable[..., list[dict[str, Any]]]

LONGEST = 5
"""Choices in a menu: nobody remembers more."""

FRESH = timedelta(days=14)
"""How long an open conversation is what a caller calls about though it does not wait for us."""

_OPEN = """
    SELECT
        conversation_id, topic, state, state_since, channels, case_refs,
        CASE WHEN promised_at > $now THEN promised_at END AS promised_at
    FROM (
        SELECT * REPLACE (
            nullif(trim(lower(topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)), '') AS topic
        )
        FROM touchlog.conversations
    )
    WHERE list_contains(customer_ids, $customer) AND topic IS NOT NULL
        AND (state = 'waiting_on_us' OR (state NOT IN ('resolved', 'abandoned') AND last_at >= $since))
    ORDER BY state <> 'waiting_on_us', last_at DESC, conversation_id
"""
_KNOWN = """
    SELECT
        max({'at': occurred_at, 'id': event_id, 'value': agent}) FILTER (agent IS NOT NULL).value AS agent,
        max({'at': occurred_at, 'id': event_id, 'value': promised_at}) FILTER (promised_at > $now).value AS promised_at
    FROM touchlog.interactions
    WHERE customer_id = $customer
"""
_REFERENCES = """
    SELECT
        split_part(reference, ':', 1) AS kind,
        max({'at': occurred_at, 'id': event_id, 'value': reference}).value AS reference
    FROM (
        SELECT occurred_at, event_id, unnest(from_json(case_refs, '["VARCHAR"]')) AS reference
        FROM touchlog.interactions
        WHERE customer_id = $customer AND channel <> 'identity'
    )
    WHERE split_part(reference, ':', 1) IN ('case', 'order', 'invoice')
    GROUP BY kind
    ORDER BY kind
"""


def next_menu(con: duckdb.DuckDBPyConnection, customer: UUID, now: datetime) -> dict[str, Any]:
    """The menu of a customer whose rows `con` holds (projections.card), at `now`.

    customer_id, shared, menu (list of {place, topic, because, days, last_at, conversation}, the likeliest first) and
    fill_in ({references, promised_at, agent, service_channel}). Of a shared contact point nothing is told that one
    of those who share it has not heard: no conversation, nothing to fill in.
    """

    def rows(sql: str, **values: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = con.execute(sql, {"customer": customer, **values}).to_arrow_table().to_pylist()
        return found

    topics = rows(
        "SELECT topic, days, last_at FROM touchlog.topics_at($now) WHERE customer_id = $customer ORDER BY rank", now=now
    )
    (whole,) = rows(
        "SELECT coalesce(bool_or(shared), false) AS shared FROM touchlog.contact_points WHERE customer_id = $customer"
    )
    shared = whole["shared"]
    opened = [] if shared else rows(_OPEN, now=now, since=now - FRESH)
    return {
        "customer_id": customer,
        "shared": shared,
        "menu": _choices(topics, opened),
        "fill_in": _nothing() if shared else _fill_in(rows, now),
    }


def _choices(topics: list[dict[str, Any]], opened: list[dict[str, Any]]) -> list[dict[str, Any]]:
    about = {row["topic"]: row for row in topics}
    first: dict[str, dict[str, Any]] = {}
    for conversation in opened:
        first.setdefault(conversation["topic"], conversation)
    names = [*first, *(row["topic"] for row in topics if row["topic"] not in first)]
    return [
        {
            "place": place,
            "topic": name,
            "because": "open" if name in first else "usual",
            "days": about[name]["days"] if name in about else 0,
            "last_at": about[name]["last_at"] if name in about else None,
            "conversation": first.get(name),
        }
        for place, name in enumerate(names[:LONGEST], start=1)
    ]


def _nothing() -> dict[str, Any]:
    return {"references": {}, "promised_at": None, "agent": None, "service_channel": None}


def _fill_in(rows: Rows, now: datetime) -> dict[str, Any]:
    (known,) = rows(_KNOWN, now=now)
    wanted = rows(
        "SELECT channel FROM touchlog.channel_preference_at($now)"
        " WHERE customer_id = $customer AND content_type = 'service' AND rank = 1",
        now=now,
    )
    return {
        "references": {row["kind"]: row["reference"] for row in rows(_REFERENCES)},
        "promised_at": known["promised_at"],
        "agent": known["agent"],
        "service_channel": wanted[0]["channel"] if wanted else None,
    }
