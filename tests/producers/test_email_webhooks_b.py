"""Brevo, Mailjet, SparkPost, Resend and one-click unsubscriptions: what is particular to each."""

import base64
import io
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.email import brevo, mailjet, resend, sparkpost, unsubscribe
from producers.email.messages import message_events
from producers.format import Format
from producers.formats import find_format
from schemas.errors import InvalidEvent
from schemas.models import (
    Assurance,
    Author,
    BounceClass,
    Channel,
    ContentType,
    Direction,
    EmailEvent,
    Event,
    Kind,
    Purpose,
)
from tests.producers.golden import EXPECTED, OPTIONS, SAMPLES
from tests.producers.mutations import mutated
from tests.producers.wire import check_outcome

MINE = (brevo.FORMAT, mailjet.FORMAT, sparkpost.FORMAT, resend.FORMAT, unsubscribe.FORMAT)
AT = 1772442900
READER = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/120.0"
SCANNER = "Barracuda Sentinel (EE)"

every_one = pytest.mark.parametrize("known", MINE, ids=lambda known: known.name)


def contents(known: Format) -> list[Any]:
    found = []
    for path in sorted(SAMPLES.joinpath("email", known.name).glob("*")):
        if not path.name.endswith(EXPECTED):
            with path.open("rb") as stream:
                found += [one.content for one in known.payloads(stream, OPTIONS) if one.error is None]
    return found


def only(known: Format, content: Any) -> EmailEvent:
    (event,) = known.events(content, OPTIONS)
    assert isinstance(event, EmailEvent)
    return event


def accepted(known: Format) -> list[Event]:
    found: list[Event] = []
    for content in contents(known):
        try:
            found += list(known.events(content, OPTIONS))
        except InvalidEvent:
            continue
    return found


@every_one
def test_a_format_is_found_by_its_name(known: Format) -> None:
    assert find_format("email", known.name) is known


@every_one
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_broken_payload_raises_anything_else(known: Format, data: st.DataObject) -> None:
    check_outcome(known.events, data.draw(mutated(contents(known))), OPTIONS)


@every_one
@pytest.mark.parametrize("content", [None, [], {}, "", 3, {"event": None}, {"msys": None}, {"data": []}])
def test_what_is_no_payload_is_refused(known: Format, content: Any) -> None:
    assert check_outcome(known.events, content, OPTIONS) == "refused"


@every_one
def test_no_reason_quotes_what_stands_in_a_payload(known: Format) -> None:
    reasons = []
    for content in contents(known):
        text = json.dumps(content).replace("ada@example.org", "ada.secret@example.org").replace("nobody", "secret")
        try:
            list(known.events(json.loads(text), OPTIONS))
        except InvalidEvent as error:
            reasons.append(str(error))
    assert reasons
    assert not [reason for reason in reasons if "secret" in reason]


@every_one
def test_an_opt_out_is_of_what_was_left_or_of_all_that_is_marketing(known: Format) -> None:
    for event in accepted(known):
        assert event.type != "subscription.opted_in"
        if event.type != "subscription.opted_out":
            assert event.statement is None
        elif event.statement is None:
            # The type alone means news and offers, unless the event is about something else.
            assert event.content_type is None
        else:
            assert (event.statement.channel, event.statement.content_type) == (Channel.EMAIL, event.content_type)


@every_one
def test_what_a_machine_did_is_nobodys_act(known: Format) -> None:
    by_machines = [event for event in accepted(known) if event.machine]
    assert by_machines or known is resend.FORMAT
    for event in by_machines:
        assert (event.direction, event.author, event.statement) == (Direction.REPORT, Author.MACHINE, None)


# Brevo


def report(word: str, **fields: Any) -> dict[str, Any]:
    about = {"event": word, "email": "ada@example.org", "id": 71, "message-id": "<m@acme.example>"}
    return {**about, "ts_epoch": AT * 1000, **fields}


def test_brevo_first_opening_told_in_two_words_by_two_webhooks_is_one() -> None:
    first, second = only(brevo.FORMAT, report("unique_opened")), only(brevo.FORMAT, report("opened", id=72))
    later = only(brevo.FORMAT, report("opened", ts_epoch=AT * 1000 + 1))
    assert first.event_id == second.event_id != later.event_id
    assert first.type == "message.opened"


