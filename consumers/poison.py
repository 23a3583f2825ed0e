"""A batch that the store refuses: the records that are the cause are found and marked bad, and the rest is folded."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from consumers.decode import BadRecord
from consumers.fold import Folder
from consumers.halving import breaking, may_be_a_records
from consumers.ids import Mask
from consumers.prepare import Prepared, without_rows
from projections.store import Store
from schemas.errors import InvalidEvent, StoreError

T = TypeVar("T")


def around_poison(folder: Folder, prepared: Prepared, fold: Callable[[Prepared], T]) -> T:
    """What `fold` says of the batch; records that it fails with are bad from then on, and the others are folded.

    They are looked for in an empty store in memory first, which costs little, and where nothing fails there, in the
    real one, by folds that are rolled back. Raises what no record is the cause of, as it is.
    """
    before = folder.last_batch()
    for look in (refused, lambda left: refused_here(folder, left)):
        try:
            return fold(prepared)
        except Exception as error:
            # A commit that reported an error may have succeeded: what is in the store is not folded again.
            if not may_be_a_records(error) or folder.last_batch() != before:
                raise
            bad = look(prepared)
        if bad:
            prepared = without(prepared, bad)
    try:
        return fold(prepared)
    except Exception as error:
        if not may_be_a_records(error) or folder.last_batch() != before:
            raise
        raise StoreError(
            f"the store refuses a batch and no single record of it: {type(error).__name__}; nothing of it was committed"
        ) from error


def without(prepared: Prepared, bad: Sequence[BadRecord]) -> Prepared:
    """The batch with these records bad, too."""
    gone = np.isin(prepared.places, np.array([record.place for record in bad], np.int64))
    return replace(without_rows(prepared, gone), bad=[*prepared.bad, *bad])


def refused(prepared: Prepared) -> list[BadRecord]:
    """The records that cannot be folded into an empty store: into whatever table, for whatever reason."""
    with Store.in_memory() as store:
        store.con.execute("SET arrow_lossless_conversion = true")
        folder = Folder(store)
        return _bad(prepared, folder.fold)


def refused_here(folder: Folder, prepared: Prepared) -> list[BadRecord]:
    """The records that cannot be folded into this store, as it is now; it is left as it is."""
    return _bad(prepared, folder.rehearse)


def _bad(prepared: Prepared, attempt: Callable[[Prepared], object]) -> list[BadRecord]:
    def attempt_rows(rows: Sequence[int]) -> None:
        left_out: Mask = np.ones(len(prepared.places), bool)
        left_out[rows[0] : rows[-1] + 1] = False
        attempt(replace(without_rows(prepared, left_out), bad=(), next_positions={}))

    return [
        BadRecord(
            place=int(prepared.places[row]),
            stage="fold",
            error=InvalidEvent(f"refused by the store: {type(error).__name__}"),
        )
        for row, error in breaking(range(len(prepared.places)), attempt_rows)
    ]
