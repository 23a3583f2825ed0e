"""What an event means: the table, and the rules by which an event's own fields have the last word."""

import subprocess
import sys
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import pytest

from schemas.event_types import EVENT_TYPES, OUR_STEPS, Meaning, avro_symbol, conclusions
from schemas.event_types_page import NOTES, page
from schemas.topics import CHANNELS, STREAMS

ROOT = Path(__file__).parents[2]


def concluded(channel, event_type, direction="report", **event):
    return conclusions(EVENT_TYPES[channel][event_type], {"direction": direction, **event})


def lost(channel, event_type, direction="report", **event):
    """The fields that the event's own fields take away from its type's meaning."""
    before, after = EVENT_TYPES[channel][event_type], concluded(channel, event_type, direction, **event)
    changed = {field.name for field in fields(Meaning) if getattr(before, field.name) != getattr(after, field.name)}
    assert all(not getattr(after, name) for name in changed), "a rule may only take away"
    return changed


# the table


def test_every_stream_has_its_types():
    assert list(EVENT_TYPES) == list(STREAMS)
    for types in EVENT_TYPES.values():
        assert next(iter(types)) == "unknown"
        assert types["unknown"] == Meaning()


def test_what_every_channel_has_means_the_same_everywhere():
    common = set.intersection(*(set(EVENT_TYPES[channel]) for channel in CHANNELS))

    assert {"conversation.resolved", "message.failed", "survey.answered", "preference.stated"} <= common
    for name in common:
        assert len({EVENT_TYPES[channel][name] for channel in CHANNELS}) == 1


def test_statements_about_identity_mean_nothing_to_the_views_of_contacts():
    assert set(EVENT_TYPES["identity"].values()) == {Meaning()}


ROWS = [
    pytest.param(channel, name, meaning, id=f"{channel} {name}")
    for channel, types in EVENT_TYPES.items()
    for name, meaning in types.items()
]


@pytest.mark.parametrize(("channel", "name", "meaning"), ROWS)
def test_a_row_makes_sense(channel, name, meaning):
    noun, dot, verb = name.partition(".")
    assert (noun and dot and verb) or name == "unknown"
    assert avro_symbol(name).isidentifier()
    assert 0 <= meaning.engagement <= 10
    assert not meaning.engagement or meaning.item, "engagement is with an item"
    assert not (meaning.opens and meaning.closes)
    assert meaning.clock != "stop" or not meaning.customer, "only we stop the clock"
    assert meaning.clock != "start" or meaning.opens, "a customer who waits is in a conversation"
    assert meaning.item not in {"answered", "paid", "opened", "clicked"} or meaning.customer
    assert meaning.item not in OUR_STEPS or not meaning.customer
    assert meaning.reach != "bad" or meaning.engagement == 0


# the rules, one by one


@pytest.mark.parametrize("author", ["bot", "template", "machine"])
def test_what_a_machine_writes_neither_stops_nor_starts_a_clock(author):
    assert lost("email", "message.sent", "outbound", author=author) == {"clock"}
    assert lost("email", "message.received", "inbound", author=author, answers_ref="m") == {"clock", "opens"}


@pytest.mark.parametrize("author", ["human", "customer", None])
def test_what_a_person_writes_does(author):
    assert lost("email", "message.sent", "outbound", author=author) == set()
    assert lost("chat", "message.received", "inbound", author=author, answers_ref="m") == set()


def test_a_bot_of_ours_may_open_a_conversation():
    assert concluded("chat", "conversation.started", "outbound", author="bot").opens
    assert not concluded("chat", "conversation.started", "inbound", author="bot").opens


def test_a_machine_that_opens_or_clicks_is_nobody():
    assert concluded("email", "message.opened", machine=True) == Meaning()
    assert concluded("email", "link.clicked", machine=True) == Meaning()
    assert lost("email", "message.delivered", machine=True) == {"reach"}
    assert lost("email", "link.clicked", machine=False) == lost("email", "link.clicked", machine=None) == set()


@pytest.mark.parametrize(
    ("channel", "event_type"),
    [(channel, name) for channel, types in EVENT_TYPES.items() for name in types],
)
def test_an_inbound_event_is_no_step_of_what_we_sent(channel, event_type):
    before = EVENT_TYPES[channel][event_type]
    after = concluded(channel, event_type, "inbound", answers_ref="m")
    if before.item in OUR_STEPS:
        kept_reach = None if before.reach == "bad" else before.reach
        assert after == replace(before, item=None, engagement=0, reach=kept_reach)
    else:
        assert after == before


