"""Finding the few that break what works for the others, by halving."""

from collections.abc import Callable, Iterator, Sequence

import duckdb

from schemas.errors import StoreError, TouchlogError

MOST = 1_000
"""So many bad ones of one batch, for reasons that nobody foresaw, are not the records' fault."""

_NOT_A_RECORDS = (
    TouchlogError,
    MemoryError,
    OSError,
    duckdb.OperationalError,
    duckdb.InternalError,
    duckdb.FatalException,
    duckdb.InterruptException,
    duckdb.PermissionException,
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.ParserException,
)


def may_be_a_records(error: BaseException) -> bool:
    """Whether an error can come from what one record holds, and not from disk, memory, log or the program's own SQL."""
    return isinstance(error, Exception) and not isinstance(error, _NOT_A_RECORDS)


def breaking(items: Sequence[int], attempt: Callable[[Sequence[int]], object]) -> list[tuple[int, Exception]]:
    """The items with which `attempt` fails, each alone, and how; the items that are left out do not fail together.

    Raises what is no item's fault, and StoreError when more than MOST items fail.
    """
    found: list[tuple[int, Exception]] = []
    for one in _breaking(items, attempt):
        found.append(one)
        if len(found) > MOST:
            raise StoreError(
                f"more than {MOST} records of one batch fail as {type(one[1]).__name__}: a fault of touchlog or of the"
                " store, not of the records; nothing of the batch was committed"
            ) from one[1]
    return found


def _breaking(items: Sequence[int], attempt: Callable[[Sequence[int]], object]) -> Iterator[tuple[int, Exception]]:
    if not len(items):
        return
    try:
        attempt(items)
    except Exception as error:
        if not may_be_a_records(error):
            raise
        if len(items) == 1:
            yield items[0], error
            return
        half = len(items) // 2
        yield from _breaking(items[:half], attempt)
        yield from _breaking(items[half:], attempt)
