"""E-mail webhooks of Mailgun, Amazon SES and Postmark: repeats, joins, whose act it was, what is refused."""

import copy
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.email import mailgun, mailgun_older, postmark, ses
from producers.email.messages import message_events
from producers.email.webhooks import bounce_class_of, received_mail
from producers.fields import Fields
from producers.format import Format
from producers.formats import formats_of
from producers.machines import is_machine
from producers.message_ids import message_id
from producers.reading import case_refs, object_in
from schemas.errors import InvalidEvent
from schemas.models import Author, BounceClass, Direction, EmailEvent
from tests.producers.golden import EXPECTED, OPTIONS, SAMPLES, outcome
from tests.producers.mutations import mutated
from tests.producers.wire import check_outcome

AT = "2026-03-02T09:15:00Z"
SES_ID = "0102018f00000001-11111111-2222-4333-8444-555555555501-000000"
FORMATS = {known.name: known for known in (mailgun.FORMAT, ses.FORMAT, postmark.FORMAT)}


def contents(known: Format) -> Iterator[Any]:
    for path in sorted((SAMPLES / "email" / known.name).iterdir()):
        if not path.name.endswith(EXPECTED):
            with path.open("rb") as stream:
                yield from (found.content for found in known.payloads(stream, OPTIONS) if found.error is None)


CONTENTS = {
    name: [content for content in contents(known) if isinstance(content, dict)] for name, known in FORMATS.items()
}


def read(known: Format, content: Any) -> list[EmailEvent]:
    found = list(known.events(content, OPTIONS))
    assert all(isinstance(event, EmailEvent) for event in found)
    return found  # type: ignore[return-value] - checked in the line before


def one(known: Format, content: Any) -> EmailEvent:
    (event,) = read(known, content)
    return event


def cut(known: Format, raw: bytes) -> list[Any]:
    return list(known.payloads(io.BytesIO(raw), OPTIONS))


def mailgun_event(event: str, **fields: Any) -> dict[str, Any]:
    data = {
        "event": event,
        "id": "e-1",
        "timestamp": 1772442900.25,
        "recipient": "ada@example.org",
        "message": {"headers": {"message-id": "m1@acme.example"}},
    }
    return {"signature": {"token": "t-1"}, "event-data": {**data, **fields}}


def ses_event(kind: str, about: dict[str, Any] | None = None, **mail: Any) -> dict[str, Any]:
    told = {
        "timestamp": "2026-03-02T09:14:58Z",
        "messageId": SES_ID,
        "sourceArn": "arn:aws:ses:eu-west-1:111122223333:identity/acme.example",
        "destination": ["ada@example.org"],
    }
    name = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}.get(kind, kind.lower())
    return {"eventType": kind, "mail": {**told, **mail}, name: {"timestamp": AT, **(about or {})}}


def sns(content: Any, message_id: str = "sns-1") -> dict[str, Any]:
    topic = "arn:aws:sns:eu-west-1:111122223333:mail-events"
    return {"Type": "Notification", "MessageId": message_id, "TopicArn": topic, "Message": json.dumps(content)}


def ses_choice(**preferences: Any) -> dict[str, Any]:
    return ses_event("Subscription", {"newTopicPreferences": preferences})


def postmark_event(record: str, **fields: Any) -> dict[str, Any]:
    told = {"RecordType": record, "MessageID": "u-1", "MessageStream": "outbound", "Recipient": "ada@example.org"}
    return {**told, **fields}


@pytest.mark.parametrize("known", FORMATS.values(), ids=list(FORMATS))
def test_every_sample_is_told_apart_and_told_once(known: Format) -> None:
    found: set[object] = set()
    again: set[object] = set()
    repeated = Counter[str]()
    for content in CONTENTS[known.name]:
        try:
            events = read(known, content)
        except InvalidEvent:
            continue
        for event in events:
            if event.event_id in found - again:
                repeated[event.type] += 1
                again.add(event.event_id)
            found.add(event.event_id)
    # Only SES's samples tell of one happening more than once: as it is, and in this and that envelope.
    told = {"message.delivered": 2, "message.bounced": 2, "message.opened": 1, "link.clicked": 1}
    told |= {"message.complained": 1, "message.received": 1}
    assert repeated == (told if known is ses.FORMAT else {})
    assert len(found) >= 35


