"""Payload files of any size, made of the repository's own samples: each repetition is of other things and people."""

import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from producers.format import Format
from producers.formats import find_format
from schemas.errors import InvalidEvent
from tests.producers.golden import OPTIONS, SAMPLES
from touchlog.demo.letters import s10


def _numbered(text: str, number: int) -> str:
    return f"{text}x{number}"


def _last_digits(text: str, number: int) -> str:
    return f"{number:0{len(text)}d}"[-len(text) :]


def _phone(_: str, number: int) -> str:
    return f"+4670{number:07d}"


Rule = tuple[str, Callable[[str, int], str]]
"""What is found by a regular expression, and what stands in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A sample of a format, and which words of it name things and people."""

    channel: str
    format_name: str
    file: str
    things: tuple[Rule, ...]
    people: tuple[Rule, ...]
    headed: bool = False

    @property
    def format(self) -> Format:
        return find_format(self.channel, self.format_name)


SAMPLED = (
    Sample(
        channel="email",
        format_name="sendgrid",
        file="events.json",
        things=((r"\b(ev-\d+|STEM_1|m-?\d(?=[.@])|n1(?=@)|(?<=<)\d+(?=@))", _numbered),),
        people=((r"\b\w+(?=@example\.org)", _numbered),),
    ),
    Sample(
        channel="chat",
        format_name="transcript",
        file="support.jsonl",
        things=((r'(?<=")(c-\d+|m-\d|checkout-9)(?=")|#4711', _numbered),),
        people=((r"\bada2?(?=@example)|C-1001|v-1|Storgatan 1", _numbered), (r"070-000 00 01", _phone)),
    ),
    Sample(
        channel="phone",
        format_name="calls",
        file="3cx.csv",
        things=((r"00000C\d", _numbered),),
        people=((r"\+467\d{8}", _phone),),
        headed=True,
    ),
    Sample(
        channel="post",
        format_name="scans",
        file="scans.csv",
        things=(
            (r"RA ?123 ?456 ?785 ?SE", lambda _, number: s10(number)),
            (r"0037\d{16}|\b9001\b", _numbered),
        ),
        people=((r"C-17|Storgatan 1", _numbered),),
        headed=True,
    ),
    Sample(
        channel="social",
        format_name="conversations",
        file="twitter-customer-care.jsonl",
        # Of a Snowflake id the last digits tell no time.
        things=((r'(?<="session": ")\w+', _numbered), (r'(?<=\d{12})\d{6}(?=", "\w+": )', _last_digits)),
        people=((r"\buser_[0-9a-f]{10}", _numbered),),
    ),
)
"""One format of each channel."""


def write_payloads(sample: Sample, path: Path, *, events: int, customers: int, seed: int = 1) -> int:
    """Write a file of payloads that make at least that many distinct events; returns how many they make.

    Only those parts of the sample are repeated that are understood whole and tell nothing that another told before.
    Customers are drawn at random.
    """
    lines = (SAMPLES / sample.channel / sample.format_name / sample.file).read_text("utf-8-sig").splitlines()
    header = f"{lines.pop(0)}\n" if sample.headed else ""
    parts: list[str] = []
    known: set[UUID] = set()
    for part in (line.strip(" ,[]") for line in lines):
        told = _ids_of(sample.format, header + part)
        if told and known.isdisjoint(told):
            parts.append(part)
            known.update(told)
    each = len(known)
    times = -(-events // each)
    pick = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        file.write(header)
        for number in range(times):
            customer = pick.randrange(customers)
            file.writelines(f"{_said_of(sample, part, number, customer)}\n" for part in parts)
    return times * each


def _said_of(sample: Sample, part: str, number: int, customer: int) -> str:
    for rules, given in ((sample.things, number), (sample.people, customer)):
        for pattern, put in rules:
            part = re.sub(pattern, lambda found, put=put, given=given: put(found[0], given), part)  # type: ignore[misc]
    return part


def _ids_of(known: Format, text: str) -> list[UUID]:
    """The ids of a file's events; none when not all of it is understood."""
    found: list[UUID] = []
    for payload in known.payloads(io.BytesIO(text.encode()), OPTIONS):
        try:
            events = [] if payload.error is not None else list(known.events(payload.content, OPTIONS))
        except InvalidEvent:
            events = []
        if not events:
            return []
        found += [event.event_id for event in events]
    return found
