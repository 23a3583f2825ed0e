"""An audience on a terminal: how many are reached where and left out why, then who."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from touchlog.card_words import Clock, reason, shown_key
from touchlog.render import count, one_line

WHY = {
    "legal": "refused, or paused",
    "unreachable": "cannot be reached",
    "unclear": "not clear whose the contact point is",
    "no_opt_in": "no opt-in",
    "no_contact_point": "no contact point",
}
Row = Mapping[str, Any]


def audience(
    content_type: str,
    channel: str | None,
    counts: Sequence[Row],
    customers: Sequence[Row],
    *,
    left_out: bool,
    clock: Clock,
) -> RenderableType:
    """`counts` and `customers` are rows of the questions of these names in touchlog.audience; times are shown as the
    clock has them."""
    reached = sum(row["customers"] for row in counts if row["channel"])
    left = sum(row["customers"] for row in counts if not row["channel"])
    asked = left if left_out else reached
    parts: list[RenderableType] = [_counts(content_type, channel, counts, reached, left)]
    if customers:
        parts += [Text(), _left_out(customers) if left_out else _reached(customers, clock)]
    if asked > len(customers):
        parts.append(
            Text(f"the first {count(len(customers))} of {count(asked)}; for more --rows N, --csv", style="dim")
        )
    return Group(*parts)


def _counts(content_type: str, channel: str | None, counts: Sequence[Row], reached: int, left: int) -> RenderableType:
    shown = Table.grid(padding=(0, 2))
    shown.add_column()
    shown.add_column(justify="right")
    shown.add_column()
    what = content_type if channel is None else f"{content_type} by {channel}"
    shown.add_row(Text(what, style="bold"), Text(count(reached), style="bold"), "reached")
    for row in counts:
        if row["channel"] and channel is None:
            shown.add_row("", count(row["customers"]), Text(row["channel"], style="dim"))
    shown.add_row("", Text(count(left), style="bold"), "left out")
    for row in counts:
        if not row["channel"]:
            shown.add_row("", count(row["customers"]), Text(WHY[row["basis"]], style="dim"))
    return shown


def _reached(customers: Sequence[Row], clock: Clock) -> RenderableType:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_column(style="dim", overflow="fold")
    for row in customers:
        content_type = row["reason"].partition(" for ")[2].partition(":")[0]
        why = Text(reason({**row, "content_type": content_type}))
        if row["not_before"]:
            why.append(f"  not before {clock.at(row['not_before'].isoformat()).strip()}", style="not dim yellow")
        shown.add_row(row["channel"], shown_key(row["contact_point"]), why)
    return shown


def _left_out(customers: Sequence[Row]) -> RenderableType:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(overflow="fold")
    for row in customers:
        shown.add_row(str(row["customer_id"]), one_line(row["reason"].partition(": ")[2]))
    return shown