def test_a_webhook_of_mailgun_that_comes_again_is_the_same_event() -> None:
    first = mailgun_event("opened", ip="192.0.2.1", **{"client-info": {"user-agent": "A"}})
    again = {**copy.deepcopy(first), "signature": {"token": "t-2"}}
    again["event-data"]["id"] = "e-2"
    assert one(mailgun.FORMAT, first).event_id == one(mailgun.FORMAT, again).event_id
    elsewhere = {**first, "event-data": {**first["event-data"], "ip": "192.0.2.2"}}
    assert one(mailgun.FORMAT, first).event_id != one(mailgun.FORMAT, elsewhere).event_id


def test_two_links_clicked_in_one_moment_are_two_events() -> None:
    for known, pair in (
        (mailgun.FORMAT, [mailgun_event("clicked", url=f"https://acme.example/{name}") for name in "ab"]),
        (ses.FORMAT, [ses_event("Click", {"link": f"https://acme.example/{name}"}) for name in "ab"]),
        (
            postmark.FORMAT,
            [postmark_event("Click", ReceivedAt=AT, OriginalLink=f"https://acme.example/{name}") for name in "ab"],
        ),
    ):
        first, second = (one(known, content) for content in pair)
        assert first.event_id != second.event_id
        assert (first.url, second.url) == ("https://acme.example/a", "https://acme.example/b")


def test_a_notification_of_ses_and_the_event_published_for_it_are_one() -> None:
    event = ses_event("Delivery", {"recipients": ["ada@example.org"]})
    notification = {"notificationType": "Delivery", **{key: event[key] for key in ("mail", "delivery")}}
    bridged = {"detail-type": "Email Delivered", "source": "aws.ses", "region": "eu-west-1", "detail": event}
    forms = [event, notification, sns(event), sns(notification, "sns-2"), bridged, {"Sns": sns(event, "sns-3")}]
    found = [one(ses.FORMAT, content) for content in forms]
    assert len({found.event_id for found in found}) == 1
    assert {found.message_ref for found in found} == {message_id(f"<{SES_ID}@eu-west-1.amazonses.com>")}
    assert {found.source_event_id for found in found} == {None, "sns-1", "sns-2", "sns-3"}


def test_an_older_webhook_of_mailgun_reads_as_the_newer_does() -> None:
    form = urlencode({"event": "opened", "recipient": "ada@example.org", "Message-Id": "<m1@acme.example>"})
    form += "&" + urlencode({"user-agent": "A", "ip": "192.0.2.1", "timestamp": "1772442900", "token": "t-9"})
    (payload,) = cut(mailgun.FORMAT, form.encode())
    older = one(mailgun.FORMAT, payload.content)
    data = {"timestamp": 1772442900, "ip": "192.0.2.1", "client-info": {"user-agent": "A"}}
    newer = one(mailgun.FORMAT, mailgun_event("opened", **data))
    assert older.event_id == newer.event_id
    assert (older.type, older.message_ref, older.occurred_at) == (newer.type, newer.message_ref, newer.occurred_at)


def test_what_our_own_variables_are_called_does_not_hide_what_mailgun_says() -> None:
    form = "event=delivered&recipient=ada%40example.org&event=ours&recipient=ours&timestamp=ours&timestamp=1772442900"
    (payload,) = cut(mailgun.FORMAT, f"{form}&message-id=m1%40acme.example&token=ours&token=t-1&order=A-77".encode())
    event = one(mailgun.FORMAT, payload.content)
    assert (event.type, event.primary.value, event.source_event_id) == ("message.delivered", "ada@example.org", "t-1")
    assert event.case_refs == ("order:A-77",)


# Joins: what was sent, what became of it, and the answer.


def answer(to: str) -> bytes:
    return (
        "From: ada@example.org\nTo: support@acme.example\nDate: Mon, 02 Mar 2026 10:14:05 +0000\n"
        f"Message-ID: <a1@example.org>\nIn-Reply-To: {to}\nSubject: Re: Invoice\n\nHello\n"
    ).encode()


