"""Putting events into a log as a producer does, and records that are none."""

from collections.abc import Iterable, Sequence

from log.log import Headers, Log
from schemas.codec import encode
from schemas.models import Event
from schemas.topics import TOPICS, topic_of
from tests.folding import REGISTRY

PARTITIONS = 3


def publish(log: Log, events: Iterable[Event], *, partitions: int = PARTITIONS) -> int:
    """Append the events to their topics, which are made when missing; how many there were."""
    log.create_topics(TOPICS, partitions)
    count = 0
    with log.writer() as writer:
        for count, event in enumerate(events, 1):  # noqa: B007 - counted as it goes
            schema_id, schema = REGISTRY.current(event.channel)
            value = encode(event, schema_id=schema_id, schema=schema)
            writer.append(topic_of(event.channel), event.primary.key.encode(), value)
        assert writer.flush(60) == 0
    return count


def append(log: Log, topic: str, values: Sequence[bytes | None], headers: Headers = (), *, partition: int = 0) -> None:
    """Append records as they are."""
    with log.writer() as writer:
        for value in values:
            writer.append(topic, b"key", value, headers=headers, partition=partition)
        assert writer.flush(60) == 0
