"""SparkPost's event webhooks and relay webhooks (mail that it receives for us): arrays of `{"msys": {<class>: …}}`.

Fields: https://developers.sparkpost.com/api/webhooks/ and https://developers.sparkpost.com/api/relay-webhooks/, bounce
classes: Momentum's "Bounce Classification Codes" (github.com/SparkPost/momentum-documentation), and what
django-anymail (BSD) saw of them. An empty `msys` is a ping, and refused as one.

| type | type here |
|---|---|
| injection, delivery, delay | message.queued, message.delivered, message.deferred |
| bounce, out_of_band | message.bounced, or what the class says, below |
| policy_rejection, generation_rejection; generation_failure | message.rejected; message.failed |
| spam_complaint; with fbtype `not-spam` | message.complained; message.complaint_withdrawn |
| open, initial_open, amp_open, amp_initial_open | message.opened |
| click, amp_click | link.clicked |
| list_unsubscribe, link_unsubscribe | subscription.opted_out; by a scanner: unknown |
| relay_*, sms_status, A/B tests, ingestion, any other | unknown; of nobody: `anonymous:sparkpost:<event_id>` |
| relay_message | the events of the mail that it holds, as in `rfc5322` |

| bounce class | here |
|---|---|
| 10 invalid recipient, 30 no recipient | hard |
| 20 soft, 21 DNS, 22 full, 23 too large, 24 time-out, 40 unspecified, 70 transient | soft |
| 50 to 54: mail, spam, content, attachment, relaying | block |
| 25: SparkPost's own policies | message.rejected |
| 60 auto-reply, 100 challenge-response | message.auto_replied, by a machine |
| 80 subscribe; 90 unsubscribe | unknown (a guess permits nothing); subscription.opted_out |
| 1 undetermined, any other | by the codes in the reason; soft when there are none |

message_ref: `message_ref` in rcpt_meta, else transmission_id, which the sending API answers and which with the contact
point is one mail, else message_id. The two pixels of one opening (initial_open, open) are one event when they were
loaded in the same second. Content type and purpose come from rcpt_meta, campaign and tags; a mail that was sent as
`transactional` and names no content type has that purpose.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.email.webhooks import (
    bounce_class_of,
    given_ref,
    relayed_mail,
    report_event,
    statement_of,
)
from producers.format import Format, Options, Payload
from producers.machines import is_machine
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    cut_payloads,
    event_of,
    json_payloads,
    json_sample,
    object_in,
    point,
    purpose_of,
    source,
    well_formed,
)
from schemas.errors import InvalidEvent
from schemas.models import Author, BounceClass, Direction, Event, Kind, Purpose

VENDOR = "sparkpost"

_TYPES = {
    "injection": "message.queued",
    "delivery": "message.delivered",
    "delay": "message.deferred",
    **dict.fromkeys(("bounce", "out_of_band"), "message.bounced"),
    **dict.fromkeys(("policy_rejection", "generation_rejection"), "message.rejected"),
    "generation_failure": "message.failed",
    "spam_complaint": "message.complained",
    **dict.fromkeys(("open", "initial_open", "amp_open", "amp_initial_open"), "message.opened"),
    **dict.fromkeys(("click", "amp_click"), "link.clicked"),
    **dict.fromkeys(("list_unsubscribe", "link_unsubscribe"), "subscription.opted_out"),
}
_CLASSES = frozenset(
    {"message_event", "track_event", "gen_event", "unsubscribe_event", "relay_event", "relay_message"}
    | {"ab_test_event", "ingest_event", "sms_event"}
)
_BOUNCE_CLASSES = {
    **dict.fromkeys(("10", "30"), BounceClass.HARD),
    **dict.fromkeys(("20", "21", "22", "23", "24", "40", "70"), BounceClass.SOFT),
    **dict.fromkeys(("50", "51", "52", "53", "54"), BounceClass.BLOCK),
}
_NO_BOUNCES = {
    "25": "message.rejected",
    **dict.fromkeys(("60", "100"), "message.auto_replied"),
    "80": "unknown",
    "90": "subscription.opted_out",
}
_READ = {
    *("type", "event_id", "timestamp", "rcpt_to", "raw_rcpt_to", "subject", "target_link_url", "bounce_class"),
    *("reason", "raw_reason", "device_token", "sms_text"),
}


def sparkpost_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one element of a batch, whole or cut. Raises InvalidEvent."""
    classes = Fields.of(content).within("msys")
    if not classes.content:
        raise InvalidEvent("msys: empty; a ping that tells of no event")
    for name, given in classes.content.items():
        found = Fields.of(given, f"msys.{name if name in _CLASSES else 'event'}")
        if name == "relay_message":
            yield from _relayed(found, options)
        else:
            yield _reported(found, str(name), options)


