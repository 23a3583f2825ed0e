"""Several pieces of work on the store at once, each on a connection of its own, while nobody folds.

One statement leaves some of each processor idle, where its threads meet; two beside each other do not.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from threading import Event

import duckdb

from projections.beside import Work

_EVERY_S = 0.1
_INTERRUPT_EVERY_S = 0.02


def at_once(
    connect: Callable[[], duckdb.DuckDBPyConnection], count: int, tasks: Sequence[Sequence[Work]]
) -> Iterator[list[int]]:
    """Do tasks, `count` at a time, the first ones first, and the pieces of each one after the other; yields every tenth
    of a second the places of tasks of which a piece was done. `connect` makes a connection to the store.

    Raises what a piece raises. Then, or when it is closed, the others are broken off and have rolled back.
    """
    waiting, done, stopping = SimpleQueue[int](), SimpleQueue[int](), Event()
    for place in range(len(tasks)):
        waiting.put(place)

    def work(con: duckdb.DuckDBPyConnection) -> None:
        while True:
            try:
                place = waiting.get_nowait()
            except Empty:
                return
            for piece in tasks[place]:
                if stopping.is_set():
                    return
                piece(con)
                done.put(place)

    connections = [connect() for _ in range(min(count, len(tasks)))]
    with ThreadPoolExecutor(max(1, len(connections)), thread_name_prefix="touchlog-at-once") as pool:
        running = {pool.submit(work, con) for con in connections}
        try:
            while running:
                over, running = wait(running, _EVERY_S, "FIRST_COMPLETED")
                yield [done.get() for _ in range(done.qsize())]
                for one in over:
                    one.result()
        finally:
            stopping.set()
            _break_off(connections, running)
            for con in connections:
                con.close()


def _break_off(connections: Sequence[duckdb.DuckDBPyConnection], running: set[Future[None]]) -> None:
    while running:
        for con in connections:
            con.interrupt()
        _, running = wait(running, _INTERRUPT_EVERY_S)
