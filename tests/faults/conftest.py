"""How long and how often the faults are tried: `pytest tests/faults --kills 200 --kill-seed 7`."""

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=None, help="how often a projector is killed (default 20, embedded 10)"
    )
    parser.addoption("--kill-seed", type=int, default=None, help="what the moments are drawn from (default: anything)")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int | None:
    """How often to kill, if somebody said so."""
    found: int | None = request.config.getoption("kills", default=None)
    return found


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """What the moments are drawn from; its seed is printed, so that a failure can be had again."""
    seed = request.config.getoption("kill_seed", default=None)
    seed = random.randrange(2**32) if seed is None else seed
    print(f"again with: pytest {request.node.nodeid} --kill-seed {seed}")
    return random.Random(seed)
