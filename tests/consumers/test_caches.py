"""What the folder remembers is what the store's rows say, whatever a fold is interrupted in.

A connection fails at one of the statements of a fold, before or just after the database has done it; then the same
batch is folded again. After each step the caches of the folder are compared with those of one that has just read them.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.decode import Decoder
from consumers.fold import Folder
from consumers.prepare import Preparer
from projections.compaction import Compaction
from projections.store import Store
from tests.folding import REGISTRY, records
from tests.projections.test_against_oracle import assert_equal, cut
from tests.strategies import logs, random_log


class Broken(Exception):
    """What the connection fails with."""


class Connection:
    """A DuckDB connection that fails at the n-th call from when it is `armed`, before it is done or after."""

    def __init__(self, con: Any) -> None:
        self._con = con
        self._left: int | None = None
        self._after = False

    def arm(self, calls: int, *, after: bool) -> None:
        self._left, self._after = calls, after

    def disarm(self) -> bool:
        """Whether it had failed."""
        failed, self._left = self._left is not None and self._left < 0, None
        return failed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._con, name)
        return self._failing(found) if name in {"begin", "execute", "commit", "register"} else found

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any) -> Any:
            fails = False
            if self._left is not None:
                self._left -= 1
                fails = self._left == -1
            if fails and not self._after:
                raise Broken
            done = call(*arguments)
            if fails:
                raise Broken
            return done

        return made


def caches(folder: Folder) -> dict[str, Any]:
    """What a folder remembers, in a form that can be compared: what was once linked and is not any more left out."""
    people, threads = folder._people.graph, folder._threads
    return {
        "positions": dict(folder.positions),
        "batch": folder.batch,
        "parked": {name: count for name, count in folder._parked.items() if count},
        "ids": set(seen(folder._seen)),
        "people": seen(people.seen),
        "threads": seen(threads.seen),
        "evidence": dict(folder._people.evidence),
        "statements": dict(folder._people.statements),
        "edges": set(folder._edges),
        "told": set(seen(folder._replies.told)),
        "answered": set(seen(folder._replies.answered)),
        **{
            f"{name} {part}": found
            for name, graph in (("people", people), ("threads", threads))
            for part, found in graph_of(graph).items()
        },
    }


def seen(ids: Any) -> dict[tuple[int, int], int]:
    """Id -> when it was first seen."""
    found = {}
    for run in ids._runs:
        keys = zip(run.ids.high.tolist(), run.ids.low.tolist(), strict=True)
        found |= dict(zip(keys, run.times.tolist(), strict=True))
    assert len(found) == len(ids), "an id is there twice"
    return found


def graph_of(graph: Any) -> dict[str, Any]:
    parts = graph.components
    links = {name: others for name, others in parts.links.items() if others}
    return {
        "links": links,
        "places": {name: parts.place(name) for name in links},
        "members": parts.members,
        "seen": {name: parts.seen[name] for name in links},
        "ids": {name: graph.ids[name] for name in links},
        "names": {int.from_bytes(graph.ids[name][:8]) for name in links} <= set(graph.names),
    }


def assert_caches_hold(folder: Folder, store: Store) -> None:
    fresh, found = caches(Folder(store)), caches(folder)
    for name, expected in fresh.items():
        assert found[name] == expected, name


def opened() -> tuple[Store, Connection]:
    store = Store.in_memory()
    store.con.execute("SET arrow_lossless_conversion = true")
    failing = Connection(store.con)
    store.con = failing  # type: ignore[assignment]  # a connection in all that a store asks of it
    return store, failing


def prepared(batch: Any) -> Any:
    return Preparer(Decoder(REGISTRY)).prepare(records(batch))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=logs(max_size=24),
    pieces=st.integers(1, 4),
    fails=st.lists(st.tuples(st.integers(0, 45), st.booleans()), min_size=1, max_size=4),
)
def test_caches_are_what_the_rows_say_after_a_failure_anywhere(log, pieces, fails):
    store, con = opened()
    with store:
        folder = Folder(store)
        for batch, (calls, after) in zip(cut(log, random.Random(pieces), pieces), [*fails, *fails] * 3, strict=False):
            ready = prepared(batch)
            con.arm(calls, after=after)
            try:
                folder.fold(ready)
            except Broken:
                con.disarm()
                # It was committed or not; whoever folds on has to look.
                folder.fold(ready)
            con.disarm()
            assert_caches_hold(folder, store)


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it is done"])
def test_every_statement_of_a_fold_is_one_that_it_can_fail_at(after):
    """The first batch fails at its first statement, the second at its second, and so on until none is left."""
    log, failed = random_log(131, 720), 0
    store, con = opened()
    with store:
        folder = Folder(store)
        for calls, start in enumerate(range(0, len(log), 16)):
            batch = prepared(log[start : start + 16])
            stored = store.batch, store.positions()
            con.arm(calls, after=after)
            try:
                folder.fold(batch)
            except Broken:
                con.disarm()
                failed += 1
                assert store.batch == stored[0] + 1 or (store.batch, store.positions()) == stored
                folder.fold(batch)
            con.disarm()
            assert_caches_hold(folder, store)
        assert_equal(store, log)
    assert 15 < failed < 45


class Careless(Folder):
    """Does not read its caches again after a failure."""

    _stale = property(lambda _: False, lambda *_: None)  # type: ignore[assignment]  # always fresh


def test_a_folder_that_does_not_read_again_is_noticed():
    log = random_log(134, 60)
    store, con = opened()
    with store:
        folder = Careless(store)
        con.arm(15, after=False)
        with pytest.raises(Broken):
            folder.fold(prepared(log))
        con.disarm()
        with pytest.raises(AssertionError):
            assert_caches_hold(folder, store)


@pytest.mark.parametrize("seed", [132, 133])
def test_caches_are_what_the_rows_say_while_compaction_goes_on_and_fails(seed):
    dice, log = random.Random(seed), random_log(seed, 900)
    store, con = opened()
    with store:
        folder, compaction = Folder(store), Compaction(store, after=150, rows_a_slice=60, runs_a_level=2)
        for batch in cut(log, dice, 12):
            compaction.appended(folder.fold(prepared(batch)).applied)
            con.arm(dice.randrange(25), after=False)
            try:
                compaction.step()
            except Broken:
                compaction = Compaction(store, after=150, rows_a_slice=60, runs_a_level=2)
            con.disarm()
            if dice.random() < 0.5:
                compaction.finish()
            assert_caches_hold(folder, store)
        assert_equal(store, log)
