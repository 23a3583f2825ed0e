"""Phone systems and what they tell of one call, one after the other and all together."""

import io
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from producers.format import Options
from producers.formats import find_format
from producers.phone.asterisk import asterisk_events
from producers.phone.call import customer_points, dialled
from producers.phone.calls import call_events
from producers.phone.genesys import genesys_events
from producers.phone.taskrouter import taskrouter_events
from producers.phone.twilio import twilio_events
from schemas.errors import InvalidEvent
from schemas.models import Event

OPTIONS = Options(observed_at=datetime(2026, 3, 4, tzinfo=UTC), account="acme", region="SE")
TWILIO, TASKROUTER, GENESYS, ASTERISK = (
    find_format("phone", name) for name in ("twilio", "taskrouter", "genesys", "asterisk")
)


def callback(**parameters: str) -> list[Event]:
    given = {"CallSid": "CA1", "From": "+46700000001", "To": "+4685550100", "Direction": "inbound"}
    return list(twilio_events(given | parameters, OPTIONS))


def routed(kind: str, *, attributes: dict | None = None, **parameters: object) -> Event:
    task = {"call_sid": "CA1", "from": "+46700000001", "direction": "inbound"} if attributes is None else attributes
    given = {"EventType": kind, "WorkspaceSid": "WS1", "TaskSid": "WT1", "TimestampMs": "1772442850123"}
    [event] = taskrouter_events(given | {"TaskAttributes": json.dumps(task)} | parameters, OPTIONS)
    return event


def conversation(*participants: dict, direction: str = "inbound", **fields: object) -> list[Event]:
    given = {
        "conversationId": "c-1",
        "conversationStart": "2026-03-02T09:00:00Z",
        "originatingDirection": direction,
        "participants": list(participants),
    }
    return list(genesys_events(given | fields, OPTIONS))


def leg(purpose: str, *segments: tuple[str, str, str | None], media: str = "voice", **session: object) -> dict:
    """A participant with one session; a segment is its type and the minutes of its beginning and end."""
    made = [
        {"segmentType": kind, "segmentStart": f"2026-03-02T09:{start}Z"}
        | ({} if end is None else {"segmentEnd": f"2026-03-02T09:{end}Z"})
        for kind, start, end in segments
    ]
    about = {"sessionId": f"s-{purpose}-{segments[0][1]}", "mediaType": media, "ani": "tel:+46700000001"}
    return {"purpose": purpose, "userId": f"{purpose}-1", "sessions": [about | {"segments": made} | session]}


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("tel:+46700000001", "+46700000001"),
        ("tel:+46-70-000-00-01;ext=2", "+46-70-000-00-01"),
        ("sip:+46700000001@192.0.2.1:5060;user=phone", "+46700000001"),
        ("sips:%2B46700000001;npdi@192.0.2.1", "+46700000001"),
        ("SIP:anonymous@anonymous.invalid", "anonymous"),
        ("sip:alice46700000001@sip.example.org;transport=tls", "sip:alice46700000001@sip.example.org"),
        ("+46700000001", "+46700000001"),
        ("sip:", None),
        ("", None),
        (None, None),
    ],
)
def test_the_number_in_an_address_is_found(address: str | None, number: str | None) -> None:
    assert dialled(address) == number


def test_a_sip_address_that_is_no_number_is_shown_and_is_nobodys_telephone() -> None:
    [point] = customer_points(None, dialled("sip:alice46700000001@sip.example.org"), "CA1", OPTIONS)
    assert point.key == "anonymous:sip:alice46700000001@sip.example.org"


def test_what_waits_in_a_queue_is_the_call_that_twilio_voice_tells_of() -> None:
    [*_, ringing] = callback(CallStatus="ringing", Timestamp="2026-03-02T09:14:00Z", SequenceNumber="0")
    queued = routed("task-queue.entered", TaskQueueName="delivery")
    assert (queued.type, queued.queue) == ("call.queued", "delivery")
    assert queued.conversation_ref == ringing.conversation_ref
    assert queued.primary.key == ringing.primary.key
    assert queued.message_ref == ringing.message_ref


def test_the_same_event_as_callback_and_through_event_streams_is_one_event() -> None:
    posted = routed("reservation.accepted", ReservationSid="WR1", TaskQueueEnteredDate="1772442840")
    payload = {
        "eventtype": "reservation.accepted",
        "task_sid": "WT1",
        "reservation_sid": "WR1",
        "timestamp": "2026-03-02T09:14:10.123Z",
        "task_queue_entered_date": "2026-03-02T09:14:00.000Z",
        "task_attributes": json.dumps({"call_sid": "CA1", "from": "+46700000001", "direction": "inbound"}),
    }
    streamed = {"type": "com.twilio.taskrouter.reservation.accepted", "id": "NO1", "data": {"payload": payload}}
    [event] = taskrouter_events(streamed, OPTIONS)
    assert event.event_id == posted.event_id
    assert event.wait_s == posted.wait_s == 10


