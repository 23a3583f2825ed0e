"""Mailgun: what became of a mail of ours, what its reader did, and the mail that Mailgun takes in for us.

Fields, all told in public: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads,
https://github.com/mailgun/documentation (source/api-events.rst, api-webhooks.rst) and, for the older webhooks and for
received mail, the fixtures of https://github.com/anymail/django-anymail (tests/test_mailgun_webhooks.py and
test_mailgun_inbound.py). Understood are

- the webhook `{"signature": …, "event-data": …}`, an `event-data` alone, and the pages of the events API (`items`);
- the older webhooks: form-encoded bodies, one a line, or flat JSON objects of the same fields. Where our own variables
  have the name of a field the form has both, Mailgun's first, but last of timestamp, token and signature;
- mail that a route forwards or stores (`message-headers`, `body-mime`) and the event `stored`.

message_ref is the variable `message_ref`, when our system gave one, else the Message-ID: that of the mail itself, so
sent mail, answers and reports meet. An event's id rests on it, on type, recipient and time, and on link, reader or
attempt; `id` and `token` are kept as source_event_id alone. Received mail has the events and ids of `rfc5322`.

Who unsubscribes with the tag `*` does so from all e-mail of the domain, else from what the tag names, and from all when
it names no content type. Mail on its way through a route (`is-routed`) is none of ours: its reports are `unknown`, and
about its sender.
"""

import json
from collections.abc import Iterator, Mapping
from email.utils import getaddresses
from itertools import chain
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl

