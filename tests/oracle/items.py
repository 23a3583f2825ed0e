"""items: the life of everything that we sent, by (message_ref, contact point)."""

from collections import defaultdict
from typing import Any

from schemas.contact_points import contact_point_id
from tests.oracle.entries import Entry, text
from tests.oracle.identity import Identity

STEPS = ("created", "sent", "delivered", "opened", "clicked", "answered", "paid", "returned", "failed")
PROGRESS = ("created", "sent", "delivered", "opened", "clicked", "answered", "paid")
ENDINGS = ("returned", "failed")
PROOFS_OF_ARRIVAL = ("delivered", "opened", "clicked", "answered", "paid")
SUREST = ("scan", "logical", "estimated")


def items(entries: list[Entry], who: Identity) -> list[dict[str, Any]]:
    """Every event on a channel that is a step of an item belongs to it; an answer belongs to what it answers."""
    by_item: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        reference = _reference(entry)
        if reference is not None:
            by_item[reference, entry.key].append(entry)
    rows = []
    for (reference, key), events in by_item.items():
        row = _item(reference, key, events, who)
        if any(row[f"{step}_at"] is not None for step in STEPS if step != "answered"):
            rows.append(row)
    return rows


def _reference(entry: Entry) -> str | None:
    if not entry.on_a_channel or entry.meaning.item is None:
        return None
    return entry.event.answers_ref if entry.meaning.item == "answered" else entry.event.message_ref


def _item(reference: str, key: str, events: list[Entry], who: Identity) -> dict[str, Any]:
    times = {step: _earliest(events, step) for step in STEPS}
    return {
        "message_ref": reference,
        "contact_point": key,
        "contact_point_id": str(contact_point_id(key)),
        "customer_id": who.customer_of(key),
        "channel": events[0].channel,
        "content_type": _first(events, "content_type"),
        "purpose": _first(events, "purpose"),
        "summary": _first(events, "summary"),
        **{f"{step}_at": at for step, at in times.items()},
        **{f"{step}_s": _seconds(times, step) for step in PROOFS_OF_ARRIVAL},
        "delivery_basis": min(_bases(events), key=SUREST.index, default=None),
        "opens": sum(entry.meaning.item == "opened" for entry in events),
        "engagement": max(entry.meaning.engagement for entry in events),
        "furthest": _furthest(times | {"delivered": _earliest(_certain(events), "delivered")}, times),
    }


def _bases(events: list[Entry]) -> list[str]:
    """How the carrier knows, of every delivery by post that says so."""
    said = (text(getattr(entry.event, "delivery_basis", None)) for entry in events if entry.meaning.item == "delivered")
    return [basis for basis in said if basis is not None]


def _certain(events: list[Entry]) -> list[Entry]:
    """Without what only the calendar says."""
    return [entry for entry in events if text(getattr(entry.event, "delivery_basis", None)) != "estimated"]


def _seconds(times: dict[str, Any], step: str) -> int | None:
    """From when it was created or sent, whichever was first, to a step: whole seconds, at least 0."""
    began = min((times[name] for name in ("created", "sent") if times[name] is not None), default=None)
    if began is None or times[step] is None:
        return None
    passed = times[step] - began
    return max(0, passed.days * 86_400 + passed.seconds)


def _earliest(events: list[Entry], step: str) -> Any:
    return next((entry.at for entry in events if entry.meaning.item == step), None)


def _first(events: list[Entry], field: str) -> str | None:
    """The value of the first event that has one (also an empty text)."""
    values = (getattr(entry.event, field) for entry in events)
    return text(next((value for value in values if value is not None), None))


def _furthest(certain: dict[str, Any], times: dict[str, Any]) -> str | None:
    """`returned` before `failed` when both hold; `certain` has no delivery that is only estimated."""
    for ending in ENDINGS:
        ended = times[ending]
        if ended is not None and not any(
            certain[step] is not None and certain[step] >= ended for step in PROOFS_OF_ARRIVAL
        ):
            return ending
    return next((step for step in reversed(PROGRESS) if times[step] is not None), None)
