"""A file of calls as a telephone exchange exports it, some rows of it broken, and what has to become of it."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from log.log import Position
from producers.format import Options
from producers.formats import find_format
from producers.publish import publish
from producers.rejects import RejectsFile
from producers.sources import sources
from schemas.topics import TOPICS
from tests.faults.checks import Truth, assert_whole, read_back
from tests.faults.homes import Command, Home
from tests.folding import REGISTRY

_HEADER = "call id,direction,start,customer\n"


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The file; ids of the events that it is; places and raw bytes of the rows that are to be rejected."""

    path: Path
    events: frozenset[str]
    rejects: frozenset[tuple[int, str]]


def calls(home: Home, dice: random.Random, rows: int) -> Calls:
    """A new file, and the events that an undisturbed run makes of it on a log of its own."""
    path = home.folder / "calls.csv"
    written = [_row(dice, number) for number in range(rows)]
    path.write_text(_HEADER + "".join(row for row, _ in written), encoding="utf-8")
    folder = home.folder / "undisturbed"
    folder.mkdir()
    quiet = Home(log="embedded", url=f"embedded:{folder / 'log.sqlite'}", folder=folder, commands=home.commands)
    with quiet.open() as log, RejectsFile(folder / "rejects.jsonl") as kept_aside:
        log.create_topics(TOPICS, 3)
        report = publish(
            sources([path]),
            format=find_format("phone", "calls"),
            options=Options(),
            log=log,
            registry=REGISTRY,
            rejects=kept_aside,
        )
    # A reject begins with the table's header, so that it can be published alone.
    rejects = frozenset((line, _HEADER + row) for line, (row, good) in enumerate(written, 2) if not good)
    assert report.rejected == len(rejects) > 0
    assert report.with_events == rows - len(rejects)
    assert not report.failed
    events = frozenset(str(event.event_id) for event in read_back(quiet, dice).events)
    return Calls(path=path, events=events, rejects=rejects)


def _row(dice: random.Random, number: int) -> tuple[str, bool]:
    """A row, and whether it is a good one."""
    start = f"2026-03-{1 + number % 28:02} 09:{number % 60:02}"
    if dice.random() < 0.05:
        bad = (f"{number},sideways,{start},C-1\n", f"{number},inbound,yesterday,C-1\n", f"{number},in\n")
        return dice.choice(bad), False
    return f"{number},{dice.choice(('inbound', 'outbound'))},{start},C-{number % 97}\n", True


def produce(home: Home, file: Calls, *, delivered: Path | None = None) -> Command:
    """The command; `delivered` is where it writes what the log has confirmed."""
    victim = ["--delivered", delivered] if delivered else []
    return home.touchlog("produce", "phone", file.path, "--format", "calls", victim=victim)


def kept(folder: Path) -> Iterator[tuple[int, str]]:
    """Places and payloads in a rejects file; a line that a crash cut off is passed over."""
    path = folder / "rejects.jsonl"
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if one["verdict"] == "rejected":
            yield one["line"], one["raw"]


def confirmed(path: Path) -> list[Position]:
    """What a victim wrote down; the last line may be cut off."""
    lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
    words = [line.split() for line in lines]
    return [Position(topic, int(partition), int(offset)) for topic, partition, offset in words]


def assert_in_the_log(home: Home, told: list[Position]) -> None:
    """Every record that was reported as delivered is there, each at a place of its own."""
    assert len(set(told)) == len(told), "two records were reported to lie at one place"
    with home.open() as log:
        begins, ends = log.begin_offsets(TOPICS), log.end_offsets(TOPICS)
    lost = [at for at in told if not begins[at[:2]] <= at.offset < ends[at[:2]]]
    assert not lost, f"{len(lost)} of {len(told)} records were reported as delivered and are not in the log"


def assert_published(home: Home, file: Calls, dice: random.Random, *, again: bool = False) -> None:
    """Everything is in the log, all rejects are kept, and the views hold everything once; also when given `again`."""
    before = _in_the_log(home, file, dice)
    if again:
        command = produce(home, file)
        assert command.wait() == 0, command.said
    truth = _in_the_log(home, file, dice)
    assert not again or truth.records >= before.records + len(file.events)
    home.batch, home.compact_after = 500, 2000
    home.fold_here()
    assert_whole(home, truth)


def _in_the_log(home: Home, file: Calls, dice: random.Random) -> Truth:
    truth = read_back(home, dice)
    assert {str(event.event_id) for event in truth.events} == file.events
    assert file.rejects <= set(kept(home.folder)), "a rejected payload is not in the rejects file"
    return truth
