"""Questions and orders to a Kafka cluster: one call each, names as on the wire, answers or touchlog's errors."""

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition, admin
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from log.kafka_client import ELECTING, LOGGER, NO_TOPIC, Config, translate, translated
from log.kafka_topics import Answers, TopicWatch

# Public, but untyped and missing in the __all__ of the library.
EARLIEST = admin.OffsetSpec.earliest()  # type: ignore[attr-defined,no-untyped-call]
LATEST = admin.OffsetSpec.latest()  # type: ignore[attr-defined,no-untyped-call]

_RETRY_SECONDS = 0.05
# By then, all the brokers of a wrong address have refused.
_SOON_SECONDS = 1.0

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Cluster:
    """An administrator's connection; nothing is asked before the first call, each takes `timeout` seconds at most."""

    def __init__(self, config: Config, timeout: float) -> None:
        self._bootstrap, self._timeout = str(config["bootstrap.servers"]), timeout
        self._trouble: KafkaError | None = None
        with translated("opening the log", self._bootstrap):
            settings: Config = {**config, "error_cb": self._on_error}
            self._admin = AdminClient(settings, logger=LOGGER)

    def partitions(self) -> dict[str, int]:
        """Every topic that is not the cluster's own: name -> number of partitions."""
        return {
            name: len(topic.partitions)
            for name, topic in self._metadata().topics.items()
            if topic.error is None and not name.startswith("__")
        }

    def identities(self, topics: Collection[str]) -> dict[str, str]:
        """Of the topics that exist: name -> topic id."""
        described = self._results(self._describe(topics), "describing topics", but=NO_TOPIC)
        return {topic: str(description.topic_id) for topic, description in described.items()}

    def watch(self, topics: Collection[str]) -> TopicWatch:
        """A watch over these topics, which begins now."""
        return TopicWatch(lambda: self._describe(topics) if topics else {})

    def offsets(self, asked: Iterable[TopicPartition], which: Any) -> dict[TopicPartition, int]:
        """EARLIEST or LATEST of each partition that exists, in one request a broker."""
        missing, deadline = set(asked), time.monotonic() + self._timeout
        offsets: dict[TopicPartition, int] = {}
        while missing:
            futures = self._admin.list_offsets(
                dict.fromkeys(missing, which),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._timeout,
            )
            # Partitions of a new topic have a leader a moment before it knows.
            patient = ELECTING if time.monotonic() < deadline else frozenset()
            answers = self._results(futures, "asking for offsets", but=NO_TOPIC | patient)
            offsets |= {at: answer.offset for at, answer in answers.items()}
            missing = {at for at, future in futures.items() if _code(future) in ELECTING}
            if missing:
                time.sleep(_RETRY_SECONDS)
        return offsets

    def create_topics(self, topics: Iterable[str], partitions: int, config: Mapping[str, str]) -> set[str]:
        """The names created; somebody else may have been faster."""
        new = [NewTopic(topic, partitions, -1, config=dict(config)) for topic in topics]
        futures = self._admin.create_topics(new, request_timeout=self._timeout, operation_timeout=self._timeout)
        created = self._results(futures, "creating topics", but={KafkaError.TOPIC_ALREADY_EXISTS})
        # The broker that created a topic knows it before the others do.
        deadline = time.monotonic() + self._timeout
        while not futures.keys() <= self.partitions().keys() and time.monotonic() < deadline:
            time.sleep(_RETRY_SECONDS)
        return set(created)

    def delete_topics(self, topics: Iterable[str]) -> None:
        futures = self._admin.delete_topics(
            list(topics), request_timeout=self._timeout, operation_timeout=self._timeout
        )
        self._results(futures, "deleting topics", but=NO_TOPIC)

    def delete_records(self, before: Iterable[TopicPartition]) -> None:
        futures = self._admin.delete_records(
            list(before), request_timeout=self._timeout, operation_timeout=self._timeout
        )
        self._results(futures, "deleting records", but={KafkaError.OFFSET_OUT_OF_RANGE})

    def _metadata(self) -> Any:
        self._trouble = None
        try:
            return self._admin.list_topics(timeout=min(_SOON_SECONDS, self._timeout))
        except KafkaException:
            # Serves _on_error, which knows more than that time ran out.
            self._admin.poll(0)
        if self._trouble is None:
            with translated("asking for topics", self._bootstrap):
                return self._admin.list_topics(timeout=self._timeout)
        raise translate(self._trouble, "asking for topics", self._bootstrap)

    def _describe(self, topics: Collection[str]) -> Answers:
        return self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout)

    def _results(
        self, futures: Mapping[_Key, Future[_Value]], doing: str, *, but: Collection[int]
    ) -> dict[_Key, _Value]:
        """The answers, without those that failed with one of the codes in `but`."""
        answers = {}
        for key, future in futures.items():
            try:
                answers[key] = future.result()
            except KafkaException as error:
                if error.args[0].code() not in but:
                    raise translate(error.args[0], doing, self._bootstrap) from error
        return answers

    def _on_error(self, error: KafkaError) -> None:
        self._trouble = error


def _code(future: Future[Any]) -> int | None:
    error = future.exception()
    return error.args[0].code() if isinstance(error, KafkaException) else None
