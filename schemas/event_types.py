"""What every event type means, in one table in one place.

A type is `<object>.<verb>`; the channel is the topic. A row says what the views may conclude from such an event:

    touchpoint   a person would tell of it: it stands in the timeline
    customer     the customer did it themselves
    opens        there is a conversation from here (one that only we write to is none); closes: it ends;
                 reopens: that is taken back; abandons: the customer gave up waiting
    clock        start: the customer waits for us from here; stop: a person of ours has answered
    engagement   tenths of one full response to an outbound item, 0-10; never from a machine
    item         the step in the life of an outbound item
    reach        proof that the contact point can be reached (good) or not (bad)
    hand_over    the conversation went to somebody else on our side

The rules behind the rows (docs/event-types.md is generated from this table):
- a bounce or a returned letter is about reachability, never about dislike;
- an automatic reply, theirs or ours, neither starts nor stops a clock; a letter stops it when posted;
- a delivery report is never a touchpoint: the item itself is, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Clock = Literal["start", "stop"]
ItemStep = Literal["created", "sent", "delivered", "opened", "clicked", "answered", "paid", "returned", "failed"]
Reach = Literal["good", "bad"]

UNKNOWN = "unknown"

OUR_STEPS = frozenset({"created", "sent", "delivered", "returned", "failed"})
"""Steps of an outbound item that are not the customer's doing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """What the views conclude from one event type; see the module's docstring."""

    touchpoint: bool = False
    customer: bool = False
    opens: bool = False
    closes: bool = False
    reopens: bool = False
    abandons: bool = False
    hand_over: bool = False
    clock: Clock | None = None
    engagement: int = 0
    item: ItemStep | None = None
    reach: Reach | None = None


_NOTHING = Meaning()
_CUSTOMER_WRITES = Meaning(
    touchpoint=True, customer=True, opens=True, clock="start", engagement=10, item="answered", reach="good"
)
_WE_WRITE = Meaning(touchpoint=True, clock="stop", item="sent")
_DELIVERED = Meaning(item="delivered", reach="good")
_READ = Meaning(customer=True, engagement=2, item="opened", reach="good")
_FAILED = Meaning(item="failed", reach="bad")

_EVERY_CHANNEL = {
    UNKNOWN: _NOTHING,
    "conversation.assigned": _NOTHING,
    "conversation.transferred": Meaning(hand_over=True),
    "conversation.resolved": Meaning(closes=True),
    "conversation.reopened": Meaning(reopens=True),
    "message.edited": _NOTHING,
    "message.deleted": _NOTHING,
    # It never left us: that says nothing about the contact point.
    "message.failed": Meaning(item="failed"),
    "survey.answered": Meaning(touchpoint=True, customer=True),
    "preference.stated": Meaning(touchpoint=True, customer=True),
}

# Of every channel too, but later: at the end, so that symbols in the Avro files keep their order.
_LATER = {"conversation.snoozed": _NOTHING}

EVENT_TYPES: dict[str, dict[str, Meaning]] = {
    "email": {
        **_EVERY_CHANNEL,
        "message.received": _CUSTOMER_WRITES,
        "message.queued": Meaning(item="created"),
        "message.sent": _WE_WRITE,
        "message.rejected": Meaning(item="failed"),
        "message.deferred": _NOTHING,
        "message.delivered": _DELIVERED,
        "message.bounced": _FAILED,
        "message.opened": Meaning(customer=True, engagement=1, item="opened"),
        "link.clicked": Meaning(touchpoint=True, customer=True, engagement=6, item="clicked", reach="good"),
        "message.auto_replied": Meaning(reach="good"),
        "message.complained": Meaning(touchpoint=True, customer=True),
        "message.complaint_withdrawn": Meaning(touchpoint=True, customer=True),
        "subscription.opted_out": Meaning(touchpoint=True, customer=True),
        "subscription.opted_in": Meaning(touchpoint=True, customer=True),
        **_LATER,
    },
    "chat": {
        **_EVERY_CHANNEL,
        "conversation.started": Meaning(opens=True),
        "visitor.identified": _NOTHING,
        "message.received": _CUSTOMER_WRITES,
        "message.sent": _WE_WRITE,
        "message.delivered": _DELIVERED,
        "message.read": _READ,
        "conversation.handed_off": Meaning(hand_over=True),
        "conversation.snoozed": _NOTHING,
        "conversation.abandoned": Meaning(touchpoint=True, customer=True, abandons=True),
        "task.started": Meaning(touchpoint=True, customer=True),
        "task.step_reached": Meaning(customer=True),
        "task.completed": Meaning(touchpoint=True, customer=True),
        "task.abandoned": Meaning(touchpoint=True, customer=True),
    },
    "phone": {
        **_EVERY_CHANNEL,
        "call.initiated": Meaning(touchpoint=True, opens=True, item="sent"),
        "call.offered": _NOTHING,
        "ivr.selected": Meaning(customer=True),
        "ivr.self_served": Meaning(customer=True, closes=True),
        "caller.verified": _NOTHING,
        # The caller waits for a person from here.
        "call.queued": Meaning(opens=True, clock="start"),
        "call.answered": Meaning(opens=True, clock="stop", engagement=7, item="delivered", reach="good"),
        "call.held": _NOTHING,
        "call.transferred": Meaning(hand_over=True),
        "call.abandoned": Meaning(customer=True, abandons=True),
        "call.no_answer": _NOTHING,
        "call.busy": _NOTHING,
        "call.failed": _FAILED,
        "voicemail.left": Meaning(touchpoint=True, customer=True, opens=True, clock="start", reach="good"),
        "callback.requested": Meaning(touchpoint=True, customer=True, opens=True, clock="start"),
        "callback.attempted": Meaning(touchpoint=True),
        "call.completed": Meaning(closes=True),
        "call.wrapped_up": _NOTHING,
        **_LATER,
    },
    "post": {
        **_EVERY_CHANNEL,
        "item.created": Meaning(item="created"),
        "item.posted": Meaning(touchpoint=True, clock="stop", item="sent"),
        "item.in_transit": _NOTHING,
        "item.delivered": Meaning(item="delivered", reach="good"),
        "item.delivery_attempted": _NOTHING,
        "item.rerouted": _NOTHING,
        "item.returned": Meaning(touchpoint=True, item="returned", reach="bad"),
        "item.lost": Meaning(item="failed"),
        "item.viewed": Meaning(touchpoint=True, customer=True, engagement=8, item="opened", reach="good"),
        "reply.received": _CUSTOMER_WRITES,
        "visit.recorded": Meaning(touchpoint=True, customer=True),
        "address.changed": Meaning(touchpoint=True, customer=True),
        "invoice.paid": Meaning(touchpoint=True, customer=True, engagement=10, item="paid", reach="good"),
        **_LATER,
    },
    "social": {
        **_EVERY_CHANNEL,
        "dm.received": _CUSTOMER_WRITES,
        "dm.sent": _WE_WRITE,
        "dm.delivered": _DELIVERED,
        "dm.read": _READ,
        "dm.failed": _FAILED,
        "post.mentioned": _CUSTOMER_WRITES,
        "comment.received": _CUSTOMER_WRITES,
        "reply.published": _WE_WRITE,
        "reaction.added": Meaning(touchpoint=True, customer=True, engagement=2, item="opened"),
        "reaction.removed": Meaning(customer=True),
        "follow.started": Meaning(touchpoint=True, customer=True),
        "follow.stopped": Meaning(touchpoint=True, customer=True),
        "account.linked": Meaning(customer=True),
        "account.blocked": Meaning(touchpoint=True, customer=True, reach="bad"),
        "review.received": Meaning(touchpoint=True, customer=True, opens=True, clock="start"),
        **_LATER,
    },
    "identity": {
        UNKNOWN: _NOTHING,
        "link.asserted": _NOTHING,
        "link.retracted": _NOTHING,
        "link.forbidden": _NOTHING,
        "contact_point.ended": _NOTHING,
        "erasure.requested": _NOTHING,
        "erasure.completed": _NOTHING,
    },
}


def avro_symbol(event_type: str) -> str:
    """Name of a type as an Avro enum symbol, which may hold no dot: `message.received` -> `message_received`."""
    return event_type.replace(".", "_", 1)


TYPE_OF_SYMBOL = {avro_symbol(name): name for types in EVENT_TYPES.values() for name in types}


def conclusions(meaning: Meaning, event: Mapping[str, Any]) -> Meaning:
    """What one event means, once its own fields have had their say.

    `event` holds direction, author, machine, answers_ref, bounce_class, answered_by, delivery_basis as text (or
    None, or missing). The hot path computes the same in columns (`consumers.meaning`); a test holds them equal.
    """
    out = meaning
    if event.get("machine"):
        # A scanner, a prefetch, a privacy proxy: nobody did anything.
        item = None if out.item in {"opened", "clicked"} else out.item
        out = replace(out, touchpoint=False, customer=False, engagement=0, reach=None, item=item)
    if event.get("author") in {"bot", "template", "machine"}:
        out = replace(out, clock=None, opens=out.opens and event["direction"] != "inbound")
    if event["direction"] == "inbound" and out.item in OUR_STEPS:
        # The customer's own call or message failed on our side: that says nothing against the contact point.
        out = replace(out, item=None, engagement=0, reach=None if out.reach == "bad" else out.reach)
    if out.item == "answered" and not event.get("answers_ref"):
        out = replace(out, item=None, engagement=0)
    if event.get("bounce_class") == "soft":
        out = replace(out, item=None, reach=None)
    if event.get("answered_by") == "machine":
        out = replace(out, clock=None, engagement=0, reach=None, item=None)
    if event.get("delivery_basis") == "estimated":
        out = replace(out, reach=None)
    return out


if __name__ == "__main__":
    from schemas.event_types_page import page

    print(page(), end="")
