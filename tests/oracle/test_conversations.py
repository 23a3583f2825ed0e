"""Matters and how long people wait: the oracle's conversations, response times and surveys."""

from datetime import date

import pytest

from schemas.models import Survey
from tests.oracle.writing import ADA, ADAS_PHONE, BOB, at, conversation, customer, happened, part, row, view


def test_a_case_joins_threads_of_two_channels_into_one_conversation():
    events = (
        happened(
            "email message.received",
            "06-10 09:00",
            ADA,
            conversation_ref="c1",
            case_refs=("A-1",),
            summary="Where is it?",
            topic="delivery",
        ),
        happened("phone call.queued", "06-10 10:00", ADAS_PHONE, conversation_ref="c9", case_refs=("A-1", "B-2")),
        happened("phone call.answered", "06-10 10:00:20.9", ADAS_PHONE, conversation_ref="c9", agent="agent-1"),
        happened("phone call.completed", "06-10 10:05", ADAS_PHONE, conversation_ref="c9"),
    )
    assert view("conversations", *events) == [
        {
            "conversation_id": conversation("case:A-1"),
            "customer_id": customer(ADA),
            "customer_ids": sorted([customer(ADA), customer(ADAS_PHONE)]),
            "channels": ["email", "phone"],
            "switches": 1,
            "moves": ["email", "phone"],
            "opened_at": at("06-10 09:00"),
            "last_at": at("06-10 10:05"),
            "state": "resolved",
            "state_since": at("06-10 10:05"),
            "waiting_since": None,
            "snoozed_until": None,
            "messages_in": 2,
            "messages_out": 1,
            "hand_overs": 0,
            "reopened": 0,
            "first_response_s": 3620,
            "queue_s": 20,
            "hold_s": None,
            "resolved_at": at("06-10 10:05"),
            "topic": "delivery",
            "agent": "agent-1",
            "agents": ["agent-1"],
            "case_refs": ["A-1", "B-2"],
            "last_customer_summary": "Where is it?",
            "last_answer_summary": None,
            "last_step": None,
            "promised_at": None,
            "next_action": None,
            "summary": "resolved 2025-06-10 10:05Z; they last: 'Where is it?' (email, 2025-06-10 09:00Z);"
            " last answer by agent-1 (phone, 2025-06-10 10:00Z)",
        }
    ]
    assert {row["conversation_id"] for row in view("interactions", *events)} == {conversation("case:A-1")}


def test_one_reference_on_two_channels_is_two_threads_and_an_event_without_thread_has_no_conversation():
    events = (
        happened("email message.received", "06-10 09:00", ADA, conversation_ref="c1"),
        happened("chat message.received", "06-10 09:00", "visitor:v1", conversation_ref="c1"),
        happened("email message.received", "06-10 09:00", ADA),
    )
    assert {row["conversation_id"] for row in view("conversations", *events)} == {
        conversation("thread:email:c1"),
        conversation("thread:chat:c1"),
    }
    assert [row["conversation_id"] for row in view("interactions", *events)].count(None) == 1


ADAS_NETWORK = "social:instagram:17841:ada"


def test_a_reply_to_a_known_message_joins_the_threads_of_two_channels():
    events = (
        happened("email message.received", "06-10 09:00", ADA, conversation_ref="c1", message_ref="m1"),
        happened("chat message.sent", "06-10 09:10", ADA, conversation_ref="c7", message_ref="m2", answers_ref="m1"),
        happened("social dm.received", "06-10 09:20", ADA, conversation_ref="c9", answers_ref="m2"),
    )
    found = row(view("conversations", *events))
    assert part(found, "conversation_id", "moves", "state", "first_response_s", "case_refs") == {
        "conversation_id": conversation("thread:email:c1"),
        "moves": ["email", "chat", "social"],
        "state": "waiting_on_us",
        "first_response_s": 600,
        "case_refs": [],
    }
    assert {row["conversation_id"] for row in view("interactions", *events)} == {conversation("thread:email:c1")}


def theirs(what="email message.received", when="06-10 09:00", who=ADA, /, **fields):
    return happened(what, when, who, **{"conversation_ref": "c1", "message_ref": "m1", **fields})


def reply(when="06-10 10:00", *who, **fields):
    return happened("email message.received", when, *(who or (ADA,)), **{"answers_ref": "m1", **fields})