def test_a_new_delivery_of_a_taskrouter_event_is_the_same_event_and_another_reservation_is_another() -> None:
    first, again, other = (
        routed("reservation.created", ReservationSid=reservation, Sid=sid)
        for reservation, sid in (("WR1", "EV1"), ("WR1", "EV2"), ("WR2", "EV3"))
    )
    assert first.event_id == again.event_id != other.event_id


def test_a_colleague_who_calls_out_takes_no_call_and_nobody_waits() -> None:
    task = {"direction": "outbound", "to": "+46700000009", "from": "+4685550100"}
    queued, taken = (routed(kind, attributes=task) for kind in ("task-queue.entered", "reservation.accepted"))
    assert (queued.type, taken.type) == ("unknown", "conversation.assigned")
    assert taken.primary.key == "phone:+46700000009"


@pytest.mark.parametrize(
    ("reason", "event_type"),
    [("hangup", "call.abandoned"), (None, "call.abandoned"), ("Task TTL Exceeded", "unknown")],
)
def test_only_who_hung_up_gave_up(reason: str | None, event_type: str) -> None:
    assert routed("task.canceled", TaskCanceledReason=reason).type == event_type


def test_a_chat_that_waits_in_taskrouter_is_refused_by_name() -> None:
    with pytest.raises(InvalidEvent, match=r"^TaskChannelUniqueName: not voice"):
        routed("task.created", attributes={"channelType": "web"}, TaskChannelUniqueName="chat")


def test_a_message_on_the_machine_is_one_event_whichever_callback_tells_of_it() -> None:
    recording = {"RecordingSid": "RE1", "RecordingDuration": "9"}
    [left] = callback(**recording, CallStatus="in-progress")
    status = {"RecordingStatus": "completed", "RecordingSource": "RecordVerb"}
    [told] = twilio_events({"CallSid": "CA1", **recording, **status}, OPTIONS)
    assert (left.type, told.type) == ("voicemail.left", "voicemail.left")
    assert left.event_id == told.event_id
    [later] = twilio_events(
        {"CallSid": "CA1", **recording}, Options(observed_at=OPTIONS.observed_at + timedelta(days=1))
    )
    assert later.event_id == left.event_id


@pytest.mark.parametrize(
    "parameters",
    [
        {"RecordingStatus": "absent", "RecordingSource": "RecordVerb"},
        {"RecordingStatus": "completed", "RecordingSource": "RecordVerb", "RecordingDuration": "0"},
        {"RecordingStatus": "completed", "RecordingSource": "DialVerb"},
        {"RecordingStatus": "in-progress", "RecordingSource": "RecordVerb"},
    ],
)
def test_any_other_recording_is_no_message(parameters: dict[str, str]) -> None:
    [event] = twilio_events({"CallSid": "CA1", "RecordingSid": "RE1", **parameters}, OPTIONS)
    assert event.type == "unknown"


def test_two_choices_in_the_menu_are_two_events_and_one_told_twice_is_one() -> None:
    [first], [again], [other] = (callback(CallStatus="in-progress", Digits=digits) for digits in ("1", "1", "2"))
    assert first.event_id == again.event_id != other.event_id
    assert (first.type, first.ivr_path, first.attributes["time_from"]) == ("ivr.selected", "1", "observed_at")


@pytest.mark.parametrize("form", [TWILIO, TASKROUTER])
def test_callbacks_may_be_lines_batches_or_one_document(form) -> None:
    example = next(form.payloads(io.BytesIO(form.example.encode()), OPTIONS)).content
    line, array = urlencode(example).encode(), json.dumps([example, example]).encode()
    pretty = json.dumps([example, example], indent=1).encode()
    for data, expected in ((line, 1), (array, 2), (pretty, 2), (b"\xef\xbb\xbf" + array, 2), (array + b"\n" + line, 3)):
        found = list(form.payloads(io.BytesIO(data), OPTIONS))
        assert [payload.content for payload in found] == [example] * expected
        assert form.recognises(data)
    broken = list(form.payloads(io.BytesIO(b'{"CallSid": \n' + line), OPTIONS))
    assert [payload.error is None for payload in broken] == [False, True]


