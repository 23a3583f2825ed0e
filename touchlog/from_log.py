"""The store that is built beside the live one from the log: building it, and comparing the two."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from consumers.part import Part
from consumers.projector import Progress
from consumers.replay import fold_again, fold_on
from consumers.temper import Temper
from log.log import Log, Position, TopicPartition
from projections import metrics
from projections.compare import Difference, compare
from projections.exchange import PART, marked, next_of
from projections.projection import Projection
from projections.store import Store
from projections.verify import leave_out
from schemas.errors import ConfigurationError
from schemas.registry import Registry, open_registry
from schemas.topics import TOPICS
from touchlog import guard
from touchlog.verifying import live_snapshot

if TYPE_CHECKING:
    from touchlog.client import Reader
    from touchlog.settings import Settings

_PLACES = "SELECT topic, partition, log_offset FROM touchlog.dead_letters WHERE state <> 'redriven'"
_LONG_S = 86_400.0
_AT = """
    (SELECT list({'topic': topic, 'partition': partition, 'next_offset': next_offset}) AS "at" FROM touchlog.lag)
"""
_OF_OTHERS = ("conversation_id", "customer_id_then")
"""Columns that tell of events beside a customer's own, which a part does not hold."""
_OF_ONE_CUSTOMER = ("contact_points", "interactions", "timeline", "items", "topics", "consent", "channel_preference")


