"""Versions of projections from any process: through the projector while one runs, else in the store itself."""

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from consumers.errands import Errands
from log.log import TopicPartition
from projections import rebuild
from projections.compaction import Compaction, rows_at_once
from projections.projection import Projection, all_projections, parse
from projections.store import Store
from projections.versions import BUILDING, LIVE, Version
from schemas.errors import ConfigurationError
from touchlog.whoever import whoever_holds_it

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings

ACTIONS = {
    "pause": rebuild.pause,
    "cancel": rebuild.cancel,
    "switch": rebuild.switch,
    "switch back": rebuild.switch_back,
    "retire": rebuild.retire,
}
BEGIN = "begin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is to be done: an action on versions of these names, or `begin` with the SQL of each and the fence, which is
    where the log ends: (topic, partition, offset)."""

    action: str
    names: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()
    fence: tuple[tuple[str, int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"action": self.action, "names": self.names, "sql": self.sql, "fence": self.fence}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Raises ConfigurationError when it is not what `to_json` writes."""
        try:
            asked = cls(
                action=content["action"],
                names=tuple(map(str, content["names"])),
                sql=tuple(map(str, content["sql"])),
                fence=tuple((str(topic), int(partition), int(offset)) for topic, partition, offset in content["fence"]),
            )
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError("this is no request about versions of projections") from None
        if asked.action not in {BEGIN, *ACTIONS}:
            raise ConfigurationError(f"an action is one of {', '.join((BEGIN, *ACTIONS))}")
        return asked


def wanted(names: Sequence[str], *, every: bool = False) -> list[Projection]:
    """The projections meant by names and by `.sql` files. Raises ConfigurationError."""
    own = {projection.name: projection for projection in all_projections()}
    if every:
        return list(own.values())
    found = []
    for name in names:
        if name.endswith(".sql"):
            try:
                found.append(parse(Path(name).read_text("utf-8")))
            except OSError as error:
                raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
            except ValueError as error:
                raise ConfigurationError(f"{name}: {error}") from None
        elif name in own:
            found.append(own[name])
        else:
            raise ConfigurationError(
                f"there is no projection {name}; type one of {', '.join(own)}, or the name of a .sql file"
            )
    return found


def perform(store: Store, asked: Asked) -> list[dict[str, Any]]:
    """Do it, in the thread that folds; the versions of those names afterwards."""
    if asked.action == BEGIN:
        fence = {TopicPartition(topic, partition): offset for topic, partition, offset in asked.fence}
        told = rebuild.begin(store, [parse(text) for text in asked.sql], fence)
        rebuild.settle(store, store.positions())
        names = {version.name for version in told}
    else:
        names = set(asked.names) or {version.name for version in store.versions() if version.state != LIVE}
        ACTIONS[asked.action](store, asked.names)
    return [_told(version) for version in store.versions() if version.name in names]


def through(errands: Errands, store: Store) -> Callable[[Any], list[dict[str, Any]]]:
    """How a projector's server does it: in the projector's thread, between two batches."""

    def answer(content: Any) -> list[dict[str, Any]]:
        asked = Asked.from_json(content)

        def work(_: Any) -> Generator[None, None, list[dict[str, Any]]]:
            return perform(store, asked)
            yield

        return errands.ask(work).result()

    return answer


def anyhow(
    path: Path, reader: "Reader", asked: Asked, *, building: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """The versions of those names after it was done, whoever holds the store now.

    Without a projector what is begun is also built here; `building` hears of it: slices done, of how many. Raises
    ConfigurationError (it cannot be done; no store there), StoreBusy and what the store raises.
    """

    def alone(store: Store) -> list[dict[str, Any]]:
        found = perform(store, asked)
        if asked.action != BEGIN:
            return found
        build_alone(store, building or (lambda _, __: None))
        names = {version["name"] for version in found}
        return [_told(version) for version in store.versions() if version.name in names]

    return whoever_holds_it(path, reader, "replay", asked.to_json(), alone)


def perform_and_show(settings: "Settings", action: str, names: Sequence[str], *, as_json: bool) -> None:
    """Do it, and print the versions of those names."""
    from touchlog.client import Reader

    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        found = anyhow(settings.store, reader, Asked(action=action, names=tuple(names)))
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(found, indent=2))
        return
    from touchlog.render import console
    from touchlog.render_replay import versions_table

    console().print(versions_table(found))


def build_alone(store: Store, building: Callable[[int, int], None] = lambda _, __: None) -> None:
    """Build what is to be built, with all of the machine and the store to itself; `building` as in `anyhow`."""
    processors = os.cpu_count() or 1
    builders = max(1, min(processors, sum(version.state == BUILDING for version in store.versions())))
    # Nobody waits for the next batch here, and a few large slices cost less than half of many small ones.
    compaction = Compaction(store, after=1 << 62, rows_a_slice=rows_at_once(store, builders), builders=builders)
    # Threads of a statement beside those that build.
    with store.using_threads(processors - builders + 1):
        while compaction.step():
            store.forget_parts()
            under_way = [version for version in store.versions() if version.total]
            building(sum(version.done for version in under_way), sum(version.total for version in under_way))
    rebuild.settle(store, store.positions())


def _told(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.projection.version,
        "build": version.projection.build,
        "state": version.state,
        "since": version.since,
    }
