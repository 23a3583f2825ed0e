"""What every producer has to keep: events that go through Avro and come back, ids that repeat, or InvalidEvent."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from producers.format import Options
from schemas.codec import decode, encode, from_record
from schemas.errors import InvalidEvent
from schemas.models import Event
from schemas.registry import LockedRegistry


@cache
def schema_of(channel: str) -> tuple[int, str]:
    return LockedRegistry().current(channel)


def read_back(event: Event) -> Event:
    """The event after it has been written to the log and read again."""
    schema_id, schema = schema_of(event.channel)
    return from_record(event.channel, decode(encode(event, schema_id=schema_id, schema=schema)[5:], schema=schema))


def check_outcome(events: Callable[[Any, Options], Iterator[Event]], content: Any, options: Options) -> str:
    """`events` or `refused`; anything else fails: another exception, an id that changes, an event Avro cannot hold."""
    try:
        found = list(events(content, options))
    except InvalidEvent as error:
        if not str(error):
            raise
        return "refused"
    later = list(events(content, replace(options, observed_at=options.observed_at + timedelta(days=1))))
    assert [event.event_id for event in found] == [event.event_id for event in later]
    for event in found:
        assert read_back(event) == event
        assert event.contact_points
    assert found
    return "events"
