"""Redriving dead letters from any process: through the projector while one runs, else in the store itself."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumers.errands import Errands
from consumers.fold import Folder
from consumers.redrive import Asked, Told, redrive
from projections.store import Store
from projections.store_errors import translated
from schemas.errors import ConfigurationError, StoreBusy
from schemas.registry import Registry

if TYPE_CHECKING:
    from touchlog.client import Reader

_PATIENCE_S = 10.0
_PAUSE_S = 0.2


def through(errands: Errands, store: Store, registry: Registry) -> Callable[[Any], dict[str, Any]]:
    """How a projector's server redrives: the work is done in the projector's thread, between two batches."""

    def answer(content: Any) -> dict[str, Any]:
        asked = Asked.from_json(content)
        with translated(store.path):
            return errands.ask(lambda folder: redrive(folder, store, registry, asked)).result().to_json()

    return answer


def redrive_anyhow(path: Path, reader: "Reader", registry: Registry, asked: Asked) -> dict[str, Any]:
    """What came of it (`consumers.redrive.Told`), whoever holds the store now.

    Raises ConfigurationError (no store there), StoreBusy, RegistryUnavailable and what the store raises.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            told: dict[str, Any] | None = reader.errand("redrive", asked.to_json())
            if told is not None:
                return told
            if not path.exists():
                raise ConfigurationError(f"no store at {path}; type: touchlog project --until-caught-up")
            with Store.open(path) as store, translated(path):
                return _alone(store, registry, asked).to_json()
        except StoreBusy:
            # A projector has the file before it answers and until after it has ended, and a reader may have it for a
            # moment. What was done by then stays done.
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _alone(store: Store, registry: Registry, asked: Asked) -> Told:
    steps = redrive(Folder(store), store, registry, asked)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            told: Told = done.value
            return told
