"""The views as of two times, for one query: what had happened by one, as far as it was known by the other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from projections.as_of import Cut, copy_whole, cut_of
from projections.store import Store
from projections.versions import live, versions
from schemas.errors import ConfigurationError
from touchlog.guard import limited, lock_down


@dataclass(frozen=True, kw_only=True, slots=True)
class Then:
    """`happened`: events that occurred by then; `known`: and had been folded by then. None is no bound."""

    happened: datetime | None = None
    known: datetime | None = None

    @classmethod
    def of(cls, happened: str | None, known: str | None) -> "Then":
        """From what a person types, ISO 8601, UTC without an offset. Raises ConfigurationError."""
        return cls(happened=happened and _moment(happened), known=known and _moment(known))  # type: ignore[arg-type]

    @property
    def now(self) -> datetime:
        """The time that is "now" in such an answer."""
        return self.happened or self.known or datetime.now(UTC)

    def __bool__(self) -> bool:
        return self.happened is not None or self.known is not None

    def cut(self, con: duckdb.DuckDBPyConnection) -> Cut:
        """The events of a store that are meant."""
        return cut_of(con, happened=self.happened, known=self.known)

    def to_json(self) -> dict[str, str]:
        return {
            name: moment.isoformat()
            for name, moment in (("as_of", self.happened), ("known_at", self.known))
            if moment is not None
        }


NOW = Then()


@contextmanager
def as_of(con: duckdb.DuckDBPyConnection, then: Then, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """All views of a store as of then: `con` itself when that is now, else a store of their own on disk, gone
    afterwards.

    Making that takes about as long as reading every event, `seconds` at most; QueryRefused beyond. `now()` in a query
    is today's, so ask `<view>_at(t)` where it counts.
    """
    if not then:
        yield con
        return
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="touchlog-"))
        with limited(con, seconds):
            con.execute("BEGIN TRANSACTION READ ONLY")
            try:
                scratch = stack.enter_context(
                    Store.open(Path(folder) / "views.duckdb", projections=live(versions(con)))
                )
                copy_whole(con, scratch, then.cut(con))
            finally:
                con.execute("ROLLBACK")
        lock_down(scratch.con)
        yield scratch.con


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time; write it as 2026-03-02 or 2026-03-02T09:14:05+01:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
