"""The steps of the projector's loop, seen from outside: where a victim dies or an error strikes.

Nothing in the product knows of this. The store's connection, the readers, the decoder and the preparer are wrapped;
which part of the product asks is read from the call stack. Names of steps:

    poll, decode, prepare               a batch was read, decoded, prepared (in the thread that reads ahead)
    tell.before, tell.after             positions are handed to Kafka, for lag tools
    WHERE.begin                         after BEGIN
    WHERE.insert.TABLE                  after the rows of a table (tails are called by their stream)
    WHERE.commit.before, .after         before COMMIT; after it, when nobody has heard yet that it succeeded
    swap.rename, swap.drop              within compaction's last transaction
    WHERE.drop                          after a version's state was dropped
    checkpoint.before, .during, .after

WHERE is open (making or checking the store's tables), topics, begin (new partitions), fold, freeze, stage or swap; and
of versions of projections: rebuild, pause, cancel, switch, back, retire, settle, build (a slice is noted), build.stage,
build.swap.
"""

import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import duckdb

_PLACES = {
    ("projections.store", "_prepare"): "open",
    ("consumers.projector", "_check_topics"): "topics",
    ("consumers.fold", "begin"): "begin",
    ("consumers.fold", "fold"): "fold",
    ("consumers.fold", "redrive"): "redrive",
    ("projections.compaction", "_freeze_and_compact"): "freeze",
    ("projections.compaction", "_fill"): "stage",
    ("projections.compaction", "_swap"): "swap",
    ("consumers.projector", "_finish"): "checkpoint",
    ("projections.rebuild", "begin"): "rebuild",
    ("projections.rebuild", "pause"): "pause",
    ("projections.rebuild", "cancel"): "cancel",
    ("projections.rebuild", "switch"): "switch",
    ("projections.rebuild", "switch_back"): "back",
    ("projections.rebuild", "retire"): "retire",
    ("projections.rebuild", "settle"): "settle",
    ("projections.compaction", "_build"): "build",
}
_INSERT = re.compile(
    r"\s*(?:INSERT INTO \w+\.(?:([a-z_]+?)(?:_tail_\d+)?|\w+_staging)|CREATE OR REPLACE TABLE \w+\.\w+_staging)\s"
)

FOLD_TABLES = (
    "events",
    "mentions",
    "points",
    "links",
    "member_changes",
    "edges",
    "thread_changes",
    "dead_letters",
    "offsets",
    "batches",
)
START = ("open.begin", "open.commit.before", "open.commit.after", "topics.begin", "topics.insert.topics")
START = (*START, "topics.commit.before", "topics.commit.after", "begin.begin", "begin.insert.offsets")
START = (*START, "begin.commit.before", "begin.commit.after")
AHEAD = ("poll", "decode", "prepare", "tell.before", "tell.after")
FOLD = ("fold.begin", *(f"fold.insert.{table}" for table in FOLD_TABLES), "fold.commit.before", "fold.commit.after")
COMPACTION = tuple(
    f"{where}.{what}"
    for where, steps in (("freeze", ()), ("stage", ("insert",)), ("swap", ("rename", "drop")))
    for what in ("begin", *steps, "commit.before", "commit.after")
)
CHECKPOINT = ("checkpoint.before", "checkpoint.during", "checkpoint.after")
ALL = (*START, *AHEAD, *FOLD, *COMPACTION, *CHECKPOINT)
_COMMIT = ("commit.before", "commit.after")
REBUILD = tuple(
    f"{where}.{what}"
    for where, steps in (
        ("rebuild", ("begin", "insert.projections", "insert.projection_states")),
        ("build.stage", ("begin", "insert")),
        ("build", ("begin", "insert.projection_states")),
        ("build.swap", ("begin", "rename")),
        ("settle", ("begin", "insert.projection_states")),
    )
    for what in (*steps, *_COMMIT)
)
"""Building a version, from the request to ready."""
SWITCH, BACK, PAUSE = (
    tuple(f"{where}.{what}" for what in ("begin", "insert.projection_states", *_COMMIT))
    for where in ("switch", "back", "pause")
)
RETIRE, CANCEL = (
    tuple(f"{where}.{what}" for what in ("begin", "insert.projection_states", "drop", *_COMMIT))
    for where in ("retire", "cancel")
)
REPLAY = (*REBUILD, *PAUSE, *SWITCH, *BACK, *RETIRE, *CANCEL)
OFTEN = ("poll", "decode", "prepare", "fold.begin", "fold.insert.offsets", "fold.commit.before", "fold.commit.after")
"""Every batch comes to these steps, to the others it comes once in a while."""

_DURING_S = 0.002
_STAGING, _SWAPPING, _DROPPING = {"stage", "build.stage"}, {"swap", "build.swap"}, {"retire", "cancel"}