@pytest.mark.parametrize(
    ("known", "report", "sent_as"),
    [
        (mailgun.FORMAT, mailgun_event("delivered"), "<m1@acme.example>"),
        (ses.FORMAT, ses_event("Delivery"), f"<{SES_ID}@eu-west-1.amazonses.com>"),
        (ses.FORMAT, ses_event("Delivery", messageId="odd"), "<odd@eu-west-1.amazonses.com>"),
        (
            ses.FORMAT,
            ses_event("Delivery", messageId="odd", sourceArn="a:a:ses:us-east-1:1:i"),
            "<odd@email.amazonses.com>",
        ),
        (ses.FORMAT, sns(ses_event("Delivery", messageId="odd", sourceArn=None)), "<odd@eu-west-1.amazonses.com>"),
        (postmark.FORMAT, postmark_event("Delivery", DeliveredAt=AT), "<u-1@mtasv.net>"),
    ],
    ids=["mailgun", "ses", "ses, odd id", "ses in us-east-1", "ses by its topic", "postmark"],
)
def test_an_answer_meets_what_the_vendor_reports_of_our_mail(known: Format, report: Any, sent_as: str) -> None:
    (replied,) = message_events(answer(sent_as), OPTIONS)
    assert replied.answers_ref is not None
    assert one(known, report).message_ref == replied.answers_ref


@pytest.mark.parametrize(
    ("known", "report"),
    [
        (mailgun.FORMAT, mailgun_event("delivered", **{"user-variables": {"message_ref": "own@acme.example"}})),
        (ses.FORMAT, ses_event("Delivery", tags={"message_ref": ["own@acme.example"]})),
        (
            postmark.FORMAT,
            postmark_event("Delivery", DeliveredAt=AT, Metadata={"message_ref": "own@acme.example"}),
        ),
    ],
    ids=["mailgun", "ses", "postmark"],
)
def test_a_reference_that_our_system_gave_goes_before_the_vendors(known: Format, report: Any) -> None:
    assert one(known, report).message_ref == "<own@acme.example>"


MAIL = [
    ("From", "Ada Example <Ada@example.org>"),
    ("To", "support@acme.example"),
    ("Date", "Mon, 02 Mar 2026 10:14:05 +0000"),
    ("Message-ID", "<a1@example.org>"),
    ("In-Reply-To", "<m1@acme.example>"),
    ("Subject", "Re: Invoice"),
]


def received_forms() -> list[tuple[Format, Any]]:
    raw = "\r\n".join(f"{name}: {value}" for name, value in MAIL) + "\r\n\r\nHello\r\n"
    named = [{"name": name, "value": value} for name, value in MAIL]
    mail = {"timestamp": "2026-03-02T10:14:09Z", "messageId": "in-1"}
    whole = {"notificationType": "Received", "mail": mail, "receipt": {}, "content": raw}
    headed = {"notificationType": "Received", "mail": {**mail, "headers": named}, "receipt": {}}
    rest = [{"Name": name, "Value": value} for name, value in MAIL if name in ("Message-ID", "In-Reply-To")]
    common = {"MessageID": "in-1", "OriginalRecipient": "support@acme.example"}
    full = {"FromFull": {"Email": "Ada@example.org"}, "ToFull": [{"Email": "support@acme.example"}]}
    dated = {"Subject": "Re: Invoice", "Date": "Mon, 2 Mar 2026 10:14:05 +0000", "Headers": rest}
    envelope = {"recipient": "support@acme.example", "sender": "b@example.org", "timestamp": 1772446449, "token": "t"}
    return [
        (mailgun.FORMAT, {**envelope, "message-headers": json.dumps(MAIL), "body-plain": "Hello"}),
        (mailgun.FORMAT, {**envelope, "body-mime": raw}),
        (ses.FORMAT, whole),
        (ses.FORMAT, sns(headed)),
        (postmark.FORMAT, {**common, **full, **dated, "TextBody": "Hello"}),
        (postmark.FORMAT, {**common, "RawEmail": raw, "FromFull": {"Email": "Ada@example.org"}}),
    ]


@pytest.mark.parametrize(("known", "content"), received_forms())
def test_a_mail_is_one_event_whether_a_vendor_or_a_mailbox_took_it_in(known: Format, content: Any) -> None:
    raw = "\n".join(f"{name}: {value}" for name, value in MAIL) + "\n\nHello\n"
    (read_in_a_mailbox,) = message_events(raw.encode(), OPTIONS)
    event = one(known, content)
    assert event.event_id == read_in_a_mailbox.event_id
    assert (event.type, event.answers_ref, event.author) == ("message.received", "<m1@acme.example>", Author.CUSTOMER)
    assert event.source == f"{known.name}/acme"


