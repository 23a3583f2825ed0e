"""Appending to Kafka: an idempotent producer that tells what became of every record."""

import time
from types import TracebackType
from typing import Self, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from log.delivery import Deliveries
from log.kafka_client import LOGGER, NO_TOPIC, PRODUCER, SLICE_SECONDS, Config, Received, translate, translated
from log.log import Delivered, Headers, Position
from schemas.errors import ConfigurationError, DeliveryFailed, TouchlogError

_SERVE_EVERY = 256
_CLOSE_SECONDS = 30.0


class KafkaWriter:
    """`LogWriter` to a Kafka cluster: idempotent, acknowledged by all in-sync replicas."""

    def __init__(self, config: Config, *, namespace: str = "", timeout: float = 10.0) -> None:
        self._bootstrap = str(config["bootstrap.servers"])
        self._namespace, self._timeout = namespace, timeout
        self._partitions: dict[str, int] = {}
        self._deliveries = Deliveries()
        self._unserved = 0
        self._open = True
        with translated("opening a writer", self._bootstrap):
            # The configured options win over touchlog's tuning, never over its promises (kafka_client.py).
            self._producer = Producer({**PRODUCER, **config, "error_cb": _on_error}, logger=LOGGER)

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        self._check_open()
        self._deliveries.raise_failures()
        if timestamp is not None and timestamp <= 0:
            raise ConfigurationError(f"a record's timestamp is positive milliseconds since 1970, not {timestamp}")
        if topic not in self._partitions or (partition is not None and partition >= self._partitions[topic]):
            self._partitions[topic] = self._count_partitions(topic)
        if partition is not None and not 0 <= partition < self._partitions[topic]:
            raise ConfigurationError(f"topic {topic} has {self._partitions[topic]} partitions, there is no {partition}")

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            self._acknowledged(topic, delivered, error, message)

        while True:
            try:
                self._producer.produce(
                    self._namespace + topic,
                    value,
                    key,
                    -1 if partition is None else partition,
                    on_delivery=acknowledged,
                    timestamp=timestamp or 0,
                    headers=list(headers) or None,
                )
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise self._refused(topic, error.args[0]) from error
        self._unserved += 1
        if self._unserved >= _SERVE_EVERY:
            self._unserved = 0
            self._producer.poll(0)

    def flush(self, timeout: float = 30.0) -> int:
        self._check_open()
        waiting = self._flush(timeout)
        self._deliveries.raise_failures()
        return waiting

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._flush(_CLOSE_SECONDS):
            self._producer.purge()
            self._flush(_CLOSE_SECONDS)
        self._deliveries.raise_failures()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            self.close()
        except TouchlogError:
            if error is None:
                raise

    def _flush(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        with translated("flushing", self._bootstrap):
            while True:
                left = max(0.0, deadline - time.monotonic())
                waiting = self._producer.flush(min(left, SLICE_SECONDS))
                if not waiting or not left:
                    return waiting

    def _count_partitions(self, topic: str) -> int:
        wire = self._namespace + topic
        with translated("asking for topics", self._bootstrap):
            metadata = self._producer.list_topics(wire, timeout=self._timeout).topics[wire]
        if metadata.error is not None and metadata.error.code() in NO_TOPIC:
            raise ConfigurationError(f"there is no topic {wire} at {self._bootstrap}; create it first")
        if metadata.error is not None:
            raise translate(metadata.error, f"asking for topic {wire}", self._bootstrap)
        return len(metadata.partitions)

    def _acknowledged(
        self, topic: str, delivered: Delivered | None, error: KafkaError | None, message: Message
    ) -> None:
        if error is None:
            record = cast(Received, message)
            self._deliveries.succeeded(delivered, Position(topic, record.partition(), record.offset()))
        else:
            self._deliveries.failed(delivered, self._refused(topic, error))

    def _refused(self, topic: str, error: KafkaError) -> TouchlogError:
        translation = translate(error, f"appending to {topic}", self._bootstrap)
        if isinstance(translation, ConfigurationError):
            return translation
        return DeliveryFailed(
            f"a record for {topic} was not acknowledged by {self._bootstrap} ({error.name()}: {error.str()});"
            f" {'open a new writer and ' if error.code() == KafkaError._FATAL else ''}append it again"
        )

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError("the writer is closed")


def _on_error(error: KafkaError) -> None:
    LOGGER.info("the producer reports %s: %s", error.name(), error.str())
