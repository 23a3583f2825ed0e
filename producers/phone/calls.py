"""Call records as a telephone system or a service desk exports them: a row is a call."""

import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

from producers.format import Format, Options
from producers.phone.call import Call, customer_points, dialled, is_ours, later
from producers.reading import Fields, attributes, case_refs, source
from producers.tables import Columns, Row, header_of, moment, seconds, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import AnsweredBy, Author, Direction, Event

VENDOR = "calls"

CALL_COLUMNS = Columns(
    reference="call id, call sid, call reference, unique id, linked id, record id, history id",
    operation="activity, call type, type, event type",
    direction="call direction, inbound outbound, in out",
    start="start date, start time, time start, started at, call start, call date, call time, date time, timestamp,"
    " time, date",
    answer="answer time, time answered, answered at, answer date, connected at",
    end="end date, end time, time end, ended at, call end, hangup time",
    customer="customer id, customer number, customer ref, account, account number, client id, member id",
    number="phone, phone number, customer phone, telephone, msisdn",
    caller="from, src, source number, caller number, caller id, ani, calling number, calling party, from no, cnum",
    called="to, dst, destination, dnis, dialed number, dialled number, called number, called party, to no, dial no",
    caller_type="from type, source type",
    called_type="to type, destination type",
    agent="agent id, agent name, operator, user, handled by, employee",
    topic="service type, reason, subject, category, call reason, wrap up code",
    product="product name",
    queue="queue name, skill, group, department",
    ivr="ivr path, ivr choice, ivr option, menu, menu choice, menu option, dtmf, digits",
    wait="wait s, wait time, waiting time, queue time, time in queue, speed of answer, answer speed, ringing,"
    " ring time",
    talk="talk s, talk time, talk duration, talking, billsec, conversation time, duration, call duration",
    whole="duration, call duration, total duration, total time",
    transferred="transferred to, transfer to, transfer target, transfer",
    callback="callback at, callback time, callback due, call back at, callback",
    voicemail="voice mail, voicemail left, message left",
    case="case id, case number, service id, ticket, ticket id, ticket number, incident id, sr number",
    order="order id, order number, order ref",
    invoice="invoice id, invoice number, invoice ref",
    disposition="outcome, result, status, call status, answered, reason terminated",
)

_NOWHERE = frozenset({None, "no", "No", "NO", "false", "0", "n", "-"})
_DIRECTIONS = {
    "inbound": Direction.INBOUND,
    "callback": Direction.INBOUND,
    "outbound": Direction.OUTBOUND,
    "wrap-up": Direction.OUTBOUND,
    "internal": Direction.REPORT,
}


