"""The next version of projections beside the live ones: begin, pause, cancel, switch, switch back, retire.

Each is one transaction, so that a crash leaves the state before or after, from which the same call goes on. The work of
building is done by `projections.compaction`, in slices between batches; `settle` moves versions on when they are built
and past their fence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import duckdb

from log.log import TopicPartition
from projections import versions
from projections.projection import Projection
from projections.publish import create_public
from projections.store import Store
from projections.versions import BUILDING, CATCHING_UP, COMING, GONE, LIVE, PAUSED, READY, RETIRED, Fence, Version
from schemas.errors import ConfigurationError


def begin(store: Store, wanted: Sequence[Projection], fence: Fence) -> list[Version]:
    """Begin to build these projections beside the live ones; `fence` is where the log ends now.

    One that is being built already, with the same SQL, goes on. Raises ConfigurationError when another version of the
    name is coming already, when its number is lower than the live one's or its SQL differs at the same number, or
    when the SQL cannot run.
    """
    with _changing(store):
        for projection in wanted:
            _begin(store, projection, fence)
        _publish(store)
    return [version for version in store.versions() if version.name in {one.name for one in wanted}]


def _begin(store: Store, projection: Projection, fence: Fence) -> None:
    known = [version for version in store.versions() if version.name == projection.name]
    for version in known:
        if version.state in COMING:
            if _same(version.projection, projection):
                if version.state == PAUSED:
                    versions.note(store.con, version.projection, BUILDING, fence=version.fence)
                return
            raise _is_coming(version)
    for version in known:
        if version.projection.version == projection.version and not _same(version.projection, projection):
            raise ConfigurationError(
                f"the SQL of {projection.name} changed, its version {projection.version} did not; raise the version"
                " in its file"
            )
        if version.state == LIVE and version.projection.version > projection.version:
            raise ConfigurationError(
                f"version {version.projection.version} of {projection.name} is live, which is newer than"
                f" {projection.version}; raise the version in its file"
            )
    (last,) = store.con.execute(
        "SELECT coalesce(max(build), 0) FROM store.projections WHERE name = ? AND version = ?",
        [projection.name, projection.version],
    ).fetchall()[0]
    projection = replace(projection, build=last + 1)
    versions.register(store.con, projection, store.batch)
    versions.note(store.con, projection, BUILDING if known else LIVE, fence=fence)


def pause(store: Store, names: Sequence[str]) -> None:
    """Stop building until it is begun again; what was built of it is given up."""
    with _changing(store):
        for version in _in_state(store, names, {BUILDING}, "is being built"):
            versions.note(store.con, version.projection, PAUSED, fence=version.fence)


def cancel(store: Store, names: Sequence[str]) -> None:
    """Drop versions that are coming, and everything that was built of them."""
    with _changing(store):
        for version in _in_state(store, names, COMING, "is coming"):
            _drop(store, version)
        _publish(store)


def switch(store: Store, names: Sequence[str]) -> None:
    """The versions that are ready become what people read, all of them in one moment; asked for again, nothing.

    Raises ConfigurationError when one is not ready.
    """
    if _was_switched(store, names):
        return
    with _changing(store):
        for version in _in_state(store, names, {READY}, "is ready"):
            _replace_live(store, version)
        _publish(store)


def switch_back(store: Store, names: Sequence[str]) -> None:
    """What was live before the last switch is live again, and what it replaced is ready for another.

    Raises ConfigurationError when another version of the name is coming, so also when this is asked for twice.
    """
    with _changing(store):
        for version in _in_state(store, names, {RETIRED}, "was live before"):
            for other in store.versions():
                if other.name == version.name and other.state in COMING:
                    raise _is_coming(other)
            _replace_live(store, version, becomes=READY)
        _publish(store)


def retire(store: Store, names: Sequence[str]) -> None:
    """Free the space of versions that were live once; they cannot be switched back to after that."""
    with _changing(store):
        for version in _in_state(store, names, {RETIRED}, "was live before", every=True):
            _drop(store, version)
        _publish(store)


def settle(store: Store, positions: Mapping[TopicPartition, int]) -> bool:
    """Move versions on: built ones catch up, those past their fence are ready. Whether any moved."""
    moves = [
        (version, state)
        for version in store.versions()
        if (state := _next_state(store, version, positions)) is not None
    ]
    if moves:
        with _changing(store):
            for version, state in moves:
                versions.note(store.con, version.projection, state, fence=version.fence)
    return bool(moves)


def _next_state(store: Store, version: Version, positions: Mapping[TopicPartition, int]) -> str | None:
    built = version.projection.sort == "plain" or store.is_based(version.projection)
    passed = all(positions.get(at, 0) >= offset for at, offset in version.fence.items())
    match version.state:
        case "building" if built:
            return READY if passed else CATCHING_UP
        case "catching up" if passed:
            return READY
        case _:
            return None


@contextmanager
def _changing(store: Store) -> Iterator[None]:
    """One transaction, after which versions and parts are looked up again."""
    # What is being compacted may be for a version that goes.
    store.beside.stop()
    try:
        with store.transaction():
            yield
    finally:
        store.forget_parts()


def _publish(store: Store) -> None:
    store.forget_parts()
    try:
        create_public(store)
    except duckdb.Error as error:
        # DuckDB's message names tables and columns of the SQL, never a value.
        raise ConfigurationError(f"the SQL cannot run: {error}") from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _is_coming(version: Version) -> ConfigurationError:
    return ConfigurationError(
        f"version {version.projection.version} of {version.name} is {version.state}; take it with"
        f" touchlog switch {version.name}, or drop it with touchlog rebuild {version.name} --cancel"
    )


def _same(one: Projection, other: Projection) -> bool:
    return (one.version, one.fingerprint) == (other.version, other.fingerprint)


def _in_state(
    store: Store, names: Sequence[str], states: Iterable[str], said: str, *, every: bool = False
) -> list[Version]:
    """The versions of these names (of all that have one, if none is named) in one of the states, one a name: the
    latest to get there; `every`: all of them."""
    found: list[Version] = []
    fitting = sorted(
        (version for version in store.versions() if version.state in states), key=lambda version: version.since
    )
    for name in names or sorted({version.name for version in fitting}):
        of_name = [version for version in fitting if version.name == name]
        if not of_name:
            there = ", ".join(
                f"{version.projection.version} is {version.state}"
                for version in store.versions()
                if version.name == name
            )
            raise ConfigurationError(f"no version of {name} {said}" + (f": version {there}" if there else ""))
        found += of_name if every else of_name[-1:]
    if not found:
        raise ConfigurationError(f"no version of any projection {said}; touchlog status lists them")
    return found


def _was_switched(store: Store, names: Sequence[str]) -> bool:
    """Whether what these names (all, if none is named) have besides their live version was live before: so an answer
    that was lost, because a process died just after the commit, can be asked for again."""
    others = {name: set[str]() for name in names}
    for version in store.versions():
        if version.state != LIVE and (not names or version.name in names):
            others.setdefault(version.name, set()).add(version.state)
    return bool(others) and all(found == {RETIRED} for found in others.values())


def _replace_live(store: Store, version: Version, *, becomes: str = RETIRED) -> None:
    for other in store.versions():
        if other.name == version.name and other.state == LIVE:
            versions.note(store.con, other.projection, becomes)
    versions.note(store.con, version.projection, LIVE)


def _drop(store: Store, version: Version) -> None:
    versions.note(store.con, version.projection, GONE)
    store.con.execute(f"DROP SCHEMA IF EXISTS {version.projection.schema} CASCADE")