def test_the_vendors_finding_on_the_sender_counts_and_the_senders_own_does_not() -> None:
    def assurance(**headers: str) -> str:
        told = [*headers.items(), *MAIL]
        (event,) = received_mail([(name.replace("_", "-"), value) for name, value in told], "", OPTIONS, vendor="x")
        return event.primary.assurance

    assert assurance(Authentication_Results="mx.acme.example; dkim=pass") == "asserted"
    forged = [["Authentication-Results", "mx.example.org; dkim=pass"], *MAIL]
    envelope = {"recipient": "support@acme.example", "sender": "b@example.org", "token": "t"}
    for found, expected in (("Pass", "asserted"), ("Fail", "claimed"), (None, "claimed")):
        own = [["X-Mailgun-Dkim-Check-Result", found]] if found else []
        event = one(mailgun.FORMAT, {**envelope, "message-headers": json.dumps([*own, *forged])})
        assert event.primary.assurance == expected
    for found, expected in (("PASS", "asserted"), ("FAIL", "claimed")):
        raw = "\r\n".join(f"{name}: {value}" for name, value in forged) + "\r\n\r\nHello\r\n"
        verdicts = {"dkimVerdict": {"status": found}, "dmarcVerdict": {"status": found}}
        received = {"notificationType": "Received", "mail": {}, "receipt": verdicts, "content": raw}
        assert one(ses.FORMAT, received).primary.assurance == expected


def test_a_bounce_that_came_in_without_its_parts_is_no_customers_message() -> None:
    headers = [("From", "postmaster@example.org"), ("Content-Type", "multipart/report; boundary=b"), *MAIL[1:]]
    with pytest.raises(InvalidEvent, match="report"):
        list(received_mail(headers, "It failed", OPTIONS, vendor="x"))


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0", True),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel (EE))", True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", True),
        ("python-requests/2.31", True),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", None),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", None),
        ("", None),
        (None, None),
    ],
)
def test_a_machine_is_known_by_what_it_calls_itself_unless_the_vendor_says(agent: str | None, machine: bool) -> None:
    assert is_machine(agent) is machine
    assert is_machine(agent, said=False) is False
    assert is_machine(agent, said=True) is True


def test_whom_ses_does_not_know_is_only_inferred() -> None:
    both = ["ada@example.org", "bo@example.com"]
    for content in (
        ses_event("Open", destination=both),
        ses_event("Complaint", {"complainedRecipients": [{"emailAddress": address} for address in both]}),
    ):
        assert [(event.primary.value, event.primary.assurance) for event in read(ses.FORMAT, content)] == [
            (address, "inferred") for address in both
        ]
    delivered = read(ses.FORMAT, ses_event("Delivery", {"recipients": both}))
    assert [event.primary.assurance for event in delivered] == ["asserted", "asserted"]
    assert len({event.event_id for event in delivered}) == 2


# Bounces, complaints, suppressions, choices.


@pytest.mark.parametrize(
    ("said", "class_"),
    [
        (("5.1.1",), BounceClass.HARD),
        ((None, "smtp; 550 5.7.1 blocked"), BounceClass.BLOCK),
        (("", "552 5.2.2 full"), BounceClass.SOFT),
        (("550",), BounceClass.HARD),
        (("4.4.7", "550 5.1.1"), BounceClass.SOFT),
        (("no such user", "421 later"), BounceClass.SOFT),
        (("host 5.1.2.3 said no",), None),
        (("version 15.1.1",), None),
        (("605", "0", None), None),
        ((), None),
    ],
)
def test_a_bounce_is_classed_by_the_first_code_that_was_said(said: tuple[str], class_: BounceClass | None) -> None:
    assert bounce_class_of(*said) is class_


@pytest.mark.parametrize(
    ("kind", "sub", "status", "type_", "class_"),
    [
        ("Permanent", "General", "5.1.1", "message.bounced", BounceClass.HARD),
        ("Permanent", "General", None, "message.bounced", BounceClass.HARD),
        ("Permanent", "General", "5.7.1", "message.bounced", BounceClass.BLOCK),
        ("Transient", "General", "5.1.1", "message.bounced", BounceClass.SOFT),
        ("Transient", "ContentRejected", None, "message.bounced", BounceClass.BLOCK),
        ("Undetermined", "Undetermined", None, "message.bounced", BounceClass.SOFT),
        ("Permanent", "Suppressed", None, "message.rejected", None),
        ("Permanent", "OnAccountSuppressionList", None, "message.rejected", None),
    ],
)
def test_a_bounce_of_ses(kind: str, sub: str, status: str | None, type_: str, class_: BounceClass | None) -> None:
    recipients = [{"emailAddress": "ada@example.org", "status": status}]
    told = {"bounceType": kind, "bounceSubType": sub, "bouncedRecipients": recipients}
    event = one(ses.FORMAT, ses_event("Bounce", told))
    assert (event.type, event.bounce_class, event.direction) == (type_, class_, Direction.REPORT)


