"""Readers can read, in time, and nothing else: each statement here was tried on a store that was only locked down."""

import threading
import time
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from projections.store import Store
from schemas.errors import QueryRefused
from touchlog import guard
from touchlog.statements import REFUSED_FUNCTIONS

WRITES = [
    "INSERT INTO touchlog.timeline SELECT * FROM touchlog.timeline",
    "UPDATE touchlog.timeline SET summary = ''",
    "DELETE FROM touchlog.timeline",
    "TRUNCATE touchlog.timeline",
    "DROP TABLE touchlog.timeline",
    "DROP SCHEMA touchlog CASCADE",
    "ALTER TABLE touchlog.timeline RENAME TO other",
    "COMMENT ON TABLE touchlog.timeline IS 'x'",
    "CREATE TABLE touchlog.other AS SELECT 1",
    "CREATE TEMP TABLE other AS SELECT 1",
    "CREATE OR REPLACE VIEW touchlog.timeline AS SELECT 1",
    "CREATE TEMP MACRO now() AS 1",
    "MERGE INTO touchlog.timeline USING (SELECT 1 AS n) AS s ON number = s.n WHEN MATCHED THEN DELETE",
    "EXPLAIN ANALYZE DELETE FROM touchlog.timeline",
    "EXPLAIN ANALYZE INSERT INTO touchlog.timeline SELECT * FROM touchlog.timeline",
    "EXPLAIN DROP TABLE touchlog.timeline",
    "WITH gone AS (DELETE FROM touchlog.timeline RETURNING *) SELECT * FROM gone",
    "SELECT nextval('touchlog.numbers')",
    "VACUUM",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
]
SEVERAL = [
    "SELECT 1; DROP TABLE touchlog.timeline",
    "COMMIT; DROP TABLE touchlog.timeline",
    "SELECT 1; SELECT 2",
    "PIVOT touchlog.timeline ON channel USING count(*)",
    "",
    "  -- nothing",
    ";",
]
FILES = [
    "SELECT * FROM '{folder}/people.csv'",
    "SELECT * FROM read_csv('{folder}/people.csv')",
    "SELECT * FROM read_text('{folder}/people.csv')",
    "SELECT * FROM \"read_text\"('{folder}/people.csv')",
    "SELECT * FROM main.read_text('{folder}/people.csv')",
    "SELECT * FROM system.main.read_text('{folder}/people.csv')",
    "SELECT * FROM touchlog.read_text('{folder}/people.csv')",
    "SELECT (SELECT content FROM read_text('{folder}/people.csv'))",
    "SELECT * FROM range(3), LATERAL (SELECT * FROM read_text('{folder}/people.csv'))",
    "SELECT * FROM touchlog.timeline_at((SELECT now() FROM read_text('{folder}/people.csv')))",
    "SELECT * FROM touchlog.timeline_as_of((SELECT now() FROM read_text('{folder}/people.csv')))",
    "SELECT * FROM store.members_as_of()",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{folder}/people.csv')",
    "DESCRIBE SELECT * FROM read_csv('{folder}/people.csv')",
    "SUMMARIZE '{folder}/people.csv'",
    "SELECT * FROM read_blob('{folder}/views.duckdb')",
    "SELECT * FROM '{folder}/views.duckdb'",
    "SELECT * FROM read_duckdb('{folder}/views.duckdb')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{folder}/people.csv')",
    "SELECT * FROM parquet_metadata('{folder}/people.csv')",
    "SELECT * FROM query_table('{folder}/people.csv')",
    "SELECT * FROM query('SELECT * FROM read_text(''{folder}/people.csv'')')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT json_serialize_plan('SELECT * FROM read_text(''{folder}/people.csv'')')",
    "SELECT * FROM 'http://localhost/people.csv'",
    "COPY touchlog.timeline TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/views.duckdb'",
    "COPY touchlog.timeline FROM '{folder}/people.csv'",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{folder}/other.duckdb'",
    "DETACH views",
]
SESSION = [
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET GLOBAL lock_configuration = false",
    "RESET threads",
    "SET VARIABLE x = 1",
    "PRAGMA threads = 1",
    "PRAGMA database_list",
    "PRAGMA add_parquet_key('k', '0123456789112345')",
    "USE main",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "CREATE SECRET (TYPE s3)",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging()",
    # This one, run, ends the process (DuckDB 1.5).
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{folder}/logs')",
    "SELECT * FROM enable_profiling()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT write_log('x')",
    "SELECT getenv('HOME')",
    "SELECT 'HOME'.getenv()",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "FROM duckdb_databases",
    "FROM pragma_database_list",
    "FROM pg_catalog.pg_settings",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM duckdb_temporary_files()",
    "SELECT * FROM duckdb_logs",
    "SELECT which_secret('x', 's3')",
    "SELECT * FROM which_secret('x', 's3')",
    "SELECT sleep_ms(1)",
    "SELECT pg_sleep(1)",
]
PYTHON = ["SELECT * FROM python_table", "SELECT * FROM arrow_scan(0, 0, 0)", "SELECT * FROM pandas_scan(0)"]
NO_SQL = ["SELEC 1", ".tables", "SELECT * FROM touchlog.nothing", "SELECT nothing FROM touchlog.timeline", "\0", "'"]
TOO_MUCH = [
    "SELECT " + "(SELECT " * 5000 + "1" + ")" * 5000,
    "SELECT " + "+".join(["1"] * 10_000),
    "SELECT " + "[" * 700 + "1" + "]" * 700,
    " UNION ALL ".join(["SELECT 1"] * 20_000),
]
HOSTILE = [*WRITES, *SEVERAL, *FILES, *SESSION, *PYTHON, *NO_SQL, *TOO_MUCH]


