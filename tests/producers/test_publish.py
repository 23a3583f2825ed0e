"""Publishing: files in, records of a real (embedded) log out; what adds up, and what is kept when something fails."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.embedded import EmbeddedLog
from log.log import RecordBatch, TopicPartition
from producers import emit
from producers.format import Format, Options
from producers.formats import find_format, formats_of
from producers.publish import Choose, publish
from producers.rejects import Reject, RejectsFile, read_rejects
from producers.report import MOST_REASONS, OTHER_REASONS, Report
from producers.sources import Source, source_of_bytes, sources
from schemas.codec import decode, from_record, micros
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.models import Event
from schemas.registry import LockedRegistry
from schemas.topics import TOPICS, stream_of

SAMPLES = Path(__file__).parents[1] / "samples"
CALLS_FILE = SAMPLES / "phone" / "calls" / "service-desk.csv"
OPTIONS = Options(observed_at=datetime(2026, 4, 1, tzinfo=UTC), account="acme", region="SE")
TWILIO, CALLS = (find_format("phone", name) for name in ("twilio", "calls"))
REGISTRY = LockedRegistry()
HEADER = b"call id,direction,start,customer\n"


def by_head(source: Source, head: bytes) -> Format:
    for one in (*formats_of("phone"), *formats_of("post"), emit.EMIT):
        if one.recognises(head):
            return one
    raise ConfigurationError("no format recognises it")


def calls(count: int) -> bytes:
    return HEADER + b"".join(b"%d,inbound,2026-03-02 09:00,C-%d\n" % (n, n % 7) for n in range(count))


def records(log: EmbeddedLog) -> RecordBatch:
    """All records of the log, in one batch."""
    with log.reader(log.begin_offsets(TOPICS)) as reader:
        out, ends = RecordBatch(), log.end_offsets(TOPICS)
        while True:
            batch = reader.poll(1000, 0)
            for column in ("topics", "partitions", "offsets", "timestamps", "keys", "values", "headers"):
                getattr(out, column).extend(getattr(batch, column))
            out.next_positions.update(batch.next_positions)
            if all(out.next_positions.get(partition, 0) >= end for partition, end in ends.items()):
                return out


def events(log: EmbeddedLog) -> list[Event]:
    batch = records(log)
    found = []
    for topic, value in zip(batch.topics, batch.values, strict=True):
        assert value is not None
        schema = REGISTRY.schema(int.from_bytes(value[1:5], "big"))
        found.append(from_record(stream_of(topic), decode(value[5:], schema=schema)))
    return found


@dataclass
class Publishing:
    """A log and a rejects file, and `publish` into them."""

    log: EmbeddedLog
    rejects: Path

    def __call__(
        self,
        *given: Source | Path,
        form: Format | Choose = by_head,
        log: Any = None,
        **more: Any,
    ) -> Report:
        opened = [one if isinstance(one, Source) else sources([one])[0] for one in given]
        with RejectsFile(self.rejects) as rejects:
            return publish(
                opened,
                format=form,
                log=log or self.log,
                **{"options": OPTIONS, "registry": REGISTRY, "rejects": rejects, **more},
            )

    def kept(self) -> list[Reject]:
        return list(read_rejects(self.rejects)) if self.rejects.exists() else []


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Publishing]:
    with EmbeddedLog(tmp_path / "log.db") as log:
        log.create_topics(TOPICS, 3)
        yield Publishing(log, tmp_path / "rejects.jsonl")


class Refusing:
    """The real log, whose writer's `append` raises what `refuse` gives for a record, by its number."""

    def __init__(self, log: EmbeddedLog, refuse: Callable[[int], BaseException | None]) -> None:
        self._log, self._refuse = log, refuse

    def topics(self) -> dict[str, str]:
        return self._log.topics()

    def writer(self) -> "Refusing._Writer":
        return self._Writer(self._log.writer(), self._refuse)

    class _Writer:
        def __init__(self, writer: Any, refuse: Callable[[int], BaseException | None]) -> None:
            self._writer, self._refuse, self._number = writer, refuse, 0
            self.flush, self.close = writer.flush, writer.close

        def append(self, *record: Any, **more: Any) -> None:
            self._number += 1
            error = self._refuse(self._number)
            if error is not None:
                raise error
            self._writer.append(*record, **more)


def assert_adds_up(report: Report) -> None:
    assert report.read == report.with_events + report.without_events + report.rejected
    assert report.events == report.delivered + report.failed
    assert report.delivered == sum(report.by_topic.values())


