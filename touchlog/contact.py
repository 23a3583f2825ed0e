"""Who is meant: from what a person types to the keys of contact points, and from the first known one to the card."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb

from schemas.contact_points import normalised, parse_contact
from schemas.errors import ConfigurationError, InvalidEvent
from schemas.models import Kind

Card = Callable[[duckdb.DuckDBPyConnection, str, datetime], dict[str, Any] | None]
"""From a contact point's key to its customer's card at a time; None when the key is not known."""

CUSTOMER = "customer:"
_OWN_POINT = """
    SELECT contact_point FROM touchlog.contact_points WHERE customer_id = $1 ORDER BY first_seen, contact_point LIMIT 1
"""


def contact_keys(text: str, *, region: str) -> list[str]:
    """What `text` can mean, the likeliest first: `kind:value` alone means itself, a UUID is a customer's id.

    `region` (ISO 3166) is for phone numbers without a country. Raises ConfigurationError for an empty text.
    """
    text = text.strip()
    try:
        return [f"{CUSTOMER}{UUID(text)}"]
    except ValueError:
        pass
    try:
        keys = [parse_contact(text, region=region).key]
    except InvalidEvent:
        raise ConfigurationError(
            "no contact point was given; type for example: touchlog customer ada@example.org, or +46700000001, or"
            " social:instagram:acme:17841400000000001"
        ) from None
    if text.partition(":")[0].strip().lower() not in set(Kind):
        # An account number may look like a phone number; handles and device ids look like anything.
        for kind in (Kind.SOCIAL, Kind.ACCOUNT, Kind.VISITOR):
            value = normalised(kind, text)
            if value is not None and f"{kind}:{value}" not in keys:
                keys.append(f"{kind}:{value}")
    return keys


def find_card(con: duckdb.DuckDBPyConnection, keys: Sequence[str], now: datetime, card: Card) -> dict[str, Any] | None:
    """The card of the first key that is known, or None."""
    for key in keys:
        known: str | None = key
        if key.startswith(CUSTOMER):
            row = con.execute(_OWN_POINT, [key.removeprefix(CUSTOMER)]).fetchone()
            known = row[0] if row else None
        found = card(con, known, now) if known else None
        if found is not None:
            return found
    return None
