"""Chat: the formats that are understood.

chatwoot      Chatwoot's webhooks
transcript    JSON lines, one message a line, of any system
"""

from producers.chat_chatwoot import chatwoot_events
from producers.chat_transcript import CONVERSATION, WRITER, transcript_events
from producers.format import Format
from producers.reading import json_payloads, json_sample

_CHATWOOT = ("message_", "conversation_", "contact_", "webwidget_", "inbox_")


def is_chatwoot(head: bytes) -> bool:
    """Whether a file begins with Chatwoot's webhooks."""
    return any(str(found.get("event", "")).startswith(_CHATWOOT) for found in json_sample(head)[:5])


def is_transcript(head: bytes) -> bool:
    """Whether a file begins with lines of a transcript."""
    return any(
        any(isinstance(found.get(name), str | int) for name in CONVERSATION)
        and any(isinstance(found.get(name), str) for name in (*WRITER, "type"))
        for found in json_sample(head)[:5]
    )


FORMATS: tuple[Format, ...] = (
    Format(
        name="chatwoot",
        channel="chat",
        title="Chatwoot's webhooks (JSON)",
        recognises=is_chatwoot,
        payloads=json_payloads,
        events=chatwoot_events,
    ),
    Format(
        name="transcript",
        channel="chat",
        title="chat transcripts (JSON lines, one message a line)",
        recognises=is_transcript,
        payloads=json_payloads,
        events=transcript_events,
    ),
)
