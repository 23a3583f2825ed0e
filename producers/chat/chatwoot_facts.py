"""What every event of a Chatwoot webhook says about its conversation."""

from datetime import datetime
from typing import Any

from producers.format import Options
from producers.reading import Fields, attributes, case_refs

VENDOR = "chatwoot"

_MESSAGE_TYPES = {"0": "incoming", "1": "outgoing", "2": "activity", "3": "template"}
_STATUSES = {"0": "open", "1": "resolved", "2": "pending", "3": "snoozed"}


def conversation_facts(conversation: Fields, account: str, *, ref: str | None) -> dict[str, Any]:
    """The fields of an event that its conversation gives."""
    labels = conversation.texts("labels")
    more = conversation.within("additional_attributes")
    return {
        "conversation_ref": f"chatwoot/{account}/{ref}" if ref else None,
        "case_refs": case_refs(Fields(custom_attributes(conversation), conversation.where("custom_attributes"))),
        "topic": ", ".join(labels) or None,
        "page_url": more.text("referer", "initiated_at.referer"),
    }


def conversation_attributes(payload: Fields, conversation: Fields) -> dict[str, str]:
    """The attributes of an event that its conversation and inbox give."""
    return attributes(
        {f"custom_{name}": value for name, value in custom_attributes(conversation).items()},
        inbox=payload.value("inbox.name", "inbox.id") or conversation.value("inbox_id"),
        inbox_channel=conversation.value("channel"),
        status=conversation.value("status"),
        priority=conversation.value("priority"),
        assignee=conversation.value("meta.assignee.id"),
        assignee_type=conversation.value("meta.assignee_type"),
        team=conversation.value("meta.team.name", "meta.team.id"),
        waiting_since=conversation.value("waiting_since"),
    )


def custom_attributes(conversation: Fields) -> dict[str, Any]:
    """What the account's own people added to the conversation."""
    given = conversation.value("custom_attributes")
    return given if isinstance(given, dict) else {}


def updated_at(payload: Fields, options: Options) -> datetime | None:
    """When a change was made: a message's webhook does not say, but its conversation is touched with it.

    What the change itself says goes first: the other times are those of the moment in which the webhook was written,
    and two webhooks that tell one change may be written one after the other.
    """
    _, changed = changes(payload).get("updated_at", (None, None))
    return (
        Fields({"updated_at": changed}, "changed_attributes").time("updated_at", options=options)
        or payload.time("updated_at", options=options)
        or payload.within("conversation").time("updated_at", "timestamp", "last_activity_at", options=options)
        or payload.time("timestamp", "last_activity_at", "created_at", options=options)
    )


def changes(payload: Fields) -> dict[str, tuple[Any, Any]]:
    """`changed_attributes` in its forms, as before and after: objects or one, each value a pair or an object of two."""
    found: dict[str, tuple[Any, Any]] = {}
    for item in payload.each("changed_attributes"):
        for name, change in item.content.items():
            if isinstance(change, dict):
                found[str(name)] = (change.get("previous_value"), change.get("current_value"))
            elif isinstance(change, list) and len(change) == 2:
                found[str(name)] = (change[0], change[1])
            else:
                found[str(name)] = (None, change)
    return found


def message_type(payload: Fields) -> str:
    """incoming, outgoing, activity or template, however it is written."""
    given = payload.required("message_type").lower()
    return _MESSAGE_TYPES.get(given, given)


def status(value: Any) -> str:
    """open, resolved, pending or snoozed, however it is written; empty when it is not."""
    given = word(value)
    return _STATUSES.get(given, given)


def word(value: Any) -> str:
    """Any value as a word in lower case; empty for none."""
    return attributes(word=value).get("word", "").lower()
