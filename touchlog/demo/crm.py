"""What our own systems say in the contract's own form, as `touchlog emit` reads it."""

from datetime import datetime
from typing import Any

from touchlog.demo.archive import CRM, Archive
from touchlog.demo.networks import OURS
from touchlog.demo.people import Person


def tell(archive: Archive, at: datetime, channel: str, event_type: str, points: list[str], **fields: Any) -> None:
    """One event; `points` are keys, `account:C-1001`."""
    content = {
        "channel": channel,
        "type": event_type,
        "occurred_at": at.isoformat(),
        "source": fields.pop("source", "crm/acme"),
        "direction": fields.pop("direction", "inbound"),
        "contact_points": points,
        **fields,
    }
    archive.add_json(CRM, at, content)


def links_instagram(archive: Archive, person: Person, at: datetime) -> None:
    """The customer connected their Instagram account in the portal."""
    points = [f"account:{person.account}", f"social:instagram:{OURS}:{person.instagram}"]
    tell(archive, at, "social", "account.linked", points, source="portal/acme", network="instagram")


def links_handle(archive: Archive, person: Person, at: datetime) -> None:
    """The customer told us their handle on Twitter."""
    points = [f"account:{person.account}", f"social:twitter:handle:{person.handle}"]
    tell(archive, at, "social", "account.linked", points, source="portal/acme", network="twitter")


def says_on_the_phone(
    archive: Archive, person: Person, at: datetime, summary: str, call: str, **statement: str
) -> None:
    """A choice that an agent wrote down during a call."""
    tell(
        archive,
        at,
        "phone",
        "preference.stated",
        [f"account:{person.account}", f"phone:{person.phone}"],
        conversation_ref=f"calls/acme/{call}",
        author="customer",
        statement=statement,
        summary=summary,
    )


def asks_for_a_call(
    archive: Archive, person: Person, at: datetime, promised: datetime, summary: str, case: str
) -> None:
    """The customer wants to be called, and we said when."""
    tell(
        archive,
        at,
        "phone",
        "callback.requested",
        [f"account:{person.account}", f"phone:{person.phone}"],
        author="customer",
        case_refs=[f"case:{case}"],
        promised_at=promised.isoformat(),
        summary=summary,
    )


def paid(archive: Archive, person: Person, at: datetime, piece: str, invoice: str) -> None:
    """The bank told us of a payment for an invoice that we sent by post."""
    tell(
        archive,
        at,
        "post",
        "invoice.paid",
        [f"account:{person.account}"],
        source="ledger/acme",
        author="customer",
        message_ref=piece,
        conversation_ref=piece,
        case_refs=[f"invoice:{invoice}"],
        content_type="invoices",
        purpose="transactional",
        summary=f"Invoice {invoice} paid",
    )


def scanned_code(archive: Archive, person: Person, at: datetime, piece: str) -> None:
    """Somebody followed the code on the back of a catalogue."""
    tell(
        archive,
        at,
        "post",
        "item.viewed",
        [f"account:{person.account}"],
        source="shop/acme",
        author="customer",
        message_ref=piece,
        content_type="offers",
        summary="Followed the code on the catalogue",
    )


def closes(archive: Archive, at: datetime, channel: str, points: list[str], conversation: str) -> None:
    """A colleague closed a conversation at the desk, of a system that does not tell of it itself."""
    tell(
        archive,
        at,
        channel,
        "conversation.resolved",
        points,
        source="desk/acme",
        direction="outbound",
        author="human",
        conversation_ref=conversation,
    )
