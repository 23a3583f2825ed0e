"""A ticket of Zammad's: who its customer is, and the events of the state that it is in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import attributes, case_refs, event_of, point, source, timeless_id
from producers.subjects import case_ref
from schemas.models import Assurance, ContactPoint, Direction, Event, Kind, Role

VENDOR = "zammad"
CHANNELS = {
    "email": "email",
    **dict.fromkeys(("sms", "chat", "web", "note"), "chat"),
    "phone": "phone",
    "fax": "post",
    **dict.fromkeys(("twitter status", "twitter direct-message", "telegram personal-message"), "social"),
    **dict.fromkeys(("facebook feed post", "facebook feed comment", "facebook direct-message"), "social"),
    "whatsapp message": "social",
}
_NOBODY = "1"
"""Zammad's user for "no owner", and for itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """The ticket of a webhook, and what all of its events have in common."""

    fields: Fields
    options: Options
    number: str
    case_refs: tuple[str, ...]

    @classmethod
    def of(cls, fields: Fields, options: Options) -> "Ticket":
        """Raises InvalidEvent when the ticket has no id."""
        own = [case_ref("case", fields.ref("number") or "")]
        found = dict.fromkeys([*own, *case_refs(fields)])
        return cls(
            fields=fields,
            options=options,
            number=fields.required("id"),
            case_refs=tuple(ref for ref in found if ref),
        )

    @property
    def scope(self) -> str:
        return f"{VENDOR}/{self.options.account}"

    def customer(self, role: Role = Role.SELF, *, numbers: Assurance = Assurance.CLAIMED) -> list[ContactPoint]:
        """The contact points of the customer's card; `numbers` says how sure its telephone numbers are."""
        card = self.fields.within("customer")
        user = card.ref("id") or self.fields.ref("customer_id")
        found: list[ContactPoint] = []
        if card.has("email"):
            found.append(point(Kind.EMAIL, card.required("email"), self.options, role=role))
        found += [
            point(Kind.PHONE, card.required(name), self.options, assurance=numbers, role=role)
            for name in ("mobile", "phone")
            if card.has(name)
        ]
        if user is not None:
            found.append(point(Kind.VISITOR, f"{self.scope}/user/{user}", self.options, role=role))
        return found or [point(Kind.ANONYMOUS, f"{self.scope}/{self.number}", self.options)]

    def event(self, channel: str, *, noted: dict[str, str] | None = None, **fields: Any) -> Event:
        """An event of the ticket's conversation."""
        return event_of(
            channel,
            self.options,
            vendor=VENDOR,
            conversation_ref=f"{self.scope}/{self.number}",
            case_refs=self.case_refs,
            attributes=(noted or {}) | self._noted(),
            **fields,
        )

    def _noted(self) -> dict[str, str]:
        ticket = self.fields
        return attributes(
            state=_name(ticket, "state"),
            priority=_name(ticket, "priority"),
            group=_name(ticket, "group"),
            organization=_name(ticket, "organization"),
            ticket_title=ticket.value("title"),
        )


def state_events(ticket: Ticket, article: Fields) -> Iterator[Event]:
    """Closed, pending, opened again, assigned: each once, however many webhooks tell it."""
    fields, options = ticket.fields, ticket.options
    channel = CHANNELS.get((_name(fields, "create_article_type") or "").lower(), "chat")
    state = (_name(fields, "state") or "").lower()
    updated_at = fields.time("updated_at", options=options)
    closed = fields.time("last_close_at", "close_at", options=options)
    told: list[tuple[str, datetime | None, Any, dict[str, Any]]] = []
    if state in ("closed", "merged"):
        told.append(("conversation.resolved", closed or updated_at, closed or updated_at, {}))
    elif state.startswith("pending"):
        until = fields.time("pending_time", options=options)
        told.append(("conversation.snoozed", updated_at, f"{state} {until or updated_at}", {"promised_at": until}))
    elif state == "open" and closed is not None and (updated_at is None or updated_at > closed):
        by_customer = (_name(article, "sender") or "").lower() == "customer"
        written = article.time("created_at", options=options) if by_customer else None
        at = written if written is not None and written > closed else updated_at
        told.append(("conversation.reopened", at, closed, {}))
    elif state and state not in ("new", "open"):
        told.append(("unknown", updated_at, state, {}))
    owner = fields.ref("owner_id", "owner.id")
    if owner is not None and owner != _NOBODY:
        since = fields.time("last_owner_update_at", options=options)
        told.append(("conversation.assigned", since or updated_at, f"{owner} {since or ''}", {"agent": owner}))
    if not told and not article.has("id"):
        told.append(("unknown", updated_at, f"{state} {updated_at or ''}", {}))
    for type_, at, change, more in told:
        yield _once(ticket, channel, type_, at, str(change), **({"agent": _owner(owner)} | more))


def _once(ticket: Ticket, channel: str, type_: str, at: datetime | None, change: str, **fields: Any) -> Event:
    """The event of a change, whose id does not rest on when it was told."""
    reference, system = f"{ticket.scope}/{ticket.number}", source(VENDOR, ticket.options)
    points = ticket.customer()
    return ticket.event(
        channel,
        type=type_,
        reference=reference,
        system=system,
        event_id=timeless_id(reference, type_, points, change, system),
        occurred_at=at or ticket.options.observed_at,
        source_event_id=ticket.number,
        direction=Direction.OUTBOUND,
        contact_points=points,
        **fields,
    )


def _owner(owner: str | None) -> str | None:
    return None if owner == _NOBODY else owner


def _name(fields: Fields, name: str) -> str | None:
    """What is either a name or an object with one."""
    found = fields.value(name)
    return fields.within(name).text("name") if isinstance(found, dict) else fields.text(name)
