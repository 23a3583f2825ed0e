"""Mailgun's older webhooks in the form of the newer, and the mail that it takes in for us."""

from collections.abc import Iterator
from typing import Any

from producers.email.webhooks import authentication, received_mail, relayed_mail
from producers.format import Options
from producers.reading import Fields, attributes, parse_json
from schemas.models import Event

_VENDOR = "mailgun"
_LAST_COUNTS = frozenset({"timestamp", "token", "signature"})
_TAGS = ("tags", "tag", "X-Mailgun-Tag")
# Of an older webhook: whatever else it has are our own variables.
_OLDER_FIELDS = {
    *("event", "recipient", "timestamp", "token", "signature", "url", "Message-Id", "message-id", "message-headers"),
    *("tag", "X-Mailgun-Tag", "X-Mailgun-Sid", "domain", "body-plain", "h", "code", "error", "notification", "reason"),
    *("description", "ip", "country", "region", "city", "user-agent", "device-type", "client-type", "client-name"),
    *("client-os", "bot", "campaign-id", "campaign-name", "mailing-list", "attachment-count"),
}


def newer(given: Fields) -> Fields:
    """An older webhook in the form of the newer: its own variables lie among the fields."""
    flat = single(given)
    told = {name.lower(): value for name, value in reversed(_list_of_pairs(flat.value("message-headers")))}
    headers = {name: told.get(name) for name in ("to", "from", "subject", "message-id")}
    headers["message-id"] = flat.text("Message-Id", "message-id") or headers["message-id"]
    return Fields(
        {
            **{name: flat.value(name) for name in ("event", "recipient", "timestamp", "reason", "url", "ip")},
            "id": flat.value("token"),
            "message": {"headers": headers},
            "delivery-status": {
                "code": flat.value("code"),
                "message": flat.value("error", "notification"),
                "description": flat.value("description"),
            },
            "client-info": {
                **({"bot": flat.value("bot")} if "bot" in flat.content else {}),
                **{name: flat.value(name) for name in ("user-agent", "client-name", "device-type")},
            },
            "geolocation": {name: flat.value(name) for name in ("country", "region", "city")},
            "mailing-list": flat.value("mailing-list"),
            "domain": {"name": flat.value("domain")},
            "tags": [tag for name in _TAGS for tag in given.texts(name)],
            "user-variables": {name: value for name, value in flat.content.items() if name not in _OLDER_FIELDS},
        }
    )


def stored_mail(data: Fields, headers: Fields, options: Options) -> Iterator[Event]:
    """A mail came in and was stored; it has no date of its own here."""
    told = [(name, headers.text(name) or "") for name in ("from", "to", "subject", "message-id")]
    at = data.required_time("timestamp", options=options).isoformat()
    yield from received_mail(
        [*told, ("Date", at)],
        "",
        options,
        vendor=_VENDOR,
        source_event_id=data.ref("id"),
        noted=attributes(tags=data.texts("tags"), recipient=data.value("recipient")),
    )


def forwarded_mail(given: Fields, options: Options) -> Iterator[Event]:
    """A mail that a route forwards: whole, or its header and its text."""
    mime, token = given.text("body-mime"), given.ref("token")
    headers = _headers(given)
    found = Fields({name.lower(): value for name, value in reversed(headers)})
    at = given.time("timestamp", options=options)
    told = [
        authentication("mailgun.org", dkim=(found.text("x-mailgun-dkim-check-result") or "").lower() == "pass"),
        *headers,
        *([("Date", at.isoformat())] if at else []),
    ]
    noted = attributes(
        recipient=given.value("recipient"),
        envelope_sender=given.value("sender"),
        spam=found.value("x-mailgun-sflag"),
        spam_score=found.value("x-mailgun-sscore"),
        spf=found.value("x-mailgun-spf"),
        attachments=given.value("attachment-count") or len(_list(given.value("attachments"))) or None,
    )
    if mime:
        yield from relayed_mail(mime.encode(), options, vendor=_VENDOR, source_event_id=token, noted=noted)
        return
    text = given.value("stripped-text", "body-plain")
    text = text if isinstance(text, str) else ""
    yield from received_mail(told, text, options, vendor=_VENDOR, source_event_id=token, noted=noted)


def _headers(given: Fields) -> list[tuple[str, str]]:
    pairs = _list(given.value("message-headers"))
    headers = [
        (pair[0], pair[1] if isinstance(pair[1], str) else str(pair[1][0] if isinstance(pair[1], list) else ""))
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and pair[1]
    ]
    if headers:
        return headers
    names = ("From", "To", "Cc", "Subject", "Message-Id", "In-Reply-To", "References", "Reply-To", "Date", "Received")
    told = {"From": given.text("From", "from", "sender"), "To": given.text("To", "recipient")}
    told["Subject"] = given.text("Subject", "subject")
    return [(name, text) for name in names if (text := told.get(name) or given.text(name))]


def _list(value: Any) -> list[Any]:
    """A list, also as JSON text; anything else is an empty one."""
    if isinstance(value, str):
        value, _ = parse_json(value.encode("utf-8", "replace"))
    return value if isinstance(value, list) else []


def _list_of_pairs(value: Any) -> list[tuple[str, str]]:
    return [
        (pair[0], pair[1])
        for pair in _list(value)
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
    ]


def single(given: Fields) -> Fields:
    """Of a field that is there more than once the value that is Mailgun's."""
    return Fields(
        {
            name: value[-1 if name in _LAST_COUNTS else 0] if isinstance(value, list) and value else value
            for name, value in given.content.items()
        }
    )
