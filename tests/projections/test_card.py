"""A card never says anything else than the views do."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from projections.card import Cards
from tests.folding import fold
from tests.habits import NOW
from tests.strategies import random_log
from touchlog.guard import time_limit


def rows(con: Any, sql: str, *values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = con.execute(sql, list(values)).to_arrow_table().to_pylist()
    return found


def plain(found: list[dict[str, Any]]) -> list[str]:
    """Rows to compare, in no order: ids and times as text."""
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in found)


@pytest.mark.parametrize("seed", [31])
def test_cards_equal_the_views(tmp_path: Path, seed: int) -> None:
    events = random_log(seed, 1500)
    with fold(tmp_path / "views.duckdb", [events[:700], events[700:]], compact_after=600) as store:
        con, cards = store.cursor(), Cards()
        people = rows(con, "FROM touchlog.customers_at(?) ORDER BY customer_id LIMIT 25", NOW)
        assert len(people) == 25
        for person in people:
            card = cards.card(con, person["contact_points"][0], NOW)
            assert card is not None
            me = person["customer_id"]
            for name in ("kinds", "first_at", "last_at", "touchpoints", "last_topic", "last_agent", "promised_at"):
                assert str(card[name]) == str(person[name]), name
            assert card["channels"] == {channel: person[channel] for channel in card["channels"]}
            expected = {
                "contact_points": rows(
                    con,
                    "FROM touchlog.contact_points WHERE customer_id = ? ORDER BY last_seen DESC, contact_point",
                    me,
                ),
                "consent": rows(
                    con,
                    "FROM touchlog.consent_at(?) WHERE customer_id = ? AND NOT allowed ORDER BY content_type, channel",
                    NOW,
                    me,
                ),
                "preferences": rows(
                    con,
                    "FROM touchlog.channel_preference_at(?) WHERE customer_id = ?"
                    " ORDER BY content_type, rank NULLS LAST, channel",
                    NOW,
                    me,
                ),
                "topics": rows(con, "FROM touchlog.topics_at(?) WHERE customer_id = ? ORDER BY rank", NOW, me),
                "conversations": rows(
                    con,
                    "FROM touchlog.conversations_at(?) WHERE list_contains(customer_ids, ?)"
                    " AND state NOT IN ('resolved', 'abandoned') ORDER BY last_at DESC, conversation_id",
                    NOW,
                    me,
                ),
                "continuations": rows(con, "FROM touchlog.continuations WHERE customer_id = ?", me),
            }
            shared = rows(
                con,
                "FROM touchlog.shared_timeline WHERE customer_id = ?"
                " ORDER BY occurred_at DESC, event_id, message_ref LIMIT 10",
                me,
            )
            assert [plain([row]) for row in card["shared_timeline"]] == [plain([row]) for row in shared]
            for name, wanted in expected.items():
                assert plain(card[name]) == plain(wanted), name


def test_nobody_has_a_card_for_an_unknown_contact_point(tmp_path: Path) -> None:
    with fold(tmp_path / "views.duckdb", [random_log(33, 20)]) as store:
        assert Cards().card(store.cursor(), "email:nobody@example.org", NOW) is None


def test_the_time_limit_reaches_the_scratch_store(tmp_path: Path) -> None:
    one = random_log(33, 1)[0]
    events = [one.model_copy(update={"event_id": UUID(int=number)}) for number in range(20_000)]
    with fold(tmp_path / "views.duckdb", [events]) as store:
        con = store.cursor()
        hasty = Cards(time_limit=time_limit, seconds=0.02)
        # Nothing limits the reader's own connection here.
        with pytest.raises(duckdb.InterruptException):
            hasty.card(con, one.primary.key, NOW)
        assert Cards(time_limit=time_limit, seconds=60).card(con, one.primary.key, NOW) is not None
        # The scratch store is as it was.
        assert hasty.card(con, "email:nobody@example.org", NOW) is None
        assert hasty._scratch is not None
        assert hasty._scratch.con.execute("SELECT count(*) FROM store.events_tail_00000000").fetchone() == (0,)