@pytest.mark.parametrize(
    ("given_", "type_"),
    [
        ("hardBounce", "message.bounced"),
        ("unique opened", "message.opened"),
        ("Unsubscribed", "subscription.opted_out"),
    ],
)
def test_brevo_words_may_be_joined_in_any_way(given_: str, type_: str) -> None:
    event = only(brevo.FORMAT, report(given_))
    assert (event.type, event.attributes["event"]) == (type_, given_)


def test_brevo_time_is_the_one_in_utc() -> None:
    told = {"ts": AT + 3600, "ts_event": AT, "date": "2026-03-02 10:15:00", "ts_epoch": None}
    assert only(brevo.FORMAT, report("delivered", **told)).occurred_at.timestamp() == AT
    dated = report("delivered", ts_epoch=None, date="2026-03-02 10:15:00")
    (event,) = brevo.brevo_events(dated, replace(OPTIONS, timezone="Europe/Paris"))
    assert event.occurred_at.timestamp() == AT


def test_brevo_reports_on_a_campaign_are_about_one_mail_for_each_reader() -> None:
    campaign = {"message-id": None, "camp_id": 17, "campaign name": "Cat facts"}
    sent = [only(brevo.FORMAT, report(word, **campaign)) for word in ("delivered", "opened", "click")]
    assert {event.message_ref for event in sent} == {"brevo/acme/campaign/17"}
    assert {event.purpose for event in sent} == {Purpose.MARKETING}
    other = only(brevo.FORMAT, report("delivered", **campaign, email="bo@example.com"))
    (elsewhere,) = brevo.brevo_events(report("delivered", **campaign), replace(OPTIONS, account="other"))
    assert len({sent[0].event_id, other.event_id, elsewhere.event_id}) == 3


def test_brevo_list_that_somebody_was_put_on_permits_nothing() -> None:
    added = report("list_addition", list_id=[3])
    event = only(brevo.FORMAT, added)
    assert (event.type, event.statement, event.attributes["list_id"]) == ("unknown", None, "[3]")
    assert event.event_id != only(brevo.FORMAT, {**added, "list_id": [4]}).event_id


def test_brevo_mail_of_a_customer_is_the_same_event_as_in_a_mailbox() -> None:
    item = contents(brevo.FORMAT)[0]
    received = only(brevo.FORMAT, item)
    assert (received.type, received.source) == ("message.received", "brevo/acme")
    assert received.answers_ref == "<202603020914.1@smtp-relay.acme.example>"
    raw = (
        b"From: ada@example.org\nTo: support@acme.example\nDate: Mon, 02 Mar 2026 10:30:00 +0100\n"
        b"Message-ID: <in-1@mail.example.org>\n\nI have paid this.\n"
    )
    (in_a_mailbox,) = message_events(raw, OPTIONS)
    assert received.event_id == in_a_mailbox.event_id


def test_brevo_batch_of_mails_loses_only_the_broken_ones() -> None:
    path = SAMPLES / "email" / "brevo" / "inbound.json"
    with path.open("rb") as stream:
        found = [
            check_outcome(brevo.brevo_events, one.content, OPTIONS) for one in brevo.brevo_payloads(stream, OPTIONS)
        ]
    assert Counter(found) == {"events": 2, "refused": 2}


# Mailjet


def happening(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, "time": AT, "MessageID": 7, "email": "ada@example.org", "mj_contact_id": 4, **fields}


