"""What a payload format is: how a file is cut into payloads, and what events one payload means.

A format is one module of a channel's folder (`producers/email/sendgrid.py`) or of another package; `producers.formats`
finds them all. Its `events` is pure: the same payload and options give the same events, apart from `observed_at`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from schemas.models import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a payload does not say itself.

    `account` is the part of `source` after the vendor (`sendgrid/acme`); `region` (ISO 3166) is for phone numbers
    without a country; `timezone` (IANA) and `day_first` for times without offset; `our_domains` and `our_numbers`
    tell our side from the customer's; `columns` maps a contract field to a column of a CSV file.
    """

    observed_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    account: str = "default"
    region: str = "US"
    timezone: str = "UTC"
    day_first: bool = False
    our_domains: frozenset[str] = frozenset()
    our_numbers: frozenset[str] = frozenset()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """One payload of a file: what the rejects file keeps whole, and what `events` reads.

    `line` is the 1-based line where it begins, `item` its 0-based place in a batch on that line (None when alone).
    `content` is the parsed payload (a dict, a message, a row), or None when `error` says why it could not be parsed.
    """

    raw: bytes
    line: int
    item: int | None = None
    content: Any = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One way in which a vendor or a tool writes what happened on a channel.

    - `name` is what `--format` takes; `title` says in a few words what it is; `example` is one short payload of it.
    - `recognises(head)`: whether a file beginning with these bytes (up to 64 KiB) is of this format; never raises.
    - `payloads(stream, options)`: the file cut into payloads, in order, lazily; a part that cannot be parsed
      becomes a Payload with `error`, and the rest goes on; never raises for bad content.
    - `events(content, options)`: the events of one payload, none or several. Raises
      `schemas.errors.InvalidEvent("field: what is wrong")` when the payload cannot be understood;
      nothing else, whatever the payload holds.
    """

    name: str
    channel: str
    title: str
    example: str
    recognises: Callable[[bytes], bool]
    payloads: Callable[[BinaryIO, Options], Iterator[Payload]]
    events: Callable[[Any, Options], Iterator[Event]]
