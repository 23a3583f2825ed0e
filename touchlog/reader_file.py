"""Where a running projector can be asked: a small file beside the store that only its owner can read."""

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 100
"""Bytes: macOS takes 103, Linux 107."""

_PROBE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderFile:
    """Socket, the token that every request carries, and the process that answers."""

    socket: str
    token: str
    pid: int


def reader_file_of(store: Path) -> Path:
    """`…/store.duckdb` -> `…/store.duckdb.reader`."""
    return store.with_name(store.name + ".reader")


def read_live(store: Path) -> ReaderFile | None:
    """The file's content while somebody listens; None for no file, a damaged one, or one that was left behind."""
    try:
        content = json.loads(reader_file_of(store).read_text("utf-8"))
        found = ReaderFile(socket=str(content["socket"]), token=str(content["token"]), pid=int(content["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if _lives(found.pid) and _listens(found.socket) else None


@contextmanager
def listening(store: Path) -> Iterator[tuple[socket.socket, ReaderFile]]:
    """A bound socket (mode 0600) and its token, announced beside the store until the block ends.

    The caller holds the store, so files of a process that was killed can be replaced. A path too long for a unix
    socket is avoided with a folder of its own (mode 0700).
    """
    # Resolved, so that a reader that knows the store by another name finds the same socket.
    path = store.resolve().with_name(store.name + ".sock")
    folder = None
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        folder = tempfile.TemporaryDirectory(prefix="touchlog-")
        path = Path(folder.name) / "reader.sock"
    listener = _bound(path)
    try:
        info = ReaderFile(socket=str(path), token=secrets.token_urlsafe(32), pid=os.getpid())
        _announce(store, info)
        yield listener, info
    finally:
        listener.close()
        reader_file_of(store).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        if folder is not None:
            folder.cleanup()


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Between bind and chmod anybody could connect, so the mode has to be right from the beginning.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _announce(store: Path, info: ReaderFile) -> None:
    handle, name = tempfile.mkstemp(dir=store.parent, prefix=f".{store.name}.reader-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(info), file)
        Path(name).replace(reader_file_of(store))
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _listens(path: str) -> bool:
    """A process id may have gone to somebody else, and a socket's file stays when its process is killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