def test_the_real_call_log_goes_through_row_by_row(into: Publishing) -> None:
    report = into(CALLS_FILE, form=CALLS)
    assert (report.read, report.with_events, report.rejected) == (25, 22, 3)
    assert (report.events, report.delivered, report.failed) == (54, 54, 0)
    assert report.reasons == {"operation: not a call; publish it as e-mail": 3}
    assert not report.complete
    assert [(one.line, one.field, one.format) for one in into.kept()] == [(n, "operation", "calls") for n in (8, 9, 23)]
    assert len(events(into.log)) == 54


def test_every_payload_of_a_folder_of_samples_is_counted_once(into: Publishing, tmp_path: Path) -> None:
    folders = [SAMPLES / "phone", SAMPLES / "post"]
    paths = [
        path for folder in folders for path in sorted(folder.glob("*/*")) if not path.name.endswith(".events.json")
    ]
    count = sum(
        1
        for path in paths
        for _ in by_head(source_of_bytes("", b""), path.read_bytes()).payloads(io.BytesIO(path.read_bytes()), OPTIONS)
    )
    report = into(*paths)
    assert_adds_up(report)
    assert report.read == count
    assert len(into.kept()) == report.rejected > 0
    assert report.without_events == 0
    assert Counter(records(into.log).topics) == report.by_topic
    assert len(events(into.log)) == report.delivered == report.events


