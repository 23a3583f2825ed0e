"""A version built, switched to and back, retired, cancelled: killed at every edge, read meanwhile, under inflow.

What people read is wholly by one rule at every moment, and what was killed goes on with the same command.
"""

import signal
import threading
import time
from functools import partial

import pytest

from consumers.projector import Projector
from projections import rebuild
from projections.card import Cards
from projections.compaction import Compaction
from projections.projection import parse
from projections.store import Store
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.homes import until
from tests.faults.replaying import (
    FIRST,
    Replay,
    assert_by_rule,
    counts_opens,
    expected,
    live_of,
    rule,
    seen,
    states,
)
from tests.faults.steps import BACK, CANCEL, PAUSE, REBUILD, REPLAY, RETIRE, SWITCH
from tests.folding import REGISTRY
from touchlog.client import Reader
from touchlog.guard import time_limit
from touchlog.server import Answers, serving
from touchlog.status import status

pytestmark = pytest.mark.timeout(7200)

_SLICE = 40
_KEY = ("build.stage.commit.after", "switch.commit.after", "retire.drop")
"""For the tests that run with all the others."""
_EDGES = tuple(
    step
    for step in REPLAY
    if step.endswith((".commit.before", ".commit.after"))
    and step not in {"build.stage.commit.before", *PAUSE}
    and not step.startswith("build.commit")
)


@pytest.fixture
def truth(home, dice):
    """What was folded: enough for some runs, so that a version has something to be built from."""
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 300, near=30, poison=2)
    home.batch = 100
    home.fold_here()
    return truth


@pytest.fixture
def replay(home):
    return Replay(home)


class Edges:
    """One kill after the other on one store, with what has to come before each."""

    def __init__(self, home, replay, truth, dice):
        self.home, self.replay, self.dice = home, replay, dice
        self.by_rule = expected(home, truth)

    def kill_at(self, step, *, beside):
        words, live, after = self._get_ready(step.partition(".")[0])
        done = step.endswith("commit.after")
        if beside:
            self._kill_the_projector(step, words, done)
        else:
            victim = self.replay.start(*words, at=step, slice_rows=_SLICE, nth=self._nth(step))
            assert victim.wait() == -signal.SIGKILL, (step, victim.said)
            self._assert_live(after if done and step in (*SWITCH, *BACK) else live, step)
        self.replay.again(*words, done=done or beside)
        self._assert_live(after, step)
        if step in (*REBUILD, *PAUSE):
            assert states(self.home.store)[live + 1] == ("paused" if step in PAUSE else "ready"), step
        elif step in (*RETIRE, *CANCEL):
            assert states(self.home.store) == {live: "live"}, step
        look(self.home.store)

    def _nth(self, step):
        return self.dice.choice((1, 2)) if step.startswith("build") and "swap" not in step else 1

    def _get_ready(self, what):
        """Words of the command, the version that is live before it, and the one that is live after it."""
        with Store.open(self.home.store) as store:
            live, coming, retired = self._found(store)
            if coming and what != "cancel":
                rebuild.cancel(store, [])
                coming = None
            if retired and what not in {"back", "retire"}:
                rebuild.retire(store, [])
            if not coming and what in {"cancel", "switch", "pause"}:
                rebuild.begin(store, [parse(rule(live + 1))], {})
            if not retired and what in {"back", "retire"}:
                rebuild.begin(store, [parse(rule(live + 1))], {})
                _build(store)
                rebuild.switch(store, [])
            elif what == "switch":
                _build(store)
            live, coming, retired = self._found(store)
        match what:
            case "rebuild" | "build" | "settle":
                return ("rebuild", self.replay.file(live + 1)), live, live
            case "pause" | "cancel":
                return ("rebuild", "items", f"--{what}"), live, live
            case "switch":
                return ("switch", "items"), live, coming
            case "back":
                return ("switch", "--back", "items"), live, retired
        return ("retire", "items"), live, live

    @staticmethod
    def _found(store):
        found = {version.state: version.projection.version for version in store.versions() if version.name == "items"}
        coming = [version for state, version in found.items() if state not in {"live", "retired"}]
        return found["live"], coming[0] if coming else None, found.get("retired")

    def _kill_the_projector(self, step, words, done):
        """It does what it is asked for and dies of it; who asked goes on alone."""
        share = 0.02 if step in PAUSE else 1
        victim = ("--nth", self._nth(step), "--slice", _SLICE)
        projector = self.home.project("--rebuild-share", share, until_caught_up=False, at=step, victim=victim)
        until(lambda: self.home.answers() or not projector.running, "the projector answers")
        asking = self.replay.start(*words)
        assert projector.wait() == -signal.SIGKILL, (step, projector.said)
        code = asking.wait()
        assert code == 0 or (done and code == 2 and "no version of" in asking.said), (step, asking.said)

    def _assert_live(self, version, step):
        found = states(self.home.store)
        assert live_of(found) == version, (step, found)
        assert seen(self.home.store) == self.by_rule[counts_opens(version)], step


