"""`touchlog audience`: whom to reach, who is left out and why, as a table and as streams."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from touchlog.cli import cli

_OFTEN = 25


def happened(channel: str, kind: str, *points: str, **more: Any) -> dict[str, Any]:
    return {
        "channel": channel, "type": kind, "occurred_at": "2026-03-02T09:00:00Z", "source": "test/acme",
        "direction": "inbound", "contact_points": list(points), "message_ref": f"{kind}-{points[0]}", **more,
    }  # fmt: skip


EVENTS = [
    happened("phone", "caller.verified", "account:C-1", "email:ada@example.org", "phone:+46700000001"),
    happened("phone", "caller.verified", "account:C-2", "email:bob@example.org"),
    happened("email", "subscription.opted_out", "email:bob@example.org", content_type="offers"),
    happened("phone", "caller.verified", "account:C-3", "phone:+46700000003"),
    happened("chat", "message.received", "visitor:v-4"),
    *(happened("chat", "message.received", f"visitor:w-{number}") for number in range(_OFTEN)),
]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="touchlog")


def told(*arguments: str) -> Any:
    done = run("audience", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def folded(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("audience"))
        patch.delenv("TOUCHLOG_CONFIG", raising=False)
        nobody = run("audience", "offers")
        assert nobody.exit_code != 0
        lines = "".join(json.dumps(event) + "\n" for event in EVENTS)
        assert run("emit", stdin=lines).exit_code == 0
        assert run("project", "--until-caught-up").exit_code == 0
        yield


def test_everybody_is_reached_once_or_left_out_with_the_reason():
    reached, left_out = told("offers"), told("offers", "--left-out")
    assert {(row["channel"], row["contact_point"]) for row in reached} == {
        ("email", "email:ada@example.org"),
        ("chat", "visitor:v-4"),
        *(("chat", f"visitor:w-{number}") for number in range(_OFTEN)),
    }
    assert [row["basis"] for row in left_out] == ["legal", "no_opt_in"]
    assert left_out[0]["reason"] == (
        "no offers: email opted out, said through email on 2026-03-02; no contact point for post, phone, chat, social"
    )
    customers = [row["customer_id"] for row in [*reached, *left_out]]
    assert len(set(customers)) == len(customers) == 4 + _OFTEN


def test_on_one_channel_also_those_who_would_rather_be_reached_elsewhere():
    assert {row["contact_point"] for row in told("service", "--channel", "phone")} == {
        "phone:+46700000001",
        "phone:+46700000003",
    }
    left_out = {row["basis"]: row["reason"] for row in told("offers", "--channel", "phone", "--left-out")}
    assert left_out == {
        "no_contact_point": "phone for offers: no contact point",
        "no_opt_in": "phone for offers: no opt-in",
    }


def test_csv_is_for_programs():
    rows = list(csv.DictReader(io.StringIO(run("audience", "offers", "--csv").stdout)))
    assert [row["channel"] for row in rows] == ["chat"] * (1 + _OFTEN) + ["email"]
    assert rows[-1]["contact_point"] == "email:ada@example.org"


def test_the_table_counts_and_says_what_it_leaves_away():
    said = [" ".join(line.split()) for line in run("audience", "offers").stdout.splitlines()]
    assert said[:6] == [
        "offers 27 reached",
        "26 chat",
        "1 email",
        "2 left out",
        "1 refused, or paused",
        "1 no opt-in",
    ]
    assert said[-1] == "the first 20 of 27; for more --rows N, --csv"
    all_of_them = run("audience", "offers", "--rows", "0").stdout
    assert "email ada@example.org the organisation's default" in " ".join(all_of_them.split())
    assert "the first" not in all_of_them
    assert "email opted out, said through email on 2026-03-02" in run("audience", "offers", "--left-out").stdout


def test_as_of_a_time_before():
    assert told("offers", "--left-out", "--as-of", "2026-03-01") == told("offers", "--as-of", "2026-03-01") == []


def test_at_night_it_says_from_when_to_ring():
    night = ("--channel", "phone", "--as-of", "2026-03-02T20:30:00Z")
    rung = told("service", *night)
    assert {row["contact_point"] for row in rung} == {"phone:+46700000001", "phone:+46700000003"}
    assert {datetime.fromisoformat(row["not_before"]) for row in rung} == {datetime(2026, 3, 3, 7, tzinfo=UTC)}
    best = {row["channel"]: row["not_before"] for row in told("service", "--as-of", "2026-03-02T20:30:00Z")}
    assert best["email"] is None
    assert datetime.fromisoformat(best["phone"]) == datetime(2026, 3, 3, 7, tzinfo=UTC)
    assert {row["not_before"] for row in told("service", "--channel", "phone", "--as-of", "2026-03-02T12:00")} == {None}
    shown = run("audience", "service", *night, "--timezone", "Europe/Stockholm").stdout
    assert shown.count("not before 3 Mar 08:00") == 2


def test_a_content_type_that_there_is_not_is_said():
    done = run("audience", "gossip")
    assert done.exit_code == 2
    assert "news" in done.stderr
