"""What the people of a village do most: one table of what random events are drawn from.

`EVERYTHING` draws from all there is; the others are narrow, so that short logs already hold a shared contact point,
a conversation over several channels, an inferred preference, or statements that contradict each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.event_types import EVENT_TYPES, Meaning
from schemas.models import Author, Channel, ContentType

NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
"""The moment for which views of these logs are asked: some events come after it."""

_DAYS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2025-06-10T00:00:00",
        "2025-06-10T09:00:00",
        "2025-06-10T23:59:59.999999",
        "2025-06-11T12:00:00",
        "2025-06-15T12:00:00",
        "2025-06-20T00:00:00",
        "2025-03-31T23:59:55",
        "2025-04-01T00:00:00",
        "2024-06-15T12:00:00",
        "2024-06-14T12:00:00",
        "2024-02-29T12:00:00",
        "2023-06-01T00:00:00",
        "2023-05-31T23:59:59",
        "1999-12-31T23:00:00",
    )
)
_NOW_AND_THEN = (_DAYS[:4] * 6) + _DAYS
_AROUND_HOURS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2025-06-10T06:59:50",
        "2025-06-10T10:00:00",
        "2025-06-10T14:59:55",
        "2025-06-11T03:00:00",
        # A Friday evening, the night in which the clock goes forward, and the Monday.
        "2025-03-28T15:30:00",
        "2025-03-30T00:30:00",
        "2025-03-30T01:00:00",
        "2025-03-31T05:59:55",
        "2025-04-18T09:00:00",
        "2025-06-06T09:00:00",
        "2024-02-28T16:00:00",
        "2024-02-29T12:00:00",
        "2025-10-26T00:15:00",
        "2025-10-26T01:30:00",
        "2025-10-27T07:00:00",
    )
)
_CHANNELS = tuple(str(channel) for channel in Channel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """Pools: what stands twice is twice as likely; what stands first is what hypothesis shrinks to.

    `types` by channel; `company` says which contact points an event names: the person's own `alone`, with their
    `account`, an account at a point of the `household`, that of the `house` alone, everybody's `switchboard` with or
    without an account, with a `foreign` one, or `several` of their own.
    """

    types: Mapping[str, tuple[str, ...]]
    channels: tuple[str, ...] = (*_CHANNELS * 5, "identity")
    people: tuple[int, ...] = (0, 0, 0, 0, 1, 1, 2, 3, 4, 5)
    company: tuple[str, ...] = ("alone",) * 5 + ("account", "household", "foreign", "several")
    moments: tuple[datetime, ...] = _NOW_AND_THEN
    threads: tuple[str | None, ...] = (None, "c0", "c0", "c1", "c 2/ü", "c3", "c4")
    cases: tuple[tuple[str, ...], ...] = ((),) * 30 + (
        ("invoice:1",),
        ("A-1",),
        ("A-2",),
        ("B-1", "A-1"),
        ("B-2", "A-2", "B-2"),
    )
    items: tuple[str, ...] = ("m0", "m1", "m2", "m'3", 'm"4\\', "m5", "m6", "m7")
    content_types: tuple[Any, ...] = (None, "news", "news", "news", *ContentType)
    states: tuple[bool, ...] = (False,) * 4 + (True,)
    authors: tuple[Author | None, ...] = (None,) * 8 + (Author.HUMAN, *Author)
    promises: tuple[datetime | None, ...] = (
        *(None, None, None, NOW),
        *(NOW + timedelta(days=1), NOW + timedelta(days=9), NOW - timedelta(days=5)),
    )


def _often(event_types: list[str], *favourites: str) -> tuple[str, ...]:
    return (*(name for name in favourites if name in event_types for _ in range(5)), *event_types)


def _only(holds: Callable[[Meaning], Any]) -> dict[str, tuple[str, ...]]:
    found = {
        channel: tuple(name for name, meaning in types.items() if holds(meaning))
        for channel, types in EVENT_TYPES.items()
    }
    return {**found, "identity": _IDENTITY}


_IDENTITY = (*("link.asserted", "link.retracted", "link.forbidden") * 3, "contact_point.ended")
_TYPES = {
    channel: _often(
        list(types),
        "message.received",
        "message.sent",
        "message.sent",
        "message.delivered",
        "message.opened",
        "message.read",
        "message.bounced",
        "link.clicked",
        "call.queued",
        "call.answered",
        "call.abandoned",
        "call.completed",
        "item.posted",
        "item.posted",
        "item.delivered",
        "invoice.paid",
        "dm.received",
        "dm.sent",
        "dm.sent",
        "dm.read",
        "conversation.resolved",
        "conversation.reopened",
        "preference.stated",
        "survey.answered",
        "link.asserted",
        "link.retracted",
        "link.forbidden",
    )
    for channel, types in EVENT_TYPES.items()
}

EVERYTHING = Habits(types=_TYPES)
_OF_CONVERSATIONS = (
    *("conversation.snoozed", "message.edited", "message.deleted", "task.step_reached", "task.abandoned"),
    *("ivr.selected", "call.held", "callback.requested", "voicemail.left", "call.completed"),
)
TALKING = Habits(
    types={
        channel: (*types, *(name for name in _OF_CONVERSATIONS if name in EVENT_TYPES[channel]))
        for channel, types in _only(
            lambda meaning: meaning.opens or meaning.closes or meaning.reopens or meaning.abandons or meaning.clock
        ).items()
    },
    items=("m0", "m1", "m2"),
    people=(0, 0, 1),
    moments=_DAYS[:4],
    threads=("c0", "c0", "c1", None),
    cases=((), (), (), ("A-1",), ("A-2", "A-1")),
    states=(False,),
)
SENDING = Habits(
    types=_only(lambda meaning: meaning.item and meaning.item != "failed"),
    people=(0,),
    company=("account", "account", "alone"),
    threads=(None, None, None, "c0", "c1"),
    content_types=("news", "news", "news", "offers", None),
    states=(False,) * 9 + (True,),
)
FAMILY = Habits(
    types=_TYPES,
    channels=(*_CHANNELS, "identity", "identity"),
    people=(0, 1, 2, 3, 4, 5),
    company=("household",) * 3 + ("several", "foreign", "alone", "house", "house", "switchboard", "switchboard"),
)
STATING = Habits(
    types={
        **_TYPES,
        "email": ("preference.stated", *(name for name in EVENT_TYPES["email"] if "opted" in name or "compl" in name)),
    },
    people=(0, 0, 1),
    moments=_DAYS[:5],
    states=(True, True, False),
)
COMPLAINING = Habits(
    types=dict.fromkeys(_TYPES, ("preference.stated",))
    | {
        "email": tuple(name for name in EVENT_TYPES["email"] if "opted" in name or "compl" in name),
        "identity": _IDENTITY,
    },
    channels=("email",) * 3 + ("phone",),
    people=(0,),
    company=("alone",),
    moments=_DAYS[:3],
    content_types=(None, "news", "offers", "invoices"),
    states=(False, False, False, True),
)
BILLING = Habits(
    types=_only(lambda meaning: meaning.item in {"created", "sent", "paid", "returned", "delivered"}),
    channels=("post", "post", "email"),
    people=(0, 0, 1),
    company=("alone", "account"),
    cases=(
        *(("invoice:1",), ("invoice:1",), ("invoice:2", "A-1"), ("invoice:2", "invoice:1"), ()),
        *((f"invoice:{number}",) for number in range(3, 9)),
    ),
    items=("m0", "m1", "m2", "m3"),
    content_types=("invoices", "invoices", "invoices", None, "news"),
    states=(False,),
)
CALLING = Habits(
    types={**_TYPES, "phone": ("call.wrapped_up", "call.failed", "call.initiated", "call.queued", "call.answered")},
    channels=("phone",),
    people=(0,),
    company=("alone",),
    moments=_DAYS[:4],
    states=(False,),
)

WAITING = Habits(
    types={
        "email": ("message.received", "message.received", "message.sent", "conversation.resolved"),
        "chat": (
            *("message.received", "message.sent", "conversation.handed_off", "conversation.snoozed"),
            *("conversation.snoozed", "conversation.abandoned", "conversation.resolved", "conversation.reopened"),
        ),
        "phone": ("call.queued", "call.offered", "call.answered", "call.transferred", "call.completed"),
        "post": ("reply.received", "item.posted"),
        "social": ("dm.received", "dm.sent", "conversation.transferred"),
        "identity": _IDENTITY,
    },
    channels=("chat", "chat", "chat", "email", "phone", "phone", "post", "social"),
    people=(0, 0, 1),
    moments=_AROUND_HOURS,
    threads=("c0", "c0", "c1"),
    cases=((), (), (), ("A-1",)),
    states=(False,),
    authors=(None, None, Author.HUMAN, Author.BOT, Author.BOT, Author.TEMPLATE),
    promises=(None, *_AROUND_HOURS),
)

TURNING = Habits(
    types={
        "email": ("message.received", "message.sent"),
        "chat": ("task.started", "task.step_reached", "task.step_reached", "task.abandoned", "task.completed"),
        "phone": ("ivr.selected", "call.queued", "call.abandoned", "call.answered", "ivr.self_served"),
        "post": ("visit.recorded", "reply.received", "invoice.paid"),
        "social": ("dm.received", "conversation.resolved"),
        "identity": _IDENTITY,
    },
    people=(0, 0, 1),
    company=("alone", "account"),
    moments=(*_DAYS[:4], *_DAYS[6:8], *(_DAYS[0] - timedelta(days=days) for days in (7, 8, 30))),
    states=(False,),
)
"""Coming to us: by themselves in the portal and the menu, and on another channel when that fails."""

ALL_HABITS = (EVERYTHING, TALKING, SENDING, FAMILY, STATING, COMPLAINING, BILLING, CALLING, WAITING, TURNING)
