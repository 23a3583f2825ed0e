"""CloudEvents attributes as record headers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.cloudevents import cloudevents_headers
from schemas.event_types import EVENT_TYPES
from tests.schemas.test_event import MOMENT, an_event


def test_the_headers_of_an_event():
    event = an_event()

    assert cloudevents_headers(event) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event.event_id).encode()),
        ("ce_source", b"imap/acme"),
        ("ce_type", b"touchlog.email.message.received"),
        ("ce_time", b"2026-03-02T09:14:05.123457Z"),
        ("content-type", b"application/avro"),
    ]


@pytest.mark.parametrize("channel", EVENT_TYPES)
def test_a_type_says_its_channel(channel):
    for name in EVENT_TYPES[channel]:
        assert (
            dict(cloudevents_headers(an_event(channel, type=name)))["ce_type"] == f"touchlog.{channel}.{name}".encode()
        )


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("sendgrid/acme", b"sendgrid/acme"),
        ("https://example.org/a?b=c#d", b"https://example.org/a%3Fb=c%23d"),
        ("Växel 1", b"V%C3%A4xel%201"),
        ("100%", b"100%25"),
        ("a\r\nb", b"a%0D%0Ab"),
    ],
)
def test_a_source_is_a_uri_reference(source, written):
    assert dict(cloudevents_headers(an_event(source=source)))["ce_source"] == written


def test_a_time_is_told_in_utc():
    there = timezone(timedelta(hours=5, minutes=45))
    at = datetime(2026, 3, 2, 1, 0, 0, 0, there)

    assert dict(cloudevents_headers(an_event(occurred_at=at)))["ce_time"] == b"2026-03-01T19:15:00Z"
    assert at.astimezone(UTC) < MOMENT


def test_headers_hold_no_personal_data():
    event = an_event(summary="Hello from Ada", subject="Hello", attributes={"name": "Ada Example"})
    told = b" ".join(value for _, value in cloudevents_headers(event))

    for personal in (b"ada@example.org", b"ada%40", b"Hello", b"Example"):
        assert personal not in told
