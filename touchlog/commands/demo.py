"""`touchlog demo`: a look at everything, from an empty folder."""

from datetime import UTC, datetime
from pathlib import Path

import click

from touchlog.options import Command

_EPILOG = """\b
Examples:
  touchlog demo
  touchlog demo --keep demo-of-today
  touchlog demo --log "kafka://localhost:9092?prefix=demo."

Three hundred invented people, some thousand payloads in the vendors' own formats over 90 days that end yesterday.
They are published with the same producers, folded by the same projector and shown by the same commands as real
ones. The folder is begun anew each time; a folder, a log or a store with anything else in it is left alone."""

_FILE = click.Path(path_type=Path)


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "--keep",
    type=_FILE,
    default=Path("touchlog-demo"),
    show_default=True,
    metavar="DIR",
    help="Folder of the payloads, the log and the store.",
)
@click.option("--log", metavar="URL", help="The log: embedded in DIR (default), or kafka://HOST:PORT?prefix=demo.")
@click.option("--store", type=_FILE, metavar="FILE", help="The DuckDB file of the views (default: in DIR).")
@click.option("--registry", metavar="URL", help="A schema registry that speaks Confluent's API.")
@click.option("--config", type=_FILE, metavar="FILE", help="Settings file (default touchlog.toml).")
def command(keep: Path, log: str | None, store: Path | None, registry: str | None, config: Path | None) -> None:
    """Publish invented customers' payloads, fold them, and show what can be asked.

    Needs nothing but an empty place for its folder; takes some seconds.
    """
    from touchlog.demo.folder import LOG, STORE
    from touchlog.demo.run import run
    from touchlog.settings import load

    # Log and store of the environment and the settings file are real people's: these are never meant here.
    settings = load(
        config,
        data_dir=keep,
        log=log or f"embedded:{keep / LOG}",
        store=store or keep / STORE,
        registry=registry,
    )
    if not (log or registry):
        settings = settings.model_copy(update={"registry": None})
    run(settings, today=datetime.now(UTC).date())
