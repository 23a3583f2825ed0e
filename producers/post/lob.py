"""Lob's events: what becomes of a letter, postcard, self mailer or check that was sent through it.

Event types: lob/lob-openapi `resources/events/attributes/*_types.yml`, and Lob's page on events; the event itself:
`resources/events/models/events.yml`; tracking: `shared/resources/tracking_events/`.
"""

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
_NOT_MAIL = frozenset({"address", "bank_account"})
# Rendered, billed, seen as an e-mail preview (informed_delivery): nothing happened to the item, so they are unknown.
_STEPS = {
    "created": "item.created",
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
_ISSUES = {
    "package_lost": "item.lost",
    "package_disposed": "item.lost",
    "delivery_attempted": "item.delivery_attempted",
    "notice_left": "item.delivery_attempted",
    "location_inaccessible": "item.delivery_attempted",
    "returned_to_sender": "item.returned",
    "package_forwarded": "item.rerouted",
}
_DIRECTIONS = {
    "item.created": Direction.OUTBOUND,
    "item.posted": Direction.OUTBOUND,
    "item.viewed": Direction.INBOUND,
    "reply.received": Direction.INBOUND,
}

_READ_METADATA = frozenset({"customer_ref", "content_type", "invoice", "order", "case"})
_USE_TYPES = {"marketing": Purpose.MARKETING, "operational": Purpose.TRANSACTIONAL}
_BODY = (
    "carrier",
    "mail_type",
    "campaign_id",
    "expected_delivery_date",
    "send_date",
    "tracking_number",
    "extra_service",
)


def lob_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one of Lob's events; what is no step of an item's way is `unknown`.

    A step happened when its newest tracking event of that name did. Only certified mail is scanned at the door. The
    return envelope of a letter answers it when it is delivered to us. The customer and the content type are read
    from the metadata `customer_ref` and `content_type`.
    """
    given = Fields.of(content)
    kind = given.required("event_type.id", "event_type").lower()
    resource, *steps = kind.split(".")
    if resource not in _MAIL | _NOT_MAIL or not steps:
        raise InvalidEvent("event_type.id: not an event of a letter, postcard, self mailer, check or address")
    event_type = _type_of(resource, steps)
    body = given.within("body")
    tracked = _newest_tracking(body, steps[-1], options)
    details = Fields({}) if tracked is None else tracked.within("details")
    if event_type != "unknown" and steps[-1] == "issue":
        event_type = _ISSUES.get(details.text("event") or "", event_type)
    at = None if tracked is None else tracked.time("time", "date_created", options=options)
    piece = body.ref("id") or given.required("reference_id")
    about = body.within("metadata")
    content_type = content_type_of(about.texts("content_type"))
    envelope = "return_envelope" in steps
    reply = event_type == "reply.received"
    yield event_of(
        "post",
        options,
        vendor=VENDOR,
        type=event_type,
        reference=piece,
        discriminator=".".join(steps) if resource in _MAIL else kind,
        occurred_at=at or given.required_time("date_created", options=options),
        contact_points=item_points(
            about.ref("customer_ref"),
            _lob_address(body.within("to")) if resource in _MAIL else None,
            f"piece:{piece}",
            options,
        ),
        source_event_id=given.ref("id"),
        direction=_DIRECTIONS.get(event_type, Direction.REPORT),
        conversation_ref=piece,
        message_ref=f"{piece}/return_envelope" if reply else piece,
        answers_ref=piece if reply else None,
        case_refs=case_refs(about),
        content_type=content_type,
        purpose=_USE_TYPES.get((body.text("use_type") or "").lower(), purpose_of(content_type)),
        author=Author.CUSTOMER if event_type in {"item.viewed", "reply.received"} else None,
        summary=body.text("description"),
        piece=piece,
        document_class="return_envelope" if envelope else resource,
        delivery_basis=_basis(steps) if event_type == "item.delivered" else None,
        return_reason=_reason(details) if event_type == "item.returned" else None,
        attributes=attributes(
            {name: body.value(name) for name in _BODY},
            {name: value for name, value in about.content.items() if name not in _READ_METADATA},
            event=kind,
            location=None if tracked is None else tracked.value("location"),
            detail=details.value("event"),
            notes=details.value("notes"),
            action_required=details.value("action_required"),
        ),
    )


def _type_of(resource: str, steps: list[str]) -> str:
    if resource not in _MAIL or "informed_delivery" in steps:
        return "unknown"
    if "return_envelope" in steps:
        return "reply.received" if steps[-1] == "delivered" else "unknown"
    return _STEPS.get(steps[-1], "unknown")


def _basis(steps: list[str]) -> DeliveryBasis:
    return DeliveryBasis.SCAN if "certified" in steps else DeliveryBasis.LOGICAL


def _reason(details: Fields) -> str | None:
    return details.text("event", "description")


def _newest_tracking(body: Fields, step: str, options: Options) -> Fields | None:
    """The newest tracking event that has the step's name: `re-routed` and "Re-Routed" are the same."""
    wanted = _letters(step)
    same = [
        (at, place, event)
        for place, event in enumerate(body.each("tracking_events"))
        if _letters(event.text("name") or "") == wanted
        and (at := event.time("time", "date_created", options=options)) is not None
    ]
    return max(same, key=lambda found: found[:2])[2] if same else None


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
