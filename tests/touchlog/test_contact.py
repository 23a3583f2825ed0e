"""What a person types finds whom they mean, and nobody else."""

import duckdb
import pytest

from schemas.errors import ConfigurationError
from tests.touchlog.conftest import ADA, small_card
from touchlog.contact import contact_keys, find_card
from touchlog.then import NOW


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("Ada@Example.org", "email:ada@example.org"),
        (" ada@example.org ", "email:ada@example.org"),
        ("070-000 00 01", "phone:+46700000001"),
        ("+46 (0)70 000 00 01", "phone:+46700000001"),
        ("tel:+46700000001", "phone:+46700000001"),
        ("c-17", "account:C-17"),
        ("account:070-0000001", "account:070-0000001"),
        ("Phone: 0700000001", "phone:+46700000001"),
        ("instagram:acme:178", "social:instagram:acme:178"),
        ("social:Instagram:acme:178", "social:instagram:acme:178"),
        ("SE|11122|Stockholm|Storgatan 1", "account:SE|11122|STOCKHOLM|STORGATAN1"),
        ("postal:SE|111 22|Stockholm|Storgatan 1", "postal:SE|11122|STOCKHOLM|STORGATAN 1"),
        (ADA, f"customer:{ADA}"),
        (ADA.upper(), f"customer:{ADA}"),
        ("c0ffee00", "account:C0FFEE00"),
    ],
)
def test_the_likeliest_meaning_comes_first(typed: str, first: str):
    assert contact_keys(typed, region="SE")[0] == first


def test_a_number_may_be_an_account_and_a_name_a_handle():
    assert contact_keys("0700000001", region="SE") == [
        "phone:+46700000001", "account:0700000001", "visitor:0700000001", "handle:0700000001",
    ]  # fmt: skip
    assert contact_keys("@Ada", region="SE")[-1] == "handle:Ada"


def test_digits_in_a_handle_are_nobodys_telephone():
    assert not [key for key in contact_keys("user_0700000001", region="SE") if key.startswith("phone:")]


def test_a_kind_that_is_named_means_nothing_else():
    assert contact_keys("email:Ada@Example.org", region="SE") == ["email:ada@example.org"]


def test_a_number_of_rules_before_is_looked_for_after_the_one_of_today():
    assert contact_keys("phone:+551181234567", region="SE") == ["phone:+5511981234567", "phone:+551181234567"]
    assert contact_keys("+5215512345678", region="SE")[:2] == ["phone:+525512345678", "phone:+5215512345678"]


@pytest.mark.parametrize("typed", ["", "  ", "email:", "phone:  "])
def test_nothing_typed_is_told(typed: str):
    with pytest.raises(ConfigurationError, match="type for example: touchlog customer ada@"):
        contact_keys(typed, region="SE")


def test_a_handle_is_found_on_its_network_unless_several_have_it(writer: duckdb.DuckDBPyConnection):
    writer.execute("ALTER TABLE touchlog.contact_points ADD COLUMN kind VARCHAR")
    writer.execute("ALTER TABLE touchlog.contact_points ADD COLUMN value VARCHAR")
    insert = (
        "INSERT INTO touchlog.contact_points (contact_point, customer_id, kind, value) VALUES (?, uuid(), 'social', ?)"
    )
    writer.execute(insert, ["social:instagram:acme:Ada.Example", "instagram:acme:Ada.Example"])
    writer.execute(insert, ["social:twitter:handle:bob", "twitter:handle:bob"])
    writer.execute(insert, ["social:instagram:acme:bob", "instagram:acme:bob"])

    def found(typed: str) -> object:
        card = find_card(writer, contact_keys(typed, region="SE"), NOW, small_card)
        return card and card["asked_for"]

    assert found("@ada.example") == "social:instagram:acme:Ada.Example"
    assert found("example") is None
    assert found("adaXexample") is None
    with pytest.raises(ConfigurationError, match="social:instagram:acme:bob, social:twitter:handle:bob"):
        found("bob")
