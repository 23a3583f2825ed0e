"""What the segments of a Genesys Cloud conversation mean.

who               segment            event
customer          (the conversation) call.initiated, call.completed; verified: caller.verified
customer, called  interact           call.answered (a machine, as the dialler heard); none: busy, no_answer, failed
ivr               ivr                ivr.selected when it passed the call on, ivr.self_served when it settled it
acd               any                call.queued; ended by the caller: call.abandoned
agent             alert              call.offered
agent             interact           call.answered; passed on: call.transferred
agent             hold, parked       call.held
agent             wrapup             call.wrapped_up
agent             callback, dialing  callback.attempted
voicemail         any                voicemail.left
callback session  (the first)        callback.requested
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from producers.format import Options
from producers.phone.call import Call
from producers.phone.genesys_legs import COLLEAGUE, MACHINE, MENU, QUEUE, Leg, Segment, flow_of
from producers.reading import attributes
from schemas.models import AnsweredBy, Author, Direction, Event

_TALKING = ("interact",)
_HOLDING = ("hold", "parked", "park")
_PASSED_ON = frozenset({"transfer", "consulttransfer", "conferencetransfer", "forwardtransfer", "conference"})
_HUNG_UP = frozenset({"peer", "endpoint", "client", "error", "transportfailure", "timeout", "other", "system", ""})
_DIALLING = ("dialing", "contacting")
# Told by another segment, or nothing that anybody would ask for.
_SILENT = frozenset({"system", "delay", "interact", "alert", "dialing", "contacting", "scheduled", "ivr", "callback"})
_BUSY, _NO_ANSWER = frozenset({486, 600}), frozenset({408, 480, 487, 603})


def conversation_events(
    call: Call, legs: list[Leg], start: datetime, end: datetime | None, options: Options
) -> Iterator[Event]:
    """The events of one conversation, session by session; a conversation among colleagues is `unknown`."""
    if call.direction is Direction.REPORT:
        yield call.event("unknown", start, options, more={"event": "internal"})
        return
    voice = [leg for leg in legs if not leg.is_callback]
    if voice:
        author = Author.CUSTOMER if call.direction is Direction.INBOUND else None
        yield call.event("call.initiated", start, options, author=author)
    wished = [leg for leg in legs if leg.is_callback]
    if wished:
        yield from _callback(call, wished, voice, options)
    for leg in voice:
        yield from _leg(call, leg, voice, options, dialled=bool(wished) and leg.first(*_DIALLING) is not None)
    if voice and end is not None:
        back = [leg for leg in voice if leg.first(*_DIALLING) and leg.purpose in COLLEAGUE] if wished else None
        yield from _ending(call, voice, end, options, back=back)


def _leg(call: Call, leg: Leg, legs: list[Leg], options: Options, *, dialled: bool) -> Iterator[Event]:
    if leg.is_customer:
        yield from _customer(call, leg, options)
    elif leg.purpose in QUEUE:
        yield from _queue(call, leg, legs, options)
    elif leg.purpose in MENU:
        yield from _menu(call, leg, legs, options)
    elif leg.purpose in MACHINE:
        yield from _voicemail(call, leg, options)
    elif leg.purpose in COLLEAGUE:
        yield from _colleague(call, leg, legs, options, dialled=dialled)
    for segment in leg.segments:
        known = segment.kind in _SILENT or (leg.purpose in COLLEAGUE and segment.kind in (*_HOLDING, "wrapup"))
        if not known and leg.purpose not in MACHINE:
            kind = f"{leg.purpose}.{segment.kind}"
            yield call.event(
                "unknown", segment.start, options, discriminator=f"{leg.reference} {kind}", more={"event": kind}
            )


def _customer(call: Call, leg: Leg, options: Options) -> Iterator[Event]:
    talking = leg.first(*_TALKING)
    if leg.session.flag("authenticated") and leg.segments:
        yield call.event("caller.verified", leg.segments[0].start, options, discriminator=leg.reference)
    if call.direction is not Direction.OUTBOUND or talking is None:
        return
    heard = (leg.session.text("dispositionName") or "").lower()
    machine = "machine" in heard or "fax" in heard
    yield call.event(
        "call.answered",
        talking.start,
        options,
        discriminator=leg.reference,
        disposition=leg.session.text("dispositionName"),
        answered_by=AnsweredBy.MACHINE if machine else AnsweredBy.HUMAN if "person" in heard else None,
        machine=True if machine else None,
    )


def _queue(call: Call, leg: Leg, legs: list[Leg], options: Options) -> Iterator[Event]:
    if not leg.segments or call.direction is Direction.OUTBOUND:
        return
    first, last = leg.segments[0], leg.segments[-1]
    queue = _queue_name(leg, first)
    yield call.event("call.queued", first.start, options, discriminator=leg.reference, queue=queue)
    if last.end is None or not _gave_up(leg, last, legs):
        return
    waited = leg.metric("tAbandon")
    yield call.event(
        "call.abandoned",
        last.end,
        options,
        discriminator=leg.reference,
        queue=queue,
        wait_s=_seconds(last.end - first.start) if waited is None else int(max(0, min(waited, 1e12)) / 1000),
        disposition=last.disconnected or None,
    )


def _gave_up(leg: Leg, last: Segment, legs: list[Leg]) -> bool:
    """Abandoned, as the queue's metric says or as nobody took the call that ended here."""
    if leg.metric("tAbandon", "nAbandon"):
        return True
    end = last.end or last.start
    took = any(
        segment.start >= leg.segments[0].start
        for other in legs
        if other.purpose in COLLEAGUE | MACHINE
        for segment in other.segments
        if segment.kind in _TALKING or other.purpose in MACHINE
    )
    went_on = any(other.segments and other.segments[0].start >= end for other in legs if other.purpose in QUEUE | MENU)
    return last.disconnected in _HUNG_UP and bool(last.disconnected) and not took and not went_on


