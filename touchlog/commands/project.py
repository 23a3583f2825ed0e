"""`touchlog project`: fold the log into the views, and answer readers meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from consumers.projector import Progress
    from consumers.pulse import Pulse
    from log.log import Log
    from projections.store import Store
    from schemas.registry import Registry
    from touchlog.exchanging import Exchange
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog project --until-caught-up
  touchlog project --log kafka://localhost:9092 --memory-limit 4GB

Stopping it (Ctrl-C, SIGTERM) commits what is done and leaves cleanly; killing it loses nothing either, the next
start goes on after the last commit. Meanwhile touchlog customer, sql and status answer from any other process."""

_TELL_EVERY_S = 60.0
_WAIT_FOR_READERS_S = 10.0
_PAUSE_S = 0.2


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--until-caught-up", is_flag=True, help="End at what was the log's end at the start.")
@with_settings(
    *("log", "store", "registry", "partitions", "metrics", "batch_size", "latency", "compact_after"),
    *("memory_limit", "threads"),
    *("query_timeout", "on_poison", "max_parked", "dead_letter_topic", "unknown_schema", "unknown_schema_seconds"),
    *("rebuild_share", "prometheus", "prometheus_address"),
)
def command(settings: "Settings", until_caught_up: bool) -> None:
    """Fold the log into the views until stopped."""
    from log.open import open_log
    from projections.exchange import settle_files
    from schemas.registry import open_registry
    from touchlog.exchanging import Exchange
    from touchlog.signals import asked_to_stop

    settings.make_data_dir()
    registry = open_registry(settings.registry_url)
    exchange = Exchange(settings.store)
    with asked_to_stop() as stop, open_log(settings.log, kafka_options=settings.kafka_options or None) as log:
        settle_files(settings.store)
        while True:
            done = _fold(settings, log, registry, exchange, stop, until_caught_up=until_caught_up)
            if stop() or not exchange.done():
                break
    rate = done.read / done.seconds if done.seconds else 0.0
    click.echo(
        f"{done.state}: {done.read:,} records read = {done.applied:,} applied + {done.duplicates:,} duplicates"
        f" + {done.parked:,} parked, in {done.seconds:.1f} s ({rate:,.0f} records/s); lag {done.lag:,}",
        err=True,
    )
    if done.parked:
        click.echo("parked records are kept whole; look at them with: touchlog dead-letters", err=True)


def _fold(
    settings: "Settings",
    log: "Log",
    registry: "Registry",
    exchange: "Exchange",
    stop: Callable[[], bool],
    *,
    until_caught_up: bool,
) -> "Progress":
    """Open the store, fold into it and answer readers, until stopped, caught up or asked to exchange the file."""
    from consumers.decode import Unknown
    from consumers.errands import Errands
    from consumers.projector import Projector
    from consumers.pulse import Pulse
    from consumers.temper import Temper
    from projections.card import Cards
    from projections.metrics import read
    from touchlog.guard import lock_down, time_limit
    from touchlog.health import with_health
    from touchlog.measuring import perform
    from touchlog.measuring import through as measuring
    from touchlog.redriving import through as redriving
    from touchlog.replaying import through as replaying
    from touchlog.server import Answers, serving
    from touchlog.status import status
    from touchlog.verifying import through as verifying

    # A mistake in it is told before anything is opened.
    definitions = None if settings.metrics is None else read(settings.metrics)
    with _opened(settings) as store:
        if definitions is not None:
            perform(store, definitions)
        lock_down(store.con)
        errands, pulse = Errands(), Pulse()
        answers = Answers(
            cursor=store.con.cursor,
            card=Cards(time_limit=time_limit, seconds=settings.query_timeout).card,
            # Of its own: a telephone that rings does not wait for somebody's card.
            menu=Cards(time_limit=time_limit, seconds=settings.query_timeout).menu,
            status=with_health(status, pulse),
            errands={
                "redrive": redriving(errands, store, registry),
                "replay": replaying(errands, store),
                "metrics": measuring(errands, store),
                "exchange": exchange.through(errands),
                "verify": verifying(store.con.cursor),
            },
        )
        with (
            serving(settings.store, answers, query_timeout=settings.query_timeout),
            _measured(settings, pulse, store),
            closing(errands),
            shown(until_caught_up) as show,
        ):
            projector = Projector(
                log,
                store,
                registry,
                batch_size=settings.batch_size,
                latency=settings.latency,
                compact_after=settings.compact_after,
                partitions=settings.partitions,
                unknown=Unknown(action=settings.unknown_schema, seconds=settings.unknown_schema_seconds),
                on_progress=show,
                pulse=pulse,
                temper=Temper(on_poison=settings.on_poison, max_parked=settings.max_parked),
                dead_letter_topic=settings.dead_letter_topic,
                errands=errands,
                build_share=settings.rebuild_share,
            )
            return projector.run(until_caught_up=until_caught_up, stop=lambda: stop() or exchange.asked)


def _opened(settings: "Settings") -> "Store":
    """The store for writing; a reader that has the file open is waited for, another projector is not."""
    from projections.store import Store
    from schemas.errors import StoreBusy
    from touchlog.reader_file import read_live

    deadline = time.monotonic() + _WAIT_FOR_READERS_S
    while True:
        try:
            return Store.open(settings.store, memory_limit=settings.memory_limit, threads=settings.threads)
        except StoreBusy:
            running = read_live(settings.store)
            if running is not None:
                raise StoreBusy(
                    f"a projector is running already (process {running.pid}); stop it, or name another --store"
                ) from None
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


@contextmanager
def _measured(settings: "Settings", pulse: "Pulse", store: "Store") -> Iterator[None]:
    """Metrics for Prometheus, when they are asked for."""
    if settings.prometheus is None:
        yield
        return
    from touchlog.prometheus import serving_metrics
    from touchlog.status import parked_in

    def parked() -> int | None:
        return parked_in(store.cursor)

    with serving_metrics(pulse, settings.prometheus, address=settings.prometheus_address, parked=parked):
        yield


@contextmanager
def shown(until_caught_up: bool) -> Iterator[Callable[["Progress"], None]]:
    """On a terminal a bar that moves; elsewhere a line a minute."""
    from touchlog.render import console

    out = console(stderr=True)
    if not out.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = [TextColumn("{task.description:<11}"), BarColumn(), TextColumn("{task.fields[shown]}")]
    with Bars(*columns, *([TimeRemainingColumn()] if until_caught_up else []), console=out, transient=True) as bars:
        task = bars.add_task("starting", total=None, shown="")
        rate = _Rate()

        def show(progress: "Progress") -> None:
            said = f"{rate.now(progress):,.0f}/s  {progress.read:,} read  {progress.lag:,} to go"
            bars.update(
                task,
                description=progress.state,
                completed=progress.read,
                total=progress.read + progress.lag,
                shown=said,
            )

        yield show


class _Rate:
    """Records a second over the last few seconds."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def now(self, progress: "Progress") -> float:
        self._marks.append((progress.seconds, progress.read))
        while len(self._marks) > 2 and progress.seconds - self._marks[0][0] > 5:
            self._marks.pop(0)
        (began, before), (end, read) = self._marks[0], self._marks[-1]
        return (read - before) / (end - began) if end > began else 0.0


def _lines() -> Callable[["Progress"], None]:
    told = time.monotonic()

    def show(progress: "Progress") -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY_S:
            told = time.monotonic()
            click.echo(
                f"{progress.state}: {progress.read:,} read, {progress.parked:,} parked, lag {progress.lag:,}", err=True
            )

    return show