def _build(store):
    Compaction(store, after=1 << 62).finish()
    rebuild.settle(store, store.positions())


@pytest.mark.form(ci="embedded", short="embedded")
def test_killed_at_every_edge(home, row, dice, times, truth, replay):
    """The command itself dies where it has the store alone; else the projector that does the work for it."""
    row.fault = "kill -9 at every edge of a version's life"
    edges = Edges(home, replay, truth, dice)
    for _ in range(times(ci=1, short=1, long=3)):
        for step in {1: _KEY, 2: _EDGES, 3: REPLAY}[times(ci=1, short=2, long=3)]:
            for beside in times(ci=0, short=0, long=1) * [False, True] or [dice.random() < 0.5]:
                edges.kill_at(step, beside=beside)
                row.runs += 1
    _end(home, replay, truth)


def _end(home, replay, truth):
    """More comes, and all views are right by the rule that is live, and by the other after a switch."""
    with Store.open(home.store) as store:
        live, coming, retired = Edges._found(store)
        if coming:
            rebuild.cancel(store, [])
        if retired:
            rebuild.retire(store, [])
    with home.open() as log:
        truth.grow(log, 150, near=10, far=10)
    home.project_to_the_end()
    if not counts_opens(live):
        with Store.open(home.store) as store:
            assert_by_rule(store, truth, live)
        replay.do("rebuild", replay.file(live + 1))
        replay.do("switch")
    assert_whole(home, truth)


_READERS = 8
_TOGETHER = """
    SELECT
        (SELECT list(version ORDER BY name) FROM touchlog.projections
            WHERE name IN ('items', 'topics') AND state = 'live') AS versions,
        (SELECT bool_and(purpose IS NOT DISTINCT FROM 'even') FROM touchlog.items) AS items,
        (SELECT bool_and(days = -2) FROM touchlog.topics) AS topics,
        (SELECT sum(applied) FROM touchlog.batches) AS applied
"""
_MARKS = {
    "items": ("s.purpose.value AS purpose", "'even' AS purpose"),
    "topics": ("count(DISTINCT s.day) AS days", "-2 AS days"),
}


