"""Definitions of response times from any process: through the projector while one runs, else in the store itself."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumers.errands import Errands
from projections.metrics import Definition, checked, load, to_json
from projections.store import Store
from touchlog.whoever import whoever_holds_it

if TYPE_CHECKING:
    from touchlog.client import Reader


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
    told = whoever_holds_it(
        path, reader, "metrics", to_json(definitions), lambda store: {"changed": perform(store, definitions)}
    )
    return told["changed"]