def test_a_record_carries_key_time_headers_and_the_event(into: Publishing) -> None:
    report = into(source_of_bytes("calls", calls(1)))
    assert report.complete
    batch, told = (
        records(into.log),
        list(
            CALLS.events(
                {"call id": "0", "direction": "inbound", "start": "2026-03-02 09:00", "customer": "C-0"}, OPTIONS
            )
        ),
    )
    assert events(into.log) == told
    assert set(batch.keys) == {b"account:C-0"}
    assert batch.timestamps == [micros(event.occurred_at) // 1000 for event in told]
    assert [dict(headers) for headers in batch.headers] == [
        {
            "ce_specversion": b"1.0",
            "ce_id": str(event.event_id).encode(),
            "ce_source": b"calls/acme",
            "ce_type": f"touchlog.phone.{event.type}".encode(),
            "ce_time": b"2026-03-02T09:00:00Z",
            "content-type": b"application/avro",
        }
        for event in told
    ]


def test_headers_hold_no_personal_data(into: Publishing) -> None:
    into(SAMPLES / "phone" / "twilio" / "status.txt", SAMPLES / "post" / "mailroom" / "register.csv")
    for headers in records(into.log).headers:
        text = b" ".join(value for _, value in headers).lower()
        assert not any(secret in text for secret in (b"4670", b"ada", b"storgatan", b"c-17"))


def test_the_same_input_twice_has_the_same_event_ids(into: Publishing) -> None:
    into(CALLS_FILE)
    first = Counter(event.event_id for event in events(into.log))
    into(CALLS_FILE, options=replace(OPTIONS, observed_at=datetime(2026, 5, 1, tzinfo=UTC)))
    assert Counter(event.event_id for event in events(into.log)) == dict.fromkeys(first, 2)


def test_events_of_one_contact_point_stay_in_order_on_one_partition(into: Publishing) -> None:
    into(CALLS_FILE)
    batch = records(into.log)
    partitions: dict[bytes | None, set[TopicPartition]] = {}
    for topic, partition, key in zip(batch.topics, batch.partitions, batch.keys, strict=True):
        partitions.setdefault(key, set()).add(TopicPartition(topic, partition))
    assert all(len(found) == 1 for found in partitions.values())
    steps = [event.type for event in events(into.log) if event.primary.key == "account:CUSTOMER2"]
    assert steps == ["call.initiated", "call.answered", "call.completed"]


def test_a_reject_is_kept_whole_and_can_be_published_again_alone(into: Publishing, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"call id;direction;start;customer\n1;inbound;n\xe4r?;C-1\n2;inbound;2026-03-02 09:00;C-2\n3;in\n")
    assert into(path).rejected == 2
    first, second = into.kept()
    assert (first.file, first.line, first.item, first.channel, first.format) == (str(path), 2, None, "phone", "calls")
    assert first.raw == b"call id;direction;start;customer\n1;inbound;n\xe4r?;C-1\n"
    assert (first.field, second.reason) == ("start", "row: 2 cells under 4 columns")
    mended = source_of_bytes("mended", first.raw.replace(b"n\xe4r?", b"2026-03-02 09:00"))
    assert into(mended).complete
    again = into(first.source)
    assert (again.read, again.reasons) == (1, {first.reason: 1})
    assert into.kept()[-1].file == f"{path}:2"
    assert into.rejects.stat().st_mode & 0o777 == 0o600


def test_reasons_quote_nothing_of_the_payload(into: Publishing) -> None:
    secret = "ada-secret"
    rows = f"1,{secret},2026-03-02,C-1\n2,in,{secret},C-1\n3,in,2026-03-02,{'x' * 2000}{secret}\n4,{secret}\n"
    report = into(source_of_bytes("calls", HEADER + rows.encode()), form=CALLS)
    assert report.rejected == 4
    assert not any(secret in reason for reason in report.reasons)


def test_many_reasons_are_counted_and_few_are_named(into: Publishing) -> None:
    broken = b"\n".join(b'{"' + b"x" * n + b'" 1}' for n in range(300))
    report = into(source_of_bytes("callbacks", broken), form=TWILIO)
    assert (report.rejected, sum(report.reasons.values())) == (300, 300)
    assert len(report.reasons) == MOST_REASONS + 1
    assert report.reasons[OTHER_REASONS] == 300 - MOST_REASONS
    assert len(into.kept()) == 300


def test_a_fault_in_a_parser_costs_one_payload(into: Publishing) -> None:
    def faulty(content: Any, options: Options) -> Iterator[Event]:
        if content["call id"] == "1":
            raise KeyError("ada@example.org")
        return CALLS.events(content, options)

    report = into(source_of_bytes("calls", calls(3)), form=replace(CALLS, events=faulty))
    assert (report.read, report.with_events, report.reasons) == (3, 2, {"the parser failed: KeyError": 1})
    assert_adds_up(report)
    assert [one.line for one in into.kept()] == [3]


def test_a_payload_is_published_with_all_its_events_or_none(into: Publishing) -> None:
    def half(content: Any, options: Options) -> Iterator[Event]:
        yield next(CALLS.events(content, options))
        raise ValueError

    assert into(source_of_bytes("calls", calls(2)), form=replace(CALLS, events=half)).rejected == 2
    assert events(into.log) == []


def test_events_that_the_log_does_not_confirm_are_failed_and_their_payloads_kept(into: Publishing) -> None:
    seen = 0

    def delete_the_topic() -> bool:
        nonlocal seen
        seen += 1
        if seen == 3:
            into.log.delete_topics(["interactions.phone"])
        return False

    report = into(source_of_bytes("calls", calls(4)), stop=delete_the_topic)
    assert_adds_up(report)
    assert (report.read, report.with_events, report.events) == (4, 4, 12)
    assert report.failed >= 6
    assert sum(report.reasons.values()) == report.failed
    assert not report.complete
    kept = into.kept()
    assert {one.verdict for one in kept} == {"undelivered"}
    assert [one.line for one in kept] == sorted({one.line for one in kept})
    assert kept[-1].raw == HEADER + b"3,inbound,2026-03-02 09:00,C-3\n"

    into.log.create_topics(TOPICS, 3)
    again = into(*(one.source for one in kept))
    assert (again.complete, again.read) == (True, len(kept))


def test_one_record_that_the_log_never_takes_costs_only_itself(into: Publishing) -> None:
    log = Refusing(into.log, lambda n: ConfigurationError("too large") if n == 2 else None)
    report = into(source_of_bytes("calls", calls(2)), log=log)
    assert (report.events, report.delivered, report.failed, report.stopped) == (6, 5, 1, False)
    assert report.reasons == {"delivery: ConfigurationError": 1}
    assert [(one.verdict, one.line) for one in into.kept()] == [("undelivered", 2)]
    assert len(events(into.log)) == 5


@pytest.mark.parametrize("number", range(1, 8))
def test_a_log_that_goes_away_ends_it_and_the_report_is_of_what_is_in_the_log(into: Publishing, number: int) -> None:
    log = Refusing(into.log, lambda n: LogUnavailable("gone") if n >= number else None)
    report = into(source_of_bytes("calls", calls(100)), log=log)
    assert_adds_up(report)
    assert (report.stopped, type(report.error), report.complete) == (True, LogUnavailable, False)
    assert report.delivered == len(events(into.log)) == number - 1
    assert [one.line for one in into.kept()] == [report.read + 1]


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_stop_is_obeyed_between_payloads_and_loses_nothing_reported(into: Publishing, after: int) -> None:
    answers = iter([False] * after + [True])
    report = into(source_of_bytes("one", calls(10)), source_of_bytes("two", calls(10)), stop=lambda: next(answers))
    assert_adds_up(report)
    assert (report.read, report.stopped, report.error, report.complete) == (after, True, None, False)
    assert report.delivered == report.events == len(events(into.log)) == 3 * after


@pytest.mark.parametrize("number", range(1, 7))
def test_an_interrupt_anywhere_is_flushed_and_reported(into: Publishing, number: int) -> None:
    log = Refusing(into.log, lambda n: KeyboardInterrupt() if n == number else None)
    report = into(source_of_bytes("calls", calls(10)), log=log)
    assert_adds_up(report)
    assert (report.stopped, report.error) == (True, None)
    assert report.delivered == len(events(into.log)) == number - 1
    assert [one.line for one in into.kept()] == [report.read + 1]


def test_an_interrupt_while_reading_counts_no_half_payload(into: Publishing) -> None:
    def interrupted(content: Any, options: Options) -> Iterator[Event]:
        if content["call id"] == "2":
            raise KeyboardInterrupt
        return CALLS.events(content, options)

    report = into(source_of_bytes("calls", calls(5)), form=replace(CALLS, events=interrupted))
    assert (report.read, report.events, report.delivered, report.stopped) == (2, 6, 6, True)
    assert into.kept() == []


def test_progress_grows_and_ends_with_the_report(into: Publishing) -> None:
    shown: list[Report] = []
    report = into(source_of_bytes("calls", calls(3)), progress=shown.append)
    assert shown[-1] == report
    assert report.read == 3


def test_a_missing_topic_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "empty.db") as log:
        into = Publishing(log, tmp_path / "rejects.jsonl")
        with pytest.raises(ConfigurationError, match=r"no topic interactions\.phone"):
            into(CALLS_FILE, form=CALLS)
        report = into(CALLS_FILE)
        assert (report.read, report.stopped, type(report.error)) == (0, True, ConfigurationError)