def call_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one call record: begun, the menu, queued, answered and completed, or how it ended otherwise.

    A row about work on the case is `call.wrapped_up`, one about a wish for a call `callback.requested`; a row about
    an e-mail is refused by name. The reference is the record's own, or made of what the row says, so that the same
    row is always the same call.
    """
    row = CALL_COLUMNS.read(content, options)
    fields = row.fields
    start = moment(fields, "start", options)
    if start is None:
        raise InvalidEvent("start: missing")
    end = moment(fields, "end", options)
    if end is not None and end < start:
        raise InvalidEvent("end: before start")
    what = operation_of(fields, options)
    call = _record_call(row, what, start, options)
    if what == "wrap-up":
        times = attributes(start=start.isoformat(), end=None if end is None else end.isoformat())
        yield call.event("call.wrapped_up", end or start, options, author=Author.HUMAN, more=times)
    elif what == "internal":
        yield call.event("unknown", start, options, more={"event": "internal"})
    elif what == "callback":
        due = _moment_or_none(fields, "callback", options)
        yield call.event("callback.requested", start, options, author=Author.CUSTOMER, promised_at=due)
    else:
        yield from _conversation(call, fields, start, end, options)


def _conversation(
    call: Call, fields: Fields, start: datetime, end: datetime | None, options: Options
) -> Iterator[Event]:
    inbound = call.direction is Direction.INBOUND
    wait_s, talk_s = seconds(fields, "wait"), seconds(fields, "talk")
    answer, whole = moment(fields, "answer", options), seconds(fields, "whole")
    if whole is not None:
        end = later(start, whole) if end is None else end
        if wait_s is None and talk_s is not None:
            wait_s = max(0, whole - talk_s)
    if answer is not None:
        if answer < start:
            raise InvalidEvent("answer: before start")
        wait_s = int((answer - start).total_seconds()) if wait_s is None else wait_s
    elif "answer" in fields.content and talk_s is None:
        talk_s = 0
    outcome = _outcome(fields, start, end, wait_s, talk_s, inbound=inbound)
    answered_at = answer or later(start, wait_s)
    if talk_s is None and end is not None:
        talk_s = max(0, int((end - answered_at).total_seconds()))
    ended_at = max(end or later(answered_at, talk_s), answered_at)

    yield call.event("call.initiated", start, options, author=Author.CUSTOMER if inbound else None)
    if inbound and fields.has("ivr"):
        yield call.event("ivr.selected", start, options, author=Author.CUSTOMER)
    if inbound and fields.has("queue"):
        yield call.event("call.queued", start, options)
    if outcome == "call.answered" or (outcome == "voicemail.left" and not inbound):
        machine = outcome != "call.answered"
        said = {"answered_by": AnsweredBy.MACHINE, "machine": True} if machine else {"author": _author(fields)}
        yield call.event("call.answered", answered_at, options, wait_s=wait_s, **said)
        if fields.has("transferred") and fields.text("transferred") not in _NOWHERE:
            passed = attributes(transferred_to=fields.value("transferred"))
            yield call.event("call.transferred", ended_at, options, more=passed)
        yield call.event("call.completed", ended_at, options, wait_s=wait_s, talk_s=talk_s)
    else:
        said_by = Author.CUSTOMER if outcome == "voicemail.left" else None
        yield call.event(outcome, ended_at, options, wait_s=wait_s, author=said_by)
    if inbound and fields.text("callback") not in _NOWHERE:
        due = _moment_or_none(fields, "callback", options)
        asked: dict[str, Any] = {"author": Author.CUSTOMER, "promised_at": due}
        # The wish outlives the call that it was made on.
        yield call.event("callback.requested", later(ended_at, 1), options, **asked)


def _moment_or_none(fields: Fields, name: str, options: Options) -> datetime | None:
    """A time, or None for a mere yes. Raises InvalidEvent for anything else."""
    if (fields.text(name) or "").lower() in {"yes", "y", "true", "1", "x", ""}:
        return None
    return moment(fields, name, options)


def _record_call(row: Row, what: str, start: datetime, options: Options) -> Call:
    fields = row.fields
    inbound = what in {"inbound", "callback"}
    number = fields.ref("number") or dialled(fields.ref("caller" if inbound else "called"))
    reference = fields.ref("reference") or _derived_reference(fields, start)
    cases = case_refs(fields)
    return Call(
        vendor=VENDOR,
        reference=reference,
        system=source(VENDOR, options),
        direction=_DIRECTIONS[what],
        points=customer_points(fields.ref("customer"), None if what == "internal" else number, reference, options),
        common={
            # Work on a case belongs to the case's conversation, and is none of its own.
            "conversation_ref": None if what == "wrap-up" and cases else f"calls/{options.account}/{reference}",
            "message_ref": reference,
            "case_refs": cases,
            "topic": fields.text("topic"),
            "agent": fields.ref("agent"),
            "queue": fields.text("queue"),
            "ivr_path": fields.text("ivr"),
            "disposition": fields.text("disposition"),
            "attributes": attributes(
                row.rest, {name: fields.value(name) for name in ("product", "caller_type", "called_type")}
            ),
        },
    )


def _derived_reference(fields: Fields, start: datetime) -> str:
    said = [start.isoformat()]
    said += [fields.text(name) or "" for name in ("operation", "direction", "case", "customer", "number", "agent")]
    said += [fields.text(name) or "" for name in ("caller", "called")]
    return "row-" + sha256("\x1f".join(said).encode()).hexdigest()[:32]


def operation_of(fields: Fields, options: Options) -> str:
    """inbound, outbound, internal, callback or wrap-up.

    By what the record calls it, by which of the two lines is an outside line, or by which of the numbers is ours.
    """
    said = f"{fields.text('operation') or ''} {fields.text('direction') or ''}"
    words = set(re.findall(r"[a-z]+", said.lower()))
    if words & {"email", "emails", "mail", "mails"}:
        raise InvalidEvent("operation: not a call; publish it as e-mail")
    if words & {"chat", "sms", "letter", "fax"}:
        raise InvalidEvent("operation: not a call; publish it on its own channel")
    if words & {"wrap", "wrapup", "acw"} or {"handle", "case"} <= words or {"after", "work"} <= words:
        return "wrap-up"
    if words & {"internal", "intern"}:
        return "internal"
    inbound = bool(words & {"in", "inbound", "incoming", "received", "missed"})
    outbound = bool(words & {"out", "outbound", "outgoing", "dialed", "dialled", "placed", "made"})
    if (words & {"callback"} or {"call", "back"} <= words) and words & {"request", "requested", "wanted", "wish"}:
        return "callback"
    if not inbound and not outbound:
        outside = [_is_outside(fields.text(name)) for name in ("caller_type", "called_type")]
        if outside == [False, False]:
            return "internal"
        inbound, outbound = outside == [True, False], outside == [False, True]
    if not inbound and not outbound and options.our_numbers:
        outbound = is_ours(dialled(fields.ref("caller")), options)
        inbound = is_ours(dialled(fields.ref("called")), options)
    if inbound == outbound:
        raise InvalidEvent("operation: neither inbound, outbound nor wrap-up; name its column, or our own numbers")
    return "inbound" if inbound else "outbound"


def _is_outside(line: str | None) -> bool | None:
    """Whether a line leads outside, as 3CX's from-type and to-type say; None when they say nothing."""
    words = set(re.findall(r"[a-z]+", (line or "").lower()))
    if not words:
        return None
    return bool(words & {"line", "external", "externalline", "trunk", "provider", "bridge", "outboundrule"})


