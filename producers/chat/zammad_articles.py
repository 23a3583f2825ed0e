"""The events of Zammad's articles: each on the channel that it came or went by."""

import re
from collections.abc import Iterator
from email.utils import getaddresses
from typing import Any

from producers.chat.zammad_tickets import CHANNELS, VENDOR, Ticket
from producers.email.headers import of_domains
from producers.email.text import plain_text
from producers.fields import Fields
from producers.message_ids import message_id
from producers.reading import attributes, point, source
from schemas.contact_points import normalised
from schemas.models import Assurance, Author, ContactPoint, Direction, Event, Kind, Role

_SOCIAL = {
    "twitter status": ("twitter", "post.mentioned"),
    "twitter direct-message": ("twitter", "dm.received"),
    "facebook feed post": ("facebook", "post.mentioned"),
    "facebook feed comment": ("facebook", "comment.received"),
    "facebook direct-message": ("facebook", "dm.received"),
    "telegram personal-message": ("telegram", "dm.received"),
    "whatsapp message": ("whatsapp", "dm.received"),
}
# Where Zammad keeps the network's own id of what was written.
_OWN_IDS = frozenset({"twitter", "facebook", "whatsapp"})
_AUTHORS = {"customer": Author.CUSTOMER, "agent": Author.HUMAN, "system": Author.TEMPLATE}
_MOST_ADDRESSES = 50
_LONGEST_BODY = 5_000
_SPACE = re.compile(r"\s+")


def article_events(article: Fields, ticket: Ticket) -> Iterator[Event]:
    """What one article tells. Raises InvalidEvent."""
    kind = (article.text("type") or "").lower()
    channel = CHANNELS.get(kind, "chat")
    sender = (article.text("sender") or "").lower()
    inbound = sender == "customer"
    internal = article.flag("internal") is True
    own = article.required("id")
    ref = f"{ticket.scope}/article/{own}"
    facts: dict[str, Any] = {
        "reference": ref,
        "system": source(VENDOR, ticket.options),
        "source_event_id": own,
        "occurred_at": article.time("created_at", options=ticket.options),
        "direction": Direction.INBOUND if inbound else Direction.OUTBOUND,
        "author": _AUTHORS.get(sender),
        "message_ref": ref,
        "agent": article.ref("created_by_id", "created_by.id") if sender == "agent" else None,
        "contact_points": ticket.customer(),
        "noted": _noted(article, kind, sender),
    }
    if internal or (kind == "note" and not inbound) or kind not in CHANNELS:
        facts["noted"] |= {"note": "internal" if internal else "public"} if internal or kind == "note" else {}
        yield ticket.event(channel, type="unknown", **facts)
        return
    facts["summary"] = _text(article)
    if kind == "email":
        yield from _mail(article, ticket, facts, inbound=inbound)
    elif kind == "phone":
        yield from _call(ticket, facts, inbound=inbound)
    elif kind in _SOCIAL:
        yield _on_a_network(article, ticket, facts, kind, inbound=inbound)
    elif kind == "fax":
        facts |= {"document_class": "fax"}
        yield ticket.event(channel, type="reply.received" if inbound else "item.posted", **facts)
    else:
        facts["contact_points"] = [*_texted(article, ticket, kind, inbound=inbound), *facts["contact_points"]]
        yield ticket.event(channel, type=_sent(article, "message.received", inbound=inbound), **facts)


def _mail(article: Fields, ticket: Ticket, facts: dict[str, Any], *, inbound: bool) -> Iterator[Event]:
    own, answered = message_id(article.ref("message_id")), message_id(article.ref("in_reply_to"))
    subject = article.text("subject") or ticket.fields.text("title")
    facts |= {"subject": subject, "summary": subject, "in_reply_to": answered, "answers_ref": answered}
    if own is not None:
        # A Message-ID is unique in the world, and what other systems tell about the mail names it.
        facts |= {"reference": own, "message_ref": own, "system": None}
    if inbound:
        automatic = article.flag("preferences.is-auto-response") is True
        facts["contact_points"] = _sender(article, ticket)
        facts["author"] = Author.MACHINE if automatic else facts["author"]
        yield ticket.event("email", type="message.auto_replied" if automatic else "message.received", **facts)
        return
    card = ticket.customer()
    ours = ticket.options.our_domains
    recipients = [one for one in _addresses(article, "to") if not of_domains(one, ours)]
    copied = [one for one in _addresses(article, "cc") if not of_domains(one, ours)]
    copies = [point(Kind.EMAIL, address, ticket.options, role=Role.CC) for address in copied]
    type_ = _sent(article, "message.received", inbound=False)
    for address in recipients:
        to = point(Kind.EMAIL, address, ticket.options)
        known = card if to.key in {one.key for one in card} else []
        yield ticket.event("email", type=type_, **(facts | {"contact_points": [to, *known, *copies]}))
    if not recipients:
        yield ticket.event("email", type=type_, **(facts | {"contact_points": [*card, *copies]}))