from producers.email.headers import is_address
from producers.email.webhooks import (
    authentication,
    bounce_class_of,
    given_ref,
    inner,
    is_machine,
    own_case_refs,
    own_data,
    received_mail,
    relayed_mail,
    report_event,
    statement_of,
)
from producers.format import Format, Options, Payload
from producers.message_ids import message_id
from producers.reading import (
    Fields,
    attributes,
    content_type_of,
    cut_payloads,
    json_payloads,
    json_sample,
    parse_json,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, BounceClass, ContentType, Event

VENDOR = "mailgun"
MOST_FORM_FIELDS = 1_000

_TYPES = {
    "accepted": "message.queued",
    "rejected": "message.rejected",
    "delivered": "message.delivered",
    "failed": "message.bounced",
    "opened": "message.opened",
    "clicked": "link.clicked",
    "unsubscribed": "subscription.opted_out",
    "complained": "message.complained",
    # Words of the older webhooks.
    "bounced": "message.bounced",
    "dropped": "message.bounced",
}
# The provider's own lists: such a mail never left. 605 to 607 are Mailgun's codes for the same.
_REFUSED = frozenset({"suppress-bounce", "suppress-complaint", "suppress-unsubscribe"})
_REFUSED_CODES = frozenset({"605", "606", "607"})
_BLOCKED = frozenset({"espblock"})
_OLDER = frozenset({"token", "message-headers", "Message-Id", "message-id", "domain"})
_MAIL_FIELDS = frozenset({"message-headers", "body-mime", "body-plain", "sender"})
_LAST_COUNTS = frozenset({"timestamp", "token", "signature"})
_TAGS = ("tags", "tag", "X-Mailgun-Tag")
_READ_VARIABLES = frozenset({"message_ref", "content_type", "topic"})
# Of an older webhook: whatever else it has are our own variables.
_OLDER_FIELDS = {
    *("event", "recipient", "timestamp", "token", "signature", "url", "Message-Id", "message-id", "message-headers"),
    *("tag", "X-Mailgun-Tag", "X-Mailgun-Sid", "domain", "body-plain", "h", "code", "error", "notification", "reason"),
    *("description", "ip", "country", "region", "city", "user-agent", "device-type", "client-type", "client-name"),
    *("client-os", "bot", "campaign-id", "campaign-name", "mailing-list", "attachment-count"),
}


def mailgun_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """JSON in all its forms, every event of a page by itself; else one form-encoded body (or JSON object) a line."""
    lines = iter(stream)
    blank: list[bytes] = []
    for line in lines:
        if line.removeprefix(b"\xef\xbb\xbf").strip():
            break
        blank.append(line)
    else:
        return
    rest = chain(blank, (line,), lines)
    if line.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        yield from cut_payloads(json_payloads(cast("BinaryIO", rest), options), _items)
        return
    for number, body in enumerate(rest, 1):
        raw = body.removeprefix(b"\xef\xbb\xbf").strip()
        if raw:
            content, error = parse_json(raw) if raw[:1] == b"{" else _form(raw)
            yield Payload(raw=raw, line=number, content=content, error=error)


def mailgun_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one webhook. Raises InvalidEvent."""
    given = Fields.of(content)
    if given.has("event-data"):
        yield from _reported(given.within("event-data"), options)
    elif not given.has("event") and not _MAIL_FIELDS.isdisjoint(given.content):
        yield from _received(_single(given), options)
    elif not isinstance(given.value("message"), Mapping) and any(name in given.content for name in _OLDER):
        yield from _reported(_newer(given), options)
    else:
        yield from _reported(given, options)


def _reported(data: Fields, options: Options) -> Iterator[Event]:
    event = data.required("event")
    headers = inner(data, "message.headers")
    if event == "stored":
        yield from _stored(data, headers, options)
        return
    status, client, place = inner(data, "delivery-status"), inner(data, "client-info"), inner(data, "geolocation")
    variables = own_data(data, "user-variables")
    tags = data.texts("tags")
    routed = data.flag("flags.is-routed") or False
    machine = _machine(client)
    type_ = "unknown" if routed or (event == "unsubscribed" and machine) else _type(event, data, status)
    content_type = content_type_of([*variables.texts("content_type"), *tags])
    reference = given_ref(variables, "message_ref") or message_id(headers.ref("message-id"))
    bounced = type_ == "message.bounced"
    for recipient in _recipients(data, headers, routed=routed):
        yield report_event(
            options,
            vendor=VENDOR,
            type=type_,
            recipient=recipient,
            assurance=Assurance.CLAIMED if routed else Assurance.ASSERTED,
            reference=reference or _without_message(data),
            discriminator=_discriminator(event, data, status, client),
            occurred_at=data.required_time("timestamp", options=options),
            source_event_id=data.ref("id"),
            message_ref=reference,
            case_refs=own_case_refs(variables),
            content_type=content_type,
            topic=variables.text("topic"),
            machine=machine,
            statement=statement_of(type_, _left(data, tags)),
            subject=headers.text("subject"),
            url=data.text("url") if event == "clicked" else None,
            bounce_class=_bounce_class(data, status) if bounced else None,
            attributes=attributes(
                ((name, value) for name, value in variables.content.items() if name not in _READ_VARIABLES),
                event=event if type_ == "unknown" else None,
                routed=routed or None,
                tags=tags,
                severity=data.value("severity"),
                reason=data.value("reason") or data.value("reject.reason"),
                code=status.value("code"),
                status=status.value("enhanced-code"),
                response=status.value("message"),
                description=status.value("description") or data.value("reject.description"),
                attempt=status.value("attempt-no"),
                bounce_type=status.value("bounce-type"),
                mx_host=status.value("mx-host"),
                sender=data.value("envelope.sender"),
                mailing_list=data.value("mailing-list.address") or data.value("mailing-list"),
                domain=data.value("domain.name"),
                ip=data.value("ip"),
                user_agent=client.value("user-agent"),
                client=client.value("client-name"),
                device=client.value("device-type"),
                bot=client.value("bot"),
                country=place.value("country"),
                region=place.value("region"),
                city=place.value("city"),
            ),
        )


def _without_message(data: Fields) -> str:
    event_id = data.ref("id")
    if event_id is None:
        raise InvalidEvent(f"{data.where('message')}.headers.message-id: missing, and so is id")
    return event_id


def _type(event: str, data: Fields, status: Fields) -> str:
    type_ = _TYPES.get(event, "unknown")
    if type_ != "message.bounced":
        return type_
    if data.text("severity") == "temporary":
        return "message.deferred"
    refused = data.text("reason") in _REFUSED or status.text("code") in _REFUSED_CODES
    return "message.rejected" if refused else type_


def _bounce_class(data: Fields, status: Fields) -> BounceClass:
    """Hard when nothing is said: the failure is for good, since what is not has severity temporary."""
    if data.text("reason") in _BLOCKED:
        return BounceClass.BLOCK
    found = bounce_class_of(status.text("enhanced-code"), status.text("message"), status.text("code"))
    if found is not None:
        return found
    # Tried until its time ran out; or 499, no server was reached.
    soft = data.text("reason") == "old" or status.text("bounce-type") == "soft"
    return BounceClass.SOFT if soft else BounceClass.HARD


def _recipients(data: Fields, headers: Fields, *, routed: bool) -> list[str]:
    """Whom the event is about: the recipient; the addresses in To of a mail that was rejected before it had one."""
    given = None if routed else data.ref("recipient")
    if given is not None:
        return [given]
    name = "from" if routed else "to"
    found = [address for _, address in getaddresses([headers.text(name) or ""]) if is_address(address)]
    if not found:
        raise InvalidEvent(f"{'message.headers.from' if routed else 'recipient'}: missing")
    return list(dict.fromkeys(found))[:100]


def _discriminator(event: str, data: Fields, status: Fields, client: Fields) -> str | None:
    if event == "clicked":
        return data.text("url")
    if event == "opened":
        return f"{data.text('ip') or ''} {client.text('user-agent') or ''}"
    return status.text("attempt-no") if event == "failed" else None


def _machine(client: Fields) -> bool | None:
    """`bot` names the kind of machine, and is empty when none was found out; older events do not have it."""
    said = client.has("bot") if "bot" in client.content else None
    return is_machine(client.text("user-agent"), said=said)


def _left(data: Fields, tags: list[str]) -> ContentType | None:
    lists = [text for name in ("mailing-list.address", "mailing-list.name") if (text := data.text(name))]
    return None if "*" in tags else content_type_of([*tags, *lists])


def _stored(data: Fields, headers: Fields, options: Options) -> Iterator[Event]:
    """A mail came in and was stored; it has no date of its own here."""
    told = [(name, headers.text(name) or "") for name in ("from", "to", "subject", "message-id")]
    at = data.required_time("timestamp", options=options).isoformat()
    yield from received_mail(
        [*told, ("Date", at)],
        "",
        options,
        vendor=VENDOR,
        source_event_id=data.ref("id"),
        noted=attributes(tags=data.texts("tags"), recipient=data.value("recipient")),
    )


def _received(given: Fields, options: Options) -> Iterator[Event]:
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
        yield from relayed_mail(mime.encode(), options, vendor=VENDOR, source_event_id=token, noted=noted)
        return
    text = given.value("stripped-text", "body-plain")
    text = text if isinstance(text, str) else ""
    yield from received_mail(told, text, options, vendor=VENDOR, source_event_id=token, noted=noted)


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


def _newer(given: Fields) -> Fields:
    """An older webhook in the form of the newer: its own variables lie among the fields."""
    flat = _single(given)
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


def _single(given: Fields) -> Fields:
    """Of a field that is there more than once the value that is Mailgun's."""
    return Fields(
        {
            name: value[-1 if name in _LAST_COUNTS else 0] if isinstance(value, list) and value else value
            for name, value in given.content.items()
        }
    )


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


def _items(content: Any) -> list[Any]:
    items = content.get("items") if isinstance(content, dict) else None
    return items if isinstance(items, list) and "event" not in content else []


def _form(raw: bytes) -> tuple[dict[str, Any] | None, str | None]:
    try:
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FORM_FIELDS)
    except ValueError:
        return None, f"more than {MOST_FORM_FIELDS} form fields"
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    if b"=" not in raw:
        return None, "neither JSON nor a form-encoded body"
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}, None


