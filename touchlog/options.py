"""Options that commands share: each names a setting, and what was given reaches the command as `settings`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]

_FILE = click.Path(path_type=Path)
_OPTIONS: dict[str, Callable[[Function], Function]] = {
    "log": click.option("--log", metavar="URL", help="The log: embedded:FILE (default) or kafka://HOST:PORT."),
    "store": click.option("--store", type=_FILE, metavar="FILE", help="The DuckDB file of the views."),
    "registry": click.option("--registry", metavar="URL", help="A schema registry that speaks Confluent's API."),
    "partitions": click.option("--partitions", type=int, metavar="N", help="Partitions of topics that are created."),
    "region": click.option("--region", metavar="CC", help="Country of phone numbers written without one: SE."),
    "timezone": click.option("--timezone", metavar="ZONE", help="Zone of times without offset: Europe/Stockholm."),
    "account": click.option("--account", metavar="NAME", help="Our account at the vendor: part of `source`."),
    "our_domains": click.option(
        "--our-domain", "our_domains", multiple=True, metavar="DOMAIN", help="E-mail domain on our side (repeat)."
    ),
    "our_numbers": click.option(
        "--our-number", "our_numbers", multiple=True, metavar="NUMBER", help="Phone number on our side (repeat)."
    ),
    "batch_size": click.option("--batch-size", type=int, metavar="N", help="Records in one transaction, at most."),
    "compact_after": click.option("--compact-after", type=int, metavar="N", help="Events before compaction begins."),
    "memory_limit": click.option("--memory-limit", metavar="SIZE", help="DuckDB's memory: 2GB."),
    "threads": click.option("--threads", type=int, metavar="N", help="DuckDB's threads."),
    "query_timeout": click.option(
        "--query-timeout",
        "--timeout",
        "query_timeout",
        type=float,
        metavar="SECONDS",
        help="How long a reader's query may take.",
    ),
}


class Command(click.Command):
    """A command whose help shows its own options first, and then those that are settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        settings: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                (settings if parameter.name in {*_OPTIONS, "config", "data_dir"} else own).append(record)
        for title, records in (("Options", own), ("Settings", settings)):
            if records:
                with formatter.section(click.style(title, bold=True)):
                    formatter.write_dl(records)


def with_settings(*names: str) -> Callable[[Function], Function]:
    """Adds these settings' options, --data-dir and --config; the command gets `settings` in their place."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, config: Path | None, data_dir: Path | None, **given: Any) -> Any:
            # pydantic takes a tenth of a second, which --help and completion need not wait for.
            from touchlog.settings import load

            chosen = {name: given.pop(name) for name in names}
            return function(*arguments, settings=load(config, data_dir=data_dir, **chosen), **given)

        decorated: Function = call
        config = click.option("--config", type=_FILE, metavar="FILE", help="Settings file (default touchlog.toml).")
        folder = click.option("--data-dir", type=_FILE, metavar="DIR", help="Folder of everything touchlog writes.")
        options: list[Callable[[Function], Function]] = [config, folder]
        for option in [*options, *(_OPTIONS[name] for name in reversed(names))]:
            decorated = option(decorated)
        return decorated

    return decorate


def then_options(function: Function) -> Function:
    """Adds --as-of and --known-at; the command gets `then` (touchlog.then) in their place."""

    @functools.wraps(function)
    def call(*arguments: Any, as_of: str | None, known_at: str | None, **given: Any) -> Any:
        from touchlog.then import Then

        return function(*arguments, then=Then.of(as_of, known_at), **given)

    known = click.option("--known-at", metavar="TIME", help="Only what had been folded by then.")
    happened = click.option("--as-of", metavar="TIME", help="Only what had happened by then: 2026-03-02T09:00+01:00.")
    decorated: Function = happened(known(call))
    return decorated
