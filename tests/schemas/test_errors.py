"""The errors: one tree, drawn at the top of the module, in docs/errors.md too, with exit codes that stay."""

import inspect
import re
from pathlib import Path

import pytest

from schemas import errors
from schemas.errors import DeadLetter, RetryLater, Stop, TouchlogError

PAGE = (Path(__file__).parents[2] / "docs/errors.md").read_text("utf-8")
CLASSES = {name: one for name, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__}

# What scripts rely on; a code that is here is never given another meaning.
EXIT_CODES = {
    "TouchlogError": 1,
    "Stop": 1,
    "ConfigurationError": 2,
    "StoreError": 3,
    "StoreBusy": 3,
    "StoreFull": 3,
    "OffsetConflict": 3,
    "RebuildNeeded": 3,
    "LogError": 4,
    "TopicRecreated": 4,
    "RetentionLost": 4,
    "OffsetBeyondEnd": 4,
    "ProjectionChanged": 5,
    "QueryRefused": 6,
    "ParkingRefused": 7,
    "PoisonRecord": 7,
    "TooManyParked": 7,
    "RetryLater": 75,
    "LogUnavailable": 75,
    "RegistryUnavailable": 75,
    "DeliveryFailed": 75,
    "DeadLetter": 1,
    "UndecodableRecord": 1,
    "UnknownSchema": 1,
    "InvalidEvent": 1,
}


def drawn(text):
    """Each class of a drawn tree and its base: a name's column says how deep it is."""
    found, above = {}, []
    for line in text.splitlines():
        match = re.match(r"^([ │├└─]*)([A-Z]\w+)(?:\s{2,}.*)?$", line)
        if match is None or (not above and match[2] != "TouchlogError"):
            continue
        depth = len(match[1])
        while above and above[-1][0] >= depth:
            above.pop()
        found[match[2]] = above[-1][1] if above else "Exception"
        above.append((depth, match[2]))
    return found


def actual():
    return {name: one.__bases__[0].__name__ for name, one in CLASSES.items()}


def test_the_tree_at_the_top_is_the_classes():
    assert drawn(errors.__doc__) == actual()


def test_the_tree_on_the_page_is_the_classes():
    assert drawn(PAGE) == actual()


def test_a_tree_that_is_wrong_is_noticed():
    assert drawn(errors.__doc__.replace("StoreBusy", "StoreLost")) != actual()
    assert drawn(errors.__doc__.replace("    │   │   ├── StoreBusy", "    │   ├── StoreBusy")) != actual()


def test_exit_codes_stay():
    assert {name: one.exit_code for name, one in CLASSES.items()} == EXIT_CODES


def test_no_exit_code_is_one_that_a_shell_gives():
    # 126 and above: not executable, not found, ended by a signal.
    assert all(0 < one.exit_code < 126 for one in CLASSES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_is_on_the_page_with_its_exit_code(name):
    rows = re.findall(rf"^\| `{name}` \| (\d+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    groups = {"TouchlogError", "Stop", "RetryLater", "DeadLetter"}

    assert name in groups or [int(code) for code, _ in rows] == [CLASSES[name].exit_code]
    assert all(advice.strip().endswith(".") for _, advice in rows)


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_what_it_is_and_belongs_to_one_group(name):
    one = CLASSES[name]
    assert one.__doc__
    assert one is TouchlogError or sum(issubclass(one, group) for group in (Stop, RetryLater, DeadLetter)) == 1
    assert str(one("topic interactions.email")) == "topic interactions.email"
