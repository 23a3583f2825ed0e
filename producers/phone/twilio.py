"""Twilio Voice: what becomes of a call, told while it happens.

Read are status callbacks (form-encoded, or JSON of the same parameters), callbacks about recordings, conferences,
answering machines, and the requests that follow `<Gather>`, `<Enqueue>` and `<Record>`; and all of them in the
CloudEvents form of Event Streams (`com.twilio.voice.*`), where the parameters lie in `data.request.parameters`.

Fields and values: https://www.twilio.com/docs/voice/api/call-resource#statuscallback,
https://www.twilio.com/docs/usage/webhooks/voice-webhooks, https://www.twilio.com/docs/events/event-types,
twilio/twilio-oai `spec/yaml/twilio_api_v2010.yaml` (enums of status and direction).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from producers.format import Format, Options
from producers.phone.call import Call, customer_points, dialled, is_ours, later
from producers.phone.callbacks import callback_payloads, callback_sample
from producers.reading import Fields, attributes, snake, timeless_id
from schemas.errors import InvalidEvent
from schemas.models import AnsweredBy, Author, Direction, Event

VENDOR = "twilio"

_VOICE = "com.twilio.voice."
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
_DIRECTIONS = {
    "inbound": Direction.INBOUND,
    "trunking-originating": Direction.INBOUND,
    "outbound-api": Direction.OUTBOUND,
    "outbound-dial": Direction.OUTBOUND,
    "outbound": Direction.OUTBOUND,
    "trunking-terminating": Direction.OUTBOUND,
}
_ATTRIBUTES = (
    *("AnsweredBy", "CallerName", "ForwardedFrom", "ParentCallSid", "SequenceNumber", "SipResponseCode", "StirVerstat"),
    *("RecordingSid", "RecordingUrl", "RecordingDuration", "RecordingStatus", "RecordingSource", "ErrorCode"),
    *("ConferenceSid", "FriendlyName", "StatusCallbackEvent", "QueueSid", "QueueResult", "QueuePosition", "Digits"),
    *("MachineDetectionDuration", "DialCallStatus", "DialCallSid", "DialCallDuration", "FinishedOnKey"),
)
_TELLS_APART = (
    *("StatusCallbackEvent", "SequenceNumber", "QueueSid", "QueueResult"),
    *("Digits", "SpeechResult", "DialCallSid", "DialCallStatus", "AnsweredBy"),
)
_TELLING = frozenset({"CallStatus", "RecordingSid", "AnsweredBy", "StatusCallbackEvent", "QueueSid"})
_OTHER = "touchlog_event"
"""Where `_parameters` puts the type of a CloudEvent that tells no status."""


def twilio_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one callback.

    An inbound call begins with its first status (SequenceNumber 0), whatever it is: a number's own callback tells
    of the end alone. Callbacks may come in any order; each is complete in itself. What Twilio has words for and
    the contract has not is `unknown`.
    """
    given = _parameters(Fields.of(content))
    call, agent_leg = _twilio_call(given, options)
    if given.has("RecordingStatus") or (given.has("RecordingSid") and not given.has("SequenceNumber", "CallDuration")):
        yield _recording(given, call, options)
    elif given.has("StatusCallbackEvent") and given.has("ConferenceSid"):
        held = given.text("StatusCallbackEvent") == "participant-hold"
        yield _told(given, call, "call.held" if held else "unknown", options)
    elif given.has("QueueResult", "QueueSid"):
        yield _queue(given, call, options)
    elif given.has("Digits", "SpeechResult"):
        said = {"ivr_path": given.ref("Digits"), "summary": given.text("SpeechResult"), "author": Author.CUSTOMER}
        yield _told(given, call, "ivr.selected", options, **said)
    elif not given.has("CallStatus") or given.has("DialCallStatus") or given.has(_OTHER):
        yield _told(given, call, "unknown", options)
    else:
        yield from _status(given, call, options, agent_leg=agent_leg)


def _parameters(given: Fields) -> Fields:
    """The callback's parameters; in the CloudEvents form they lie inside, with id and time beside them."""
    kind = given.text("type") or ""
    if not kind.startswith("com.twilio."):
        return given
    if not kind.startswith(_VOICE):
        raise InvalidEvent("type: not of Twilio Voice; publish it in its own format")
    data = given.within("data")
    inside = data.within("request").within("parameters")
    about = data.value("sid", "call_sid", "callSid")
    beside = {
        "CallSid": given.value("id") if about is None else about,
        "Timestamp": given.value("time") if data.value("timestamp") is None else data.value("timestamp"),
        "EventSid": data.value("eventSid"),
        "From": data.value("from"),
        "To": data.value("to"),
    }
    if ".status-callback.call." not in kind and not inside.has("RecordingStatus", "ConferenceSid", "Digits"):
        beside[_OTHER] = kind.removeprefix(_VOICE)
    return replace(inside, content={**beside, **{k: v for k, v in inside.content.items() if v is not None}})