def _menu(call: Call, leg: Leg, legs: list[Leg], options: Options) -> Iterator[Event]:
    last = leg.segments[-1] if leg.segments else None
    if last is None or last.end is None:
        return
    flow = leg.session.within("flow")
    passed_on = last.disconnected in _PASSED_ON or (flow.text("exitReason") or "").lower() == "transfer"
    settled = any((one.text("flowOutcomeValue") or "").lower() == "success" for one in flow.each("outcomes"))
    waited = any(other.purpose in QUEUE | COLLEAGUE | MACHINE for other in legs)
    event_type = "ivr.selected" if passed_on else "ivr.self_served" if settled and not waited else "unknown"
    yield call.event(
        event_type,
        last.end,
        options,
        discriminator=leg.reference,
        author=Author.CUSTOMER if event_type == "ivr.selected" else None,
        ivr_path=flow.text("flowName") or leg.participant.text("participantName"),
        topic=flow.text("transferTargetName"),
        more=attributes(flow_of(leg), event=f"{leg.purpose}.{last.kind}"),
    )


def _voicemail(call: Call, leg: Leg, options: Options) -> Iterator[Event]:
    last = leg.segments[-1] if leg.segments else None
    if last is None or last.end is None or call.direction is Direction.OUTBOUND:
        return
    length = _seconds(last.end - leg.segments[0].start)
    yield call.event(
        "voicemail.left", last.end, options, discriminator=leg.reference, author=Author.CUSTOMER, talk_s=length
    )


def _colleague(call: Call, leg: Leg, legs: list[Leg], options: Options, *, dialled: bool) -> Iterator[Event]:
    """What a colleague did; `dialled`: on a call back, which the customer answered."""
    agent = leg.participant.ref("userId", "participantName", "teamId")
    queue = next((name for segment in leg.segments if (name := _queue_name(leg, segment))), None)
    about: dict[str, Any] = {"agent": agent, "queue": queue}
    inbound = call.direction is Direction.INBOUND
    talking = leg.first(*_TALKING)
    ringing = leg.first("alert")
    if ringing is not None:
        missed = attributes(not_responding="true" if leg.metric("tNotResponding", "nNotResponding") else None)
        yield call.event("call.offered", ringing.start, options, discriminator=leg.reference, more=missed, **about)
    if talking is not None and dialled:
        own: dict[str, Any] = {"direction": Direction.REPORT, **about}
        yield call.event("call.answered", talking.start, options, discriminator=leg.reference, **own)
    elif talking is not None and inbound:
        wait = _seconds(talking.start - _waiting_since(legs, talking.start))
        own = {"author": Author.HUMAN, "wait_s": wait, **about}
        yield call.event("call.answered", talking.start, options, discriminator=leg.reference, **own)
    for segment in leg.segments:
        if segment.kind in _HOLDING:
            held = None if segment.end is None else str(_seconds(segment.end - segment.start))
            more = attributes(hold_s=held)
            yield call.event("call.held", segment.start, options, discriminator=leg.reference, more=more, **about)
        elif segment.kind == "wrapup":
            yield _wrapped_up(call, leg, segment, options, about)
        talked = talking is not None and segment.kind in (*_TALKING, *_HOLDING)
        if talked and segment.end is not None and segment.disconnected in _PASSED_ON:
            how = {"disposition": segment.disconnected, **about}
            yield call.event("call.transferred", segment.end, options, discriminator=leg.reference, **how)


def _wrapped_up(call: Call, leg: Leg, segment: Segment, options: Options, about: dict[str, Any]) -> Event:
    code = segment.given.text("wrapUpCode")
    return call.event(
        "call.wrapped_up",
        segment.start,
        options,
        discriminator=leg.reference,
        direction=Direction.OUTBOUND,
        author=Author.HUMAN,
        topic=code,
        disposition=code,
        more=attributes(
            wrap_up_note=segment.given.value("wrapUpNote"),
            wrap_up_tags=segment.given.value("wrapUpTags"),
            wrap_up_s=None if segment.end is None else str(_seconds(segment.end - segment.start)),
        ),
        **about,
    )


