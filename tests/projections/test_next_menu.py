"""What a telephone menu offers a caller first, and what it is told to fill in."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from producers.emit import emitted_events
from producers.format import Options
from projections.as_of import Cut
from projections.card import Cards
from projections.store import Store
from tests.folding import fold

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ADA = "phone:+46700000001"


def inbound(days: float, topic: str | None, **more: Any) -> dict[str, Any]:
    """A mail of Ada's so many days before NOW, in a thread of its own."""
    reference = f"{topic}-{days}"
    return {
        "channel": "email", "type": "message.received", "source": "imap/acme", "direction": "inbound",
        "occurred_at": (NOW - timedelta(days=days)).isoformat(), "contact_points": [ADA], "topic": topic,
        "conversation_ref": reference, "message_ref": f"{reference}/1", **more,
    }  # fmt: skip


def outbound(days: float, reference: str, **more: Any) -> dict[str, Any]:
    said = {"type": "message.sent", "direction": "outbound", "author": "human", "conversation_ref": reference}
    return inbound(days, None, **said, message_ref=f"{reference}/ours", **more)


@contextmanager
def told(path: Path, given: list[dict[str, Any]]) -> Iterator[Store]:
    events = [event for one in given for event in emitted_events(one, Options(observed_at=NOW))]
    with fold(path / "views.duckdb", [events]) as store:
        yield store


def menu(store: Store, key: str = ADA, cut: Cut | None = None, now: datetime = NOW) -> dict[str, Any]:
    found = Cards().menu(store.cursor(), key, now, cut or Cut())
    assert found is not None
    return found


def test_what_waits_comes_first_then_what_is_fresh_then_what_is_usual(tmp_path: Path) -> None:
    given = [
        *(inbound(days, "Billing ") for days in (100, 101, 102)),
        # Long ago, and never closed: no reason to call today.
        *(outbound(days - 0.5, f"Billing -{days}") for days in (100, 101, 102)),
        inbound(3, "returns"),
        outbound(2, "returns-3", agent="team-7"),
        inbound(60, "delivery", case_refs=["order:A-77", "case:1"]),
        inbound(9, "account"),
        outbound(8, "account-9"),
        {**outbound(7, "account-9"), "type": "conversation.resolved", "message_ref": None},
    ]
    with told(tmp_path, given) as store:
        found = menu(store)
    assert [choice["topic"] for choice in found["menu"]] == ["delivery", "returns", "billing", "account"]
    assert [choice["because"] for choice in found["menu"]] == ["open", "open", "usual", "usual"]
    assert [choice["place"] for choice in found["menu"]] == [1, 2, 3, 4]
    waiting = found["menu"][0]["conversation"]
    assert waiting["state"] == "waiting_on_us"
    assert waiting["state_since"] == NOW - timedelta(days=60)
    assert waiting["case_refs"] == ["case:1", "order:A-77"]
    assert found["menu"][2]["days"] == 3
    assert found["menu"][2]["conversation"] is None


def test_what_is_known_is_filled_in(tmp_path: Path) -> None:
    given = [
        inbound(9, "delivery", case_refs=["order:A-1", "invoice:9"]),
        inbound(5, "delivery", case_refs=["order:A-0"]),
        outbound(4, "delivery-5", agent="team-7", promised_at=(NOW - timedelta(days=1)).isoformat()),
        outbound(4.5, "delivery-9", promised_at=(NOW + timedelta(days=1)).isoformat()),
    ]
    with told(tmp_path, given) as store:
        found, before = menu(store), menu(store, cut=Cut(happened=NOW - timedelta(days=6)))
    assert found["fill_in"]["references"] == {"invoice": "invoice:9", "order": "order:A-0"}
    assert found["fill_in"]["promised_at"] == NOW + timedelta(days=1)
    assert found["fill_in"]["agent"] == "team-7"
    assert found["fill_in"]["service_channel"] == "phone"
    assert before["fill_in"]["references"] == {"invoice": "invoice:9", "order": "order:A-1"}
    assert before["fill_in"]["agent"] is None


def test_a_menu_holds_five_choices_and_no_word_or_address_of_anybody(tmp_path: Path) -> None:
    given = [inbound(day, f"topic {day}", summary="My secret") for day in range(1, 9)]
    with told(tmp_path, given) as store:
        found = menu(store)
    assert [choice["topic"] for choice in found["menu"]] == [f"topic {day}" for day in range(1, 6)]
    assert "secret" not in str(found)
    assert "46700000001" not in str(found)


def test_of_a_shared_telephone_only_the_usual_is_told(tmp_path: Path) -> None:
    home = "phone:+46800000001"
    people = [
        inbound(20 - number, "delivery", contact_points=[home, f"account:C-{number}"], case_refs=[f"order:{number}"])
        for number in range(1, 4)
    ]
    with told(tmp_path, [*people, inbound(1, "billing", contact_points=[home], case_refs=["case:1"])]) as store:
        found = menu(store, home)
    assert found["shared"] is True
    # The others' mails are their accounts' own; hers waits for us, and whoever rings does not hear of it.
    assert [(one["topic"], one["because"], one["conversation"]) for one in found["menu"]] == [
        ("billing", "usual", None)
    ]
    assert found["fill_in"] == {"references": {}, "promised_at": None, "agent": None, "service_channel": None}


def test_the_menu_agrees_with_the_card(tmp_path: Path) -> None:
    given = [
        inbound(3, "returns", case_refs=["case:3"]),
        outbound(2, "returns-3", agent="team-7", promised_at=(NOW + timedelta(days=2)).isoformat()),
        inbound(40, "delivery"),
        outbound(39, "delivery-40"),
    ]
    with told(tmp_path, given) as store:
        found = menu(store)
        card = Cards().card(store.cursor(), ADA, NOW)
    assert card is not None
    assert str(found["customer_id"]) == str(card["customer_id"])
    assert found["fill_in"]["agent"] == card["last_agent"]
    assert found["fill_in"]["promised_at"] == card["promised_at"]
    assert [choice["topic"] for choice in found["menu"]] == [row["topic"] for row in card["topics"]]
    assert [choice["days"] for choice in found["menu"]] == [row["days"] for row in card["topics"]]


def test_nobody_has_a_menu_who_is_not_known(tmp_path: Path) -> None:
    with told(tmp_path, [inbound(1, "delivery")]) as store:
        assert Cards().menu(store.cursor(), "phone:+46700000009", NOW) is None
