"""`touchlog dead-letters`: what could not be folded, and folding it after all."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from consumers.letters import Ask, Letter, Wanted
    from consumers.redrive import Asked
    from schemas.registry import Registry
    from touchlog.client import Reader
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog dead-letters
  touchlog dead-letters --all --class InvalidEvent
  touchlog dead-letters show interactions.chat:0:17
  touchlog dead-letters redrive --stage schema
  touchlog dead-letters export letters.jsonl

All of it works while touchlog project runs. list and redrive tell ids, names of fields and errors only; show and
export tell what customers wrote."""

_REDRIVE_EPILOG = """\b
Examples:
  touchlog dead-letters redrive --dry-run
  touchlog dead-letters redrive --class UnknownSchema
  touchlog dead-letters redrive --id interactions.chat:0:17 --patch patch.json

A patch is a JSON merge patch (RFC 7386) on the record as show prints it, {"occurred_at": "2026-03-02T09:14:05Z"};
null takes a field away. With "channel" in it, it is a whole event, as touchlog emit takes it, in place of one record.
A patch mends the store, not the log: folding the log into a new store parks the record again.

Exit code: 0 when all that was looked at is settled, 1 when some are still parked (each was tried once more)."""

_STATES = ("parked", "redriven", "duplicate", "discarded")
_STAGES = ("frame", "schema", "decode", "check", "fold")
_STILL_PARKED = 1


class _ListUnlessNamed(click.Group):
    """Without a command of its own it lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"}):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which letters a command is about: `classes`, `stages`, `contacts`, `ids`."""
    for option in (
        click.option("--id", "ids", multiple=True, metavar="ID", help="This one, topic:partition:offset (repeat)."),
        click.option(
            "--contact",
            "contacts",
            multiple=True,
            metavar="CONTACT",
            help="Those that name a contact point, as far as they can be read (repeat).",
        ),
        click.option("--stage", "stages", multiple=True, type=click.Choice(_STAGES), help="Those of a stage (repeat)."),
        click.option("--class", "classes", multiple=True, metavar="ERROR", help="Those of a class of error (repeat)."),
    ):
        function = option(function)
    return function


_state = click.option(
    "--state",
    type=click.Choice((*_STATES, "any")),
    default="parked",
    show_default=True,
    help="Those in this state.",
)


@click.group(cls=_ListUnlessNamed, epilog=_EPILOG)
def command() -> None:
    """Look at records that could not be folded, and redrive them.

    Without a command of its own it lists them by cause.
    """


@command.command("list", cls=Command)
@click.option("--all", "single", is_flag=True, help="One by one, not by cause.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@_state
@_selection
@with_settings("store", "registry", "region", "query_timeout")
def list_command(settings: "Settings", single: bool, as_json: bool, state: str, **given: Sequence[str]) -> None:
    """Show what is parked by cause, with what to do about it."""
    from touchlog.dead_letters import causes, listed

    with _reader(settings) as reader:
        ask, wanted = _asking(reader), _wanted(settings, reader, _states(state), **given)
        rows = [] if wanted is None else listed(ask, wanted) if single else causes(ask, wanted)
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(rows, indent=2))
        return
    from touchlog.render import console
    from touchlog.render_letters import by_cause, one_by_one

    console().print(one_by_one(rows) if single else by_cause(rows))


@command.command("show", cls=Command)
@click.argument("place", nargs=-1, required=True, metavar="ID | TOPIC PARTITION OFFSET")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings("store", "registry", "query_timeout")
def show_command(settings: "Settings", place: tuple[str, ...], as_json: bool) -> None:
    """Show one whole, decoded as far as it goes; personal data, too.

    ID is topic:partition:offset, as list tells it.
    """
    from consumers.letters import valid_id
    from touchlog.dead_letters import one_letter, shown

    with _reader(settings) as reader:
        letter = one_letter(_asking(reader), valid_id(":".join(place)))
    told = shown(letter, _registry(settings))
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps({**told, "value": letter.value}, indent=2))
        return
    from touchlog.as_json import plain
    from touchlog.render import console
    from touchlog.render_letters import whole

    console().print(whole(plain(told), letter.value))


