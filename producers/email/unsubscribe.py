"""One-click unsubscriptions (RFC 8058), a line of JSON a request, as our own web server hands them over.

| field | meaning |
|---|---|
| url | the List-Unsubscribe URL that was asked for, with its query |
| body | `List-Unsubscribe=One-Click`, as a form or multipart (RFC 8058, 3.2), or already an object |
| method | POST where it is left out |
| received_at | when it came; the moment of reading where it is left out |
| email, message_ref, list | what the server knows behind the URL; they go before the URL's own parameters |

Parameters of the URL are read by the names that are common for them: the address by `email`, `e`, `to`, `rcpt`, `user`
and the like, the mail by `message_ref`, `message_id`, `mid`, the list by `list`, `newsletter`, `campaign`, `topic`. An
address that stands in the URL alone is claimed, for whoever saw the mail could write it; one that our server names is
asserted. Without any address nobody can be opted out, and the request is refused, to be looked into.

Only a POST with the One-Click body is a choice. Whatever else asks for the URL, such as a scanner that follows every
link of a mail (RFC 8058, 1), opts nobody out: `unknown`, by a machine, with `reason` in the attributes.

The content type is that of the list, by its name. A list that names none counts for news and offers.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from producers.email.headers import is_address
from producers.email.webhooks import given_ref, statement_of
from producers.format import Format, Options
from producers.message_ids import message_id
from producers.reading import (
    Fields,
    attributes,
    content_type_of,
    event_of,
    json_payloads,
    json_sample,
    point,
    purpose_of,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Author, Direction, Event, Kind

VENDOR = "unsubscribe"
LONGEST_URL = 8_000

_ADDRESS = (
    *("email", "e", "mail", "e-mail", "email_address", "emailaddress", "address", "addr"),
    *("recipient", "rcpt", "to", "subscriber", "subscriber_email", "user", "contact"),
)
_MESSAGE = ("message_ref", "message_id", "message-id", "messageid", "msg_id", "msgid", "msg", "mid")
_LIST = (
    *("list", "list_name", "listname", "list_id", "list-id", "listid", "newsletter"),
    *("campaign", "campaign_name", "utm_campaign", "topic", "category", "stream"),
)
_READ = {"url", "email", "message_ref", "received_at", "body"}
_NAME, _VALUE = "list-unsubscribe", "one-click"
_PART = re.compile(
    r'name="?list-unsubscribe"?[^\r\n]{0,200}(?:\r?\n[^\r\n]{1,200}){0,10}\r?\n\r?\n[ \t]*one-click[ \t]*(?:\r?\n|$)',
    re.IGNORECASE,
)


def unsubscribe_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one request. Raises InvalidEvent."""
    request = Fields.of(content)
    url = request.text("url") or ""
    query = _query(url)
    address, assurance = _address(request, query)
    lists = [*request.texts("list"), *(query[name] for name in _LIST if name in query)]
    content_type = content_type_of(lists)
    named = next((query[name] for name in _MESSAGE if name in query), None)
    reference = given_ref(request, "message_ref") or (message_id(named) if named and "@" in named else named)
    refused = _why_none(request)
    type_ = "unknown" if refused else "subscription.opted_out"
    yield event_of(
        "email",
        options,
        vendor=VENDOR,
        type=type_,
        reference=reference or url or VENDOR,
        discriminator=", ".join(lists) or None,
        occurred_at=request.time("received_at", options=options),
        direction=Direction.REPORT if refused else Direction.INBOUND,
        author=Author.MACHINE if refused else Author.CUSTOMER,
        machine=True if refused else None,
        contact_points=[point(Kind.EMAIL, address, options, assurance=assurance)],
        message_ref=reference,
        content_type=content_type,
        purpose=purpose_of(content_type),
        statement=statement_of(type_, content_type),
        url=url or None,
        attributes=attributes(
            {name: value for name, value in request.content.items() if name not in _READ},
            list=lists[0] if lists else None,
            reason=refused,
        ),
    )


def _query(url: str) -> dict[str, str]:
    """The URL's parameters, names in lower case, the first of each name."""
    if len(url) > LONGEST_URL:
        raise InvalidEvent(f"url: longer than {LONGEST_URL} characters")
    try:
        pairs = parse_qsl(urlsplit(url).query, max_num_fields=200)
    except ValueError:
        raise InvalidEvent("url: not a URL") from None
    return {name.strip().lower(): value.strip() for name, value in reversed(pairs) if value.strip()}


def _address(request: Fields, query: Mapping[str, str]) -> tuple[str, Assurance]:
    given = request.ref("email")
    if given is not None:
        if not is_address(given):
            raise InvalidEvent("email: not an address")
        return given, Assurance.ASSERTED
    # A plus that was not written as %2B comes out of a form as a blank.
    found = (query[name].replace(" ", "+") for name in _ADDRESS if name in query)
    address = next((one for one in found if is_address(one)), None)
    if address is None:
        raise InvalidEvent("email: missing, and the url has no parameter with an address")
    return address, Assurance.CLAIMED


def _why_none(request: Fields) -> str | None:
    """Why this is no one-click unsubscription; None when it is one."""
    method = request.text("method")
    if method is not None and method.upper() != "POST":
        return "the method is not POST (RFC 8058)"
    return None if _is_one_click(request.value("body")) else "the body is not List-Unsubscribe=One-Click (RFC 8058)"


def _is_one_click(body: Any) -> bool:
    if isinstance(body, Mapping):
        values = [value for name, value in body.items() if str(name).strip().lower() == _NAME]
        values = [one for value in values for one in (value if isinstance(value, list) else [value])]
        return any(isinstance(value, str) and value.strip().lower() == _VALUE for value in values)
    if not isinstance(body, str):
        return False
    try:
        pairs = parse_qsl(body[:LONGEST_URL], max_num_fields=200)
    except ValueError:
        return False
    form = any(name.strip().lower() == _NAME and value.strip().lower() == _VALUE for name, value in pairs)
    return form or _PART.search(body[:LONGEST_URL]) is not None


def is_unsubscribe(head: bytes) -> bool:
    """Whether a file begins with requests to a List-Unsubscribe URL."""
    return any(
        isinstance(found.get("url"), str)
        and bool(found.keys() & {"body", "method"})
        and not found.keys() & {"event", "type", "channel", "msys"}
        for found in json_sample(head)[:5]
    )


FORMAT = Format(
    name="unsubscribe",
    channel="email",
    title="one-click unsubscriptions (RFC 8058), a request a line (JSON)",
    example="""\
{"url": "https://acme.example/u?email=ada%40example.org&list=newsletter", "body": "List-Unsubscribe=One-Click", \
"received_at": "2026-03-02T09:15:00Z"}
""",
    recognises=is_unsubscribe,
    payloads=json_payloads,
    events=unsubscribe_events,
)
