"""What every Kafka client of the log shares: its settings, and librdkafka's errors in touchlog's own words."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import ConfigurationError, LogUnavailable, TouchlogError

LOGGER = logging.getLogger(__name__)
# Without a handler Python would print the client's warnings; what matters is raised as an error anyway.
LOGGER.addHandler(logging.NullHandler())
# One set of options serves consumers, producers and administrators.
LOGGER.addFilter(lambda record: "property and will be ignored by this" not in record.getMessage())

# A wait inside librdkafka does not see Ctrl-C, so it is cut into slices.
SLICE_SECONDS = 0.2

Config = dict[str, Any]


class Received(Protocol):
    """A message as librdkafka hands it over; its own type does not say that topic and offset are known."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...
    def error(self) -> KafkaError | None: ...


COMMON: Config = {
    "client.id": "touchlog",
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2000,
    # A mistyped name must fail, not become a topic with the broker's default retention.
    "allow.auto.create.topics": False,
}
CONSUMER: Config = {
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # The default second would pause a backlog whenever the local queue is full.
    "fetch.queue.backoff.ms": 10,
}
PRODUCER: Config = {
    "enable.idempotence": True,
    "acks": "all",
    # The Java client's default, and the embedded log's.
    "partitioner": "murmur2_random",
    # Of small batches zstd costs a producer half as much again as lz4, and a consumer three times as much
    # (docs/decisions/0007).
    "compression.type": "lz4",
    "linger.ms": 10,
    "queue.buffering.max.kbytes": 131072,
}
_PROMISED = frozenset(CONSUMER.keys() - {"fetch.queue.backoff.ms"}) | {
    "bootstrap.servers",
    "group.id",
    "allow.auto.create.topics",
    "enable.idempotence",
    "acks",
    "partitioner",
}

_AUTHORISATION = frozenset(
    (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
)
_NEVER = _AUTHORISATION | {
    KafkaError._INVALID_ARG,
    KafkaError._SSL,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_CONFIG,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_VERSION,
}
NO_TOPIC = frozenset(
    (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
    )
)
ELECTING = frozenset(
    (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    )
)


def common_config(bootstrap: str, options: Mapping[str, str]) -> Config:
    """Settings for any client; `options` are librdkafka's own properties and win where touchlog promises nothing.

    https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md lists them.
    """
    if taken := sorted(_PROMISED & options.keys()):
        raise ConfigurationError(f"the log sets {', '.join(taken)} itself; leave it out of the Kafka options")
    return {**COMMON, **options, "bootstrap.servers": bootstrap}


@contextmanager
def translated(doing: str, bootstrap: str) -> Iterator[None]:
    """librdkafka's errors, raised as touchlog's own."""
    try:
        yield
    except KafkaException as error:
        raise translate(error.args[0], doing, bootstrap) from error


def translate(error: object, doing: str, bootstrap: str) -> TouchlogError:
    """ConfigurationError when the same call can never succeed, else LogUnavailable; `doing` begins the message."""
    if not isinstance(error, KafkaError):
        return LogUnavailable(f"{doing} failed at {bootstrap}: {error}")
    if error.code() in _AUTHORISATION:
        return ConfigurationError(
            f"{doing} was refused by {bootstrap} ({error.name()}: {error.str()});"
            " check the security settings in the Kafka options"
        )
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return ConfigurationError(
            f"{doing} failed: a record is larger than message.max.bytes of the client or max.message.bytes of the"
            " topic allows; raise both"
        )
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return ConfigurationError(
            f"{doing} failed: a record's time is further from the broker's clock than the topic allows; set"
            f" message.timestamp.after.max.ms={2**63 - 1} on it, as topics have that touchlog makes"
        )
    if error.code() in _NEVER:
        return ConfigurationError(f"{doing} failed at {bootstrap} ({error.name()}): {error.str()}")
    return LogUnavailable(
        f"{doing} failed at {bootstrap} ({error.name()}: {error.str()}); check that the broker runs, then try again"
    )
