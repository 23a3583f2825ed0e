"""A TCP proxy between a client and a server that can be told to hold, delay, drop and half-close its connections."""

import random
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


class Proxy:
    """Forwards 127.0.0.1:`port` to `target`; every change takes effect on connections that are open already."""

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self.delay = 0.0
        """Seconds that every chunk waits, in each direction."""
        self.refuse = False
        """New connections are closed at once."""
        self.carried = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Nothing goes through, and nothing is closed: a cable that was pulled."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def drop(self) -> int:
        """Reset every connection; how many there were."""
        pairs = self._taken()
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    # Linger of nothing: the other side sees a reset, not an orderly end.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    end.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    def half_close(self) -> int:
        """The server hears that no more requests come, while its answers still pass; how many connections."""
        with self._lock:
            pairs = list(self._pairs)
        for _, server in pairs:
            with suppress(OSError):
                server.shutdown(socket.SHUT_WR)
        return len(pairs)

    def close(self) -> None:
        self._closing.set()
        self.release()
        self._listener.close()
        self.drop()
        self._thread.join(5)

    def _taken(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._lock:
            return list(self._pairs)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closing.is_set():
                try:
                    if not selector.select(0.2):
                        continue
                    client, _ = self._listener.accept()
                except (OSError, ValueError):
                    return
                if self.refuse:
                    client.close()
                    continue
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                return
            server.settimeout(None)
            with server:
                pair = (client, server)
                with self._lock:
                    self._pairs.add(pair)
                try:
                    back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                    back.start()
                    self._pump(client, server)
                    back.join()
                finally:
                    with self._lock:
                        self._pairs.discard(pair)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(_CHUNK):
                self._open.wait()
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(chunk)
                self.carried += len(chunk)
        except OSError:
            pass
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def troubled(proxy: Proxy, dice: random.Random) -> Iterator[list[str]]:
    """While the block lasts something happens to the network every 0.1 to 1 s; what did, in order."""
    over, happened = threading.Event(), list[str]()

    def strike() -> None:
        while not over.wait(dice.uniform(0.1, 1.0)):
            what = dice.choice(["drop", "half-close", "hold", "delay", "refuse"])
            happened.append(what)
            match what:
                case "drop":
                    proxy.drop()
                case "half-close":
                    proxy.half_close()
                case "hold":
                    proxy.hold()
                    over.wait(dice.uniform(0.2, 1.5))
                    proxy.release()
                case "delay":
                    proxy.delay = dice.uniform(0.005, 0.1)
                    over.wait(0.5)
                    proxy.delay = 0.0
                case _:
                    proxy.refuse = True
                    proxy.drop()
                    over.wait(dice.uniform(0.2, 1.0))
                    proxy.refuse = False

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    try:
        yield happened
    finally:
        over.set()
        thread.join(10)
        proxy.delay, proxy.refuse = 0.0, False
        proxy.release()
