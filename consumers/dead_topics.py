"""Parked records published to topics of their own, `interactions.<channel>.dead`, for tools that watch such topics.

Bytes, key and headers are the record's own; headers as Kafka Connect's dead-letter queues have them say where it lay
and why it was parked (connect-runtime, DeadLetterQueueReporter). It happens after the commit, at least once: which
batches were published is remembered in the store, so a crash in between repeats one batch and leaves none out.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from consumers.letters import Letter, letters_of_batch
from log.log import Headers, Log, LogWriter, Position
from projections.store import Store
from schemas.errors import ConfigurationError, DeliveryFailed, RetryLater, TouchlogError
from schemas.topics import DEAD_SUFFIX, DEAD_TOPICS

_FLUSH_S = 10.0
_AGAIN_S = 5.0
_STAGES = {
    "frame": ("VALUE_CONVERTER", "consumers.decode.Decoder"),
    "schema": ("VALUE_CONVERTER", "consumers.decode.Decoder"),
    "decode": ("VALUE_CONVERTER", "consumers.decode.Decoder"),
    "check": ("TRANSFORMATION", "consumers.columns.group_columns"),
    "fold": ("TASK_PUT", "consumers.fold.Folder"),
}
"""Our stage -> Connect's (org.apache.kafka.connect.runtime.errors.Stage), and what was running."""

_PREFIX = "__connect.errors."
_LEFT_OUT = ("touchlog.value", b"left out: too large with its new headers")
_BEHIND = """
    SELECT DISTINCT batch FROM store.dead_letters
    WHERE batch > (SELECT coalesce(max(batch), 0) FROM store.published) ORDER BY batch
"""


def connect_headers(letter: Letter) -> Headers:
    """The letter's own headers and those that say why it is dead; no stack trace, for checks of columns have none."""
    stage, running = _STAGES.get(letter.stage, ("TASK_PUT", "consumers.fold.Folder"))
    said = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "connector.name": f"touchlog-{letter.projection}",
        "task.id": "0",
        "stage": stage,
        "class.name": running,
        "exception.class.name": f"schemas.errors.{letter.error_class}",
        "exception.message": letter.error_message,
    }
    return [
        *letter.headers,
        *((_PREFIX + name, value.encode()) for name, value in said.items()),
        ("touchlog.stage", letter.stage.encode()),
    ]


class DeadTopics:
    """Publishes what a store has parked and not published yet; in the projector's thread."""

    def __init__(self, log: Log, store: Store, *, partitions: int) -> None:
        self._log = log
        self._store = store
        self._partitions = partitions
        self._writer: LogWriter | None = None
        self._behind = True
        self._not_before = 0.0

    def parked(self) -> None:
        """A batch with dead letters was committed."""
        self._behind = True

    def step(self, *, at_once: bool = False) -> bool:
        """Publish the next batch's letters; whether there were any. A log that is away is asked again in some seconds.

        Raises ConfigurationError when the log will never take them.
        """
        if not self._behind or (not at_once and time.monotonic() < self._not_before):
            return False
        try:
            return self._publish_next()
        except RetryLater:
            self._not_before = time.monotonic() + _AGAIN_S
            self.close()
            return False

    def finish(self) -> None:
        """Publish what is left, if the log answers; otherwise the next run goes on from there."""
        while self.step(at_once=True):
            pass

    def close(self) -> None:
        """Let go of the log; a second time does nothing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # What it still holds was not noted as published: it comes again.
            with suppress(TouchlogError):
                writer.close()

    def _publish_next(self) -> bool:
        found = self._store.con.execute(_BEHIND).fetchone()
        if found is None:
            self._behind = False
            return False
        (batch,) = found
        count = 0
        for some in letters_of_batch(self._ask, batch):
            self._publish(some)
            count += len(some)
        with self._store.transaction():
            self._store.insert_rows("published", [(datetime.now(UTC), count)], batch)
        return True

    def _ask(self, sql: str, values: Sequence[Any]) -> Any:
        return self._store.con.execute(sql, list(values)).to_arrow_table()

    def _publish(self, some: Sequence[Letter]) -> None:
        failed: list[tuple[Letter, Exception]] = []
        for letter in some:
            self._append(letter, letter.value, connect_headers(letter), failed)
        self._flush()
        too_large = [letter for letter, error in failed if isinstance(error, ConfigurationError)]
        others = [error for _, error in failed if not isinstance(error, ConfigurationError)]
        failed.clear()
        for letter in too_large:
            self._append(letter, None, [*connect_headers(letter), _LEFT_OUT], failed)
        self._flush()
        for error in [*(error for _, error in failed), *others]:
            raise error

    def _append(
        self, letter: Letter, value: bytes | None, headers: Headers, failed: list[tuple[Letter, Exception]]
    ) -> None:
        def delivered(_: Position | None, error: Exception | None) -> None:
            if error is not None:
                failed.append((letter, error))

        timestamp = letter.timestamp if letter.timestamp else None
        topic = letter.topic + DEAD_SUFFIX
        try:
            self._open().append(topic, letter.key, value, headers=headers, timestamp=timestamp, delivered=delivered)
        except ConfigurationError as error:
            failed.append((letter, error))

    def _flush(self) -> None:
        if self._open().flush(_FLUSH_S):
            raise DeliveryFailed("dead letters were not acknowledged in time; they will be published again")

    def _open(self) -> LogWriter:
        if self._writer is None:
            self._log.create_topics(DEAD_TOPICS, self._partitions)
            self._writer = self._log.writer()
        return self._writer