def build_beside(
    settings: "Settings",
    reader: "Reader",
    *,
    part: Part | None,
    on_poison: Literal["park", "stop"],
    from_what_is_left: bool,
    on_progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> tuple[Path, Progress]:
    """Fold the log, as it is now, from its beginning into the file beside the live one, or go on with that.

    What is parked in the live store is parked again, and what was redriven with a patch is folded with it. Raises
    PoisonRecord at any other bad record unless `on_poison` is "park", and as consumers.replay.fold_again.
    """
    path, exists = next_of(settings.store), settings.store.exists()
    known = [Position(*row.values()) for row in reader.sql(_PLACES).to_pylist()] if exists else []
    with _log(settings) as (log, registry):
        done = fold_again(
            log,
            path,
            registry,
            log.end_offsets(TOPICS),
            batch_size=settings.batch_size,
            compact_after=settings.compact_after,
            on_progress=on_progress,
            stop=stop,
            part=part,
            from_what_is_left=from_what_is_left,
            mended=live_snapshot(settings, reader, datetime.now(UTC)).mended if exists else None,
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            temper=Temper(on_poison=on_poison, known=frozenset(known)),
        )
    return path, done


def keys_of(settings: "Settings", reader: "Reader", contact: str) -> frozenset[str]:
    """All contact points of a customer. Raises ConfigurationError when nobody is known by `contact`."""
    from touchlog.contact import contact_keys

    card = reader.customer(contact_keys(contact, region=settings.region))
    if card is None:
        raise ConfigurationError(f"nobody is known by {contact}")
    return frozenset(one["contact_point"] for one in card["contact_points"])


def discard(path: Path) -> None:
    """Delete the file beside the live one, and what DuckDB keeps beside it. Raises StoreBusy while it is written."""
    if not path.exists():
        raise ConfigurationError("no store is being built beside the live one")
    Store.open(path).close()
    path.unlink()


def differences(
    settings: "Settings", reader: "Reader", names: Sequence[str], *, now: datetime, examples: int
) -> list[Difference]:
    """How the views of the live store differ from those of the store beside it, view by view at equal offsets: the
    latter is folded on to where the live one is.

    Of a store that holds some contact points, their customers' rows are compared; of one that holds some channels or
    times, the rows of `interactions`. Raises ConfigurationError when no store was built beside the live one.
    """
    path = next_of(settings.store)
    if not path.exists():
        raise ConfigurationError("no store was built beside the live one; type: touchlog rebuild --source log")
    found = []
    with _log(settings) as (log, registry), Store.open(path) as store:
        metrics.put(store.con, metrics.shown(reader.sql("FROM touchlog.metric_definitions").to_pylist()))
        part = _part(store)
        for one in store.live():
            if (names and one.name not in names) or not _comparable(one, part):
                continue
            live, at = _live_rows(reader, one, part, now)
            fold_on(log, store, registry, at, part=part)
            found.append(_difference(store, one, part, live, now=now, examples=examples))
    return found


def _live_rows(
    reader: "Reader", view: Projection, part: Part | None, now: datetime
) -> tuple[pa.Table, dict[TopicPartition, int]]:
    """The view's rows, and the offsets that the live store was at when it said so."""
    rows = reader.sql(
        f'SELECT * FROM {_AT} LEFT JOIN (SELECT true AS "is a row", * FROM ({_rows(view, part)})) ON true',
        parameters=_given(view, part, now),
    )
    at = rows["at"][0].as_py() or []
    wanted = rows.filter(rows["is a row"].is_valid()).drop_columns(["at", "is a row"])
    return wanted, {TopicPartition(one["topic"], one["partition"]): one["next_offset"] for one in at}


def _difference(
    store: Store, view: Projection, part: Part | None, live: pa.Table, *, now: datetime, examples: int
) -> Difference:
    rows = guard.query(store.cursor(), _rows(view, part), parameters=_given(view, part, now), timeout_s=_LONG_S)
    (repeated,) = store.con.execute("SELECT coalesce(sum(duplicates), 0) FROM store.batches").fetchall()[0]
    out = {*leave_out(repeated).get(view.name, ()), *(_OF_OTHERS if part else ())}
    if part is not None and not part.contact_points:
        # Who somebody is rests on what other channels and times say, too.
        out.add("customer_id")
    columns = [name for name in live.column_names if name not in out]
    store.con.register("live_rows", live)
    store.con.register("next_rows", rows)

    def ask(sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        return store.con.execute(sql, dict(parameters) or None).to_arrow_table()

    return compare(
        ask,
        view,
        columns=columns,
        next_columns=[name for name in rows.column_names if name not in out],
        before="FROM live_rows",
        after="FROM next_rows",
        examples=examples,
    )


def _rows(view: Projection, part: Part | None) -> str:
    relation = f"touchlog.{view.name}" + ("_at($now::TIMESTAMPTZ)" if view.now else "")
    if part is None:
        return f"SELECT * FROM {relation}"
    terms = []
    if part.contact_points:
        terms.append(
            "customer_id IN (SELECT customer_id FROM touchlog.contact_points WHERE list_contains($keys, contact_point))"
        )
    if part.channels:
        terms.append("list_contains($channels, channel)")
    if part.since is not None:
        terms.append("occurred_at >= $since::TIMESTAMPTZ")
    return f"SELECT * FROM {relation} WHERE {' AND '.join(terms)}"


def _given(view: Projection, part: Part | None, now: datetime) -> dict[str, Any]:
    given: dict[str, Any] = {"now": now.isoformat()} if view.now else {}
    if part is not None:
        given |= {"keys": sorted(part.contact_points)} if part.contact_points else {}
        given |= {"channels": sorted(part.channels)} if part.channels else {}
        given |= {"since": part.since.isoformat()} if part.since is not None else {}
    return given


def _comparable(view: Projection, part: Part | None) -> bool:
    """Whether a part says all that the view says of it: of a customer what does not tell of conversations, in which
    others take part; of channels and times the events alone."""
    if part is None:
        return True
    if part.channels or part.since is not None:
        return view.name == "interactions"
    return view.name in _OF_ONE_CUSTOMER


def _part(store: Store) -> Part | None:
    told = marked(store.con, PART)
    if told is None:
        return None
    said = json.loads(told)
    return Part(
        contact_points=frozenset(said["contact_points"]),
        channels=frozenset(said["channels"]),
        since=None if said["since"] is None else datetime.fromisoformat(said["since"]),
    )


@contextmanager
def _log(settings: "Settings") -> Iterator[tuple[Log, Registry]]:
    from log.open import open_log

    with open_log(settings.log, kafka_options=settings.kafka_options or None) as log:
        yield log, open_registry(settings.registry_url)
