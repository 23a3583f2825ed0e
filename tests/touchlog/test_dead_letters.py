"""`touchlog dead-letters` as people meet it, everything real: log, store, a running projector, signals."""

import base64
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from log.open import open_log
from tests.consumers.poison import POISON, framed
from tests.consumers.publishing import append, publish
from tests.strategies import random_log
from tests.touchlog.letters import CHAT, LOG, STORE, assert_views, bad_of, fill, ids, project, run, told
from touchlog.cli import cli
from touchlog.commands.dead_letters import command
from touchlog.render_letters import hex_dump

FIXED = {
    "channel": "chat", "type": "message.received", "occurred_at": "2026-03-02T09:14:05Z", "source": "web/acme",
    "direction": "inbound", "contact_points": ["email:Ada@Example.org"], "conversation_ref": "c-1",
    "summary": "Where is my parcel?",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)
    Path("touchlog-data").mkdir()


# --- help


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_explains_itself(name: str):
    said = run(name, "--help")
    assert said.exit_code == 0
    for parameter in command.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[0] in said.output


def test_the_help_of_all_is_shown_and_not_the_list():
    said = run("--help")
    assert said.exit_code == 0
    assert {"list", "show", "redrive", "discard", "export"} <= set(said.output.split())


def test_without_a_store_it_says_what_to_type():
    for arguments in ([], ["show", "a:0:1"], ["redrive"], ["discard", "--all"], ["export"]):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "no store at touchlog-data/views.duckdb; type: touchlog project" in done.stderr
        assert not STORE.exists()


# --- looking


def test_the_list_is_by_cause_with_what_to_do():
    fill(501)
    done = project()
    assert "touchlog dead-letters" in done.stderr
    rows = told()
    assert {(row["stage"], row["error_class"], row["records"]) for row in rows} == {
        ("frame", "UndecodableRecord", 1),
        ("decode", "UndecodableRecord", 1),
        ("schema", "UnknownSchema", 1),
        ("check", "InvalidEvent", 1),
    }
    assert all(row["what_to_do"] and row["first_seen"] <= row["last_seen"] and row["example"] for row in rows)
    table = run()
    assert table.exit_code == 0
    for word in ("InvalidEvent", "UnknownSchema", "redrive --stage schema", "4 in all"):
        assert word in table.stdout
    assert run("list").stdout == table.stdout
    assert [row["stage"] for row in told("--class", "UnknownSchema")] == ["schema"]
    assert told("--state", "redriven") == []
    assert "no dead letters" in run("--state", "discarded").stdout


def test_one_by_one_with_attempts_and_without_what_customers_wrote():
    events = fill(502)
    project()
    rows = told("--all")
    assert {row["attempts"] for row in rows} == {1}
    assert all(row["id"].startswith("interactions.") and row["error_message"] for row in rows)
    said = run("--all").stdout
    assert bad_of(events).primary.value not in said
    assert rows[0]["id"] in said


def test_one_is_shown_as_far_as_it_can_be_read():
    events = fill(503)
    bad = bad_of(events)
    project()
    found = ids()
    shown = told("show", found["check"])
    assert shown["record"]["event_id"] == str(bad.event_id)
    assert base64.b64decode(shown["value"]) == POISON["off the scale"].make(bad)[0]
    text = run("show", *found["check"].split(":")).stdout
    assert str(bad.event_id) in text
    assert "survey.score: not on its scale" in text
    cut = told("show", found["decode"])
    assert cut["record"] is None
    assert cut["fields"]["event_id"] == str(bad.event_id)
    assert "not a datum of its schema" in cut["problem"]
    page = run("show", found["decode"]).stdout
    assert "fields before the first that cannot be read" in page
    assert "00000000  00 00 00 00" in page
    nothing = run("show", found["frame"]).stdout
    assert "neither byte 0 with a schema id nor a schema id in the headers" in nothing
    assert "07 6e 6f 20 65 76 65 6e 74" in nothing
    assert ".no eventno even" in nothing
    for wrong, said in ((["interactions.chat:0:99999"], "no dead letter"), (["chat"], "topic:partition:offset")):
        done = run("show", *wrong)
        assert done.exit_code == 2
        assert said in done.stderr


def test_what_is_hidden_in_a_record_does_not_move_the_cursor():
    bad = bad_of(random_log(504, 60))
    with open_log(LOG) as log:
        publish(log, [], partitions=1)
        append(
            log, CHAT, [framed(bad, summary="\x1b[2Jgone", case_refs=[""])], headers=[("x", b"\x1b[2J"), ("y", b"\xff")]
        )
    project()
    (only,) = ids().values()
    page = run("show", only).stdout
    assert "\x1b[2J" not in page
    assert "gone" in page
    assert "0xff" in page


def test_hex_is_sixteen_bytes_a_line():
    assert hex_dump(bytes(range(60, 80))) == (
        "00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK\n"
        f"00000010  {'4c 4d 4e 4f':<48} LMNO"
    )
    assert hex_dump(b"") == ""


def test_export_is_whole():
    events = fill(505)
    bad = bad_of(events)
    project()
    done = run("export", "letters.jsonl")
    assert (done.exit_code, done.stderr) == (0, "4 dead letters written\n")
    assert Path("letters.jsonl").stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in Path("letters.jsonl").read_text().splitlines()]
    assert {base64.b64decode(row["value"]) for row in rows} == {
        b"\x07" + b"no event" * 9,
        *(POISON[name].make(bad)[0] for name in ("off the scale", "cut in half", "unknown schema id")),
    }
    assert {base64.b64decode(row["key"]) for row in rows} == {b"key"}
    assert {row["projection"] for row in rows} == {"views"}
    assert run("export", "--stage", "frame").stdout.count("\n") == 1
    assert run("export", "nowhere/letters.jsonl").exit_code == 2