_OUTCOMES = {
    "call.answered": "answered answer completed handled connected serviced yes true",
    "call.abandoned": "abandoned abandon missed hungup lost",
    "call.no_answer": "noanswer unanswered notanswered noresponse canceled cancelled no false",
    "call.busy": "busy",
    "call.failed": "failed failure error congestion invalidnumber unreachable",
    "voicemail.left": "voicemail voicemailleft leftvoicemail",
}
_OUTCOME_OF = {word: outcome for outcome, words in _OUTCOMES.items() for word in words.split()}


def _outcome(
    fields: Fields, start: datetime, end: datetime | None, wait_s: int | None, talk_s: int | None, *, inbound: bool
) -> str:
    """How the call went, as the disposition says, or else as waiting and talking tell. Nothing said: answered."""
    if fields.has("voicemail") and fields.text("voicemail") not in _NOWHERE:
        return "voicemail.left"
    words = re.findall(r"[a-z]+", (fields.text("disposition") or fields.text("operation") or "").lower())
    said = "".join(word for word in words if word != "call")
    known = _OUTCOME_OF.get(said)
    if known is not None:
        return "call.abandoned" if inbound and said in {"canceled", "cancelled"} else known
    unanswered = "call.abandoned" if inbound else "call.no_answer"
    if talk_s is not None:
        return "call.answered" if talk_s else unanswered
    if wait_s is None:
        return "call.answered"
    if end is None:
        raise InvalidEvent("talk: neither talk, end nor disposition says whether the call was answered")
    return "call.answered" if (end - start).total_seconds() > wait_s else unanswered


def _author(fields: Fields) -> Author | None:
    return Author.HUMAN if fields.has("agent") else None


def is_call_records(head: bytes) -> bool:
    """Whether a file's header has what tells a call."""
    header = header_of(head)
    if not CALL_COLUMNS.has(header, "start"):
        return False
    way = any(CALL_COLUMNS.has(header, field) for field in ("operation", "direction"))
    numbers = CALL_COLUMNS.has(header, "caller", "called")
    measured = any(CALL_COLUMNS.has(header, field) for field in ("reference", "talk", "wait", "end", "queue"))
    return measured and (way or numbers)


FORMAT = Format(
    name="calls",
    channel="phone",
    title="call records of a telephone system or a service desk, CSV",
    example="""\
call_id,direction,started_at,customer_number,phone,queue,wait_s,talk_s,outcome,agent,subject
R-70072,inbound,2026-03-02 09:20:47,C-1254,+46700000254,delivery,3,160,answered,agent-02,delivery
""",
    recognises=is_call_records,
    payloads=table_payloads,
    events=call_events,
)
