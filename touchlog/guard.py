"""Reading that cannot do anything else: what a query may be, how long it may take, and what the store refuses.

Three walls, each enough for most of it:

1. `lock_down`: the DuckDB instance opens no files but its own, loads no extensions, sees no Python variables, and
   takes no settings any more.
2. `statements.checked`: exactly one statement, a SELECT or an EXPLAIN of one, whose parse tree calls only functions
   that compute.
3. A read-only transaction with a time limit, rolled back at the end: no reader holds a snapshot for long.

What the time limit cannot stop: one function call on one value that allocates gigabytes, such as
`range(10000000000)`; DuckDB looks at interrupts between vectors only.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb
import pyarrow as pa

from schemas.errors import QueryRefused, StoreError
from touchlog.plain_arrow import plain_batch, plain_schema
from touchlog.statements import checked

Parameters = Sequence[Any] | Mapping[str, Any]

_LOCKS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    # For the fold, which takes more threads while nothing else is left to do (projections.store.Store.using_threads).
    "SET allowed_configs = ['external_threads']",
    "SET lock_configuration = true",
)
_DAMAGED = re.compile("Corrupt database file|Could not read enough bytes from file")
_ROWS_AT_ONCE = 50_000
_PATIENCE = 0.05


def lock_down(con: duckdb.DuckDBPyConnection) -> None:
    """Lock the whole DuckDB instance of `con`, for all its connections and for good; a second time does nothing.

    Afterwards Arrow data has to be `register()`ed to be read, and `SET` of anything but `external_threads` fails, so
    whoever opened the instance makes its own settings first. Spilling to the temporary folder and checkpoints go on
    working.
    """
    locked = con.execute("SELECT current_setting('lock_configuration')").fetchone()
    if locked == (True,):
        return
    for setting in _LOCKS:
        con.execute(setting)


def query(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    *,
    parameters: Parameters = (),
    timeout_s: float = 30.0,
    max_rows: int | None = None,
) -> pa.Table:
    """The answer to one SELECT or EXPLAIN, at most its first `max_rows` rows; `con` is used by this thread alone.

    Raises QueryRefused: not such a statement, not allowed, over the time limit, or DuckDB's own complaint.
    """
    with stream(con, sql, parameters=parameters, timeout_s=timeout_s, max_rows=max_rows) as reader:
        return reader.read_all()


@contextmanager
def stream(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    *,
    parameters: Parameters = (),
    timeout_s: float = 30.0,
    max_rows: int | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """As `query`, batch by batch. The time limit runs until the block ends, and so does the snapshot."""
    with limited(con, timeout_s):
        statement = checked(con, sql)
        con.execute("BEGIN TRANSACTION READ ONLY")
    try:
        with time_limit(con, timeout_s) as expired:
            with _translated(expired, timeout_s):
                con.execute(statement, parameters or None)
                reader = con.to_arrow_reader(_ROWS_AT_ONCE)
            batches = _batches(reader, expired, timeout_s, max_rows)
            yield pa.RecordBatchReader.from_batches(plain_schema(reader.schema), batches)
    finally:
        # An error that ended the transaction, or a store that is gone, has been told already.
        with suppress(duckdb.Error):
            con.execute("ROLLBACK")


@contextmanager
def limited(con: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Whatever is read with `con` inside is interrupted after `timeout_s` seconds and fails as QueryRefused."""
    with time_limit(con, timeout_s) as expired, _translated(expired, timeout_s):
        yield


@contextmanager
def time_limit(con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[threading.Event]:
    """Interrupts `con` once `seconds` are over, again and again: an interrupt between two calls is forgotten."""
    done, expired = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        expired.set()
        while not done.wait(_PATIENCE):
            con.interrupt()

    watcher = threading.Thread(target=watch, name="time limit", daemon=True)
    watcher.start()
    try:
        yield expired
    finally:
        done.set()
        watcher.join()


@contextmanager
def _translated(expired: threading.Event, seconds: float) -> Iterator[None]:
    """DuckDB's errors, also those that reach us through Arrow, as touchlog's own."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if expired.is_set():
            raise QueryRefused(_too_slow(seconds)) from None
        if isinstance(error, duckdb.FatalException):
            raise StoreError(f"the store has failed and must be opened again: {error}") from None
        if _DAMAGED.search(str(error)):
            raise StoreError(
                f"the store is damaged: {error}; restore it from a copy, or delete it and type: touchlog project"
            ) from None
        if "INTERRUPT Error" in str(error):
            raise QueryRefused("the projector is stopping; type the command again") from None
        raise QueryRefused(str(error)) from None
    except UnicodeDecodeError:
        raise QueryRefused("the query reads bytes as text that are not text") from None


def _batches(
    reader: pa.RecordBatchReader, expired: threading.Event, seconds: float, max_rows: int | None
) -> Iterator[pa.RecordBatch]:
    left = max_rows
    while left is None or left > 0:
        with _translated(expired, seconds):
            batch = next(reader, None)
        if batch is None:
            return
        if expired.is_set():
            raise QueryRefused(_too_slow(seconds))
        if left is not None:
            batch = batch.slice(0, left)
            left -= batch.num_rows
        yield plain_batch(batch)


def _too_slow(seconds: float) -> str:
    return (
        f"the query took longer than {seconds:g} seconds; narrow it (WHERE, LIMIT), or give it more time with"
        " --timeout (the projector's own limit is its --query-timeout)"
    )