@pytest.mark.parametrize(
    ("events", "conversations"),
    [
        ((theirs(), reply(conversation_ref="c2")), 1),
        ((theirs(), reply(case_refs=("A-1",))), 1),
        ((theirs(conversation_ref=None, case_refs=("B-2", "A-1")), reply(conversation_ref="c2")), 1),
        ((theirs("email message.delivered"), reply(conversation_ref="c2")), 1),
        ((theirs("phone callback.requested"), reply(conversation_ref="c1")), 1),
        ((reply("06-10 08:00", conversation_ref="c2"), theirs()), 1),
        ((theirs(), happened("identity contact_point.ended", "06-10 09:30", ADA), reply(conversation_ref="c2")), 1),
        ((theirs(), reply("06-10 10:00", BOB, conversation_ref="c2")), 2),
        ((theirs(), reply("06-10 10:00", BOB, ADA, conversation_ref="c2")), 2),
        ((theirs(), reply(conversation_ref="c2", answers_ref="m2")), 2),
        ((theirs(message_ref=None), reply(conversation_ref="c2")), 2),
        ((theirs(answers_ref="m1", message_ref=None), reply(conversation_ref="c2")), 2),
        ((theirs(), theirs(conversation_ref="c2")), 2),
        ((theirs(conversation_ref=None), reply(conversation_ref="c2"), reply(conversation_ref="c3")), 2),
        ((theirs(), reply(), theirs(conversation_ref="c2", message_ref="m2")), 2),
    ],
)
def test_a_reply_joins_what_it_answers_of_the_same_contact_point_and_only_threads(events, conversations):
    found = {row["conversation_id"] for row in view("interactions", *events)}
    assert len(found - {None}) == conversations


def test_an_answer_to_what_many_got_under_one_reference_joins_the_thread_of_its_own_contact_point_alone():
    sent = [
        happened("social dm.sent", "06-10 09:00", who, conversation_ref=thread, message_ref="m1")
        for who, thread in ((ADAS_NETWORK, "c1"), ("social:instagram:17841:bob", "c2"))
    ]
    answers = [
        happened("social dm.received", "06-10 10:00", who, conversation_ref=thread, answers_ref="m1")
        for who, thread in ((ADAS_NETWORK, "c3"), ("social:instagram:17841:bob", "c4"))
    ]
    found = {row["conversation_ref"]: row["conversation_id"] for row in view("interactions", *sent, *answers)}
    assert found["c1"] == found["c3"] == conversation("thread:social:c1")
    assert found["c2"] == found["c4"] == conversation("thread:social:c2")


def test_a_reply_does_not_name_the_thread_that_it_joins():
    early = happened("email message.received", "06-10 08:00", ADA, conversation_ref="c2", answers_ref="m1")
    late = happened("chat message.received", "06-10 09:00", ADA, conversation_ref="c1", message_ref="m1")
    # Had the reply named both at 08:00, the smaller one, of the chat, would be first.
    assert row(view("conversations", early, late))["conversation_id"] == conversation("thread:email:c2")


def test_what_nobody_opened_is_no_conversation():
    sent = happened("email message.sent", "06-10 09:00", ADA, conversation_ref="c1")
    assert view("conversations", sent) == []
    assert view("interactions", sent)[0]["conversation_id"] == conversation("thread:email:c1")


def question(when, **fields):
    return happened("chat message.received", when, "visitor:v1", conversation_ref="c1", **fields)


def answer(when, **fields):
    return happened("chat message.sent", when, "visitor:v1", conversation_ref="c1", **fields)


def told(verb, when):
    return happened(f"chat conversation.{verb}", when, "visitor:v1", conversation_ref="c1")


@pytest.mark.parametrize(
    ("events", "state", "since"),
    [
        ([told("started", "06-10 09:00")], "new", "06-10 09:00"),
        ([question("06-10 09:00"), question("06-10 09:05")], "waiting_on_us", "06-10 09:00"),
        ([question("06-10 09:00"), answer("06-10 09:00")], "waiting_on_customer", "06-10 09:00"),
        ([question("06-10 09:00"), answer("06-10 09:05", author="bot")], "waiting_on_us", "06-10 09:00"),
        ([question("06-10 09:00"), told("abandoned", "06-10 09:00")], "abandoned", "06-10 09:00"),
        (
            [question("06-10 09:00"), answer("06-10 09:05"), told("abandoned", "06-10 09:05")],
            "waiting_on_customer",
            "06-10 09:05",
        ),
        ([question("06-10 09:00"), told("resolved", "06-10 09:00")], "resolved", "06-10 09:00"),
        (
            [question("06-10 09:00"), told("resolved", "06-10 09:00"), told("reopened", "06-10 09:01")],
            "new",
            "06-10 09:01",
        ),
        (
            [question("06-10 09:00"), told("resolved", "06-10 09:05"), question("06-10 09:06")],
            "waiting_on_us",
            "06-10 09:06",
        ),
        (
            [
                question("06-10 09:00"),
                answer("06-10 09:01"),
                told("resolved", "06-10 09:05"),
                told("reopened", "06-10 09:07"),
            ],
            "waiting_on_customer",
            "06-10 09:01",
        ),
    ],
)
def test_the_state_of_a_conversation(events, state, since):
    found = row(view("conversations", *events))
    assert part(found, "state", "state_since") == {"state": state, "state_since": at(since)}
    assert found["waiting_since"] == (at(since) if state == "waiting_on_us" else None)


