"""The rejects file: every payload that could not be published, whole, with why; one JSON object a line.

It holds what customers wrote: it is created readable by its owner only. A line can be published again alone
(`Reject.source`), once its data or the parser is mended; events have the same ids then.
"""

import base64
import binascii
import errno
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from producers.sources import Source, source_of_bytes
from schemas.errors import ConfigurationError, StoreFull

Verdict = Literal["rejected", "undelivered"]
"""Rejected: not understood. Undelivered: understood, but the log did not take all of its events."""

# A disk takes some 5 ms for one fsync: a file of nothing but rejects would take minutes.
_SYNC_SECONDS = 0.5
_FIELD = re.compile(r"[\w.-]{1,80}(?=: )")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """One payload that was not published. `line` and `item` are its place in `file`; `field` is what is wrong."""

    verdict: Verdict
    file: str
    line: int
    item: int | None
    channel: str
    format: str
    reason: str
    raw: bytes

    @property
    def field(self) -> str | None:
        """The field that the reason names, if it names one."""
        found = _FIELD.match(self.reason)
        return found[0] if found else None

    @property
    def source(self) -> Source:
        """The payload as a source of its own, to be published again."""
        place = f"{self.file}:{self.line}" + ("" if self.item is None else f":{self.item}")
        return source_of_bytes(place, self.raw)


class RejectsFile:
    """Appends rejects. The file is created with the first one; every line is handed to the system at once.

    `sync` makes sure that all of them survive a power cut; `keep` does so itself at most every half second.
    Raises StoreFull when there is no space left, ConfigurationError when the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None
        self._unsynced_since: float | None = None

    def keep(self, reject: Reject) -> None:
        """Write one reject."""
        now = time.monotonic()
        with _translated(self.path):
            if self._descriptor is None:
                self._descriptor = _open(self.path)
            _write(self._descriptor, _line(reject))
        if self._unsynced_since is None:
            self._unsynced_since = now
        elif now - self._unsynced_since >= _SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Return when all rejects are on the disk."""
        if self._descriptor is not None and self._unsynced_since is not None:
            with _translated(self.path):
                os.fsync(self._descriptor)
            self._unsynced_since = None

    def close(self) -> None:
        """Sync and let go; a second time does nothing."""
        if self._descriptor is not None:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def read_rejects(path: str | Path) -> Iterator[Reject]:
    """The rejects in a file, in order. Raises ConfigurationError, with the line, for what is no reject."""
    with Path(path).open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                yield _reject(json.loads(line))
            except (ValueError, KeyError, TypeError, binascii.Error):
                raise ConfigurationError(f"line {number} of {path} is no reject; was the file cut off?") from None


def _line(reject: Reject) -> bytes:
    kept: dict[str, Any] = {
        "verdict": reject.verdict,
        "file": reject.file,
        "line": reject.line,
        "item": reject.item,
        "channel": reject.channel,
        "format": reject.format,
        "field": reject.field,
        "reason": reject.reason,
    }
    try:
        kept["raw"] = reject.raw.decode()
    except UnicodeDecodeError:
        kept["raw_base64"] = base64.b64encode(reject.raw).decode()
    return json.dumps(kept).encode() + b"\n"


def _reject(kept: dict[str, Any]) -> Reject:
    raw = kept["raw"].encode() if "raw" in kept else base64.b64decode(kept["raw_base64"], validate=True)
    names = ("verdict", "file", "line", "item", "channel", "format", "reason")
    return Reject(raw=raw, **{name: kept[name] for name in names})


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    size = os.fstat(descriptor).st_size
    # A line that a crash cut off stays alone: what follows begins a line of its own.
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        _write(descriptor, b"\n")
    return descriptor


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(f"no space left for the rejects file {path}") from None
        raise ConfigurationError(
            f"the rejects file {path} cannot be written: {error.strerror}; type --rejects with another path"
        ) from None