@pytest.mark.parametrize(
    ("told", "type_", "class_"),
    [
        ({"hard_bounce": True, "error": "user unknown"}, "message.bounced", BounceClass.HARD),
        ({"hard_bounce": False, "error": "user unknown"}, "message.bounced", BounceClass.SOFT),
        ({"error": "mailbox inactive"}, "message.bounced", BounceClass.HARD),
        ({"hard_bounce": True, "error": "Quota exceeded"}, "message.bounced", BounceClass.SOFT),
        ({"hard_bounce": True, "error_related_to": "spam"}, "message.bounced", BounceClass.BLOCK),
        ({"hard_bounce": True, "error": "relay/access denied"}, "message.bounced", BounceClass.BLOCK),
        ({"error": "something new"}, "message.bounced", BounceClass.SOFT),
        ({"hard_bounce": False, "error": "greylisted"}, "message.deferred", None),
        ({"error_related_to": "mailjet", "error": "preblocked"}, "message.rejected", None),
    ],
)
def test_mailjet_bounce_is_classed_by_its_error(told: dict[str, Any], type_: str, class_: BounceClass | None) -> None:
    event = only(mailjet.FORMAT, happening("bounce", **told))
    assert (event.type, event.bounce_class) == (type_, class_)


def test_mailjet_event_alone_or_in_a_group_is_the_same() -> None:
    alone = json.dumps(happening("sent")).encode()
    found = [list(mailjet.FORMAT.payloads(io.BytesIO(raw), OPTIONS)) for raw in (alone, b"[" + alone + b"]")]
    first, second = (only(mailjet.FORMAT, payloads[0].content) for payloads in found)
    assert first == second
    assert first.type == "message.delivered"


def test_mailjet_reports_meet_by_what_our_system_sent_along() -> None:
    payload = json.dumps({"message_ref": "out-1@acme.example", "order": "A-77", "content_type": "invoices"})
    event = only(mailjet.FORMAT, happening("open", Payload=payload))
    assert (event.message_ref, event.case_refs) == ("<out-1@acme.example>", ("order:A-77",))
    assert (event.content_type, event.purpose) == (ContentType.INVOICES, Purpose.TRANSACTIONAL)
    assert only(mailjet.FORMAT, happening("open", Payload="free text")).message_ref == "7"


def test_mailjet_clicks_of_a_person_and_a_scanner_in_one_second_are_two() -> None:
    link = {"url": "https://acme.example/pay"}
    person = only(mailjet.FORMAT, happening("click", **link, agent=READER))
    scanner = only(mailjet.FORMAT, happening("click", **link, agent=SCANNER))
    assert person.event_id != scanner.event_id
    assert (person.machine, scanner.machine) == (None, True)
    assert (person.direction, scanner.direction) == (Direction.INBOUND, Direction.REPORT)


def test_mailjet_scanner_unsubscribes_nobody() -> None:
    assert only(mailjet.FORMAT, happening("unsub", agent=SCANNER)).type == "unknown"
    left = only(mailjet.FORMAT, happening("unsub", agent="List-Unsubscribe", MessageID=0))
    assert (left.type, left.message_ref, left.direction) == ("subscription.opted_out", None, Direction.INBOUND)


# SparkPost


def batch(class_: str, word: str, **fields: Any) -> dict[str, Any]:
    about = {"type": word, "timestamp": str(AT), "rcpt_to": "ada@example.org", "transmission_id": "t-1"}
    return {"msys": {class_: {**about, "message_id": "m-1", **fields}}}


@pytest.mark.parametrize(
    ("code", "type_", "class_"),
    [
        *((code, "message.bounced", BounceClass.HARD) for code in ("10", "30", 10)),
        *((code, "message.bounced", BounceClass.SOFT) for code in ("20", "21", "22", "23", "24", "40", "70")),
        *((code, "message.bounced", BounceClass.BLOCK) for code in ("50", "51", "52", "53", "54")),
        ("25", "message.rejected", None),
        ("60", "message.auto_replied", None),
        ("80", "unknown", None),
        ("90", "subscription.opted_out", None),
        ("100", "message.auto_replied", None),
    ],
)
@pytest.mark.parametrize("word", ["bounce", "out_of_band"])
def test_sparkpost_bounce_is_what_its_class_says(word: str, code: Any, type_: str, class_: BounceClass | None) -> None:
    event = only(sparkpost.FORMAT, batch("message_event", word, bounce_class=code, raw_reason="550 5.1.1 unknown"))
    assert (event.type, event.bounce_class, event.attributes["bounce_code"]) == (type_, class_, str(code))


