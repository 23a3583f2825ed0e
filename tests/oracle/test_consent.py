"""What may be sent, and where it is read: the oracle's consent and channel_preference."""

from uuid import UUID

import pytest

from schemas.models import Statement
from tests.oracle.preference import weight_of
from tests.oracle.writing import (
    ADA,
    ADAS_ACCOUNT,
    ADAS_PHONE,
    BOBS_ACCOUNT,
    NOW,
    at,
    customer,
    happened,
    part,
    row,
    view,
)
from tests.villages import point


def stated(when, kind, *points, content_type="news", channel="email", about=None, until=None, **fields):
    statement = Statement(kind=kind, content_type=content_type, channel=channel, about=about, until=until)
    return happened("phone preference.stated", when, *points, statement=statement, **fields)


def test_the_newest_statement_holds():
    out, back_in = stated("06-10 09:00", "opt_out", ADAS_PHONE), stated("06-11 09:00", "opt_in", ADAS_PHONE)
    assert view("consent", back_in, out) == [
        {
            "customer_id": customer(ADAS_PHONE),
            "contact_point": None,
            "content_type": "news",
            "channel": "email",
            "stated": "opt_in",
            "since": at("06-11 09:00"),
            "until": None,
            "stated_through": "phone",
            "event_id": str(back_in.event_id),
            "allowed": True,
        }
    ]


def test_at_equal_times_the_more_restrictive_holds_and_then_the_larger_event_id():
    def said(kind, number):
        return stated("06-10 09:00", kind, ADAS_PHONE, event_id=UUID(int=number))

    kinds = ["do_not_contact", "opt_out", "pause", "opt_in"]
    for place, kind in enumerate(kinds):
        weaker = [said(other, 1000 + number) for number, other in enumerate(kinds[place:])]
        assert row(view("consent", *weaker))["stated"] == kind
    assert row(view("consent", said("pause", 901), said("pause", 900)))["event_id"] == str(UUID(int=901))


def test_a_statement_that_names_no_content_type_and_no_channel_is_about_all():
    rows = view("consent", stated("06-10 09:00", "do_not_contact", ADAS_PHONE, content_type=None, channel=None))
    assert len({(row["content_type"], row["channel"]) for row in rows}) == len(rows) == 20


def test_an_opt_in_counts_only_when_the_customer_made_it():
    assert view("consent", stated("06-10 09:00", "opt_in", ADAS_PHONE, direction="outbound")) == []
    assert view("consent", happened("email subscription.opted_in", "06-10 09:00", ADA, direction="report")) == []
    withdrawn = happened("email message.complaint_withdrawn", "06-10 09:00", ADA, direction="report")
    assert {row["stated"] for row in view("consent", withdrawn)} == {"opt_in"}


@pytest.mark.parametrize(
    ("event_type", "content_type", "expected"),
    [
        ("message.complained", "service", {("news", "opt_out"), ("offers", "opt_out")}),
        ("subscription.opted_out", None, {("news", "opt_out"), ("offers", "opt_out")}),
        ("subscription.opted_out", "service", {("service", "opt_out")}),
        ("subscription.opted_in", "offers", {("offers", "opt_in")}),
    ],
)
def test_some_types_imply_a_statement_about_mail(event_type, content_type, expected):
    rows = view("consent", happened(f"email {event_type}", "06-10 09:00", ADA, content_type=content_type))
    assert {(row["content_type"], row["stated"]) for row in rows} == expected
    assert {row["channel"] for row in rows} == {"email"}


def test_a_pause_is_over_when_its_time_has_come():
    def allowed(until):
        return row(view("consent", stated("06-10 09:00", "pause", ADAS_PHONE, until=until)))["allowed"]

    assert [allowed(None), allowed(at("06-15 12:00:00.000001")), allowed(NOW)] == [False, False, True]


