"""`touchlog rebuild`: the next version of projections, beside the live ones."""

import time
from typing import TYPE_CHECKING, Any, Literal

import click

from touchlog.options import Command, source_option, with_settings

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog rebuild items
  touchlog rebuild my/channel_preference.sql
  touchlog rebuild --all
  touchlog rebuild items --cancel
  touchlog rebuild --source log
  touchlog rebuild --source log --contact ada@example.org

The live views go on being read and written. From the event tables (the default) a version is built in slices between
batches (--rebuild-share of the projector's time), and is ready when everything is folded that the log held when it was
begun. It goes on after a crash, and without this command. From the log all views are built, into a file beside the
store; interrupted, the same command goes on. A part of the log (--contact, --channel, --since) is for looking alone.
Then: touchlog diff, touchlog switch, and touchlog switch --back (with --source log for that file).

Exit code: 0 when it is ready (or was paused, cancelled); 75 when the log was not folded that far yet; 7 at a record
that cannot be folded and was not parked before, unless --on-poison park."""

_NOT_YET = 75
_POLL_S = 0.2


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME | FILE.sql]…")
@click.option("--all", "every", is_flag=True, help="All projections.")
@source_option
@click.option("--contact", metavar="CONTACT", help="From the log: one customer alone.")
@click.option(
    "--channel", "channels", multiple=True, metavar="CHANNEL", help="From the log: this channel alone (repeat)."
)
@click.option("--since", metavar="TIME", help="From the log: what occurred then or later alone.")
@click.option("--from-what-is-left", is_flag=True, help="From the log, also when it lost its beginning.")
@click.option(
    "--on-poison", type=click.Choice(["stop", "park"]), default="stop", show_default=True, help="At a new bad record."
)
@click.option("--pause", is_flag=True, help="Stop building; the same command without it begins again.")
@click.option("--cancel", is_flag=True, help="Drop what is coming, and what was built of it.")
@click.option("--no-wait", is_flag=True, help="Leave the work to the running projector.")
@click.option("--json", "as_json", is_flag=True, help="The versions as JSON.")
@with_settings(
    *("log", "store", "registry", "region", "batch_size", "compact_after", "memory_limit", "threads", "query_timeout")
)
def command(
    settings: "Settings",
    names: tuple[str, ...],
    every: bool,
    source: str,
    contact: str | None,
    channels: tuple[str, ...],
    since: str | None,
    from_what_is_left: bool,
    on_poison: Literal["stop", "park"],
    pause: bool,
    cancel: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Build a version of projections beside the live ones.

    NAME is a projection of this program, FILE.sql one of your own; what is live now stays so until touchlog switch.
    """
    from touchlog.client import Reader
    from touchlog.replaying import BEGIN, Asked, anyhow, wanted

    if pause and cancel:
        raise click.UsageError("--pause or --cancel, not both")
    if source == "log":
        if names or pause or no_wait:
            raise click.UsageError("from the log all views are built, by this command itself: Ctrl-C pauses it")
        _from_log(settings, contact, channels, since, from_what_is_left, on_poison, cancel=cancel)
        return
    if contact or channels or since or from_what_is_left:
        raise click.UsageError(
            "a part is built from the log: add --source log; touchlog diff takes parts of the others"
        )
    if not (names or every or pause or cancel):
        raise click.UsageError("name a projection, a .sql file, or --all")
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader, _Bar() as bar:
        if pause or cancel:
            asked = Asked(action="pause" if pause else "cancel", names=names)
            found = anyhow(settings.store, reader, asked)
        else:
            sql = tuple(projection.text for projection in wanted(names, every=every))
            asked = Asked(action=BEGIN, sql=sql, fence=_fence(settings))
            found = anyhow(settings.store, reader, asked, building=bar)
            if not no_wait:
                found = _wait(reader, found, bar)
            while not no_wait and any(version["state"] == "building" for version in found):
                # The projector has ended: who comes first goes on, this command or the next projector.
                found = _wait(reader, anyhow(settings.store, reader, asked, building=bar), bar)
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(found, indent=2))
    else:
        from touchlog.render import console
        from touchlog.render_replay import versions_table

        console().print(versions_table(found))
        if any(version["state"] == "ready" for version in found):
            click.echo("see what would change: touchlog diff; take it: touchlog switch", err=True)
    if any(version["state"] == "catching up" for version in found):
        click.echo("the log is not folded so far yet; type: touchlog project", err=True)
        raise click.exceptions.Exit(_NOT_YET)


