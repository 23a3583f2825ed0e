"""Who is who by the commands alone: explained, decided, undone; with a running projector and without, in a real log."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.touchlog.letters import STORE, projector, until
from touchlog.cli import cli

ADA, BOB, PHONE = "email:ada@example.org", "email:bob@example.org", "phone:+46700000001"
DECIDED = ("--by", "team-7", "--why", "confirmed on the phone")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="touchlog")


def identity(*arguments: str) -> Any:
    done = run("identity", *arguments, "--json")
    assert done.exit_code in {0, 1}, done.stderr
    return json.loads(done.stdout)


def verified(*points: Any, day: int) -> str:
    event = {
        "channel": "phone", "type": "caller.verified", "occurred_at": f"2026-03-{day:02}T09:00:00Z",
        "source": "pbx/acme", "direction": "inbound", "contact_points": points, "conversation_ref": f"call-{day}",
    }  # fmt: skip
    return json.dumps(event)


WAY = [(ADA, "account:A1"), (ADA, PHONE), (PHONE, BOB), (BOB, "account:B1")]


def emit(*lines: str) -> None:
    assert run("emit", stdin="\n".join(lines)).exit_code == 0


def project() -> None:
    done = run("project", "--until-caught-up")
    assert done.exit_code == 0, done.stderr


def way() -> None:
    """From Ada's account to Bob's, one link a day from the second of March on."""
    emit(*(verified(*pair, day=day) for day, pair in enumerate(WAY, 2)))
    project()


def steps(told: Any) -> list[tuple[str, str, str | None]]:
    return [(step["from"], step["to"], step["reason"]) for step in told["path"]]


def test_the_way_from_one_to_the_other_event_by_event():
    way()
    told = identity("explain", "Ada@Example.org", "bob@example.org")
    assert told["same"]
    assert steps(told) == [(ADA, PHONE, None), (PHONE, BOB, None)]
    first = told["path"][0]
    assert {name: first[name] for name in ("channel", "type", "occurred_at", "source", "assurance", "verb")} == {
        "channel": "phone", "type": "caller.verified", "occurred_at": "2026-03-03T09:00:00Z", "source": "pbx/acme",
        "assurance": "asserted", "verb": "evidence",
    }  # fmt: skip
    shown = run("identity", "explain", "ada@example.org", "bob@example.org")
    assert f"{ADA} and {BOB} are one customer, by 2 links" in shown.stdout
    assert first["event_id"] in shown.stdout
    assert identity("explain", ADA, ADA)["path"] == []


def test_where_it_is_cut_and_why():
    way()
    told = identity("explain", "A1", "B1")
    assert not told["same"]
    assert steps(told) == [
        ("account:A1", ADA, None), (ADA, PHONE, None), (PHONE, BOB, None), (BOB, "account:B1", "conflict"),
    ]  # fmt: skip
    assert "it would bring account:B1 and account:A1 together" in told["why"]
    (row,) = identity("review")
    assert (row["reason"], row["account"], row["other_account"]) == ("conflict", "account:B1", "account:A1")
    assert "conflicts: 1" in run("identity", "review").stdout


def test_a_shared_point_on_the_way_is_told_with_its_degree():
    emit(*(verified(f"email:p{number}@example.org", PHONE, day=number) for number in range(1, 6)))
    emit(verified("email:stranger@example.org", day=9))
    project()
    told = identity("explain", "p1@example.org", "p2@example.org")
    assert [step["reason"] for step in told["path"]] == ["shared", "shared"]
    assert f"{PHONE} is shared: linked to 5 of kind email, 3 allowed" in told["why"]
    nothing = identity("explain", "p1@example.org", "stranger@example.org")
    assert (nothing["path"], "no evidence leads" in nothing["why"]) == ([], True)
    assert "shared contact points: 1" in run("identity", "review").stdout


def test_a_contact_point_that_ended_is_looked_up_as_whoever_has_it_now():
    emit(verified(ADA, PHONE, day=2), verified(BOB, PHONE, day=20))
    said = run("identity", "ended", "+46700000001", "--at", "2026-03-10", *DECIDED)
    assert (said.exit_code, f"{PHONE} is another's since 2026-03-10T00:00:00+00:00" in said.stdout) == (0, True)
    project()

    def customer(*words: str) -> Any:
        return json.loads(run("customer", *words, "--json").stdout)

    ada, bob = (customer(key) for key in (ADA, BOB))
    assert ada["customer_id"] != bob["customer_id"]
    assert customer("+46 70-000 00 01")["customer_id"] == bob["customer_id"]
    assert customer(ada["customer_id"])["customer_id"] == ada["customer_id"]
    assert customer("+46700000001", "--as-of", "2026-03-05")["contact_points"][1]["contact_point"] == PHONE
    assert {point["contact_point"] for point in bob["contact_points"]} == {BOB, f"{PHONE} (since 2026-03-10T00:00:00Z)"}
    assert identity("explain", BOB, "+46700000001")["same"]
    assert not identity("explain", ADA, "+46700000001")["same"]
    assert run("verify").exit_code == 0
    # A part of the log is that of the one who has it, and of the one who had it.
    for key in (ADA, BOB):
        assert run("rebuild", "--source", "log", "--contact", key).exit_code == 0
        assert run("diff", "--source", "log").exit_code == 0
        assert run("rebuild", "--source", "log", "--cancel").exit_code == 0


def test_decisions_are_events_that_are_undone_by_others_and_survive_a_new_store():
    way()
    said = run("identity", "never", "ada@example.org", "+46700000001", *DECIDED)
    assert f"{ADA} and {PHONE} are two people" in said.stdout
    project()
    told = identity("explain", ADA, BOB)
    assert steps(told) == [(ADA, PHONE, "forbidden"), (PHONE, BOB, None)]
    assert told["path"][0]["agent"] == "team-7"
    # Bob has the telephone now, and his account with it: the conflict is gone.
    assert identity("review") == []
    assert identity("explain", "B1", PHONE)["same"]

    identity("unlink", ADA, PHONE, *DECIDED)
    STORE.unlink()
    project()
    assert identity("explain", ADA, BOB)["same"]
    assert len(identity("review")) == 1

    event = identity("link", BOB, "B1", "--by", "team-7", "--why", "his card")
    assert (event["channel"], event["type"], event["agent"]) == ("identity", "link.asserted", "team-7")
    assert event["reason"] == event["summary"] == "his card"
    project()
    # A person's word is the strongest: the way is cut at what was seen last of the rest.
    assert steps(identity("explain", "A1", "B1"))[2] == (PHONE, BOB, "conflict")
    shown = run("identity", "explain", BOB, "B1")
    assert "stated" in shown.stdout
    assert "his card" in shown.stdout


def test_who_somebody_was():
    way()
    before = identity("as-of", "2026-03-03T12:00Z", ADA, "bob@example.org")
    assert before["one"]["contact_points"] == ["account:A1", ADA, PHONE]
    assert (before["other"]["customer_id"], before["same"]) == (None, False)
    assert run("identity", "as-of", "2026-03-03T12:00Z", ADA, BOB).exit_code == 1
    after = identity("as-of", "2026-03-05", ADA, BOB)
    assert (after["same"], after["one"]["customer_id"]) == (True, after["other"]["customer_id"])
    alone = run("identity", "as-of", "2026-03-02T12:00Z", "ada@example.org")
    assert alone.exit_code == 0
    assert "account:A1" in alone.stdout
    assert PHONE not in alone.stdout
    assert identity("as-of", "2026-03-05", ADA, "--known-at", "2020-01-01")["one"]["customer_id"] is None


def test_all_of_it_while_a_projector_runs():
    way()
    with projector():
        assert identity("explain", ADA, BOB)["same"]
        assert identity("as-of", "2026-03-05", ADA, BOB)["same"]
        identity("never", PHONE, BOB, *DECIDED)
        until(lambda: not identity("explain", ADA, BOB)["same"])
        assert steps(identity("explain", ADA, BOB)) == [(ADA, PHONE, None), (PHONE, BOB, "forbidden")]
        assert identity("review") == []


def test_a_key_of_rules_before_is_found_and_can_be_linked_with_the_one_of_today():
    """An event of then: built with the key that the rules of then gave, which reading it as text would change."""
    from log.open import open_log
    from tests.consumers.publishing import publish
    from tests.oracle.writing import happened

    with open_log("embedded:touchlog-data/log.sqlite") as log:
        publish(log, [happened("phone caller.verified", "2025-06-10 09:00", "phone:+551181234567", ADA)], partitions=1)
    emit(verified("+55 11 8123-4567", day=2))
    project()
    assert run("customer", "phone:+551181234567").exit_code == 0
    assert identity("explain", "+551181234567", ADA)["same"] is False
    run("identity", "link", "phone:+551181234567", "phone:+5511981234567", "--keys", *DECIDED)
    project()
    told = identity("explain", "+551181234567", ADA)
    assert steps(told) == [("phone:+5511981234567", "phone:+551181234567", None), ("phone:+551181234567", ADA, None)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["link", ADA, BOB], "Missing option '--by'"),
        (["link", ADA, BOB, "--by", "team-7"], "Missing option '--why'"),
        (["link", ADA, BOB, "--by", " ", "--why", "x"], "say who decides and why"),
        (["link", ADA, "Ada@Example.org", *DECIDED], f"both are {ADA}"),
        (["link", "A1", "B1", *DECIDED], "two of kind account are never one person"),
        (["never", ADA, "anonymous:call-1", *DECIDED], "an anonymous contact point is nobody's"),
        (["link", "6f9e0c0a-0000-5000-8000-000000000001", ADA, *DECIDED], "name one of their contact points"),
        (["link", "ada@example.org", BOB, "--keys", *DECIDED], "a key is written kind:value"),
        (["explain", ADA, BOB], "no store at"),
        (["as-of", "yesterday", ADA], "is no time"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(arguments: list[str], said: str):
    done = run("identity", *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert not Path("touchlog-data/log.sqlite").exists()


def test_nobody_is_told():
    way()
    done = run("identity", "explain", ADA, "nobody@example.org")
    assert done.exit_code == 1
    assert "nobody is known by nobody@example.org" in done.stderr


def test_of_several_ways_the_one_whose_weakest_link_is_the_strongest():
    """A short way over a late link, and a longer one over earlier links: the longer counts."""
    card = "social:x:acme:1"
    attested = [{"kind": kind, "value": value, "assurance": "attested"} for kind, _, value in (
        key.partition(":") for key in (PHONE, card)
    )]  # fmt: skip
    emit(
        verified(ADA, BOB, day=9), verified(ADA, PHONE, day=8), verified(*attested, day=30), verified(card, BOB, day=1)
    )
    project()
    told = identity("explain", ADA, BOB)
    assert [(step["to"], step["assurance"]) for step in told["path"]] == [
        (PHONE, "asserted"), (card, "attested"), (BOB, "asserted"),
    ]  # fmt: skip
