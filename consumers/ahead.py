"""Reading and preparing ahead of the fold, in a thread of its own.

At most a few prepared batches wait, so memory is bounded. A log or registry that is away is asked again until it
answers; every other error ends the thread and is raised where batches are taken.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from consumers.prepare import Prepared, Preparer
from log.log import Log, LogReader, RecordBatch, TopicPartition
from schemas.errors import RetryLater

T = TypeVar("T")

_WAITING = 2
_POLL_S = 0.1
_ENDS_EVERY_S = 1.0
_RETRY_S = (0.1, 0.5, 1.0, 5.0)


class ReadAhead:
    """Prepared batches of the log from given positions on."""

    def __init__(
        self, log: Log, positions: Mapping[TopicPartition, int], preparer: Preparer, *, batch_size: int
    ) -> None:
        self._log = log
        self._positions = dict(positions)
        self._preparer = preparer
        self._batch_size = batch_size
        self._ready: queue.Queue[Prepared | BaseException] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="touchlog-read-ahead", daemon=True)
        self.ends: dict[TopicPartition, int] = {}
        """End offsets as last heard of."""
        self.folded: Mapping[TopicPartition, int] = {}
        """Positions that were committed to the store; handed to the log for lag tools."""
        self.waiting_for: str | None = None
        """What the thread waits for when something is away, in words."""

    @contextmanager
    def running(self) -> Iterator["ReadAhead"]:
        """The thread runs inside the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join(timeout=30)

    def take(self, timeout: float) -> Prepared | None:
        """The next prepared batch, or None when none came in time. Raises what ended the thread."""
        try:
            found = self._ready.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def _run(self) -> None:
        try:
            topics = {partition.topic for partition in self._positions}
            opened = self._patiently("the log", lambda: self._log.reader(self._positions))
            if opened is None:
                return
            with opened as reader:
                asked = committed = time.monotonic()
                while not self._stopping.is_set():
                    if time.monotonic() - asked > _ENDS_EVERY_S or not self.ends:
                        self.ends = self._patiently("the log", lambda: self._log.end_offsets(topics)) or self.ends
                        asked = time.monotonic()
                    if self.folded and time.monotonic() - committed > _ENDS_EVERY_S:
                        reader.commit(self.folded)
                        committed = time.monotonic()
                    self._step(reader)
        except BaseException as error:
            self._offer(error)

    def _step(self, reader: LogReader) -> None:
        batch = self._patiently("the log", lambda: reader.poll(self._batch_size, _POLL_S))
        if batch is None or not (len(batch) or batch.next_positions):
            return
        prepared = self._patiently("the schema registry", lambda: self._prepared(batch))
        if prepared is not None:
            self._offer(prepared)

    def _prepared(self, batch: RecordBatch) -> Prepared:
        return self._preparer.prepare(batch)

    def _patiently(self, what: str, call: Callable[[], T]) -> T | None:
        """The call's answer, asked again while what it needs is away; None when stopping."""
        tries = 0
        while not self._stopping.is_set():
            try:
                answer = call()
            except RetryLater:
                self.waiting_for = what
                self._stopping.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
            else:
                self.waiting_for = None
                return answer
        return None

    def _offer(self, item: Prepared | BaseException) -> None:
        while not self._stopping.is_set():
            try:
                self._ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
