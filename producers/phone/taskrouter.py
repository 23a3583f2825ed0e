"""Twilio TaskRouter: a call waits in a queue, is offered to a colleague, taken, passed on and wrapped up.

Event callbacks (form-encoded, or JSON of the same parameters) and `com.twilio.taskrouter.*` of Event Streams, whose
`data.payload` has the same fields in snake case. The customer stands in the task's attributes: `from` (`to` when we
call), `call_sid`, which joins the call that Twilio Voice tells of, and what else our own workflow put there.

Event types and fields: https://www.twilio.com/docs/taskrouter/api/event/reference,
https://www.twilio.com/docs/events/event-types (TaskRouter.WDSEvent).
"""

import re
from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.phone.call import Call, customer_points, dialled
from producers.phone.callbacks import callback_payloads, callback_sample
from producers.reading import Fields, attributes, case_refs, object_in, point, snake
from schemas.errors import InvalidEvent
from schemas.models import Author, Direction, Event, Kind

VENDOR = "taskrouter"

_STREAM = "com.twilio.taskrouter."
_KINDS = frozenset({"task", "reservation", "task-queue", "workflow", "worker", "activity", "workspace", "transfer"})

_TYPES = {
    "task-queue.entered": "call.queued",
    "reservation.created": "call.offered",
    "reservation.accepted": "call.answered",
    "reservation.completed": "call.wrapped_up",
    "task.canceled": "call.abandoned",
    "task.transfer-completed": "call.transferred",
    "task.wrapup": "call.completed",
    "task.completed": "conversation.resolved",
}
# A colleague makes the call: it is taken before the customer's telephone rings, and nobody waits.
_WHEN_WE_CALL = {
    **_TYPES,
    "task-queue.entered": "unknown",
    "reservation.created": "unknown",
    "reservation.accepted": "conversation.assigned",
    "task.canceled": "unknown",
}
# A wish for a call, or a message on the machine, that waits in the queue like a call.
_LEFT_BEHIND = {
    "reservation.accepted": "conversation.assigned",
    "reservation.completed": "call.wrapped_up",
    "task.transfer-completed": "conversation.transferred",
    "task.completed": "conversation.resolved",
}
_BEGINS = {"callback": "callback.requested", "voicemail": "voicemail.left"}
_AUTHORS = {
    "call.answered": Author.HUMAN,
    "call.wrapped_up": Author.HUMAN,
    **dict.fromkeys(_BEGINS.values(), Author.CUSTOMER),
}
_OURS = frozenset({"call.wrapped_up", "conversation.assigned", "conversation.resolved"})
_HUNG_UP = re.compile(r"hang|hung|abandon|disconnect|caller left|customer left", re.IGNORECASE)

_ATTRIBUTES = (
    *("EventDescription", "WorkspaceSid", "WorkspaceName", "WorkflowSid", "WorkflowName", "TaskQueueSid", "TaskSid"),
    *("TaskPriority", "TaskAge", "TaskAssignmentStatus", "TaskChannelUniqueName", "ReservationSid", "Reason"),
    *("TaskCompletedReason", "TaskCanceledReason", "ReservationReasonCode", "WorkerName", "WorkerActivityName"),
    *("WorkerPreviousActivityName", "TransferSid", "TransferMode", "TransferTo", "TransferStatus"),
    *("TransferFailedReason", "TransferInitiatingReservationSid", "TaskQueueTargetExpression", "WorkflowFilterName"),
)
_READ = frozenset(
    {"from", "to", "caller", "called", "call_sid", "direction", "customer_id", "customer_ref", "account_number"}
    | {"conversations", "conference", "customers", "callBackData", "taskType", "name"}
)


