"""The card of one customer, for whoever has them on the phone: who, what is open, what they want, what happened."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.contact_points import plain_key
from schemas.models import Channel, ContentType
from touchlog.card_words import (
    DID,
    SAYS_ITSELF,
    SIDES,
    STATED,
    STATES,
    Clock,
    all_or,
    reason,
    shown_key,
    shown_point,
    times,
    words,
)
from touchlog.render import count, one_line

WIDEST = 110
_LABEL = 10
_MOST_OPEN = 5
_KINDS = ("email", "phone", "social", "postal", "account", "visitor", "anonymous")
_NAMES = {"postal": "post", "visitor": "chat", "anonymous": "unnamed"}
# Nobody reads an id of a browser; how many there are says enough.
_UNNAMED = {"visitor": ("browser or device", "browsers or devices"), "anonymous": ("contact point", "contact points")}
Row = Mapping[str, Any]


def render_card(card: Row, *, zone: ZoneInfo, now: datetime) -> RenderableType:
    """The card (`projections.card` in plain JSON values) at `now`; times are shown in `zone`."""
    clock = Clock(zone, now)
    body = Table.grid(padding=(0, 2), pad_edge=False, expand=True)
    body.add_column(style="dim", width=_LABEL, no_wrap=True)
    body.add_column(ratio=1)
    sections: list[tuple[str, list[RenderableType]]] = [
        ("open", list(_conversations(card["conversations"], card.get("continuations", ()), clock))),
        ("wants", _preferences(card["preferences"])),
        ("refused", [*_consent(card["consent"], clock)]),
        ("reach", _contact_points(card["contact_points"], clock)),
        ("about", _topics(card["topics"], clock)),
        ("last", _timeline(card["timeline"], clock)),
        ("also", list(_shared(card.get("shared_timeline", ()), clock))),
    ]
    for label, lines in sections:
        if lines:
            body.add_row(label, Group(*lines))
            body.add_row("", "")
    body.add_row("customer", Text(f"{card['customer_id']}  ·  times in {zone.key}", style="dim"))
    return Padding(Group(*_heading(card, clock), Text(), body), (1, 2), expand=False)


def _heading(card: Row, clock: Clock) -> Iterator[RenderableType]:
    points = _in_order(card["contact_points"])
    known = [point for point in points if point["kind"] not in {"visitor", "anonymous"}] or points
    name = Text(shown_point(known[0]) if known else str(card["customer_id"]), style="bold")
    for point in known[1:3]:
        name.append("   ").append(shown_point(point), style="not bold")
    yield name
    if card["first_at"] is not None:
        yield Text(f"since {clock.day(card['first_at']).strip()}, last {clock.since(card['last_at'])} ago")
    counts = {str(channel): card["channels"].get(channel) or 0 for channel in Channel}
    used = Text()
    for channel, touchpoints in sorted(counts.items(), key=lambda item: -item[1]):
        if touchpoints:
            used.append("  ·  " if used else "", style="dim").append(f"{channel} ").append(
                count(touchpoints), style="bold"
            )
    if used:
        yield used


def _conversations(rows: Sequence[Row], hints: Sequence[Row], clock: Clock) -> Iterator[RenderableType]:
    """The open ones, the newest first; under each the conversation that it may go on with."""
    for number, row in enumerate(rows[:_MOST_OPEN]):
        if number:
            yield Text()
        state, style = STATES.get(row["state"], (str(row["state"]).replace("_", " "), ""))
        head = Text("● ", style=style).append(state, style=style)
        until = row.get("snoozed_until")
        head.append(f" until {clock.at(until).strip()}" if until else f" {clock.since(row['state_since'])}", style)
        if row["topic"]:
            head.append("  ").append(one_line(row["topic"]), style="bold")
        head.append("  ").append(" → ".join(row["channels"]))
        yield head
        facts = [f"opened {clock.at(row['opened_at']).strip()}"] if row["opened_at"] else []
        facts += [f"agent {one_line(row['agent'])}"] if row["agent"] else []
        facts += [one_line(reference) for reference in row["case_refs"] or ()]
        facts += [f"handed over {times(row['hand_overs'])}"] if row["hand_overs"] else []
        facts += [f"reopened {times(row['reopened'])}"] if row["reopened"] else []
        if facts:
            yield Text("  " + "  ·  ".join(facts), style="dim")
        if row["promised_at"]:
            yield Text("  promised  ", style="bold yellow").append(clock.at(row["promised_at"]).strip())
        if row.get("summary"):
            yield _hanging(Text("  so far  ", style="dim"), Text(one_line(row["summary"])))
        else:
            for side, name in (("they", "last_customer_summary"), ("we  ", "last_answer_summary")):
                if row[name]:
                    yield _hanging(Text(f"  {side}  ", style="dim"), Text(one_line(row[name])))
        earlier = next((hint for hint in hints if hint["conversation_id"] == row["conversation_id"]), None)
        if earlier is not None:
            yield _hanging(Text("  perhaps  ", style="dim"), _hint(earlier, clock))

    if len(rows) > _MOST_OPEN:
        yield Text(f"and {len(rows) - _MOST_OPEN} older ones", style="dim")


def _hint(row: Row, clock: Clock) -> Text:
    """`goes on with email → phone of 2 Mar 09:14`, and why one may think so."""
    channels = " → ".join(row["earlier_channels"])
    line = Text(f"goes on with {channels} of {clock.at(row['earlier_last_at']).strip()}")
    return line.append(f"  {one_line(row['reason'])}", style="dim")


def _preferences(rows: Sequence[Row]) -> list[RenderableType]:
    """For each content type the channel to use and why, then what to fall back on."""
    shown = Table.grid(padding=(0, 2))
    for _ in range(2):
        shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for content_type in ContentType:
        ranked = sorted(
            (row for row in rows if row["content_type"] == content_type and row["rank"]), key=lambda row: row["rank"]
        )
        if not ranked:
            closed = [f"{row['channel']} {reason(row)}" for row in rows if row["content_type"] == content_type]
            if closed:
                shown.add_row(str(content_type), Text("none", style="red"), Text("; ".join(closed), style="dim"))
            continue
        why = Text(reason(ranked[0]), style="dim")
        if len(ranked) > 1:
            why.append("; else " + ", ".join(row["channel"] for row in ranked[1:]))
        shown.add_row(str(content_type), Text(ranked[0]["channel"], style="bold"), why)
    return [shown] if shown.row_count else []


def _consent(rows: Sequence[Row], clock: Clock) -> Iterator[RenderableType]:
    """One line a statement, however many content types and channels it covers."""
    stated: dict[tuple[Any, ...], tuple[set[str], set[str], Row]] = {}
    for row in rows:
        key = (row["event_id"], row["stated"], row["contact_point"])
        types, channels, _ = stated.setdefault(key, (set(), set(), row))
        types.add(row["content_type"])
        channels.add(row["channel"])
    newest_first = sorted(stated.values(), key=lambda item: str(item[2]["since"]), reverse=True)
    for types, channels, row in newest_first:
        what = STATED.get(row["stated"], str(row["stated"]).replace("_", " "))
        line = Text("✗ ", style="red").append(f"{what} {all_or(types, ContentType, 'everything')}", style="red")
        line.append(f" on {all_or(channels, Channel, 'every channel')}", style="red")
        if row["contact_point"]:
            line.append(f" at {shown_key(row['contact_point'])}")
        until = f" until {clock.day(row['until']).strip()}" if row["until"] else ""
        line.append(f"{until}  through {row['stated_through']} on {clock.day(row['since']).strip()}", style="dim")
        yield line


def _contact_points(rows: Sequence[Row], clock: Clock) -> list[RenderableType]:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    unnamed = Counter(point["kind"] for point in rows if point["kind"] in _UNNAMED)
    for point in _in_order([point for point in rows if point["kind"] not in _UNNAMED]):
        line = Text(shown_point(point), style="dim" if point["reachable"] is False else "")
        if point["reachable"] is False:
            since = f" since {clock.day(point['unreachable_since']).strip()}" if point["unreachable_since"] else ""
            line.append(f"  ✗ unreachable{since}: {words(point['unreachable_reason'])}", style="not dim red")
        if point["shared"]:
            line.append("  shared with others", style="not dim yellow")
        if point["assurance"] in {"claimed", "inferred"}:
            line.append(f"  only {point['assurance']}", style="dim")
        shown.add_row(_NAMES.get(point["kind"], point["kind"]), line)
    for kind, number in sorted(unnamed.items()):
        shown.add_row(_NAMES[kind], Text(f"{number} {_UNNAMED[kind][number > 1]}", style="dim"))
    return [shown] if rows else []


def _topics(rows: Sequence[Row], clock: Clock) -> list[RenderableType]:
    line = Text()
    for row in sorted(rows, key=lambda row: row["rank"])[:5]:
        if line:
            line.append("  ·  ", style="dim")
        days = "1 day" if row["days"] == 1 else f"{row['days']} days"
        line.append(one_line(row["topic"])).append(f" {days}, last {clock.day(row['last_at']).strip()}", style="dim")
    return [line] if line else []


def _timeline(rows: Sequence[Row], clock: Clock) -> list[RenderableType]:
    shown = Table.grid(padding=(0, 2))
    for style in ("dim", "", "dim"):
        shown.add_column(style=style, no_wrap=True)
    shown.add_column(overflow="fold")
    for row in rows:
        shown.add_row(clock.at(row["occurred_at"]), row["channel"], SIDES.get(row["direction"], ""), _touchpoint(row))
    return [shown] if rows else []


def _shared(rows: Sequence[Row], clock: Clock) -> Iterator[RenderableType]:
    """What may have been others', by contact point: `on +46 8 12 34 56  shared with 3 others`."""
    by_point: dict[str, list[Row]] = {}
    for row in rows:
        by_point.setdefault(row["contact_point"], []).append(row)
    for number, (point, theirs) in enumerate(by_point.items()):
        if number:
            yield Text()
        others = theirs[0]["others"]
        who = "many others" if others is None else "1 other" if others == 1 else f"{others} others"
        yield Text(f"on {shown_key(plain_key(point))}").append(f"  shared with {who}", style="yellow")
        yield from _timeline(theirs, clock)


def _touchpoint(row: Row) -> Text:
    """What they or we said, and what it was where that does not say it."""
    said = Text(one_line(row["summary"] or ""))
    aside = [] if said and row["type"] in SAYS_ITSELF else [DID.get(row["type"], words(row["type"]))]
    aside += [words(row["outcome"])] if row["outcome"] else []
    aside += [one_line(row["agent"])] if row["agent"] and row["direction"] == "outbound" else []
    aside += ["theirs"] if row.get("named") else []
    if not said and aside:
        said.append(aside.pop(0))
    if aside:
        said.append("  " + ", ".join(aside), style="dim")
    return said


def _hanging(label: Text, text: Text) -> RenderableType:
    row = Table.grid()
    row.add_column(no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(label, text)
    return row


def _in_order(points: Sequence[Row]) -> list[Row]:
    """Those that reach them first, then by kind, then the last seen."""

    def importance(point: Row) -> tuple[bool, bool, int]:
        kind = point["kind"]
        place = _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
        return point["reachable"] is False, bool(point["shared"]), place

    return sorted(sorted(points, key=lambda point: str(point["last_seen"]), reverse=True), key=importance)
