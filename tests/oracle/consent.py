"""consent: what holds, per person or contact point, content type and channel."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from projections.contact_rules import REQUIRED_BY_LAW
from schemas.models import Channel, ContentType, Statement
from tests.oracle.entries import Entry, text, utc
from tests.oracle.identity import Identity

CONTENT_TYPES = [str(content_type) for content_type in ContentType]
CHANNELS = [str(channel) for channel in Channel]
RESTRICTIVE = {"opt_in": 0, "opt_out": 1, "do_not_contact": 2}
MARKETING = ("news", "offers")

Said = tuple[Statement, Entry]


@dataclass(kw_only=True, slots=True)
class Held:
    """The newest of each sort, for one person or contact point, content type and channel."""

    choices: list[Said] = field(default_factory=list)
    pauses: list[Said] = field(default_factory=list)


def statements(entries: list[Entry], who: Identity) -> list[Said]:
    """Everything that counts as stated: no opt-in of ours or for somebody else, no complaint that was taken back."""
    taken_back: dict[tuple[str, str], datetime] = {}
    for entry in entries:
        if entry.event.type == "message.complaint_withdrawn" and entry.event.statement is None:
            for content_type in _types(entry, CONTENT_TYPES):
                taken_back[entry.key, content_type] = entry.at
    said = []
    for entry in entries:
        for statement in _stated(entry):
            if statement.kind == "opt_in" and not _is_for_themselves(statement, entry, who):
                continue
            if entry.event.statement is None and entry.event.type == "message.complained":
                until = taken_back.get((entry.key, str(statement.content_type)))
                if until is not None and until > entry.at:
                    continue
            said.append((statement, entry))
    return said


def consent(entries: list[Entry], who: Identity, now: datetime) -> list[dict[str, Any]]:
    """One row per (person or contact point, content type, channel) about which something was stated."""
    holds: dict[tuple[str, str | None, str, str], Held] = defaultdict(Held)
    for statement, entry in statements(entries, who):
        if statement.kind == "prefer":
            continue
        customer, contact_point = _bound_to(statement, entry, who)
        for content_type in CONTENT_TYPES if statement.content_type is None else [str(statement.content_type)]:
            for channel in CHANNELS if statement.channel is None else [str(statement.channel)]:
                if statement.kind == "do_not_contact" and (content_type, channel) in REQUIRED_BY_LAW:
                    continue
                held = holds[customer, contact_point, content_type, channel]
                (held.pauses if statement.kind == "pause" else held.choices).append((statement, entry))
    rows = []
    for (customer, contact_point, content_type, channel), held in holds.items():
        statement, entry = _decides(held, now)
        rows.append(
            {
                "customer_id": customer,
                "contact_point": contact_point,
                "content_type": content_type,
                "channel": channel,
                "stated": text(statement.kind),
                "since": entry.at,
                "until": utc(statement.until),
                "stated_through": entry.channel,
                "event_id": entry.event_id,
                "allowed": statement.kind == "opt_in" or (statement.kind == "pause" and _is_over(statement, now)),
            }
        )
    return rows


def _decides(held: Held, now: datetime) -> Said:
    """A pause lies on top of the newest choice: it closes what an opt-in before it opened, as long as it lasts."""
    pause = max(held.pauses, key=lambda said: (said[1].at, said[1].event_id), default=None)
    choice = max(held.choices, key=lambda said: (said[1].at, RESTRICTIVE[said[0].kind], said[1].event_id), default=None)
    if choice is None:
        assert pause is not None
        return pause
    if pause is None or choice[0].kind != "opt_in" or pause[1].at < choice[1].at or _is_over(pause[0], now):
        return choice
    return pause


def _is_over(pause: Statement, now: datetime) -> bool:
    return pause.until is not None and pause.until <= now


def _stated(entry: Entry) -> Iterator[Statement]:
    """What an event states, or its type implies."""
    event = entry.event
    if event.statement is not None:
        yield event.statement
        return
    if entry.channel != "email":
        return
    match event.type:
        case "message.complained" | "subscription.opted_out":
            kind = "opt_out"
        case "subscription.opted_in":
            kind = "opt_in"
        case _:
            return
    for content_type in _types(entry, MARKETING):
        yield Statement(kind=kind, content_type=content_type, channel="email")


def _types(entry: Entry, without: Any) -> list[str]:
    return list(without) if entry.event.content_type is None else [str(entry.event.content_type)]


def _is_for_themselves(statement: Statement, entry: Entry, who: Identity) -> bool:
    """Somebody's own act, through a contact point that is surely theirs, and about no contact point of another."""
    return (
        entry.event.direction == "inbound"
        and entry.points[0].assurance in ("attested", "asserted")
        and (
            statement.about is None
            or who.customer_of(who.holder(statement.about, entry.at)) == who.customer_of(entry.key)
        )
    )


def _bound_to(statement: Statement, entry: Entry, who: Identity) -> tuple[str, str | None]:
    """Customer, and the contact point where the statement is about one (which may never have been seen)."""
    if statement.about is not None:
        about = who.holder(statement.about, entry.at)
        return who.customer_of(about), about
    if entry.key in who.shared or entry.points[0].kind == "anonymous":
        return who.customer_of(entry.key), entry.key
    return who.customer_of(entry.key), None
