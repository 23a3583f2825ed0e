"""The telephone menu for one caller, for whoever wants to see what the telephone system gets."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from touchlog.card_words import STATES, Clock
from touchlog.render import one_line

Row = Mapping[str, Any]


def render_menu(menu: Row, *, zone: ZoneInfo, now: datetime) -> RenderableType:
    """A line a choice, then what is known to fill in; times are shown in `zone`."""
    clock = Clock(zone, now)
    shown = Table.grid(padding=(0, 2))
    for choice in menu["menu"]:
        shown.add_row(str(choice["place"]), Text(one_line(choice["topic"]), style="bold"), _why(choice, clock))
    if not menu["menu"]:
        shown.add_row(Text("nothing is known of what they want: the usual menu", style="dim"))
    known = Table.grid(padding=(0, 2))
    for name, value in _known(menu, clock):
        known.add_row(Text(name, style="dim"), Text(one_line(value)))
    return Padding(Group(shown, Text(), known), (1, 2), expand=False)


def _why(choice: Row, clock: Clock) -> Text:
    conversation = choice["conversation"]
    days = f"{choice['days']} {'day' if choice['days'] == 1 else 'days'}"
    usual = f"{days}, last {clock.day(choice['last_at']).strip()}" if choice["last_at"] else ""
    if conversation is None:
        return Text(usual, style="dim")
    state, style = STATES.get(conversation["state"], (conversation["state"].replace("_", " "), ""))
    told = Text(f"{state} {clock.since(conversation['state_since'])}", style=style)
    if conversation["promised_at"]:
        told.append(f"  promised {clock.at(conversation['promised_at']).strip()}", style="yellow")
    for reference in conversation["case_refs"]:
        told.append(f"  {one_line(reference)}", style="not bold")
    return told


def _known(menu: Row, clock: Clock) -> Iterator[tuple[str, str]]:
    fill_in = menu["fill_in"]
    if menu["shared"]:
        yield "shared", "several people have this contact point: nothing is filled in"
    for kind, reference in fill_in["references"].items():
        yield f"last {kind}", reference
    if fill_in["promised_at"]:
        yield "promised", clock.at(fill_in["promised_at"]).strip()
    for name in ("agent", "service_channel"):
        if fill_in[name]:
            yield name.replace("_", " "), fill_in[name]
    yield "customer", menu["customer_id"]
