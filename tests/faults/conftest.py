"""How long and from which seed the faults are tried, where, and the table of what came of it (README.md).

pytest tests/faults --faults short --faults-seed 7 --faults-json faults.json
"""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import mutants, table
from tests.faults.brokers import ProxiedBroker
from tests.faults.commands import Commands
from tests.faults.homes import Home
from tests.kafka.java import NotAvailable

_HERE = Path(__file__).parent
LENGTHS = ("ci", "short", "long")
_ROWS = pytest.StashKey[dict[str, table.Row]]()

if mutant := os.environ.get(mutants.VARIABLE):
    # The suite tests itself: this process and those that it starts run a product with one fault of its own.
    mutants.apply(mutant)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=LENGTHS, default="ci", help="how often each fault strikes (default ci)")
    group.addoption("--faults-seed", type=int, default=None, help="what chance is drawn from (default: anything)")
    group.addoption("--faults-json", type=Path, default=None, metavar="FILE", help="write the table there as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = {}
    config.addinivalue_line("markers", "form(ci='', short='embedded kafka'): on which logs in which form; long has all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` and `make test-kafka` run the tests of the form ci, `make faults` more of them."""
    here = [item for item in items if item.path.parent == _HERE]
    # The suite does not test itself while it tests itself.
    judging = mutants.VARIABLE in os.environ
    left_out = [
        item for item in here if not _in_form(item, _length(config)) or (judging and item.path.stem == "test_selftest")
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _in_form(item: pytest.Item, length: str) -> bool:
    logs = {"ci": "", "short": "embedded kafka", "long": "embedded kafka"}
    # A parameter's own mark comes last.
    for mark in item.iter_markers("form"):
        logs.update(mark.kwargs)
    return _log_of(item) in logs[length].split()


def _log_of(item: pytest.Item) -> str:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return str(params.get("home") or ("kafka" if item.get_closest_marker("kafka") else "embedded"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    row = item.config.stash[_ROWS].get(item.nodeid)
    if row is not None:
        row.seconds += report.duration
        if report.when == "call" or not report.passed:
            row.result, row.why = report.outcome, _why(report)
    return report


def pytest_terminal_summary(config: pytest.Config) -> None:
    rows = [row for row in config.stash[_ROWS].values() if row.result != "not run"]
    if rows and (config.getoption("faults_json", None) or _length(config) != "ci"):
        print()
        table.show(rows, f"Faults, {_length(config)} form", width=None if sys.stdout.isatty() else 150)
    if path := config.getoption("faults_json", None):
        table.write(rows, path)


def _length(config: pytest.Config) -> str:
    # The option is unknown where pytest was not started with this folder.
    return str(config.getoption("faults", None) or "ci")


def _why(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).strip().splitlines()[0][:200]


@pytest.fixture
def row(request: pytest.FixtureRequest, dice: random.Random, seed: int) -> table.Row:
    """The test's row of the table; the test fills in `runs` and may better the words."""
    words = request.node.originalname.removeprefix("test_").replace("_", " ")
    found = table.Row(fault=words, log=_log_of(request.node), seed=seed, test=request.node.nodeid)
    request.config.stash[_ROWS][request.node.nodeid] = found
    return found


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Callable[..., int]:
    """`times(ci=3, short=10, long=200)`: how often in this form."""

    def of(*, ci: int = 0, short: int, long: int) -> int:
        return {"ci": ci, "short": short, "long": long}[_length(request.config)]

    return of


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    given: int | None = request.config.getoption("faults_seed", default=None)
    return random.randrange(2**32) if given is None else given


@pytest.fixture
def dice(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """What chance is drawn from; its seed is printed, so that a failure can be had again."""
    print(f"again with: pytest '{request.node.nodeid}' --faults {_length(request.config)} --faults-seed {seed}")
    return random.Random(seed)


@pytest.fixture
def commands() -> Iterator[Commands]:
    """Starts commands, and ends whatever of them is left."""
    started = Commands()
    yield started
    started.end()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.broker])])
def home(request: pytest.FixtureRequest, tmp_path: Path, unique: Callable[[str], str], commands: Commands) -> Home:
    """A log of the test's own in each of the log's homes, and a folder for its store."""
    if request.param == "embedded":
        return Home(log="embedded", url=f"embedded:{tmp_path / 'log.sqlite'}", folder=tmp_path, commands=commands)
    bootstrap = request.getfixturevalue("real_kafka").bootstrap
    url = f"kafka://{bootstrap}?prefix={unique('faults')}."
    return Home(log="kafka", url=url, folder=tmp_path, commands=commands)


@pytest.fixture(scope="session")
def broker(wanted: str) -> Iterator[ProxiedBroker]:
    """A broker to be killed, that can also be reached through a proxy. Its topics must have unique names."""
    try:
        broker = ProxiedBroker()
    except NotAvailable as error:
        if wanted == "real":
            raise
        pytest.skip(str(error))
    broker.start()
    yield broker
    broker.close()