def snoozed(when, until=None):
    return happened(
        "chat conversation.snoozed",
        when,
        "visitor:v1",
        conversation_ref="c1",
        promised_at=None if until is None else at(until),
    )


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([question("06-10 09:00"), snoozed("06-10 09:00")], "waiting_on_us"),
        ([question("06-10 09:00"), snoozed("06-10 09:01")], "snoozed"),
        ([question("06-10 09:00"), snoozed("06-10 09:01", "06-15 12:00")], "waiting_on_us"),
        ([question("06-10 09:00"), snoozed("06-10 09:01", "06-15 12:00:00.000001")], "snoozed"),
        ([question("06-10 09:00"), answer("06-10 09:01"), snoozed("06-10 09:01")], "snoozed"),
        ([question("06-10 09:00"), answer("06-10 09:02"), snoozed("06-10 09:01")], "waiting_on_customer"),
        ([question("06-10 09:00"), told("resolved", "06-10 09:01"), snoozed("06-10 09:01")], "resolved"),
        ([question("06-10 09:00"), told("resolved", "06-10 09:01"), snoozed("06-10 09:02")], "snoozed"),
        ([question("06-10 09:00"), told("abandoned", "06-10 09:01"), snoozed("06-10 09:02")], "snoozed"),
        ([question("06-10 09:00"), snoozed("06-10 09:01"), told("reopened", "06-10 09:02")], "waiting_on_us"),
        ([question("06-10 09:00"), snoozed("06-10 09:01"), answer("06-10 09:02", author="bot")], "snoozed"),
        ([question("06-10 09:00"), snoozed("06-10 09:01"), snoozed("06-10 09:02", "06-11 09:00")], "waiting_on_us"),
    ],
)
def test_what_is_put_aside_is_snoozed_until_it_is_time_or_something_happens(events, state):
    assert row(view("conversations", *events))["state"] == state


def in_a_call(what, when, **fields):
    return happened(f"phone {what}", when, ADAS_PHONE, conversation_ref="c9", **fields)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (["callback.requested 09:01", "call.completed 09:02"], "waiting_on_us"),
        (["voicemail.left 09:02", "call.completed 09:02"], "waiting_on_us"),
        (["voicemail.left 09:01", "ivr.self_served 09:02"], "waiting_on_us"),
        (["callback.requested 09:01", "call.abandoned 09:02"], "waiting_on_us"),
        (["callback.requested 09:01", "call.answered 09:01", "call.completed 09:02"], "resolved"),
        (["callback.requested 09:01", "call.completed 09:02", "call.answered 09:03"], "waiting_on_customer"),
        (
            ["callback.requested 09:01", "call.completed 09:02", "call.answered 09:30", "call.completed 09:40"],
            "resolved",
        ),
        (["callback.requested 09:01", "conversation.resolved 09:02"], "resolved"),
        (["call.queued 09:00", "call.answered 09:00", "voicemail.left 09:01", "call.completed 09:02"], "waiting_on_us"),
    ],
)
def test_what_is_left_in_a_call_is_not_closed_by_its_end(events, state):
    happenings = [in_a_call(what, f"06-10 {when}") for what, when in map(str.split, events)]
    assert row(view("conversations", *happenings))["state"] == state


def test_a_message_of_a_machine_is_not_left_in_a_call():
    events = (in_a_call("voicemail.left", "06-10 09:01"), in_a_call("voicemail.left", "06-10 09:01", author="bot"))
    assert row(view("conversations", events[0], in_a_call("call.completed", "06-10 09:02")))["state"] == "waiting_on_us"
    started = in_a_call("call.initiated", "06-10 09:00")
    ended = in_a_call("call.completed", "06-10 09:02")
    assert row(view("conversations", started, events[1], ended))["state"] == "resolved"


