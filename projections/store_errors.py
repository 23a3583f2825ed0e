"""DuckDB's errors about a store's file, as touchlog's own: full, held, not to be written, damaged, out of memory."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from schemas.errors import OffsetConflict, StoreBusy, StoreError, StoreFull

_FULL = (
    "no space left",
    "disk full",
    "max_temp_directory_size",
    *(os.strerror(code).lower() for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
)
_NOT_WRITABLE = tuple(os.strerror(code).lower() for code in (errno.EROFS, errno.EACCES, errno.EPERM))
_DAMAGED = ("corrupt", "could not read enough bytes", "not a valid duckdb", "replaying wal")
_PLACE = re.compile(r"(?:location|byte position) (\d+)")
_HOLDER = re.compile(r"\(PID (\d+)\)")
_MAGIC = b"DUCK"
_MAGIC_AT = 8


@contextmanager
def translated(path: Path, *, reading: bool = False) -> Iterator[None]:
    """What goes wrong with the store's file inside, raised as StoreError; other errors of DuckDB as they are.

    `reading`: only the store's own rows are read, so values that DuckDB cannot make sense of are damage, too: it does
    not look at every checksum.
    """
    try:
        yield
    except duckdb.Error as error:
        told = explained(error, path)
        if told is None and reading and isinstance(error, duckdb.DataError | duckdb.InvalidInputException):
            told = damaged(path)
        if told is None:
            raise
        raise told from None


def explained(error: duckdb.Error, path: Path) -> StoreError | None:
    """The error as touchlog's own, or None when it is not about the store's file. Nothing of its text but numbers."""
    text = str(error).lower()
    if any(word in text for word in _FULL):
        return StoreFull(
            f"no space left for {path}{_room(path)}; what was committed is kept: free some, then type the same again"
        )
    # Views that both change, or rows of the same batch.
    if "primary key" in text or "write-write conflict" in text:
        return OffsetConflict(f"another projector folded the same batch into {path}; stop one of the two")
    if "could not set lock" in text:
        holder = _HOLDER.search(str(error))
        process = f" (process {holder[1]})" if holder else ""
        return StoreBusy(f"another process has {path} open{process}; stop it, or read through it: touchlog sql")
    if any(word in text for word in _DAMAGED) or isinstance(error, duckdb.SerializationException):
        place = _PLACE.search(text)
        return damaged(path, f" at byte {place[1]}" if place else "")
    reason = next((word for word in _NOT_WRITABLE if word in text), None)
    if reason is not None and isinstance(error, duckdb.IOException):
        return not_writable(path, reason)
    if "version number" in text:
        return StoreError(f"{path} was written by another version of DuckDB; delete it and type: touchlog project")
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreError("DuckDB's memory is used up; what was committed is kept: give it more with --memory-limit")
    if isinstance(error, duckdb.FatalException):
        return StoreError(f"{path} has failed; what was committed is kept: type the same again")
    if isinstance(error, duckdb.IOException):
        return StoreError(f"{path} cannot be read or written; see that its folder exists and its disk answers")
    return None


def damaged(path: Path, where: str = "") -> StoreError:
    """The file is one of DuckDB and cannot be read."""
    return StoreError(
        f"{path} is damaged{where} ({_size(path):,} bytes); restore it from a copy, or delete it and {_wal(path).name}"
        " and type: touchlog project, which folds the log again"
    )


def not_writable(path: Path, reason: str) -> StoreError:
    """The folder or the file is not for writing; `reason` is the system's."""
    return StoreError(
        f"{path} cannot be written: {reason.lower()}; make it and its folder writable for this user, or name another"
        " file with --store"
    )


def check_file(path: Path) -> None:
    """A file of another program is never handed to DuckDB, which would load an extension for it. Raises StoreError."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return
        with path.open("rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StoreError(f"{path} cannot be read: {reason}; check its permissions") from None
    if head[_MAGIC_AT:] != _MAGIC:
        raise StoreError(f"{path} is not a DuckDB file; name another with --store")


def _room(path: Path) -> str:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    return f" ({free:,} bytes are free there, the store takes {_size(path) + _size(_wal(path)):,})"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