def test_a_statement_is_bound_to_what_it_is_about_or_to_a_shared_or_anonymous_point():
    about = stated("06-10 09:00", "opt_out", ADAS_PHONE, about=ADA)
    anonymous = stated("06-10 09:00", "opt_out", "anonymous:call-1")
    person = stated("06-10 09:00", "opt_out", ADAS_PHONE, "anonymous:call-2")
    shared = stated("06-10 09:00", "opt_out", "phone:+46800000000")
    makes_it_shared = [
        happened("phone caller.verified", "06-10 09:00", "phone:+46800000000", account)
        for account in (ADAS_ACCOUNT, BOBS_ACCOUNT)
    ]
    rows = view("consent", about, anonymous, person, shared, *makes_it_shared)
    assert {(row["customer_id"], row["contact_point"]) for row in rows} == {
        (customer(ADA), ADA),
        (customer(ADAS_PHONE), None),
        (customer("anonymous:call-1"), "anonymous:call-1"),
        (customer("phone:+46800000000"), "phone:+46800000000"),
    }


def preference(*events, content_type="news", now=NOW):
    return [row for row in view("channel_preference", *events, now=now) if row["content_type"] == content_type]


def known(*points, when="06-01 09:00"):
    return happened("phone caller.verified", when, *points)


def test_without_any_sign_the_organisations_order_holds_for_the_channels_that_can_be_used():
    rows = preference(known(ADAS_PHONE, ADA, "visitor:v1", "social:x:touchlog:1"))
    assert [(row["channel"], row["rank"], row["basis"], row["score"]) for row in rows] == [
        ("email", 1, "default", 0),
        ("phone", 2, "default", 0),
        ("chat", 3, "default", 0),
        ("social", 4, "default", 0),
    ]
    assert rows[0] == {
        "customer_id": row(view("customers", known(ADAS_PHONE, ADA)))["customer_id"],
        "content_type": "news",
        "channel": "email",
        "rank": 1,
        "contact_point": ADA,
        "basis": "default",
        "score": 0,
        "delivered": 0,
        "engaged": 0,
        "reason": "email for news: the organisation's default",
    }


def test_a_refusal_beats_a_wish_and_do_not_contact_leaves_invoices_by_post():
    home = "postal:SE|11122|STOCKHOLM|STORGATAN 1"
    events = (
        known(ADAS_PHONE, ADA, home),
        stated("06-09 09:00", "do_not_contact", ADAS_PHONE, content_type=None, channel=None),
        stated("06-10 09:00", "prefer", ADAS_PHONE, content_type=None, channel="email"),
    )
    assert {row["basis"] for row in preference(*events)} == {"legal"}
    assert preference(*events)[0]["reason"] == "email for news: do_not_contact through phone on 2025-06-09"
    invoices = preference(*events, content_type="invoices")
    assert {row["channel"]: row["rank"] for row in invoices} == {"email": None, "post": 1, "phone": None}


def test_a_refusal_about_another_address_forbids_nothing_here():
    refused = stated("06-10 09:00", "opt_out", ADAS_PHONE, about="email:old@example.org")
    rows = preference(known(ADAS_PHONE, ADA), refused)
    assert row(rows, channel="email")["basis"] == "default"
    about_this = stated("06-10 09:00", "opt_out", ADAS_PHONE, about=ADA)
    assert row(preference(known(ADAS_PHONE, ADA), about_this), channel="email")["basis"] == "legal"


def test_when_the_person_and_the_address_are_both_refused_the_person_is_named():
    person = stated("06-09 09:00", "opt_out", ADAS_PHONE)
    address = stated("06-10 09:00", "do_not_contact", ADAS_PHONE, about=ADA)
    reason = row(preference(known(ADAS_PHONE, ADA), person, address), channel="email")["reason"]
    assert reason == "email for news: opt_out through phone on 2025-06-09"


def test_the_wish_that_names_the_content_type_beats_a_newer_one_that_names_none():
    events = (
        known(ADAS_PHONE, ADA),
        stated("06-09 09:00", "prefer", ADAS_PHONE, content_type="news", channel="phone"),
        stated("06-10 09:00", "prefer", ADAS_PHONE, content_type=None, channel="email"),
    )
    news = row(preference(*events), rank=1)
    assert part(news, "channel", "basis", "reason") == {
        "channel": "phone",
        "basis": "stated",
        "reason": "phone for news: stated through phone on 2025-06-09",
    }
    assert row(preference(*events, content_type="offers"), rank=1)["channel"] == "email"