@pytest.mark.form(ci="embedded", short="embedded")
def test_switched_to_and_fro_under_eight_readers(home, row, dice, times, truth):
    """Two versions at once, each of which marks its view: no answer holds one of the old and one of the new. Half of
    the readers look twice in a transaction of their own, the others ask through the socket, while batches come."""
    row.fault = "switched to and fro under eight readers"
    over, answers = threading.Event(), []
    with home.open() as log, Store.open(home.store) as store:
        for name, (before, after) in _MARKS.items():
            (live,) = (one for one in store.live() if one.name == name)
            assert before in live.text
            marked = parse(
                live.text.replace(f"version: {live.version}", f"version: {live.version + 1}").replace(before, after)
            )
            rebuild.begin(store, [marked], {})
        projector = Projector(log, store, REGISTRY, batch_size=home.batch, compact_after=home.compact_after)
        _build(store)
        asking = Answers(cursor=store.con.cursor, card=Cards(time_limit=time_limit, seconds=30).card, status=status)
        with serving(home.store, asking, query_timeout=30):
            readers = [
                threading.Thread(target=look, args=(answers, over))
                for _ in range(_READERS // 2)
                for look in (partial(_look_twice, store.cursor(), dice), partial(_ask, home.store, dice))
            ]
            for reader in readers:
                reader.start()
            try:
                for number in range(times(ci=4, short=8, long=200)):
                    (rebuild.switch_back if number % 2 else rebuild.switch)(store, [])
                    if number % 4 == 1:
                        truth.grow(log, 20, near=2)
                        projector.run(until_caught_up=True)
                    time.sleep(0.1)
                    row.runs += 1
            finally:
                over.set()
                for reader in readers:
                    reader.join(60)
        rebuild.cancel(store, [])
    for versions, items, topics, _ in answers:
        assert (versions, items, topics) in [([FIRST, 1], False, False), ([FIRST + 1, 2], True, True)]
    assert {versions[0] for versions, *_ in answers} == {FIRST, FIRST + 1}, "the readers saw both"
    assert len({applied for *_, applied in answers}) > 1, "the readers saw batches come"
    assert_whole(home, truth)


def _look_twice(con, dice, answers, over):
    while not over.is_set():
        con.begin()
        first = con.execute(_TOGETHER).fetchone()
        time.sleep(dice.uniform(0, 0.3))
        assert con.execute(_TOGETHER).fetchone() == first
        con.commit()
        answers.append(first)
    con.close()


def _ask(path, dice, answers, over):
    with Reader(path) as reader:
        while not over.is_set():
            answers.extend(tuple(row.values()) for row in reader.sql(_TOGETHER).to_pylist())
            time.sleep(dice.uniform(0, 0.3))


@pytest.mark.form(short="embedded")
def test_ready_under_inflow(home, row, dice, times, truth, replay):
    """For every ten records folded nine more come: the lag is never nothing, and the fence is passed all the same."""
    row.fault = "a rebuild under inflow at nine tenths of what is folded"
    with home.open() as log, Reader(home.store) as reader:
        folded_before = truth.records
        truth.grow(log, 300, far=1200)
        projector = home.project("--rebuild-share", 0.3, until_caught_up=False, victim=("--slice", _SLICE))
        until(lambda: home.answers() or not projector.running, "the projector answers")
        asking = replay.start("rebuild", replay.file(FIRST + 1))
        lags, state = [], None
        while state != "ready":
            asked = reader.sql(
                "SELECT (SELECT sum(read) FROM touchlog.batches)::BIGINT AS read,"
                f" (SELECT state FROM touchlog.projections WHERE name = 'items' AND version = {FIRST + 1}) AS state"
            )
            read, state = asked["read"][0].as_py(), asked["state"][0].as_py()
            lags.append(truth.records - read)
            owed = folded_before + 1500 + 9 * (read - folded_before) // 10 - truth.records
            if owed > 0 and state != "ready":
                truth.grow(log, owed // 4, far=owed - owed // 4)
            assert projector.running, projector.said
            assert asking.running or asking.wait() == 0, asking.said
        assert min(lags) > 0, "the lag was nothing: this proves nothing"
        assert asking.wait() == 0, asking.said
        row.runs = len(lags)
        row.fault += f" (lag at the end {lags[-1]})"
        assert states(home.store) == {FIRST: "live", FIRST + 1: "ready"}
        replay.do("switch")
        projector.send(signal.SIGTERM)
        assert projector.wait() == 0, projector.said
    home.project_to_the_end()
    with Store.open(home.store) as store:
        assert_by_rule(store, truth, FIRST + 1)
    replay.do("switch", "--back")
    assert_whole(home, truth)


@pytest.mark.form(short="embedded")
def test_paused_cancelled_begun_again_and_gone_on_with(home, row, dice, truth, replay):
    """A projector that builds slowly, so that all of it happens in the middle of a build; at last it is killed there,
    and its successor goes on by itself."""
    row.fault = "a build paused, cancelled, begun again, and its projector killed"
    even, odd = expected(home, truth)
    slowly = {"until_caught_up": False, "victim": ("--slice", 20)}
    projector = home.project("--rebuild-share", 0.02, **slowly)
    until(lambda: home.answers() or not projector.running, "the projector answers")
    file = replay.file(FIRST + 1)
    for words, state in (
        (("rebuild", file, "--no-wait"), "building"),
        (("rebuild", "--pause"), "paused"),
        (("rebuild", file, "--no-wait"), "building"),
        (("rebuild", "items", "--cancel"), None),
        (("rebuild", file, "--no-wait"), "building"),
    ):
        replay.do(*words)
        assert states(home.store).get(FIRST + 1) == state
        if state == "building":
            until(lambda: 0 < replay.built() < 1, "it is being built")
        elif state == "paused":
            built = replay.built()
            time.sleep(0.5)
            assert replay.built() == built
        assert seen(home.store) == odd
        row.runs += 1
    assert projector.kill()
    assert states(home.store) == {FIRST: "live", FIRST + 1: "building"}
    successor = home.project(**slowly)
    until(lambda: home.answers() or not successor.running, "the projector answers")
    until(lambda: states(home.store)[FIRST + 1] == "ready", "the successor built it")
    assert seen(home.store) == odd
    replay.do("switch")
    assert seen(home.store) == even
    replay.do("switch", "--back")
    successor.send(signal.SIGTERM)
    assert successor.wait() == 0, successor.said
    assert_whole(home, truth)


@pytest.mark.form(ci="embedded", short="embedded")
def test_who_waits_for_a_projector_that_is_killed_goes_on_alone(home, row, truth, replay):
    row.fault = "the projector killed in the middle of a build that a command waits for"
    projector = home.project("--rebuild-share", 0.02, until_caught_up=False, victim=("--slice", 20))
    until(lambda: home.answers() or not projector.running, "the projector answers")
    asking = replay.start("rebuild", replay.file(FIRST + 1))
    until(lambda: states(home.store).get(FIRST + 1) == "building" and 0 < replay.built() < 1, "it is being built")
    assert projector.kill()
    assert asking.wait() == 0, asking.said
    assert states(home.store) == {FIRST: "live", FIRST + 1: "ready"}, asking.said
    row.runs = 1


@pytest.mark.form(ci="embedded", short="embedded")
def test_a_projector_that_only_catches_up_builds_too(home, row, truth):
    """Where `project --until-caught-up` is all that ever runs, a version that was begun gets ready."""
    row.fault = "a build left to project --until-caught-up"
    with Store.open(home.store) as store:
        rebuild.begin(store, [parse(rule(FIRST + 1))], {})
    home.project_to_the_end()
    assert states(home.store) == {FIRST: "live", FIRST + 1: "ready"}
    row.runs = 1


@pytest.mark.form(short="embedded")
def test_the_same_version_built_anew_changes_nothing(home, row, truth, replay):
    row.fault = "the same version built anew and switched to"
    before = seen(home.store)
    replay.do("rebuild", "items", "conversations")
    assert "the same" in replay.do("diff")
    for command in ("switch", "retire"):
        replay.do(command)
        assert seen(home.store) == before
        row.runs += 1
    with Store.open(home.store) as store:
        found = {version.name: (version.projection.build, version.state) for version in store.versions()}
        assert found == {name: (2 if name in {"items", "conversations"} else 1, "live") for name in found}
    with home.open() as log:
        truth.grow(log, 150, near=10, far=10)
    home.project_to_the_end()
    assert_whole(home, truth)
