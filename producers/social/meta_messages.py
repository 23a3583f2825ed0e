"""The events of Messenger's and Instagram's private messages, and of what belongs to them."""

from collections.abc import Iterator
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import attributes, content_type_of, event_of, point
from producers.social.meta_people import person
from schemas.errors import InvalidEvent
from schemas.models import (
    Author,
    Channel,
    ContactPoint,
    ContentType,
    Direction,
    Event,
    Kind,
    Statement,
    StatementKind,
    Survey,
    SurveyKind,
)

_HANDOVER = ("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles")
_OPTINS = {
    "STOP_NOTIFICATIONS": StatementKind.OPT_OUT,
    "STOP NOTIFICATIONS": StatementKind.OPT_OUT,
    "RESUME_NOTIFICATIONS": StatementKind.OPT_IN,
    "RESUME NOTIFICATIONS": StatementKind.OPT_IN,
}
# Recurring notifications are Meta's name for marketing messages.
_MARKETING = (ContentType.NEWS, ContentType.OFFERS)
_SCALES = {SurveyKind.CSAT: 5, SurveyKind.NPS: 10, SurveyKind.CES: 7}
_AROUND = ("sender", "recipient", "timestamp")
_Meaning = dict[str, Any]


def messaging_events(item: Fields, ours: str, network: str, options: Options) -> Iterator[Event]:
    """The events of one item of the account `ours`; `unknown` for what has no word. Raises InvalidEvent."""
    message = item.within("message")
    sender, recipient = item.ref("sender.id"), item.ref("recipient.id")
    by_us = message.flag("is_echo") is True or sender == ours
    customer = recipient if by_us else sender
    common: _Meaning = {
        "occurred_at": item.time("timestamp", options=options),
        "contact_points": _customer(item, customer, ours, network, options),
        "conversation_ref": f"{network}/{ours}/{customer}" if customer else None,
        "public": False,
        "author": None if by_us else Author.CUSTOMER,
        "direction": Direction.OUTBOUND if by_us else Direction.INBOUND,
    }
    about = f"{network}/{customer or item.ref('optin.user_ref', 'sender.user_ref')}"
    for meaning in _meanings(item, network, about, common["contact_points"][0], by_us=by_us, options=options):
        fields = {**common, **meaning}
        noted = fields.pop("noted", {})
        yield event_of(
            "social",
            options,
            vendor=network,
            network=network,
            attributes=attributes(noted, standby="true" if ".standby." in f".{item.path}." else None),
            **fields,
        )


def _customer(item: Fields, customer: str | None, ours: str, network: str, options: Options) -> list[ContactPoint]:
    if customer is not None:
        return person(customer, ours, network, options)
    # A plugin on a site of ours: the network tells who it is with the first message, by this reference.
    reference = item.ref("optin.user_ref", "sender.user_ref")
    if reference is None:
        missing = "recipient.id" if item.has("sender.id") else "sender.id"
        raise InvalidEvent(f"{item.where(missing)}: missing")
    return [point(Kind.VISITOR, f"{network}/{ours}/{reference}", options)]


def _meanings(
    item: Fields, network: str, about: str, primary: ContactPoint, *, by_us: bool, options: Options
) -> Iterator[_Meaning]:
    """What one item says, as the fields that differ."""
    if item.has("message"):
        yield _message(item.within("message"), network, by_us=by_us)
    elif item.has("message_edit"):
        edit = item.within("message_edit")
        times = edit.text("num_edit")
        yield _about(edit, network, type="message.edited", summary=edit.text("text"), discriminator=times)
    elif item.has("postback"):
        yield _postback(item, network, about)
    elif item.has("reaction"):
        yield _reaction(item.within("reaction"), network, by_us=by_us)
    elif item.has("read"):
        yield _read(item.within("read"), network, about, options)
    elif item.has("delivery"):
        yield from _deliveries(item.within("delivery"), network, about)
    elif item.has("optin"):
        yield from _optin(item.within("optin"), about, primary)
    elif item.has("messaging_feedback"):
        yield from _feedback(item.within("messaging_feedback"), f"{about}/feedback/{item.ref('timestamp') or 0}")
    elif item.text("account_linking.status") == "linked":
        yield {"type": "account.linked", "reference": about}
    elif any(item.has(name) for name in _HANDOVER):
        yield from _handover(item, about)
    else:
        yield _other(item, about)


def _message(message: Fields, network: str, *, by_us: bool) -> _Meaning:
    kinds = [found for item in message.each("attachments") if (found := item.text("type"))]
    answered = message.ref("reply_to.mid")
    type_ = "dm.sent" if by_us else "dm.received"
    public = False
    if message.flag("is_deleted"):
        type_ = "message.deleted"
    elif "story_mention" in kinds and not by_us and not message.has("text"):
        type_, public = "post.mentioned", True
    templates = [found for item in message.each("attachments") if (found := item.value("payload.template_type"))]
    return _about(
        message,
        network,
        type=type_,
        public=public,
        summary=message.text("text"),
        answers_ref=f"{network}/{answered}" if answered else None,
        noted=attributes(
            attachments=", ".join(kinds),
            template=templates,
            story=message.value("reply_to.story.id"),
            story_url=message.value("reply_to.story.url"),
            quick_reply=message.value("quick_reply.payload"),
            app_id=message.value("app_id"),
            referral=message.value("referral"),
            is_unsupported=message.value("is_unsupported"),
            metadata=message.value("metadata"),
        ),
    )


def _postback(item: Fields, network: str, about: str) -> _Meaning:
    postback = item.within("postback")
    mid = postback.ref("mid")
    return {
        "type": "dm.received",
        "reference": f"{network}/{mid}" if mid else about,
        "discriminator": postback.text("payload") if item.has("timestamp") else None,
        "message_ref": f"{network}/{mid}" if mid else None,
        "summary": postback.text("title"),
        "noted": attributes(postback=postback.value("payload"), referral=postback.value("referral")),
    }


