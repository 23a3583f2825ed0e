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

    kinds = ["do_not_contact", "opt_out", "opt_in"]
    for place, kind in enumerate(kinds):
        weaker = [said(other, 1000 + number) for number, other in enumerate(kinds[place:])]
        assert row(view("consent", *weaker))["stated"] == kind
    assert row(view("consent", said("opt_in", 1), said("pause", 2)))["stated"] == "pause"
    assert row(view("consent", said("pause", 901), said("pause", 900)))["event_id"] == str(UUID(int=901))


def test_a_statement_that_names_no_content_type_and_no_channel_is_about_all():
    def places(kind):
        rows = view("consent", stated("06-10 09:00", kind, ADAS_PHONE, content_type=None, channel=None))
        assert len({(row["content_type"], row["channel"]) for row in rows}) == len(rows)
        return {(row["content_type"], row["channel"]) for row in rows}

    assert len(places("opt_out")) == 20
    assert places("opt_out") - places("do_not_contact") == {("invoices", "post")}


def test_an_opt_in_counts_only_when_the_customer_made_it():
    assert view("consent", stated("06-10 09:00", "opt_in", ADAS_PHONE, direction="outbound")) == []
    assert view("consent", happened("email subscription.opted_in", "06-10 09:00", ADA, direction="report")) == []
    typed = happened("email subscription.opted_in", "06-10 09:00", point(ADA, assurance="claimed"))
    assert view("consent", typed) == []
    another = stated("06-10 09:00", "opt_in", ADAS_PHONE, about="email:bob@example.org")
    assert view("consent", another) == []


def test_a_complaint_that_was_taken_back_later_was_never_made():
    def said(*events):
        return {(row["content_type"], row["stated"]) for row in view("consent", *events)}

    before = happened("email subscription.opted_out", "06-09 09:00", ADA, content_type="offers")
    complaint = happened("email message.complained", "06-10 09:00", ADA)
    taken_back, at_once = (
        happened("email message.complaint_withdrawn", when, ADA, direction="report")
        for when in ("06-11 09:00", "06-10 09:00")
    )
    of_news = happened("email message.complaint_withdrawn", "06-11 09:00", ADA, content_type="news")
    assert said(taken_back) == set()
    assert said(before, complaint, taken_back) == {("offers", "opt_out")}
    assert said(complaint, at_once) == {("news", "opt_out"), ("offers", "opt_out")}
    assert said(complaint, of_news) == {("offers", "opt_out")}


def test_a_pause_reopens_nothing_and_is_over_with_a_later_opt_in():
    out, back_in = stated("06-09 09:00", "opt_out", ADAS_PHONE), stated("06-11 09:00", "opt_in", ADAS_PHONE)
    over, runs = (stated("06-10 09:00", "pause", ADAS_PHONE, until=until) for until in (at("06-12 09:00"), None))

    def holds(*events):
        return tuple(part(row(view("consent", *events)), "stated", "allowed").values())

    assert holds(out, over) == holds(out, runs) == ("opt_out", False)
    assert holds(out, runs, back_in) == ("opt_in", True)
    earlier = stated("06-09 09:00", "opt_in", ADAS_PHONE)
    assert holds(earlier, runs) == ("pause", False)
    assert holds(earlier, over) == ("opt_in", True)
    assert holds(over) == ("pause", True)


