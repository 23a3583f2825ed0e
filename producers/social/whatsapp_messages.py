"""The events of WhatsApp's messages: the customer's, and ours from the WhatsApp Business app."""

from collections.abc import Iterator
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import attributes, event_of, point
from producers.social.whatsapp_people import (
    NETWORK,
    account_point,
    message_ref,
    people,
    phone_point,
    thread,
    user_point,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, ContactPoint, Direction, Event, Kind

_MEDIA = frozenset({"image", "audio", "video", "document", "sticker"})
_WRITTEN = _MEDIA | {"text", "location", "contacts", "button", "interactive", "order"}
# A message that the API has no form for; older webhooks call it unknown.
_UNSHOWN = frozenset({"unsupported", "unknown"})
# What it has no form for and is no message of its own.
_NO_MESSAGE = frozenset({"edit", "poll_update", "reaction", "revoke"})
_CHANGED_NUMBER = frozenset({"user_changed_number", "customer_changed_number"})


def message_events(item: Fields, value: Fields, business: str, options: Options) -> Iterator[Event]:
    """What the customer wrote or did, or what WhatsApp tells about them."""
    kind = item.text("type") or ""
    system = item.text("system.type") or ""
    if kind == "system" and system in _CHANGED_NUMBER:
        yield from _number_changed(item, options)
    elif kind == "system" and system == "user_changed_user_id":
        yield from _user_id_changed(item, business, options)
    else:
        points, card = people(item.ref("from"), item.ref("from_user_id"), value, business, options)
        yield _event(item, value, points, card, options, by_us=False)


def echo_events(item: Fields, value: Fields, business: str, options: Options) -> Iterator[Event]:
    """What one of us wrote in the WhatsApp Business app."""
    points, card = people(item.ref("to"), item.ref("to_user_id"), value, business, options)
    yield _event(item, value, points, card, options, by_us=True)


def _event(
    item: Fields, value: Fields, points: list[ContactPoint], card: Fields, options: Options, *, by_us: bool
) -> Event:
    own, kind = item.required("id"), item.text("type") or "none"
    type_, about = _meaning(item, kind, by_us=by_us)
    edited = item.within("edit.message") if kind == "edit" else item
    body = _object(edited, edited.text("type") or kind)
    return event_of(
        "social",
        options,
        vendor=NETWORK,
        type=type_,
        reference=f"{NETWORK}/{own}",
        source_event_id=own,
        occurred_at=item.time("timestamp", options=options),
        direction=Direction.OUTBOUND if by_us else Direction.INBOUND,
        author=_author(kind, by_us=by_us),
        contact_points=[*points, *_shared_with_us(item, options)],
        conversation_ref=thread(item, value, points),
        message_ref=message_ref(about or own),
        answers_ref=message_ref(edited.ref("context.id")) if type_ in ("dm.received", "dm.sent") else None,
        network=NETWORK,
        public=False,
        summary=_summary(body, kind),
        attributes=_noted(item, edited, body, kind) | attributes(_of_card(card)),
    )


def _meaning(item: Fields, kind: str, *, by_us: bool) -> tuple[str, str | None]:
    """The event's type, and the message that it is about when that is another one."""
    if kind == "reaction":
        about = item.required("reaction.message_id")
        # A reaction of ours is nobody's response.
        return ("unknown" if by_us else f"reaction.{'added' if item.has('reaction.emoji') else 'removed'}"), about
    if kind == "edit":
        return "message.edited", item.required("edit.original_message_id")
    if kind == "revoke":
        return "message.deleted", item.required("revoke.original_message_id")
    shown = kind in _WRITTEN and item.text("interactive.type") != "call_permission_reply"
    unshown = kind in _UNSHOWN and item.text("unsupported.type") not in _NO_MESSAGE
    if shown or unshown:
        return "dm.sent" if by_us else "dm.received", None
    return "unknown", None


def _author(kind: str, *, by_us: bool) -> Author:
    if kind == "system":
        return Author.MACHINE
    return Author.HUMAN if by_us else Author.CUSTOMER


def _summary(body: Fields, kind: str) -> str | None:
    if kind == "reaction":
        return body.text("emoji")
    chosen = _chosen(body)
    return body.text("body", "caption", "text", "filename", "name") or chosen.text("title", "body", "name")


def _noted(item: Fields, edited: Fields, body: Fields, kind: str) -> dict[str, str]:
    product = item.within("context.referred_product")
    referral = item.within("referral")
    chosen = _chosen(body)
    names = {"id": "media_id", "type": f"{kind}_type"}
    details = {names.get(name, name): part for name, part in body.content.items() if name not in _IN_SUMMARY}
    return attributes(
        {f"{kind}_{name}": part for name, part in chosen.content.items()} if kind == "interactive" else details,
        {f"referral_{name}": part for name, part in referral.content.items() if name != "welcome_message"},
        message_type=kind,
        edited_type=edited.value("type") if kind == "edit" else None,
        interactive_type=body.value("type") if kind == "interactive" else None,
        contact_cards=len(item.each("contacts")) if kind == "contacts" else None,
        forwarded="often" if item.flag("context.frequently_forwarded") else item.value("context.forwarded"),
        product=product.value("product_retailer_id"),
        catalogue=product.value("catalog_id"),
        error_codes=[code for error in item.each("errors") if (code := error.text("code"))],
        error=next((error.value("title", "message") for error in item.each("errors")), None),
        identity_hash=item.value("identity.hash"),
    )


_IN_SUMMARY = frozenset({"body", "caption", "emoji", "sha256", "original_message_id", "message", "message_id", "text"})


def _of_card(card: Fields) -> dict[str, Any]:
    return {
        "profile_name": card.value("profile.name"),
        "username": card.value("profile.username", "username"),
        "identity_key_hash": card.value("identity_key_hash"),
    }


def _shared_with_us(item: Fields, options: Options) -> list[ContactPoint]:
    """The customer's own number, when a button of ours asked for it; other cards are of other people."""
    if item.text("type") != "contacts":
        return []
    asked = [card for card in item.each("contacts") if card.text("origin") == "contact_request"]
    phones = [phone for card in asked for phone in card.each("phones")]
    numbers = [number for phone in phones if (number := phone.ref("phone", "wa_id"))][:5]
    return [point(Kind.PHONE, number, options, assurance=Assurance.CLAIMED) for number in numbers]


def _chosen(body: Fields) -> Fields:
    """What stands under the name that `type` says: the answer to an interactive message."""
    return _object(body, body.text("type") or "")


def _object(fields: Fields, name: str) -> Fields:
    return fields.within(name) if isinstance(fields.content.get(name), dict) else Fields({})


def _number_changed(item: Fields, options: Options) -> Iterator[Event]:
    old, new = item.required("from"), item.required("system.wa_id", "system.new_wa_id")
    reason = "the customer changed the number of their WhatsApp account"
    if old.lstrip("+") == new.lstrip("+"):
        raise InvalidEvent(f"{item.where('system.wa_id')}: the same number as before")
    yield _identity(item, options, "link.asserted", [account_point(old, options), account_point(new, options)], reason)
    for ended in (account_point(old, options), phone_point(old, options)):
        yield _identity(item, options, "contact_point.ended", [ended], reason)


def _user_id_changed(item: Fields, business: str, options: Options) -> Iterator[Event]:
    old, new = item.required("system.previous_user_id", "from_user_id"), item.required("system.user_id")
    points = [user_point(old, business, options), user_point(new, business, options)]
    if points[0].key == points[1].key:
        raise InvalidEvent(f"{item.where('system.user_id')}: the same id as before")
    yield _identity(item, options, "link.asserted", points, "WhatsApp gave the customer another user id")


def _identity(item: Fields, options: Options, type_: str, points: list[ContactPoint], reason: str) -> Event:
    own = item.required("id")
    return event_of(
        "identity",
        options,
        vendor=NETWORK,
        type=type_,
        reference=f"{NETWORK}/{own}",
        source_event_id=own,
        occurred_at=item.time("timestamp", options=options),
        direction=Direction.REPORT,
        author=Author.MACHINE,
        contact_points=points,
        reason=reason,
        attributes=attributes(system_type=item.value("system.type")),
    )
