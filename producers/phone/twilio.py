"""Twilio's status callbacks: what becomes of a call, told while it happens."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from producers.format import Format, Options, Payload
from producers.phone.call import Call, customer_points, is_ours, later
from producers.reading import Fields, attributes, json_sample, parse_json
from schemas.errors import InvalidEvent
from schemas.models import AnsweredBy, Author, Direction, Event

VENDOR = "twilio"

_TWILIO_EVENT = "com.twilio.voice."
_STARTING = frozenset({"queued", "initiated"})
_STATUS = {
    "queued": "call.initiated",
    "initiated": "call.initiated",
    "ringing": "call.offered",
    "in-progress": "call.answered",
    "completed": "call.completed",
    "busy": "call.busy",
    "no-answer": "call.no_answer",
    "failed": "call.failed",
    "canceled": "call.no_answer",
}
# To a colleague's line: what becomes of that leg is not what becomes of the customer's call.
_AGENT_LEG = {"ringing": "call.offered", "in-progress": "call.answered"}
_TWILIO_ATTRIBUTES = (
    "AnsweredBy",
    "CallerName",
    "ForwardedFrom",
    "ParentCallSid",
    "RecordingSid",
    "RecordingUrl",
    "SequenceNumber",
    "SipResponseCode",
    "StirVerstat",
)


def twilio_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """One callback a line: its form-encoded body, or a JSON object of the same parameters."""
    for number, line in enumerate(stream, 1):
        raw = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not raw:
            continue
        if raw[:1] == b"{":
            content, error = parse_json(raw)
        else:
            content, error = dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)), None
        yield Payload(raw=raw, line=number, content=content, error=error)


def twilio_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one status callback, as Twilio posts it or in the CloudEvents form of its event streams.

    An inbound call begins with its first callback (SequenceNumber 0), whatever its status: a number's own
    callback tells of the end alone. Callbacks may come in any order; each is complete in itself.
    https://www.twilio.com/docs/voice/api/call-resource#statuscallback
    """
    given = _parameters(Fields.of(content))
    call_id = given.required("CallSid")
    status = given.required("CallStatus").lower()
    at = given.required_time("Timestamp", options=options)
    if status not in _STATUS:
        raise InvalidEvent(f"CallStatus: not one of {', '.join(_STATUS)}")
    call, agent_leg = _twilio_call(given, call_id, options)
    if agent_leg:
        if status in _AGENT_LEG:
            yield call.event(_AGENT_LEG[status], at, options)
        return
    inbound = call.direction is Direction.INBOUND
    sequence = given.whole("SequenceNumber")
    first = sequence == 0 or (sequence is None and status in {*_STARTING, "ringing"})
    talk_s = given.whole("CallDuration") if status == "completed" else None
    began = later(at, -(talk_s or 0))
    if inbound and first:
        yield call.event("call.initiated", began, options, author=Author.CUSTOMER)
        if status == "completed" and talk_s:
            yield call.event("call.answered", began, options)
    if inbound and first and status in _STARTING:
        return
    ended = status not in {*_STARTING, "ringing", "in-progress"}
    event_type = "call.abandoned" if inbound and status == "canceled" else _STATUS[status]
    yield call.event(event_type, at, options, talk_s=talk_s, disposition=status if ended else None)


def _parameters(given: Fields) -> Fields:
    """The callback's parameters; in the CloudEvents form they lie inside, with id and time beside them."""
    if not (given.text("type") or "").startswith(_TWILIO_EVENT):
        return given
    data = given.within("data")
    inside = data.within("request").within("parameters")
    beside = {"CallSid": data.value("sid"), "Timestamp": data.value("timestamp")}
    return replace(inside, content={**beside, **{k: v for k, v in inside.content.items() if v is not None}})


def _twilio_call(given: Fields, call_id: str, options: Options) -> tuple[Call, bool]:
    """The call, and whether it is the leg to a colleague of a call that a customer made."""
    direction = given.required("Direction").lower()
    if direction != "inbound" and not direction.startswith("outbound"):
        raise InvalidEvent("Direction: neither inbound nor outbound")
    caller, called = _number(given, "From", "Caller"), _number(given, "To", "Called")
    inbound, agent, agent_leg = direction == "inbound", None, False
    if inbound and caller.startswith("client:"):
        inbound, agent = False, caller.removeprefix("client:")
    elif not inbound and given.has("ParentCallSid") and is_ours(called, options):
        inbound, agent_leg, agent = True, True, called.removeprefix("client:")
    customer, our_side = (caller, called) if inbound else (called, caller)
    machine = _answered_by(given)
    named = attributes(((_snake(name), given.value(name)) for name in _TWILIO_ATTRIBUTES), our_number=our_side)
    call = Call(
        vendor=VENDOR,
        reference=call_id,
        direction=Direction.INBOUND if inbound else Direction.OUTBOUND,
        points=customer_points(None, customer, call_id, options),
        common={
            "conversation_ref": f"twilio/{given.ref('ParentCallSid') or call_id}",
            "message_ref": call_id,
            "source_event_id": given.ref("EventSid"),
            "answered_by": machine,
            "machine": True if machine is AnsweredBy.MACHINE else None,
            "agent": agent or None,
            "attributes": named,
        },
    )
    return call, agent_leg


def _number(given: Fields, *names: str) -> str:
    """A number or address as text; a plus that was not encoded in the form reads as a blank, and is put back."""
    found = given.value(*names)
    if isinstance(found, str) and found[:1] == " " and found.strip().isdecimal():
        return "+" + found.strip()
    text = given.ref(*names) or ""
    return text.removeprefix("sip:").partition("@")[0] if text.startswith("sip:") else text


def _answered_by(given: Fields) -> AnsweredBy | None:
    said = (given.text("AnsweredBy") or "").lower()
    if said.startswith("machine") or said == "fax":
        return AnsweredBy.MACHINE
    return AnsweredBy.HUMAN if said == "human" else None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def is_twilio(head: bytes) -> bool:
    """Whether a file begins with a status callback."""
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    if line[:1] == b"{":
        sample = json_sample(head)[:1]
        return any(
            {"CallSid", "CallStatus"} <= set(one) or str(one.get("type")).startswith(_TWILIO_EVENT) for one in sample
        )
    return b"CallSid=" in line and b"CallStatus=" in line


FORMAT = Format(
    name="twilio",
    channel="phone",
    title="Twilio Voice status callbacks, form-encoded or JSON, one a line",
    example="""\
CallSid=CA00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&From=%2B46700000001\
&To=%2B46855501000&Direction=inbound&CallStatus=completed&CallDuration=184\
&Timestamp=Mon%2C%2002%20Mar%202026%2009%3A20%3A11%20%2B0000&SequenceNumber=3
""",
    recognises=is_twilio,
    payloads=twilio_payloads,
    events=twilio_events,
)