def _from_log(
    settings: "Settings",
    contact: str | None,
    channels: tuple[str, ...],
    since: str | None,
    from_what_is_left: bool,
    on_poison: Literal["stop", "park"],
    *,
    cancel: bool,
) -> None:
    """All views, into the file beside the store."""
    from consumers.part import Part
    from projections.exchange import next_of
    from touchlog.client import Reader
    from touchlog.commands.project import shown
    from touchlog.from_log import build_beside, discard, keys_of
    from touchlog.signals import asked_to_stop
    from touchlog.then import Then

    if cancel:
        discard(next_of(settings.store))
        return
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        part = None
        if contact or channels or since:
            keys = keys_of(settings, reader, contact) if contact else frozenset()
            part = Part(contact_points=keys, channels=frozenset(channels), since=Then.of(since, None).happened)
        with asked_to_stop() as stop, shown(True) as show:
            path, done = build_beside(
                settings,
                reader,
                part=part,
                on_poison=on_poison,
                from_what_is_left=from_what_is_left,
                on_progress=show,
                stop=stop,
            )
    click.echo(
        f"{done.state}: {done.read:,} records read = {done.applied:,} applied + {done.duplicates:,} duplicates"
        f" + {done.parked:,} parked, in {done.seconds:.1f} s, into {path}; lag {done.lag:,}",
        err=True,
    )
    if done.lag:
        raise click.exceptions.Exit(_NOT_YET)
    take = "" if part else "; take it: touchlog switch --source log"
    click.echo(f"see what would change: touchlog diff --source log{take}", err=True)


def _fence(settings: "Settings") -> tuple[tuple[str, int, int], ...]:
    """Where the log ends now."""
    from log.open import open_log
    from schemas.topics import TOPICS

    with open_log(settings.log, kafka_options=settings.kafka_options or None) as log:
        return tuple((*at, offset) for at, offset in sorted(log.end_offsets(TOPICS).items()))


def _wait(reader: "Reader", found: list[dict[str, Any]], bar: "_Bar") -> list[dict[str, Any]]:
    """Until a running projector has built them and is past the fence."""
    names = [version["name"] for version in found]
    while any(version["state"] in {"building", "catching up"} for version in found):
        if not reader.status()["running"]:
            return found
        time.sleep(_POLL_S)
        rows = reader.sql(
            "SELECT name, version, build, state, since, built, to_fence FROM touchlog.projections"
            " WHERE list_contains($names, name) ORDER BY name, version, build",
            parameters={"names": names},
        ).to_pylist()
        shares = [row["built"] or 0.0 if row["state"] == "building" else 1.0 for row in rows]
        bar(int(1000 * sum(shares)), 1000 * len(shares), sum(row["to_fence"] or 0 for row in rows))
        found = [{name: row[name] for name in ("name", "version", "build", "state", "since")} for row in rows]
    return found


class _Bar:
    """On a terminal a bar of what is built; elsewhere nothing."""

    def __init__(self) -> None:
        self._bars: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, done: int, total: int, to_fence: int = 0) -> None:
        from touchlog.render import console, count

        if self._bars is None:
            out = console(stderr=True)
            if not out.is_terminal:
                return
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = [TextColumn("building"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn()]
            self._bars = Progress(*columns, console=out, transient=True)
            self._bars.add_task("building", said="")
            self._bars.start()
        said = f"{count(to_fence)} records to go" if to_fence else ""
        self._bars.update(self._bars.task_ids[0], completed=done, total=total, said=said)
