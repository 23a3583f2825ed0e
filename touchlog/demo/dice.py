"""Chance that is the same on every machine and for ever: it rests on `random.random()` alone."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
    """Dice named by what they decide: one story more does not change the others."""

    def __init__(self, *name: object) -> None:
        self._random = Random("/".join(map(str, ("touchlog demo", *name))))

    def chance(self, share: float) -> bool:
        """True in this share of cases, 0-1."""
        return self._random.random() < share

    def between(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return least + int(self._random.random() * (most - least + 1))

    def one_of(self, things: Sequence[_T]) -> _T:
        """One of them, all equally likely."""
        return things[self.between(0, len(things) - 1)]

    def seconds(self, least: int, most: int) -> timedelta:
        """A span of time in whole seconds; short ones are likelier, as people's waits are."""
        share = self._random.random()
        return timedelta(seconds=least + int(share * share * (most - least + 1)))

    def minutes(self, least: int, most: int) -> timedelta:
        """As `seconds`, between so many minutes."""
        return self.seconds(least * 60, most * 60)
