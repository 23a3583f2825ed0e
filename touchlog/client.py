"""Reading from any process: through the projector while one runs, else from the store's own file."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import httpx
import pyarrow as pa

from schemas import errors
from schemas.errors import StoreBusy, StoreError, TouchlogError
from touchlog import guard
from touchlog.as_json import plain
from touchlog.contact import Card, find_card
from touchlog.reader_file import ReaderFile, read_live
from touchlog.status import Status, status
from touchlog.then import NOW, Then, as_of

Open = Callable[[Path], duckdb.DuckDBPyConnection]

_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 5.0
_EXTRA_SECONDS = 15.0
_STOPPED = "the projector stopped in the middle of the answer; type the command again"


class Reader:
    """Reads a store, whoever holds it; every call stands for itself and shows the last commit.

    `timeout_s` is the time limit of a query; a projector may have a lower one, and its answer is waited for
    `patience_s` longer. `open_store` opens the file for reading while no projector runs, `card` and `make_status`
    answer from it: those of `projections` and `status` unless given. All calls raise ConfigurationError (no store
    there), StoreBusy (another process holds the store and answers no readers), StoreError and QueryRefused.
    """

    def __init__(
        self,
        store: Path,
        *,
        timeout_s: float = 30.0,
        patience_s: float = _EXTRA_SECONDS,
        open_store: Open | None = None,
        card: Card | None = None,
        make_status: Status = status,
    ) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._open_store = open_store
        self._card = card
        self._status = make_status
        self._known: tuple[ReaderFile, httpx.Client] | None = None

    def sql(
        self, sql: str, *, parameters: guard.Parameters = (), max_rows: int | None = None, then: Then = NOW
    ) -> pa.Table:
        """The answer to one SELECT or EXPLAIN, at most its first `max_rows` rows, as of then."""
        with self.batches(sql, parameters=parameters, max_rows=max_rows, then=then) as reader:
            return reader.read_all()

    @contextmanager
    def batches(
        self, sql: str, *, parameters: guard.Parameters = (), max_rows: int | None = None, then: Then = NOW
    ) -> Iterator[pa.RecordBatchReader]:
        """As `sql`, batch by batch, for answers larger than the memory."""
        asked = {
            "sql": sql,
            "parameters": plain(parameters),
            "timeout": self._timeout_s,
            "max_rows": max_rows,
            **then.to_json(),
        }
        found = self._reach("POST", "/sql", json=asked)
        if isinstance(found, httpx.Response):
            with closing(found), _whole(), pa.ipc.open_stream(io.BufferedReader(_Body(found))) as reader:
                yield reader
            return
        with (
            closing(found),
            as_of(found, then, self._timeout_s) as con,
            guard.stream(con, sql, parameters=parameters, timeout_s=self._timeout_s, max_rows=max_rows) as reader,
        ):
            yield reader

    def customer(self, keys: Sequence[str], then: Then = NOW) -> dict[str, Any] | None:
        """The card of the first of these contact points that is known (`projections.card`), as of then, in plain JSON
        values."""
        return self._about("/customer", keys, then)

    def menu(self, keys: Sequence[str], then: Then = NOW) -> dict[str, Any] | None:
        """The telephone menu (`projections.next_menu`) for the first of these contact points that is known."""
        return self._about("/menu", keys, then)

    def _about(self, path: str, keys: Sequence[str], then: Then) -> dict[str, Any] | None:
        params = [*(("contact", key) for key in keys), *then.to_json().items()]
        found = self._reach("GET", path, params=params)
        if isinstance(found, httpx.Response):
            told: dict[str, Any] | None = _json(found)
            return told
        card = self._card or _card(path, self._timeout_s)
        with closing(found) as con, guard.limited(con, self._timeout_s):
            made: dict[str, Any] | None = plain(find_card(con, keys, then, card))
        return made

    def status(self) -> dict[str, Any]:
        """How the store is doing (`touchlog.status`), in plain JSON values; `running`: whether a projector answered."""
        found = self._reach("GET", "/status")
        if isinstance(found, httpx.Response):
            return {"running": True, **_json(found)}
        with closing(found) as con, guard.limited(con, self._timeout_s):
            return {"running": False, **plain(self._status(con))}

    def errand(self, name: str, asked: Mapping[str, Any]) -> Any:
        """Ask the running projector to do something between two batches: `redrive` (`consumers.redrive.Asked`),
        `replay` (`touchlog.replaying.Asked`). What came of it, or None when no projector answers.

        Waits as long as it takes. When the projector ends meanwhile, what it did stays done.
        """
        info = read_live(self._store)
        content = {"json": dict(asked), "timeout": httpx.Timeout(None, connect=_CONNECT_SECONDS)}
        response = None if info is None else self._ask(info, "POST", f"/errands/{name}", content)
        if response is None:
            return None
        return _json(response)

    def close(self) -> None:
        """Let go of the connection to the projector."""
        if self._known is not None:
            self._known[1].close()
            self._known = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _reach(self, method: str, path: str, **content: Any) -> httpx.Response | duckdb.DuckDBPyConnection:
        """An answer that has begun, or the file. A projector may start or stop at any moment in between."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            info = read_live(self._store)
            response = None if info is None else self._ask(info, method, path, content)
            if response is not None:
                return response
            try:
                return self._open()
            except StoreBusy:
                # A projector has the file before it answers, and answers until after it has let go.
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def _ask(self, info: ReaderFile, method: str, path: str, content: Any) -> httpx.Response | None:
        """The answer, its body not read yet; None when this projector is gone. Raises the errors that it tells."""
        client = self._client(info)
        try:
            response = client.send(client.build_request(method, path, **content), stream=True)
            if response.status_code == httpx.codes.OK:
                return response
            with closing(response):
                told = None if response.status_code == httpx.codes.UNAUTHORIZED else _told(response.read())
        except httpx.TimeoutException:
            raise StoreBusy("the projector does not answer in time; type the command again") from None
        except httpx.TransportError:
            self.close()
            return None
        if told is None:
            self.close()
            return None
        raise told

    def _client(self, info: ReaderFile) -> httpx.Client:
        if self._known is None or self._known[0] != info:
            self.close()
            client = httpx.Client(
                transport=httpx.HTTPTransport(uds=info.socket, verify=False),
                base_url="http://touchlog",
                headers={"Authorization": f"Bearer {info.token}"},
                timeout=httpx.Timeout(self._timeout_s + self._patience_s, connect=_CONNECT_SECONDS),
                trust_env=False,
            )
            self._known = (info, client)
        return self._known[1]

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._open_store is None:
            from projections.store import open_readonly

            con = open_readonly(self._store)
        else:
            con = self._open_store(self._store)
        guard.lock_down(con)
        return con


def _card(path: str, seconds: float) -> Card:
    from projections.card import Cards

    cards = Cards(time_limit=guard.time_limit, seconds=seconds)
    return cards.menu if path == "/menu" else cards.card


def _json(response: httpx.Response) -> Any:
    with closing(response):
        try:
            return httpx.Response(200, content=response.read()).json()
        except httpx.TransportError:
            raise StoreBusy(_STOPPED) from None


def _told(body: bytes) -> TouchlogError:
    """The error that the projector raised, as it was raised there."""
    try:
        told = httpx.Response(400, content=body).json()
        kind, message = getattr(errors, told["error"]), str(told["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return StoreError("the projector gave an answer that is not touchlog's; is it of the same version?")
    if isinstance(kind, type) and issubclass(kind, TouchlogError):
        return kind(message)
    return StoreError(message)


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, httpx.StreamError):
        raise StoreBusy(_STOPPED) from None


class _Body(io.RawIOBase):
    """The body of an answer as a file that can be read once, forwards."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks = response.iter_bytes()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._chunks, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
