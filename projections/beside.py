"""Work on the store beside the thread that folds: one piece at a time, on a connection of its own.

The thread that folds owns the catalog of what is live: it makes tails and swaps parts. Beside it only staging tables
are filled, from parts that nobody writes any more, so the two never meet in one row. DuckDB lets Python's lock go
while it works, so this is how a second core comes to help.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import duckdb

Work = Callable[[duckdb.DuckDBPyConnection], None]

_INTERRUPT_EVERY_S = 0.02
_NICE = 10
READERS_NICE = 15
"""Whoever asks comes after both: the fold, and what is beside it."""


def give_way(nice: int) -> None:
    """From now on the thread that calls leaves the processor to those of the process that did not, or less (nice(1)),
    where a system can do that for one thread alone: Linux."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        wanted = os.getpriority(os.PRIO_PROCESS, os.getpid()) + nice
        # Never back: that takes a privilege.
        os.setpriority(os.PRIO_PROCESS, me, max(wanted, os.getpriority(os.PRIO_PROCESS, me)))


class Beside:
    """Threads that do one piece of work after the other. All calls come from the thread that folds."""

    def __init__(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        """`connect` makes a connection to the same store."""
        self._connect = connect
        # A thread cannot become less nice without a privilege, so there are two, of which one works at a time.
        self._pools: dict[bool, ThreadPoolExecutor] = {}
        self._con: duckdb.DuckDBPyConnection | None = None
        self._future: Future[None] | None = None
        self._stopping = threading.Event()

    def begin(self, work: Work, *, nice: bool = True) -> None:
        """Begin with a piece of work, `nice` to the fold or not; the one before has to be over."""
        assert not self.busy
        if nice not in self._pools:
            self._pools[nice] = ThreadPoolExecutor(1, "touchlog-beside", give_way, (_NICE if nice else 0,))
        self._con = self._con or self._connect()
        self._stopping.clear()
        self._future = self._pools[nice].submit(work, self._con)

    @property
    def busy(self) -> bool:
        """Whether a piece of work goes on."""
        return self._future is not None and not self._future.done()

    @property
    def stopping(self) -> bool:
        """Whether the work is to leave off: asked for between two statements, as an interrupt only ends one."""
        return self._stopping.is_set()

    def wait(self, seconds: float) -> None:
        """Wait until the work is over, or so long."""
        if self._future is not None:
            wait([self._future], seconds)

    def took(self) -> bool:
        """Whether the work, which is over, was done and not stopped. Raises what it raised."""
        assert self._future is not None
        try:
            self._future.result()
        except duckdb.InterruptException:
            if not self.stopping:
                raise
            return False
        return True

    def stop(self) -> None:
        """Break off what goes on, and wait until it has rolled back."""
        self._stopping.set()
        while self.busy:
            assert self._con is not None
            self._con.interrupt()
            self.wait(_INTERRUPT_EVERY_S)

    def close(self) -> None:
        """Break off, and let threads and connection go."""
        self.stop()
        for pool in self._pools.values():
            pool.shutdown()
        if self._con is not None:
            self._con.close()
        self._pools, self._con = {}, None
