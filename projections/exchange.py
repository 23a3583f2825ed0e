"""The store's files: the live one, the next one that is built beside it, and the one that was live before.

    views.duckdb            live: what projector and readers open
    views.next.duckdb       built beside it, by consumers.replay.fold_again
    views.retired.duckdb    live before the last exchange

    exchange        next -> live -> retired
    exchange_back   retired -> live -> next
    retire          the retired one is deleted

A move is a second name for the live file (os.link), and the other file put in its place (os.replace). So at every
moment the live name is a whole file, the old or the new, and after a crash the same call goes on: two names of one file
say how far it got.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

from log.log import TopicPartition
from projections import metrics
from schemas.errors import ConfigurationError, StoreBusy, StoreError

PART = "part"
"""Key of store.meta: this store holds a part of the log, for looking."""

UNTIL = "until"
"""Key of store.meta: the offsets up to which this store is folded before it is whole."""

_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB keeps beside a file that was not closed."""


def next_of(path: Path | str) -> Path:
    """`…/views.duckdb` -> `…/views.next.duckdb`."""
    return _beside(Path(path), "next")


def retired_of(path: Path | str) -> Path:
    """`…/views.duckdb` -> `…/views.retired.duckdb`."""
    return _beside(Path(path), "retired")


def mark(con: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    """Note something about a store in it; what was noted last counts."""
    con.execute("INSERT INTO store.meta VALUES (?, ?)", [key, value])


def marked(con: duckdb.DuckDBPyConnection, key: str) -> str | None:
    """What was noted last, if anything."""
    found = con.execute("SELECT value FROM store.meta WHERE key = ? ORDER BY rowid DESC LIMIT 1", [key]).fetchone()
    return None if found is None else str(found[0])


def told(positions: Mapping[TopicPartition, int]) -> str:
    """Positions as the text of a mark."""
    return json.dumps([[*at, offset] for at, offset in sorted(positions.items())])


def exchange(path: Path | str) -> bool:
    """The next file becomes the live one, and the live one the retired. False when that was done before.

    No projector may have either open; readers may. Raises ConfigurationError when there is no next file, when it holds
    a part of the log or is not folded to its end, or when a retired file is still there; StoreBusy when a process
    writes to one of them; StoreError when one cannot be opened.
    """
    path, after, before = Path(path), next_of(path), retired_of(path)
    if _is_half(path, after, before):
        exchange_back(path)
    _settle_names(path)
    if not after.exists():
        if path.exists() and before.exists() and not _same(path, before):
            return False
        raise ConfigurationError(
            f"there is no {after} to become the live store; build it first: touchlog rebuild --source log"
        )
    if before.exists() and not _same(path, before):
        raise ConfigurationError(
            f"{before} is still there, from the last exchange; free it: touchlog retire --source log"
        )
    with _held(after) as con:
        _check_whole(con, after)
    _carry(path, after)
    with _held(after), _held(path):
        _move(after, path, before)
    return True


def exchange_back(path: Path | str) -> bool:
    """What was live before the last exchange is live again, and what replaced it is the next. False when that was done
    before.

    Raises ConfigurationError when there is no retired file, or another next one; StoreBusy, StoreError as `exchange`.
    """
    path, after, before = Path(path), next_of(path), retired_of(path)
    if _is_half(path, before, after):
        exchange(path)
    _settle_names(path)
    if not before.exists():
        if path.exists() and after.exists():
            return False
        raise ConfigurationError(f"there is no {before} to go back to: nothing was exchanged, or it was freed since")
    if after.exists() and not _same(path, after):
        raise ConfigurationError(f"{after} is there already; delete it, then go back")
    _carry(path, before)
    with _held(before), _held(path):
        _move(before, path, after)
    return True


def retire(path: Path | str) -> bool:
    """Free the space of the file that was live before; whether there was one. There is no way back after that."""
    settle_files(path)
    before = retired_of(path)
    # The file last: what lies beside a file that is not there would be taken for the next one's.
    for log in _logs(before):
        log.unlink()
    found = before.exists()
    if found:
        before.unlink()
        _sync(before.parent)
    return found


def settle_files(path: Path | str) -> bool:
    """End what a crash interrupted, before the live file is opened; whether there was anything.

    Raises StoreBusy when a process writes to one of the files.
    """
    path, after, before = Path(path), next_of(path), retired_of(path)
    if _is_half(path, before, after):
        return exchange(path)
    if _is_half(path, after, before):
        return exchange_back(path)
    return _settle_names(path)


def _is_half(path: Path, old: Path, new: Path) -> bool:
    """Whether the live file has got its name `old` already, and `new` has not yet taken its place."""
    return _same(path, old) and new.exists() and not _same(path, new)


def _settle_names(path: Path) -> bool:
    """Take away a second name of the live file when the file that was to take its place is gone."""
    after, before = next_of(path), retired_of(path)
    if _is_half(path, before, after) or _is_half(path, after, before):
        return False
    second = [name for name in (after, before) if _same(path, name)]
    for name in second:
        name.unlink()
    return bool(second)


def _move(new: Path, path: Path, old: Path) -> None:
    """`new` becomes `path`, which is `old` from then on."""
    try:
        for log in _logs(old):
            log.unlink()
        if path.exists() and not old.exists():
            os.link(path, old)
            _sync(path.parent)
        os.replace(new, path)  # noqa: PTH105 - the other half of os.link
        _sync(path.parent)
    except OSError as error:
        raise StoreError(
            f"{new} cannot take the place of {path}: {error.strerror}; the folder has to be writable, on a file system"
            " with hard links; then type the same again"
        ) from None


def _check_whole(con: duckdb.DuckDBPyConnection | None, path: Path) -> None:
    try:
        assert con is not None
        part, until = marked(con, PART), marked(con, UNTIL)
        rows = con.execute(
            "SELECT topic, partition, max_by(next_offset, batch) FROM store.offsets GROUP BY topic, partition"
        ).fetchall()
    except duckdb.Error as error:
        raise StoreError(f"{path} is no store: {type(error).__name__}; delete it") from None
    if part is not None:
        raise ConfigurationError(f"{path} holds a part of the log, for looking; it never becomes the live store")
    found = {(topic, partition): offset for topic, partition, offset in rows}
    left = sum(
        max(0, offset - found.get((topic, partition), 0)) for topic, partition, offset in json.loads(until or "[]")
    )
    if left:
        raise ConfigurationError(f"{path} is not folded to its end yet: {left} records are left; go on building it")


def _carry(path: Path, other: Path) -> None:
    """The definitions of response times that stand in the live store stand in the one that takes its place, whatever
    was loaded since that was begun: they are settings of the place, not events."""
    if not path.exists():
        return
    # A store of an earlier version has none, and takes the packaged ones when it is opened.
    with suppress(duckdb.CatalogException):
        with _opened(path, read_only=True) as con:
            rows = metrics.standing(con)
        # People who read it hold nobody up, as long as nothing has to be written.
        with _opened(other, read_only=True) as con:
            same = metrics.standing(con) == rows
        if not same:
            with _opened(other, read_only=False) as con:
                metrics.put(con, rows)


@contextmanager
def _held(path: Path) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """The file open for reading, so that nobody begins to write to it, with nothing beside it that belongs to it; None
    where there is no file. What a projector that was killed left in the write-ahead log goes into the file first."""
    with ExitStack() as open_files:
        if not path.exists():
            yield None
            return
        if _logs(path):
            with _opened(path, read_only=False) as con:
                con.execute("CHECKPOINT")
        con = open_files.enter_context(_opened(path, read_only=True))
        if _logs(path):
            raise StoreBusy(f"another process has just written to {path}; stop it, then type the same again")
        yield con


@contextmanager
def _opened(path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        con = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        if "could not set lock" in str(error).lower():
            raise StoreBusy(f"another process has {path} open; stop it, then type the same again") from None
        raise StoreError(
            f"{path} cannot be opened: not a DuckDB file, or not readable; if it is damaged, delete it"
        ) from None
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be opened: {type(error).__name__}; is it open in this process?") from None
    with con:
        yield con


def _logs(path: Path) -> list[Path]:
    return [log for ending in _LOGS if (log := path.with_name(path.name + ending)).exists()]


def _same(one: Path, other: Path) -> bool:
    """Whether both are names of one file."""
    return one.exists() and other.exists() and one.samefile(other)


def _beside(path: Path, which: str) -> Path:
    return path.with_name(f"{path.stem}.{which}{path.suffix}")


def _sync(folder: Path) -> None:
    """Names that were changed stay changed when the power goes."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