def _reaction(reaction: Fields, network: str, *, by_us: bool) -> _Meaning:
    removed = (reaction.text("action") or "react").lower() == "unreact"
    emoji = reaction.text("emoji", "reaction")
    # A reaction of ours is nobody's response.
    type_ = "unknown" if by_us else "reaction.removed" if removed else "reaction.added"
    return _about(
        reaction,
        network,
        type=type_,
        summary=emoji,
        discriminator=f"unreact {emoji or ''}" if by_us and removed else emoji,
        noted=attributes(reaction=reaction.value("reaction"), action=reaction.value("action") if by_us else None),
    )


def _read(read: Fields, network: str, about: str, options: Options) -> _Meaning:
    mid, watermark = read.ref("mid"), read.time("watermark", options=options)
    return {
        "type": "dm.read",
        "reference": f"{network}/{mid}" if mid else about,
        "discriminator": None if watermark is None else watermark.isoformat(),
        "message_ref": f"{network}/{mid}" if mid else None,
        "read_up_to": watermark,
    }


def _deliveries(delivery: Fields, network: str, about: str) -> Iterator[_Meaning]:
    """One event for each message named; a watermark alone names none."""
    told: _Meaning = {"direction": Direction.REPORT, "author": None}
    mids = delivery.texts("mids")
    for mid in mids:
        ref = f"{network}/{mid}"
        yield {"type": "dm.delivered", "reference": ref, "message_ref": ref, **told}
    if not mids:
        noted = {"item": "delivery", **attributes(watermark=delivery.value("watermark"))}
        yield {"type": "unknown", "reference": about, "discriminator": "delivery", "noted": noted, **told}


def _optin(optin: Fields, about: str, primary: ContactPoint) -> Iterator[_Meaning]:
    """Marketing messages allowed or stopped, a choice that lasts; leave for one message is none, and is unknown."""
    # A token lets whoever reads it write to the customer.
    said = {name: value for name, value in optin.content.items() if not name.endswith("_token")}
    noted = attributes({f"optin_{name}": value for name, value in said.items()})
    status = (optin.text("notification_messages_status") or "").upper()
    if optin.text("type") != "notification_messages" or (status and status not in _OPTINS):
        told = f"optin {optin.text('type') or ''} {status}"
        yield {"type": "unknown", "reference": about, "discriminator": told, "noted": {"item": "optin", **noted}}
        return
    kind = _OPTINS.get(status, StatementKind.OPT_IN)
    named = content_type_of(optin.texts("topic", "title"))
    for content_type in _MARKETING if named is None else (named,):
        statement = Statement(kind=kind, content_type=content_type, channel=Channel.SOCIAL, about=primary.key)
        yield {
            "type": "preference.stated",
            "reference": about,
            "discriminator": f"{kind} {content_type} {optin.text('notification_messages_token') or ''}",
            "statement": statement,
            "content_type": content_type,
            "summary": optin.text("title"),
            "noted": noted,
        }


def _feedback(feedback: Fields, about: str) -> Iterator[_Meaning]:
    """The answers to Messenger's feedback template; one in words alone is unknown."""
    for screen in feedback.each("feedback_screens"):
        for number in screen.within("questions").content:
            question = Fields.of(screen.within("questions").content[number], f"{screen.where('questions')}.question")
            kind = (question.text("type") or "").lower()
            words = question.text("follow_up.payload") or (question.text("payload") if kind == "free_form" else None)
            meaning: _Meaning = {
                "type": "unknown",
                "reference": about,
                "discriminator": f"{screen.text('screen_id') or ''} {number}",
                "summary": words,
                "noted": attributes(item="messaging_feedback", question=str(number), question_type=kind),
            }
            if kind in set(SurveyKind):
                score, scale = question.whole("payload"), _SCALES[SurveyKind(kind)]
                if score is None or not 0 <= score <= scale:
                    raise InvalidEvent(f"{question.where('payload')}: not a score of at most {scale}")
                survey = Survey(kind=SurveyKind(kind), score=score, scale_max=scale)
                meaning |= {"type": "survey.answered", "survey": survey, "message_ref": f"{about}/{number}"}
            yield meaning
    if not any(screen.within("questions").content for screen in feedback.each("feedback_screens")):
        raise InvalidEvent(f"{feedback.where('feedback_screens')}: no questions")


def _handover(item: Fields, about: str) -> Iterator[_Meaning]:
    for name in _HANDOVER:
        if item.has(name):
            yield {
                "type": "conversation.transferred" if name.startswith(("pass", "take")) else "unknown",
                "reference": about,
                "discriminator": name,
                "direction": Direction.OUTBOUND,
                "author": None,
                "noted": {"item": name, **attributes(item.within(name).content)},
            }


def _other(item: Fields, about: str) -> _Meaning:
    """A referral, an unlinked account, a payment, typing: kept under its name with what it says."""
    names = sorted(str(name) for name in item.content if name not in _AROUND)
    inner = [found for name in names if isinstance(found := item.content[name], dict)]
    noted = attributes(*({str(key): value for key, value in found.items()} for found in inner), item=" ".join(names))
    told = " ".join(f"{name}={noted[name]}" for name in sorted(noted))
    return {"type": "unknown", "reference": about, "discriminator": told, "noted": noted}


def _about(item: Fields, network: str, **fields: Any) -> _Meaning:
    """The fields of an event about the message that the item names."""
    ref = f"{network}/{item.required('mid')}"
    return {"reference": ref, "message_ref": ref, "source_event_id": item.ref("mid"), **fields}
