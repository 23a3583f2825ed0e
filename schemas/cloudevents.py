"""CloudEvents 1.0 attributes of an event as record headers (Kafka protocol binding, binary mode).

They are for tools that route records without reading them; readers of the log never need them. There is no
`ce_subject`: it would be the contact point, and headers hold no personal data.
"""

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from schemas.models import Event

CONTENT_TYPE = "application/avro"

_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", CONTENT_TYPE.encode())


def cloudevents_headers(event: Event) -> list[tuple[str, bytes]]:
    """`ce_specversion`, `ce_id`, `ce_source`, `ce_type`, `ce_time` and `content-type` of an event."""
    return [
        _SPECVERSION,
        ("ce_id", str(event.event_id).encode()),
        _source(event.source),
        _type(event.channel, event.type),
        ("ce_time", _rfc_3339(event.occurred_at)),
        _CONTENT_TYPE,
    ]


@lru_cache(maxsize=1024)
def _source(source: str) -> tuple[str, bytes]:
    """A URI reference, as the specification wants it: `sendgrid/acme` is one already."""
    return "ce_source", quote(source, safe="/:@!$&'()*+,;=-._~").encode()


@lru_cache(maxsize=1024)
def _type(channel: str, event_type: str) -> tuple[str, bytes]:
    return "ce_type", f"touchlog.{channel}.{event_type}".encode()


def _rfc_3339(moment: datetime) -> bytes:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()
