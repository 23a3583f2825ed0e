"""Topics of the log: one a channel, one for statements about identity."""

CHANNELS = ("email", "chat", "phone", "post", "social")
IDENTITY = "identity"
STREAMS = (*CHANNELS, IDENTITY)

PREFIX = "interactions."
TOPICS = tuple(PREFIX + stream for stream in STREAMS)

DEAD_SUFFIX = ".dead"
DEAD_TOPICS = tuple(topic + DEAD_SUFFIX for topic in TOPICS)
"""Where records that were parked are published too, when that is asked for: `interactions.email.dead`."""

DEFAULT_PARTITIONS = 6
# A broker deletes by record timestamp, which carries historic event time: keep for ever. It refuses times that are an
# hour ahead of its own clock unless told not to: vendors' may be a day ahead (schemas.models.CLOCK_TOLERANCE).
TOPIC_CONFIG = {
    "retention.ms": "-1",
    "cleanup.policy": "delete",
    "message.timestamp.after.max.ms": str(2**63 - 1),
}


def topic_of(stream: str) -> str:
    """Topic of a channel or of `identity`: `email` -> `interactions.email`."""
    if stream not in STREAMS:
        raise ValueError(f"no such channel: {stream!r}; one of {', '.join(STREAMS)}")
    return PREFIX + stream


def stream_of(topic: str) -> str:
    """Channel (or `identity`) of a topic: `interactions.email` -> `email`."""
    stream = topic.removeprefix(PREFIX)
    if topic == stream or stream not in STREAMS:
        raise ValueError(f"not a touchlog topic: {topic!r}; one of {', '.join(TOPICS)}")
    return stream
