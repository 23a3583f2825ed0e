"""`touchlog rebuild`: the next version of projections, beside the live ones."""

import time
from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, with_settings

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog rebuild items
  touchlog rebuild my/channel_preference.sql
  touchlog rebuild --all
  touchlog rebuild items --cancel

The live views go on being read and written. A version is built from the event tables, in slices between batches
(--rebuild-share of the projector's time), and is ready when everything is folded that the log held when it was begun.
Then: touchlog diff, touchlog switch, and touchlog switch --back. It goes on after a crash, and without this command.

Exit code: 0 when it is ready (or was paused, cancelled); 75 when the log was not folded that far yet."""

_NOT_YET = 75
_POLL_S = 0.2


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME | FILE.sql]…")
@click.option("--all", "every", is_flag=True, help="All projections.")
@click.option("--pause", is_flag=True, help="Stop building; the same command without it begins again.")
@click.option("--cancel", is_flag=True, help="Drop what is coming, and what was built of it.")
@click.option("--no-wait", is_flag=True, help="Leave the work to the running projector.")
@click.option("--json", "as_json", is_flag=True, help="The versions as JSON.")
@with_settings("log", "store", "query_timeout")
def command(
    settings: "Settings", names: tuple[str, ...], every: bool, pause: bool, cancel: bool, no_wait: bool, as_json: bool
) -> None:
    """Build a version of projections beside the live ones.

    NAME is a projection of this program, FILE.sql one of your own; what is live now stays so until touchlog switch.
    """
    from touchlog.client import Reader
    from touchlog.replaying import BEGIN, Asked, anyhow, wanted

    if pause and cancel:
        raise click.UsageError("--pause or --cancel, not both")
    if not (names or every or pause or cancel):
        raise click.UsageError("name a projection, a .sql file, or --all")
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader, _Bar() as bar:
        if pause or cancel:
            asked = Asked(action="pause" if pause else "cancel", names=names)
            found = anyhow(settings.store, reader, asked)
        else:
            sql = tuple(projection.text for projection in wanted(names, every=every))
            found = anyhow(settings.store, reader, Asked(action=BEGIN, sql=sql, fence=_fence(settings)), building=bar)
            if not no_wait:
                found = _wait(reader, found, bar)
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
