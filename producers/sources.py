"""Where payloads are read from: files, folders, gzip, standard input, bytes."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from schemas.errors import ConfigurationError

STANDARD_INPUT = "-"
HEAD = 1 << 16
"""How many bytes of a file's beginning tell its format."""

_GZIP = b"\x1f\x8b"


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
    """The sources at these places: a file, a folder with everything in it, or `-` for `stdin`.

    Folders are walked in sorted order; what begins with a dot is passed over. Raises ConfigurationError when a
    place does not exist, before anything is read.
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
        path = Path(place)
        if not path.exists():
            raise ConfigurationError(f"there is no file or folder {place}; type its path, or - for standard input")
        found.extend(
            Source(name=str(file), open=partial(_unbuffered, file))
            for file in (_files(path) if path.is_dir() else [path])
        )
    return found


def source_of_bytes(name: str, content: bytes) -> Source:
    """A source whose bytes are at hand, and are what they are."""
    return Source(name=name, open=lambda: io.BytesIO(content), unpack=False)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _same(stream: BinaryIO) -> BinaryIO:
    return stream


def _unbuffered(path: Path) -> BinaryIO:
    return cast(BinaryIO, path.open("rb", buffering=0))


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    # BufferedReader takes whatever has readinto, which every binary file has.
    return io.BufferedReader(cast(io.RawIOBase, stream), HEAD)
