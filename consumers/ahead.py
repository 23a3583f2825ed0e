"""Reading and preparing ahead of the fold, in a thread of its own.

From a backlog it reads on while the fold works, and at most a few prepared batches wait, so memory is bounded. Near the
end of the log it reads when the fold asks: what would wait would be old by then, and smaller batches cost more.
A log or registry that is away is asked again until it answers; every other error ends the thread and is raised where
batches are taken.
"""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from consumers.batch_size import BatchSize
from consumers.joined import joined
from consumers.patience import Away, Patience
from consumers.prepare import Prepared, Preparer
from consumers.pulse import Pulse
from log.log import Log, LogReader, TopicPartition
from schemas.errors import RetryLater

_WAITING = 2
_AT_ONCE = 70_000
"""Records that are read and prepared together: what the processor's caches bear. A batch may be of several such."""
_MOST_BYTES = 64 * 1024 * 1024
"""Of the values of a batch, about: one of large records is of fewer."""
_BACKLOG = 30_000
"""With so many left in the log it is read ahead of the fold, however large the batches are."""
_POLL_S = 0.1
_ENDS_EVERY_S = 1.0


class ReadAhead:
    """Prepared batches of the log from given positions on; how it goes is told to the pulse."""

    def __init__(
        self,
        log: Log,
        positions: Mapping[TopicPartition, int],
        preparer: Preparer,
        *,
        size: BatchSize,
        pulse: Pulse | None = None,
    ) -> None:
        self._log = log
        self._positions = dict(positions)
        self._topics = {partition.topic for partition in positions}
        self._preparer = preparer
        self._size = size
        self._pulse = pulse or Pulse()
        self._pulse.began()
        self._ready: queue.Queue[Prepared | BaseException] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="touchlog-read-ahead", daemon=True)
        self.ends: dict[TopicPartition, int] = {}
        """End offsets as last heard of."""
        self.folded: Mapping[TopicPartition, int] = {}
        """Positions that were committed to the store; handed to the log for lag tools."""
        self._asked = float("-inf")
        self._patience = Patience(
            self._stopping.is_set, told=lambda wait: self._pulse.waits("reading", wait), meanwhile=self._meanwhile
        )

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
        if self._ready.empty():
            self._wanted.set()
        try:
            found = self._ready.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def _run(self) -> None:
        try:
            opened = self._patience.ask("log", lambda: self._log.reader(self._positions))
            if opened is None:
                return
            with opened as reader:
                committed = time.monotonic()
                while not self._stopping.is_set():
                    self._pulse.reader_cycled()
                    self._patience.ask("log", self._ask_for_ends)
                    if self.folded and time.monotonic() - committed > _ENDS_EVERY_S:
                        reader.commit(self.folded)
                        committed = time.monotonic()
                    self._step(reader)
        except BaseException as error:
            self._offer(error)
        finally:
            self._pulse.waits("reading", None)
            self._pulse.reader_left()

    def _step(self, reader: LogReader) -> None:
        left, behind = self._size.now, self._is_behind()
        if not behind and not self._wanted.wait(_POLL_S):
            return
        pieces: list[Prepared] = []
        size = 0
        while left > 0 and (piece := self._piece(reader, asked := min(left, _AT_ONCE), more=bool(pieces))) is not None:
            pieces.append(piece)
            last = sum(map(len, filter(None, piece.batch.values)))
            size += last
            # A large batch goes on as long as the log gives all that is asked for: nothing read waits for what is not
            # there yet, or is not wanted.
            full = behind and len(piece) == asked and size + last <= _MOST_BYTES
            left = min(left - asked, self._left()) if full else 0
        if pieces:
            self._wanted.clear()
            self._offer(joined(pieces))

    def _piece(self, reader: LogReader, most: int, *, more: bool) -> Prepared | None:
        """The next records, prepared: a new batch, or `more` of the one begun. None where none came in time, or when
        stopping."""
        batch = self._patience.ask("log", lambda: reader.poll(most, _POLL_S))
        if batch is None or not (len(batch) or batch.next_positions):
            return None
        self._pulse.read(batch.timestamps, more=more)
        prepared = self._patience.ask("registry", lambda: self._preparer.prepare(batch))
        if prepared is not None:
            self._positions.update({TopicPartition(*at): offset for at, offset in batch.next_positions.items()})
        return prepared

    def _is_behind(self) -> bool:
        """Whether there is a whole batch more to read, or as much as nobody waits for, as far as is known."""
        return self._left() >= min(self._size.now, _BACKLOG)

    def _left(self) -> int:
        """Records that are left to read, as far as is known."""
        return sum(max(0, self.ends.get(at, 0) - offset) for at, offset in self._positions.items())

    def _ask_for_ends(self) -> None:
        if time.monotonic() - self._asked > _ENDS_EVERY_S:
            self.ends = self._log.end_offsets(self._topics)
            self._asked = time.monotonic()

    def _meanwhile(self, away: Away) -> None:
        """The log grows while a registry or the fold is waited for, and who looks wants to know."""
        self._pulse.reader_cycled()
        if away != "log":
            with suppress(RetryLater):
                self._ask_for_ends()

    def _offer(self, item: Prepared | BaseException) -> None:
        while not self._stopping.is_set():
            self._pulse.reader_cycled()
            try:
                self._ready.put(item, timeout=_POLL_S)
            except queue.Full:
                if isinstance(item, Prepared):
                    self._meanwhile("registry")
                continue
            return
