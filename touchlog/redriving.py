"""Redriving dead letters from any process: through the projector while one runs, else in the store itself."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumers.errands import Errands
from consumers.fold import Folder
from consumers.redrive import Asked, Told, redrive
from projections.store import Store
from projections.store_errors import translated
from schemas.registry import Registry
from touchlog.whoever import whoever_holds_it

if TYPE_CHECKING:
    from touchlog.client import Reader


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
    return whoever_holds_it(
        path, reader, "redrive", asked.to_json(), lambda store: _alone(store, registry, asked).to_json()
    )


def _alone(store: Store, registry: Registry, asked: Asked) -> Told:
    steps = redrive(Folder(store), store, registry, asked)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            told: Told = done.value
            return told
