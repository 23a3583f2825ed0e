"""Options that commands share: each names a setting, and what was given reaches the command as `settings`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]


class Utf8(click.ParamType[str]):
    """Text; bytes of the command line that are none are a mistake there, and are told as one."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail("not UTF-8 text; check the encoding of your terminal", param, ctx)
        return str(value)


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
    "metrics": click.option(
        "--metrics", type=_FILE, metavar="FILE", help="Definitions of response times, loaded at the start."
    ),
    "batch_size": click.option("--batch-size", type=int, metavar="N", help="Records in one transaction, at most."),
    "latency": click.option("--latency", type=float, metavar="S", help="Seconds that one transaction may take, about."),
    "compact_after": click.option("--compact-after", type=int, metavar="N", help="Events before compaction begins."),
    "memory_limit": click.option("--memory-limit", metavar="SIZE", help="DuckDB's memory: 2GB."),
    "threads": click.option("--threads", type=int, metavar="N", help="DuckDB's threads."),
    "on_poison": click.option(
        "--on-poison",
        type=click.Choice(["park", "stop"]),
        help="At a record that cannot be folded: park it and go on (default), or stop.",
    ),
    "max_parked": click.option("--max-parked", type=int, metavar="N", help="Parked records at which it stops (10000)."),
    "dead_letter_topic": click.option(
        "--dead-letter-topic/--no-dead-letter-topic",
        "dead_letter_topic",
        default=None,
        help="Publish parked records to interactions.<channel>.dead, too.",
    ),
    "unknown_schema": click.option(
        "--unknown-schema",
        type=click.Choice(["park", "wait", "stop"]),
        help="At a schema that the registry does not know: park its records (default), wait for it, or stop.",
    ),
    "unknown_schema_seconds": click.option(
        "--unknown-schema-seconds", type=float, metavar="SECONDS", help="How long to ask for it before that (60)."
    ),
    "rebuild_share": click.option(
        "--rebuild-share", type=float, metavar="SHARE", help="Of its time, what rebuilding may take (0.5)."
    ),
    "prometheus": click.option("--prometheus", type=int, metavar="PORT", help="Serve metrics for Prometheus there."),
    "prometheus_address": click.option(
        "--prometheus-address", metavar="HOST", help="The address to serve them on (127.0.0.1)."
    ),
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


def source_option(function: Function) -> Function:
    """Adds --source: what a rebuild is, or was, made from."""
    option = click.option(
        "--source",
        type=click.Choice(["tables", "log"]),
        default="tables",
        show_default=True,
        help="Built from the event tables, or from the log.",
    )
    decorated: Function = option(function)
    return decorated