@pytest.mark.parametrize(
    ("reason", "class_"),
    [("550 5.1.1 unknown", BounceClass.HARD), ("554 5.7.1 no", BounceClass.BLOCK), ("who knows", BounceClass.SOFT)],
)
def test_sparkpost_undetermined_bounce_is_classed_by_its_reason(reason: str, class_: BounceClass) -> None:
    event = only(sparkpost.FORMAT, batch("message_event", "bounce", bounce_class="1", raw_reason=reason))
    assert event.bounce_class is class_


def test_sparkpost_automatic_reply_answers_ours_and_is_no_mail_of_ours() -> None:
    event = only(sparkpost.FORMAT, batch("message_event", "out_of_band", bounce_class="60"))
    assert (event.direction, event.author) == (Direction.INBOUND, Author.MACHINE)
    assert (event.answers_ref, event.message_ref) == ("t-1", None)


def test_sparkpost_ids_do_not_rest_on_event_ids_but_for_what_has_no_other_name() -> None:
    for content in contents(sparkpost.FORMAT):
        again = json.loads(json.dumps(content).replace('"event_id": "9', '"event_id": "8'))
        if check_outcome(sparkpost.sparkpost_events, content, OPTIONS) == "refused":
            continue
        for first, second in zip(
            sparkpost.sparkpost_events(content, OPTIONS), sparkpost.sparkpost_events(again, OPTIONS), strict=True
        ):
            assert (first.event_id == second.event_id) is (first.primary.kind is not Kind.ANONYMOUS)


def test_sparkpost_two_pixels_of_one_opening_are_one() -> None:
    seen = {"ip_address": "192.0.2.9", "user_agent": READER}
    top, bottom = (only(sparkpost.FORMAT, batch("track_event", word, **seen)) for word in ("initial_open", "open"))
    other = only(sparkpost.FORMAT, batch("track_event", "open", **{**seen, "ip_address": "192.0.2.10"}))
    assert top.event_id == bottom.event_id != other.event_id


def test_sparkpost_prefetch_is_a_machines_and_a_proxy_alone_is_not() -> None:
    prefetched = {"user_agent": READER, "user_agent_parsed": {"is_prefetched": True, "is_proxy": True}}
    proxied = {"user_agent": READER, "user_agent_parsed": {"is_prefetched": False, "is_proxy": True}}
    assert only(sparkpost.FORMAT, batch("track_event", "open", **prefetched)).machine is True
    assert only(sparkpost.FORMAT, batch("track_event", "open", **proxied)).machine is None


def test_sparkpost_element_of_several_classes_is_cut_and_reads_the_same() -> None:
    both = {"msys": {**batch("message_event", "delivery")["msys"], **batch("track_event", "click")["msys"]}}
    whole = list(sparkpost.sparkpost_events(both, OPTIONS))
    cut = list(sparkpost.FORMAT.payloads(io.BytesIO(json.dumps([both]).encode()), OPTIONS))
    assert [(one.line, one.item) for one in cut] == [(1, 0), (1, 1)]
    assert [event for one in cut for event in sparkpost.sparkpost_events(one.content, OPTIONS)] == whole
    assert [event.type for event in whole] == ["message.delivered", "link.clicked"]


@pytest.mark.parametrize("encoded", [False, True])
def test_sparkpost_hands_on_a_customers_mail(encoded: bool) -> None:
    raw = (
        "From: ada@example.org\nTo: support@acme.example\nDate: Mon, 02 Mar 2026 09:00:00 +0000\n"
        "Message-ID: <in-9@example.org>\nIn-Reply-To: <out-1@acme.example>\n\nGrüße aus Göteborg\n"
    )
    text = base64.b64encode(raw.encode()).decode() if encoded else raw
    content = {"email_rfc822": text, "email_rfc822_is_base64": encoded}
    event = only(sparkpost.FORMAT, {"msys": {"relay_message": {"content": content, "msg_from": "ada@example.org"}}})
    (in_a_mailbox,) = message_events(raw.encode(), OPTIONS)
    assert event.event_id == in_a_mailbox.event_id
    assert (event.source, event.answers_ref) == ("sparkpost/acme", "<out-1@acme.example>")
    assert event.summary == "Grüße aus Göteborg"


# Resend