def taskrouter_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one callback. What says nothing of a customer (a worker's activity, a workflow) is `unknown`.

    Raises InvalidEvent for a task of another channel: chats and mails are told by their own systems.
    """
    given = _parameters(Fields.of(content))
    kind = given.required("EventType").lower()
    about = object_in(given, "TaskAttributes")
    channel = (given.text("TaskChannelUniqueName") or "voice").lower()
    waiting = next((name for name in _BEGINS if name in f"{about.text('taskType')} {channel}".lower()), None)
    if channel not in {"voice", "default"} and waiting is None and not about.has("call_sid"):
        raise InvalidEvent("TaskChannelUniqueName: not voice; publish it on its own channel")
    outbound = (about.text("direction") or "").lower().startswith("outbound")
    call = _call(given, about, options, outbound=outbound)
    if waiting is not None:
        types = {**_LEFT_BEHIND, "task.created": _BEGINS[waiting]}
    else:
        types = _WHEN_WE_CALL if outbound else _TYPES
    event_type = types.get(kind, "unknown")
    reason = given.text("TaskCanceledReason", "Reason", "TaskCompletedReason")
    if event_type == "call.abandoned" and not _HUNG_UP.search(reason or "hangup"):
        event_type = "unknown"
    at = given.required_time("TimestampMs", "Timestamp", options=options)
    ours: dict[str, Any] = {"direction": Direction.OUTBOUND} if event_type in _OURS else {}
    yield call.event(
        event_type,
        at,
        options,
        discriminator=" ".join(filter(None, [kind, given.ref("ReservationSid"), given.ref("TaskSid", "ResourceSid")])),
        author=_AUTHORS.get(event_type),
        **ours,
        wait_s=_waited(given, at, options) if event_type in {"call.answered", "call.abandoned"} else None,
        disposition=about.text("conversations.outcome") or reason,
    )


def _parameters(given: Fields) -> Fields:
    """The parameters by the names of the callback; in Event Streams they are in snake case inside."""
    if not (given.text("type") or "").startswith("com.twilio."):
        return given
    if not (given.text("type") or "").startswith(_STREAM):
        raise InvalidEvent("type: not of TaskRouter; publish it in its own format")
    data = given.within("data")
    inside = data.within("payload") if data.has("payload") else data
    named = {_camel(name): value for name, value in inside.content.items() if isinstance(name, str)}
    named["EventType"] = inside.value("eventtype", "event_type") or (given.text("type") or "").removeprefix(_STREAM)
    if not inside.has("timestamp", "timestamp_ms"):
        named["Timestamp"] = data.value("timestamp") or given.value("time")
    return Fields(named, inside.path)


def _call(given: Fields, about: Fields, options: Options, *, outbound: bool) -> Call:
    task = given.ref("TaskSid")
    reference = task or given.ref("ResourceSid", "WorkerSid", "WorkflowSid", "TaskQueueSid", "WorkspaceSid")
    if reference is None:
        raise InvalidEvent("TaskSid: missing")
    call_sid = about.ref("conference.participants.customer", "call_sid") if outbound else about.ref("call_sid")
    number = dialled(about.ref(*(("to", "called") if outbound else ("callBackData.numberToCall", "from", "caller"))))
    account = about.ref("customer_id", "customer_ref", "account_number", "customers.external_id")
    points = customer_points(account, number, call_sid or reference, options)
    if task is None:
        points = (point(Kind.ANONYMOUS, f"{reference}", options),)
    conversation = f"twilio/{call_sid}" if call_sid else f"taskrouter/{task}"
    rest = {name: value for name, value in about.content.items() if name not in _READ}
    return Call(
        vendor=VENDOR,
        reference=reference,
        direction=Direction.REPORT if task is None else Direction.OUTBOUND if outbound else Direction.INBOUND,
        points=points,
        common={
            "conversation_ref": None if task is None else conversation,
            "message_ref": call_sid or task,
            "source_event_id": given.ref("Sid"),
            "case_refs": case_refs(about),
            "queue": given.text("TaskQueueName"),
            "agent": given.ref("WorkerSid"),
            "topic": about.text("conversations.topic", "reason", "topic"),
            "attributes": attributes(
                {f"task_{name}": value for name, value in rest.items()},
                {snake(name): given.value(name) for name in _ATTRIBUTES},
                event=given.value("EventType"),
                our_number=about.value("called", "to") if not outbound else about.value("from"),
            ),
        },
    )


def _waited(given: Fields, at: Any, options: Options) -> int | None:
    """Seconds in the queue; of a task that was passed on, in the queue that it was passed to."""
    entered = given.time("TaskQueueEnteredDate", options=options)
    if entered is not None and entered <= at:
        return int((at - entered).total_seconds())
    age = given.whole("TaskAge")
    return age if age is not None and age >= 0 else None


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def is_taskrouter(head: bytes) -> bool:
    """Whether a file begins with an event of TaskRouter."""
    first = callback_sample(head)
    kind = first.get("EventType")
    told = isinstance(kind, str) and kind.partition(".")[0] in _KINDS and "WorkspaceSid" in first
    return told or str(first.get("type")).startswith(_STREAM)


FORMAT = Format(
    name="taskrouter",
    channel="phone",
    title="Twilio TaskRouter events, form-encoded or JSON, one a line",
    example="""\
EventType=task-queue.entered&WorkspaceSid=WS00000000000000000000000000000001&TimestampMs=1772442850123\
&TaskSid=WT00000000000000000000000000000001&TaskChannelUniqueName=voice&TaskQueueName=delivery&TaskAge=2\
&TaskAttributes=%7B%22call_sid%22%3A%22CA00000000000000000000000000000001%22%2C%22from%22%3A%22%2B46700000001%22%7D
""",
    recognises=is_taskrouter,
    payloads=callback_payloads,
    events=taskrouter_events,
)
