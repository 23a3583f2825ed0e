"""Who is who: the oracle's customers, contact points and cards."""

from schemas.models import ContactPoint
from tests.oracle.writing import (
    ADA,
    ADAS_ACCOUNT,
    ADAS_PHONE,
    BOB,
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


def customers_of(*events):
    return {row["contact_point"]: row["customer_id"] for row in view("contact_points", *events)}


def test_two_points_of_one_event_are_one_person_named_by_the_point_seen_first():
    found = customers_of(
        happened("phone call.offered", "06-10 09:00", ADAS_PHONE),
        happened("email message.received", "06-11 09:00", ADA),
        happened("phone caller.verified", "06-12 09:00", ADAS_PHONE, ADA),
    )
    assert found == {ADA: customer(ADAS_PHONE), ADAS_PHONE: customer(ADAS_PHONE)}


def test_of_points_seen_at_one_time_the_smallest_key_names_the_customer():
    found = customers_of(happened("phone caller.verified", "06-11 09:00", ADAS_PHONE, ADA, ADAS_ACCOUNT))
    assert set(found.values()) == {customer(ADAS_ACCOUNT)}


def test_a_claim_a_copy_a_blocked_or_unnormalised_value_and_a_second_account_join_nobody():
    beside = [
        point(BOB, assurance="claimed"),
        point(BOB, role="cc"),
        point("email:noreply@example.org"),
        point("phone:ring me", normalised=False),
        point("anonymous:call-1"),
    ]
    for other in beside:
        found = customers_of(happened("email message.received", "06-10 09:00", ADA, other))
        assert len(set(found.values())) == len(found), other.key
    accounts = customers_of(happened("chat visitor.identified", "06-10 09:00", ADAS_ACCOUNT, BOBS_ACCOUNT))
    assert accounts == {ADAS_ACCOUNT: customer(ADAS_ACCOUNT), BOBS_ACCOUNT: customer(BOBS_ACCOUNT)}


def test_the_newest_statement_about_a_pair_counts_and_retracting_leaves_evidence_standing():
    asserted = happened("identity link.asserted", "06-10 09:00", ADA, BOB)
    retracted = happened("identity link.retracted", "06-11 09:00", ADA, BOB)
    evidence = happened("phone caller.verified", "06-12 09:00", ADA, BOB)
    assert len(set(customers_of(asserted).values())) == 1
    assert len(set(customers_of(asserted, retracted).values())) == 2
    assert len(set(customers_of(asserted, retracted, evidence).values())) == 1


def test_a_forbidden_pair_stays_apart_whatever_the_evidence_also_when_asserted_at_the_same_time():
    evidence = happened("phone caller.verified", "06-12 09:00", ADA, BOB)
    forbidden = happened("identity link.forbidden", "06-11 09:00", ADA, BOB)
    asserted = happened("identity link.asserted", "06-11 09:00", BOB, ADA)
    assert len(set(customers_of(evidence, forbidden, asserted).values())) == 2
    allowed_again = happened("identity link.asserted", "06-11 09:01", BOB, ADA)
    assert len(set(customers_of(evidence, forbidden, allowed_again).values())) == 1


def test_a_family_address_with_two_accounts_is_shared_and_joins_nobody():
    family = "email:family@example.org"
    events = (
        happened("email message.received", "06-10 09:00", family, ADAS_ACCOUNT),
        happened("email message.received", "06-11 09:00", family, BOBS_ACCOUNT),
        happened("phone caller.verified", "06-11 09:00", ADAS_PHONE, ADAS_ACCOUNT),
    )
    rows = view("contact_points", *events)
    assert {row["contact_point"] for row in rows if row["shared"]} == {family}
    assert {row["contact_point"]: row["customer_id"] for row in rows} == {
        family: customer(family),
        ADAS_ACCOUNT: customer(ADAS_ACCOUNT),
        ADAS_PHONE: customer(ADAS_ACCOUNT),
        BOBS_ACCOUNT: customer(BOBS_ACCOUNT),
    }


def test_a_contact_point_is_unreachable_from_a_hard_bounce_until_something_good_happens_later():
    bounced = happened("email message.bounced", "06-10 09:00", ADA, direction="report", bounce_class="hard")
    same_time = happened("email message.delivered", "06-10 09:00", ADA, direction="report")
    later = happened("email message.delivered", "06-10 09:01", ADA, direction="report")
    assert view("contact_points", bounced, same_time) == [
        {
            "contact_point": ADA,
            "contact_point_id": customer(ADA),
            "kind": "email",
            "value": "ada@example.org",
            "customer_id": customer(ADA),
            "assurance": "asserted",
            "normalised": True,
            "shared": False,
            "first_seen": at("06-10 09:00"),
            "last_seen": at("06-10 09:00"),
            "events": 2,
            "ended_at": None,
            "reachable": False,
            "unreachable_since": at("06-10 09:00"),
            "unreachable_reason": "mail bounced (hard)",
        }
    ]
    assert view("contact_points", bounced, later)[0]["reachable"] is True


def test_a_point_that_was_only_mentioned_has_no_row_and_identity_events_count_as_seen_not_as_events():
    rows = view(
        "contact_points",
        happened(
            "email message.received", "06-10 09:00", point(ADA, assurance="claimed"), point(BOB, role="mentioned")
        ),
        happened("identity contact_point.ended", "06-12 09:00", point(ADA, assurance="attested")),
    )
    assert [part(row, "contact_point", "events", "last_seen", "assurance") for row in rows] == [
        {"contact_point": ADA, "events": 1, "last_seen": at("06-12 09:00"), "assurance": "attested"}
    ]


def test_the_card_of_a_customer():
    events = (
        happened("email message.received", "06-10 09:00", ADA, topic="Delivery", conversation_ref="c1"),
        happened("phone call.queued", "06-11 09:00", ADAS_PHONE, ADA, conversation_ref="c2", topic="billing"),
        happened("phone callback.requested", "06-11 09:05", ADAS_PHONE, ADA, promised_at=at("06-16 09:00")),
        happened("phone callback.attempted", "06-11 09:06", ADAS_PHONE, agent="agent-1", promised_at=NOW),
    )
    assert view("customers", *events) == [
        {
            "customer_id": customer(ADA),
            "contact_points": [ADA, ADAS_PHONE],
            "kinds": ["email", "phone"],
            "first_at": at("06-10 09:00"),
            "last_at": at("06-11 09:06"),
            "touchpoints": 3,
            "email": 1,
            "chat": 0,
            "phone": 2,
            "post": 0,
            "social": 0,
            "open_conversations": 2,
            "waiting_since": at("06-10 09:00"),
            "last_topic": "billing",
            "last_agent": "agent-1",
            "promised_at": at("06-16 09:00"),
            "news_channel": "email",
            "offers_channel": "email",
            "invoices_channel": "email",
            "service_channel": "email",
        }
    ]


def test_somebody_who_is_only_anonymous_has_no_card():
    caller = happened("phone call.queued", "06-11 09:00", "anonymous:call-1")
    assert view("customers", caller) == []
    assert len(view("contact_points", caller)) == 1


def test_topics_are_counted_by_day_and_ranked_by_the_last_year():
    long_ago = [happened("email message.received", f"2023-0{n}-01 09:00", ADA, topic="billing") for n in range(1, 4)]
    events = (
        *long_ago,
        happened("email message.received", "06-10 09:00", ADA, topic=" Delivery"),
        happened("email message.received", "06-10 10:00", ADA, topic="delivery\n"),
        happened("email message.received", "06-10 11:00", ADA, topic="  "),
        happened("email message.sent", "06-10 12:00", ADA, topic="ours"),
    )
    assert sorted(view("topics", *events), key=lambda row: row["rank"]) == [
        {
            "customer_id": customer(ADA),
            "topic": "delivery",
            "days": 1,
            "first_at": at("06-10 09:00"),
            "last_at": at("06-10 10:00"),
            "rank": 1,
        },
        {
            "customer_id": customer(ADA),
            "topic": "billing",
            "days": 3,
            "first_at": at("2023-01-01 09:00"),
            "last_at": at("2023-03-01 09:00"),
            "rank": 2,
        },
    ]


def test_a_point_seen_normalised_once_is_normalised_and_its_strongest_assurance_stays():
    as_given = ContactPoint(kind="email", value="ada@example.org", normalised=False)
    events = (
        happened("email message.received", "06-10 09:00", point(ADA, assurance="attested")),
        happened("email message.received", "06-11 09:00", as_given),
    )
    assert part(row(view("contact_points", *events)), "normalised", "assurance") == {
        "normalised": True,
        "assurance": "attested",
    }


def test_today_is_within_the_last_year_and_so_is_the_same_day_a_year_ago_but_no_day_before_or_to_come():
    def ranked(*days):
        events = [happened("email message.received", f"{day} 09:00", ADA, topic="billing") for day in days]
        rival = [happened("email message.received", f"06-{day} 09:00", ADA, topic="delivery") for day in (13, 14)]
        return row(view("topics", *events, *rival), topic="billing")["rank"]

    assert ranked("2024-06-15", "2025-06-15") == 1
    assert ranked("2024-06-14", "2025-06-15") == 2
    assert ranked("2025-06-15", "2025-06-16") == 2


# --- two accounts


BOBS_PHONE = "phone:+46700000002"


def way(*, attested=()):
    """From Ada's account to Bob's: evidence for every link on the way, one minute after the other."""
    pairs = [(ADAS_ACCOUNT, ADA), (ADA, ADAS_PHONE), (ADAS_PHONE, BOB), (BOB, BOBS_ACCOUNT)]
    return [
        happened(
            "phone caller.verified",
            f"06-10 09:0{place}",
            *(point(key, assurance="attested" if place in attested else "asserted") for key in pair),
        )
        for place, pair in enumerate(pairs)
    ]


def test_a_way_between_two_accounts_is_cut_at_its_weakest_link():
    found = customers_of(*way())
    assert found[ADA] == found[ADAS_PHONE] == found[BOB] == customer(ADAS_ACCOUNT)
    assert found[BOBS_ACCOUNT] == customer(BOBS_ACCOUNT)
    attested = customers_of(*way(attested=[0, 2, 3]))
    assert attested[ADA] == attested[ADAS_ACCOUNT]
    assert attested[ADAS_PHONE] == attested[BOB] == attested[BOBS_ACCOUNT] != attested[ADA]


def test_a_persons_word_is_stronger_than_any_evidence():
    said = happened("identity link.asserted", "06-12 09:00", BOB, BOBS_ACCOUNT)
    found = customers_of(*way(attested=[0, 1, 2]), said)
    assert found[BOB] == found[BOBS_ACCOUNT] != found[ADA]
    # Of the rest the earliest stay: the way is cut at its latest link.
    assert found[ADAS_PHONE] == found[ADA]


def test_what_counts_for_each_pair_and_what_to_review():
    events = [
        *way(),
        happened("identity link.forbidden", "06-13 09:00", ADA, BOB),
        happened("identity link.asserted", "06-12 09:00", ADA, BOB),
        happened("identity link.retracted", "06-13 09:00", ADA, BOBS_PHONE),
    ]
    rows = {(row["one"], row["other"]): row for row in view("identity_links", *events)}
    assert [row["reason"] for row in rows.values()].count(None) == 3
    assert part(rows[ADA, BOB], "verb", "strength", "effective", "reason", "event_id") == {
        "verb": "forbidden", "strength": None, "effective": False, "reason": "forbidden",
        "event_id": str(events[4].event_id),
    }  # fmt: skip
    assert rows[ADA, BOBS_PHONE]["reason"] == "retracted"
    assert part(rows[BOBS_ACCOUNT, BOB], "verb", "strength", "reason", "one_customer_id", "other_customer_id") == {
        "verb": "evidence", "strength": "asserted", "reason": "conflict",
        "one_customer_id": customer(BOBS_ACCOUNT), "other_customer_id": customer(ADAS_ACCOUNT),
    }  # fmt: skip
    assert view("identity_review", *events) == [
        {
            "reason": "conflict", "contact_point": BOBS_ACCOUNT, "other": BOB, "kind": "account", "degree": None,
            "allowed": None, "account": BOBS_ACCOUNT, "other_account": ADAS_ACCOUNT, "strength": "asserted",
            "event_id": str(events[3].event_id), "occurred_at": at("06-10 09:03"),
        }
    ]  # fmt: skip


def test_a_shared_point_is_reviewed_with_its_neighbours_by_kind():
    family = "email:family@example.org"
    events = [
        happened("email message.received", "06-10 09:00", family, ADAS_ACCOUNT),
        happened("email message.received", "06-11 09:00", family, BOBS_ACCOUNT, BOBS_PHONE),
    ]
    rows = [
        part(row, "reason", "contact_point", "kind", "degree", "allowed") for row in view("identity_review", *events)
    ]
    assert sorted(rows, key=lambda row: row["kind"]) == [
        {"reason": "shared", "contact_point": family, "kind": "account", "degree": 2, "allowed": 1},
        {"reason": "shared", "contact_point": family, "kind": "phone", "degree": 1, "allowed": 3},
    ]
    links = view("identity_links", *events)
    assert {row["reason"] for row in links if family in (row["one"], row["other"])} == {"shared"}
    assert row(links, one=BOBS_ACCOUNT, other=BOBS_PHONE)["effective"]


def test_of_evidence_the_strongest_then_the_first_counts():
    def said(*events):
        return part(row(view("identity_links", *events)), "strength", "event_id", "occurred_at")

    weak = happened("phone caller.verified", "06-10 09:00", ADA, point(ADAS_PHONE, assurance="attested"))
    later, strong = (
        happened(
            "phone caller.verified",
            f"06-1{day} 09:00",
            *(point(key, assurance="attested") for key in (ADA, ADAS_PHONE)),
        )
        for day in (2, 1)
    )
    assert said(weak) == {"strength": "asserted", "event_id": str(weak.event_id), "occurred_at": at("06-10 09:00")}
    assert said(later, strong, weak) == {
        "strength": "attested", "event_id": str(strong.event_id), "occurred_at": at("06-11 09:00")
    }  # fmt: skip
