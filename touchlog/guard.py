"""Reading that cannot do anything else: what a query may be, how long it may take, and what the store refuses.

Three walls, each enough for most of it:

1. `lock_down`: the DuckDB instance opens no files but its own, loads no extensions, sees no Python variables, and
   takes no settings any more.
2. `checked`: exactly one statement, a SELECT or an EXPLAIN of one, whose parse tree calls only functions that
   compute. A list of what is allowed, not of what is forbidden, for table functions: `enable_logging` crashes the
   process (DuckDB 1.5), `read_blob` reads the store's own file, `checkpoint` writes.
3. A read-only transaction with a time limit, rolled back at the end: no reader holds a snapshot for long.

What the time limit cannot stop: one function call on one value that allocates gigabytes, such as
`range(10000000000)`; DuckDB looks at interrupts between vectors only.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb
import pyarrow as pa

from schemas.errors import QueryRefused, StoreError
from touchlog.plain_arrow import plain_batch, plain_schema

Parameters = Sequence[Any] | Mapping[str, Any]

LONGEST_QUERY = 65_536
"""Characters; far longer ones make DuckDB's planner run for minutes without looking at interrupts."""

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    }
)
"""Table functions that only compute or describe. So do the store's own macros, `touchlog.<view>_at(t)`."""

REFUSED_FUNCTIONS = frozenset(
    {
        "add_parquet_key",
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "json_execute_serialized_sql",
        "json_serialize_plan",
        "nextval",
        "pg_sleep",
        "query",
        "query_table",
        "setseed",
        "sleep_ms",
        "stats",
        "which_secret",
        "write_log",
    }
)
"""Functions of one value that change something, look at the machine or the session, or only waste time."""

REFUSED_RELATIONS = frozenset(
    {
        "duckdb_databases",
        "duckdb_logs",
        "duckdb_settings",
        "pg_prepared_statements",
        "pg_settings",
        "pragma_database_list",
    }
)
"""Built-in views that tell paths, settings or other people's queries."""

_LOCKS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_EXPLAIN = re.compile(r"(?is)(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*explain(?:\s+(?:analyze|verbose))*\b")
_PATH = re.compile(r"[./\\:*?]")
_ROWS_AT_ONCE = 50_000
_PATIENCE = 0.05


def lock_down(con: duckdb.DuckDBPyConnection) -> None:
    """Lock the whole DuckDB instance of `con`, for all its connections and for good; a second time does nothing.

    Afterwards Arrow data has to be `register()`ed to be read, and `SET` fails, so whoever opened the instance makes
    its own settings first. Spilling to the temporary folder and checkpoints go on working.
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
        with _time_limit(con, timeout_s) as expired:
            with _translated(expired, timeout_s):
                con.execute(statement, parameters or None)
                reader = con.to_arrow_reader(_ROWS_AT_ONCE)
            batches = _batches(reader, expired, timeout_s, max_rows)
            yield pa.RecordBatchReader.from_batches(plain_schema(reader.schema), batches)
    finally:
        # An error that ended the transaction, or a store that is gone, has been told already.
        with suppress(duckdb.Error):
            con.execute("ROLLBACK")


def checked(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement in `sql`, if it is one that readers may run. Nothing is executed or looked up in files.

    Raises QueryRefused, and DuckDB's errors for text that is not SQL.
    """
    if len(sql) > LONGEST_QUERY:
        raise QueryRefused(f"the query has {len(sql)} characters; at most {LONGEST_QUERY} are read")
    statements = con.extract_statements(sql)
    if not statements:
        raise QueryRefused('there is no query; type for example: touchlog sql "SELECT * FROM touchlog.customers"')
    if len(statements) > 1:
        raise QueryRefused(_why_several(sql, len(statements)))
    statement = statements[0]
    if statement.type == duckdb.StatementType.EXPLAIN:
        _check_select(con, _EXPLAIN.sub("", sql, count=1))
    elif statement.type == duckdb.StatementType.SELECT:
        _check_select(con, sql)
    else:
        raise QueryRefused(f"{statement.type.name} is not for readers; only SELECT and EXPLAIN are")
    return statement


def _why_several(sql: str, count: int) -> str:
    if re.search(r"(?i)\bpivot\b", sql):
        return "PIVOT needs its values named here: PIVOT … ON channel IN ('email', 'phone') USING …"
    return f"one statement at a time: these are {count}"


def _check_select(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    row = con.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchone()
    try:
        tree = json.loads(row[0] if row else "{}")
    except RecursionError:
        raise QueryRefused("the query is nested too deeply; take it apart with WITH") from None
    if tree.get("error", True) or len(tree["statements"]) != 1:
        raise QueryRefused(f"only SELECT and EXPLAIN of a SELECT are for readers: {tree.get('error_message', '')}")
    _check_tree(tree["statements"])


def _check_tree(tree: Any) -> None:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(node.values())
            name = str(node.get("function_name", "")).lower()
            if name in REFUSED_FUNCTIONS:
                raise QueryRefused(f"{name}() is not for readers")
            if node.get("type") == "TABLE_FUNCTION":
                _check_table_function(node["function"])
            elif node.get("type") == "BASE_TABLE":
                _check_relation(str(node.get("table_name", "")))


def _check_table_function(function: Mapping[str, Any]) -> None:
    name, schema = str(function.get("function_name", "")).lower(), str(function.get("schema", "")).lower()
    if name not in TABLE_FUNCTIONS and not (schema == "touchlog" and name.endswith("_at")):
        raise QueryRefused(f"{name}() is not for readers; tables come from the views, and from range() or unnest()")


def _check_relation(name: str) -> None:
    if name.lower() in REFUSED_RELATIONS:
        raise QueryRefused(f"{name} is not for readers")
    if _PATH.search(name):
        raise QueryRefused("files are not for readers; the views are in the schema touchlog, see: SHOW ALL TABLES")


@contextmanager
def limited(con: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Whatever is read with `con` inside is interrupted after `timeout_s` seconds and fails as QueryRefused."""
    with _time_limit(con, timeout_s) as expired, _translated(expired, timeout_s):
        yield


@contextmanager
def _time_limit(con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[threading.Event]:
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
