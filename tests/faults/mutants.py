"""The product with one fault of its own: each has to make a test of this folder fail (`make faults-selftest`).

A mutant replaces functions of the product in the process that asks for it (the test's and every command's that it
starts, by the variable TOUCHLOG_FAULTS_MUTANT), never in a file.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import mutations

VARIABLE = "TOUCHLOG_FAULTS_MUTANT"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """What is wrong, how it gets so, and which tests are asked first (all are, when these let it pass)."""

    says: str
    change: Callable[[], None]
    tests: tuple[str, ...]
    kafka: bool = False
    """Only a log in Kafka can show it."""


def apply(name: str) -> None:
    """Make this process's product wrong."""
    MUTANTS[name].change()


MUTANTS: dict[str, Mutant] = {
    "skip-an-offset": Mutant(
        says="the last record of a batch is left out, its offset is not",
        change=mutations.skip_an_offset,
        tests=("test_copies.py::test_a_store_copied_between_two_instants",),
    ),
    "offsets-first": Mutant(
        says="offsets are committed in a transaction of their own, before the rows",
        change=mutations.offsets_first,
        tests=("test_failpoints.py::test_killed_at_every_step",),
    ),
    "offsets-after": Mutant(
        says="offsets are committed in a transaction of their own, after the rows",
        change=mutations.offsets_after,
        tests=("test_failpoints.py::test_killed_at_every_step",),
    ),
    "no-compare-and-set": Mutant(
        says="offsets are written whatever is stored",
        change=mutations.no_compare_and_set,
        tests=("test_two_writers.py",),
    ),
    "no-dedup-within": Mutant(
        says="an event twice in one batch is folded twice",
        change=mutations.no_dedup_within,
        tests=("test_arrivals.py",),
    ),
    "no-dedup-across": Mutant(
        says="an event of an earlier batch is folded again",
        change=mutations.no_dedup_across,
        tests=("test_arrivals.py",),
    ),
    "poison-swallowed": Mutant(
        says="a record that cannot be folded is forgotten",
        change=mutations.poison_swallowed,
        tests=("test_poison.py",),
    ),
    "bad-row-takes-its-batch": Mutant(
        says="everything beside a bad record is parked with it",
        change=mutations.bad_row_takes_its_batch,
        tests=("test_poison.py",),
    ),
    "positions-of-what-was-taken": Mutant(
        says="the offsets of batches that wait are committed with the batch before",
        change=mutations.positions_of_what_was_taken,
        tests=("test_failpoints.py::test_killed_at_every_step",),
    ),
    "stale-caches": Mutant(
        says="caches are not read again after a rollback",
        change=mutations.stale_caches,
        tests=("test_errors.py",),
    ),
    "positions-of-kafka": Mutant(
        says="Kafka's committed offsets are believed",
        change=mutations.positions_of_kafka,
        tests=("test_groups.py",),
        kafka=True,
    ),
    "marker-waited-for": Mutant(
        says="a transaction marker at the end of a partition is waited for as if it were a record",
        change=mutations.marker_waited_for,
        tests=("test_groups.py::test_markers_and_holes_at_the_tail",),
        kafka=True,
    ),
    "silent-reset": Mutant(
        says="an offset that is not in the log becomes the log's beginning",
        change=mutations.silent_reset,
        tests=("test_other_logs.py",),
    ),
    "identity-ignored": Mutant(
        says="a topic that was made again is taken for the old one",
        change=mutations.identity_ignored,
        tests=("test_other_logs.py",),
    ),
    "swap-in-pieces": Mutant(
        says="compaction's last step is many transactions",
        change=mutations.swap_in_pieces,
        tests=("test_failpoints.py::test_killed_at_every_step",),
    ),
    "slice-forgotten": Mutant(
        says="compaction forgets rows",
        change=mutations.slice_forgotten,
        tests=("test_readers.py",),
    ),
    "told-too-early": Mutant(
        says="a record is reported as delivered before it is on the disk",
        change=mutations.told_too_early,
        tests=("test_publish.py",),
    ),
    "rejects-dropped": Mutant(
        says="a rejected payload is not kept",
        change=mutations.rejects_dropped,
        tests=("test_publish.py",),
    ),
}
