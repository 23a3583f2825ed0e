"""What people see: everything that is there, nothing that disturbs the terminal."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from rich.console import Console

from schemas.event_types import EVENT_TYPES
from tests.touchlog.conftest import ADA
from touchlog.as_json import dumps, plain
from touchlog.card_words import DID
from touchlog.render import answer, as_time, cell, duration, harmless
from touchlog.render_card import render_card
from touchlog.render_status import render_status

NOW = datetime(2026, 3, 12, 11, 30, tzinfo=UTC)


def _point(kind: str, value: str, **more: Any) -> dict[str, Any]:
    return {
        "contact_point": f"{kind}:{value}", "kind": kind, "value": value, "assurance": "asserted", "reachable": True,
        "unreachable_since": None, "unreachable_reason": None, "first_seen": "2026-01-12T08:00:00Z",
        "last_seen": "2026-03-02T08:00:00Z", "shared": False, **more,
    }  # fmt: skip


def _touchpoint(at: str, channel: str, kind: str, direction: str, **more: Any) -> dict[str, Any]:
    said = {"summary": None, "agent": None, "outcome": None, **more}
    return {"occurred_at": at, "channel": channel, "type": kind, "direction": direction, **said}


def _conversation(**more: Any) -> dict[str, Any]:
    return {
        "channels": ["chat"], "state": "new", "state_since": "2026-03-12T08:05:00Z", "topic": None, "agent": None,
        "opened_at": "2026-03-10T08:14:05Z", "hand_overs": 0, "reopened": 0, "case_refs": [], "promised_at": None,
        "last_customer_summary": None, "last_answer_summary": None, **more,
    }  # fmt: skip


def _preference(content_type: str, channel: str, rank: int | None, reason: str) -> dict[str, Any]:
    row = {"content_type": content_type, "channel": channel, "rank": rank, "basis": "default"}
    return {**row, "reason": f"{channel} for {content_type}: {reason}"}


def _refusal(event: str, stated: str, content_type: str, channel: str, **more: Any) -> dict[str, Any]:
    return {
        "event_id": event, "stated": stated, "content_type": content_type, "channel": channel, "contact_point": None,
        "since": "2026-03-01T10:00:00Z", "until": None, "stated_through": "phone", "allowed": False, **more,
    }  # fmt: skip


CARD: dict[str, Any] = {
    "customer_id": ADA,
    "contact_points": [
        _point("visitor", "c0ffee00"),
        _point("postal", "SE|11122|STOCKHOLM|STORGATAN 1", reachable=False, unreachable_since="2026-03-09T00:00:00Z",
               unreachable_reason="letter returned (moved)"),
        _point("email", "family@example.org", shared=True, assurance="claimed"),
        _point("phone", "+46700000001", assurance="attested"),
        _point("email", "ada@example.org"),
    ],
    "first_at": "2025-11-12T08:00:00Z",
    "last_at": "2026-03-12T09:20:00Z",
    "channels": {"email": 12, "phone": 3, "post": 2, "chat": 1234, "social": 0},
    "conversations": [
        _conversation(channels=["email", "phone"], state="waiting_on_us", topic="delivery", agent="anna",
                      case_refs=["order:77"], hand_overs=1, promised_at="2026-03-12T14:00:00Z",
                      last_customer_summary="Where is my parcel?", last_answer_summary="We call you back"),
        _conversation(state="waiting_on_customer", state_since="2026-03-01T08:05:00Z"),
    ],
    "preferences": [
        _preference("news", "phone", 2, "the organisation's default"),
        _preference("news", "email", 1, "stated through phone on 2026-03-02"),
        _preference("offers", "email", None, "opted out, said through phone on 2026-03-01"),
        _preference("service", "phone", 1, "responded to 6 of 8"),
    ],
    "consent": [
        *(_refusal("1", "opt_out", "offers", channel) for channel in ("email", "chat", "phone", "post", "social")),
        _refusal("2", "pause", "news", "email", contact_point="email:family@example.org", until="2026-04-01T00:00:00Z"),
    ],
    "timeline": [
        _touchpoint("2026-03-12T08:05:00Z", "email", "message.received", "inbound", summary="Where is my\n parcel?"),
        _touchpoint("2026-03-11T08:05:00Z", "phone", "callback.attempted", "outbound", agent="bob", outcome="busy"),
        _touchpoint("2025-11-12T08:05:00Z", "post", "item", "outbound", summary="\x1b[31mInvoice\x07 118 \u202egnp"),
    ],
    "shared_timeline": [
        _touchpoint("2026-03-12T07:05:00Z", "phone", "voicemail.left", "inbound", contact_point="phone:+46700000002",
                    named=False, others=3),
        _touchpoint("2026-03-11T07:05:00Z", "email", "message.received", "inbound", summary="Ours",
                    contact_point="email:desk@example.org", named=True, others=None),
        _touchpoint("2026-03-10T07:05:00Z", "phone", "call.answered", "inbound", contact_point="phone:+46700000002",
                    named=True, others=3),
    ],
    "topics": [{"topic": "delivery", "days": 4, "last_at": "2026-03-10T08:14:05Z", "rank": 1}],
}  # fmt: skip
EMPTY: dict[str, Any] = {
    "customer_id": ADA, "contact_points": [_point("account", "C-17")], "first_at": None, "last_at": None,
    "channels": {}, "conversations": [], "preferences": [], "consent": [], "timeline": [], "topics": [],
}  # fmt: skip


def _printed(renderable: Any, width: int, *, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    console.print(renderable)
    return file.getvalue()


def _card(card: dict[str, Any], width: int = 100, **options: Any) -> str:
    return _printed(render_card(card, zone=ZoneInfo("Europe/Stockholm"), now=NOW), width, **options)


def test_the_card_says_everything_at_a_glance():
    lines = [" ".join(line.split()) for line in _card(CARD, 110).splitlines()]
    text = "\n".join(line for line in lines if line)
    assert (
        text
        == f"""\
