"""Versions of the projection `items` by two rules, the commands about them, and what the views show by each rule."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consumers.projector import Projector
from projections.projection import all_projections, parse
from projections.store import Store
from tests.faults.checks import Truth
from tests.faults.commands import Command
from tests.faults.homes import Home
from tests.folding import REGISTRY
from tests.habits import NOW
from tests.oracle import items as oracles_items
from tests.oracle import oracle
from tests.oracle.compare import DEPEND_ON_NOW, VIEWS, differences, read_view
from touchlog.client import Reader

ITEMS = next(one for one in all_projections() if one.name == "items")
COUNTED, NOT_COUNTED = (
    "    max(engagement) AS engagement\nFROM events",
    "    coalesce(max(engagement) FILTER (item <> 'opened'), 0) AS engagement\nFROM events",
)
assert COUNTED in ITEMS.text

FIRST = ITEMS.version
"""The version that the program has."""

CHANGING = ("items", "channel_preference")
"""Views that the rule changes: itself, and one that reads it."""

Seen = dict[str, tuple[int, int]]
"""View -> number of rows, and a number that is made of all of them."""


def rule(version: int) -> str:
    """The SQL of `items` in this version: every other one does not count that something was opened."""
    text = ITEMS.text.replace(f"version: {FIRST}", f"version: {version}")
    return text if counts_opens(version) else text.replace(COUNTED, NOT_COUNTED)


def counts_opens(version: int) -> bool:
    """Whether it has the rule of the program's version."""
    return (version - FIRST) % 2 == 0


def expected(home: Home, truth: Truth) -> tuple[Seen, Seen]:
    """What the views show by the changed rule and by the program's: of stores that never knew another one, and that
    equal the oracle with the same rule."""
    others = [one for one in all_projections() if one.name != "items"]
    found = []
    for version in (FIRST + 1, FIRST):
        path = home.folder / f"expected-{len(truth.events)}-{version}.duckdb"
        with home.open() as log, Store.open(path, projections=[*others, parse(rule(version))]) as store:
            Projector(log, store, REGISTRY).run(until_caught_up=True)
            assert_by_rule(store, truth, version)
        found.append(seen(path))
    assert found[0] != found[1]
    return found[0], found[1]


def assert_by_rule(store: Store, truth: Truth, version: int) -> None:
    """Every view equals the oracle with the rule of this version."""
    with _rule_of_the_oracle(version):
        wanted = oracle.fold(truth.events, NOW)
    for view in VIEWS:
        told = differences(wanted[view], read_view(store.cursor(), view, NOW if view in DEPEND_ON_NOW else None))
        assert not told, f"version {version}, view {view}: {told}"


@contextmanager
def _rule_of_the_oracle(version: int) -> Iterator[None]:
    if counts_opens(version):
        yield
        return
    before = oracle.items
    oracle.items = _items_without_opens
    try:
        yield
    finally:
        oracle.items = before


def _items_without_opens(entries: Any, who: Any) -> list[dict[str, Any]]:
    engaged: dict[tuple[Any, str], int] = defaultdict(int)
    for entry in entries:
        if entry.meaning.item not in {None, "opened"}:
            at = oracles_items._reference(entry), entry.key
            engaged[at] = max(engaged[at], entry.meaning.engagement)
    rows = oracles_items.items(entries, who)
    return [{**row, "engagement": engaged[row["message_ref"], row["contact_point"]]} for row in rows]


def seen(store: Path, schema: str = "touchlog") -> Seen:
    """What anybody sees of them in one moment, whoever holds the store."""
    parts = []
    for view in CHANGING:
        at = f"_at('{NOW.isoformat()}'::TIMESTAMPTZ)" if view in DEPEND_ON_NOW else ""
        parts.append(
            f"SELECT '{view}' AS view, count(*) AS n, sum(hash(v::VARCHAR)) AS made FROM {schema}.{view}{at} AS v"
        )
    with Reader(store) as reader:
        return {row["view"]: (row["n"], row["made"]) for row in reader.sql(" UNION ALL ".join(parts)).to_pylist()}


def states(store: Path) -> dict[int, str]:
    """Version of `items` -> its state."""
    with Reader(store) as reader:
        rows = reader.sql("SELECT version, state FROM touchlog.projections WHERE name = 'items'").to_pylist()
    return {row["version"]: row["state"] for row in rows}


def live_of(found: dict[int, str]) -> int:
    """The one version that is live."""
    (live,) = (version for version, state in found.items() if state == "live")
    return live


class Replay:
    """The commands on one home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def file(self, version: int) -> Path:
        path = self.home.folder / f"items-{version}.sql"
        path.write_text(rule(version), "utf-8")
        return path

    def built(self) -> float:
        """Which part of what is being built is done."""
        with Reader(self.home.store) as reader:
            found = reader.sql("SELECT max(built) AS built FROM touchlog.projections")["built"][0].as_py()
        return found or 0.0

    def start(self, *words: object, at: str | None = None, slice_rows: int = 0, nth: int = 1) -> Command:
        victim = ["--slice", slice_rows] if slice_rows else []
        step = ["--at", at, "--nth", nth] if at else []
        log = ["--log", self.home.url] if words[0] == "rebuild" else []
        return self.home.commands.start([*step, *victim, "--", *words, "--data-dir", self.home.folder, *log])

    def do(self, *words: object) -> str:
        """It ends with 0; what it said."""
        command = self.start(*words)
        assert command.wait() == 0, command.said
        return command.said

    def again(self, *words: object, done: bool) -> None:
        """The same command goes on; where all was `done` already, it may say that there is nothing left to do."""
        command = self.start(*words)
        code = command.wait()
        nothing_left = done and code == 2 and "no version of" in command.said
        assert code == 0 or nothing_left, (code, command.said)