def test_a_call_of_theirs_that_failed_says_nothing_against_their_number():
    assert concluded("phone", "call.failed", "inbound").reach is None
    assert concluded("phone", "call.failed", "outbound").reach == "bad"
    assert concluded("phone", "call.failed", "report").reach == "bad"


def test_a_call_of_theirs_that_was_answered_says_that_they_are_there():
    assert concluded("phone", "call.answered", "inbound", answered_by="human").reach == "good"
    assert concluded("phone", "call.answered", "inbound").clock == "stop"
    assert concluded("phone", "call.answered", "inbound").engagement == 0


@pytest.mark.parametrize("direction", ["inbound", "outbound", "report"])
def test_a_customer_who_blocks_us_cannot_be_reached_there(direction):
    assert concluded("social", "account.blocked", direction).reach == "bad"


def test_inbound_events_speak_against_reach_only_when_they_block_us():
    against = {
        (channel, name)
        for channel, types in EVENT_TYPES.items()
        for name in types
        if concluded(channel, name, "inbound").reach == "bad"
    }

    assert against == {("social", "account.blocked")}


@pytest.mark.parametrize("reference", [None, ""])
def test_an_answer_to_nothing_is_none(reference):
    assert lost("post", "reply.received", "inbound", answers_ref=reference) == {"item", "engagement"}
    assert lost("post", "reply.received", "inbound") == {"item", "engagement"}
    assert lost("post", "reply.received", "inbound", answers_ref="piece-1") == set()


def test_a_soft_bounce_says_not_now():
    assert lost("email", "message.bounced", bounce_class="soft") == {"item", "reach"}
    for bounce_class in ("hard", "block", None):
        assert lost("email", "message.bounced", bounce_class=bounce_class) == set()


def test_a_bounce_is_never_dislike():
    for bounce_class in ("hard", "soft", "block", None):
        assert concluded("email", "message.bounced", bounce_class=bounce_class).engagement == 0


def test_an_answering_machine_is_nobody():
    assert lost("phone", "call.answered", "outbound", answered_by="machine") == {"clock", "engagement", "reach", "item"}
    assert lost("phone", "call.answered", "outbound", answered_by="human") == set()


def test_a_delivery_reckoned_from_the_calendar_proves_nothing():
    assert lost("post", "item.delivered", delivery_basis="estimated") == {"reach"}
    for basis in ("scan", "logical", None):
        assert lost("post", "item.delivered", delivery_basis=basis) == set()


def test_rules_only_take_away_whatever_comes_together():
    choices = {
        "direction": ["inbound", "outbound", "report"],
        "author": [None, "human", "bot"],
        "machine": [None, True],
        "answers_ref": [None, "m"],
        "bounce_class": [None, "soft"],
        "answered_by": [None, "machine"],
        "delivery_basis": [None, "estimated"],
    }
    meanings = {(channel, name) for channel, types in EVENT_TYPES.items() for name in types}
    for values in product(*choices.values()):
        event = dict(zip(choices, values, strict=True))
        for channel, name in meanings:
            lost(channel, name, **event)
            once = concluded(channel, name, **event)
            assert conclusions(once, event) == once, "a rule applied twice is a rule applied once"


# the page


def test_the_page_is_the_table():
    written = (ROOT / "docs/event-types.md").read_text("utf-8")

    assert written == page(), "type: python -m schemas.event_types > docs/event-types.md"


def test_the_command_prints_the_page():
    done = subprocess.run(
        [sys.executable, "-m", "schemas.event_types"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == page()


def test_the_page_has_every_type_in_its_section():
    common, *own = [part.split("\n", 1) for part in page().split("\n## ")[1:]]
    assert common[0] == "every channel"
    assert [name for name, _ in own] == list(EVENT_TYPES)
    for name, text in own:
        for event_type in EVENT_TYPES[name]:
            assert f"| `{event_type}` |" in text or f"| `{event_type}` |" in common[1]


def test_every_type_is_put_in_words():
    assert set(NOTES) == {name for types in EVENT_TYPES.values() for name in types}
    assert all(note.endswith(".") and "|" not in note for note in NOTES.values())