def test_the_newest_summaries_are_shown_and_the_first_response_answers_the_first_question():
    events = (
        answer("06-10 08:00", summary="Too early"),
        answer("06-10 09:00", summary="At once"),
        question("06-10 09:00", summary="Where?"),
        answer("06-10 09:01", summary="Which one?"),
        question("06-10 09:02", summary="The red one"),
        answer("06-10 09:03", summary="Tomorrow"),
    )
    assert part(
        row(view("conversations", *events)), "first_response_s", "last_customer_summary", "last_answer_summary"
    ) == {
        "first_response_s": 0,
        "last_customer_summary": "The red one",
        "last_answer_summary": "Tomorrow",
    }


def test_reopened_counts_explicit_reopening_and_a_question_after_the_end():
    events = (
        question("06-10 09:00"),
        told("resolved", "06-10 09:05"),
        answer("06-10 09:06"),
        question("06-10 09:07"),
        question("06-10 09:08"),
        told("resolved", "06-10 09:09"),
        told("reopened", "06-10 09:10"),
        question("06-10 09:11"),
    )
    assert row(view("conversations", *events))["reopened"] == 2


def test_a_wait_ends_with_the_next_answer_or_end_and_belongs_to_the_day_on_which_it_began():
    events = (
        question("06-10 23:59:30"),
        question("06-10 23:59:50"),
        answer("06-11 00:00:30.9"),
        question("06-11 09:00"),
        told("resolved", "06-11 09:01"),
        question("06-11 10:00"),
        told("abandoned", "06-11 10:01"),
        question("06-11 11:00"),
        answer("06-11 11:01:01"),
        question("06-11 12:00"),
    )
    found = [row for row in view("response_times", *events) if row["definition"] == "standard"]
    common = {"definition": "standard", "definition_version": 1, "channel": "chat"}
    nobody = {"closed": 0, "abandoned": 0, "open": 0}
    assert [row for row in found if row["measure"] != "resolution"] == [
        common
        | nobody
        | {"measure": "first_response", "day": date(2025, 6, 10), "waits": 1, "answered": 1}
        | {"p50_s": 60, "p90_s": 60, "target_s": 60, "within_target": 1},
        common
        | {"measure": "next_response", "day": date(2025, 6, 11), "waits": 4, "answered": 1}
        | {"closed": 1, "abandoned": 1, "open": 1}
        | {"p50_s": 61, "p90_s": 61, "target_s": 60, "within_target": 0},
    ]
    [solved] = [row for row in found if row["measure"] == "resolution" and row["day"] == date(2025, 6, 10)]
    assert solved == common | nobody | {
        "measure": "resolution",
        "day": date(2025, 6, 10),
        "waits": 1,
        "answered": 1,
        "p50_s": 32_490,
        "p90_s": 32_490,
        "target_s": None,
        "within_target": 0,
    }


def test_the_median_of_an_even_number_of_waits_is_the_lower_one():
    events = []
    for number, seconds in enumerate([10, 20, 30, 40]):
        visitor, thread = f"visitor:v{number}", f"c{number}"
        events += [
            happened("chat message.received", "06-10 09:00:00", visitor, conversation_ref=thread),
            happened("chat message.sent", f"06-10 09:00:{seconds}", visitor, conversation_ref=thread),
        ]
    times = row(view("response_times", *events), definition="standard", measure="first_response")
    assert part(times, "p50_s", "p90_s") == {"p50_s": 20, "p90_s": 40}


def surveyed(when, who, score, kind="nps", scale_max=10, **fields):
    survey = Survey(kind=kind, score=score, scale_max=scale_max)
    return happened("email survey.answered", when, who, survey=survey, **fields)


def test_only_the_newest_answer_about_one_thing_counts():
    events = (
        surveyed("06-10 09:00", ADA, 0, message_ref="m1"),
        surveyed("06-11 09:00", ADA, 9, message_ref="m1"),
        surveyed("06-11 09:00", BOB, 6, message_ref="m1"),
        surveyed("06-11 09:00", ADA, 7, conversation_ref="c1"),
        surveyed("06-11 09:00", ADA, 5, kind="nps", scale_max=5),
    )
    assert view("satisfaction", *events) == [
        {
            "channel": "email",
            "day": date(2025, 6, 11),
            "kind": "nps",
            "answers": 4,
            "score_sum": 27,
            "scale_max": 10,
            "average": 6.75,
            "satisfied": 0,
            "dissatisfied": 0,
            "promoters": 1,
            "detractors": 1,
            "nps": 0,
            "tied": 0,
            "crossed": 0,
            "first_response_p50_s": None,
        }
    ]


def test_a_half_is_rounded_away_from_zero():
    eighths = [surveyed("06-10 09:00", f"email:p{n}@example.org", 6 if n == 0 else 7) for n in range(8)]
    found = row(view("satisfaction", *eighths))
    assert part(found, "nps", "average") == {"nps": -13, "average": 6.88}
