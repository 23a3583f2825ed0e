"""`touchlog demo` as it is typed, on the embedded log and on Kafka; and the payloads that it makes."""

import json
import re
import shlex
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from log.open import open_log
from projections.store import open_readonly
from schemas.codec import decode, from_record
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS, stream_of
from tests.oracle import fold
from tests.oracle.compare import VIEWS, differences, read_view
from touchlog.cli import cli
from touchlog.demo.archive import DAYS, SENDGRID
from touchlog.demo.generate import archive_of, write
from touchlog.demo.oddities import BROKEN
from touchlog.demo.people import FAMILIES, PEOPLE, cast
from touchlog.demo.questions import QUESTIONS

EXCERPT = Path(__file__).parents[1] / "samples" / "demo"
"""Beginnings of the files of `EXCERPT_DAY`; `python -m tests.touchlog.test_demo` writes them anew."""
EXCERPT_DAY = date(2026, 3, 1)
SECONDS = 20


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="touchlog")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that ran: what it printed, how long it took, which day it took for today."""

    folder: Path
    said: str
    seconds: float
    today: date

    @property
    def store(self) -> Path:
        return self.folder / "views.duckdb"

    @property
    def log(self) -> str:
        return f"embedded:{self.folder / 'log.sqlite'}"

    def rows(self, sql: str) -> list[dict[str, Any]]:
        done = run("sql", "--json", "--store", str(self.store), sql)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def value(self, sql: str) -> Any:
        ((value,),) = (row.values() for row in self.rows(sql))
        return value


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "touchlog-demo"
    today, began = datetime.now(UTC).date(), time.monotonic()
    done = run("demo", "--keep", str(folder))
    seconds = time.monotonic() - began
    assert done.exit_code == 0, done.output
    return Demo(folder=folder, said=done.stdout, seconds=seconds, today=today)


@pytest.fixture(scope="module")
def card(demo: Demo) -> dict[str, Any]:
    done = run("customer", "Ada@Example.org", "--json", "--store", str(demo.store))
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


# The payloads


def test_a_day_gives_the_same_bytes_again_and_another_day_others():
    files = archive_of(EXCERPT_DAY).files()
    assert files == archive_of(EXCERPT_DAY).files()
    later = archive_of(EXCERPT_DAY + timedelta(days=1)).files()
    assert files.keys() == later.keys()
    assert all(files[name] != later[name] for name in files)


def test_the_bytes_are_those_of_every_machine():
    kept = {path.relative_to(EXCERPT).as_posix(): path.read_bytes() for path in EXCERPT.rglob("*") if path.is_file()}
    assert kept == {name: beginning(content) for name, content in archive_of(EXCERPT_DAY).files().items()}


def test_there_is_a_handful_of_files_of_every_channel_and_everybody_in_them_is_invented():
    archive = archive_of(EXCERPT_DAY)
    files = archive.files()
    text = b"\n".join(files.values()).decode()
    assert 3_000 <= archive.payloads() <= 6_500
    assert len(text) < 3_000_000
    assert {name.partition("/")[0] for name in files} == {"email", "chat", "phone", "post", "social", "crm"}
    assert len(cast()) == PEOPLE == 300
    domains = set(re.findall(r"[\w.]+@((?:[\w-]+\.)+[a-z]{2,})", text))
    assert domains == {"example.org", "example.com", "acme.example", "mx.acme.example"}
    numbers = set(re.findall(r"(?:\+|%2B)(\d{9,})", text))
    assert {number[:7] for number in numbers} == {"4670000", "4685550"}


def test_deliveries_are_late_and_repeated():
    bodies = archive_of(EXCERPT_DAY).files()[SENDGRID].splitlines()
    events = [event for body in bodies if body.endswith(b"]") for event in json.loads(body)]
    times = [event.get("timestamp", 0) for event in events]
    assert times != sorted(times)
    happened = [(one.get("sg_message_id"), one["event"], one.get("url"), one.get("timestamp")) for one in events]
    assert 5 < len(happened) - len(set(happened)) < 200


# The run


def test_it_takes_some_seconds_and_says_what_to_do(demo: Demo):
    assert demo.seconds < SECONDS
    assert "their dates are moved so that they end yesterday" in demo.said
    for question in QUESTIONS:
        assert question.title in demo.said


def test_what_is_read_is_published_or_rejected_and_what_is_published_is_folded(demo: Demo):
    archive = archive_of(demo.today)
    rows = re.findall(r"^ +(email|chat|phone|post|social|crm|in all)((?: +[\d,]+){5})$", demo.said, re.MULTILINE)
    numbers = {name: [int(cell.replace(",", "")) for cell in cells.split()] for name, cells in rows}
    read, published, without, rejected, events = numbers.pop("in all")
    assert [sum(column) for column in zip(*numbers.values(), strict=True)] == [
        read,
        published,
        without,
        rejected,
        events,
    ]
    assert (read, rejected) == (archive.payloads(), BROKEN)
    assert read == published + without + rejected
    assert without == 0
    with open_log(demo.log, must_exist=True) as log:
        assert sum(log.end_offsets(TOPICS).values()) == events
    (totals,) = demo.rows("SELECT sum(read), sum(applied), sum(duplicates), sum(parked) FROM touchlog.batches")
    folded, applied, duplicates, parked = map(int, totals.values())
    assert folded == events == applied + duplicates
    assert parked == 0
    assert duplicates > 50
    assert demo.value("SELECT count(*) FROM touchlog.interactions") == applied


def test_what_nobody_understands_is_kept_whole_with_why(demo: Demo):
    kept = [json.loads(line) for line in (demo.folder / "rejects.jsonl").read_text().splitlines()]
    assert len(kept) == BROKEN
    assert {one["channel"] for one in kept} == {"email", "chat", "phone", "post", "social", "any"}
    for one in kept:
        assert one["reason"]
        assert one["raw"].encode().splitlines()[-1] in Path(one["file"]).read_bytes()


def test_nothing_happened_before_the_first_day_or_after_yesterday(demo: Demo):
    (span,) = demo.rows("SELECT min(occurred_at) AS began, max(occurred_at) AS ended FROM touchlog.interactions")
    began, ended = (datetime.fromisoformat(span[name]) for name in ("began", "ended"))
    assert began.date() >= demo.today - timedelta(days=DAYS)
    assert ended.date() == demo.today - timedelta(days=1)


def test_the_next_commands_work(demo: Demo):
    lines = demo.said.partition("type next\n")[2].strip().splitlines()
    commands = [line for line in lines if not line.startswith(". ")]
    assert len(commands) >= 4
    for typed in commands:
        name, *arguments = shlex.split(typed)
        assert name == "touchlog"
        done = run(*arguments)
        assert done.exit_code == 0, done.stderr
        assert done.stdout


# What it shows


def test_ada_is_one_customer_on_all_five_channels(card: dict[str, Any]):
    keys = {point["contact_point"] for point in card["contact_points"]}
    assert {"email:ada@example.org", "phone:+46700000001", "account:C-1001"} <= keys
    assert {"account", "email", "phone", "postal", "social", "visitor"} == {
        point["kind"] for point in card["contact_points"]
    }
    assert all(card["channels"][channel] > 0 for channel in ("email", "chat", "phone", "post", "social"))
    assert not any(point["shared"] for point in card["contact_points"])


def test_adas_conversation_crossed_channels_and_is_ours_to_answer(card: dict[str, Any], demo: Demo):
    (waiting,) = card["conversations"]
    assert waiting["state"] == "waiting_on_us"
    assert waiting["channels"] == ["social", "email", "phone"]
    assert waiting["switches"] == 3
    assert waiting["case_refs"] == ["case:48213"]
    assert waiting["waiting_since"] == f"{demo.today - timedelta(days=1)}T16:20:00Z"
    assert waiting["promised_at"] == f"{demo.today + timedelta(days=1)}T10:00:00Z"
    assert card["last_agent"] == "agent-07"


def test_ada_stated_one_preference_refused_another_and_let_a_third_be_inferred(card: dict[str, Any]):
    first = {row["content_type"]: row for row in card["preferences"] if row["rank"] == 1}
    assert (first["invoices"]["channel"], first["invoices"]["basis"]) == ("post", "stated")
    assert "through phone" in first["invoices"]["reason"]
    assert (first["service"]["channel"], first["service"]["basis"]) == ("chat", "inferred")
    assert "responded to 2 of 2" in first["service"]["reason"]
    (offers,) = (row for row in card["preferences"] if (row["content_type"], row["channel"]) == ("offers", "email"))
    assert (offers["rank"], offers["basis"]) == (None, "legal")
    (refused,) = card["consent"]
    assert (refused["stated"], refused["content_type"], refused["channel"]) == ("opt_out", "offers", "email")


def test_the_card_is_printed_and_the_questions_have_answers(demo: Demo):
    printed = demo.said.partition("touchlog sql")[0]
    for fact in ("ada@example.org", "+46 70 000 00 01", "case:48213", "social → email → phone", "opted out of offers"):
        assert fact in printed
    wants, responds, waits = (demo.rows(question.sql) for question in QUESTIONS)
    assert {"stated", "inferred", "default"} <= {row["basis"] for row in wants}
    assert [row["channel"] for row in responds] == ["chat", "email", "phone", "post", "social"]
    for row in responds:
        assert row["answered"] + row["gave_up"] + row["waiting"] <= row["waits"]
        assert 0 < row["percent_in_time"] < 100
        assert row["median"]
        assert row["of_working_hours"]
    assert len(waits) > 3
    assert waits[-1]["customer"] == "email:ada@example.org"


def test_every_story_is_in_the_views(demo: Demo):
    inferred = demo.value(
        "SELECT count(DISTINCT customer_id) FROM touchlog.channel_preference WHERE basis = 'inferred' AND rank = 1"
    )
    assert inferred > 100
    shared = demo.rows("SELECT contact_point FROM touchlog.contact_points WHERE shared AND kind = 'email'")
    assert len(shared) == len(FAMILIES)
    unreachable = demo.rows("SELECT DISTINCT kind, unreachable_reason FROM touchlog.contact_points WHERE NOT reachable")
    reasons = {row["unreachable_reason"].partition(" ")[0] for row in unreachable}
    assert {"mail", "letter"} <= reasons
    stated = demo.rows("SELECT DISTINCT channel, stated, stated_through AS through FROM touchlog.consent")
    assert {"channel": "email", "stated": "opt_out", "through": "email"} in stated
    assert {"channel": "post", "stated": "opt_out", "through": "post"} in stated
    types = {row["type"] for row in demo.rows("SELECT DISTINCT type FROM touchlog.interactions")}
    assert {"message.complained", "message.auto_replied", "call.abandoned", "callback.requested"} <= types
    states = {row["state"] for row in demo.rows("SELECT DISTINCT state FROM touchlog.conversations")}
    assert states >= {"abandoned", "resolved", "waiting_on_us", "waiting_on_customer"}
    kinds = {row["kind"] for row in demo.rows("SELECT DISTINCT kind FROM touchlog.satisfaction")}
    assert kinds == {"csat", "nps"}
    crossed = {row["n"] for row in demo.rows("SELECT len(channels) AS n FROM touchlog.conversations")}
    assert crossed == {1, 2, 3}
    (stumbled,) = demo.rows("""
        SELECT name FROM touchlog.friction WHERE kind = 'step' GROUP BY name ORDER BY sum(gave_up) DESC LIMIT 1
    """)
    assert stumbled == {"name": "bank details"}
    journeys = demo.rows("""
        SELECT sum(unanswered) AS unanswered, sum(failed_self_service) AS failed FROM touchlog.journeys
        WHERE to_channel = 'phone'
    """)
    assert min(journeys[0].values()) >= 5
    answers = demo.rows(
        "SELECT len(channels) > 1 AS crossed, avg(score) AS score FROM touchlog.survey_answers"
        " WHERE kind = 'csat' GROUP BY ALL ORDER BY ALL"
    )
    assert [row["crossed"] for row in answers] == [False, True]
    assert answers[0]["score"] > answers[1]["score"]
    machine = demo.value("SELECT count(*) FROM touchlog.interactions WHERE type = 'message.opened' AND machine")
    human = demo.value("SELECT count(*) FROM touchlog.interactions WHERE type = 'message.opened' AND NOT machine")
    assert min(machine, human) > 50


def test_the_views_are_those_of_the_oracle(demo: Demo):
    now, registry = datetime.now(UTC), LockedRegistry()
    events = []
    with open_log(demo.log, must_exist=True) as log:
        ends = log.end_offsets(TOPICS)
        with log.reader(dict.fromkeys(ends, 0)) as reader:
            while len(events) < sum(ends.values()):
                batch = reader.poll(10_000, 5.0)
                for topic, value in zip(batch.topics, batch.values, strict=True):
                    assert value is not None
                    schema = registry.schema(int.from_bytes(value[1:5], "big"))
                    events.append(from_record(stream_of(topic), decode(value[5:], schema=schema)))
    expected = fold(events, now)
    con = open_readonly(demo.store)
    try:
        found = {view: differences(expected[view], read_view(con, view, now)) for view in VIEWS}
    finally:
        con.close()
    assert found == {view: [] for view in VIEWS}


# What it must not touch


def test_again_it_begins_anew_and_leaves_what_others_put_there(tmp_path: Path, demo: Demo):
    folder = tmp_path / "again"
    for _ in range(2):
        done = run("demo", "--keep", str(folder))
        assert done.exit_code == 0, done.output
        (folder / "mine.txt").write_text("mine")
    again = Demo(folder=folder, said=done.stdout, seconds=0, today=demo.today)
    count = "SELECT count(*) FROM touchlog.interactions"
    assert again.value(count) == demo.value(count)
    assert (folder / "mine.txt").read_text() == "mine"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path: Path):
    (tmp_path / "views.duckdb").write_text("mine")
    done = run("demo", "--keep", str(tmp_path))
    assert done.exit_code == 2
    assert "was not made by the demo" in done.stderr
    assert "touchlog demo --keep" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["views.duckdb"]
    assert (tmp_path / "views.duckdb").read_text() == "mine"


def test_a_log_with_records_is_left_alone_and_so_is_the_folder(tmp_path: Path, demo: Demo):
    with open_log(demo.log, must_exist=True) as log:
        before = dict(log.end_offsets(TOPICS))
    folder = tmp_path / "other"
    done = run("demo", "--keep", str(folder), "--log", demo.log)
    assert done.exit_code == 2
    assert "invented people do not belong among others" in done.stderr
    assert not folder.exists()
    with open_log(demo.log, must_exist=True) as log:
        assert log.end_offsets(TOPICS) == before


def test_a_store_that_is_there_is_left_alone(tmp_path: Path, demo: Demo):
    mine = tmp_path / "mine.duckdb"
    duckdb.connect(str(mine)).close()
    before = mine.read_bytes()
    done = run("demo", "--keep", str(tmp_path / "other"), "--store", str(mine))
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert mine.read_bytes() == before
    assert not (tmp_path / "other").exists()


def test_the_log_and_the_store_of_the_settings_are_not_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLOG_LOG", f"embedded:{tmp_path / 'real.sqlite'}")
    monkeypatch.setenv("TOUCHLOG_STORE", str(tmp_path / "real.duckdb"))
    monkeypatch.setenv("TOUCHLOG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.chdir(tmp_path)
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["touchlog-demo"]


@pytest.mark.broker
def test_the_same_on_kafka(tmp_path: Path, real_kafka, unique, demo: Demo):
    url = f"kafka://{real_kafka.bootstrap}?prefix={unique('demo')}."
    folder = tmp_path / "kafka"
    done = run("demo", "--keep", str(folder), "--log", url)
    assert done.exit_code == 0, done.output
    assert not (folder / "log.sqlite").exists()
    there = Demo(folder=folder, said=done.stdout, seconds=0, today=demo.today)
    sql = "SELECT * FROM touchlog.conversations ORDER BY conversation_id"
    assert there.rows(sql) == demo.rows(sql)
    refused = run("demo", "--keep", str(folder), "--log", url)
    assert refused.exit_code == 2
    assert "prefix" in refused.stderr
    assert there.store.exists()


def beginning(content: bytes) -> bytes:
    """Whole lines, as many as make some 1,500 bytes."""
    return content[: content.find(b"\n", 1_500) + 1] or content


if __name__ == "__main__":
    write({name: beginning(content) for name, content in archive_of(EXCERPT_DAY).files().items()}, EXCERPT)
