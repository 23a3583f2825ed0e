"""What a conversation says of itself in words: what was said last, where self-service stopped, one line of it all."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.oracle.entries import Entry

BLANK = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029]+")
LONGEST = 80
DID = {
    "task.started": "began",
    "task.step_reached": "reached",
    "task.completed": "completed",
    "task.abandoned": "gave up",
    "ivr.selected": "chose in the menu",
    "ivr.self_served": "settled by the menu",
}
PHRASES = {
    "abandoned": "given up by the customer",
    "resolved": "resolved",
    "waiting_on_us": "waiting on us since",
    "waiting_on_customer": "waiting on the customer since",
    "new": "new since",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A message, with its words as they stand after every change; None without any."""

    entry: Entry
    words: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfService:
    """Where the customer stopped doing it themselves."""

    at: datetime
    step: str


def said(events: list[Entry]) -> list[Said]:
    """Every start and stop of the clock that was not taken back, in order.

    A change without words changes none.
    """
    taken_back = {_message(entry) for entry in events if entry.event.type == "message.deleted"} - {None}
    changed = {
        _message(entry): entry.event.summary
        for entry in events
        if entry.event.type == "message.edited" and entry.event.summary
    }
    changed.pop(None, None)
    return [
        Said(entry=entry, words=changed.get(_message(entry), entry.event.summary))
        for entry in events
        if entry.meaning.clock and _message(entry) not in taken_back
    ]


def _message(entry: Entry) -> tuple[str, str] | None:
    reference = entry.event.message_ref
    return None if reference is None else (entry.channel, reference)


def newest(messages: list[Said], clock: str, *, with_words: bool) -> Said | None:
    """The last message of one side."""
    return next(
        (one for one in reversed(messages) if one.entry.meaning.clock == clock and (one.words or not with_words)), None
    )


def self_service(events: list[Entry], threads: list[str]) -> SelfService | None:
    """The newest step; one that names no place is at the last place that its thread (`threads`, one each) named."""
    places: dict[str, str] = defaultdict(str)
    last = None
    for entry, thread in zip(events, threads, strict=True):
        if entry.event.type in DID:
            place = getattr(entry.event, "step", None) or getattr(entry.event, "ivr_path", None)
            places[thread] = place or places[thread]
            at_place = f": {places[thread]}" if places[thread] else ""
            last = SelfService(at=entry.at, step=DID[entry.event.type] + at_place)
    return last


def minute(moment: datetime) -> str:
    """`2026-03-02 09:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def by(word: str, action: str, moment: datetime | None) -> str:
    """`call back by 2026-03-02 14:00Z`, or the action alone."""
    return action if moment is None else f"{action} {word} {minute(moment)}"


def one_line(
    *,
    state: str,
    since: datetime,
    snoozed_until: datetime | None,
    theirs: Said | None,
    answer: Said | None,
    stopped: SelfService | None,
    answered_at: datetime | None,
    next_action: str | None,
) -> str:
    """The line that lets the next agent go on; `theirs` with words, `answer` with or without."""
    if state == "snoozed":
        parts = [f"snoozed {'since' if snoozed_until is None else 'until'} {minute(snoozed_until or since)}"]
    else:
        parts = [f"{PHRASES[state]} {minute(since)}"]
    if theirs is not None and (words := _short(theirs.words)):
        parts.append(f"they last: '{words}' ({_place(theirs)})")
    if answer is not None:
        words, agent = _short(answer.words), answer.entry.event.agent
        quoted = f": '{words}'" if words else ""
        parts.append(f"last answer{quoted}{f' by {agent}' if agent else ''} ({_place(answer)})")
    if stopped is not None and (answered_at is None or stopped.at > answered_at):
        parts.append(f"self-service: {stopped.step}")
    if next_action is not None and next_action.startswith(("call back", "promised by ")):
        parts.append(next_action)
    return BLANK.sub(" ", "; ".join(parts)).strip(" ")


def _place(message: Said) -> str:
    return f"{message.entry.channel}, {minute(message.entry.at)}"


def _short(words: str | None) -> str:
    text = BLANK.sub(" ", words or "").strip(" ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