def _callback(call: Call, wished: list[Leg], voice: list[Leg], options: Options) -> Iterator[Event]:
    """The wish to be called back, and every time that a colleague dialled for it. A campaign's preview is no wish."""
    begun = [leg for leg in wished if leg.segments]
    if not begun:
        return
    first = min(begun, key=lambda leg: leg.segments[0].start)
    at = first.segments[0].start
    campaign = first.session.ref("outboundCampaignId")
    promised = first.session.time("callbackScheduledTime", options=options)
    if campaign is not None:
        more = attributes(event="callback.preview", campaign=campaign)
        yield call.event("unknown", at, options, discriminator="callback", more=more)
    else:
        yield call.event(
            "callback.requested",
            at,
            options,
            direction=Direction.INBOUND,
            author=Author.CUSTOMER,
            promised_at=promised,
            queue=next((name for leg in begun if (name := _queue_name(leg, leg.segments[0]))), None),
        )
    for leg in wished:
        if leg.purpose in COLLEAGUE:
            for segment in leg.segments:
                if segment.kind == "wrapup":
                    yield _wrapped_up(call, leg, segment, options, {"agent": leg.participant.ref("userId")})
    for leg in voice:
        dialling = leg.first(*_DIALLING)
        if dialling is not None and leg.purpose in COLLEAGUE:
            yield call.event(
                "callback.attempted",
                dialling.start,
                options,
                discriminator=leg.reference,
                direction=Direction.OUTBOUND,
                answers_ref=None if campaign else call.reference,
                agent=leg.participant.ref("userId"),
                author=Author.HUMAN,
            )


def _ending(call: Call, legs: list[Leg], end: datetime, options: Options, *, back: list[Leg] | None) -> Iterator[Event]:
    """How it ended. `back`: the calls that a colleague made for a wish to be called back, None without such a wish."""
    colleagues = [leg for leg in legs if leg.purpose in COLLEAGUE]
    inbound = call.direction is Direction.INBOUND
    answered = any(leg.first(*_TALKING) for leg in (colleagues if inbound else legs) if inbound or leg.is_customer)
    if not inbound and not answered:
        customer = next((leg for leg in legs if leg.is_customer), None)
        event_type, said = ("call.no_answer", None) if customer is None else _unanswered(customer)
        yield call.event(event_type, end, options, disposition=said)
        return
    ended = [leg for leg in legs if leg.purpose in QUEUE and leg.segments]
    gave_up = inbound and not answered and any(_gave_up(leg, leg.segments[-1], legs) for leg in ended)
    # Who left a message or wants to be called waits for an answer: the call is over, the matter is not.
    left = inbound and any(leg.purpose in MACHINE and leg.segments for leg in legs)
    unmet = inbound and back is not None and not any(leg.first(*_TALKING) for leg in back)
    if gave_up or left or unmet:
        return
    spoken = [
        segment.end - segment.start
        for leg in colleagues
        for segment in leg.segments
        if segment.kind in _TALKING and segment.end is not None
    ]
    talk = _seconds(sum(spoken, timedelta())) if spoken else None
    lines = back if inbound and back else [leg for leg in legs if leg.is_customer]
    hung_up = [segment for leg in lines for segment in leg.segments if segment.disconnected]
    last = max(hung_up, key=lambda segment: segment.end or segment.start, default=None)
    # The conversation itself ends with the work after the call.
    at = end if last is None or last.end is None else min(last.end, end)
    yield call.event(
        "call.completed", at, options, talk_s=talk, disposition=None if last is None else last.disconnected
    )


def _unanswered(customer: Leg) -> tuple[str, str | None]:
    """Why nobody picked up: as the dialler heard, or as the network answered (RFC 3261)."""
    heard = customer.session.text("dispositionName")
    words = (heard or "").lower()
    codes = {
        int(text)
        for segment in customer.segments
        for text in segment.given.texts("sipResponseCodes")
        if text.isascii() and text.isdecimal()
    }
    if "busy" in words or codes & _BUSY:
        return "call.busy", heard
    if "sit" in words.split(".") or "notfound" in words or (codes and not codes & _NO_ANSWER and max(codes) >= 400):
        return "call.failed", heard
    return "call.no_answer", heard


def _waiting_since(legs: list[Leg], until: datetime) -> datetime:
    """When the wait began that ended with this answer: the newest entry into a queue."""
    entered = [leg.segments[0].start for leg in legs if leg.purpose in QUEUE and leg.segments]
    return max((moment for moment in entered if moment <= until), default=until)


def _queue_name(leg: Leg, segment: Segment) -> str | None:
    named = leg.participant.text("participantName") if leg.purpose in QUEUE else None
    return named or segment.given.text("queueId")


def _seconds(length: timedelta) -> int:
    return max(0, min(int(length.total_seconds()), 2**31 - 1))
