"""What we sent and what was told of it: the oracle's interactions, timeline and items."""

from schemas.models import Statement
from tests.oracle.writing import ADA, ADAS_PHONE, BOB, at, conversation, customer, happened, part, row, view


def mail(verb, when, **fields):
    direction = "report" if verb != "message.sent" else "outbound"
    return happened(f"email {verb}", when, ADA, **{"direction": direction, "message_ref": "m1", **fields})


def test_the_steps_of_an_item_come_in_any_order():
    events = (
        mail("message.opened", "06-10 09:05"),
        mail("message.opened", "06-10 09:06", machine=True),
        mail("message.opened", "06-10 09:04"),
        mail("message.sent", "06-10 09:10", content_type="news", summary="Our news"),
        happened("email message.received", "06-11 09:00", ADA, message_ref="m2", answers_ref="m1", summary="Thanks"),
    )
    assert view("items", *events) == [
        {
            "message_ref": "m1",
            "contact_point": ADA,
            "contact_point_id": customer(ADA),
            "customer_id": customer(ADA),
            "channel": "email",
            "content_type": "news",
            "purpose": None,
            "summary": "Our news",
            "created_at": None,
            "sent_at": at("06-10 09:10"),
            "delivered_at": None,
            "delivery_basis": None,
            "opened_at": at("06-10 09:04"),
            "clicked_at": None,
            "answered_at": at("06-11 09:00"),
            "paid_at": None,
            "returned_at": None,
            "failed_at": None,
            "delivered_s": None,
            "opened_s": 0,
            "clicked_s": None,
            "answered_s": 23 * 3600 + 50 * 60,
            "paid_s": None,
            "opens": 2,
            "engagement": 10,
            "furthest": "answered",
        }
    ]


def test_a_bounce_ends_an_item_unless_something_arrived_at_or_after_it():
    sent, bounced = mail("message.sent", "06-10 09:00"), mail("message.bounced", "06-10 09:05", bounce_class="hard")
    before, same_time = mail("message.delivered", "06-10 09:04"), mail("message.delivered", "06-10 09:05")
    soft = mail("message.bounced", "06-10 09:05", bounce_class="soft")
    assert row(view("items", sent, bounced, before))["furthest"] == "failed"
    assert row(view("items", sent, bounced, same_time))["furthest"] == "delivered"
    assert row(view("items", sent, soft))["furthest"] == "sent"


def letter(verb, when, **fields):
    direction = "outbound" if verb == "item.posted" else "report"
    return happened(f"post {verb}", when, HOME, **{"direction": direction, "message_ref": "p1", **fields})


HOME = "postal:SE|11122|STOCKHOLM|STORGATAN 1"


def test_what_the_calendar_delivered_loses_to_a_letter_that_came_back():
    posted, returned = letter("item.posted", "06-10 09:00"), letter("item.returned", "06-11 09:00")
    estimated = letter("item.delivered", "06-12 09:00", delivery_basis="estimated")
    scanned = letter("item.delivered", "06-12 10:00", delivery_basis="scan")
    assert part(row(view("items", posted, returned, estimated)), "furthest", "delivery_basis", "delivered_s") == {
        "furthest": "returned",
        "delivery_basis": "estimated",
        "delivered_s": 2 * 86_400,
    }
    assert part(row(view("items", posted, returned, estimated, scanned)), "furthest", "delivery_basis") == {
        "furthest": "delivered",
        "delivery_basis": "scan",
    }


def test_an_invoice_its_reminders_and_its_payment_are_one_row():
    about = {"case_refs": ("invoice:9001",), "content_type": "invoices"}
    events = (
        letter("item.created", "06-01 09:00", message_ref="p1", **about),
        letter("item.posted", "06-02 09:00", message_ref="p1", **about),
        mail("message.delivered", "06-08 09:00", message_ref="r1", **about),
        mail("message.opened", "06-08 09:30", message_ref="r1", **about),
        mail("message.sent", "06-08 10:00", message_ref="about it", **{**about, "content_type": "service"}),
        happened("post invoice.paid", "06-10 09:00", ADAS_PHONE, message_ref="9001", **about),
        mail("message.sent", "06-11 09:00", message_ref="r2", **about),
    )
    assert view("invoices", *events) == [
        {
            "invoice": "9001",
            "customer_id": customer(HOME),
            "contact_point": HOME,
            "channel": "post",
            "sent_at": at("06-02 09:00"),
            "reminders": 1,
            "reminded_at": at("06-08 09:00"),
            "reminded_through": "email",
            "paid_at": at("06-10 09:00"),
            "paid_s": 8 * 86_400,
            "paid_after_reminder_s": 2 * 86_400,
        }
    ]
    assert part(row(view("invoices", events[5])), "contact_point", "channel", "paid_s") == {
        "contact_point": ADAS_PHONE,
        "channel": None,
        "paid_s": None,
    }