def _sender(article: Fields, ticket: Ticket) -> list[ContactPoint]:
    """Whoever the mail is from: the customer, or somebody who writes for them. Zammad does not say who proved it."""
    card, written = ticket.customer(), _addresses(article, "from")[:1]
    if not written:
        return card
    sender = point(Kind.EMAIL, written[0], ticket.options, assurance=Assurance.CLAIMED)
    return card if sender.key in {one.key for one in card} else [sender, *ticket.customer(Role.ON_BEHALF_OF)]


def _call(ticket: Ticket, facts: dict[str, Any], *, inbound: bool) -> Iterator[Event]:
    """Somebody of ours notes a call that they had; of a call that we made it does not say whether it was answered."""
    answered = {**facts, "author": Author.HUMAN, "summary": None}
    yield ticket.event("phone", type="call.initiated", **facts)
    if inbound:
        yield ticket.event("phone", type="call.answered", **answered)


def _on_a_network(article: Fields, ticket: Ticket, facts: dict[str, Any], kind: str, *, inbound: bool) -> Event:
    network, received = _SOCIAL[kind]
    own, answered = article.ref("message_id"), article.ref("in_reply_to")
    if own is not None and network in _OWN_IDS:
        facts |= {"message_ref": f"{network}/{own}", "answers_ref": f"{network}/{answered}" if answered else None}
    if network == "whatsapp":
        facts["contact_points"] = [*_whatsapp(ticket), *ticket.customer(numbers=Assurance.ASSERTED)]
    handle = article.text("from") if inbound else None
    if network == "twitter" and handle is not None and handle.startswith("@"):
        value = f"{network}:handle:{handle.removeprefix('@')}"
        facts["contact_points"] = [point(Kind.SOCIAL, value, ticket.options), *facts["contact_points"]]
    public = not received.startswith("dm.")
    return ticket.event(
        "social", type=_sent(article, received, inbound=inbound), network=network, public=public, **facts
    )


def _whatsapp(ticket: Ticket) -> list[ContactPoint]:
    """The WhatsApp account: Zammad writes its number as the customer's mobile."""
    mobile = ticket.fields.ref("customer.mobile")
    number = None if mobile is None else normalised(Kind.PHONE, mobile, region=ticket.options.region)
    if number is None:
        return []
    value = f"whatsapp:wa_id:{number.lstrip('+')}"
    return [point(Kind.SOCIAL, value, ticket.options, assurance=Assurance.ATTESTED)]


def _texted(article: Fields, ticket: Ticket, kind: str, *, inbound: bool) -> list[ContactPoint]:
    """The number that an SMS came from or went to."""
    number = article.ref("from" if inbound else "to") if kind == "sms" else None
    return [] if number is None else [point(Kind.PHONE, number, ticket.options)]


def _sent(article: Fields, received: str, *, inbound: bool) -> str:
    if inbound:
        return received
    if article.text("preferences.delivery_status") == "fail":
        return "message.failed"
    if received.startswith("message."):
        return "message.sent"
    return "dm.sent" if received.startswith("dm.") else "reply.published"


def _addresses(article: Fields, name: str) -> list[str]:
    written = (article.text(name) or "")[:_LONGEST_BODY]
    return [address for _, address in getaddresses([written])[:_MOST_ADDRESSES] if "@" in address]


def _text(article: Fields) -> str | None:
    body = (article.text("body") or "")[:_LONGEST_BODY]
    if "html" in (article.text("content_type") or "").lower():
        body = plain_text(body)
    return _SPACE.sub(" ", body).strip() or None


def _noted(article: Fields, kind: str, sender: str) -> dict[str, str]:
    return attributes(
        article_type=kind,
        article_sender=sender,
        attachments=len(article.each("attachments")) or None,
        origin_by=article.value("origin_by_id"),
        time_unit=article.value("accounted_time") or None,
        delivery_status=article.value("preferences.delivery_status"),
        delivery_status_message=article.value("preferences.delivery_status_message"),
    )