@command.command("redrive", cls=Command, epilog=_REDRIVE_EPILOG)
@click.option("--patch", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.json", help="How to mend them.")
@click.option("--dry-run", is_flag=True, help="Tell what would come of it, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with what came of each.")
@_selection
@with_settings("store", "registry", "region", "query_timeout")
def redrive_command(
    settings: "Settings", patch: Path | None, dry_run: bool, as_json: bool, **given: Sequence[str]
) -> None:
    """Fold parked records after all: all of them, or those selected.

    They go through the same checks and the same dedup in one transaction; doing it twice folds nothing twice.
    """
    from consumers.redrive import Asked

    with _reader(settings) as reader:
        wanted = _wanted(settings, reader, _redrivable(given), **given)
        asked = None if wanted is None else Asked(wanted=wanted, dry_run=dry_run)
        if asked is not None and patch is not None:
            asked = _patched(asked, _object(patch), _asking(reader), settings)
        told = _done(settings, reader, asked, dry_run)
    _tell(told, as_json, given["ids"])


@command.command("discard", cls=Command)
@click.option("--all", "everything", is_flag=True, help="All that are parked.")
@click.option("--dry-run", is_flag=True, help="Tell what would come of it, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with what came of each.")
@_selection
@with_settings("store", "registry", "region", "query_timeout")
def discard_command(
    settings: "Settings", everything: bool, dry_run: bool, as_json: bool, **given: Sequence[str]
) -> None:
    """Count parked records as not wanted; their bytes stay.

    Redrive with --id takes one back.
    """
    from consumers.dead_letters import PARKED
    from consumers.redrive import Asked
    from schemas.errors import ConfigurationError

    if not everything and not any(given.values()):
        raise ConfigurationError("say which: --class, --stage, --contact, --id, or --all for every parked record")
    with _reader(settings) as reader:
        wanted = _wanted(settings, reader, (PARKED,), **given)
        asked = None if wanted is None else Asked(wanted=wanted, dry_run=dry_run, discard=True)
        told = _done(settings, reader, asked, dry_run)
    _tell(told, as_json, given["ids"])


@command.command("export", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@_state
@_selection
@with_settings("store", "registry", "region", "query_timeout")
def export_command(settings: "Settings", file: Path, state: str, **given: Sequence[str]) -> None:
    """Write them whole as JSON lines to FILE, or standard output.

    Key, value and headers are base64. A FILE that is made is its owner's alone.
    """
    from touchlog.as_json import dumps
    from touchlog.dead_letters import every

    number = 0
    with _reader(settings) as reader, _out(file) as out:
        wanted = _wanted(settings, reader, _states(state), **given)
        found: Iterator[Letter] = iter(()) if wanted is None else every(_asking(reader), wanted)
        for number, letter in enumerate(found, 1):  # noqa: B007 - counted as it goes
            out.write(dumps(letter.to_json()) + "\n")
    click.echo(f"{number:,} dead letters written", err=True)


def _reader(settings: "Settings") -> "Reader":
    from touchlog.client import Reader

    return Reader(settings.store, timeout_s=settings.query_timeout)


def _registry(settings: "Settings") -> "Registry":
    from schemas.registry import open_registry

    return open_registry(settings.registry_url)


def _asking(reader: "Reader") -> "Ask":
    def ask(sql: str, values: Sequence[Any]) -> "pa.Table":
        return reader.sql(sql, parameters=list(values))

    return ask


def _states(state: str) -> tuple[str, ...]:
    return () if state == "any" else (state,)


def _redrivable(given: dict[str, Sequence[str]]) -> tuple[str, ...]:
    # What was discarded can be had again by its name.
    return ("parked", "discarded") if given["ids"] else ("parked",)


def _wanted(
    settings: "Settings",
    reader: "Reader",
    states: tuple[str, ...],
    *,
    classes: Sequence[str],
    stages: Sequence[str],
    contacts: Sequence[str],
    ids: Sequence[str],
) -> "Wanted | None":
    """What was selected; None when a contact was and no letter names it."""
    from consumers.letters import Wanted, valid_id

    wanted = Wanted(
        classes=tuple(classes), stages=tuple(stages), ids=tuple(valid_id(one) for one in ids), states=states
    )
    if not contacts:
        return wanted
    from touchlog.contact import contact_keys
    from touchlog.dead_letters import naming

    keys = [key for contact in contacts for key in contact_keys(contact, region=settings.region)]
    found = naming(_asking(reader), wanted, keys, _registry(settings))
    return replace(wanted, ids=found) if found else None


def _object(file: Path) -> dict[str, Any]:
    from schemas.errors import ConfigurationError

    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file} is not a JSON object; a patch is one, such as {{'topic': 'delivery'}}")
    return content


def _patched(asked: "Asked", content: dict[str, Any], ask: "Ask", settings: "Settings") -> "Asked":
    """With a merge patch, or with a whole event in place of the one letter's bytes."""
    from schemas.errors import ConfigurationError, InvalidEvent

    if "channel" not in content:
        return replace(asked, patch=content)
    if len(asked.wanted.ids) != 1:
        raise ConfigurationError("a whole event takes the place of one dead letter: name it with --id")
    from producers.emit import emitted_events
    from schemas.codec import encode
    from schemas.topics import topic_of
    from touchlog.commands.produce import options_of
    from touchlog.dead_letters import one_letter

    letter = one_letter(ask, asked.wanted.ids[0])
    (event,) = emitted_events(content, options_of(settings))
    if topic_of(event.channel) != letter.topic:
        raise InvalidEvent(
            f"channel: the record lies in {letter.topic}; for another channel type touchlog emit, then discard this one"
        )
    schema_id, schema = _registry(settings).current(event.channel)
    return replace(asked, value=encode(event, schema_id=schema_id, schema=schema))


def _done(settings: "Settings", reader: "Reader", asked: "Asked | None", dry_run: bool) -> dict[str, Any]:
    if asked is None:
        from consumers.redrive import nothing

        return nothing(dry_run=dry_run).to_json()
    from touchlog.redriving import redrive_anyhow

    return redrive_anyhow(settings.store, reader, _registry(settings), asked)


def _tell(told: dict[str, Any], as_json: bool, ids: Sequence[str]) -> None:
    from consumers.letters import valid_id
    from touchlog.dead_letters import settled

    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(told, indent=2))
    else:
        from touchlog.render import console
        from touchlog.render_letters import came_of

        console().print(came_of(told))
    for one in settled(told["letters"], [valid_id(text) for text in ids]):
        click.echo(f"{one} is not parked (touchlog dead-letters show {one})", err=True)
    if told["parked"]:
        raise click.exceptions.Exit(_STILL_PARKED)


@contextmanager
def _out(file: Path) -> Iterator[IO[str]]:
    if str(file) == "-":
        yield sys.stdout
        return
    from schemas.errors import ConfigurationError

    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        yield out
