"""What a reader's statement may be: one SELECT, or an EXPLAIN of one, that calls only functions that compute.

A list of what is allowed, not of what is forbidden, for table functions: `enable_logging` crashes the process
(DuckDB 1.5), `read_blob` reads the store's own file, `checkpoint` writes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import duckdb

from schemas.errors import QueryRefused

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
        "quiet_until",
        "range",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    }
)
"""Table functions that only compute or describe. So do the store's own macros, `touchlog.<view>_at(t)` and
`touchlog.<view>_as_of(t, known)`."""

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

_EXPLAIN = re.compile(r"(?is)(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*explain(?:\s+(?:analyze|verbose))*\b")
_PATH = re.compile(r"[./\\:*?]")


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
    of_a_view = schema in {"touchlog", "touchlog_next"} and name.endswith(("_at", "_as_of"))
    if name not in TABLE_FUNCTIONS and not of_a_view:
        raise QueryRefused(f"{name}() is not for readers; tables come from the views, and from range() or unnest()")


def _check_relation(name: str) -> None:
    if name.lower() in REFUSED_RELATIONS:
        raise QueryRefused(f"{name} is not for readers")
    if _PATH.search(name):
        raise QueryRefused("files are not for readers; the views are in the schema touchlog, see: SHOW ALL TABLES")
