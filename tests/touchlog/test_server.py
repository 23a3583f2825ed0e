"""Reading from another process's store, over the real socket."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pyarrow as pa
import pytest

from schemas import errors
from schemas.errors import ConfigurationError, QueryRefused, StoreBusy
from tests.touchlog.conftest import ADA, small_card
from touchlog.client import Reader
from touchlog.reader_file import read_live, reader_file_of
from touchlog.server import Answers, serving
from touchlog.status import status

ReaderOf = Callable[..., Reader]

ROOT = Path(__file__).parents[2]
HOLD_AND_SERVE = """
import sys
from pathlib import Path
import duckdb
from tests.touchlog.conftest import small_card
from touchlog import guard
from touchlog.server import Answers, serving
from touchlog.status import status
store = Path(sys.argv[1])
con = duckdb.connect(str(store))
guard.lock_down(con)
with serving(store, Answers(cursor=con.cursor, card=small_card, status=status), query_timeout=5):
    print("ready", flush=True)
    sys.stdin.read()
con.close()
"""


def test_the_file_and_the_projector_give_the_same_answers(
    store: Path, reader_of: ReaderOf, request: pytest.FixtureRequest
):
    asked = "SELECT * FROM touchlog.timeline WHERE number < ? ORDER BY number"
    keys = ["account:NOBODY", "phone:+46700000001"]
    from_file = reader_of(store)
    rows, card, how = from_file.sql(asked, parameters=[3]), from_file.customer(keys), from_file.status()

    request.getfixturevalue("served")
    through_socket = reader_of(store, open_store=_never)
    assert through_socket.sql(asked, parameters=[3]) == rows
    assert rows.num_rows == 3
    served_card = through_socket.customer(keys)
    assert card is not None
    assert served_card is not None
    assert {**served_card, "made_at": None} == {**card, "made_at": None}
    assert served_card["customer_id"] == ADA
    assert through_socket.status() == {**how, "running": True}
    assert how["running"] is False


def test_the_status_adds_up(served: Path, reader_of: ReaderOf):
    told = reader_of(served).status()
    assert told["lag_total"] == 10
    assert [row["lag"] for row in told["lag"]] == [10, 0]
    assert told["batches"] == {
        "batches": 2, "last_batch": 2, "last_committed_at": "2026-03-02T10:00:00Z", "read": 95, "applied": 93,
        "duplicates": 1, "parked": 1, "seconds": 1,
    }  # fmt: skip
    assert told["recent"]["events_per_second"] == 95
    assert told["parked"] == 1
    assert told["dead_letters"][0]["error_class"] == "UndecodableRecord"
    assert [row["name"] for row in told["projections"]] == ["items", "timeline"]


def test_a_customer_is_found_by_id_and_somebody_unknown_is_nobody(served: Path, reader_of: ReaderOf):
    reader = reader_of(served)
    found = reader.customer([f"customer:{ADA}"])
    assert found is not None
    assert found["asked_for"] == "email:ada@example.org"
    assert reader.customer(["email:nobody@example.org"]) is None
    assert reader.customer([]) is None


def test_refusals_come_back_as_the_same_error(served: Path, reader_of: ReaderOf):
    reader = reader_of(served, open_store=_never)
    with pytest.raises(QueryRefused, match='"channel"'):
        reader.sql("SELECT chanel FROM touchlog.timeline")
    with pytest.raises(QueryRefused, match="not for readers"):
        reader.sql("DROP TABLE touchlog.timeline")
    with pytest.raises(QueryRefused, match="enable_logging"):
        reader.sql("FROM enable_logging(storage = 'file', storage_path = 'logs')")


def test_the_time_limit_holds_and_a_reader_cannot_ask_for_more_than_the_projector_allows(
    store: Path, answers: Answers, reader_of: ReaderOf
):
    slow = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 1"
    with serving(store, answers, query_timeout=0.5):
        with pytest.raises(QueryRefused, match=r"longer than 0\.2 seconds"):
            reader_of(store, timeout_s=0.2).sql(slow)
        with pytest.raises(QueryRefused, match=r"longer than 0\.5 seconds"):
            reader_of(store, timeout_s=100).sql(slow)


def test_answers_larger_than_the_memory_of_the_server_come_whole(served: Path, reader_of: ReaderOf):
    reader = reader_of(served, open_store=_never)
    with reader.batches("SELECT range AS n, repeat('x', 60) AS x FROM range(500000)") as batches:
        counted = sum(batch.num_rows for batch in batches)
    assert counted == 500_000
    assert reader.sql("SELECT range AS n FROM range(5000000)", max_rows=5).num_rows == 5
    assert reader.sql("SELECT 1 AS n WHERE false").schema.names == ["n"]


def test_a_slow_reader_holds_no_snapshot(served: Path, writer: duckdb.DuckDBPyConnection, reader_of: ReaderOf):
    with reader_of(served).batches("SELECT range AS n, repeat('x', 60) AS x FROM range(500000)") as batches:
        next(batches)
        writer.execute("DELETE FROM touchlog.timeline WHERE number < 10")
        # With a reader's snapshot open this fails: a committed DELETE could not be checkpointed.
        writer.execute("CHECKPOINT")
        assert sum(batch.num_rows for batch in batches) > 0


def test_many_readers_see_whole_commits_while_the_writer_inserts(
    served: Path, writer: duckdb.DuckDBPyConnection, reader_of: ReaderOf
):
    done = threading.Event()

    def read(_: int) -> list[int]:
        reader = reader_of(served, open_store=_never)
        counts = []
        while not done.is_set():
            counts += reader.sql("SELECT count(*) AS n FROM touchlog.timeline")["n"].to_pylist()
        return counts

    with ThreadPoolExecutor(6) as pool:
        reading = [pool.submit(read, number) for number in range(6)]
        for _ in range(60):
            writer.execute("BEGIN")
            writer.execute("INSERT INTO touchlog.timeline (number) SELECT range FROM range(37)")
            writer.execute("INSERT INTO touchlog.timeline (number) SELECT range FROM range(63)")
            writer.execute("COMMIT")
            time.sleep(0.01)
        done.set()
    for future in reading:
        counts = future.result()
        assert len(counts) > 3
        assert all(count % 100 == 0 for count in counts)
        assert counts == sorted(counts)


@pytest.mark.parametrize("path", ["/status", "/customer?contact=email:ada@example.org", "/sql", "/nothing"])
@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", "Bearer é"])
def test_without_the_token_nothing_is_told(served: Path, path: str, token: str | None):
    headers = {} if token is None else {"Authorization": token.encode()}
    with _client(served) as client:
        response = client.request("POST" if path == "/sql" else "GET", path, headers=headers, content=b'{"sql": "x"}')
    assert response.status_code == (404 if path == "/nothing" else 401)
    assert ADA not in response.text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b'{"sql": 1}', b'{"sql": "SELECT 1", "parameters": 5}', b"[" * 100_000,
        b'{"sql": "SELECT 1", "timeout": -1}', b'{"sql": "SELECT 1", "timeout": "NaN"}', b"\xff", b"x" * (2 << 20),
        b'{"sql": "SELECT 1", "max_rows": "many"}',
    ],
)  # fmt: skip
def test_a_request_that_is_no_query_is_refused(served: Path, body: bytes):
    info = read_live(served)
    assert info is not None
    with _client(served) as client:
        response = client.post("/sql", content=body, headers={"Authorization": f"Bearer {info.token}"})
    assert (response.status_code, response.json()["error"]) == (400, "QueryRefused")


def test_socket_and_token_are_the_owners_alone_and_go_with_the_projector(store: Path, answers: Answers):
    with serving(store, answers, query_timeout=5) as info:
        file = reader_file_of(store)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(info.socket).stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == {"socket": info.socket, "token": info.token, "pid": os.getpid()}
        assert len(info.token) >= 32
    assert not file.exists()
    assert not Path(info.socket).exists()
    assert {path.suffix for path in store.parent.iterdir()} <= {".duckdb", ".wal"}


def test_a_path_too_long_for_a_socket_gets_a_short_one(store: Path, answers: Answers, reader_of: ReaderOf):
    folder = store.parent / ("long" * 30)
    folder.mkdir()
    long = folder / store.name
    with serving(long, answers, query_timeout=5) as info:
        assert len(info.socket) <= 100
        assert stat.S_IMODE(Path(info.socket).parent.stat().st_mode) == 0o700
        assert reader_of(long, open_store=_never).sql("SELECT 1 AS n").num_rows == 1
    assert not Path(info.socket).parent.exists()


def test_what_a_killed_projector_left_is_passed_over_and_replaced(store: Path, reader_of: ReaderOf):
    projector = _projector(store)
    assert reader_of(store, open_store=_never).sql("SELECT 1 AS n").num_rows == 1
    left = read_live(store)
    assert left is not None
    projector.send_signal(signal.SIGKILL)
    projector.communicate()

    assert reader_file_of(store).exists()
    assert Path(left.socket).exists()
    assert read_live(store) is None
    assert reader_of(store).sql("SELECT count(*) AS n FROM touchlog.timeline")["n"].to_pylist() == [1000]

    again = _projector(store)
    reader = reader_of(store, open_store=_never)
    assert reader.sql("SELECT 1 AS n").num_rows == 1
    again.communicate(b"")
    assert not reader_file_of(store).exists()


def test_a_reader_file_of_another_living_process_is_no_projector(store: Path, reader_of: ReaderOf):
    left = store.parent / "left.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left))
    reader_file_of(store).write_text(json.dumps({"socket": str(left), "token": "t", "pid": os.getppid()}))
    assert read_live(store) is None
    assert reader_of(store).sql("SELECT 1 AS n").num_rows == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"socket": "x", "token": "t", "pid": "many"}', "\udcff"])
def test_a_damaged_reader_file_is_none(store: Path, content: str):
    reader_file_of(store).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_live(store) is None


def test_one_reader_lives_through_projectors_that_come_and_go(store: Path, reader_of: ReaderOf):
    reader = reader_of(store)
    asked = "SELECT count(*) AS n FROM touchlog.timeline"
    for _ in range(2):
        assert reader.status()["running"] is False
        projector = _projector(store)
        assert reader.status()["running"] is True
        assert reader.sql(asked)["n"].to_pylist() == [1000]
        projector.communicate(b"")
        assert reader.sql(asked)["n"].to_pylist() == [1000]


def test_a_projector_that_holds_the_store_and_is_about_to_answer_is_waited_for(
    writer: duckdb.DuckDBPyConnection, store: Path, reader_of: ReaderOf
):
    def busy(_: Path) -> duckdb.DuckDBPyConnection:
        raise StoreBusy("another process has it open")

    began = threading.Event()

    def serve_late() -> None:
        time.sleep(0.5)
        answers = Answers(cursor=writer.cursor, card=small_card, status=status)
        with serving(store, answers, query_timeout=5):
            began.wait(5)

    thread = threading.Thread(target=serve_late)
    thread.start()
    assert reader_of(store, open_store=busy).sql("SELECT 1 AS n").num_rows == 1
    began.set()
    thread.join()
    with pytest.raises(StoreBusy):
        reader_of(store, open_store=busy).sql("SELECT 1 AS n")


def test_stopping_does_not_wait_for_a_long_query(store: Path, answers: Answers, reader_of: ReaderOf):
    slow = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 1"
    with ThreadPoolExecutor(1) as pool:
        with serving(store, answers, query_timeout=60):
            reader = reader_of(store, timeout_s=60, open_store=_never)
            asked = pool.submit(reader.sql, slow)
            time.sleep(0.5)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 3
        with pytest.raises(QueryRefused, match="the projector is stopping; type the command again"):
            asked.result()


def test_an_error_of_the_projector_itself_is_not_the_servers(store: Path, answers: Answers):
    with pytest.raises(OSError, match="of its own"), serving(store, answers, query_timeout=5):
        raise OSError("of its own")
    with (
        pytest.raises(ConfigurationError, match="put the store elsewhere with --store"),
        serving(store.parent / "nowhere" / "views.duckdb", answers, query_timeout=5),
    ):
        pass


def test_no_store_is_said_with_what_to_type(tmp_path: Path, reader_of: ReaderOf):
    with pytest.raises(ConfigurationError, match=r"no store at .*type: touchlog project"):
        reader_of(tmp_path / "none.duckdb").sql("SELECT 1")


def test_a_card_that_fails_is_an_error_of_the_store_without_data(
    store: Path, writer: duckdb.DuckDBPyConnection, reader_of: ReaderOf
):
    def broken(con: duckdb.DuckDBPyConnection, key: str, now: object, cut: object) -> None:
        raise ValueError(f"a secret about {key}")

    with serving(store, Answers(cursor=writer.cursor, card=broken, status=status), query_timeout=5):
        with pytest.raises(errors.StoreError, match="ValueError") as caught:
            reader_of(store).customer(["email:ada@example.org"])
        assert "ada" not in str(caught.value)
        assert reader_of(store).sql("SELECT 1 AS n").num_rows == 1


def test_types_survive_the_way(served: Path, reader_of: ReaderOf):
    sql = "SELECT TIMESTAMPTZ '2026-03-02 09:14:05+01' AS t, [1, NULL] AS l, {'a': 1} AS s, sum(1) AS h, NULL AS n"
    table = reader_of(served, open_store=_never).sql(sql)
    assert table.schema.field("t").type == pa.timestamp("us", tz="UTC")
    assert table.to_pylist()[0]["l"] == [1, None]
    assert table.to_pylist()[0]["t"].isoformat() == "2026-03-02T08:14:05+00:00"


def _never(path: Path) -> duckdb.DuckDBPyConnection:
    raise AssertionError("the projector was to be asked")


def _client(store: Path) -> httpx.Client:
    info = read_live(store)
    assert info is not None
    return httpx.Client(transport=httpx.HTTPTransport(uds=info.socket), base_url="http://touchlog")


def _projector(store: Path) -> subprocess.Popen[bytes]:
    """A process of its own that holds the store and answers its readers until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_SERVE, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_process_that_makes_no_menus_says_so(served: Path, reader_of: ReaderOf):
    with pytest.raises(ConfigurationError, match="makes no menus"):
        reader_of(served).menu(["email:ada@example.org"])
