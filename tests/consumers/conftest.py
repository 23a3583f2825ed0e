"""Both homes of the log, for the projector that may not know in which of them it reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumers.projector import Progress, Projector
from log.log import Log
from log.open import open_log
from projections.store import Store
from tests.folding import REGISTRY


@dataclass(frozen=True, kw_only=True)
class Home:
    """A log of the test's own, at `url`, and a store to fold it into."""

    url: str
    store: Path

    def open(self) -> Log:
        return open_log(self.url)

    def run(self, *, stop: Callable[[], bool] | None = None, **options: Any) -> Progress:
        """Fold in a store that is opened for it and closed again: to the end, or until `stop` says so."""
        with self.open() as log, Store.open(self.store) as store:
            projector = Projector(log, store, REGISTRY, **options)
            return projector.run(until_caught_up=True) if stop is None else projector.run(stop=stop)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.broker])])
def home(request: pytest.FixtureRequest, tmp_path: Path, unique: Callable[[str], str]) -> Home:
    if request.param == "embedded":
        return Home(url=f"embedded:{tmp_path / 'log.sqlite'}", store=tmp_path / "views.duckdb")
    broker = request.getfixturevalue("real_kafka")
    return Home(url=f"kafka://{broker.bootstrap}?prefix={unique('projector')}.", store=tmp_path / "views.duckdb")
