"""Waiting for what is away: the same call again until it answers, telling meanwhile what is waited for and why."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from schemas.errors import RetryLater

T = TypeVar("T")
Away = Literal["log", "registry"]

WORDS: dict[Away, str] = {"log": "the log", "registry": "the schema registry"}

_RETRY_S = (0.1, 0.5, 1.0, 5.0)
_SLICE_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """What is waited for, since when (UTC), and how it failed last."""

    what: Away
    since: datetime
    why: str


class Patience:
    """Of one thread: what it does while something is away."""

    def __init__(
        self,
        stopping: Callable[[], bool],
        *,
        told: Callable[[Wait | None], None],
        meanwhile: Callable[[Away], object] = lambda _: None,
    ) -> None:
        """`told` hears of each failure, and None once it answers; `meanwhile` is called some ten times a second."""
        self._stopping = stopping
        self._told = told
        self._meanwhile = meanwhile

    def ask(self, what: Away, call: Callable[[], T]) -> T | None:
        """The call's answer, asked again while it raises RetryLater; None when stopping. Other errors come out."""
        since: datetime | None = None
        tries = 0
        while not self._stopping():
            try:
                answer = call()
            except RetryLater as error:
                since = since or datetime.now(UTC)
                self._told(Wait(what=what, since=since, why=str(error)))
                self._sleep(what, _RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
            else:
                if since is not None:
                    self._told(None)
                return answer
        return None

    def _sleep(self, what: Away, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping() and (left := end - time.monotonic()) > 0:
            self._meanwhile(what)
            time.sleep(min(left, _SLICE_S))