def _reported(event: Fields, class_: str, options: Options) -> Event:
    word = event.required("type")
    code = event.ref("bounce_class")
    agent = object_in(event, "user_agent_parsed")
    machine = is_machine(event.text("user_agent"), said=agent.flag("is_prefetched") or None)
    type_ = _type(event, word, code, machine=machine)
    recipient = _recipient(event, class_)
    own = object_in(event, "rcpt_meta")
    labels = [*own.texts("content_type"), *event.texts("campaign_id"), *event.texts("rcpt_tags")]
    content_type = content_type_of(labels)
    reference = given_ref(own, "message_ref") or event.ref("transmission_id", "message_id")
    facts: dict[str, Any] = {
        "vendor": VENDOR,
        "type": type_,
        "reference": reference or event.ref("event_id") or source(VENDOR, options),
        "discriminator": _discriminator(event, type_, word),
        "occurred_at": event.required_time("timestamp", options=options),
        "source_event_id": event.ref("event_id"),
        "attributes": attributes(
            {name: value for name, value in event.content.items() if name not in _READ},
            event=word,
            reason=event.value("raw_reason", "reason"),
            bounce_code=code,
        ),
    }
    if recipient is None:
        nobody = point(Kind.ANONYMOUS, f"{VENDOR}:{facts['reference']}", options)
        return event_of("email", options, contact_points=[nobody], direction=Direction.REPORT, **facts)
    automatic = type_ == "message.auto_replied"
    if automatic:
        # It is the reader's machine that wrote, in answer to ours.
        facts |= {"direction": Direction.INBOUND, "author": Author.MACHINE, "answers_ref": reference}
    return report_event(
        options,
        recipient=recipient,
        message_ref=None if automatic else reference,
        case_refs=case_refs(own),
        content_type=content_type,
        purpose=purpose_of(content_type) or (Purpose.TRANSACTIONAL if _is_transactional(event) else None),
        topic=own.ref("topic"),
        machine=machine,
        statement=statement_of(type_, content_type),
        subject=event.text("subject"),
        url=event.text("target_link_url") if type_ == "link.clicked" else None,
        bounce_class=_bounce_class(event, code) if type_ == "message.bounced" else None,
        **facts,
    )


def _type(event: Fields, word: str, code: str | None, *, machine: bool | None) -> str:
    type_ = _TYPES.get(word, "unknown")
    if type_ == "message.bounced":
        return _NO_BOUNCES.get(code or "", type_)
    if type_ == "message.complained" and (event.text("fbtype") or "").lower() == "not-spam":
        return "message.complaint_withdrawn"
    # Software that looks at every link of a mail asks for nothing.
    return "unknown" if type_ == "subscription.opted_out" and machine else type_


def _recipient(event: Fields, class_: str) -> str | None:
    """Whom it is about; who wrote, where SparkPost relays mail to us; None where it is nobody in particular."""
    if class_ == "relay_event":
        return event.ref("msg_from")
    found = event.ref("raw_rcpt_to", "rcpt_to")
    if found is None and event.text("type") in _TYPES:
        raise InvalidEvent(f"{event.where('rcpt_to')}: missing")
    return found


def _is_transactional(event: Fields) -> bool:
    return (event.text("transactional") or "").lower() in ("1", "true")


def _discriminator(event: Fields, type_: str, word: str) -> str:
    names = ["message_id", "num_retries"] if type_ == "message.deferred" else ["message_id"]
    if type_ in ("link.clicked", "message.opened"):
        names += ["target_link_url", "target_link_name", "ip_address", "user_agent"]
    told = " ".join(event.text(name) or "" for name in names)
    return f"{word} {told}" if type_ == "unknown" else told


def _bounce_class(event: Fields, code: str | None) -> BounceClass:
    known = _BOUNCE_CLASSES.get(code or "")
    said = (event.text("raw_reason"), event.text("reason"), event.text("error_code"))
    return known or bounce_class_of(*said) or BounceClass.SOFT


def _relayed(relay: Fields, options: Options) -> Iterator[Event]:
    content = relay.within("content")
    mail = content.value("email_rfc822")
    if not isinstance(mail, str):
        raise InvalidEvent(f"{content.where('email_rfc822')}: missing, or not text")
    raw = well_formed(mail).encode()
    if content.flag("email_rfc822_is_base64"):
        try:
            raw = b64decode(raw)
        except (binascii.Error, ValueError):
            raise InvalidEvent(f"{content.where('email_rfc822')}: not base64") from None
    return relayed_mail(
        raw.lstrip(),
        options,
        vendor=VENDOR,
        noted=attributes(envelope_from=relay.text("msg_from"), envelope_to=relay.text("rcpt_to")),
    )


def _classes(content: Any) -> list[Any]:
    """An element with several classes of events as elements of one each; nothing when it is of another shape."""
    if isinstance(content, Mapping) and isinstance(content.get("msys"), Mapping) and len(content["msys"]) > 1:
        return [{**content, "msys": {name: event}} for name, event in content["msys"].items()]
    return []


def sparkpost_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """The elements of the batches, each with one event."""
    return cut_payloads(json_payloads(stream, options), _classes)


def is_sparkpost(head: bytes) -> bool:
    """Whether a file begins with a batch of SparkPost's."""
    return any(isinstance(found.get("msys"), dict) for found in json_sample(head)[:5])


FORMAT = Format(
    name="sparkpost",
    channel="email",
    title="SparkPost's event and relay webhooks (JSON)",
    example="""\
[{"msys": {"message_event": {"type": "delivery", "event_id": "92356927693813856", "timestamp": "1772442900",
  "rcpt_to": "ada@example.org", "raw_rcpt_to": "Ada@example.org", "message_id": "000443ee14578172be22",
  "transmission_id": "65832150921904138", "campaign_id": "invoices", "subject": "Invoice 90013"}}}]
""",
    recognises=is_sparkpost,
    payloads=sparkpost_payloads,
    events=sparkpost_events,
)