def test_the_channel_of_an_item_is_that_of_its_first_event():
    text = happened("chat message.sent", "06-10 09:00", ADAS_PHONE, message_ref="m1")
    call = happened("phone call.initiated", "06-11 09:00", ADAS_PHONE, message_ref="m1")
    assert row(view("items", call, text))["channel"] == "chat"


def test_an_answer_to_something_unknown_is_no_item():
    assert view("items", happened("email message.received", "06-10 09:00", ADA, answers_ref="m1")) == []


def test_one_message_to_two_people_is_two_items():
    events = (mail("message.sent", "06-10 09:00"), happened("email message.sent", "06-10 09:00", BOB, message_ref="m1"))
    assert {row["contact_point"] for row in view("items", *events)} == {ADA, BOB}


def test_a_reaction_shows_that_the_item_was_seen():
    handle = "social:x:touchlog:1"
    events = (
        happened("social reply.published", "06-10 09:00", handle, message_ref="r1"),
        happened("social reaction.added", "06-10 09:05", handle, message_ref="r1"),
    )
    assert part(row(view("items", *events)), "furthest", "engagement") == {"furthest": "opened", "engagement": 2}


def test_an_item_that_was_never_seen_to_be_sent_stands_in_the_timeline_once():
    events = (
        happened("post item.created", "06-10 09:00", "postal:SE|11122|STOCKHOLM|STORGATAN 1", message_ref="letter"),
        happened(
            "post item.delivered",
            "06-12 09:00",
            "postal:SE|11122|STOCKHOLM|STORGATAN 1",
            message_ref="letter",
            direction="report",
            content_type="invoices",
            summary="Invoice",
        ),
    )
    assert view("timeline", *events) == [
        {
            "customer_id": customer("postal:SE|11122|STOCKHOLM|STORGATAN 1"),
            "occurred_at": at("06-10 09:00"),
            "channel": "post",
            "type": "item",
            "direction": "outbound",
            "contact_point": "postal:SE|11122|STOCKHOLM|STORGATAN 1",
            "conversation_id": None,
            "content_type": "invoices",
            "topic": None,
            "agent": None,
            "author": None,
            "summary": "Invoice",
            "outcome": None,
            "message_ref": "letter",
            "event_id": None,
        }
    ]
    assert view("timeline", events[0]) == []


def test_a_touchpoint_stands_in_the_timeline_and_a_report_does_not():
    sent = mail("message.sent", "06-10 09:00", summary="Our news", author="template", agent="agent-1")
    rows = view(
        "timeline", sent, mail("message.delivered", "06-10 09:01"), mail("link.clicked", "06-10 09:02", machine=True)
    )
    assert rows == [
        {
            "customer_id": customer(ADA),
            "occurred_at": at("06-10 09:00"),
            "channel": "email",
            "type": "message.sent",
            "direction": "outbound",
            "contact_point": ADA,
            "conversation_id": None,
            "content_type": None,
            "topic": None,
            "agent": "agent-1",
            "author": "template",
            "summary": "Our news",
            "outcome": None,
            "message_ref": "m1",
            "event_id": str(sent.event_id),
        }
    ]


def test_an_interaction_keeps_every_field():
    event = happened(
        "email message.bounced",
        "06-10 09:00",
        ADA,
        direction="report",
        message_ref="m1",
        case_refs=("B", "A"),
        statement=Statement(kind="pause", until=at("06-20 09:00")),
        attributes={'quo"te': "back\\slash"},
        bounce_class="block",
        subject="",
    )
    assert view("interactions", event) == [
        {
            "event_id": str(event.event_id),
            "channel": "email",
            "type": "message.bounced",
            "occurred_at": at("06-10 09:00"),
            "source": "test",
            "source_event_id": None,
            "direction": "report",
            "customer_id": customer(ADA),
            "contact_point": ADA,
            "contact_point_id": customer(ADA),
            "contact_points": [
                {
                    "kind": "email",
                    "value": "ada@example.org",
                    "assurance": "asserted",
                    "role": "self",
                    "normalised": True,
                }
            ],
            "conversation_id": conversation("case:A"),
            "conversation_ref": None,
            "message_ref": "m1",
            "answers_ref": None,
            "read_up_to": None,
            "case_refs": ["B", "A"],
            "content_type": None,
            "purpose": None,
            "topic": None,
            "author": None,
            "machine": None,
            "agent": None,
            "promised_at": None,
            "statement": {
                "kind": "pause",
                "until": at("06-20 09:00"),
            },
            "survey": None,
            "summary": None,
            "attributes": {'quo"te': "back\\slash"},
            "details": {"bounce_class": "block", "subject": ""},
            "outcome": "block",
        }
    ]
