"""What real deliveries hold besides: reports of mail systems, automatic replies, and what is broken."""

from datetime import timedelta
from email.utils import format_datetime

from touchlog.demo.archive import CALLS, CHATWOOT, CRM, INSTAGRAM, LOB, SCANS, SENDGRID, TWILIO, Archive
from touchlog.demo.mail import SUPPORT, eml
from touchlog.demo.people import Person

BROKEN = 9
"""How many payloads are broken: each is rejected, kept whole, and told of."""

_BOUNCE = """\
From: MAILER-DAEMON@mx.acme.example
To: {support}
Subject: Undelivered Mail Returned to Sender
Date: {date}
Message-ID: <bounce.{number}@mx.acme.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=="

--==
Content-Type: text/plain

Your mail could not be delivered.
--==
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.acme.example

Final-Recipient: rfc822; {email}
Action: failed
Status: 5.1.1
--==
Content-Type: text/rfc822-headers

Message-ID: <answer.{number}@acme.example>
Subject: Your question
--==--
"""
_AWAY = """\
From: {name} <{email}>
To: {support}
Subject: Out of office
Date: {date}
Message-ID: <away.{number}@example.org>
Auto-Submitted: auto-replied
In-Reply-To: <answer.{number}@acme.example>

I am back on Monday.
"""
_HTML = """\
From: {name} <{email}>
To: {support}
Subject: =?utf-8?q?Caf=C3=A9_cups?=
Date: {date}
Message-ID: <html.{number}@example.org>
MIME-Version: 1.0
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

<p>Do you still have the caf=E9 cups?</p>
"""


def add_oddities(archive: Archive, people: list[Person]) -> None:
    """Three messages in files of their own, and `BROKEN` payloads that nobody can understand."""
    for name, text, day, who in (("bounce", _BOUNCE, -50, 260), ("away", _AWAY, -22, 61), ("html", _HTML, -3, 143)):
        person, at = people[who - 1], archive.at(day, "11:11")
        facts = {"name": person.name, "email": person.email, "support": SUPPORT, "number": who}
        eml(archive, name, at, text.format(date=format_datetime(at), **facts))
    at = archive.at(-44, "12:00")
    archive.add(SENDGRID, at, b'[{"email":"cut.off@example.org","event":"open","timest')
    archive.add_json(SENDGRID, at, {"email": "bo@example.org", "event": "open", "sg_message_id": "acme1.filter"})
    archive.add_json(CHATWOOT, at, {"event": "message_created", "content": "nobody's", "message_type": "incoming"})
    archive.add(TWILIO, at, b"CallSid=CA0&From=%2B46700000009&Direction=inbound&Timestamp=yesterday&CallStatus=ringing")
    archive.add_row(CALLS, at, {"call_id": "R-0", "direction": "fax", "started_at": "2026-01-01 09:00:00", "talk_s": 1})
    archive.add_json(LOB, at, {"id": "evt_0", "event_type": {"id": "letter.teleported"}, "body": {"id": "ltr_0"}})
    archive.add_row(SCANS, at, {"item_id": "RA123456780SE", "event_code": "EMA", "event_time": at.isoformat()})
    archive.add_json(INSTAGRAM, at, {"object": "instagram", "entry": [{"id": "0", "messaging": [{"sender": {}}]}]})
    archive.add_json(CRM, at + timedelta(hours=1), {"channel": "fax", "type": "fax.received"})
