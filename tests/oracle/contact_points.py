"""contact_points: one row per contact point that was seen."""

from typing import Any

from schemas.contact_points import contact_point_id
from schemas.models import Assurance
from tests.oracle.entries import Entry, later_holder, plain
from tests.oracle.identity import Identity

WORDS = {
    "message.bounced": "mail bounced",
    "item.returned": "letter returned",
    "call.failed": "call failed",
    "call.wrapped_up": "call reached nobody of theirs",
    "dm.failed": "message failed",
    "account.blocked": "we are blocked",
}
WRONG_NUMBER = ("wrong number", "wrong person", "invalid number", "not in service")
ASSURANCES = [str(assurance) for assurance in Assurance]


def contact_points(entries: list[Entry], who: Identity) -> list[dict[str, Any]]:
    """A point is `normalised` once one event that saw it says so; evidence of reach counts only as the primary."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for point in entry.points:
            if point.role == "self":
                if point.key not in rows:
                    rows[point.key] = _unseen(point, who)
                row = rows[point.key]
                row["first_seen"] = row["first_seen"] or entry.at
                row["last_seen"] = entry.at
                row["normalised"] = row["normalised"] or point.normalised
                row["assurance"] = min(row["assurance"], str(point.assurance), key=ASSURANCES.index)
    bad: dict[str, Entry] = {}
    good: dict[str, Entry] = {}
    for entry in entries:
        if entry.on_a_channel and entry.key in rows:
            rows[entry.key]["events"] += 1
        if entry.meaning.reach == "bad" or _is_wrong_number(entry):
            bad[entry.key] = entry
        elif entry.meaning.reach == "good" or _is_use(entry):
            good[entry.key] = entry
    for key, newest_bad in bad.items():
        restored = key in good and good[key].at > newest_bad.at
        if key in rows and not restored:
            rows[key] |= _unreachable(newest_bad)
    for key, times in who.ended.items():
        holders = [key, *(later_holder(key, moment) for moment in times)]
        for one, moment in zip(holders, times, strict=False):
            if one in rows:
                reason = "contact_point.ended"
                rows[one] |= {"reachable": False, "unreachable_since": moment, "unreachable_reason": reason}
                rows[one]["ended_at"] = moment
    return list(rows.values())


def _is_wrong_number(entry: Entry) -> bool:
    """The agent who called noted so."""
    noted = (entry.outcome or "").lower().replace("_", " ").replace("-", " ")
    return entry.event.type == "call.wrapped_up" and entry.event.direction == "outbound" and noted in WRONG_NUMBER


def _is_use(entry: Entry) -> bool:
    """The customer came through it, and the system vouches for that."""
    primary, meaning = entry.points[0], entry.meaning
    return (
        entry.event.direction == "inbound"
        and (meaning.customer or meaning.opens)
        and meaning.item != "opened"
        and primary.role == "self"
        and primary.assurance in ("attested", "asserted")
    )


def _unseen(point: Any, who: Identity) -> dict[str, Any]:
    return {
        "contact_point": point.key,
        "contact_point_id": str(contact_point_id(point.key)),
        "kind": str(point.kind),
        "value": plain(point.value),
        "customer_id": who.customer_of(point.key),
        "assurance": ASSURANCES[-1],
        "normalised": False,
        "shared": point.key in who.shared,
        "first_seen": None,
        "last_seen": None,
        "events": 0,
        "ended_at": None,
        "reachable": True,
        "unreachable_since": None,
        "unreachable_reason": None,
    }


def _unreachable(bad: Entry) -> dict[str, Any]:
    outcome = "" if bad.outcome is None else f" ({bad.outcome})"
    return {
        "reachable": False,
        "unreachable_since": bad.at,
        "unreachable_reason": WORDS.get(bad.event.type, bad.event.type) + outcome,
    }
