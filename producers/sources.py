"""Where payloads are read from: files, folders (Maildirs, too), patterns, gzip, standard input, bytes."""

import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from glob import iglob
from pathlib import Path
from typing import BinaryIO, cast

from schemas.errors import ConfigurationError

STANDARD_INPUT = "-"
HEAD = 1 << 16
"""How many bytes of a file's beginning tell its format."""

_GZIP = b"\x1f\x8b"
_PATTERN = frozenset("*?[")
# Dovecot and Courier keep their own files beside cur, new and tmp.
_OF_MAILDIRS = ("dovecot", "courier", "maildir", "subscriptions")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Something to read payloads from. `name` is what reports and the rejects file call it.

    `unpack`: gzip is unpacked, by its content, whatever the name. `keep_open`: closing it is its owner's affair.
    """

    name: str
    open: Callable[[], BinaryIO]
    unpack: bool = True
    keep_open: bool = False

    @contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """The bytes from the beginning.

        Raises OSError when it cannot be opened; reading raises OSError, EOFError or zlib.error when it is damaged.
        """
        with ExitStack() as stack:
            stream = self.open()
            if not self.keep_open:
                stack.callback(stream.close)
            buffered = _buffered(stream)
            if self.keep_open:
                stack.callback(buffered.detach)
            if self.unpack and buffered.peek(len(_GZIP))[: len(_GZIP)] == _GZIP:
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=buffered))
                buffered = _buffered(cast(BinaryIO, unpacked))
            yield buffered


def sources(places: Iterable[str | Path], *, stdin: BinaryIO | None = None) -> list[Source]:
    """The sources at these places: a file, a folder with everything in it, a pattern, or `-` for `stdin`.

    A pattern is a place that does not exist and has one of `*?[` in it; `**` stands for any number of folders. What
    it names, folders among it, is taken once. Folders are walked in sorted order, and so is what a pattern names;
    what begins with a dot is passed over, and so is what is no mail in a Maildir: `tmp`, and the server's own files.
    Raises ConfigurationError when a place does not exist or a pattern names no file, before anything is read.
    """
    found: list[Source] = []
    for place in places:
        if str(place) == STANDARD_INPUT:
            if stdin is None:
                raise ConfigurationError("there is no standard input here; name a file or a folder")
            # The unbuffered stream beneath gives what has come so far; the buffered one waits for a whole block.
            raw = cast(BinaryIO, getattr(stdin, "raw", stdin))
            found.append(Source(name=STANDARD_INPUT, open=partial(_same, raw), keep_open=True))
            continue
        found.extend(
            # A name that is no text in the system's encoding is reported with `?` for what cannot be written.
            Source(name=os.fsencode(file).decode("utf-8", "replace"), open=partial(_unbuffered, file))
            for file in _files_at(place)
        )
    return found


def source_of_bytes(name: str, content: bytes) -> Source:
    """A source whose bytes are at hand, and are what they are."""
    return Source(name=name, open=lambda: io.BytesIO(content), unpack=False)


def _files_at(place: str | Path) -> Iterable[Path]:
    path = Path(place)
    if path.is_dir():
        return _files(path)
    if path.exists():
        return [path]
    if not _PATTERN.intersection(str(place)):
        raise ConfigurationError(f"there is no file or folder {place}; type its path, or - for standard input")
    # Unlike Path.glob, it passes over what begins with a dot, as shells do.
    named = sorted(map(Path, iglob(str(place), recursive=True)))  # noqa: PTH207
    files = (file for one in named if _is_wanted(one) for file in (_files(one) if one.is_dir() else [one]))
    found = dict.fromkeys(file for file in files if file.is_file())
    if not found:
        raise ConfigurationError(f"no file matches {place}; a pattern has *, ? or [ in it, and ** for any folders")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and _is_wanted(path, folder) and path.is_file():
            yield path


def _is_wanted(path: Path, beneath: Path | None = None) -> bool:
    """Whether it is no part of a Maildir that holds no mail (https://cr.yp.to/proto/maildir.html)."""
    if path.name.startswith(_OF_MAILDIRS) and _is_maildir(path.parent):
        return False
    # A file in `tmp` is still being written. A folder `tmp` that is named as the place itself is meant, though.
    depth = len(beneath.parts) if beneath else 0
    above = (path, *path.parents)[: len(path.parts) - depth]
    return not any(folder.name == "tmp" and _is_maildir(folder.parent) for folder in above)


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and ((folder / "new").is_dir() or (folder / "tmp").is_dir())


def _same(stream: BinaryIO) -> BinaryIO:
    return stream


def _unbuffered(path: Path) -> BinaryIO:
    return cast(BinaryIO, path.open("rb", buffering=0))


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    # BufferedReader takes whatever has readinto, which every binary file has.
    return io.BufferedReader(cast(io.RawIOBase, stream), HEAD)
