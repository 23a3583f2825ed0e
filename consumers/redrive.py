"""Dead letters tried again: through the same checks, the same dedup and the same fold, in the same transaction.

The log's offsets have no part in it. A letter that is folded, or whose event is known by now, is parked no more, so
asking twice folds nothing twice; one that still fails stays parked, tried once more.
"""

import base64
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from consumers.dead_letters import DISCARDED, DUPLICATE, PARKED, REDRIVEN, Attempt, attempts_of
from consumers.decode import BadRecord, Decoder
from consumers.fold import Folder
from consumers.letters import Letter, Wanted, letters, valid_id
from consumers.patching import patched_value
from consumers.poison import around_poison, refused, without
from consumers.prepare import Prepared, Preparer, without_rows
from log.log import RecordBatch
from projections.store import Store
from schemas.errors import ConfigurationError, DeadLetter
from schemas.registry import Registry

_KEYS = frozenset({"classes", "stages", "ids", "patch", "value", "dry_run", "discard"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What to do: fold the wanted letters again, or `discard` them; with `dry_run` only tell what would come of it.

    `patch`: a JSON merge patch for each of them; `value`: bytes that are folded in place of the one letter's own.
    """

    wanted: Wanted = field(default_factory=Wanted)
    patch: Mapping[str, Any] | None = None
    value: bytes | None = None
    dry_run: bool = False
    discard: bool = False

    def to_json(self) -> dict[str, Any]:
        value = None if self.value is None else base64.b64encode(self.value).decode()
        return {
            "classes": list(self.wanted.classes),
            "stages": list(self.wanted.stages),
            "ids": list(self.wanted.ids),
            "patch": self.patch,
            "value": value,
            "dry_run": self.dry_run,
            "discard": self.discard,
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Raises ConfigurationError for anything but what `to_json` gives; members may be left out."""
        if not isinstance(content, dict) or not _KEYS.issuperset(content):
            raise ConfigurationError(f"a redrive is asked for with a JSON object of {', '.join(sorted(_KEYS))}")
        lists = {name: content.get(name) or [] for name in ("classes", "stages", "ids")}
        flags = {name: content.get(name, False) for name in ("dry_run", "discard")}
        patch, value = content.get("patch"), content.get("value")
        if (
            not all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists.values())
            or not all(isinstance(one, bool) for one in flags.values())
            or not (patch is None or isinstance(patch, dict))
            or not (value is None or isinstance(value, str))
        ):
            raise ConfigurationError("a redrive's classes, stages and ids are lists of text, its patch is an object")
        ids = tuple(valid_id(one) for one in lists["ids"])
        if value is not None and len(ids) != 1:
            raise ConfigurationError("a whole event takes the place of one dead letter: name it with --id")
        try:
            whole = None if value is None else base64.b64decode(value, validate=True)
        except ValueError:
            raise ConfigurationError("a redrive's value is base64") from None
        # What was discarded by mistake can be had again, by its name alone.
        states = (PARKED, DISCARDED) if ids else (PARKED,)
        wanted = Wanted(classes=tuple(lists["classes"]), stages=tuple(lists["stages"]), ids=ids, states=states)
        return cls(wanted=wanted, patch=patch, value=whole, **flags)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What came of it: how many were looked at = redriven + duplicates + parked + discarded, and each of them."""

    looked_at: int
    redriven: int
    duplicates: int
    parked: int
    discarded: int
    dry_run: bool
    letters: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def nothing(*, dry_run: bool) -> Told:
    """What came of it when no letter was wanted."""
    return Told(looked_at=0, redriven=0, duplicates=0, parked=0, discarded=0, dry_run=dry_run, letters=[])


def redrive(folder: Folder, store: Store, registry: Registry, asked: Asked) -> Generator[None, None, Told]:
    """Do what was asked, a few thousand letters in a transaction; yields between two of these.

    Raises RegistryUnavailable and what the store raises; transactions that were committed by then stay.
    """

    def ask(sql: str, values: Sequence[Any]) -> Any:
        return store.con.execute(sql, list(values)).to_arrow_table()

    attempts: list[Attempt] = []
    decoder = Decoder(registry)
    for number, chunk in enumerate(letters(ask, asked.wanted)):
        if number:
            yield
        attempts.extend(
            _discarded(folder, chunk, asked) if asked.discard else _again(folder, decoder, chunk, asked, registry)
        )
    states = Counter(one.state for one in attempts)
    return Told(
        looked_at=len(attempts),
        redriven=states[REDRIVEN],
        duplicates=states[DUPLICATE],
        parked=states[PARKED],
        discarded=states[DISCARDED],
        dry_run=asked.dry_run,
        letters=[_told(one) for one in attempts],
    )


def _again(
    folder: Folder, decoder: Decoder, chunk: Sequence[Letter], asked: Asked, registry: Registry
) -> list[Attempt]:
    batch = RecordBatch(headers=[letter.headers for letter in chunk])
    bad: list[BadRecord] = []
    patched: dict[int, bytes] = {}
    for place, letter in enumerate(chunk):
        value = letter.value
        if asked.value is not None:
            value = patched[place] = asked.value
        elif asked.patch is not None:
            try:
                value = patched[place] = patched_value(letter, asked.patch, registry)
            except DeadLetter as error:
                bad.append(BadRecord(place=place, stage="patch", error=error))
        batch.topics.append(letter.topic)
        batch.partitions.append(letter.partition)
        batch.offsets.append(letter.offset)
        batch.timestamps.append(letter.timestamp or 0)
        batch.keys.append(letter.key)
        batch.values.append(value)
    prepared = Preparer(decoder).prepare(batch, bad)
    if asked.dry_run:
        return _foreseen(folder, prepared, patched)
    return around_poison(folder, prepared, lambda whole: folder.redrive(whole, patched))


def _foreseen(folder: Folder, prepared: Prepared, patched: Mapping[int, bytes]) -> list[Attempt]:
    known = folder.known(prepared)
    prepared = without(prepared, refused(without_rows(prepared, known)))
    return attempts_of(prepared, ~folder.known(prepared), patched)


def _discarded(folder: Folder, chunk: Sequence[Letter], asked: Asked) -> list[Attempt]:
    attempts = [Attempt(letter=letter.place, state=DISCARDED) for letter in chunk if letter.state == PARKED]
    if attempts and not asked.dry_run:
        folder.discard(attempts)
    return attempts


def _told(one: Attempt) -> dict[str, Any]:
    return {
        "id": str(one.letter),
        "state": one.state,
        "stage": one.stage,
        "error_class": one.error_class,
        "error_message": one.error_message,
        "event_id": None if one.event_id is None else str(one.event_id),
    }
