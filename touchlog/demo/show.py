"""What the demo prints."""

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from textwrap import indent

import pyarrow as pa
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.text import Text

from consumers.projector import Progress as Folded
from producers.report import Report
from touchlog.client import Reader
from touchlog.contact import contact_keys
from touchlog.demo.archive import CALLS, DAYS
from touchlog.demo.questions import QUESTIONS, Question
from touchlog.render import answer, console, count, facts_table
from touchlog.render_card import WIDEST, render_card
from touchlog.settings import Settings

ADA = "ada@example.org"


@contextmanager
def bar(what: str) -> Iterator["Bar"]:
    """On a terminal a bar that moves, elsewhere nothing."""
    out = console(stderr=True)
    columns = [TextColumn(f"{what:<10}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        yield Bar(progress)


class Bar:
    """A bar and where it stands."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def at(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


def show_begin(today: date, payloads: int, folder: Path) -> None:
    """What is there to be published."""
    last = today - timedelta(days=1)
    first = today - timedelta(days=DAYS)
    out = console()
    out.print(
        f"{count(payloads)} payloads of invented people in {folder}, from {first} to {last}: their dates are moved so"
        " that they end yesterday"
    )


def show_published(reports: Mapping[str, Report], rejects: Path) -> None:
    """One line a channel, and the sum."""
    rows = [
        (name, report.read, report.with_events, report.without_events, report.rejected, report.delivered)
        for name, report in reports.items()
    ]
    totals = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    headers = ["payloads", "read", "published", "without events", "rejected", "events in the log"]
    in_all = [Text("in all", style="bold"), *totals]
    out = console()
    out.print(_indented(facts_table(headers, [*rows, in_all], numbers=headers[1:])))
    if totals[3]:
        out.print(f"the {count(totals[3])} that nobody can understand are kept whole, with why, in {rejects}")


def show_folded(done: Folded, store: Path) -> None:
    """How the events of the log became views."""
    console().print(
        f"{count(done.read)} records folded into {store}: {count(done.applied)} applied,"
        f" {count(done.duplicates)} delivered twice and counted once, {count(done.parked)} parked; {done.seconds:.1f} s"
    )


def show_answers(settings: Settings) -> None:
    """The card of one customer, and an analyst's three questions with their answers."""
    out = console()
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        card = reader.customer(contact_keys(ADA, region=settings.region))
        out.print(_rule(f"touchlog customer {ADA}", out))
        if card is not None:
            shown = render_card(card, zone=settings.zone, now=datetime.now(UTC))
            out.print(shown, width=min(out.width, WIDEST))
        for question in QUESTIONS:
            out.print(_rule("touchlog sql", out))
            _show_question(question, reader.sql(question.sql), out)


def show_next(settings: Settings, seconds: float, payloads: Path) -> None:
    """What to type now; all of it works on the demo's log and store."""
    store, log = shlex.quote(str(settings.store)), shlex.quote(settings.log)
    lines = (
        *_on_the_path(),
        f"touchlog customer {ADA} --store {store}",
        f'touchlog sql --store {store} "SHOW ALL TABLES"',
        f"touchlog customer {ADA} --next-menu --store {store}",
        f'touchlog sql --store {store} "FROM touchlog.conversations WHERE switches > 1"',
        f'touchlog sql --store {store} "FROM touchlog.journeys ORDER BY moves DESC LIMIT 20"',
        f"touchlog status --store {store} --log {log}",
        f"touchlog produce phone --dry-run {shlex.quote(str(payloads / CALLS))}",
    )
    out = console()
    out.print(_rule(f"done in {seconds:.0f} s; type next", out))
    for line in lines:
        out.print(Text(line, style="bold"), soft_wrap=True)


def _on_the_path() -> tuple[str, ...]:
    """How a shell that does not know `touchlog` yet gets to know it."""
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("touchlog") or not activate.exists():
        return ()
    here = Path.cwd()
    return (f". {shlex.quote(str(activate.relative_to(here) if activate.is_relative_to(here) else activate))}",)


def _show_question(question: Question, rows: pa.Table, out: Console) -> None:
    out.print(Text(question.title, style="bold"))
    out.print(Text(indent(question.sql, "  "), style="dim"), soft_wrap=True)
    found = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    out.print(_indented(answer(rows.schema, found, width=out.width - 2)))
    out.print()


def _rule(title: str, out: Console) -> RenderableType:
    if out.is_terminal:
        return Rule(Text(title), style="dim", align="left")
    return Text(f"-- {title}")


def _indented(shown: RenderableType) -> Padding:
    return Padding(shown, (0, 0, 0, 2), expand=False)
