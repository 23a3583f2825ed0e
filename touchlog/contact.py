"""Who is meant: from what a person types to the keys of contact points, and from the first known one to the card."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb

from projections.as_of import Cut
from schemas.contact_points import contact_point, normalised
from schemas.errors import ConfigurationError
from schemas.models import Kind
from touchlog.then import Then

Card = Callable[[duckdb.DuckDBPyConnection, str, datetime, Cut], dict[str, Any] | None]
"""From a contact point's key to its customer's card at a time, over a cut of the events; None for an unknown key."""

CUSTOMER, HANDLE = "customer:", "handle:"
_OWN_POINT = """
    SELECT contact_point FROM touchlog.contact_points WHERE customer_id = $1 ORDER BY first_seen, contact_point LIMIT 1
"""
_HANDLES = """
    SELECT contact_point FROM touchlog.contact_points
    WHERE kind = 'social' AND lower(substr(value, length(value) - length($1) + 1)) = lower($1)
        AND substr(value, length(value) - length($1), 1) = ':'
    ORDER BY contact_point LIMIT 10
"""
# phonenumbers finds a number in any text: a handle with digits in it would be somebody else's telephone.
_PHONE = re.compile(r"(tel:)?[+(]?[\d][\d\s().\-/]*(\s*(ext|x)\.?\s*\d+)?", re.IGNORECASE)


def contact_keys(text: str, *, region: str) -> list[str]:
    """What `text` can mean, the likeliest first: `kind:value` alone means itself, a UUID is a customer's id.

    `region` (ISO 3166) is for phone numbers without a country. Raises ConfigurationError for an empty text.
    """
    text = text.strip()
    try:
        return [f"{CUSTOMER}{UUID(text)}"]
    except ValueError:
        pass
    kind, _, rest = text.partition(":")
    if not text or (kind.lower() in set(Kind) and not rest.strip()):
        raise ConfigurationError(
            "no contact point was given; type for example: touchlog customer ada@example.org, or +46700000001, or"
            " social:instagram:acme:17841400000000001"
        )
    if kind.lower() in set(Kind):
        return [contact_point(kind.lower(), rest, region=region).key]
    guesses = [Kind.EMAIL, *([Kind.PHONE] if _PHONE.fullmatch(text) else []), Kind.SOCIAL, Kind.ACCOUNT, Kind.VISITOR]
    found = ((guess, normalised(guess, text, region=region)) for guess in guesses)
    return [*(f"{guess}:{value}" for guess, value in found if value), f"{HANDLE}{text.removeprefix('@')}"]


def find_card(con: duckdb.DuckDBPyConnection, keys: Sequence[str], then: Then, card: Card) -> dict[str, Any] | None:
    """The card of the first key that is known, or None, as of then, all of it from one snapshot.

    Raises ConfigurationError when a handle is several people's.
    """
    con.execute("BEGIN TRANSACTION READ ONLY")
    try:
        return _first(con, keys, then, card)
    finally:
        con.execute("ROLLBACK")


def _first(con: duckdb.DuckDBPyConnection, keys: Sequence[str], then: Then, card: Card) -> dict[str, Any] | None:
    now, cut = then.now, then.cut(con)
    for key in keys:
        known: str | None = key
        if key.startswith(CUSTOMER):
            row = con.execute(_OWN_POINT, [key.removeprefix(CUSTOMER)]).fetchone()
            known = row[0] if row else None
        elif key.startswith(HANDLE):
            known = _handle(con, key.removeprefix(HANDLE))
        found = card(con, known, now, cut) if known else None
        if found is not None:
            return found
    return None


def _handle(con: duckdb.DuckDBPyConnection, handle: str) -> str | None:
    """`@ada` as a person types it, on whatever network."""
    rows = con.execute(_HANDLES, [handle]).fetchall()
    if len(rows) > 1:
        raise ConfigurationError(f"several handles are called so; type one of: {', '.join(key for (key,) in rows)}")
    return rows[0][0] if rows else None
