"""The events of Chatwoot's webhooks about a conversation."""

from collections.abc import Iterator
from typing import Any

from producers.chat.chatwoot_contacts import account_of, contact_points
from producers.chat.chatwoot_facts import (
    VENDOR,
    changes,
    conversation_attributes,
    conversation_facts,
    message_type,
    status,
    updated_at,
    word,
)
from producers.format import Options
from producers.reading import Fields, attributes, event_of, source
from schemas.models import Direction, Event

_ASSIGNEES = ("assignee_id", "assignee_agent_bot_id", "team_id")


def conversation_created(payload: Fields, options: Options) -> Iterator[Event]:
    """A conversation began: by us when a person of ours wrote in it, else by the customer.

    `messages` holds the last message only, and a bot's greeting may be faster than the webhook.
    """
    last = next(iter(payload.each("messages")), Fields({}))
    sent = last.has("message_type") and message_type(last) == "outgoing"
    ours = sent and (last.text("sender_type") or "User").lower() == "user"
    yield conversation_event(
        payload,
        options,
        type="conversation.started",
        direction=Direction.OUTBOUND if ours else Direction.INBOUND,
        occurred_at=payload.time("created_at", "timestamp", options=options),
    )


def status_changed(payload: Fields, options: Options) -> Iterator[Event]:
    """It was resolved, opened again, put off, or handed from a bot to people."""
    before, _ = changes(payload).get("status", (None, None))
    yield _status(payload, status(before), options)


def conversation_updated(payload: Fields, options: Options) -> Iterator[Event]:
    """Somebody else has it now, or its status changed; any other change is of no meaning to the views."""
    changed = changes(payload)
    assigned = [name for name in _ASSIGNEES if name in changed]
    if "status" in changed:
        yield _status(payload, status(changed["status"][0]), options)
    if assigned:
        before, after = (word(value) for value in changed[assigned[0]])
        yield conversation_event(
            payload,
            options,
            type="conversation.transferred" if before else "conversation.assigned",
            discriminator=f"{assigned[0]} {before} {after}",
            noted=attributes(previous=before, unassigned=None if after else "true"),
            occurred_at=updated_at(payload, options),
        )
    if not assigned and "status" not in changed:
        names = " ".join(sorted(changed))
        yield conversation_event(
            payload,
            options,
            type="unknown",
            discriminator=names,
            noted=attributes(event=payload.value("event"), changed=names),
            occurred_at=updated_at(payload, options),
        )


def conversation_event(
    payload: Fields, options: Options, *, noted: dict[str, str] | None = None, **fields: Any
) -> Event:
    """An event of the conversation that the payload is, done by us unless `direction` says otherwise."""
    account, number = account_of(payload, options), payload.required("id")
    fields.setdefault("direction", Direction.OUTBOUND)
    return event_of(
        "chat",
        options,
        vendor=VENDOR,
        reference=f"chatwoot/{account}/{number}",
        system=source(VENDOR, options),
        source_event_id=number,
        contact_points=contact_points(Fields({}), payload, account, options),
        agent=payload.ref("meta.assignee.id") or payload.ref("meta.team.id"),
        attributes=(noted or {}) | conversation_attributes(payload, payload),
        **conversation_facts(payload, account, ref=number),
        **fields,
    )


def _status(payload: Fields, before: str, options: Options) -> Event:
    now = status(payload.value("status"))
    if now == "open":
        # While a bot has it, a conversation is pending.
        type_ = "conversation.handed_off" if before == "pending" else "conversation.reopened"
    elif now == "pending":
        type_ = "conversation.reopened" if before == "resolved" else "conversation.transferred"
    else:
        type_ = {"resolved": "conversation.resolved", "snoozed": "conversation.snoozed"}.get(now, "unknown")
    return conversation_event(
        payload,
        options,
        type=type_,
        discriminator=now,
        promised_at=payload.time("snoozed_until", options=options) if now == "snoozed" else None,
        noted=attributes(previous_status=before, snoozed_until=payload.value("snoozed_until")),
        occurred_at=updated_at(payload, options),
    )
