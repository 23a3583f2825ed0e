"""What every test may ask for: a broker, a schema registry, a name of its own.

`TOUCHLOG_TEST_KAFKA=real` (set by `make test-kafka`) turns a missing real broker or registry into a failure;
`mock` passes over every real one, to try what the mock can do.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from projections import store as store_module
from projections.store import Store
from tests.folding import empty_store
from tests.kafka import broker as brokers
from tests.kafka import registry as registries
from tests.kafka.java import NotAvailable


@pytest.fixture(scope="session", autouse=True)
def _new_stores_are_copies() -> Iterator[None]:
    """Making the views of a new store takes most of a second, a thousand times over: in this process a new store is
    the copy of one that was made once. Commands that run in processes of their own make theirs."""
    whole, known = Store.__dict__["open"], store_module.all_projections

    def opened(cls: type[Store], path: Path | str, **options: Any) -> Store:
        path = Path(path)
        asked = options.get("projections") is None and store_module.all_projections is known
        if asked and path.parent.is_dir() and not path.exists():
            with suppress(OSError):
                path.write_bytes(empty_store())
        return whole.__func__(cls, path, **options)  # type: ignore[no-any-return]

    empty_store()
    Store.open = classmethod(opened)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Store.open = whole  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def wanted() -> str:
    """Which broker and registry have to be used: `real`, `mock`, or empty for the best there is."""
    wanted = os.environ.get("TOUCHLOG_TEST_KAFKA", "")
    assert wanted in ("", "real", "mock"), f"TOUCHLOG_TEST_KAFKA is 'real', 'mock' or not set, not {wanted!r}"
    return wanted


@pytest.fixture(scope="session")
def kafka(wanted: str) -> Iterator[brokers.Broker]:
    """The best broker there is: `bootstrap`, `rung`, `real`, `options`. One a session; use unique names."""
    with brokers.best_broker(wanted) as broker:
        yield broker


@pytest.fixture(scope="session")
def real_kafka(kafka: brokers.Broker) -> brokers.Broker:
    """A broker that is Apache Kafka, never the mock."""
    if not kafka.real:
        pytest.skip("needs a real Kafka: set KAFKA_BOOTSTRAP, or install Docker, or maven and Java 17")
    return kafka


@pytest.fixture(scope="session")
def registry(wanted: str) -> Iterator[str]:
    """Where Confluent's schema registry API is served, without a slash at the end. One a session."""
    if wanted == "mock":
        pytest.skip("a registry has no mock")
    try:
        with registries.best_registry() as url:
            yield url
    except NotAvailable as error:
        if wanted == "real":
            raise
        pytest.skip(str(error))


@pytest.fixture
def unique() -> Callable[[str], str]:
    """`unique("chat")` is a name that no other test has."""
    return brokers.unique