def _status(given: Fields, call: Call, options: Options, *, agent_leg: bool) -> Iterator[Event]:
    status = given.required("CallStatus").lower()
    at = given.required_time("Timestamp", options=options)
    ended = status not in {*_STARTING, "ringing", "in-progress"}
    if status not in _STATUS or (agent_leg and status not in _AGENT_LEG):
        yield call.event("unknown", at, options, discriminator=status, disposition=status)
        return
    if agent_leg:
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
    event_type = "call.abandoned" if inbound and status == "canceled" else _STATUS[status]
    yield call.event(event_type, at, options, talk_s=talk_s, disposition=status if ended else None)


def _recording(given: Fields, call: Call, options: Options) -> Event:
    """`<Record>` that is completed is a message on the machine; every other recording is of a conversation."""
    recording = given.ref("RecordingSid")
    length = given.whole("RecordingDuration")
    left = given.text("RecordingSource") == "RecordVerb" or not given.has("RecordingStatus")
    done = (given.text("RecordingStatus") or "completed") == "completed" and length != 0
    if not (left and done and recording) or call.direction is Direction.OUTBOUND:
        return _told(given, call, "unknown", options, discriminator=f"{recording} {given.text('RecordingStatus')}")
    # Told by the request after <Record>, which knows the caller, and by the recording's own callback, which does not.
    once = timeless_id(recording, "voicemail.left", ())
    own = {"event_id": once, "direction": Direction.INBOUND, "author": Author.CUSTOMER, "talk_s": length}
    if not given.has("Timestamp", "RecordingStartTime"):
        return call.event("voicemail.left", options.observed_at, options, more={"time_from": "observed_at"}, **own)
    return _told(given, call, "voicemail.left", options, **own)


def _queue(given: Fields, call: Call, options: Options) -> Event:
    result = given.text("QueueResult")
    event_type = {None: "call.queued", "hangup": "call.abandoned"}.get(result, "unknown")
    return _told(given, call, event_type, options, wait_s=given.whole("QueueTime"), disposition=result)


def _told(given: Fields, call: Call, event_type: str, options: Options, **own: Any) -> Event:
    """One event that a callback without a status tells; it need not say when."""
    at = given.time("Timestamp", "RecordingStartTime", options=options)
    if at is not None and not given.has("Timestamp"):
        at = later(at, given.whole("RecordingDuration"))
    tells = [given.text(name) or "" for name in (_OTHER, *_TELLS_APART)]
    own.setdefault("discriminator", " ".join(filter(None, tells)) or None)
    return call.event(event_type, at, options, more=attributes(event=given.value(_OTHER)), **own)


def _twilio_call(given: Fields, options: Options) -> tuple[Call, bool]:
    """The call, and whether it is the leg to a colleague of a call that a customer made."""
    call_id = given.required("CallSid", "ConferenceSid")
    said = (given.text("Direction") or "").lower()
    if said not in _DIRECTIONS and (said or given.has("CallStatus")):
        raise InvalidEvent("Direction: neither inbound nor outbound")
    direction = _DIRECTIONS.get(said, Direction.REPORT)
    caller, called = _number(given, "From", "Caller"), _number(given, "To", "Called")
    agent, agent_leg = None, False
    if direction is Direction.INBOUND and caller.startswith("client:"):
        direction, agent = Direction.OUTBOUND, caller.removeprefix("client:")
    elif direction is Direction.OUTBOUND and given.has("ParentCallSid") and is_ours(called, options):
        direction, agent_leg, agent = Direction.INBOUND, True, called.removeprefix("client:")
    customer, our_side = (called, caller) if direction is Direction.OUTBOUND else (caller, called)
    machine = _answered_by(given)
    named = attributes(((snake(name), given.value(name)) for name in _ATTRIBUTES), our_number=our_side)
    call = Call(
        vendor=VENDOR,
        reference=call_id,
        direction=direction,
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
    return dialled(given.ref(*names)) or ""


def _answered_by(given: Fields) -> AnsweredBy | None:
    said = (given.text("AnsweredBy") or "").lower()
    if said.startswith("machine") or said == "fax":
        return AnsweredBy.MACHINE
    return AnsweredBy.HUMAN if said == "human" else None


def is_twilio(head: bytes) -> bool:
    """Whether a file begins with a callback of Twilio Voice."""
    first = callback_sample(head)
    if str(first.get("type")).startswith(_VOICE):
        return True
    # TaskRouter's callbacks name their workspace, and no call beside it.
    return bool({"CallSid", "ConferenceSid"} & set(first) and _TELLING & set(first)) and "WorkspaceSid" not in first


FORMAT = Format(
    name="twilio",
    channel="phone",
    title="Twilio Voice callbacks, form-encoded or JSON, one a line",
    example="""\
CallSid=CA00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&From=%2B46700000001\
&To=%2B46855501000&Direction=inbound&CallStatus=completed&CallDuration=184\
&Timestamp=Mon%2C%2002%20Mar%202026%2009%3A20%3A11%20%2B0000&SequenceNumber=3
""",
    recognises=is_twilio,
    payloads=callback_payloads,
    events=twilio_events,
)