def test_a_rejects_file_that_cannot_be_written_ends_it(into: Publishing, tmp_path: Path) -> None:
    elsewhere = Publishing(into.log, tmp_path / "nowhere" / "rejects.jsonl")
    report = elsewhere(CALLS_FILE)
    assert (report.stopped, type(report.error)) == (True, ConfigurationError)
    assert (report.read, report.rejected, report.with_events) == (6, 0, 6)
    assert report.delivered == len(events(into.log)) == report.events


def test_folders_are_walked_in_order_and_gzip_is_unpacked_by_content(into: Publishing, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "2.csv").write_bytes(gzip.compress(calls(2)))
    (folder / "a.csv.gz").write_bytes(gzip.compress(calls(1)))
    (folder / ".hidden").write_bytes(b"nothing")
    (folder / "c.csv").write_bytes(b"")
    found = sources([folder])
    assert [Path(one.name).name for one in found] == ["a.csv.gz", "2.csv", "c.csv"]
    report = into(*found)
    assert (report.read, report.complete) == (3, True)


def test_standard_input_is_a_source_and_stays_open(into: Publishing) -> None:
    stdin = io.BytesIO(calls(2))
    assert into(*sources(["-"], stdin=stdin)).read == 2
    assert not stdin.closed


def test_a_place_that_does_not_exist_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no file or folder"):
        sources([CALLS_FILE, "nowhere.csv"])


def test_a_damaged_file_ends_itself_and_the_next_goes_on(into: Publishing, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.csv.gz"
    packed = gzip.compress(calls(5000))
    damaged.write_bytes(packed[: len(packed) // 2])
    report = into(damaged, source_of_bytes("sound", calls(2)), form=CALLS)
    assert report.unreadable == ((str(damaged), "cannot be read to its end: EOFError"),)
    assert_adds_up(report)
    assert report.read > 100
    assert not report.complete
    assert report.delivered == len(records(into.log))


def test_a_file_of_no_known_format_is_named(into: Publishing) -> None:
    report = into(source_of_bytes("picture.png", b"\x89PNG\r\n"), source_of_bytes("calls", calls(1)))
    assert (report.unreadable, report.read) == ((("picture.png", "no format recognises it"),), 1)


def test_a_rejects_file_that_a_crash_cut_off_is_continued_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text('{"verdict": "rejec')
    with RejectsFile(path) as rejects:
        rejects.keep(REJECT)
    _, whole = path.read_text().splitlines()
    assert json.loads(whole)["raw"] == "x"
    with pytest.raises(ConfigurationError, match="line 1 of"):
        list(read_rejects(path))


REJECT = Reject(
    verdict="rejected", file="f", line=1, item=None, channel="phone", format="calls", reason="start: missing", raw=b"x"
)


@given(raw=st.binary(), item=st.none() | st.integers(0), reason=st.text())
def test_what_is_kept_is_read_back_byte_for_byte(
    tmp_path_factory: Any, raw: bytes, item: int | None, reason: str
) -> None:
    reject = replace(REJECT, raw=raw, item=item, reason=reason)
    path = tmp_path_factory.mktemp("rejects") / "rejects.jsonl"
    with RejectsFile(path) as rejects:
        rejects.keep(reject)
        rejects.keep(REJECT)
        assert list(read_rejects(path)) == [reject, REJECT]
    with reject.source.opened() as stream:
        assert stream.read() == raw