def told(word: str, **data: Any) -> dict[str, Any]:
    about = {"email_id": "e-1", "message_id": "<r@acme.example>", "to": ["ada@example.org"]}
    return {"type": word, "created_at": "2026-03-02T09:15:00.126Z", "data": {**about, **data}}


@pytest.mark.parametrize(
    ("bounce", "type_", "class_"),
    [
        ({"type": "Permanent", "subType": "General"}, "message.bounced", BounceClass.HARD),
        ({"type": "Permanent", "subType": "NoEmail"}, "message.bounced", BounceClass.HARD),
        ({"type": "Transient", "subType": "General"}, "message.bounced", BounceClass.SOFT),
        ({"type": "Transient", "subType": "AttachmentRejected"}, "message.bounced", BounceClass.BLOCK),
        ({"type": "Permanent", "diagnosticCode": ["smtp; 554 5.7.1 no"]}, "message.bounced", BounceClass.BLOCK),
        ({"type": "Undetermined", "diagnosticCode": ["smtp; 550 5.1.1 no"]}, "message.bounced", BounceClass.HARD),
        ({"type": "Undetermined"}, "message.bounced", BounceClass.SOFT),
        ({"type": "Permanent", "subType": "OnAccountSuppressionList"}, "message.rejected", None),
        ({"message": "Resend has suppressed sending to this address"}, "message.rejected", None),
    ],
)
def test_resend_bounce_is_classed_by_its_words(bounce: dict[str, Any], type_: str, class_: BounceClass | None) -> None:
    event = only(resend.FORMAT, told("email.bounced", bounce=bounce))
    assert (event.type, event.bounce_class) == (type_, class_)


@pytest.mark.parametrize("word", ["email.opened", "email.clicked", "email.bounced", "email.delivered"])
def test_resend_report_that_may_be_anybodys_is_nobodys(word: str) -> None:
    event = only(resend.FORMAT, told(word, to=["ada@example.org", "bo@example.com"]))
    assert (event.type, event.attributes["event"]) == ("unknown", word)
    assert {point.role for point in event.contact_points} == {"mentioned"}


def test_resend_complaint_that_may_be_anybodys_is_everybodys() -> None:
    found = list(resend.resend_events(told("email.complained", to=["ada@example.org"], cc=["bo@example.com"]), OPTIONS))
    assert [event.primary.value for event in found] == ["ada@example.org", "bo@example.com"]
    assert {event.primary.assurance for event in found} == {Assurance.INFERRED}


def test_resend_reports_meet_the_mail_by_its_message_id() -> None:
    raw = (
        b"From: billing@acme.example\nTo: ada@example.org\nDate: Mon, 02 Mar 2026 09:14:00 +0000\n"
        b"Message-ID: <r@acme.example>\n\nHello\n"
    )
    (sent,) = message_events(raw, OPTIONS)
    assert only(resend.FORMAT, told("email.opened")).message_ref == sent.message_ref
    assert only(resend.FORMAT, told("email.opened", message_id=None)).message_ref == "e-1"
    tagged = [{"name": "message_ref", "value": "own-1"}, {"name": "category", "value": "newsletter"}]
    event = only(resend.FORMAT, told("email.opened", tags=tagged))
    assert (event.message_ref, event.content_type) == ("own-1", ContentType.NEWS)


def test_resend_contact_that_is_on_the_list_permits_nothing() -> None:
    contact = {"id": "c-1", "email": "ada@example.org"}
    left = only(resend.FORMAT, told("contact.updated", **contact, unsubscribed=True))
    joined = only(resend.FORMAT, told("contact.updated", **contact, unsubscribed=False))
    gone = only(resend.FORMAT, told("contact.deleted", **contact, unsubscribed=True))
    assert (left.type, left.direction, left.author) == ("subscription.opted_out", Direction.REPORT, None)
    assert [(event.type, event.statement) for event in (joined, gone)] == [("unknown", None)] * 2


def test_resend_too_many_recipients_are_refused_with_a_reason() -> None:
    many = [f"a{number}@example.org" for number in range(51)]
    with pytest.raises(InvalidEvent, match="more than 50 recipients"):
        list(resend.resend_events(told("email.sent", to=many), OPTIONS))


# One-click unsubscriptions

