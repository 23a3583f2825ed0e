"""The file beneath the embedded log: opened, checked, and its errors in touchlog's own words."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from schemas.errors import ConfigurationError, LogError, LogUnavailable, StoreFull, TouchlogError

APPLICATION_ID = 0x746C6F67  # "tlog", so that another program's database is never taken for a log
VERSION = 1
BUSY_SECONDS = 10.0

# Of 4 to 32 KiB, 8 read fastest at 300-600 byte records; checkpoints at 16 MB cost less than at 4.
_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 2000
_WAL_KEPT_BYTES = 64 * 1024 * 1024


def connect(path: Path, *, must_exist: bool) -> sqlite3.Connection:
    """A connection in autocommit mode to the log's file, which is created when missing and allowed.

    WAL, so that readers and a writer do not wait for each other; synchronous=FULL, so that a record reported
    as delivered survives a power cut. Raises ConfigurationError (no log at this path) and LogUnavailable.
    """
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; name a file for the log, for example {path / 'touchlog.log'}")
    if must_exist and not path.exists():
        raise ConfigurationError(f"there is no log at {path}; check the path, or append to it first")
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rw' if must_exist else 'rwc'}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system, raised as touchlog's own."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error
    except OSError as error:
        raise ConfigurationError(f"the log {path} cannot be opened: {error.strerror}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    # SQLite does not wait for a lock while another process switches the file to WAL.
    while True:
        try:
            _configure(connection, path)
            break
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if _is_log(connection):
        _check_version(connection, path)
        return
    with transaction(connection):
        if _is_log(connection):
            return
        for statement in _statements():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    if not _is_log(connection) and _one(connection, "SELECT count(*) FROM sqlite_master"):
        raise ConfigurationError(f"{path} is an SQLite database, but not a touchlog log; name another file")
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    if _one(connection, "PRAGMA journal_mode") != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")


def _is_log(connection: sqlite3.Connection) -> bool:
    return _one(connection, "PRAGMA application_id") == APPLICATION_ID


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _one(connection, "PRAGMA user_version")
    if version != VERSION:
        raise ConfigurationError(
            f"{path} is a log of version {version}, this touchlog knows version {VERSION}; upgrade touchlog"
        )


def _statements() -> list[str]:
    script = files("log").joinpath("embedded.sql").read_text(encoding="utf-8")
    return [statement for statement in script.split(";\n") if statement.strip()]


def _one(connection: sqlite3.Connection, sql: str) -> object:
    with closing(connection.execute(sql)) as cursor:
        return cursor.fetchone()[0]


def _primary_code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _translate(error: sqlite3.Error, path: Path) -> TouchlogError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    # A quota or a file size limit is an I/O error to SQLite; what helps is the same as for a full disk.
    if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"):
        return StoreFull(f"the log {path} cannot grow ({name}); free space on its disk, then start again")
    match _primary_code(error):
        case sqlite3.SQLITE_NOTADB:
            return ConfigurationError(f"{path} is not a touchlog log (not an SQLite file); name another file")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_AUTH:
            return ConfigurationError(f"the log {path} cannot be opened for writing ({name}); check its permissions")
        case sqlite3.SQLITE_TOOBIG:
            return ConfigurationError(f"a record is too large for the log {path} ({name})")
        case sqlite3.SQLITE_CORRUPT:
            return LogError(f"the log {path} is damaged ({name}); restore it from a copy")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LogUnavailable(f"the log {path} is held by another process ({name}); try again")
        case _:
            return LogUnavailable(f"the log {path} does not answer ({name}: {error}); try again")