# --- redriving


def test_patched_discarded_and_redriven_the_views_are_the_oracles():
    events = fill(506)
    bad = bad_of(events)
    project()
    found = ids()
    before = told("redrive", "--dry-run")
    assert (before["looked_at"], before["parked"], before["dry_run"]) == (4, 4, True)
    assert {row["attempts"] for row in told("--all")} == {1}
    done = run("redrive")
    assert done.exit_code == 1
    assert "4 looked at = 0 redriven + 0 known already + 4 still parked + 0 discarded" in done.stdout
    assert {row["attempts"] for row in told("--all")} == {2}

    Path("patch.json").write_text('{"survey": null}')
    assert told("redrive", "--id", found["check"], "--patch", "patch.json", "--dry-run")["redriven"] == 1
    assert told("redrive", "--id", found["check"], "--patch", "patch.json")["redriven"] == 1
    again = run("redrive", "--id", found["check"], "--patch", "patch.json")
    assert again.exit_code == 0
    assert f"{found['check']} is not parked" in again.stderr

    discarded = told("discard", "--stage", "frame", "--stage", "decode")
    assert discarded["discarded"] == 2
    assert {row["state"] for row in told("--all", "--state", "any")} == {"parked", "redriven", "discarded"}
    assert [row["stage"] for row in told("--all")] == ["schema"]
    status_now = CliRunner().invoke(cli, ["status", "--json"], prog_name="touchlog")
    assert json.loads(status_now.stdout)["parked"] == 1
    assert_views(events)
    assert bad.event_id


def test_bytes_that_nobody_can_read_take_a_whole_event():
    events = fill(507)
    project()
    found = ids()
    Path("event.json").write_text(json.dumps(FIXED))
    without_id = run("redrive", "--patch", "event.json")
    assert without_id.exit_code == 2
    assert "name it with --id" in without_id.stderr
    other_channel = run("redrive", "--id", found["frame"], "--patch", "event.json")
    assert other_channel.exit_code == 1
    assert "the record lies in interactions.email; for another channel type touchlog emit" in other_channel.stderr
    assert told("redrive", "--id", found["decode"], "--patch", "event.json")["redriven"] == 1
    # The same event once more is one that is known.
    assert told("redrive", "--id", found["schema"], "--patch", "event.json")["duplicates"] == 1
    summary = CliRunner().invoke(
        cli, ["sql", "--json", "SELECT contact_point, log_offset FROM touchlog.interactions WHERE source = 'web/acme'"]
    )
    assert json.loads(summary.stdout) == [
        {"contact_point": "email:ada@example.org", "log_offset": int(found["decode"].rpartition(":")[2])}
    ]
    assert events


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        (json.dumps({**FIXED, "type": None}), "type: "),
        (json.dumps({**FIXED, "occurred_at": "yesterday"}), "occurred_at: "),
    ],
)
def test_a_patch_that_cannot_be_used_is_told_and_nothing_tried(content: str, said: str):
    fill(508)
    project()
    Path("patch.json").write_text(content)
    done = run("redrive", "--id", ids()["decode"], "--patch", "patch.json")
    assert done.exit_code in {1, 2}
    assert said in done.stderr
    assert {row["attempts"] for row in told("--all")} == {1}


def test_discarding_everything_has_to_be_said():
    fill(509)
    project()
    done = run("discard")
    assert done.exit_code == 2
    assert "--all for every parked record" in done.stderr
    assert told("discard", "--all", "--dry-run")["discarded"] == 4
    assert len(told("--all")) == 4
    assert told("discard", "--all")["discarded"] == 4
    assert told("--all") == []


def _is_own_mail(point):
    return point.kind == "email" and point.role == "self"


def test_letters_of_one_contact_are_found_as_far_as_they_can_be_read():
    events = [event for event in random_log(510, 200) if event.channel == "chat" and _is_own_mail(event.primary)]
    ada, *others = events[:4]
    with open_log(LOG) as log:
        publish(log, [], partitions=1)
        append(log, CHAT, [framed(one, case_refs=[""]) for one in [ada, *others]])
        # Cut behind the contact points; and bytes of which the key alone tells.
        append(log, CHAT, [framed(ada)[:-3], b"\x07", framed(ada)[:20]])
        with log.writer() as writer:
            writer.append(CHAT, ada.primary.key.encode(), b"\x07of the key", partition=0)
            assert writer.flush(30) == 0
    project()
    same = sum(ada.primary.key in {point.key for point in one.contact_points} for one in [ada, *others])
    found = told("--all", "--contact", ada.primary.value)
    assert len(found) == same + 2
    assert {row["stage"] for row in found} == {"check", "decode", "frame"}
    assert told("--all", "--contact", "nobody@example.org") == []
    Path("patch.json").write_text('{"case_refs": null}')
    done = told("redrive", "--contact", ada.primary.value, "--stage", "check", "--patch", "patch.json")
    assert (done["looked_at"], done["redriven"]) == (same, same)
    assert told("redrive", "--contact", "nobody@example.org")["looked_at"] == 0
    # By a customer's id, now that there is one.
    card = CliRunner().invoke(cli, ["customer", ada.primary.value, "--json"], prog_name="touchlog")
    left = told("--all", "--contact", json.loads(card.stdout)["customer_id"])
    assert {row["stage"] for row in left} >= {"decode", "frame"}