URL = "https://acme.example/u?email=ada%40example.org&list=newsletter&mid=n1%40acme.example"
MULTIPART = '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


def request(**fields: Any) -> dict[str, Any]:
    return {"url": URL, "body": "List-Unsubscribe=One-Click", "received_at": "2026-03-02T09:15:00Z", **fields}


@pytest.mark.parametrize(
    "body",
    [
        "List-Unsubscribe=One-Click",
        "list-unsubscribe=one-click",
        "a=b&List-Unsubscribe=One-Click\r\n",
        {"List-Unsubscribe": "One-Click"},
        {"List-Unsubscribe": ["One-Click"]},
        MULTIPART,
        MULTIPART.replace("\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n", 1).replace("\r\n", "\n"),
    ],
)
def test_one_click_opts_out_of_what_the_list_is_about(body: Any) -> None:
    event = only(unsubscribe.FORMAT, request(body=body))
    assert (event.type, event.direction, event.author) == ("subscription.opted_out", Direction.INBOUND, Author.CUSTOMER)
    assert event.statement is not None
    assert (event.statement.kind, event.statement.content_type) == ("opt_out", ContentType.NEWS)
    assert (event.primary.key, event.message_ref) == ("email:ada@example.org", "<n1@acme.example>")


@pytest.mark.parametrize(
    "fields",
    [
        {"body": ""},
        {"body": None},
        {"body": "List-Unsubscribe=Yes"},
        {"body": "One-Click"},
        {"body": {"List-Unsubscribe": "no"}},
        {"body": ["List-Unsubscribe=One-Click"]},
        {"body": 1},
        {"body": MULTIPART.replace("One-Click", "Two-Click")},
        {"body": MULTIPART.replace("List-Unsubscribe", "Other")},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "GET", "body": None, "user_agent": SCANNER},
    ],
)
def test_whatever_else_asks_for_the_url_opts_nobody_out(fields: dict[str, Any]) -> None:
    event = only(unsubscribe.FORMAT, request(**fields))
    assert (event.type, event.machine, event.author) == ("unknown", True, Author.MACHINE)
    assert event.statement is None
    assert "RFC 8058" in event.attributes["reason"]


def test_what_the_server_knows_goes_before_what_the_url_says() -> None:
    event = only(
        unsubscribe.FORMAT, request(email="Bo@example.com", message_ref="s7@acme.example", list="Spring offers")
    )
    assert (event.primary.key, event.primary.assurance) == ("email:bo@example.com", Assurance.ASSERTED)
    assert (event.message_ref, event.content_type) == ("<s7@acme.example>", ContentType.OFFERS)
    assert only(unsubscribe.FORMAT, request()).primary.assurance is Assurance.CLAIMED


def test_a_list_that_names_no_content_type_counts_for_all_that_is_marketing() -> None:
    event = only(unsubscribe.FORMAT, request(url="https://acme.example/u?e=ada@example.org&list=cats"))
    assert (event.type, event.statement, event.content_type) == ("subscription.opted_out", None, None)
    assert event.attributes["list"] == "cats"


def test_a_plus_in_an_address_is_not_lost() -> None:
    for written in ("ada+news@example.org", "ada%2Bnews%40example.org"):
        event = only(unsubscribe.FORMAT, request(url=f"https://acme.example/u?email={written}"))
        assert event.primary.value == "ada+news@example.org"


def test_a_request_told_again_is_one_and_needs_no_time() -> None:
    assert only(unsubscribe.FORMAT, request()).event_id == only(unsubscribe.FORMAT, request(user_agent="x")).event_id
    undated = request(received_at=None)
    assert check_outcome(unsubscribe.unsubscribe_events, undated, OPTIONS) == "events"
    other = only(unsubscribe.FORMAT, {**undated, "url": URL.replace("n1", "n2")})
    assert only(unsubscribe.FORMAT, undated).event_id != other.event_id


@pytest.mark.parametrize(
    "url", ["https://acme.example/u/token", "https://[x", "mailto:u@acme.example", "", "x" * 9_000]
)
def test_a_request_that_names_nobody_is_refused(url: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^(email|url): "):
        list(unsubscribe.unsubscribe_events(request(url=url), OPTIONS))