class Steps:
    """Counts the steps that are passed, and calls `strike` at the `nth` passing of `at`."""

    def __init__(self, at: str | None, nth: int, strike: Callable[[str], None]) -> None:
        self.at, self.nth, self.strike = at, nth, strike
        self.passed: Counter[str] = Counter()

    def __call__(self, step: str) -> None:
        self.passed[step] += 1
        if step == self.at and self.passed[step] == self.nth:
            self.strike(step)


class Connection:
    """DuckDB's connection, with a word said at every step."""

    def __init__(self, con: Any, passing: Callable[[str], None]) -> None:
        self._con, self._passing = con, passing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def cursor(self) -> "Connection":
        return Connection(self._con.cursor(), self._passing)

    def begin(self) -> Any:
        self._con.begin()
        self._say("begin")
        return self

    def commit(self) -> Any:
        self._say("commit.before")
        self._con.commit()
        self._say("commit.after")
        return self

    def execute(self, sql: str | duckdb.Statement, *parameters: Any) -> Any:
        if not isinstance(sql, str):
            # Readers give what was parsed and looked at; it writes nothing.
            return self._con.execute(sql, *parameters)
        if sql == "CHECKPOINT":
            return self._checkpoint(sql)
        found = self._con.execute(sql, *parameters)
        if insert := _INSERT.match(sql):
            self._say(f"insert.{insert[1]}" if insert[1] and place() not in _STAGING else "insert")
        elif place() in _SWAPPING and sql.lstrip().startswith(("ALTER TABLE", "DROP TABLE")):
            self._say("rename" if sql.lstrip().startswith("ALTER") else "drop")
        elif place() in _DROPPING and sql.startswith("DROP SCHEMA") and "_next" not in sql:
            self._say("drop")
        return found

    def _checkpoint(self, sql: str) -> Any:
        self._passing("checkpoint.before")
        timer = threading.Timer(_DURING_S, self._passing, ["checkpoint.during"])
        timer.daemon = True
        timer.start()
        found = self._con.execute(sql)
        timer.join()
        self._passing("checkpoint.after")
        return found

    def _say(self, what: str) -> None:
        if where := place():
            self._passing(f"{where}.{what}")


def place() -> str | None:
    """Which part of the product is at work in this thread."""
    frame = sys._getframe(1)
    found = None
    while frame is not None:
        here = _PLACES.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if here == "build" and found:
            # A version is built by the steps that compact a tail.
            return f"build.{found}"
        found = found or here
        if here == "stage" and frame.f_locals["self"]._building is not None:
            # In the thread beside, where nobody called _build.
            return "build.stage"
        frame = frame.f_back  # type: ignore[assignment]
    return found


def watch(passing: Callable[[str], None]) -> Callable[[], None]:
    """Say every step to `passing` from now on, of stores that are opened from now on; the result ends it."""
    from consumers import ahead, decode, prepare
    from log.embedded_reader import EmbeddedReader
    from log.kafka_reader import KafkaReader
    from projections import store

    undo: list[Callable[[], None]] = []

    def replace(owner: Any, name: str, new: Any) -> Any:
        old = getattr(owner, name)
        setattr(owner, name, new(old))
        undo.append(lambda: setattr(owner, name, old))

    def after(step: str) -> Callable[[Any], Any]:
        def wrap(old: Any) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                found = old(*arguments, **named)
                if step != "poll" or len(found):
                    passing(step)
                return found

            return call

        return wrap

    def around_commit(old: Any) -> Any:
        def call(*arguments: Any) -> Any:
            passing("tell.before")
            found = old(*arguments)
            passing("tell.after")
            return found

        return call

    replace(store, "_connect", lambda old: lambda *arguments: Connection(old(*arguments), passing))
    for reader in (EmbeddedReader, KafkaReader):
        replace(reader, "poll", after("poll"))
        replace(reader, "commit", around_commit)
    replace(decode.Decoder, "decode", after("decode"))
    replace(prepare.Preparer, "prepare", after("prepare"))
    # Lag tools are told every second otherwise; a victim seldom lives that long.
    replace(ahead, "_ENDS_EVERY_S", lambda _: 0.0)

    def unwatch() -> None:
        for one in reversed(undo):
            one()

    return unwatch


def slice_thinly(rows: int) -> None:
    """Compactions that are made from now on move so many rows a step, also where a build has the store to itself."""
    from consumers import projector
    from projections import compaction
    from touchlog import replaying

    compaction._ROWS_A_SLICE = compaction._ROWS_A_SLICE_BESIDE = rows
    projector.rows_at_once = replaying.rows_at_once = lambda *_: rows
