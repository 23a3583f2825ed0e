"""Lob's events: what becomes of a letter, postcard, self mailer or check that was sent through it."""

import re
from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.post.addresses import address_of, item_points
from producers.reading import (
    Fields,
    attributes,
    case_refs,
    content_type_of,
    event_of,
    json_payloads,
    json_sample,
    purpose_of,
)
from schemas.errors import InvalidEvent
from schemas.models import Author, DeliveryBasis, Direction, Event, Purpose

VENDOR = "lob"

_MAIL = frozenset({"letter", "postcard", "self_mailer", "check"})
# Made, paid for or seen as an e-mail preview: nothing happened to the item. And Lob tells of more than mail.
_NO_EVENTS = frozenset({"rendered_thumbnails", "billed"})
_NOT_MAIL = frozenset({"address", "bank_account"})
_LOB_STEPS = {
    "created": "item.created",
    "rendered_pdf": "item.created",
    "mailed": "item.posted",
    "in_transit": "item.in_transit",
    "in_local_area": "item.in_transit",
    "international_exit": "item.in_transit",
    "processed_for_delivery": "item.in_transit",
    "pickup_available": "item.in_transit",
    "issue": "item.in_transit",
    "delivered": "item.delivered",
    "re-routed": "item.rerouted",
    "re_routed": "item.rerouted",
    "returned_to_sender": "item.returned",
    "viewed": "item.viewed",
    "failed": "message.failed",
    "rejected": "message.failed",
    "deleted": "message.failed",
}
_LOB_ISSUES = {
    "package_lost": "item.lost",
    "package_disposed": "item.lost",
    "delivery_attempted": "item.delivery_attempted",
    "notice_left": "item.delivery_attempted",
    "location_inaccessible": "item.delivery_attempted",
}
_DIRECTIONS = {
    "item.created": Direction.OUTBOUND,
    "item.posted": Direction.OUTBOUND,
    "item.viewed": Direction.INBOUND,
    "reply.received": Direction.INBOUND,
}

_READ_METADATA = frozenset({"customer_ref", "content_type", "invoice", "order", "case"})
_USE_TYPES = {"marketing": Purpose.MARKETING, "operational": Purpose.TRANSACTIONAL}


def lob_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one Lob event object, or none for what is no step in the life of an item.

    It happened when the newest tracking event of the same name did, or else when Lob made the event. A return
    envelope that arrives is the customer's reply. https://docs.lob.com/#tag/Events
    """
    given = Fields.of(content)
    kind = given.required("event_type.id", "event_type")
    resource, *steps = kind.split(".")
    if resource in _NOT_MAIL:
        return
    step = steps[-1] if steps else ""
    enveloped, previewed = "return_envelope" in steps, "informed_delivery" in steps
    if resource not in _MAIL or not (step in _LOB_STEPS or step in _NO_EVENTS or previewed):
        raise InvalidEvent("event_type.id: not a known event of a letter, postcard, self mailer or check")
    if step in _NO_EVENTS or previewed or (enveloped and step != "delivered"):
        return
    body = given.within("body")
    tracked = _newest_tracking(body, step, options)
    details = Fields({}) if tracked is None else tracked.within("details")
    at = None if tracked is None else tracked.time("time", "date_created", options=options)
    event_type = "reply.received" if enveloped else _LOB_STEPS[step]
    if step == "issue":
        event_type = _LOB_ISSUES.get(details.text("event") or "", event_type)
    piece = body.ref("id") or given.required("reference_id")
    about = body.within("metadata")
    basis = DeliveryBasis.SCAN if "certified" in steps else DeliveryBasis.LOGICAL
    content_type = content_type_of(about.texts("content_type"))
    yield event_of(
        "post",
        options,
        vendor=VENDOR,
        type=event_type,
        reference=piece,
        discriminator=".".join(steps),
        occurred_at=at or given.required_time("date_created", options=options),
        contact_points=item_points(
            about.ref("customer_ref"), _lob_address(body.within("to")), f"piece:{piece}", options
        ),
        source_event_id=given.ref("id"),
        direction=_DIRECTIONS.get(event_type, Direction.REPORT),
        conversation_ref=piece,
        message_ref=piece,
        case_refs=case_refs(about),
        content_type=content_type,
        purpose=_USE_TYPES.get((body.text("use_type") or "").lower(), purpose_of(content_type)),
        author=Author.CUSTOMER if event_type in {"item.viewed", "reply.received"} else None,
        summary=body.text("description"),
        piece=piece,
        document_class="return_envelope" if enveloped else resource,
        delivery_basis=basis if event_type == "item.delivered" else None,
        return_reason=details.text("event", "description") if event_type == "item.returned" else None,
        attributes=attributes(
            {name: body.value(name) for name in ("carrier", "mail_type", "campaign_id", "expected_delivery_date")},
            {name: value for name, value in about.content.items() if name not in _READ_METADATA},
            lob_event=kind,
            location=None if tracked is None else tracked.value("location"),
            detail=details.value("event"),
        ),
    )


def _newest_tracking(body: Fields, step: str, options: Options) -> Fields | None:
    """The newest tracking event that has the step's name: `re-routed` and "Re-Routed" are the same."""
    wanted = _letters(step)
    same = [
        (at, place, event)
        for place, event in enumerate(body.each("tracking_events"))
        if _letters(event.text("name") or "") == wanted
        and (at := event.time("time", "date_created", options=options)) is not None
    ]
    return max(same)[2] if same else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _lob_address(to: Fields) -> dict[str, str] | None:
    return address_of(
        street=" ".join(line for name in ("address_line1", "address_line2") if (line := to.text(name))),
        city=to.text("address_city"),
        state=to.text("address_state"),
        postal_code=to.text("address_zip"),
        country=to.text("address_country"),
    )


def is_lob(head: bytes) -> bool:
    """Whether a file begins with an event of Lob's."""

    def is_event(one: dict[str, Any]) -> bool:
        kind = one.get("event_type")
        name = kind.get("id") if isinstance(kind, dict) else kind
        return isinstance(name, str) and "body" in one and name.split(".")[0] in _MAIL | _NOT_MAIL

    return any(map(is_event, json_sample(head)[:5]))


FORMAT = Format(
    name="lob",
    channel="post",
    title="Lob events of letters, postcards, self mailers and checks, JSON",
    example="""\
{"id": "evt_0001", "object": "event", "event_type": {"id": "letter.returned_to_sender", "resource": "letters"},
 "reference_id": "ltr_0001", "date_created": "2026-03-09T05:00:00.000Z",
 "body": {"id": "ltr_0001", "to": {"name": "Ada Example", "address_line1": "1 Sample St", "address_zip": "00001",
  "address_country": "US"}, "metadata": {"content_type": "invoice", "customer_ref": "C-17"}}}
""",
    recognises=is_lob,
    payloads=json_payloads,
    events=lob_events,
)
