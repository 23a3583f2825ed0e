"""The demo's folder: begun anew each time, and only ever one that the demo made."""

import shutil
from pathlib import Path

from schemas.errors import ConfigurationError, StoreBusy
from touchlog.reader_file import read_live

MARKER = ".made-by-touchlog-demo"
PAYLOADS, LOG, STORE, REJECTS = "payloads", "log.sqlite", "views.duckdb", "rejects.jsonl"


def check(folder: Path) -> None:
    """Whether the demo may begin anew there; touches nothing.

    Raises ConfigurationError when there is something else than an empty folder or one that an earlier demo made;
    StoreBusy while a projector works on the store in it.
    """
    another = _another(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigurationError(f"{folder} is no folder; {another}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise ConfigurationError(f"{folder} was not made by the demo, which deletes nothing of others; {another}")
    running = read_live(folder / STORE)
    if running is not None:
        raise StoreBusy(f"a projector (process {running.pid}) works in {folder}; stop it, or {another}")


def begin_anew(folder: Path) -> None:
    """Make a folder that was checked, for its owner alone; of an earlier demo's files nothing stays, of others' all.

    Raises ConfigurationError when it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / MARKER).write_text("touchlog demo made this folder, and will delete its own files in it.\n")
        _empty(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made anew: {error.strerror}; {_another(folder)}") from None


def _another(folder: Path) -> str:
    return f"name another folder: touchlog demo --keep {folder.name}-2"


def _empty(folder: Path) -> None:
    if (folder / PAYLOADS).is_dir() and not (folder / PAYLOADS).is_symlink():
        shutil.rmtree(folder / PAYLOADS)
    # Both databases keep files of their own beside them.
    for pattern in (f"{LOG}*", f"{STORE}*", REJECTS):
        for path in folder.glob(pattern):
            path.unlink()
