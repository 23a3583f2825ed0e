"""Folding the log again from its beginning, into a store of its own: to build the next, to look, to check the live one.

The records are those up to given offsets (consumers.replayed), so two folds of the same offsets say the same, whatever
is appended meanwhile. The live store, its projector and what lag tools see are not touched.
"""

import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import duckdb

from consumers.mended import mend_again
from consumers.part import Part, PartOfBatch
from consumers.projector import Progress, Projector
from consumers.replayed import Replayed
from consumers.temper import Temper
from log.log import Log, Position, Positions, TopicPartition
from projections import verify
from projections.exchange import PART, UNTIL, mark, marked, told
from projections.store import Store
from projections.verify import Mismatch, Snapshot
from schemas.errors import ConfigurationError, LogError, OffsetBeyondEnd, RetentionLost, TopicRecreated
from schemas.registry import Registry

_MORE_AT_ONCE = 7
"""Times the records of a batch where nobody waits to read it: each becomes a run."""

__all__ = ["Part", "Replayed", "fold_again", "from_log", "same_as_log"]


def fold_again(
    log: Log,
    store_path: Path | str,
    registry: Registry,
    until: Positions,
    *,
    batch_size: int = 30_000,
    compact_after: int = 300_000,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    part: Part | None = None,
    from_what_is_left: bool = False,
    mended: Mapping[Position, bytes] | None = None,
    memory_limit: str | None = None,
    threads: int = 1,
    temper: Temper | None = None,
) -> Progress:
    """Fold the log from its beginning exactly up to `until` into the store at a path; of a `part`, its records alone.

    A file that an earlier call left, stopped or killed, is gone on with. It is marked with what it is
    (projections.exchange), so that one that is not whole, or holds a part, never becomes live. `mended`: values that
    are folded in place of those of records that are parked (projections.verify.mended of the live store).

    Raises RetentionLost when the log no longer holds what it began with, unless `from_what_is_left`; OffsetBeyondEnd
    when it ends before `until`; ConfigurationError when the file is something else than this call would leave; and what
    the projector raises.
    """
    path = Path(store_path)
    until = {at: offset for at, offset in until.items() if part is None or at.topic in part.topics}
    if not path.exists():
        # Before there is a file that says nothing.
        _check_reach(log, until, {}, from_what_is_left)
    with Store.open(path, memory_limit=memory_limit, threads=threads) as store:
        return fold_on(
            log,
            store,
            registry,
            until,
            batch_size=batch_size,
            compact_after=compact_after,
            on_progress=on_progress,
            stop=stop,
            part=part,
            from_what_is_left=from_what_is_left,
            mended=mended,
            temper=temper,
        )


def fold_on(
    log: Log,
    store: Store,
    registry: Registry,
    until: Positions,
    *,
    batch_size: int = 30_000,
    compact_after: int = 300_000,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    part: Part | None = None,
    from_what_is_left: bool = False,
    mended: Mapping[Position, bytes] | None = None,
    temper: Temper | None = None,
) -> Progress:
    """The same, of a store that is open."""
    until = {at: offset for at, offset in until.items() if part is None or at.topic in part.topics}
    positions = store.positions()
    _mark(store, positions, until, part)
    _check_reach(log, until, positions, from_what_is_left)
    bulk = _is_bulk(store, positions, until, compact_after)
    projector = Projector(
        Replayed(log, until, keep=None if part is None else PartOfBatch(part, registry)),
        store,
        registry,
        batch_size=max(batch_size, min(_MORE_AT_ONCE * batch_size, compact_after)) if bulk else batch_size,
        compact_after=compact_after,
        on_progress=on_progress,
        temper=temper,
        bulk=bulk,
    )
    done = projector.run(until_caught_up=True, stop=stop)
    if mended and not done.lag:
        mend_again(store, registry, mended)
    return done


def from_log(
    con: duckdb.DuckDBPyConnection,
    log: Log,
    registry: Registry,
    scratch_dir: Path | str | None,
    now: datetime,
    *,
    batch_size: int = 30_000,
    compact_after: int = 300_000,
    stop: Callable[[], bool] = lambda: False,
    from_what_is_left: bool = False,
) -> list[Mismatch] | None:
    """Views of the store (a connection to it) that are not what the log says up to the store's offsets, at `now`; None
    when it was stopped before it was through. The store may be folded on meanwhile. Raises as `same_as_log`."""
    return same_as_log(
        verify.snapshot(con, now),
        log,
        registry,
        scratch_dir,
        batch_size=batch_size,
        compact_after=compact_after,
        stop=stop,
        from_what_is_left=from_what_is_left,
    )


