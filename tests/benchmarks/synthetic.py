"""Synthetic events for benchmarks: all five channels, spread over many customers, as they lie in the log."""

import io
import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import fastavro

from schemas.codec import MAGIC, parsed
from schemas.event_types import EVENT_TYPES, avro_symbol
from schemas.registry import LockedRegistry
from schemas.topics import CHANNELS, topic_of

_START = 1_767_225_600_000_000  # 2026-01-01
_DAYS_90 = 90 * 86_400_000_000
_OWN: dict[str, dict[str, Any]] = {
    "email": {"subject": "Where is my parcel?", "bounce_class": None, "url": None, "in_reply_to": None},
    "chat": {"page_url": None, "step": None},
    "phone": {
        "wait_s": 30,
        "talk_s": 120,
        "queue": "sales",
        "ivr_path": None,
        "disposition": None,
        "answered_by": "human",
    },
    "post": {"piece": None, "document_class": None, "delivery_basis": "scan", "return_reason": None},
    "social": {"network": "instagram", "public": False, "parent_ref": None},
}


def records(count: int, *, customers: int, seed: int = 1) -> Iterator[tuple[str, bytes, bytes]]:
    """(topic, key, value) of that many distinct events: 3 % name a second contact point, 5 % a case."""
    pick = random.Random(seed)
    registry = LockedRegistry()
    heads = {}
    for channel in CHANNELS:
        schema_id, schema = registry.current(channel)
        heads[channel] = (MAGIC + schema_id.to_bytes(4, "big"), parsed(schema))
    symbols = {
        channel: [avro_symbol(name) for name in EVENT_TYPES[channel] if name != "unknown"] for channel in CHANNELS
    }
    for _ in range(count):
        channel = pick.choice(CHANNELS)
        head, schema = heads[channel]
        record = _record(pick, channel, pick.choice(symbols[channel]), pick.randrange(customers))
        buffer = io.BytesIO()
        buffer.write(head)
        fastavro.schemaless_writer(buffer, schema, record)
        yield topic_of(channel), f"email:{record['contact_points'][0]['value']}".encode(), buffer.getvalue()


def _record(pick: random.Random, channel: str, symbol: str, customer: int) -> dict[str, Any]:
    sure = {"assurance": "asserted", "role": "self", "normalised": True}
    points = [{"kind": "email", "value": f"c{customer}@example.org", **sure}]
    if pick.random() < 0.03:
        points.append({"kind": "phone", "value": f"+4670{customer:07d}", **sure})
    at = _START + pick.randrange(_DAYS_90)
    return {
        "event_id": str(UUID(int=pick.getrandbits(128), version=5)),
        "type": symbol,
        "occurred_at": at,
        "observed_at": at + 1_000_000,
        "source": "bench/acme",
        "source_event_id": None,
        "direction": pick.choice(("inbound", "outbound", "report")),
        "contact_points": points,
        "conversation_ref": f"t{customer}-{pick.randrange(5)}" if pick.random() < 0.5 else None,
        "message_ref": f"m{pick.randrange(10**7)}",
        "answers_ref": None,
        "read_up_to": None,
        "case_refs": [f"order:{customer}-{pick.randrange(3)}"] if pick.random() < 0.05 else [],
        "content_type": pick.choice(("news", "offers", "invoices", "service", None)),
        "purpose": None,
        "topic": pick.choice(("delivery", "billing", None, None)),
        "author": pick.choice(("human", "customer", "template")),
        "machine": None,
        "agent": pick.choice(("agent-1", "agent-2", None)),
        "promised_at": None,
        "statement": None,
        "survey": None,
        "summary": "Where is my parcel?",
        "attributes": {"campaign": "spring"} if pick.random() < 0.3 else {},
        **_OWN[channel],
    }
