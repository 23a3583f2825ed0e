"""Work on a store from any process: through the projector while one runs, else in the store itself."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from projections.store import Store
from projections.store_errors import translated
from schemas.errors import ConfigurationError, StoreBusy

if TYPE_CHECKING:
    from touchlog.client import Reader

_PATIENCE_S = 10.0
_PAUSE_S = 0.2
Told = TypeVar("Told")


def whoever_holds_it(path: Path, reader: "Reader", errand: str, content: Any, alone: Callable[[Store], Told]) -> Told:
    """What the projector answers to the errand, or what `alone` makes of the store where none runs: the same.

    Raises ConfigurationError (no store there), StoreBusy and what the store raises.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            told: Told | None = reader.errand(errand, content)
            if told is not None:
                return told
            if not path.exists():
                raise ConfigurationError(f"no store at {path}; type: touchlog project --until-caught-up")
            with Store.open(path) as store, translated(path):
                return alone(store)
        except StoreBusy:
            # A projector has the file before it answers and until after it has ended, and a reader may have it for a
            # moment. What was done by then stays done.
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