def test_of_several_addresses_the_reachable_one_then_the_last_seen_is_taken():
    old, new, dead = "email:old@example.org", "email:new@example.org", "email:dead@example.org"
    events = [
        known(ADAS_ACCOUNT, old, when="06-01 09:00"),
        known(ADAS_ACCOUNT, new, when="06-02 09:00"),
        known(ADAS_ACCOUNT, dead, when="06-03 09:00"),
        happened("email message.bounced", "06-04 09:00", dead, direction="report", bounce_class="hard"),
    ]
    assert row(preference(*events), channel="email")["contact_point"] == new
    only_the_dead = [known(dead, ADAS_ACCOUNT, when="06-03 09:00"), events[-1]]
    assert part(row(preference(*only_the_dead), channel="email"), "rank", "basis", "reason") == {
        "rank": None,
        "basis": "unreachable",
        "reason": "email for news: message.bounced (hard) on 2025-06-04",
    }


def test_what_somebody_responds_to_is_inferred_from_three_items_on_two_channels():
    handle = "social:x:touchlog:1"

    def sent(what, who, reference, when="06-05 09:00"):
        return happened(what, when, who, message_ref=reference, content_type="news")

    events = [
        known(ADA, handle),
        sent("email message.sent", ADA, "m1"),
        sent("email message.sent", ADA, "m2", when="2024-12-31 09:00"),
        sent("social dm.sent", handle, "m3"),
        happened("social dm.read", "06-05 10:00", handle, message_ref="m3"),
        sent("email message.sent", ADA, "too old", when="2023-05-31 09:00"),
        sent("email message.sent", ADA, "failed"),
        happened(
            "email message.bounced", "06-05 09:00", ADA, message_ref="failed", direction="report", bounce_class="block"
        ),
        happened("email message.received", "06-06 09:00", ADA),
    ]
    rows = preference(*events)
    # E-mail weighs 1024 + 512 and nothing came of it; the message weighs 1024 and was read (2 of 10).
    assert [part(row, "channel", "rank", "basis", "score", "delivered", "engaged", "reason") for row in rows] == [
        {
            "channel": "email",
            "rank": 2,
            "basis": "default",
            "score": round(4096 / (15360 + 20480), 4),
            "delivered": 2,
            "engaged": 0,
            "reason": "email for news: the organisation's default",
        },
        {
            "channel": "social",
            "rank": 1,
            "basis": "inferred",
            "score": round((2048 + 4096) / (10240 + 20480), 4),
            "delivered": 1,
            "engaged": 1,
            "reason": "social for news: responded to 1 of 1",
        },
    ]
    two_items = [event for event in events if event.message_ref != "m2"]
    assert {row["basis"] for row in preference(*two_items)} == {"default"}


def test_a_claimed_point_is_another_customer_and_an_unnormalised_one_is_never_proposed():
    events = (known(ADAS_PHONE, point(ADA, assurance="claimed"), point("email:Ada at Example", normalised=False)),)
    assert {(row["channel"], row["contact_point"]) for row in preference(*events)} == {
        ("phone", ADAS_PHONE),
        ("email", ADA),
    }


def test_the_weight_of_an_item_halves_in_six_months():
    assert [weight_of(months) for months in (0, 1, 6, 12, 13, 24)] == [1024, 912, 512, 256, 228, 64]


def test_what_counts_for_the_inference_is_when_an_item_first_showed_within_24_months():
    def delivered(reference, *steps):
        fields = {"direction": "report", "message_ref": reference, "content_type": "news"}
        events = [happened(f"email {verb}", when, ADA, **fields) for verb, when in steps]
        return row(preference(*events), channel="email")["delivered"]

    assert delivered("24 months", ("message.delivered", "2023-06-01 00:00")) == 1
    assert delivered("25 months", ("message.delivered", "2023-05-31 23:59:59")) == 0
    assert delivered("opened late", ("message.delivered", "2023-05-31 09:00"), ("message.opened", "06-10 09:00")) == 0
    assert delivered("only created", ("message.queued", "06-10 09:00")) == 0
