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

Who unsubscribes with the tag `*` does so from all e-mail of the domain, else from what the tag names, and from news and
offers when it names no content type. Mail on its way through a route (`is-routed`) is none of ours: its reports are
`unknown`, and about its sender.
"""

import json
from collections.abc import Iterator, Mapping
from email.utils import getaddresses
from itertools import chain
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl

from producers.email.headers import is_address
from producers.email.mailgun_older import forwarded_mail, newer, single, stored_mail
from producers.email.webhooks import (
    bounce_class_of,
    given_ref,
    report_event,
    statement_of,
)
from producers.format import Format, Options, Payload
from producers.machines import is_machine
from producers.message_ids import message_id
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    cut_payloads,
    json_payloads,
    json_sample,
    object_in,
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
_READ_VARIABLES = frozenset({"message_ref", "content_type", "topic"})


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
        yield from forwarded_mail(single(given), options)
    elif not isinstance(given.value("message"), Mapping) and any(name in given.content for name in _OLDER):
        yield from _reported(newer(given), options)
    else:
        yield from _reported(given, options)


def _reported(data: Fields, options: Options) -> Iterator[Event]:
    event = data.required("event")
    headers = object_in(data, "message.headers")
    if event == "stored":
        yield from stored_mail(data, headers, options)
        return
    status, client, place = (
        object_in(data, "delivery-status"),
        object_in(data, "client-info"),
        object_in(data, "geolocation"),
    )
    variables = object_in(data, "user-variables")
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
            case_refs=case_refs(variables),
            content_type=content_type,
            topic=variables.text("topic"),
            machine=machine,
            statement=statement_of(type_, _left(data, tags), everything="*" in tags),
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
    return content_type_of([*tags, *lists])


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