ada@example.org +46 70 000 00 01 family@example.org
since 12 Nov 2025, last 2 h ago
chat 1,234 · email 12 · phone 3 · post 2
open ● waiting for us 3 h delivery email → phone
opened 10 Mar 09:14 · agent anna · order:77 · handed over once
promised 12 Mar 15:00
they Where is my parcel?
we We call you back
● waiting for them 11 days chat
opened 10 Mar 09:14
wants news email stated through phone on 2026-03-02; else phone
offers none email opted out, said through phone on 2026-03-01
service phone responded to 6 of 8
refused ✗ opted out of offers on every channel through phone on 1 Mar
✗ paused news on email at family@example.org until 1 Apr through phone on 1 Mar
reach email ada@example.org
phone +46 70 000 00 01
email family@example.org shared with others only claimed
post Storgatan 1, 11122 Stockholm, SE ✗ unreachable since 9 Mar: letter returned (moved)
chat 1 browser or device
about delivery 4 days, last 10 Mar
last 12 Mar 09:05 email they Where is my parcel?
11 Mar 09:05 phone we tried to call back busy, bob
12 Nov 2025 post we \N{REPLACEMENT CHARACTER}[31mInvoice\N{REPLACEMENT CHARACTER} 118 \N{REPLACEMENT CHARACTER}gnp
also on +46 70 000 00 02 shared with 3 others
12 Mar 08:05 phone they left a voicemail
10 Mar 08:05 phone they call answered theirs
on desk@example.org shared with many others
11 Mar 08:05 email they Ours theirs
customer {ADA} · times in Europe/Stockholm"""
    )


def test_a_card_of_somebody_hardly_known_has_no_empty_headings():
    words = _card(EMPTY).split()
    assert words == ["C-17", "reach", "account", "C-17", "customer", ADA, "·", "times", "in", "Europe/Stockholm"]


def test_what_is_put_aside_is_told_with_its_time_its_line_and_what_it_may_go_on_with():
    aside = _conversation(
        conversation_id="c-2", state="snoozed", snoozed_until="2026-03-14T08:00:00Z",
        last_customer_summary="Where is it?",
        summary="snoozed until 2026-03-14 08:00Z; they last: 'Where is it?' (chat, 2026-03-12 08:05Z)",
    )  # fmt: skip
    hint = {
        "conversation_id": "c-2", "earlier_channels": ["email", "phone"], "earlier_last_at": "2026-03-10T07:00:00Z",
        "reason": "same customer, same topic (delivery): opened 1 day after the last event of the other",
    }  # fmt: skip
    older = {**hint, "earlier_channels": ["post"]}
    text = _card({**EMPTY, "conversations": [aside], "continuations": [hint, older]}, 200)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "open ● put aside until 14 Mar 09:00 chat" in lines
    assert f"so far {aside['summary']}" in lines
    assert f"perhaps goes on with email → phone of 10 Mar 08:00 {hint['reason']}" in lines
    assert "post" not in text
    assert text.count("Where is it?") == 1


def test_of_many_open_conversations_the_newest_are_told_and_the_rest_counted():
    text = _card({**CARD, "conversations": [_conversation() for _ in range(12)]})
    assert text.count("● new 3 h") == 5
    assert "and 7 older ones" in text


@pytest.mark.parametrize("width", [60, 80, 100, 140, 240])
def test_the_card_keeps_to_the_width_and_loses_nothing(width: int):
    text = _card(CARD, width)
    assert max(len(line) for line in text.splitlines()) <= width
    wide = set(_card(CARD, 240).split())
    assert {word for word in wide if len(word) < 12} <= set(text.split())


def test_nothing_from_a_customer_reaches_the_terminal_as_control():
    escapes = set(_card(CARD, colour=True).split("\x1b")[1:])
    assert escapes
    assert all(piece.startswith("[") and not piece.startswith("[31mInvoice") for piece in escapes)
    assert harmless("a\x1b]0;title\x07b\rc\x9bd\u2066e\tf\ng") == (
        "a\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
        "\N{REPLACEMENT CHARACTER}d\N{REPLACEMENT CHARACTER}e    f\ng"
    )
    assert harmless("👩\u200d💻 日本") == "👩\u200d💻 日本"


def test_every_word_for_a_touchpoint_is_of_a_type_that_there_is():
    known = {kind for types in EVENT_TYPES.values() for kind in types} | {"item"}
    assert set(DID) <= known


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        ("", ""),
        (True, "true"),
        (12345, "12345"),
        (Decimal("1.50"), "1.50"),
        (0.1, "0.1"),
        (datetime(2026, 3, 2, 10, 14, 5, tzinfo=ZoneInfo("Europe/Stockholm")), "2026-03-02 09:14:05Z"),
        (datetime(2026, 3, 2, 10, 14, 5, 1000), "2026-03-02 10:14:05.001000"),  # noqa: DTZ001 (DuckDB has such)
        (date(2026, 3, 2), "2026-03-02"),
        (["a", None], '["a", null]'),
        ({"a": [1]}, '{"a": [1]}'),
        (b"\x00", "AA=="),
        (UUID(ADA), ADA),
    ],
)
def test_values_show_plainly(value: Any, shown: str):
    assert cell(value).plain == shown


def test_wide_columns_fold_and_nothing_is_cut_off():
    schema = pa.schema([("number", pa.int64()), ("text", pa.string())])
    text = _printed(answer(schema, [(1, "word " * 60 + "end"), (None, None)], width=60), 60)
    assert text.count("word") == 60
    assert "end" in text
    assert "NULL" in text
    assert text.splitlines()[0].split() == ["number", "text"]
    assert max(len(line) for line in text.splitlines()) <= 60


def test_more_columns_than_fit_are_shown_record_by_record():
    schema = pa.schema([(f"column_{number}", pa.string()) for number in range(20)])
    rows = [[f"value {row} of {number}, which is long" for number in range(20)] for row in range(2)]
    text = _printed(answer(schema, rows, width=80), 80)
    assert [line.strip() for line in text.splitlines() if line.startswith("row")] == ["row 1", "row 2"]
    for number in range(20):
        assert f"value 1 of {number}, which is long" in text
    assert len(_printed(answer(schema, rows, width=4000), 4000).splitlines()) == 4
    assert _printed(answer(schema, [], width=80), 800).split()[0] == "column_0"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (86_400, "24 h"), (172_800, "2 days"),
     (60 * 86_400, "60 days"), (61 * 86_400, "2 months"), (729 * 86_400, "23 months"), (731 * 86_400, "2 years")],
)  # fmt: skip
def test_how_long_in_one_unit(seconds: float, said: str):
    assert duration(seconds) == said


def test_as_time_is_utc():
    assert as_time(NOW) == "2026-03-12 11:30:00Z"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (NOW, '"2026-03-12T11:30:00Z"'),
        (Decimal(12), "12"),
        (Decimal("1.5"), "1.5"),
        (float("nan"), "null"),
        (time(9, 14), '"09:14:00"'),
        (timedelta(seconds=90), "90.0"),
        (Path("a"), '"a"'),
        ({UUID(ADA): {1}}, f'{{"{ADA}": [1]}}'),
        (pa.scalar((1, 2, 3), pa.month_day_nano_interval()).as_py(), '{"months": 1, "days": 2, "nanoseconds": 3}'),
        ("å", '"å"'),
    ],
)
def test_json_of_everything_that_views_hold(value: Any, said: str):
    assert dumps(value) == said
    assert plain(plain(value)) == plain(value)


def test_the_status_tells_what_is_behind_and_adds_up():
    lag = [
        {"topic": "interactions.email", "partition": number, "next_offset": 10, "end_offset": 10 + late, "lag": late}
        for number, late in enumerate([0, 2500, 0])
    ]
    told = {
        "running": True, "lag": lag, "lag_total": 2500, "parked": 1,
        "batches": {"batches": 2, "last_committed_at": "2026-03-02T10:00:00Z", "read": 1095, "applied": 1093,
                    "duplicates": 1, "parked": 1, "seconds": 1},
        "recent": {"events_per_second": 1095.4},
        "dead_letters": [{"topic": "interactions.email", "stage": "decode", "error_class": "UndecodableRecord",
                          "records": 1, "last_seen": "2026-03-02T10:00:00Z"}],
        "projections": [{"name": "items", "version": 1, "sort": "merged", "runs": 2, "rows": 400, "state": "live"}],
    }  # fmt: skip
    text = " ".join(_printed(render_status(told), 120).split())
    assert "a projector is running · 2,500 records behind · 1,095 records/s" in text
    assert "1,095 read = 1,093 applied + 1 duplicates + 1 parked, in 2 batches" in text
    assert "interactions.email 1 10 2,510 2,500" in text
    assert "interactions.email other 2 20 20 0" in text
    assert "1 records are parked in touchlog.dead_letters" in text
    nothing = {
        **told,
        "running": False,
        "log_answers": False,
        "lag": [],
        "lag_total": 0,
        "batches": {"batches": 0},
        "dead_letters": [],
    }
    said = _printed(render_status(nothing), 120)
    assert "nothing was folded yet; type touchlog project" in said
    assert "as of the last batch: the log does not answer" in said
