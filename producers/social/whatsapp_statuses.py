"""The events of WhatsApp's reports on messages of ours, and of what customers choose about marketing."""

from collections.abc import Iterator
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import attributes, case_refs, content_type_of, event_of, object_in
from producers.social.whatsapp_people import NETWORK, message_ref, people, thread
from schemas.models import (
    Author,
    Channel,
    ContactPoint,
    ContentType,
    Direction,
    Event,
    Purpose,
    Statement,
    StatementKind,
)

_TYPES = {
    "sent": "dm.sent",
    "delivered": "dm.delivered",
    "read": "dm.read",
    "played": "dm.read",
    "failed": "message.failed",
}
# "Message undeliverable": the only code that is about the recipient's account. The others are about our account, the
# template, the 24 hours, a limit or an experiment of WhatsApp's, and prove nothing about the customer.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
_UNREACHABLE = "131026"
# "User has stopped receiving marketing messages from you."
_STOPPED_MARKETING = "131050"
MARKETING = (ContentType.NEWS, ContentType.OFFERS)
_CATEGORIES = {
    "marketing": (ContentType.OFFERS, Purpose.MARKETING),
    "marketing_lite": (ContentType.OFFERS, Purpose.MARKETING),
    "group_marketing": (ContentType.OFFERS, Purpose.MARKETING),
    "utility": (ContentType.SERVICE, Purpose.TRANSACTIONAL),
    "group_utility": (ContentType.SERVICE, Purpose.TRANSACTIONAL),
    "authentication": (ContentType.SERVICE, Purpose.TRANSACTIONAL),
    "authentication_international": (ContentType.SERVICE, Purpose.TRANSACTIONAL),
    "service": (ContentType.SERVICE, Purpose.SERVICE),
    "group_service": (ContentType.SERVICE, Purpose.SERVICE),
}
_CHOICES = {"stop": StatementKind.OPT_OUT, "resume": StatementKind.OPT_IN}


def status_events(item: Fields, value: Fields, business: str, options: Options) -> Iterator[Event]:
    """What became of a message of ours."""
    number, status = item.required("id"), item.required("status").lower()
    in_group = item.text("recipient_type") == "group"
    points, _ = people(
        item.ref("recipient_participant_id", "participant_recipient_id") if in_group else item.ref("recipient_id"),
        item.ref("recipient_participant_user_id") if in_group else item.ref("recipient_user_id"),
        value,
        business,
        options,
    )
    errors = item.each("errors")
    codes = [code for error in errors if (code := error.text("code"))]
    category = item.text("pricing.category", "conversation.origin.type", "conversation.pricing.category") or ""
    content_type, purpose = _CATEGORIES.get(category.lower().replace("-", "_"), (None, None))
    ours = object_in(item, "biz_opaque_callback_data")
    type_ = "dm.failed" if status == "failed" and _UNREACHABLE in codes else _TYPES.get(status, "unknown")
    common: dict[str, Any] = {
        "vendor": NETWORK,
        "source_event_id": number,
        "reference": f"{NETWORK}/{number}",
        "occurred_at": item.time("timestamp", options=options),
        "contact_points": points,
        "conversation_ref": thread(item, value, points),
        "message_ref": message_ref(number),
        "network": NETWORK,
        "public": False,
        "attributes": attributes(
            status=status,
            category=category,
            pricing_type=item.value("pricing.type"),
            billable=item.value("pricing.billable"),
            conversation_id=item.value("conversation.id"),
            callback_data=item.value("biz_opaque_callback_data"),
            error_codes=codes,
            error=next((error.value("title", "message") for error in errors), None),
            error_details=next((error.value("error_data.details") for error in errors), None),
        ),
    }
    yield event_of(
        "social",
        options,
        type=type_,
        discriminator=status if status == "played" or type_ == "unknown" else None,
        direction={"dm.sent": Direction.OUTBOUND, "dm.read": Direction.INBOUND}.get(type_, Direction.REPORT),
        author=_author(type_, purpose),
        content_type=content_type_of(ours.texts("content_type")) or content_type,
        purpose=purpose,
        topic=ours.ref("topic"),
        case_refs=case_refs(ours),
        **common,
    )
    if status == "failed" and _STOPPED_MARKETING in codes:
        yield from _stated(StatementKind.OPT_OUT, points, common | {"direction": Direction.REPORT}, options)


def preference_events(item: Fields, value: Fields, business: str, options: Options) -> Iterator[Event]:
    """The customer stopped marketing messages, or allows them again."""
    points, card = people(item.ref("wa_id"), item.ref("user_id"), value, business, options)
    category, choice = item.text("category") or "", (item.text("value") or "").lower()
    common: dict[str, Any] = {
        "vendor": NETWORK,
        "reference": f"{NETWORK}/{business}/{category or 'preference'}",
        "occurred_at": item.time("timestamp", options=options),
        "contact_points": points,
        "conversation_ref": thread(item, value, points),
        "direction": Direction.INBOUND,
        "author": Author.CUSTOMER,
        "network": NETWORK,
        "public": False,
        "summary": item.text("detail"),
        "attributes": attributes(category=category, value=choice, profile_name=card.value("profile.name")),
    }
    if category == "marketing_messages" and choice in _CHOICES:
        yield from _stated(_CHOICES[choice], points, common, options)
    else:
        yield event_of("social", options, type="unknown", discriminator=f"{category} {choice}", **common)


def _stated(
    kind: StatementKind, points: list[ContactPoint], common: dict[str, Any], options: Options
) -> Iterator[Event]:
    """The choice for each content type that is marketing, about this WhatsApp account alone."""
    for content_type in MARKETING:
        statement = Statement(kind=kind, content_type=content_type, channel=Channel.SOCIAL, about=points[0].key)
        yield event_of(
            "social",
            options,
            type="preference.stated",
            discriminator=f"{kind} {content_type}",
            statement=statement,
            content_type=content_type,
            **common,
        )


def _author(type_: str, purpose: Purpose | None) -> Author | None:
    if type_ == "dm.read":
        return Author.CUSTOMER
    # Only templates may be sent for these purposes; in the 24 hours of service a person or a bot writes.
    return Author.TEMPLATE if type_ == "dm.sent" and purpose in (Purpose.MARKETING, Purpose.TRANSACTIONAL) else None