def is_mailgun(head: bytes) -> bool:
    """Whether a file begins with Mailgun's webhooks, events or received mail."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] not in (b"{", b"["):
        fields = {part.partition(b"=")[0] for part in start.partition(b"\n")[0].split(b"&")}
        signed = fields & {b"token", b"signature", b"timestamp", b"message-headers", b"body-plain", b"body-mime"}
        return b"recipient" in fields and bool(signed) and bool(fields & {b"event", b"sender"})
    sample = json_sample(head)[:5]
    return any(_ours(item) for found in sample for item in (_items(found)[:1] or [found]))


def _ours(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    if "event-data" in found:
        return True
    if "event" in found:
        named = {"log-level", "recipient-domain", "delivery-status", "client-info", "user-variables", "storage"}
        older = {"token", "signature"} <= set(found) and "recipient" in found
        return "timestamp" in found and (older or (bool(named & set(found)) and "sg_event_id" not in found))
    return (
        "recipient" in found and "sender" in found and bool({"message-headers", "body-mime", "body-plain"} & set(found))
    )


FORMAT = Format(
    name="mailgun",
    channel="email",
    title="Mailgun's webhooks, events and received mail (JSON, or a form-encoded body a line)",
    example=json.dumps(
        {
            "signature": {"timestamp": "1772442900", "token": "t-1", "signature": "s-1"},
            "event-data": {
                "event": "delivered",
                "id": "ev-1",
                "timestamp": 1772442900.25,
                "recipient": "ada@example.org",
                "tags": ["invoices"],
                "message": {"headers": {"message-id": "m1@acme.example", "subject": "Invoice 9001"}},
                "delivery-status": {"code": 250, "message": "OK", "attempt-no": 1},
                "user-variables": {"invoice": "9001"},
            },
        }
    )
    + "\n",
    recognises=is_mailgun,
    payloads=mailgun_payloads,
    events=mailgun_events,
)
