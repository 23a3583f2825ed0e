"""Publishing as the command line shows it: progress, a summary that adds up, an exit code."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from log.open import open_log
from producers.format import Format, Options
from producers.publish import Choose, publish
from producers.rejects import RejectsFile
from producers.report import Report
from producers.sources import HEAD, Source
from schemas.errors import DeliveryFailed, InvalidEvent, StoreError
from schemas.registry import open_registry
from schemas.topics import TOPICS
from touchlog.render import console, count, facts_table, one_line
from touchlog.settings import Settings
from touchlog.signals import terminated_as_interrupted

_UNREAD = 1
_INTERRUPTED = 130
_REASONS_SHOWN = 10


def publish_and_report(
    found: Iterable[Source], chosen: Format | Choose, options: Options, *, settings: Settings, rejects: Path
) -> None:
    """Publish, show the summary, and end as the summary says (see `touchlog produce --help`).

    Raises what ended the run, DeliveryFailed when the log did not confirm everything, and click's Exit.
    """
    settings.make_data_dir()
    rejects.parent.mkdir(parents=True, exist_ok=True)
    registry = open_registry(settings.registry_url)
    with (
        open_log(settings.log, kafka_options=settings.kafka_options or None) as log,
        RejectsFile(rejects) as kept,
        terminated_as_interrupted(),
    ):
        log.create_topics(TOPICS, settings.partitions)
        with _progress() as progress:
            task = progress.add_task("publishing", total=None, shown="")

            def show(report: Report) -> None:
                shown = (
                    f"{count(report.read)} read, {count(report.delivered)} published, {count(report.rejected)} rejected"
                )
                progress.update(task, shown=shown)

            report = publish(
                found, format=chosen, options=options, log=log, registry=registry, rejects=kept, progress=show
            )
    _tell(report, rejects)
    if report.error is not None:
        raise report.error
    if report.failed:
        raise DeliveryFailed(
            f"the log did not confirm {count(report.failed)} events; their payloads are in {rejects}:"
            " type the same command again, what is there already is counted once"
        )
    if report.stopped:
        raise click.exceptions.Exit(_INTERRUPTED)
    if report.unreadable:
        raise click.exceptions.Exit(_UNREAD)


def dry_run(found: Iterable[Source], chosen: Format | Choose, options: Options) -> None:
    """Print every event as a line of JSON, and on standard error what would be rejected."""
    out = sys.stdout
    for source in found:
        with source.opened() as stream:
            known = chosen if isinstance(chosen, Format) else chosen(source, stream.peek(HEAD)[:HEAD])
            for payload in known.payloads(stream, options):
                try:
                    if payload.error is not None:
                        raise InvalidEvent(payload.error)
                    for event in known.events(payload.content, options):
                        out.write(f'{{"channel":"{event.channel}",{event.model_dump_json(exclude_none=True)[1:]}\n')
                except InvalidEvent as error:
                    click.echo(f"{source.name}:{payload.line}: rejected: {error}", err=True)


def _tell(report: Report, rejects: Path) -> None:
    """The summary on standard error, so that standard output stays the caller's."""
    shown = console(stderr=True)
    shown.print(
        facts_table(
            ["payloads", "", "events", ""],
            [
                ["published", report.with_events, "confirmed by the log", report.delivered],
                ["without events", report.without_events, "not confirmed", report.failed],
                ["rejected", report.rejected, "", ""],
                [Text("read", style="bold"), report.read, Text("in all", style="bold"), report.events],
            ],
            numbers=["", ""],
        )
    )
    for topic, number in sorted(report.by_topic.items()):
        shown.print(Text(f"  {topic}  {count(number)}", style="dim"))
    unread: dict[str, list[str]] = {}
    for name, why in report.unreadable:
        unread.setdefault(one_line(why), []).append(name)
    for why, names in unread.items():
        shown.print(Text(f"not read, {why}:", style="red"))
        for name in names:
            shown.print(Text(f"  {name}", style="red"))
    reasons = sorted(report.reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, number in reasons[:_REASONS_SHOWN]:
        shown.print(Text(f"  {count(number)} x {one_line(reason)}", style="yellow"))
    if len(reasons) > _REASONS_SHOWN:
        shown.print(Text(f"  and {len(reasons) - _REASONS_SHOWN} other reasons", style="yellow"))
    if isinstance(report.error, StoreError):
        said = f"{rejects} may not hold all that was not published; send the same input again: nothing is counted twice"
        shown.print(Text(said, style="red"))
    elif report.rejected or report.failed:
        shown.print(Text(f"what was not published is kept whole in {rejects}", style="yellow"))
    if report.stopped and report.error is None:
        shown.print(
            Text("interrupted: what is counted as confirmed is in the log, type the command again for the rest")
        )


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