def test_nothing_hostile_gets_through_and_nothing_is_changed(writer: duckdb.DuckDBPyConnection, store: Path):
    python_table = pa.table({"a": [1]})
    assert python_table.num_rows == 1
    (store.parent / "people.csv").write_text("a,b\n1,2\n")
    before = _content(writer)
    files = _files(store)
    con = writer.cursor()
    answered = []
    for sql in HOSTILE:
        try:
            guard.query(con, sql.replace("{folder}", str(store.parent)), timeout_s=20)
            answered.append(sql)
        except QueryRefused:
            pass
        assert guard.query(con, "SELECT 42 AS answer").to_pydict() == {"answer": [42]}, sql[:100]
    assert answered == []
    assert _content(writer) == before
    assert _files(store) == files
    writer.execute("INSERT INTO touchlog.timeline SELECT * FROM touchlog.timeline LIMIT 1")
    writer.execute("CHECKPOINT")


def test_every_function_with_side_effects_is_known(writer: duckdb.DuckDBPyConnection):
    """A newer DuckDB brings new functions: each has to be looked at before readers may call it."""
    harmless = {
        "current_connection_id", "current_query", "current_query_id", "current_transaction_id", "error",
        "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7",
    }  # fmt: skip
    rows = writer.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects AND function_type = 'scalar'"
    ).fetchall()
    assert {name for (name,) in rows} - harmless <= REFUSED_FUNCTIONS


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT channel, count(*) FROM touchlog.timeline GROUP BY channel", 5),
        ("FROM touchlog.timeline", 1000),
        ("TABLE touchlog.timeline;", 1000),
        ("WITH t AS (FROM touchlog.timeline LIMIT 3) SELECT * FROM t", 3),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) FROM t", 5),
        ("VALUES (1), (2)", 2),
        ("DESCRIBE touchlog.timeline", 5),
        ("SUMMARIZE touchlog.timeline", 5),
        ("SHOW ALL TABLES", 7),
        ("SELECT * FROM touchlog.timeline_at(TIMESTAMPTZ '2026-03-02 09:15:05+00')", 2),
        ("SELECT * FROM touchlog.timeline_as_of('2026-03-02 09:15:05+00', known := '2090-01-01')", 2),
        ("SELECT unnest(range(4)), random() < 2", 4),
        ('SELECT * FROM json_each(\'{"a": 1, "b": 2}\')', 2),
        ("SELECT table_name FROM information_schema.tables", 7),
        ("SELECT view_name FROM duckdb_views() LIMIT 1", 1),
        ("EXPLAIN SELECT * FROM touchlog.timeline", 1),
        ("/* why */ explain analyze -- how\n (SELECT 1)", 1),
        ("PIVOT touchlog.timeline ON channel IN ('email', 'chat') USING count(*) GROUP BY customer_id", 1),
        ("SELECT 'DROP TABLE x; getenv(1)' AS \"read_csv(\"", 1),
    ],
)
def test_reading_is_answered(writer: duckdb.DuckDBPyConnection, sql: str, rows: int):
    assert guard.query(writer.cursor(), sql).num_rows == rows


def test_parameters_bind_by_position_and_by_name(writer: duckdb.DuckDBPyConnection):
    con = writer.cursor()
    assert guard.query(con, "SELECT ? + ? AS n", parameters=[1, 2])["n"].to_pylist() == [3]
    assert guard.query(con, "SELECT $a || $b AS n", parameters={"a": "x", "b": "y"})["n"].to_pylist() == ["xy"]
    with pytest.raises(QueryRefused, match="parameter"):
        guard.query(con, "SELECT $a", parameters={"b": 1})


def test_max_rows_cuts_the_answer(writer: duckdb.DuckDBPyConnection):
    con = writer.cursor()
    assert guard.query(con, "SELECT range AS n FROM range(200000)", max_rows=70_000).num_rows == 70_000
    assert guard.query(con, "SELECT 1 AS n", max_rows=0).num_rows == 0


