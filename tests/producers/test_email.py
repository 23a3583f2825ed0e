"""E-mail: messages in RFC 5322 form, SendGrid's webhook."""

import io
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from producers.email import sendgrid
from producers.email.messages import message_events
from producers.email.reports import bounce_class
from producers.email.rfc5322 import message_payloads
from producers.email.sendgrid import sendgrid_events
from producers.format import Options
from schemas.errors import InvalidEvent
from schemas.models import Author, BounceClass, Direction, EmailEvent, Role
from tests.producers.golden import OBSERVED_AT, OPTIONS, SAMPLES, events_of, expected, outcome, samples
from tests.producers.mutations import mutated, mutated_bytes
from tests.producers.wire import check_outcome, read_back

MAILS = SAMPLES / "email" / "rfc5322"
RAW_MAILS = [path.read_bytes() for path in sorted(MAILS.iterdir()) if path.suffix == ".eml"]
SENDGRID = SAMPLES / "email" / "sendgrid" / "events.json"
REPORTS = [
    item
    for payload in sendgrid.FORMAT.payloads(io.BytesIO(SENDGRID.read_bytes()), OPTIONS)
    if isinstance(item := payload.content, dict)
]


@pytest.mark.parametrize("path", samples("email"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_gives_the_events_written_beside_it(path: Path) -> None:
    assert outcome(path) == expected(path)


@pytest.mark.parametrize("path", samples("email"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_ids_do_not_depend_on_when_it_was_read(path: Path) -> None:
    later = replace(OPTIONS, observed_at=OBSERVED_AT + timedelta(days=30))
    first, second = events_of(path), events_of(path, later)
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert [read_back(event) for event in first] == first


def cpython_samples() -> list[Path]:
    package = pytest.importorskip("test.test_email", reason="this CPython came without its tests")
    return sorted(Path(os.path.dirname(package.__file__), "data").iterdir())  # noqa: PTH120 - a namespace


@pytest.mark.parametrize("our_domains", [frozenset(), frozenset({"python.org", "example.com"})])
def test_real_and_malformed_mail_becomes_events_or_is_refused_with_a_reason(our_domains: frozenset[str]) -> None:
    options = replace(OPTIONS, our_domains=our_domains)
    found: Counter[str] = Counter()
    for path in cpython_samples():
        with path.open("rb") as stream:
            for payload in message_payloads(stream, options):
                found[check_outcome(message_events, payload.content, options)] += 1
    assert found.total() == len(cpython_samples()) >= 65
    assert found["events"] >= 30
    assert found["refused"] >= 15


def test_a_real_bounce_is_about_those_that_failed() -> None:
    path = next(path for path in cpython_samples() if path.name == "msg_16.txt")
    (event,) = message_events(path.read_bytes(), OPTIONS)
    assert isinstance(event, EmailEvent)
    assert (event.type, event.direction, event.bounce_class) == (
        "message.bounced",
        Direction.REPORT,
        BounceClass.HARD,
    )
    assert event.primary.value == "jangel1@cougar.noc.ucla.edu"
    assert event.message_ref == "<002001c144a6$8752e060$56104586@oxy.edu>"


def mail(body: str = "Hello", **headers: str) -> bytes:
    message = EmailMessage()
    given = {"Message_ID": "<m@example.org>", "Date": "Mon, 02 Mar 2026 09:00:00 +0000", "From": "ada@example.org"}
    for name, value in {**given, "To": "support@acme.example", **headers}.items():
        if value:
            message[name.replace("_", "-")] = value
    message.set_content(body)
    return message.as_bytes()


def only(raw: bytes, options: Options = OPTIONS) -> EmailEvent:
    (event,) = message_events(raw, options)
    assert isinstance(event, EmailEvent)
    return event


@pytest.mark.parametrize(
    ("headers", "type_"),
    [
        ({}, "message.received"),
        ({"Auto_Submitted": "no"}, "message.received"),
        ({"Precedence": "list"}, "message.received"),
        ({"Auto_Submitted": "auto-generated"}, "message.auto_replied"),
        ({"Auto_Submitted": "Auto-Replied (vacation)"}, "message.auto_replied"),
        ({"Precedence": "auto_reply"}, "message.auto_replied"),
        ({"X_Autoreply": "yes"}, "message.auto_replied"),
        ({"X_Autorespond": "yes"}, "message.auto_replied"),
        ({"X_Autoresponder": "1"}, "message.auto_replied"),
        ({"X_POST_MessageClass": "9; Autoresponder"}, "message.auto_replied"),
        ({"Return_Path": "<>"}, "message.auto_replied"),
    ],
)
def test_an_automatic_reply_is_known_by_its_headers(headers: dict[str, str], type_: str) -> None:
    event = only(mail(**headers))
    assert event.type == type_
    assert event.author is (Author.CUSTOMER if type_ == "message.received" else Author.MACHINE)


@pytest.mark.parametrize(
    ("headers", "author", "type_"),
    [
        ({}, Author.HUMAN, "message.sent"),
        ({"List_Unsubscribe": "<https://acme.example/u>"}, Author.TEMPLATE, "message.sent"),
        ({"Precedence": "bulk"}, Author.TEMPLATE, "message.sent"),
        ({"Auto_Submitted": "auto-generated"}, Author.MACHINE, "message.sent"),
        ({"Auto_Submitted": "auto-replied"}, Author.MACHINE, "message.auto_replied"),
    ],
)
def test_who_wrote_our_mail_is_known_by_its_headers(headers: dict[str, str], author: Author, type_: str) -> None:
    event = only(mail(From="Care <Care@mail.acme.example>", To="ada@example.org", **headers))
    assert (event.type, event.direction, event.author) == (type_, Direction.OUTBOUND, author)
    assert event.agent == "care@mail.acme.example"


def test_our_mail_is_sent_to_each_recipient_outside() -> None:
    raw = mail(
        From="support@acme.example", To="ada@example.org, us@acme.example, bo@example.com", Cc="carl@example.com"
    )
    events = list(message_events(raw, OPTIONS))
    assert [event.primary.key for event in events] == ["email:ada@example.org", "email:bo@example.com"]
    for event in events:
        assert [(p.key, p.role) for p in event.contact_points[1:]] == [("email:carl@example.com", Role.CC)]
    assert len({event.event_id for event in events}) == 2
    copied = only(mail(From="support@acme.example", To="us@acme.example", Cc="carl@example.com"))
    assert [(point.key, point.role) for point in copied.contact_points] == [("email:carl@example.com", Role.SELF)]


def test_mail_among_ourselves_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="nobody outside our domains"):
        list(message_events(mail(From="eve@acme.example", To="support@acme.example"), OPTIONS))


def test_a_domain_that_only_ends_like_ours_is_not_ours() -> None:
    assert only(mail(From="ada@notacme.example")).direction is Direction.INBOUND


def test_the_same_mail_in_two_inboxes_is_one_event() -> None:
    one = mail()
    other = b"Received: by mx2.acme.example; Mon, 02 Mar 2026 09:00:09 +0000\nDelivered-To: sales@acme.example\n" + one
    assert only(one).event_id == only(other).event_id


def test_without_any_date_the_mail_stands_where_it_was_seen() -> None:
    event = only(mail(Date="", Message_ID=""))
    assert event.occurred_at == OBSERVED_AT
    assert event.attributes["time_from"] == "observed_at"
    assert (event.message_ref or "").startswith("sha256:")
    absurd = only(mail(Date="Mon, 99 Foo 99999 99:99:99 +9999", Received="by x; Sun, 01 Mar 2026 08:00:00 +0000"))
    assert absurd.occurred_at == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_a_reply_to_is_inferred_unless_it_is_a_list_or_ours() -> None:
    points = only(mail(Reply_To="ada@example.net")).contact_points
    assert [(point.value, point.assurance) for point in points] == [
        ("ada@example.org", "claimed"),
        ("ada@example.net", "inferred"),
    ]
    for headers in (
        {"Reply_To": "all@lists.example", "List_Id": "<all.lists.example>"},
        {"Reply_To": "x@acme.example"},
    ):
        assert len(only(mail(**headers)).contact_points) == 1


@pytest.mark.parametrize(
    ("subject", "refs"),
    [
        ("[#12345] Late", ("case:12345",)),
        ("Re: [Ticket#2026-17] and [acme.example #9]", ("case:2026-17", "case:9")),
        ("[case #ab1] [#AB1]", ("case:AB1",)),
        ("#12345 and [12345]", ()),
    ],
)
def test_a_helpdesks_tag_in_the_subject_is_a_case(subject: str, refs: tuple[str, ...]) -> None:
    assert only(mail(Subject=subject)).case_refs == refs


def test_without_a_subject_the_new_text_is_the_summary() -> None:
    assert only(mail("Fine,  thanks.\n\nOn Mon, Ada wrote:\n> Hello\n")).summary == "Fine, thanks."
    html = mail().replace(b"text/plain", b"text/html").replace(b"Hello", b"<style>p{}</style><p>Tom &amp; Ada</p>")
    assert only(html).summary == "Tom & Ada"


@pytest.mark.parametrize(
    ("status", "class_"),
    [
        ("5.1.1", BounceClass.HARD),
        ("550", BounceClass.HARD),
        ("", BounceClass.HARD),
        ("5.2.2", BounceClass.SOFT),
        ("4.4.1", BounceClass.SOFT),
        ("5.7.1", BounceClass.BLOCK),
    ],
)
def test_a_bounce_is_classed_by_its_status(status: str, class_: BounceClass) -> None:
    assert bounce_class(status) is class_


def test_no_report_is_a_customers_message() -> None:
    for name in ("bounces.eml", "complaint.eml", "read_receipt.eml", "exim.eml"):
        events = list(message_events((MAILS / name).read_bytes(), OPTIONS))
        assert events
        assert not {event.type for event in events} & {"message.received", "message.auto_replied"}
        assert all("acme.example" not in point.value for event in events for point in event.contact_points)


def test_a_forwarded_bounce_is_the_message_of_who_forwards_it() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ada@example.org", "support@acme.example", "What is this?"
    message.set_content("I got this")
    message.add_attachment((MAILS / "bounces.eml").read_bytes(), maintype="application", subtype="octet-stream")
    forwarded = message.as_bytes().replace(b"application/octet-stream", b"message/rfc822")
    assert only(forwarded).type == "message.received"


def test_the_files_of_an_mbox_are_single_mails() -> None:
    payloads = list(message_payloads(io.BytesIO((MAILS / "box.mbox").read_bytes()), OPTIONS))
    assert [(payload.line, payload.item) for payload in payloads] == [(1, 0), (10, 1), (17, 2)]
    assert b"".join(payload.raw for payload in payloads) == (MAILS / "box.mbox").read_bytes()


def test_mail_that_sendgrid_sent_meets_what_sendgrid_reports() -> None:
    sent = {event.message_ref for event in message_events((MAILS / "outbound.eml").read_bytes(), OPTIONS)}
    answered = {event.answers_ref for event in message_events((MAILS / "auto_reply.eml").read_bytes(), OPTIONS)}
    reported = {event.type for event in events_of(SENDGRID) if {event.message_ref} == sent}
    assert sent == answered
    assert reported == {
        *("message.queued", "message.deferred", "message.delivered", "message.opened", "link.clicked"),
    }


def test_a_webhook_delivered_again_is_the_same_events() -> None:
    again = [{**report, "sg_event_id": "another"} for report in REPORTS if "sg_event_id" in report]
    first = {event.event_id for event in events_of(SENDGRID)}
    second: set[object] = set()
    for report in again:
        if check_outcome(sendgrid_events, report, OPTIONS) == "events":
            second |= {event.event_id for event in sendgrid_events(report, OPTIONS)}
    assert first == second
    assert len(first) == len(events_of(SENDGRID))


def test_every_report_of_a_batch_is_published_or_refused() -> None:
    lines = SENDGRID.read_text(encoding="utf-8").splitlines()[1:-1]
    found = outcome(SENDGRID)
    assert [item["line"] for item in found] == list(range(2, len(lines) + 2))
    assert Counter("events" in item for item in found) == {True: len(lines) - 4, False: 4}


def test_an_unsubscription_outside_any_mail_is_told_apart_by_its_own_id() -> None:
    report = {"email": "ada@example.org", "timestamp": 1772443001, "event": "unsubscribe", "sg_event_id": "e-1"}
    (event,) = sendgrid_events(report, OPTIONS)
    assert (event.type, event.message_ref) == ("subscription.opted_out", None)
    with pytest.raises(InvalidEvent, match="sg_message_id"):
        list(sendgrid_events({**report, "sg_event_id": None}, OPTIONS))


@settings(max_examples=300, deadline=None)
@given(mutated_bytes(RAW_MAILS))
@example(
    b"Message-ID: <dsn2@mx.example.org>\nFrom: daemon@mx.example.org\nTo: support@acme.example\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="r2"\n\n--r2\n'
    b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: \x80\n\n"
    b"Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; gone@example.org\nStatus: 5.1.1\n--r2--\n"
)
def test_no_broken_mail_raises_anything_else(raw: bytes) -> None:
    check_outcome(message_events, raw, OPTIONS)


@settings(max_examples=300, deadline=None)
@given(mutated(REPORTS))
def test_no_broken_report_raises_anything_else(report: object) -> None:
    check_outcome(sendgrid_events, report, OPTIONS)


def test_parts_nested_beyond_reading_are_refused() -> None:
    level = "Content-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n"
    raw = "From: ada@example.org\n" + "".join(level.format(number) for number in range(1_500))
    assert check_outcome(message_events, raw.encode(), OPTIONS) == "refused"


def test_what_is_no_mail_is_refused() -> None:
    for content in (None, {}, "From: ada@example.org", 3):
        assert check_outcome(message_events, content, OPTIONS) == "refused"
