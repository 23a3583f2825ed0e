"""docs/event-types.md: the table of `schemas.event_types` in words."""

from collections.abc import Mapping

from schemas.event_types import EVENT_TYPES, Meaning
from schemas.topics import CHANNELS


def page() -> str:
    """The page as Markdown; `python -m schemas.event_types` prints it."""
    # In every channel; a type such as message.received is in three only.
    common = set.intersection(*(set(EVENT_TYPES[channel]) for channel in CHANNELS))
    parts = [
        _INTRODUCTION,
        _section("every channel", {name: EVENT_TYPES["email"][name] for name in NOTES if name in common}),
    ]
    for stream, types in EVENT_TYPES.items():
        parts.append(_section(stream, {name: meaning for name, meaning in types.items() if name not in common}))
    return "\n".join(parts)


def _section(name: str, types: Mapping[str, Meaning]) -> str:
    rows = [
        f"## {name}\n",
        "| type | when | touch | by customer | conversation | clock | engagement | item | reach |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for event_type, meaning in types.items():
        cells = (
            f"`{event_type}`",
            NOTES[event_type],
            "yes" if meaning.touchpoint else "",
            "yes" if meaning.customer else "",
            ", ".join(word for field, word in _CONVERSATION.items() if getattr(meaning, field)),
            {"start": "starts", "stop": "stops"}.get(meaning.clock or "", ""),
            str(meaning.engagement or ""),
            meaning.item or "",
            meaning.reach or "",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


_CONVERSATION = {
    "opens": "opens",
    "closes": "closes",
    "reopens": "reopens",
    "abandons": "gives up",
    "hand_over": "hands over",
}

_INTRODUCTION = """# Event types

What each type means to the views. Generated from `schemas/event_types.py`; after a change there, type
`python -m schemas.event_types > docs/event-types.md`.

A type is `<object>.<verb>`; the channel is the topic. In the Avro files the dot is an underscore (`message_received`).
A symbol that a reader does not know is read as `unknown`.

| column | says |
|---|---|
| touch | *yes*: it stands in the customer's timeline |
| by customer | *yes*: the customer did it themselves |
| conversation | *opens*, *closes* or *reopens* one; *gives up*: waited no longer; *hands over*: to another of ours |
| clock | *starts*: the customer waits for us from here; *stops*: a person of ours has answered |
| engagement | tenths of one full response to something we sent, 0-10 |
| item | the step in the life of something we sent |
| reach | *good* or *bad*: proof that the contact point can or cannot be reached |

An event's own fields have the last word, in this order:

1. `machine`: nobody did anything. No touch, no engagement, no reach; *opened* and *clicked* are no step.
2. `author` bot, template or machine: the clock stays as it is; one that is inbound opens nothing.
3. `inbound` is never a step of what we sent up to delivery, return or failure; a failure then says nothing about reach.
4. *answered* without `answers_ref` answers nothing that we sent: no step, no engagement.
5. `bounce_class` soft: no step, nothing about reach.
6. `answered_by` machine: no clock, no engagement, no step, nothing about reach.
7. `delivery_basis` estimated: nothing about reach.
"""


NOTES: dict[str, str] = {
    # every channel
    "unknown": "The vendor sent something that has no type here; it is kept, and means nothing to the views.",
    "conversation.assigned": "Given to a person or a team of ours.",
    "conversation.transferred": "Passed on to another person or team.",
    "conversation.resolved": "Closed as dealt with.",
    "conversation.reopened": "Closed before, open again.",
    "conversation.snoozed": "Put aside until `promised_at`; without one, until somebody writes, closes or reopens it.",
    "message.edited": "A message was changed afterwards.",
    "message.deleted": "A message was taken back.",
    "message.failed": "Something of ours failed before it left us.",
    "survey.answered": "The customer answered a survey; `survey` holds the score.",
    "preference.stated": "The customer stated a choice in passing; `statement` holds it.",
    # email, chat, social
    "message.received": "The customer wrote.",
    "message.queued": "Ours was accepted for sending.",
    "message.sent": "Ours left.",
    "message.rejected": "The provider refused to send ours.",
    "message.deferred": "The receiving side asked to try again later.",
    "message.delivered": "Ours arrived.",
    "message.bounced": "Ours came back; the contact point is the recipient that failed, `bounce_class` says how.",
    "message.opened": "Ours was opened; `machine` when a proxy or scanner did it.",
    "message.read": "Ours was read; `read_up_to` for everything until then.",
    "link.clicked": "A link in ours was followed; `url` says which.",
    "message.auto_replied": "An automatic answer came: out of office, a ticket system.",
    "message.complained": "The customer reported ours as spam.",
    "message.complaint_withdrawn": "The customer took that report back.",
    "subscription.opted_out": "Unsubscribed by the one-click POST (RFC 8058) or a form, never by a mere GET.",
    "subscription.opted_in": "Subscribed; counts when the customer did it (`inbound`), not for an import.",
    "conversation.started": "A chat was opened.",
    "visitor.identified": "An anonymous visitor turned out to be somebody.",
    "conversation.handed_off": "The bot gave over to a person.",
    "conversation.abandoned": "The customer left before an answer.",
    "task.started": "Self-service begun: a form, a cart, a portal.",
    "task.step_reached": "A step of it reached; `step` says which.",
    "task.completed": "Self-service finished.",
    "task.abandoned": "Self-service left unfinished.",
    # phone
    "call.initiated": "A call began.",
    "call.offered": "It rang at somebody of ours.",
    "ivr.selected": "The caller chose in the menu; `ivr_path`, `topic`.",
    "ivr.self_served": "The menu settled it.",
    "caller.verified": "The caller proved who they are.",
    "call.queued": "The caller waits for a person.",
    "call.answered": "Somebody picked up; `answered_by` human or machine.",
    "call.held": "Put on hold.",
    "call.transferred": "Passed on to another person or team.",
    "call.abandoned": "The caller hung up while waiting.",
    "call.no_answer": "Nobody picked up.",
    "call.busy": "The line was engaged.",
    "call.failed": "The network could not connect it.",
    "voicemail.left": "The caller left a message.",
    "callback.requested": "The caller wants to be called back; `promised_at` by when.",
    "callback.attempted": "We called back; `answers_ref` says which request.",
    "call.completed": "The call ended.",
    "call.wrapped_up": "The agent noted the outcome; `disposition`, `topic`.",
    # post
    "item.created": "Printed or handed to the mail house; not yet posted.",
    "item.posted": "In the hands of the carrier.",
    "item.in_transit": "On its way.",
    "item.delivered": "Arrived; `delivery_basis` says how sure that is.",
    "item.delivery_attempted": "Nobody was there to take it.",
    "item.rerouted": "Sent on to another address.",
    "item.returned": "Came back; `return_reason`.",
    "item.lost": "Never seen again.",
    "item.viewed": "The personal code on it was scanned.",
    "reply.received": "A letter, form or return envelope came.",
    "visit.recorded": "The customer stood at the counter.",
    "address.changed": "The customer gave a new address.",
    "invoice.paid": "A payment with the item's reference came in.",
    # social
    "dm.received": "The customer wrote a private message.",
    "dm.sent": "Our private message left.",
    "dm.delivered": "Our private message arrived.",
    "dm.read": "Our private message was read; `read_up_to` for everything until then.",
    "dm.failed": "Our private message could not be delivered.",
    "post.mentioned": "The customer named us in public.",
    "comment.received": "The customer commented on something of ours.",
    "reply.published": "We answered in public.",
    "reaction.added": "A like or its kind.",
    "reaction.removed": "A reaction was taken back.",
    "follow.started": "The customer follows us.",
    "follow.stopped": "The customer follows us no longer.",
    "account.linked": "The social account was joined to a customer account.",
    "account.blocked": "The customer blocked us.",
    "review.received": "The customer rated us in public.",
    # identity
    "link.asserted": "Two contact points are one person.",
    "link.retracted": "That was not so.",
    "link.forbidden": "They are two people, whatever the evidence says.",
    "contact_point.ended": "It belongs to somebody else from here: a number recycled, a household moved.",
    "erasure.requested": "The person wants their data erased.",
    "erasure.completed": "That was done.",
}
"""When an event of each type happens."""
