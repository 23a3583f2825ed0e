"""Topics of the log: one a channel, one for statements about identity."""

CHANNELS = ("email", "chat", "phone", "post", "social")
IDENTITY = "identity"
STREAMS = (*CHANNELS, IDENTITY)

PREFIX = "interactions."
TOPICS = tuple(PREFIX + stream for stream in STREAMS)

DEFAULT_PARTITIONS = 6
# A broker deletes by record timestamp, which carries historic event time: keep for ever.
TOPIC_CONFIG = {"retention.ms": "-1", "cleanup.policy": "delete"}


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