def test_every_bounce_type_of_postmark_has_a_meaning_by_its_name_and_by_its_code() -> None:
    at = {"BouncedAt": AT, "Email": "ada@example.org"}
    for name, (code, type_, class_) in postmark._BOUNCES.items():
        for said in ({"Type": name}, {"TypeCode": code}):
            event = one(postmark.FORMAT, postmark_event("Bounce", **at, **said))
            # Who asks to be subscribed does not say to what.
            assert (event.type, event.bounce_class) == ("unknown" if name == "Subscribe" else type_, class_), name


def scope(event: EmailEvent) -> tuple[str, str | None, str | None]:
    told = event.statement
    return (event.type, told and told.kind, told and told.content_type)


OUT, IN, UNKNOWN = "subscription.opted_out", "subscription.opted_in", ("unknown", None, None)


@pytest.mark.parametrize(
    ("known", "content", "expected"),
    [
        (mailgun.FORMAT, mailgun_event("unsubscribed", tags=["*"]), (OUT, "opt_out", None)),
        (mailgun.FORMAT, mailgun_event("unsubscribed", tags=["newsletter", "*"]), (OUT, "opt_out", None)),
        (mailgun.FORMAT, mailgun_event("unsubscribed", tags=["newsletter"]), (OUT, "opt_out", "news")),
        (mailgun.FORMAT, mailgun_event("unsubscribed", tags=["cat facts"]), (OUT, None, None)),
        (mailgun.FORMAT, mailgun_event("unsubscribed", **{"client-info": {"bot": "generic"}}), UNKNOWN),
        (mailgun.FORMAT, mailgun_event("complained", tags=["newsletter"]), ("message.complained", None, None)),
        (ses.FORMAT, ses_choice(unsubscribeAll=True), (OUT, "opt_out", None)),
        (ses.FORMAT, ses_choice(topicSubscriptionStatus={"offers": "OptOut"}), (OUT, "opt_out", "offers")),
        (ses.FORMAT, ses_choice(topicSubscriptionStatus={"cats": "OptOut"}), (OUT, None, None)),
        (ses.FORMAT, ses_choice(topicSubscriptionStatus={"offers": "OptIn"}), (IN, "opt_in", "offers")),
        (ses.FORMAT, ses_choice(topicSubscriptionStatus={"cats": "OptIn"}), UNKNOWN),
        (ses.FORMAT, ses_event("Subscription"), UNKNOWN),
    ],
)
def test_a_choice_counts_for_what_was_left_or_joined(known: Format, content: Any, expected: Any) -> None:
    assert scope(one(known, content)) == expected


@pytest.mark.parametrize(
    ("stream", "fields", "expected", "direction"),
    [
        ("newsletter", {}, (OUT, "opt_out", "news"), Direction.INBOUND),
        ("broadcast", {}, (OUT, None, None), Direction.INBOUND),
        ("newsletter", {"SuppressSending": False}, (IN, "opt_in", "news"), Direction.INBOUND),
        ("broadcast", {"SuppressSending": False}, UNKNOWN, Direction.REPORT),
        ("newsletter", {"Origin": "Customer", "MessageID": None}, (OUT, "opt_out", "news"), Direction.OUTBOUND),
        ("newsletter", {"Origin": "Customer", "SuppressSending": False}, UNKNOWN, Direction.REPORT),
        ("newsletter", {"SuppressionReason": "HardBounce"}, UNKNOWN, Direction.REPORT),
        ("newsletter", {"SuppressionReason": "SpamComplaint"}, UNKNOWN, Direction.REPORT),
    ],
)
def test_a_change_of_a_stream_of_postmark(stream: str, fields: Any, expected: Any, direction: Direction) -> None:
    told = {"ChangedAt": AT, "Origin": "Recipient", "SuppressSending": True, "Tag": "invoices", "MessageStream": stream}
    event = one(postmark.FORMAT, postmark_event("SubscriptionChange", **{**told, **fields}))
    assert scope(event) == expected
    assert event.direction is direction


# Batches, refusals, recognition.


