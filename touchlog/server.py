"""The reader server: answers other processes from cursors of the process that holds the store.

HTTP on a unix socket, so that webhooks and a desk in the browser can join it. What can be asked is in
`touchlog.reader_app`.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from starlette.applications import Starlette

from schemas.errors import ConfigurationError, StoreError
from touchlog.reader_app import Answers, reader_app
from touchlog.reader_file import ReaderFile, listening

__all__ = ["Answers", "serving"]

_STOP_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


@contextmanager
def serving(store: Path, answers: Answers, *, query_timeout: float) -> Iterator[ReaderFile]:
    """Readers are answered in a thread of their own until the block ends. The caller holds the store.

    Raises ConfigurationError when no socket can be made there.
    """
    with ExitStack() as stack:
        try:
            listener, info = stack.enter_context(listening(store))
        except OSError as error:
            raise ConfigurationError(
                f"readers cannot be answered beside {store}: {error.strerror}; put the store elsewhere with --store"
            ) from error
        cursors = _Cursors(answers.cursor)
        app = reader_app(replace(answers, cursor=cursors.new), info.token, query_timeout=query_timeout)
        server = _Quiet(_config(app))
        thread = threading.Thread(target=server.run, args=([listener],), name="readers", daemon=True)
        thread.start()
        while not server.ready.wait(_PAUSE_SECONDS):
            if not thread.is_alive():
                raise StoreError("the server for readers did not start; type touchlog --traceback project")
        try:
            yield info
        finally:
            server.should_exit = True
            deadline = time.monotonic() + _STOP_SECONDS
            while thread.is_alive() and time.monotonic() < deadline:
                cursors.interrupt()
                thread.join(_PAUSE_SECONDS)


class _Cursors:
    """The cursors that readers have now, so that those still reading can be interrupted at the end."""

    def __init__(self, cursor: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._cursor = cursor
        self._lock = threading.Lock()
        self._given: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()

    def new(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            cursor = self._cursor()
            self._given.add(cursor)
        return cursor

    def interrupt(self) -> None:
        with self._lock:
            for cursor in self._given:
                # It may have been closed since.
                with suppress(duckdb.Error):
                    cursor.interrupt()


class _Quiet(uvicorn.Server):
    """Says when it is ready, and leaves signals to the process that it is a guest in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets=sockets)
        finally:
            self.ready.set()


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
