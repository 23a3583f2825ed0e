"""Exchanging the store's file for the one that was built beside it from the log, also under a running projector."""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumers.errands import Errands
from projections import exchange as files
from schemas.errors import ConfigurationError, StoreBusy, TouchlogError

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings

ACTIONS: dict[str, Callable[[Path], bool]] = {
    "switch": files.exchange,
    "switch back": files.exchange_back,
    "retire": files.retire,
}
_PATIENCE_S = 60.0
_PAUSE_S = 0.2


class Exchange:
    """What a projector is asked for: to let go of the store, and to go on once the files are exchanged."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._action: str | None = None

    @property
    def asked(self) -> bool:
        """Whether the store has to be let go of."""
        return self._action is not None

    def through(self, errands: Errands) -> Callable[[Any], dict[str, Any]]:
        """How a projector's server is asked."""

        def answer(content: Any) -> dict[str, Any]:
            action = content.get("action") if isinstance(content, dict) else None
            if action not in ACTIONS:
                raise ConfigurationError(f"an action is one of {', '.join(ACTIONS)}")

            def work(_: Any) -> Generator[None, None, dict[str, Any]]:
                self._action = action
                return {"asked": action}
                yield

            return errands.ask(work).result()

        return answer

    def done(self) -> bool:
        """Exchange the files, if that was asked for, while nobody has the store; whether it was.

        Who asked looks at the files for what came of it; the projector goes on with what is there.
        """
        if self._action is None:
            return False
        action, self._action = self._action, None
        try:
            ACTIONS[action](self._store)
        except TouchlogError as error:
            click.echo(f"{action}: {error}", err=True)
        return True


def exchange_anyhow(path: Path, reader: "Reader", action: str) -> None:
    """Exchange the files, whoever holds the store now.

    Raises ConfigurationError (it cannot be done), StoreBusy, StoreError.
    """
    deadline = time.monotonic() + _PATIENCE_S
    if action == "retire":
        # Nobody has that file open.
        files.retire(path)
        return
    before = _place(path)
    while True:
        try:
            ACTIONS[action](path)
            return
        except StoreBusy:
            if time.monotonic() > deadline:
                raise
        told = reader.errand("exchange", {"action": action})
        while told is not None and time.monotonic() < deadline:
            if _place(path) != before:
                return
            time.sleep(_PAUSE_S)
        time.sleep(_PAUSE_S)


def exchange_and_say(settings: "Settings", action: str) -> None:
    """Exchange the files, and say what is live now."""
    from touchlog.client import Reader

    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        exchange_anyhow(settings.store, reader, action)
    said = {
        "switch": "the store that was built from the log is live; back: touchlog switch --source log --back",
        "switch back": "the store that was live before is live again",
        "retire": "the store that was live before is deleted",
    }
    click.echo(said[action], err=True)


def _place(path: Path) -> tuple[bool, bool, int]:
    """What changes when files are exchanged."""
    return files.next_of(path).exists(), files.retired_of(path).exists(), path.stat().st_ino if path.exists() else 0
