"""Work that other threads ask the projector for: done in its own thread, between two batches, step by step."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from consumers.fold import Folder
from schemas.errors import StoreBusy

T = TypeVar("T")

Work = Callable[[Folder], Generator[None, None, T]]
"""Work with the folder; it lets the log's next batch in wherever it yields, and returns its result."""


class Errands:
    """What is to be done, in the order in which it was asked for; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Work[Any], Future[Any]]] = deque()
        self._running: tuple[Generator[None, None, Any], Future[Any]] | None = None
        self._closed = False

    def ask(self, work: Work[T]) -> "Future[T]":
        """The result of the work, once it is done; StoreBusy in it when the projector ends before."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                future.set_exception(_ended())
            else:
                self._waiting.append((work, future))
        return future

    def step(self, folder: Folder) -> bool:
        """One step of what comes first; False when there is nothing to do. What it raises goes to who asked."""
        if self._running is None:
            with self._lock:
                if not self._waiting:
                    return False
                work, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                return True
            self._running = (work(folder), future)
        steps, future = self._running
        try:
            next(steps)
        except StopIteration as done:
            self._running = None
            future.set_result(done.value)
        except Exception as error:
            self._running = None
            future.set_exception(error)
        except BaseException:
            self._running = None
            future.set_exception(_ended())
            raise
        return True

    def close(self) -> None:
        """Nothing is done any more: all who wait are told so, and all who will ask."""
        with self._lock:
            self._closed = True
            waiting = [future for _, future in self._waiting]
            self._waiting.clear()
        if self._running is not None:
            steps, future = self._running
            self._running = None
            steps.close()
            future.set_exception(_ended())
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(_ended())


def _ended() -> StoreBusy:
    return StoreBusy("the projector is stopping; type the command again, what it has done stays done")
