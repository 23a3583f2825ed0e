"""A log, a store, and the real commands that work on them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from consumers.projector import Progress, Projector
from log.log import Log
from log.open import open_log
from projections.store import Store
from tests.faults.commands import PATIENCE_S, Command, Commands
from tests.folding import REGISTRY
from touchlog.reader_file import read_live


@dataclass(kw_only=True)
class Home:
    """A log at `url`, and in `folder` the store that it is folded into."""

    log: str
    url: str
    folder: Path
    commands: Commands
    batch: int = 20
    compact_after: int = 150
    more: list[str] = field(default_factory=list)
    """Further options of every command."""

    @property
    def store(self) -> Path:
        return self.folder / "views.duckdb"

    def open(self, **kafka_options: str) -> Log:
        return open_log(self.url, kafka_options=kafka_options or None)

    def touchlog(
        self, *words: object, at: str | None = None, victim: Sequence[object] = (), fresh: bool = False
    ) -> Command:
        """Start a command, that may be a victim (tests.faults.victim) to die at a step."""
        given = [*words, "--data-dir", self.folder, "--log", self.url, *self.more]
        step = ["--at", at] if at else []
        return self.commands.start([*step, *victim, "--", *given], fresh=fresh)

    def project(self, *words: object, until_caught_up: bool = True, **options: Any) -> Command:
        """Start the projector."""
        sizes = ["--batch-size", self.batch, "--compact-after", self.compact_after]
        end = ["--until-caught-up"] if until_caught_up else []
        return self.touchlog("project", *end, *sizes, *words, **options)

    def beside(self, folder: Path, *, url: str | None = None) -> "Home":
        """The same log (or another one) with a store of its own in another folder."""
        return replace(self, folder=folder, url=url or self.url)

    def ask(self, sql: str) -> str:
        """What `touchlog sql` answers, which works while a projector runs."""
        command = self.commands.start(["--", "sql", "--csv", sql, "--data-dir", self.folder])
        assert command.wait() == 0, command.said
        return command.said.split()[-1]

    def project_to_the_end(self) -> None:
        """Fold what is left, undisturbed."""
        command = self.project()
        assert command.wait() == 0, command.said
        assert "caught up" in command.said

    def fold_here(self, **options: Any) -> Progress:
        """Fold what is left, in this process."""
        sizes = {"batch_size": self.batch, "compact_after": self.compact_after}
        with self.open() as log, Store.open(self.store) as store:
            return run_to_the_end(Projector(log, store, REGISTRY, **{**sizes, **options}))

    def wal_size(self) -> int:
        """Bytes that the store's own log holds: more after every commit, none after a checkpoint."""
        try:
            return self.store.with_name(self.store.name + ".wal").stat().st_size
        except FileNotFoundError:
            return 0

    def answers(self) -> bool:
        """Whether a projector of this store answers readers."""
        return read_live(self.store) is not None


def run_to_the_end(projector: Projector) -> Progress:
    """Fold what is left; AssertionError when that takes longer than anything may."""
    deadline = time.monotonic() + PATIENCE_S
    done = projector.run(until_caught_up=True, stop=lambda: time.monotonic() > deadline)
    assert done.state == "caught up", f"not at the end after {PATIENCE_S:.0f} s: lag {done.lag}"
    return done


def until(holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until it holds; AssertionError when it does not come to that."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.005)
