"""The real command in a process that dies, or meets an error, at a given step: nothing in the product knows of it.

    python -m tests.faults.victim --at fold.commit.after --nth 3 -- project --until-caught-up --data-dir DIR
    python -m tests.faults.victim --delivered FILE -- produce phone calls.csv --data-dir DIR

`--do kill` (the default) is kill -9 at that very place, `raise` an I/O error of DuckDB. `--delivered` writes down
every event that the log has confirmed, when it is told so: topic, partition, offset. `--slice` is how many rows one
step of a compaction, or of building a version, moves.
"""

import argparse
import os
import signal
import sys
from typing import Any

import duckdb

from tests.faults import mutants
from tests.faults.steps import ALL, REPLAY, Steps, slice_thinly, watch


def main(arguments: list[str]) -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(prog="tests.faults.victim", description=__doc__)
    parser.add_argument("--at", choices=(*ALL, *REPLAY))
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--do", choices=("kill", "raise"), default="kill")
    parser.add_argument("--delivered")
    parser.add_argument("--slice", type=int)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)

    def strike(step: str) -> None:
        if given.do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise duckdb.IOException(f"struck at {step}")

    if mutant := os.environ.get(mutants.VARIABLE):
        mutants.apply(mutant)
    if given.at:
        watch(Steps(given.at, given.nth, strike))
    if given.slice:
        slice_thinly(given.slice)
    if given.delivered:
        _write_down_deliveries(given.delivered)

    from touchlog.cli import cli

    sys.exit(cli.main(given.command, prog_name="touchlog"))


def _write_down_deliveries(path: str) -> None:
    from producers.publish import _Run

    # Unbuffered: what was written survives kill -9, as a report on a screen would.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    settle = _Run._settle

    def settled(run: Any, place: Any, position: Any, error: Any) -> None:
        settle(run, place, position, error)
        if position is not None:
            os.write(file, f"{position.topic} {position.partition} {position.offset}\n".encode())

    _Run._settle = settled


if __name__ == "__main__":
    main(sys.argv[1:])
