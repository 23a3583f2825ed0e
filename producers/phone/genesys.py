"""Genesys Cloud: conversation detail records of voice conversations, from the analytics API.

`{"conversations": [...]}` as the details query and job answer, or conversations one a line. A conversation has
participants (by `purpose`), these have sessions (by `mediaType`), these have segments with a beginning and an end; what
each means stands in `producers.phone.genesys_segments`.

Fields: MyPureCloud/platform-client-sdk-python `build/docs/AnalyticsConversation.md`, `AnalyticsParticipant.md`,
`AnalyticsSession.md`, `AnalyticsConversationSegment.md`; https://developer.genesys.cloud/analyticsdatamanagement/.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from producers.format import Format, Options, Payload
from producers.json_stream import cut_payloads
from producers.phone.call import Call, customer_points, dialled
from producers.phone.genesys_legs import Leg, legs_of
from producers.phone.genesys_segments import conversation_events
from producers.reading import Fields, attributes, case_refs, json_payloads, json_sample, snake
from schemas.errors import InvalidEvent
from schemas.models import Direction, Event

VENDOR = "genesys"

_CUSTOMER_NUMBERS = ("customerId", "customer_id", "customer_ref", "customerNumber", "accountNumber", "account_number")


def genesys_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """The conversations of a file, each a payload of its own."""
    return cut_payloads(json_payloads(stream, options), _conversations)


def _conversations(content: Any) -> list[Any]:
    found = content.get("conversations") if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def genesys_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one conversation, which may still go on.

    Raises InvalidEvent for a conversation without a voice or callback session (chats, mails and messages are told by
    their own systems), and for one in which nothing has happened yet.
    """
    given = Fields.of(content)
    conversation = given.required("conversationId")
    start = given.required_time("conversationStart", options=options)
    end = given.time("conversationEnd", options=options)
    if end is not None and end < start:
        raise InvalidEvent("conversationEnd: before conversationStart")
    legs, media = legs_of(given, options)
    if not legs:
        raise InvalidEvent("mediaType: neither voice nor callback; publish it on its own channel")
    call = _call(given, conversation, legs, media, options)
    told = list(conversation_events(call, legs, start, end, options))
    if not told:
        raise InvalidEvent("segments: none that tells what happened; give the conversation again when it has ended")
    yield from told


def _call(given: Fields, conversation: str, legs: list[Leg], media: list[str], options: Options) -> Call:
    customers = [leg for leg in legs if leg.is_customer]
    said = (
        given.text("originatingDirection") or next((leg.direction for leg in customers if leg.direction), "")
    ).lower()
    # Of a campaign's preview the older records do not say so.
    outbound = said == "outbound" or (not said and any(leg.session.has("outboundCampaignId") for leg in customers))
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND if customers else Direction.REPORT
    named = [participant.within("attributes") for participant in given.each("participants")]
    account = next((found for one in named if (found := one.ref(*_CUSTOMER_NUMBERS)) is not None), None)
    ours = next((leg.session.ref("ani" if outbound else "dnis") for leg in customers), None)
    return Call(
        vendor=VENDOR,
        reference=conversation,
        direction=direction,
        points=customer_points(account, _number(customers, outbound=outbound), conversation, options),
        common={
            "conversation_ref": f"genesys/{conversation}",
            "message_ref": conversation,
            "case_refs": case_refs(*named),
            "attributes": attributes(
                *(one.content for one in named),
                {
                    snake(name): given.value(name)
                    for name in ("divisionIds", "externalTag", "mediaStatsMinConversationMos")
                },
                external_contact=next((leg.participant.value("externalContactId") for leg in customers), None),
                media=sorted(set(media)),
                our_number=dialled(ours),
            ),
        },
    )


def _number(customers: list[Leg], *, outbound: bool) -> str | None:
    """Who called, or whom we called; who asked to be called back, at the number given for it."""
    names = ("dnis", "sessionDnis", "addressTo") if outbound else ("ani", "addressFrom")
    for leg in sorted(customers, key=lambda leg: leg.is_callback):
        number = leg.session.ref(*names)
        if number is not None and not leg.is_callback:
            return dialled(number)
        if leg.callback_numbers:
            return dialled(leg.callback_numbers[0])
    return None


def is_genesys(head: bytes) -> bool:
    """Whether a file begins with conversations that have participants."""
    sample = json_sample(head)[:1]
    found = [one for given in sample for one in (_conversations(given)[:1] or [given])]
    return any(isinstance(one, dict) and {"conversationId", "conversationStart"} <= one.keys() for one in found)


FORMAT = Format(
    name="genesys",
    channel="phone",
    title="Genesys Cloud conversation detail records, JSON",
    example="""\
{"conversationId": "32d20000-0000-4000-8000-000000000001", "conversationStart": "2026-03-02T09:14:00.090Z",
 "conversationEnd": "2026-03-02T09:18:17.974Z", "originatingDirection": "inbound", "participants": [
  {"participantId": "p-1", "purpose": "customer", "sessions": [{"sessionId": "s-1", "mediaType": "voice",
   "direction": "inbound", "ani": "tel:+46700000001", "dnis": "tel:+4685550100"}]}]}
""",
    recognises=is_genesys,
    payloads=genesys_payloads,
    events=genesys_events,
)