def test_one_bad_item_of_a_page_or_of_records_costs_itself_alone() -> None:
    page = {"items": [mailgun_event("delivered")["event-data"], 3, mailgun_event("opened")["event-data"]]}
    records = {"Records": [{"Sns": sns(ses_event("Delivery"))}, {"Sns": {"Type": "Notification"}}, {"Sns": sns({})}]}
    for known, batch, expected in (
        (mailgun.FORMAT, page, ["events", "refused", "events"]),
        (ses.FORMAT, records, ["events", "refused", "refused"]),
    ):
        payloads = cut(known, json.dumps(batch).encode())
        assert [payload.item for payload in payloads] == [0, 1, 2]
        assert [check_outcome(known.events, payload.content, OPTIONS) for payload in payloads] == expected


def test_what_sns_says_of_its_subscription_is_refused_with_what_to_do() -> None:
    confirm = {"Type": "SubscriptionConfirmation", "MessageId": "1", "TopicArn": "arn", "Message": "…", "Token": "t"}
    with pytest.raises(InvalidEvent, match="SubscribeURL"):
        read(ses.FORMAT, confirm)
    with pytest.raises(InvalidEvent, match="Amazon SNS's own note"):
        read(ses.FORMAT, {**confirm, "Type": "Notification", "Message": "Successfully validated SNS topic"})
    assert ses.FORMAT.recognises(json.dumps(confirm).encode())


@pytest.mark.parametrize("known", FORMATS.values(), ids=list(FORMATS))
def test_reasons_for_refusals_hold_nothing_of_the_payload(known: Format) -> None:
    reasons = [
        found["reject"]
        for path in sorted((SAMPLES / "email" / known.name).iterdir())
        if not path.name.endswith(EXPECTED)
        for found in outcome(path)
        if "reject" in found
    ]
    assert len(reasons) >= 5
    assert not [reason for reason in reasons if "@" in reason or "ada" in reason.lower() or "9001" in reason]


def test_a_mail_longer_than_the_beginning_of_a_file_is_recognised() -> None:
    text = "x" * (1 << 17)
    content = {"notificationType": "Received", "mail": {}, "receipt": {}, "content": text}
    for known, whole in (
        (ses.FORMAT, json.dumps(content)),
        (ses.FORMAT, json.dumps(sns(content))),
        (postmark.FORMAT, json.dumps({"FromFull": {"Email": "ada@example.org"}, "TextBody": text})),
        (mailgun.FORMAT, f"recipient=a%40acme.example&sender=b&from=c&body-plain={text}&token=t"),
    ):
        head = whole.encode()[: 1 << 16]
        assert [other.name for other in formats_of("email") if other.recognises(head)] == [known.name]


@given(st.binary(max_size=200))
def test_recognising_never_raises(head: bytes) -> None:
    for known in FORMATS.values():
        assert known.recognises(head) in (True, False)
        known.recognises(b'{"Records": [' + head)


@settings(max_examples=200, deadline=None)
@given(mutated([json.loads(c["Message"]) for c in CONTENTS["ses"] if str(c.get("Message")).startswith("{")]))
def test_no_broken_message_inside_an_envelope_raises_anything_else(content: Any) -> None:
    # The object itself: there are numbers that a JSON text cannot hold.
    check_outcome(ses.FORMAT.events, {**sns(None), "Message": content}, OPTIONS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(mailgun_older._OLDER_FIELDS)), st.text(max_size=20)), max_size=12))
def test_no_form_raises_anything_else(pairs: list[tuple[str, str]]) -> None:
    raw = urlencode([*pairs, ("event", "opened"), ("recipient", "ada@example.org")], errors="replace").encode()
    for payload in cut(mailgun.FORMAT, raw + b"&%ZZ=%00"):
        check_outcome(mailgun.FORMAT.events, payload.content, OPTIONS)


def test_our_own_data_never_costs_the_report() -> None:
    for odd in ([], "free text", '{"case": "7"}', {"case": {"id": 7}, "order": 10**40, "invoice": ["9001", "9002"]}, 3):
        event = one(mailgun.FORMAT, mailgun_event("delivered", **{"user-variables": odd}))
        assert event.type == "message.delivered"
    assert case_refs(object_in(Fields({"data": '{"case": "7"}'}), "data")) == ("case:7",)
    odd_ones = Fields({"data": {"case": {"id": 7}, "order": 10**40, "invoice": ["9001", "9002"]}})
    assert case_refs(object_in(odd_ones, "data")) == ("invoice:9001", "invoice:9002")