def test_a_call_that_waited_was_taken_and_ended_is_told_by_its_segments() -> None:
    events = conversation(
        leg("customer", ("interact", "00:00", "05:00")),
        leg("acd", ("interact", "01:00", "02:00"), metrics=[{"name": "tAcd", "value": 60000}]),
        leg("agent", ("alert", "01:50", "02:00"), ("interact", "02:00", "05:00"), ("wrapup", "05:00", "05:30")),
        conversationEnd="2026-03-02T09:05:30Z",
    )
    assert types(events) == [
        *("call.initiated", "call.queued", "call.offered", "call.answered", "call.wrapped_up", "call.completed"),
    ]
    answered = next(event for event in events if event.type == "call.answered")
    assert (answered.wait_s, answered.agent, answered.author) == (60, "agent-1", "human")


def test_a_conversation_that_goes_on_tells_the_same_events_again_when_it_has_ended() -> None:
    customer, queue = leg("customer", ("interact", "00:00", None)), leg("acd", ("interact", "01:00", None))
    early = {event.event_id for event in conversation(customer, queue)}
    late = conversation(
        leg("customer", ("interact", "00:00", "02:00")),
        leg("acd", ("interact", "01:00", "02:00"), metrics=[{"name": "tAbandon", "value": 60000}]),
        conversationEnd="2026-03-02T09:02:00Z",
    )
    assert early < {event.event_id for event in late}
    assert types(late)[-1] == "call.abandoned"


def test_who_left_a_message_or_wants_to_be_called_still_waits_when_the_call_is_over() -> None:
    customer = leg("customer", ("interact", "00:00", "02:00"))
    left = conversation(
        customer, leg("voicemail", ("voicemail", "01:00", "02:00")), conversationEnd="2026-03-02T09:02:00Z"
    )
    wished = conversation(
        customer,
        leg("customer", ("interact", "02:00", None), media="callback", callbackNumbers=["+46700000001"]),
        conversationEnd="2026-03-02T09:02:00Z",
    )
    assert types(left) == ["call.initiated", "voicemail.left"]
    assert types(wished) == ["call.initiated", "callback.requested"]


def test_a_call_back_answers_the_wish_and_is_answered_by_the_customer() -> None:
    events = conversation(
        leg("customer", ("interact", "00:00", "30:00"), media="callback", callbackNumbers=["+46700000001"]),
        leg("agent", ("dialing", "20:00", "20:10"), ("interact", "20:10", "25:00"), direction="outbound"),
        conversationEnd="2026-03-02T09:30:00Z",
    )
    attempted = next(event for event in events if event.type == "callback.attempted")
    wish = next(event for event in events if event.type == "callback.requested")
    assert attempted.answers_ref == wish.message_ref
    assert [event.direction for event in events if event.type == "call.answered"] == ["report"]
    assert "call.queued" not in types(events)


@pytest.mark.parametrize(
    ("heard", "codes", "event_type"),
    [
        ("disposition.classification.callable.busy", [], "call.busy"),
        (None, [486], "call.busy"),
        (None, [480], "call.no_answer"),
        (None, [404], "call.failed"),
        ("disposition.classification.uncallable.sit", [], "call.failed"),
        (None, [], "call.no_answer"),
    ],
)
def test_why_nobody_picked_up_is_what_the_dialler_or_the_network_heard(
    heard: str | None, codes: list[int], event_type: str
) -> None:
    customer = leg("customer", ("dialing", "00:00", "00:20"), dnis="tel:+46700000009", dispositionName=heard)
    customer["sessions"][0]["segments"][0]["sipResponseCodes"] = codes
    events = conversation(customer, direction="outbound", conversationEnd="2026-03-02T09:01:00Z")
    assert types(events) == ["call.initiated", event_type]
    assert events[0].primary.key == "phone:+46700000009"


def test_a_conversation_without_a_voice_is_refused_and_one_of_colleagues_is_nobodys() -> None:
    with pytest.raises(InvalidEvent, match=r"^mediaType: neither voice nor callback"):
        conversation(leg("customer", ("interact", "00:00", "01:00"), media="message"))
    [event] = conversation(leg("user", ("interact", "00:00", "01:00")))
    assert (event.type, event.primary.kind) == ("unknown", "anonymous")


def test_a_callback_of_which_no_segment_tells_yet_is_refused() -> None:
    session = {"sessionId": "s-1", "mediaType": "callback", "callbackNumbers": ["+46700000006"]}
    customer = {"participantId": "p-1", "purpose": "customer", "sessions": [session]}
    with pytest.raises(InvalidEvent, match=r"^segments: none that tells what happened"):
        conversation(customer, direction="outbound", conversationEnd="2026-03-02T09:00:10Z")


