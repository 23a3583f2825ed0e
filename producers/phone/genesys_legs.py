"""The sessions of a Genesys Cloud conversation: who was on the line, from when to when, and doing what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import snake
from schemas.errors import InvalidEvent

CUSTOMER = frozenset({"customer", "external"})
COLLEAGUE = frozenset({"agent", "user", "group", "station", "manual"})
QUEUE = frozenset({"acd"})
MENU = frozenset({"ivr", "botflow", "workflow"})
MACHINE = frozenset({"voicemail"})

_MEDIA = frozenset({"voice", "callback"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One stretch of a session; `end` is None while it goes on."""

    kind: str
    start: datetime
    end: datetime | None
    given: Fields

    @property
    def disconnected(self) -> str:
        """How the session ended with it (`peer`, `transfer`, …), or empty."""
        return (self.given.text("disconnectType") or "").lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One session of one participant, its segments in order of their beginning."""

    purpose: str
    participant: Fields
    session: Fields
    is_callback: bool
    callback_numbers: list[str]
    segments: list[Segment]

    @property
    def is_customer(self) -> bool:
        """Whether it is the line to the customer."""
        return self.purpose in CUSTOMER

    @property
    def direction(self) -> str | None:
        """inbound or outbound, as the session says."""
        return self.session.text("direction")

    @property
    def reference(self) -> str:
        """What tells the session's events from those of the other sessions."""
        return self.session.ref("sessionId") or self.participant.ref("participantId", "userId") or self.purpose

    def first(self, *kinds: str) -> Segment | None:
        """The first segment of these kinds."""
        return next((segment for segment in self.segments if segment.kind in kinds), None)

    def metric(self, *names: str) -> float | None:
        """The sum of a metric, milliseconds or a count; None when it was not emitted."""
        values = [one.number("value") for one in self.session.each("metrics") if one.text("name") in names]
        found = [value for value in values if value is not None]
        return sum(found) if found else None


def legs_of(given: Fields, options: Options) -> tuple[list[Leg], list[str]]:
    """The voice and callback sessions of a conversation, and the media types of all. Raises InvalidEvent."""
    legs: list[Leg] = []
    media: list[str] = []
    for participant in given.each("participants"):
        purpose = (participant.text("purpose") or "").lower()
        for session in participant.each("sessions"):
            kind = (session.text("mediaType") or "").lower()
            media.append(kind)
            if kind in _MEDIA:
                legs.append(
                    Leg(
                        purpose=purpose,
                        participant=participant,
                        session=session,
                        is_callback=kind == "callback",
                        callback_numbers=session.texts("callbackNumbers"),
                        segments=_segments(session, options),
                    )
                )
    return legs, [kind for kind in media if kind]


def _segments(session: Fields, options: Options) -> list[Segment]:
    found = []
    for segment in session.each("segments"):
        start = segment.required_time("segmentStart", options=options)
        end = segment.time("segmentEnd", options=options)
        if end is not None and end < start:
            raise InvalidEvent(f"{segment.where('segmentEnd')}: before segmentStart")
        kind = (segment.text("segmentType") or "unknown").lower()
        found.append(Segment(kind=kind, start=start, end=end, given=segment))
    return sorted(found, key=lambda segment: segment.start)


def flow_of(leg: Leg) -> Mapping[str, Any]:
    """What the session says about the menu that it ran, for attributes."""
    flow = leg.session.within("flow")
    names = ("flowType", "exitReason", "transferTargetName", "transferType", "startingLanguage", "endingLanguage")
    return {f"flow_{snake(name).removeprefix('flow_')}": flow.value(name) for name in names}
