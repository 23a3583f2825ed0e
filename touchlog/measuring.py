"""Definitions of response times from any process: through the projector while one runs, else in the store itself."""

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumers.errands import Errands
from projections.metrics import Definition, checked, load, to_json
from projections.store import Store
from schemas.errors import ConfigurationError, StoreBusy

if TYPE_CHECKING:
    from touchlog.client import Reader

_PATIENCE_S = 10.0
_PAUSE_S = 0.2


def perform(store: Store, definitions: Sequence[Definition]) -> bool:
    """They stand from now on, in one transaction; False when they stood already."""
    with store.transaction():
        return load(store.con, definitions)


def through(errands: Errands, store: Store) -> Callable[[Any], dict[str, bool]]:
    """How a projector's server does it: in the projector's thread, between two batches."""

    def answer(content: Any) -> dict[str, bool]:
        definitions = checked(content, where="the request")

        def work(_: Any) -> Generator[None, None, dict[str, bool]]:
            return {"changed": perform(store, definitions)}
            yield

        return errands.ask(work).result()

    return answer


def load_anyhow(path: Path, reader: "Reader", definitions: Sequence[Definition]) -> bool:
    """They stand from now on, whoever holds the store; False when they stood already.

    Raises ConfigurationError (a definition changed and its version did not; no store there), StoreBusy and what the
    store raises.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            told: dict[str, bool] | None = reader.errand("metrics", to_json(definitions))
            if told is not None:
                return told["changed"]
            if not path.exists():
                raise ConfigurationError(f"no store at {path}; type: touchlog project --until-caught-up")
            with Store.open(path) as store:
                return perform(store, definitions)
        except StoreBusy:
            # A projector has the file before it answers and until after it has ended, and a reader may have it for a
            # moment.
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
