"""The demo from beginning to end."""

import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import click

from producers.rejects import RejectsFile
from producers.report import Report
from schemas.errors import ConfigurationError, DeliveryFailed
from schemas.registry import open_registry
from touchlog.demo.folder import LOG, PAYLOADS, STORE, begin_anew, check
from touchlog.demo.generate import archive_of, write
from touchlog.demo.load import embedded_path, empty_log, fold, load
from touchlog.demo.show import bar, show_answers, show_begin, show_folded, show_next, show_published
from touchlog.settings import Settings
from touchlog.signals import asked_to_stop, terminated_as_interrupted

_INTERRUPTED = 130
_TO_BEGIN_ANEW = "interrupted; to begin anew type the same command again"


def run(settings: Settings, *, today: date) -> None:
    """Payloads, log, store, card, answers, in the folder `settings.data_dir`, which is made anew.

    Raises ConfigurationError before anything is deleted or written where the folder, the log or the store is somebody
    else's; DeliveryFailed and whatever ended the publishing; click's Exit when interrupted.
    """
    began = time.monotonic()
    folder, store = settings.data_dir, settings.store
    check(folder)
    if store.exists() and store.resolve() != (folder / STORE).resolve():
        raise ConfigurationError(f"{store} is there already; name another --store, or delete it")
    registry = open_registry(settings.registry_url)
    with ExitStack() as stack:
        if embedded_path(settings.log) == (folder / LOG).resolve():
            begin_anew(folder)
            log = stack.enter_context(empty_log(settings))
        else:
            log = stack.enter_context(empty_log(settings))
            begin_anew(folder)
        archive = archive_of(today)
        payloads = folder / PAYLOADS
        write(archive.files(), payloads)
        total = archive.payloads()
        show_begin(today, total, payloads)
        with RejectsFile(settings.rejects) as rejects, terminated_as_interrupted(), bar("publishing") as moved:
            reports = load(
                archive,
                payloads,
                log=log,
                registry=registry,
                rejects=rejects,
                progress=lambda read: moved.at(read, total),
            )
        show_published(reports, settings.rejects)
        _check(reports, settings.rejects)
        with asked_to_stop() as stop, bar("folding") as moved:
            done = fold(
                store,
                log=log,
                registry=registry,
                progress=lambda now: moved.at(now.read, now.read + now.lag),
                stop=stop,
            )
            if stop():
                click.echo(_TO_BEGIN_ANEW, err=True)
                raise click.exceptions.Exit(_INTERRUPTED)
    show_folded(done, store)
    show_answers(settings)
    show_next(settings, time.monotonic() - began, payloads)


def _check(reports: dict[str, Report], rejects: Path) -> None:
    for report in reports.values():
        if report.error is not None:
            raise report.error
        if report.stopped:
            click.echo(_TO_BEGIN_ANEW, err=True)
            raise click.exceptions.Exit(_INTERRUPTED)
        if report.failed:
            raise DeliveryFailed(
                f"the log did not confirm {report.failed:,} events; their payloads are in {rejects}: type the same"
                " command again, with another prefix where the log is Kafka"
            )
