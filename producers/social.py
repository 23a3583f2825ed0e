"""Social networks: the formats that are understood.

instagram        Meta's webhooks for Instagram and Messenger
conversations    public conversations, one a line
"""

from collections.abc import Iterator
from typing import BinaryIO

from producers.format import Format, Options, Payload
from producers.reading import cut_payloads, json_payloads, json_sample
from producers.social_conversations import conversation_events, conversation_messages
from producers.social_instagram import NETWORKS, instagram_events, webhook_items


def instagram_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Webhooks, each cut into webhooks of one item."""
    return cut_payloads(json_payloads(stream, options), webhook_items)


def conversation_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Conversations, each cut into its messages."""
    return cut_payloads(json_payloads(stream, options), conversation_messages)


def is_instagram(head: bytes) -> bool:
    """Whether a file begins with Meta's webhooks."""
    return any(found.get("object") in list(NETWORKS) and "entry" in found for found in json_sample(head)[:5])


def is_conversations(head: bytes) -> bool:
    """Whether a file begins with conversations of a company."""
    return any({"company", "session", "messages"} <= set(found) for found in json_sample(head)[:5])


FORMATS: tuple[Format, ...] = (
    Format(
        name="instagram",
        channel="social",
        title="Meta's webhooks for Instagram and Messenger (JSON)",
        recognises=is_instagram,
        payloads=instagram_payloads,
        events=instagram_events,
    ),
    Format(
        name="conversations",
        channel="social",
        title="public conversations (JSON lines, one conversation a line)",
        recognises=is_conversations,
        payloads=conversation_payloads,
        events=conversation_events,
    ),
)
