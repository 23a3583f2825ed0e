"""The log at home in Kafka: any broker that speaks its protocol."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from confluent_kafka import TopicPartition as WirePartition

from log.kafka_client import common_config
from log.kafka_cluster import EARLIEST, LATEST, Cluster
from log.kafka_reader import KafkaReader
from log.kafka_writer import KafkaWriter
from log.log import Positions, TopicPartition
from schemas.errors import ConfigurationError
from schemas.topics import TOPIC_CONFIG


class KafkaLog:
    """`Log` in a Kafka cluster; nothing is asked of it before the first call.

    `bootstrap` is `host:port[,host:port…]`, `options` are librdkafka's properties (security, tuning).
    `namespace` is put before every topic's name on the wire and taken off again on reading, so that several
    environments share one cluster. `timeout` bounds every question to the cluster, in seconds.
    """

    def __init__(
        self,
        bootstrap: str,
        options: Mapping[str, str] | None = None,
        *,
        namespace: str = "",
        timeout: float = 10.0,
    ) -> None:
        self.url = f"kafka://{bootstrap}" + (f"?prefix={namespace}" if namespace else "")
        self._bootstrap, self._namespace, self._timeout = bootstrap, namespace, timeout
        self._config = common_config(bootstrap, options or {})
        self._cluster: Cluster | None = Cluster(self._config, timeout)

    def create_topics(self, topics: Iterable[str], partitions: int) -> list[str]:
        if partitions < 1:
            raise ConfigurationError(f"a topic needs at least one partition, not {partitions}")
        existing = self._partitions()
        missing = [topic for topic in dict.fromkeys(topics) if topic not in existing]
        if not missing:
            return []
        created = self._open().create_topics([self._namespace + topic for topic in missing], partitions, TOPIC_CONFIG)
        return [topic for topic in missing if self._namespace + topic in created]

    def topics(self) -> dict[str, str]:
        existing = self._partitions()
        if not existing:
            return {}
        identities = self._open().identities([self._namespace + topic for topic in sorted(existing)])
        return {self._bare(wire): identity for wire, identity in identities.items()}

    def begin_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return self._offsets(topics, EARLIEST)

    def end_offsets(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        return self._offsets(topics, LATEST)

    def delete_records(self, before: Positions) -> None:
        """Delete, in each partition, the records below the offset (at most all of them)."""
        ends = self.end_offsets({topic for topic, _ in before})
        for topic, partition in before.keys() - ends.keys():
            raise ConfigurationError(f"there is no partition {partition} of {topic} at {self._bootstrap}")
        self._open().delete_records(
            WirePartition(self._namespace + at.topic, at.partition, min(offset, ends[at]))
            for at, offset in before.items()
        )

    def delete_topics(self, topics: Iterable[str]) -> None:
        """Delete topics with all their records; those that do not exist are passed over."""
        names = [self._namespace + topic for topic in topics]
        if names:
            self._open().delete_topics(names)

    def reader(self, positions: Positions, *, group: str = "touchlog") -> KafkaReader:
        existing = self._partitions()
        for topic, partition in positions:
            if not 0 <= partition < existing.get(topic, 0):
                raise ConfigurationError(
                    f"there is no partition {partition} of {self._namespace + topic} at {self._bootstrap},"
                    f" which has {existing.get(topic, 0)} of them; create the topic, or check the log's URL"
                )
        return KafkaReader(
            self._config,
            positions,
            group=group,
            watch=self._open().watch({self._namespace + topic for topic, _ in positions}),
            namespace=self._namespace,
        )

    def writer(self) -> KafkaWriter:
        self._open()
        return KafkaWriter(self._config, namespace=self._namespace, timeout=self._timeout)

    def close(self) -> None:
        self._cluster = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _partitions(self) -> dict[str, int]:
        """The topics of this namespace: name -> number of partitions."""
        return {
            self._bare(wire): count
            for wire, count in self._open().partitions().items()
            if wire.startswith(self._namespace)
        }

    def _offsets(self, topics: Iterable[str], which: Any) -> dict[TopicPartition, int]:
        existing = self._partitions()
        offsets = self._open().offsets(
            {
                WirePartition(self._namespace + topic, partition)
                for topic in topics
                for partition in range(existing.get(topic, 0))
            },
            which,
        )
        ordered = sorted(offsets.items(), key=lambda item: (item[0].topic, item[0].partition))
        return {TopicPartition(self._bare(at.topic), at.partition): offset for at, offset in ordered}

    def _bare(self, wire: str) -> str:
        return wire[len(self._namespace) :]

    def _open(self) -> Cluster:
        if self._cluster is None:
            raise ValueError("the log is closed")
        return self._cluster