def same_as_log(
    live: Snapshot,
    log: Log,
    registry: Registry,
    scratch_dir: Path | str | None,
    *,
    batch_size: int = 30_000,
    compact_after: int = 300_000,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    from_what_is_left: bool = False,
) -> list[Mismatch] | None:
    """The same of a snapshot of the store: the log is folded again up to its offsets, with the projections that were
    live, into a temporary folder in `scratch_dir` (None: the system's).

    Raises TopicRecreated when this is not the log that was folded, and what `fold_again` raises.
    """
    found = log.topics()
    for topic, identity in live.topics.items():
        if topic in found and found[topic] != identity:
            raise TopicRecreated(
                f"topic {topic} was deleted and made again since it was folded, or this is not the right --log"
            )
    with tempfile.TemporaryDirectory(dir=scratch_dir) as folder:
        path = Path(folder) / verify.SCRATCH
        verify.plant(path, live.projections, live.definitions)
        done = fold_again(
            log,
            path,
            registry,
            live.positions,
            batch_size=batch_size,
            compact_after=compact_after,
            on_progress=on_progress,
            stop=stop,
            from_what_is_left=from_what_is_left,
            mended=live.mended,
        )
        if done.lag:
            return None
        with Store.open(path) as rebuilt:
            return verify.compared(live, rebuilt.con)


def _is_bulk(store: Store, positions: Positions, until: Positions, compact_after: int) -> bool:
    """Whether what is left is worth runs of its own, and nothing was built yet that would not know of them."""
    left = sum(max(0, offset - positions.get(at, 0)) for at, offset in until.items())
    return left >= compact_after and store.is_unbuilt


def _mark(store: Store, positions: Positions, until: Positions, part: Part | None) -> None:
    """Note in a new file what it will be; refuse one that is, or will be, something else."""
    begun, asked = marked(store.con, UNTIL), None if part is None else part.told()
    if begun is None and positions:
        raise ConfigurationError(f"{store.path} is a store that was not begun by a replay; name another file")
    if begun is not None and marked(store.con, PART) != asked:
        raise ConfigurationError(
            f"{store.path} was begun with another part of the log; delete it, or name another file"
        )
    beyond = [at for at, offset in positions.items() if offset > until.get(at, 0)]
    if beyond:
        raise ConfigurationError(
            f"{store.path} is folded beyond what is asked for already, in {len(beyond)} partitions; delete it, or name"
            " another file"
        )
    with store.transaction():
        if begun is None and asked is not None:
            mark(store.con, PART, asked)
        if begun != told(until):
            mark(store.con, UNTIL, told(until))


def _check_reach(log: Log, until: Positions, positions: Positions, from_what_is_left: bool) -> None:
    """The log holds everything from where folding goes on up to `until`."""
    topics = {at.topic for at in until}
    begins, ends = log.begin_offsets(topics), log.end_offsets(topics)
    lost: dict[TopicPartition, int] = {}
    for at, offset in sorted(until.items()):
        where = f"{at.topic}, partition {at.partition}"
        if at not in begins:
            raise LogError(f"{where} is not in the log; is this the right --log?")
        if ends[at] < offset:
            raise OffsetBeyondEnd(f"{where} ends at offset {ends[at]}, before {offset}; is this the right --log?")
        missing = min(begins[at], offset) - positions.get(at, 0)
        if missing > 0 and not (from_what_is_left and at not in positions):
            lost[at] = missing
    if lost:
        raise RetentionLost(_lost(lost, begun=bool(positions)))


def _lost(lost: Mapping[TopicPartition, int], *, begun: bool) -> str:
    told_of = "; ".join(f"{at.topic}, partition {at.partition}: {count} records" for at, count in lost.items())
    return (
        f"the log no longer holds {sum(lost.values())} records that it began with, or that were not folded yet"
        f" ({told_of}); restore them, or "
        + (
            "delete the file that was begun and fold what is left"
            if begun
            else "fold what is left: --from-what-is-left"
        )
    )
