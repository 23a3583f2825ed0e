"""What holds of the oracle for every log: order and repetition change nothing, and no event is left out."""

from collections import Counter, defaultdict
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.habits import NOW
from tests.oracle import fold
from tests.oracle.compare import VIEWS, differences
from tests.oracle.entries import entries_of
from tests.oracle.threads import thread_of
from tests.strategies import events, logs, random_log

RANDOM = random_log(seed=25, size=3_000)
VIEWS_OF_RANDOM = fold(RANDOM, NOW)


def same(one, other):
    return [line for view in VIEWS for line in differences(one[view], other[view])]


@settings(deadline=None)
@given(log=events(), data=st.data())
def test_any_order_gives_the_same_rows(log, data):
    assert same(fold(log, NOW), fold(data.draw(st.permutations(log)), NOW)) == []


@settings(deadline=None)
@given(logs())
def test_a_log_with_repetitions_gives_the_rows_of_its_distinct_events(log):
    distinct = {event.event_id: event for event in log}
    assert same(fold(distinct.values(), NOW), fold(log, NOW)) == []


@settings(deadline=None)
@given(events())
def test_every_view_is_there_and_every_row_has_all_columns(log):
    views = fold(log, NOW)
    assert set(views) == set(VIEWS)
    assert len(views["interactions"]) == len(log)
    for view, rows in views.items():
        assert all(row.keys() == VIEWS_OF_RANDOM[view][0].keys() for row in rows), view


@settings(deadline=None)
@given(events())
def test_a_shared_contact_point_is_a_customer_of_its_own(log):
    rows = fold(log, NOW)["contact_points"]
    sizes = Counter(row["customer_id"] for row in rows)
    assert all(sizes[row["customer_id"]] == 1 for row in rows if row["shared"])


def test_random_logs_hold_everything_that_the_views_tell_apart():
    views = VIEWS_OF_RANDOM

    def values(view, column):
        return {row[column] for row in views[view]}

    assert values("conversations", "state") == {
        *("abandoned", "resolved", "waiting_on_us", "waiting_on_customer", "new", "snoozed")
    }
    assert values("channel_preference", "basis") == {
        *("legal", "unreachable", "unclear", "no_opt_in", "stated", "inferred", "default"),
    }
    left_out = {row["basis"] for row in views["audience"] if row["channel"] is None}
    assert left_out == {"legal", "unreachable", "unclear", "no_opt_in", "no_contact_point"}
    assert any(row["reminders"] and row["paid_after_reminder_s"] for row in views["invoices"])
    assert values("items", "delivery_basis") == {None, "scan", "logical", "estimated"}
    reasons = {(reason or "").partition(" (")[0] for reason in values("contact_points", "unreachable_reason")}
    assert reasons >= {
        "mail bounced",
        "letter returned",
        "call failed",
        "call reached nobody of theirs",
        "message failed",
    }
    assert values("contact_points", "shared") == values("contact_points", "reachable") == {True, False}
    assert values("contact_points", "normalised") == {True, False}
    assert values("items", "furthest") == {
        *("created", "sent", "delivered", "opened", "clicked", "answered", "paid", "returned", "failed"),
    }
    assert values("consent", "stated") == {"opt_in", "opt_out", "pause", "do_not_contact"}
    assert values("consent", "allowed") == {True, False}
    assert "item" in values("timeline", "type")
    assert max(len(row["channels"]) for row in views["conversations"]) == 5
    assert max(len(row["contact_points"]) for row in views["customers"]) > 5
    assert values("satisfaction", "kind") == {"csat", "nps", "ces"}
    assert values("survey_answers", "verdict") == {
        *("satisfied", "neutral", "dissatisfied", "promoter", "passive", "detractor", None),
    }
    assert values("contacts", "self_service") == {"task", "ivr", None}
    assert {len(steps) for steps in map(tuple, (row["steps"] for row in views["contacts"]))} >= {0, 1, 2}
    for name in ("unanswered", "gave_up", "failed_self_service", "same_conversation"):
        assert values("moves", name) == {True, False}, name
    assert {row["settled_at"] == row["answered_at"] for row in views["contacts"] if row["asked_at"]} == {True, False}
    assert values("friction", "kind") == {"topic", "step"}
    for name in ("repeats", "switches", "gave_up", "stumbled_before"):
        assert len(values("friction", name)) > 1, name
    for name in ("one_channel", "digital_only", "post_only"):
        assert len(values("channel_usage", name)) > 1, name


def test_random_logs_hold_replies_that_join_threads_and_such_that_find_nothing():
    """Of every message that a reply in a thread names: whether it is in that thread, in any, of the same contact point,
    of the same holder of it, on the same channel, and known before."""
    entries = {entry.event_id: entry for entry in entries_of(RANDOM)}
    arrived = [entries[str(event.event_id)] for event in RANDOM]
    told = defaultdict(list)
    for place, entry in enumerate(arrived):
        if entry.on_a_channel:
            told[entry.event.message_ref].append((place, entry, thread_of(entry)))
    found = {
        (
            mine == theirs,
            theirs is not None,
            entry.event.primary.key == message.event.primary.key,
            entry.key == message.key,
            entry.channel == message.channel,
            before < place,
        )
        for place, entry in enumerate(arrived)
        if (mine := thread_of(entry)) is not None and entry.event.answers_ref is not None
        for before, message, theirs in told[entry.event.answers_ref]
    }
    for known_before, same_channel in product((True, False), repeat=2):
        assert (False, True, True, True, same_channel, known_before) in found
        assert (False, True, False, False, same_channel, known_before) in found
        assert (False, False, True, True, same_channel, known_before) in found
    assert any(one[:4] == (False, True, True, False) for one in found)


def test_a_seed_gives_the_same_log_again_and_another_seed_another():
    assert random_log(seed=1, size=100) == random_log(seed=1, size=100)
    assert random_log(seed=1, size=100) != random_log(seed=2, size=100)
    assert len({event.event_id for event in RANDOM}) == len(RANDOM)
    assert [len(random_log(seed=3, size=size)) for size in (0, 1, 130)] == [0, 1, 130]
