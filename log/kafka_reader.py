"""Reading Kafka: exactly the given partitions from exactly the given offsets, no group membership."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as WirePartition

from log.headers import LazyHeaders
from log.kafka_client import CONSUMER, LOGGER, NO_TOPIC, SLICE_SECONDS, Config, Received, translate, translated
from log.kafka_topics import TopicWatch
from log.log import Headers, Positions, RecordBatch, TopicPartition
from schemas.errors import LogError, OffsetBeyondEnd, RetentionLost, Stop, TouchlogError

_PROBE_SECONDS = 1.0
_ASK_SECONDS = 10.0


class KafkaReader:
    """`LogReader` of a Kafka cluster. Partitions are assigned, never subscribed to: nothing rebalances.

    Records of open and of aborted transactions are not delivered.
    """

    def __init__(
        self,
        config: Config,
        positions: Positions,
        *,
        group: str,
        watch: TopicWatch,
        namespace: str = "",
    ) -> None:
        self._watch = watch
        self._bootstrap = str(config["bootstrap.servers"])
        self._namespace = namespace
        self._names = {namespace + topic: topic for topic, _ in positions}
        self._positions = dict(positions)
        self._down: KafkaError | None = None
        self._pending: tuple[KafkaError, TopicPartition] | None = None
        self._failed: Stop | None = None
        self._open = True
        with translated("opening a reader", self._bootstrap):
            self._consumer = Consumer(
                {**CONSUMER, **config, "group.id": group, "error_cb": self._on_error, "on_commit": _on_commit},
                logger=LOGGER,
            )
            self._assign()

    def poll(self, max_records: int, timeout: float) -> RecordBatch:
        if not self._open:
            raise ValueError("the reader is closed")
        if self._failed is not None:
            raise self._failed
        try:
            with translated("reading", self._bootstrap):
                return self._next(max_records, time.monotonic() + timeout)
        except Stop as error:
            self._failed = error
            raise
        except BaseException:
            # What librdkafka handed over and the caller did not get is fetched again.
            self._assign()
            raise

    def commit(self, positions: Positions) -> None:
        if not self._open:
            raise ValueError("the reader is closed")
        if not positions:
            return
        try:
            self._consumer.commit(offsets=self._wire(positions), asynchronous=True)
        except KafkaException as error:
            _on_commit(error.args[0], [])

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _next(self, max_records: int, deadline: float) -> RecordBatch:
        self._check()
        # Asking for many would wait until all have come: what is there first, then one, then the rest.
        messages = self._consume(max_records, 0)
        while True:
            batch = self._batch(messages)
            if batch.next_positions:
                return batch
            self._check()
            left = deadline - time.monotonic()
            if left <= 0:
                self._probe()
                return batch
            messages = self._consume(1, min(left, SLICE_SECONDS))
            if messages and max_records > 1:
                messages += self._consume(max_records - 1, 0)

    def _consume(self, at_most: int, timeout: float) -> list[Received]:
        return cast(list[Received], self._consumer.consume(at_most, timeout))

    def _batch(self, messages: list[Received]) -> RecordBatch:
        """The records among the messages, as columns; the reader's positions move with them."""
        if not messages:
            return RecordBatch()
        self._down = None
        notices = [message for message in messages if message.error() is not None]
        if notices:
            messages = [message for message in messages if message.error() is None]
        topics = [message.topic() for message in messages]
        partitions = [message.partition() for message in messages]
        offsets = [message.offset() for message in messages]
        moved = {
            TopicPartition(self._names[topic], partition): offset + 1
            for (topic, partition), offset in _last(topics, partitions, offsets).items()
        }
        for notice in notices:
            self._notice(notice, moved)
        self._positions.update(moved)
        return RecordBatch(
            topics=[self._names[topic] for topic in topics] if self._namespace else topics,
            partitions=partitions,
            offsets=offsets,
            timestamps=[message.timestamp()[1] for message in messages],
            keys=[message.key() for message in messages],
            values=[message.value() for message in messages],
            headers=LazyHeaders(messages, _headers),
            next_positions=moved,
        )

    def _notice(self, notice: Received, moved: dict[TopicPartition, int]) -> None:
        """An end of partition moves the position over transaction markers; any other error waits for its turn."""
        at, error = TopicPartition(self._names[notice.topic()], notice.partition()), notice.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._pending = self._pending or (error, at)
        elif notice.offset() > moved.get(at, self._positions[at]):
            moved[at] = notice.offset()

    def _check(self) -> None:
        """Raises what stands in the way of reading on."""
        self._watch.check()
        if self._pending is not None:
            pending, self._pending = self._pending, None
            raise self._explain(*pending)

    def _explain(self, error: KafkaError, at: TopicPartition) -> TouchlogError:
        if error.code() in NO_TOPIC:
            if self._exists(at):
                return translate(error, f"reading {at.topic}[{at.partition}]", self._bootstrap)
            return LogError(f"{at.topic}[{at.partition}] was deleted from {self._bootstrap}; restore it from a copy")
        if error.code() != KafkaError._AUTO_OFFSET_RESET:
            return translate(error, f"reading {at.topic}[{at.partition}]", self._bootstrap)
        self._watch.check_now(_PROBE_SECONDS)
        position = self._positions[at]
        with translated("asking for offsets", self._bootstrap):
            begin, end = self._consumer.get_watermark_offsets(self._wire({at: 0})[0], timeout=_ASK_SECONDS)
        if position < begin:
            return RetentionLost(
                f"{at.topic}[{at.partition}] begins at offset {begin}: {begin - position} records from {position} on"
                " were deleted; set retention.ms=-1 on the topic, then build a new store from what is left"
            )
        if position > end:
            return OffsetBeyondEnd(
                f"{at.topic}[{at.partition}] ends at offset {end}, {position - end} records before {position}; the"
                " log was replaced or restored: point at the right one, or build a new store from this one"
            )
        return LogError(
            f"{at.topic}[{at.partition}] cannot be read at offset {position} ({error.str()}); the log was truncated"
            " there: build a new store from it"
        )

    def _exists(self, at: TopicPartition) -> bool:
        wire = self._namespace + at.topic
        with translated("asking for topics", self._bootstrap):
            metadata = self._consumer.list_topics(wire, timeout=_ASK_SECONDS).topics[wire]
        return metadata.error is None and at.partition in metadata.partitions

    def _probe(self) -> None:
        """After all brokers went away, find out whether one answers again: silence is not the end of the log."""
        if self._down is None or not self._positions:
            return
        if self._down.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            raise translate(self._down, "reading", self._bootstrap)
        partition = self._wire({next(iter(self._positions)): 0})[0]
        try:
            self._consumer.get_watermark_offsets(partition, timeout=_PROBE_SECONDS)
        except KafkaException as error:
            raise translate(self._down, "reading", self._bootstrap) from error
        self._down = None

    def _assign(self) -> None:
        self._consumer.assign(self._wire(self._positions))

    def _wire(self, positions: Mapping[TopicPartition, int]) -> list[WirePartition]:
        return [WirePartition(self._namespace + at.topic, at.partition, offset) for at, offset in positions.items()]

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION, KafkaError._SSL):
            self._down = error


def _on_commit(error: KafkaError | None, partitions: list[WirePartition]) -> None:
    if error is not None:
        LOGGER.warning("committing %d positions for lag tools failed: %s", len(partitions), error.str())


def _last(topics: Sequence[str], partitions: Sequence[int], offsets: Sequence[int]) -> dict[tuple[str, int], int]:
    """Of each partition the last offset: later entries of a dict win, and within a partition offsets ascend."""
    return dict(zip(zip(topics, partitions, strict=True), offsets, strict=True))


def _headers(message: Received) -> Headers:
    return [(name, b"" if value is None else value) for name, value in message.headers() or ()]
