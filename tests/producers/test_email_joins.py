"""A mail of ours, the answer to it, and what its vendor reports of it name the same item."""

import io
import json
from typing import Any

import pytest

from producers.formats import find_format, recognise
from schemas.models import Event
from tests.producers.golden import OPTIONS

OWN = "<own-1@acme.example>"
STEM = "0102018f00000001-11111111-2222-4333-8444-555555555501-000000"
TO = "ada@example.org"


def read(name: str, raw: bytes) -> list[Event]:
    """The events of a file that is recognised as of this format."""
    known = find_format("email", name)
    assert recognise("email", raw) is known
    return [event for part in known.payloads(io.BytesIO(raw), OPTIONS) for event in known.events(part.content, OPTIONS)]


def mail(sender: str, to: str, **headers: str) -> Event:
    told = {"From": sender, "To": to, "Date": "Mon, 2 Mar 2026 09:14:05 +0000", "Subject": "Invoice 9001", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in told.items()]
    [event] = read("rfc5322", "\r\n".join([*lines, "", "Hello"]).encode())
    return event


def sendgrid(event: str, **fields: Any) -> dict[str, Any]:
    return {"email": TO, "timestamp": 1772442900, "event": event, "sg_event_id": event, **fields}


def mailgun(event: str) -> dict[str, Any]:
    headers = {"message-id": OWN.strip("<>")}
    told = {"event": event, "id": event, "timestamp": 1772442900.5, "recipient": TO, "message": {"headers": headers}}
    return {"signature": {}, "event-data": told}


def ses(kind: str, region: str, about: dict[str, Any]) -> dict[str, Any]:
    arn = f"arn:aws:ses:{region}:111122223333:identity/acme.example"
    written = [{"name": "Message-ID", "value": OWN}]
    sent = {"timestamp": "2026-03-02T09:14:58Z", "messageId": STEM, "sourceArn": arn, "destination": [TO]}
    return {"eventType": kind, "mail": {**sent, "headers": written}, kind.lower(): about}


def postmark(record: str, **fields: Any) -> dict[str, Any]:
    return {"RecordType": record, "ServerID": 23, "MessageID": "m-1", "Recipient": TO, **fields}


def brevo(event: str) -> dict[str, Any]:
    return {"event": event, "email": TO, "id": 1, "ts_epoch": 1772442900000, "message-id": OWN}


def mailjet(event: str) -> dict[str, Any]:
    sent_along = json.dumps({"message_ref": OWN})
    return {"event": event, "time": 1772442900, "MessageID": 19421777835146490, "email": TO, "Payload": sent_along}


def sparkpost(kind: str) -> dict[str, Any]:
    told = {"type": kind, "event_id": kind, "timestamp": "1772442900", "rcpt_to": TO, "transmission_id": "65"}
    return {"msys": {"message_event": {**told, "rcpt_meta": {"message_ref": OWN.strip("<>")}}}}


def resend(kind: str) -> dict[str, Any]:
    data = {"email_id": "e-1", "message_id": OWN, "created_at": "2026-03-02T09:14:59Z", "to": [TO]}
    return {"type": f"email.{kind}", "created_at": "2026-03-02T09:15:00.126Z", "data": data}


AT = "2026-03-02T09:15:00Z"
SENDGRID = "kq9vGBZNSC-AOqtcKHkx4g"
FILTERED = f"{SENDGRID}.recvd-77f9bd9c6c-bxxrg-1-65E1C1A2-2B.0"
REPORTS = {
    "sendgrid, its own Message-ID": (
        f"<{SENDGRID}@geopod-ismtpd-3>",
        [
            sendgrid("delivered", sg_message_id=FILTERED, **{"smtp-id": f"<{SENDGRID}@geopod-ismtpd-3>"}),
            sendgrid("open", sg_message_id=FILTERED),
        ],
    ),
    "sendgrid, our Message-ID": (
        OWN,
        [sendgrid(event, sg_message_id=FILTERED, message_ref=OWN) for event in ("processed", "delivered", "click")],
    ),
    "mailgun": (OWN, [mailgun(event) for event in ("accepted", "delivered", "opened", "clicked", "complained")]),
    "ses": (
        f"<{STEM}@eu-west-1.amazonses.com>",
        [
            ses("Delivery", "eu-west-1", {"timestamp": AT, "recipients": [TO]}),
            ses("Open", "eu-west-1", {"timestamp": AT, "userAgent": "x", "ipAddress": "192.0.2.1"}),
        ],
    ),
    "ses, the first region": (
        f"<{STEM}@email.amazonses.com>",
        [ses("Bounce", "us-east-1", {"timestamp": AT, "bounceType": "Permanent"})],
    ),
    "postmark": (
        "<m-1@mtasv.net>",
        [postmark("Delivery", DeliveredAt=AT), postmark("Open", ReceivedAt=AT), postmark("Click", ReceivedAt=AT)],
    ),
    "brevo": (OWN, [brevo(event) for event in ("request", "delivered", "unique_opened", "click")]),
    "mailjet": (OWN, [mailjet(event) for event in ("sent", "open", "click", "spam")]),
    "sparkpost": (OWN, [sparkpost(kind) for kind in ("injection", "delivery", "bounce")]),
    "resend": (OWN, [resend(kind) for kind in ("sent", "delivered", "opened", "complained")]),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_mail_its_answer_and_its_reports_are_about_one_item(name: str) -> None:
    message_id, reports = REPORTS[name]
    sent = mail("Acme <billing@acme.example>", "Ada Example <Ada@Example.org>", Message_ID=message_id)
    answer = mail(TO, "billing@acme.example", Message_ID="<a1@example.org>", In_Reply_To=message_id)
    told = [event for report in reports for event in read(name.partition(",")[0], json.dumps(report).encode())]
    assert (sent.type, answer.type, answer.answers_ref) == ("message.sent", "message.received", sent.message_ref)
    assert len(told) == len(reports)
    assert {(event.message_ref, event.primary.key) for event in told} == {(sent.message_ref, sent.primary.key)}
    assert len({event.event_id for event in (sent, answer, *told)}) == len(reports) + 2
