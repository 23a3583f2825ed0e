"""The events of Chatwoot's webhooks about a message."""

from collections.abc import Iterator
from typing import Any

from producers.chat.chatwoot_contacts import account_of, contact_points
from producers.chat.chatwoot_facts import (
    VENDOR,
    conversation_attributes,
    conversation_facts,
    message_type,
    updated_at,
    word,
)
from producers.format import Options
from producers.reading import Fields, attributes, event_of, source, timeless_id
from schemas.errors import InvalidEvent
from schemas.models import Author, Direction, Event, Survey, SurveyKind

_CSAT_SCALE = 5
_BY_TYPE = {"incoming": "message.received", "outgoing": "message.sent", "template": "message.sent"}
_BY_STATUS = {"delivered": "message.delivered", "read": "message.read", "failed": "message.failed"}
# Who reads is the customer; that ours arrived is the channel's word, and nobody's act.
_WHOSE: dict[str, dict[str, Any]] = {
    "delivered": {"direction": Direction.REPORT, "author": None},
    "read": {"direction": Direction.INBOUND, "author": Author.CUSTOMER},
}
_BOTS = frozenset({"agent_bot", "agentbot", "captain_assistant", "captain::assistant", "bot"})
_WITH_TEXT = frozenset({"message.received", "message.sent", "message.edited"})


def message_created(payload: Fields, options: Options) -> Iterator[Event]:
    """A customer, one of us or a bot wrote; or a note that only we see."""
    kind = message_type(payload)
    type_ = {"incoming": "message.received", "outgoing": "message.sent", "template": "message.sent"}.get(
        kind, "unknown"
    )
    content = payload.within("content_attributes")
    yield _message(
        payload,
        options,
        type="unknown" if _is_private(payload) else type_,
        direction=Direction.INBOUND if kind == "incoming" else Direction.OUTBOUND,
        occurred_at=content.time("external_created_at", options=options) or payload.time("created_at", options=options),
    )


def message_updated(payload: Fields, options: Options) -> Iterator[Event]:
    """A message was edited, deleted, delivered, read, not sent after all; or a form or survey in it was answered."""
    content = payload.within("content_attributes")
    submitted = content.value("submitted_values")
    answer = Fields(submitted, content.where("submitted_values")) if isinstance(submitted, dict) else Fields({})
    incoming = message_type(payload) == "incoming"
    facts: dict[str, Any] = {
        "type": "message.edited",
        "direction": Direction.INBOUND if incoming else Direction.OUTBOUND,
        "occurred_at": updated_at(payload, options),
    }
    status = payload.text("status") or ""
    if _is_private(payload):
        facts["type"] = "unknown"
    elif content.flag("deleted"):
        facts["type"] = "message.deleted"
    elif answer.has("csat_survey_response"):
        facts |= _survey(answer.within("csat_survey_response"))
        facts["agent"] = payload.within("conversation").ref("meta.assignee.id")
    elif content.has("submitted_email", "submitted_values"):
        facts |= {"type": "visitor.identified", "direction": Direction.INBOUND, "author": Author.CUSTOMER}
        facts["answer"] = f"{content.text('submitted_email') or ''} {word(submitted)}"
    elif content.has("external_error"):
        facts["type"] = "message.failed"
    elif status in _BY_STATUS:
        facts |= {"type": _BY_STATUS[status], **_WHOSE.get(status, {})}
    yield _message(payload, options, **facts)


def _survey(answer: Fields) -> dict[str, Any]:
    score = answer.whole("rating")
    if score is None or not 0 <= score <= _CSAT_SCALE:
        raise InvalidEvent(f"{answer.where('rating')}: not a score of at most {_CSAT_SCALE}")
    return {
        "type": "survey.answered",
        "direction": Direction.INBOUND,
        "author": Author.CUSTOMER,
        "survey": Survey(kind=SurveyKind.CSAT, score=score, scale_max=_CSAT_SCALE),
        "summary": answer.text("feedback_message"),
        "answer": f"{score} {answer.text('feedback_message') or ''}",
    }


def _message(
    payload: Fields,
    options: Options,
    *,
    type: str,  # noqa: A002 - the contract's own name for the field
    direction: Direction,
    answer: str | None = None,
    **fields: Any,
) -> Event:
    """`answer` is what the customer submitted: it stays with the message, and every later webhook repeats it."""
    conversation, sender = payload.within("conversation"), payload.within("sender")
    content = payload.within("content_attributes")
    account, number, kind = account_of(payload, options), payload.required("id"), message_type(payload)
    private, answered = _is_private(payload), content.ref("in_reply_to")
    noted = attributes(
        event=payload.value("event") if type == "unknown" else None,
        note="private" if private else None,
        message_type=kind,
        message_content_type=payload.value("content_type"),
        source_id=payload.value("source_id"),
        sender_type=sender.value("type"),
        in_reply_to_external_id=content.value("in_reply_to_external_id"),
        external_error=content.value("external_error"),
        campaign_id=payload.value("additional_attributes.campaign_id"),
        automation_rule_id=content.value("automation_rule_id"),
        attachments=len(payload.each("attachments")) or None,
        attachment_types=[one.text("file_type") or "unknown" for one in payload.each("attachments")],
    )
    known: dict[str, Any] = {
        "author": _author(payload, kind, sender),
        "agent": sender.ref("id") if kind != "incoming" and direction is Direction.OUTBOUND else None,
        "summary": payload.text("content") if type in _WITH_TEXT and not private else None,
        "attributes": noted | conversation_attributes(payload, conversation),
    }
    reference, system = f"chatwoot/{account}/message/{number}", source(VENDOR, options)
    points = contact_points(payload, conversation, account, options)
    if answer is not None:
        known["event_id"] = timeless_id(reference, type, points, answer, system)
    return event_of(
        "chat",
        options,
        vendor=VENDOR,
        type=type,
        direction=direction,
        reference=reference,
        system=system,
        source_event_id=number,
        contact_points=points,
        message_ref=f"chatwoot/{account}/message/{number}",
        answers_ref=f"chatwoot/{account}/message/{answered}" if answered else None,
        **conversation_facts(conversation, account, ref=conversation.ref("id") or payload.ref("conversation_id")),
        **(known | fields),
    )


def _author(payload: Fields, kind: str, sender: Fields) -> Author | None:
    if kind == "incoming":
        return Author.CUSTOMER
    if kind == "activity":
        return Author.MACHINE
    made_by = (sender.text("type") or payload.text("sender_type") or "").lower()
    if kind == "template" or payload.has("additional_attributes.campaign_id", "content_attributes.automation_rule_id"):
        return Author.TEMPLATE
    if made_by in _BOTS:
        return Author.BOT
    return Author.HUMAN if made_by == "user" or sender.has("id") else None


def _is_private(payload: Fields) -> bool:
    return payload.flag("private") is True