@pytest.mark.parametrize(
    ("event_type", "content_type", "expected"),
    [
        ("message.complained", "service", {("service", "opt_out")}),
        ("message.complained", None, {("news", "opt_out"), ("offers", "opt_out")}),
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
    rows = preference(known(ADAS_PHONE, ADA, "visitor:v1", "social:x:touchlog:1"), content_type="service")
    assert [(row["channel"], row["rank"], row["basis"], row["score"]) for row in rows] == [
        ("email", 1, "default", 0),
        ("phone", 2, "default", 0),
        ("chat", 3, "default", 0),
        ("social", 4, "default", 0),
    ]
    assert rows[0] == {
        "customer_id": row(view("customers", known(ADAS_PHONE, ADA)))["customer_id"],
        "content_type": "service",
        "channel": "email",
        "rank": 1,
        "contact_point": ADA,
        "basis": "default",
        "score": 0,
        "delivered": 0,
        "engaged": 0,
        "reason": "email for service: the organisation's default",
    }


def test_a_refusal_beats_a_wish_and_do_not_contact_leaves_invoices_by_post():
    home = "postal:SE|11122|STOCKHOLM|STORGATAN 1"
    events = (
        known(ADAS_PHONE, ADA, home),
        stated("06-09 09:00", "do_not_contact", ADAS_PHONE, content_type=None, channel=None),
        stated("06-10 09:00", "prefer", ADAS_PHONE, content_type=None, channel="email"),
    )
    assert {row["basis"] for row in preference(*events)} == {"legal"}
    reason = "email for news: not to be contacted, said through phone on 2025-06-09"
    assert preference(*events)[0]["reason"] == reason
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
    assert reason == "email for news: opted out, said through phone on 2025-06-09"


def test_the_wish_that_names_the_content_type_beats_a_newer_one_that_names_none():
    events = (
        known(ADAS_PHONE, ADA),
        stated("06-09 09:00", "prefer", ADAS_PHONE, content_type="service", channel="phone"),
        stated("06-10 09:00", "prefer", ADAS_PHONE, content_type=None, channel="email"),
    )
    service = row(preference(*events, content_type="service"), rank=1)
    assert part(service, "channel", "basis", "reason") == {
        "channel": "phone",
        "basis": "stated",
        "reason": "phone for service: stated through phone on 2025-06-09",
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
        "reason": "email for news: mail bounced (hard) on 2025-06-04",
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
            "reason": "social for news: responded to 1 of 1 since 2025-06-05",
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


def test_nobody_is_courted_where_it_is_not_clear_whom_it_reaches_or_consent_is_wanted():
    shared = [known("email:family@example.org", account) for account in (ADAS_ACCOUNT, BOBS_ACCOUNT)]
    claimed = known(point(ADA, assurance="claimed"))
    events = (*shared, claimed, known(ADAS_PHONE))

    def told(content_type):
        rows = preference(*events, content_type=content_type)
        return {(row["contact_point"], row["rank"], row["basis"], row["reason"].partition(": ")[2]) for row in rows}

    assert told("offers") == {
        ("email:family@example.org", None, "unclear", "shared with others"),
        (ADA, None, "unclear", "only claimed"),
        (ADAS_PHONE, None, "no_opt_in", "no opt-in"),
    }
    assert {(rank, basis) for _, rank, basis, _ in told("service")} == {(1, "default")}
    asked = stated("06-10 09:00", "opt_in", ADAS_PHONE, channel="phone")
    assert row(preference(*events, asked), contact_point=ADAS_PHONE)["rank"] == 1


def test_an_opt_in_for_one_address_made_later_is_an_exception_from_what_the_person_refused():
    other = "email:other@example.org"
    events = [known(ADAS_ACCOUNT, ADA), known(ADAS_ACCOUNT, other, when="06-02 09:00")]
    refused = stated("06-09 09:00", "opt_out", ADAS_ACCOUNT)

    def rank_with(when):
        excepted = stated(when, "opt_in", ADAS_ACCOUNT, about=ADA)
        return part(row(preference(*events, refused, excepted), channel="email"), "contact_point", "rank")

    assert rank_with("06-10 09:00") == {"contact_point": ADA, "rank": 1}
    assert rank_with("06-08 09:00") == {"contact_point": other, "rank": None}


def test_of_several_addresses_the_one_that_may_be_used_then_the_one_wished_for_is_taken():
    old, new = "email:old@example.org", "email:new@example.org"
    events = [known(ADAS_ACCOUNT, old, when="06-01 09:00"), known(ADAS_ACCOUNT, new, when="06-02 09:00")]
    wish = stated("06-03 09:00", "prefer", ADAS_ACCOUNT, about=old)
    refused = stated("06-04 09:00", "opt_out", ADAS_ACCOUNT, about=old)
    assert row(preference(*events, wish), channel="email")["contact_point"] == old
    assert row(preference(*events, wish, refused), channel="email")["contact_point"] == new


def test_everybody_is_in_the_audience_or_left_out_with_the_reason():
    rows = [
        row
        for row in view(
            "audience",
            known(ADAS_ACCOUNT, ADA, ADAS_PHONE),
            known(BOBS_ACCOUNT),
            stated("06-09 09:00", "opt_out", ADAS_ACCOUNT, content_type="offers"),
            known("anonymous:call-1"),
        )
        if row["content_type"] == "offers"
    ]
    ada = row(view("customers", known(ADAS_ACCOUNT, ADA, ADAS_PHONE)))["customer_id"]
    assert sorted(rows, key=lambda row: row["basis"]) == [
        {
            "content_type": "offers", "customer_id": ada, "channel": None, "contact_point": None, "basis": "legal",
            "reason": "no offers: email opted out, said through phone on 2025-06-09; phone no opt-in; "
            "no contact point for post, chat, social", "not_before": None,
        },
        {
            "content_type": "offers", "customer_id": customer(BOBS_ACCOUNT), "channel": None, "contact_point": None,
            "basis": "no_contact_point", "reason": "no offers: no contact point for email, post, phone, chat, social",
            "not_before": None,
        },
    ]  # fmt: skip


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
