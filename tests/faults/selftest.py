"""Does the suite find what it is made to find? Each mutant of the product has to make a test fail.

    python -m tests.faults.selftest [--only NAME …] [--no-kafka] [--no-baseline] [--seed N]

Prints which test caught which mutation, and why; exit code 1 when one got through, or when a test fails without any.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults.commands import ROOT
from tests.faults.mutants import MUTANTS, VARIABLE, Mutant

_HERE = "tests/faults"
_PATIENCE_S = 1200
_OURS = ("AttributeError", "ImportError", "NameError", "TypeError", "unexpected")
"""What a mutant that no longer fits the product fails with, instead of a test that says what is wrong."""


@dataclass(kw_only=True)
class Verdict:
    """What became of one mutant, or (`mutant` empty) of the product as it is."""

    mutant: str
    test: str = ""
    why: str = ""
    seconds: float = 0.0

    @property
    def caught(self) -> bool:
        return bool(self.test)

    @property
    def broken(self) -> bool:
        return self.caught and any(word in self.why for word in _OURS)


def ask(name: str, tests: tuple[str, ...], *, kafka: bool, seed: int, form: str = "ci") -> Verdict:
    """Run the tests with a mutant until one fails."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        # `embedded` is in the name of every test of that log: a parameter of it, or its file.
        where = ["-m", "kafka"] if kafka else ["-k", "embedded"]
        words = [
            *(f"{_HERE}/{test}" if test else _HERE for test in tests),
            *where,
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        command = [sys.executable, "-m", "pytest", *words, "--faults", form, "--faults-seed", str(seed)]
        done = subprocess.run(
            [*command, "--faults-json", str(path)],
            cwd=ROOT,
            env={**os.environ, VARIABLE: name} if name else {**os.environ},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        rows = json.loads(path.read_text("utf-8")) if path.exists() else []
    failed = [row for row in rows if row["result"] == "failed"]
    seconds = time.monotonic() - began
    if done.returncode == 0:
        return Verdict(mutant=name, seconds=seconds)
    if done.returncode != 1 or not failed:
        return Verdict(mutant=name, test="(pytest)", why="unexpected: " + done.stdout[-500:], seconds=seconds)
    return Verdict(mutant=name, test=failed[0]["test"].split("/")[-1], why=failed[0]["why"], seconds=seconds)


def judge(name: str, mutant: Mutant, *, seed: int) -> Verdict:
    """The tests that should catch it, then all."""
    verdict = ask(name, mutant.tests, kafka=mutant.kafka, seed=seed)
    return verdict if verdict.caught else ask(name, ("",), kafka=mutant.kafka, seed=seed, form="short")


def main(arguments: list[str]) -> int:
    """The table; 0 when every mutant was caught."""
    parser = argparse.ArgumentParser(prog="tests.faults.selftest")
    parser.add_argument("--only", nargs="+", choices=list(MUTANTS), metavar="NAME")
    parser.add_argument("--no-kafka", action="store_true")
    parser.add_argument("--no-baseline", action="store_true", help="the product as it is has been tried already")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args(arguments)
    chosen = {name: MUTANTS[name] for name in given.only or MUTANTS if not (given.no_kafka and MUTANTS[name].kafka)}

    print(f"seed {given.seed}", flush=True)
    table = Table(title="Mutations, and the tests that caught them", title_justify="left")
    table.add_column("mutation", no_wrap=True)
    for column in ("what is wrong", "caught by", "because"):
        table.add_column(column, overflow="fold")
    table.add_column("seconds", justify="right")
    bad = []
    for kafka in () if given.no_baseline else sorted({mutant.kafka for mutant in chosen.values()}):
        tests = tuple(dict.fromkeys(test for one in chosen.values() if one.kafka == kafka for test in one.tests))
        plain = ask("", tests, kafka=kafka, seed=given.seed)
        print(f"no mutant: {plain.test or 'nothing fails'} ({plain.seconds:.0f} s)", flush=True)
        said = f"[red]{escape(plain.why)}[/]" if plain.caught else "[green]nothing fails[/]"
        table.add_row("(none)", "the product as it is", said, "", f"{plain.seconds:.0f}")
        bad += [plain] if plain.caught else []
    for name, mutant in chosen.items():
        verdict = judge(name, mutant, seed=given.seed)
        print(f"{name}: {verdict.test or 'SURVIVED'} ({verdict.seconds:.0f} s)", flush=True)
        by = escape(verdict.test) if verdict.caught else "[red]NOTHING: it survived[/]"
        if verdict.broken:
            by = f"[red]the mutant is broken[/] ({by})"
        table.add_row(name, mutant.says, by, escape(verdict.why[:160]), f"{verdict.seconds:.0f}")
        bad += [verdict] if verdict.broken or not verdict.caught else []
    Console(highlight=False, width=160 if not sys.stdout.isatty() else None).print(table)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
