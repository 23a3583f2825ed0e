"""The mail that Amazon SES takes in for us."""

import base64
import binascii
from collections.abc import Iterator

from producers.email.webhooks import authentication, header_pairs, received_mail, relayed_mail
from producers.format import Options
from producers.reading import Fields, attributes, object_in
from schemas.errors import InvalidEvent
from schemas.models import Event

_VENDOR = "ses"


def received_events(given: Fields, delivery: str | None, options: Options) -> Iterator[Event]:
    """A mail that SES took in: whole, when the action puts it into the record, else its header alone."""
    mail, receipt = given.within("mail"), object_in(given, "receipt")
    verdict = {
        name: object_in(receipt, f"{name}Verdict").text("status") for name in ("spam", "virus", "dkim", "dmarc", "spf")
    }
    passed = authentication("amazonses.com", dkim=verdict["dkim"] == "PASS", dmarc=verdict["dmarc"] == "PASS")
    noted = attributes(
        ((f"{name}_verdict", status) for name, status in verdict.items()),
        recipient=receipt.value("recipients"),
        envelope_sender=mail.value("source"),
        stored_at=receipt.value("action.objectKey"),
    )
    own = delivery or mail.ref("messageId")
    whole = _content(given, receipt)
    if whole is not None:
        raw = f"{passed[0]}: {passed[1]}\r\n".encode() + whole.lstrip()
        yield from relayed_mail(raw, options, vendor=_VENDOR, source_event_id=own, noted=noted)
        return
    common = object_in(mail, "commonHeaders")
    headers = header_pairs(mail, "headers", "name", "value") or [
        (name, ", ".join(common.texts(field)))
        for name, field in (
            *(("From", "from"), ("To", "to"), ("Cc", "cc"), ("Subject", "subject"), ("Date", "date")),
            *(("Message-ID", "messageId"), ("Reply-To", "replyTo")),
        )
        if common.has(field)
    ]
    at = mail.time("timestamp", options=options)
    told = [passed, *headers, *([("Date", at.isoformat())] if at else [])]
    yield from received_mail(told, "", options, vendor=_VENDOR, source_event_id=own, noted=noted)


def _content(given: Fields, receipt: Fields) -> bytes | None:
    content = given.value("content")
    if not isinstance(content, str):
        return None
    if (receipt.text("action.encoding") or "").upper() != "BASE64":
        return content.encode("utf-8", "replace")
    try:
        return base64.b64decode(content, validate=False)
    except (binascii.Error, ValueError):
        raise InvalidEvent("content: not Base64, as receipt.action.encoding says") from None
