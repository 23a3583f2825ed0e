"""Who is meant: from what a person types to the keys of contact points, and from the first known one to the card."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import duckdb

from projections.as_of import Cut, current
from schemas.contact_points import contact_point, former_value, normalised
from schemas.errors import ConfigurationError
from schemas.models import Kind
from touchlog.then import Then

Card = Callable[[duckdb.DuckDBPyConnection, str, datetime, Cut], dict[str, Any] | None]
"""From a contact point's key to its customer's card at a time, over a cut of the events; None for an unknown key."""

Ask = Callable[[str, Sequence[Any]], Sequence[tuple[Any, ...]]]
"""Runs one SELECT over the public views and gives its rows."""

CUSTOMER, HANDLE = "customer:", "handle:"
_KNOWN = """
    SELECT 1 FROM touchlog.contact_points WHERE contact_point = $1
    UNION ALL
    SELECT 1 FROM touchlog.identity_links WHERE one = $1 OR other = $1
    LIMIT 1
"""
_SINCE_IT_ENDED = """
    SELECT contact_point FROM touchlog.contact_points
    WHERE starts_with(contact_point, $1 || ' (since ') ORDER BY last_seen DESC, contact_point DESC LIMIT 1
"""
_ENDED = "SELECT 1 FROM touchlog.contact_points WHERE contact_point = $1 AND ended_at IS NOT NULL"
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
        named = Kind(kind.lower())
        return [contact_point(named, rest, region=region).key, *_former(named, rest, region)]
    guesses = [Kind.EMAIL, *([Kind.PHONE] if _PHONE.fullmatch(text) else []), Kind.SOCIAL, Kind.ACCOUNT, Kind.VISITOR]
    found = []
    for guess in guesses:
        value = normalised(guess, text, region=region)
        found += [f"{guess}:{value}", *_former(guess, text, region)] if value else []
    return [*found, f"{HANDLE}{text.removeprefix('@')}"]


def _former(kind: Kind, text: str, region: str) -> list[str]:
    value = former_value(kind, text, region=region)
    return [f"{kind}:{value}"] if value else []


def first_known(ask: Ask, keys: Sequence[str]) -> str | None:
    """The first of these (`contact_keys`) that the views know, as the key of a contact point; None when they know none.

    One that ended is the one that it is since, where there is any. Raises ConfigurationError when a handle is several
    people's.
    """
    for key in keys:
        known = _key(ask, key)
        if known and (known != key or ask(_KNOWN, [key])):
            later = ask(_SINCE_IT_ENDED, [key]) if known == key and ask(_ENDED, [key]) else ()
            return str(later[0][0]) if later else known
    return None


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
        known = _key(lambda sql, parameters: con.execute(sql, parameters).fetchall(), key)
        if known and not key.startswith(CUSTOMER):
            # Whoever has it by then.
            known = current(con, known, cut)
        found = card(con, known, now, cut) if known else None
        if found is not None:
            return found
    return None


def _key(ask: Ask, key: str) -> str | None:
    """A contact point's key, where a customer's id or a handle was typed: `@ada`, on whatever network."""
    if key.startswith(CUSTOMER):
        own = ask(_OWN_POINT, [key.removeprefix(CUSTOMER)])
        return own[0][0] if own else None
    if not key.startswith(HANDLE):
        return key
    rows = ask(_HANDLES, [key.removeprefix(HANDLE)])
    if len(rows) > 1:
        raise ConfigurationError(f"several handles are called so; type one of: {', '.join(key for (key,) in rows)}")
    return rows[0][0] if rows else None
