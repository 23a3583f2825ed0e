"""interactions: one row per event. timeline: what a person would tell of."""

from typing import Any

from schemas.contact_points import contact_point_id
from schemas.models import Event, Statement
from tests.oracle.entries import Entry, text, utc
from tests.oracle.identity import Identity
from tests.oracle.threads import conversation_id

ITEM_IS_KNOWN_BY = ("created_at", "delivered_at", "opened_at", "clicked_at", "answered_at", "paid_at")


def interactions(entries: list[Entry], who: Identity, threads: dict[str, str]) -> list[dict[str, Any]]:
    """One row per event; `conversation_id` also where the conversation itself is not shown."""
    return [_interaction(entry, who, threads) for entry in entries]


def _interaction(entry: Entry, who: Identity, threads: dict[str, str]) -> dict[str, Any]:
    event = entry.event
    return {
        "event_id": entry.event_id,
        "channel": entry.channel,
        "type": event.type,
        "occurred_at": entry.at,
        "source": event.source,
        "source_event_id": event.source_event_id,
        "direction": text(event.direction),
        "customer_id": who.customer_of(entry.key),
        "contact_point": entry.key,
        "contact_point_id": str(contact_point_id(entry.key)),
        "contact_points": [_point(point) for point in event.contact_points],
        "conversation_id": conversation_id(entry, threads),
        "conversation_ref": event.conversation_ref,
        "message_ref": event.message_ref,
        "answers_ref": event.answers_ref,
        "read_up_to": utc(event.read_up_to),
        "case_refs": list(event.case_refs),
        "content_type": text(event.content_type),
        "purpose": text(event.purpose),
        "topic": event.topic,
        "author": text(event.author),
        "machine": event.machine,
        "agent": event.agent,
        "promised_at": utc(event.promised_at),
        "statement": None if event.statement is None else _statement(event.statement),
        "survey": None if event.survey is None else _survey(event.survey),
        "summary": event.summary,
        "attributes": dict(event.attributes),
        "details": _details(event),
        "outcome": entry.outcome,
    }


def timeline(
    entries: list[Entry], who: Identity, threads: dict[str, str], items: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every touchpoint, and every item of the view `items` that came to light without ever being sent."""
    rows = [_touchpoint(entry, who, threads) for entry in entries if entry.meaning.touchpoint]
    for item in items:
        known = [item[step] for step in ITEM_IS_KNOWN_BY if item[step] is not None]
        beyond_created = [step for step in ITEM_IS_KNOWN_BY if step != "created_at" and item[step] is not None]
        if item["sent_at"] is None and beyond_created:
            rows.append(_unsent(item, min(known)))
    return rows


def _touchpoint(entry: Entry, who: Identity, threads: dict[str, str]) -> dict[str, Any]:
    event = entry.event
    return {
        "customer_id": who.customer_of(entry.key),
        "occurred_at": entry.at,
        "channel": entry.channel,
        "type": event.type,
        "direction": text(event.direction),
        "contact_point": entry.key,
        "conversation_id": conversation_id(entry, threads),
        "content_type": text(event.content_type),
        "topic": event.topic,
        "agent": event.agent,
        "author": text(event.author),
        "summary": event.summary,
        "outcome": entry.outcome,
        "message_ref": event.message_ref,
        "event_id": entry.event_id,
    }


def _unsent(item: dict[str, Any], at: Any) -> dict[str, Any]:
    return {
        "customer_id": item["customer_id"],
        "occurred_at": at,
        "channel": item["channel"],
        "type": "item",
        "direction": "outbound",
        "contact_point": item["contact_point"],
        "conversation_id": None,
        "content_type": item["content_type"],
        "topic": None,
        "agent": None,
        "author": None,
        "summary": item["summary"],
        "outcome": None,
        "message_ref": item["message_ref"],
        "event_id": None,
    }


def _point(point: Any) -> dict[str, Any]:
    return {
        "kind": text(point.kind),
        "value": point.value,
        "assurance": text(point.assurance),
        "role": text(point.role),
        "normalised": point.normalised,
    }


def _statement(statement: Statement) -> dict[str, Any]:
    stated = {
        "kind": text(statement.kind),
        "content_type": text(statement.content_type),
        "channel": text(statement.channel),
        "about": statement.about,
        "until": utc(statement.until),
    }
    return {name: value for name, value in stated.items() if value is not None}


def _survey(survey: Any) -> dict[str, Any]:
    return {"kind": text(survey.kind), "score": survey.score, "scale_max": survey.scale_max}


def _details(event: Event) -> dict[str, Any]:
    """The channel's own fields that are not null; an empty object when none is."""
    own = {name: getattr(event, name) for name in type(event).model_fields if name not in Event.model_fields}
    return {name: _json(value) for name, value in own.items() if value is not None}


def _json(value: Any) -> Any:
    return value if isinstance(value, bool | int) else str(value)
