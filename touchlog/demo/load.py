"""The demo's payloads into a log through the real producers, and from there into a store by the real projector."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from consumers.projector import Progress, Projector
from log.log import Log
from log.open import open_log
from producers.emit import EMIT
from producers.format import Format, Options
from producers.formats import recognise
from producers.publish import publish
from producers.rejects import RejectsFile
from producers.report import Report
from producers.sources import Source, sources
from projections.store import Store
from schemas.errors import ConfigurationError
from schemas.registry import Registry
from schemas.topics import CHANNELS, TOPICS
from touchlog.demo.archive import Archive
from touchlog.demo.calls import HOTLINE, ZONE
from touchlog.guard import lock_down
from touchlog.settings import Settings

OWN_SYSTEMS = "crm"
"""What stands beside the channels: events in the contract's own form."""
DELIVERIES = (*CHANNELS, OWN_SYSTEMS)


@contextmanager
def empty_log(settings: Settings) -> Iterator[Log]:
    """The log with its topics. Raises ConfigurationError when somebody's events are in it."""
    with open_log(settings.log, kafka_options=settings.kafka_options or None) as log:
        log.create_topics(TOPICS, settings.partitions)
        found = sum(log.end_offsets(TOPICS).values())
        if found:
            raise ConfigurationError(
                f"the log holds {found:,} records, and invented people do not belong among others; give its topics a"
                f" prefix that is not used yet: --log {settings.log.partition('?')[0]}?prefix=demo2."
            )
        yield log


def embedded_path(url: str) -> Path | None:
    """The file of an embedded log; None for a log elsewhere."""
    if url.startswith("kafka:"):
        return None
    return Path(url.removeprefix("embedded:").removeprefix("//").partition("?")[0]).resolve()


def options() -> Options:
    """What the invented payloads do not say themselves."""
    return Options(
        account="acme",
        region="SE",
        timezone=ZONE,
        our_domains=frozenset({"acme.example"}),
        our_numbers=frozenset({HOTLINE}),
    )


def load(
    archive: Archive,
    payloads: Path,
    *,
    log: Log,
    registry: Registry,
    rejects: RejectsFile,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Report]:
    """Publish the files of the archive, which lie in the folder `payloads`, channel by channel: one report each.

    `progress` hears how many payloads are read in all. A report that is not whole (`stopped`, `error`) is the last.
    """
    reports: dict[str, Report] = {}
    read = 0
    names = list(archive.files())
    for delivery in DELIVERIES:
        reports[delivery] = report = publish(
            sources(payloads / name for name in names if name.startswith(f"{delivery}/")),
            format=EMIT if delivery == OWN_SYSTEMS else partial(_recognised, delivery),
            options=options(),
            log=log,
            registry=registry,
            rejects=rejects,
            progress=partial(_told, progress, read),
        )
        read += report.read
        if report.stopped:
            break
    return reports


def _recognised(channel: str, _: Source, head: bytes) -> Format:
    return recognise(channel, head)


def _told(progress: Callable[[int], None], before: int, report: Report) -> None:
    progress(before + report.read)


def fold(
    store_path: Path,
    *,
    log: Log,
    registry: Registry,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Fold the log into a new store until caught up. Raises what `Store.open` and `Projector.run` raise."""
    with Store.open(store_path) as store:
        lock_down(store.con)
        projector = Projector(log, store, registry, on_progress=progress)
        return projector.run(until_caught_up=True, stop=stop)
