"""What the faults came to: one row a test, printed as a table at the end and written as JSON when asked."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(kw_only=True)
class Row:
    """One fault on one log; `runs` is how often it struck, `why` the first line of what failed or was skipped."""

    fault: str
    log: str
    runs: int = 0
    seed: int | None = None
    result: str = "not run"
    why: str = ""
    test: str = ""
    seconds: float = 0.0


def show(rows: list[Row], title: str, *, width: int | None = None) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left")
    for name in ("fault", "log"):
        table.add_column(name, overflow="fold")
    for name in ("runs", "seed", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("result", overflow="fold")
    for row in rows:
        told = row.result if not row.why else f"{row.result}: {row.why}"
        seed = "" if row.seed is None else str(row.seed)
        colour = {"passed": "green", "failed": "red"}.get(row.result, "yellow")
        table.add_row(row.fault, row.log, f"{row.runs:,}", seed, f"{row.seconds:.1f}", f"[{colour}]{_plain(told)}[/]")
    Console(width=width, highlight=False).print(table)


def write(rows: list[Row], path: Path) -> None:
    """The same as a JSON array."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