def test_a_complaint_of_duckdb_names_the_candidates(writer: duckdb.DuckDBPyConnection):
    with pytest.raises(QueryRefused, match=r'(?s)"chanel" not found.*"channel"'):
        guard.query(writer.cursor(), "SELECT chanel FROM touchlog.timeline")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 1",
        "SELECT range, repeat('x', 100) AS x FROM range(2000000000)",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    ],
)
def test_the_time_limit_holds_before_and_while_rows_come(writer: duckdb.DuckDBPyConnection, sql: str):
    con = writer.cursor()
    began = time.monotonic()
    with pytest.raises(QueryRefused, match=r"longer than 0\.3 seconds"):
        guard.query(con, sql, timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert guard.query(con, "SELECT 1 AS n").num_rows == 1


def test_the_time_limit_holds_for_a_reader_that_pauses(writer: duckdb.DuckDBPyConnection):
    with guard.stream(writer.cursor(), "SELECT range FROM range(100000000)", timeout_s=0.3) as reader:
        next(reader)
        time.sleep(0.5)
        with pytest.raises(QueryRefused, match="longer than"):
            next(reader)


def test_a_reader_sees_one_snapshot_while_the_writer_goes_on(writer: duckdb.DuckDBPyConnection):
    con = writer.cursor()
    count = "SELECT count(*) AS n, count(DISTINCT number) AS d FROM touchlog.timeline"
    writing = threading.Event()

    def write() -> None:
        mine = writer.cursor()
        for _ in range(100):
            mine.execute("BEGIN")
            # Never visible on its own: a reader would see 1001 different numbers.
            mine.execute("INSERT INTO touchlog.timeline (number) VALUES (-1)")
            mine.execute("INSERT INTO touchlog.timeline (number) SELECT range FROM range(100)")
            mine.execute("DELETE FROM touchlog.timeline WHERE number = -1")
            mine.execute("COMMIT")
        writing.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while not writing.is_set():
        seen.append(guard.query(con, count).to_pylist()[0])
    thread.join()
    assert {row["d"] for row in seen} == {1000}
    assert {row["n"] % 100 for row in seen} == {0}
    assert [row["n"] for row in seen] == sorted(row["n"] for row in seen)
    assert len({row["n"] for row in seen}) > 2


def test_a_file_opened_read_only_is_guarded_as_well(store: Path):
    with closing(duckdb.connect(str(store), read_only=True)) as con:
        guard.lock_down(con)
        guard.lock_down(con)
        assert guard.query(con, "SELECT count(*) AS n FROM touchlog.timeline").to_pydict() == {"n": [1000]}
        with pytest.raises(QueryRefused):
            guard.query(con, f"SELECT * FROM '{store.parent}/people.csv'")


def test_the_lock_down_alone_keeps_files_settings_and_python_out(writer: duckdb.DuckDBPyConnection, store: Path):
    python_table = pa.table({"a": [1]})
    assert python_table.num_rows == 1
    (store.parent / "people.csv").write_text("a,b\n1,2\n")
    con = writer.cursor()
    for sql in (
        f"SELECT * FROM read_csv('{store.parent}/people.csv')",
        f"COPY (SELECT 1) TO '{store.parent}/out.csv'",
        f"ATTACH '{store.parent}/other.duckdb'",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET allowed_configs = ['lock_configuration']",
        "SET threads = 1",
        "SELECT * FROM python_table",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(sql)


def test_the_fold_of_a_locked_store_still_takes_more_threads_and_gives_them_back(tmp_path: Path):
    def external() -> object:
        return store.con.execute("SELECT current_setting('external_threads')").fetchone()

    with Store.open(tmp_path / "views.duckdb", threads=2) as store:
        guard.lock_down(store.con)
        with store.using_threads(4):
            assert external() == (253,)
        assert external() == (255,)
        with store.using_threads(1):
            # Never fewer than it was opened with.
            assert external() == (255,)


def test_what_is_locked_down_can_still_spill_and_take_arrow(store: Path):
    with closing(duckdb.connect(str(store), config={"memory_limit": "60MB", "threads": 1})) as con:
        guard.lock_down(con)
        con.register("batch", pa.table({"n": [1, 2]}))
        con.execute("CREATE TABLE touchlog.taken AS SELECT * FROM batch")
        sql = "SELECT count(*) AS n FROM (SELECT range AS r, hash(range) AS h FROM range(6000000) ORDER BY h)"
        assert guard.query(con.cursor(), sql).to_pydict() == {"n": [6_000_000]}


def _content(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return con.execute(
        "SELECT count(*), sum(number), bit_xor(hash(summary, channel)) FROM touchlog.timeline"
    ).fetchall()


def _files(store: Path) -> set[str]:
    return {path.name for path in store.parent.iterdir()}