def test_one_bad_conversation_costs_itself_alone() -> None:
    good = json.loads(GENESYS.example)
    data = json.dumps({"conversations": [good, None, {"conversationId": 1}, good | {"conversationId": "c-2"}]})
    found = list(GENESYS.payloads(io.BytesIO(data.encode()), OPTIONS))
    assert [payload.item for payload in found] == [0, 1, 2, 3]
    outcomes = []
    for payload in found:
        try:
            outcomes.append(len(list(GENESYS.events(payload.content, OPTIONS))))
        except InvalidEvent as error:
            outcomes.append(str(error))
    assert outcomes == [2, "payload: not an object", "conversationStart: missing", 2]


ROW = {"src": "+46700000001", "dst": "200", "dcontext": "from-trunk", "start": "2026-03-02 09:00:00"}


@pytest.mark.parametrize(
    ("columns", "direction"),
    [
        ({}, "inbound"),
        ({"dcontext": "default"}, "inbound"),
        ({"dcontext": "default", "src": "anonymous"}, "inbound"),
        ({"src": "201", "dst": "+46700000001", "dcontext": "default"}, "outbound"),
        ({"dst": "+46700000002", "dcontext": "from-internal"}, "outbound"),
        ({"src": "201", "dst": "202"}, "report"),
    ],
)
def test_who_called_shows_in_the_dial_plan_or_in_which_number_is_an_extension(
    columns: dict[str, str], direction: str
) -> None:
    first = next(asterisk_events(ROW | {"disposition": "ANSWERED", "billsec": "5"} | columns, OPTIONS))
    assert first.direction == direction


def test_both_orders_of_asterisks_columns_tell_the_same_call() -> None:
    cells = ["+46700000001", "200", "from-trunk", "PJSIP/a", "PJSIP/b", "Dial", "x"]
    cells += ["2026-03-02 09:00:00", "2026-03-02 09:00:05", "2026-03-02 09:01:00", "60", "55", "ANSWERED"]
    plain = ["", *cells[:3], "Ada", *cells[3:], "DOCUMENTATION", "1772442840.1", ""]
    custom = ["Ada", *cells, "3", "", "1772442840.1", ""]
    found = []
    for row in (plain, custom):
        data = ",".join(f'"{cell}"' for cell in row).encode() + b"\n"
        assert ASTERISK.recognises(data)
        [payload] = ASTERISK.payloads(io.BytesIO(data), OPTIONS)
        found.append(
            [(event.event_id, event.wait_s, event.talk_s) for event in asterisk_events(payload.content, OPTIONS)]
        )
    assert found[0] == found[1]
    assert found[0][-1][1:] == (5, 55)


def call(**columns: str) -> list[Event]:
    row = {"call id": "1", "start": "2026-03-02T09:00:00Z", "direction": "inbound", "customer": "C-17"}
    return list(call_events(row | columns, OPTIONS))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"menu choice": "2", "talk": "9"}, ["call.initiated", "ivr.selected", "call.answered", "call.completed"]),
        ({"voicemail": "yes", "wait": "9"}, ["call.initiated", "voicemail.left"]),
        ({"transfer": "no", "talk": "9"}, ["call.initiated", "call.answered", "call.completed"]),
        (
            {"transferred to": "billing", "talk": "9"},
            ["call.initiated", "call.answered", "call.transferred", "call.completed"],
        ),
        (
            {"outcome": "missed", "callback at": "2026-03-02T12:00:00Z"},
            ["call.initiated", "call.abandoned", "callback.requested"],
        ),
        ({"direction": "Callback requested"}, ["callback.requested"]),
        ({"direction": "internal"}, ["unknown"]),
        ({"answered at": "", "end": "2026-03-02T09:00:30Z"}, ["call.initiated", "call.abandoned"]),
    ],
)
def test_menu_machine_transfer_and_wish_are_columns_of_a_call_record(
    columns: dict[str, str], expected: list[str]
) -> None:
    assert types(call(**columns)) == expected


def test_an_answer_and_the_whole_length_give_the_wait() -> None:
    _, answered, completed = call(**{"answered at": "2026-03-02T09:00:12Z", "end": "2026-03-02T09:01:12Z"})
    assert (answered.wait_s, completed.talk_s) == (12, 60)
    _, answered, completed = call(billsec="48", duration="60")
    assert (answered.wait_s, completed.talk_s, completed.occurred_at.second) == (12, 48, 0)
