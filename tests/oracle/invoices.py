"""invoices: what was sent about each invoice, and when it was paid."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.entries import Entry
from tests.oracle.identity import Identity

PREFIX = "invoice:"
KNOWN_BY = {"sent": "sent", "created": "created", "delivered": "arrived", "opened": "arrived", "clicked": "arrived"}


@dataclass(kw_only=True, slots=True)
class Invoice:
    """Steps by item (message_ref, which may be missing), and payments, in order."""

    sent: dict[str | None, dict[str, Entry]] = field(default_factory=lambda: defaultdict(dict))
    payments: list[Entry] = field(default_factory=list)


def invoices(entries: list[Entry], who: Identity) -> list[dict[str, Any]]:
    """One row per invoice that was sent or paid."""
    found: dict[str, Invoice] = defaultdict(Invoice)
    for entry in entries:
        for reference in set(entry.event.case_refs) if entry.on_a_channel else ():
            if reference.startswith(PREFIX):
                _note(found[reference.removeprefix(PREFIX)], entry)
    return [_row(number, one, who) for number, one in found.items() if one.sent or one.payments]


def _note(invoice: Invoice, entry: Entry) -> None:
    step = entry.meaning.item
    if step == "paid":
        invoice.payments.append(entry)
    elif step in KNOWN_BY and entry.event.content_type == "invoices":
        invoice.sent[entry.event.message_ref].setdefault(KNOWN_BY[step], entry)


def _row(number: str, invoice: Invoice, who: Identity) -> dict[str, Any]:
    sendings = sorted(
        (steps.get("sent") or steps.get("created") or steps["arrived"] for steps in invoice.sent.values()),
        key=lambda entry: (entry.at, entry.event_id),
    )
    first = sendings[0] if sendings else None
    paid = invoice.payments[0] if invoice.payments else None
    reminders = [
        entry
        for entry in sendings
        if first is not None and entry.at > first.at and (paid is None or entry.at < paid.at)
    ]
    last = reminders[-1] if reminders else None
    whose = first or paid
    assert whose is not None
    return {
        "invoice": number,
        "customer_id": who.customer_of(whose.key),
        "contact_point": whose.key,
        "channel": None if first is None else first.channel,
        "sent_at": None if first is None else first.at,
        "reminders": len(reminders),
        "reminded_at": None if last is None else last.at,
        "reminded_through": None if last is None else last.channel,
        "paid_at": None if paid is None else paid.at,
        "paid_s": None if first is None or paid is None else _seconds(first, paid),
        "paid_after_reminder_s": None if last is None or paid is None else _seconds(last, paid),
    }


def _seconds(one: Entry, other: Entry) -> int:
    """Whole and floored; 0 when the other was before."""
    passed = other.at - one.at
    return max(0, passed.days * 86_400 + passed.seconds)
