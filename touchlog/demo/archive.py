"""What the channel systems delivered: payloads in the order of their arrival, a file for each system and format."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

DAYS = 90
SENDGRID, MAILBOX = "email/sendgrid.jsonl", "email/support.mbox"
CHATWOOT, PORTAL = "chat/chatwoot.jsonl", "chat/portal.jsonl"
TWILIO, CALLS = "phone/twilio.txt", "phone/calls.csv"
LOB, SCANS, MAILROOM = "post/lob.jsonl", "post/scans.csv", "post/mailroom.csv"
INSTAGRAM, CONVERSATIONS = "social/instagram.jsonl", "social/conversations.jsonl"
CRM = "crm/events.jsonl"

COLUMNS = {
    CALLS: (
        *("call_id", "direction", "started_at", "customer_number", "phone", "queue", "wait_s", "talk_s", "outcome"),
        *("agent", "subject", "case", "order"),
    ),
    SCANS: (
        *("item_id", "event_code", "event_time", "office", "reason_code", "returned", "customer_ref", "street"),
        *("postal_code", "city", "country", "content_type"),
    ),
    MAILROOM: (*("scan_id", "received_at", "customer_ref", "document_class", "pages", "statement", "case", "note"),),
}
"""Headers of the tables, as their systems name the columns."""

_BATCH = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    arrives: datetime
    payload: bytes
    count: int


class Archive:
    """The deliveries of the 90 days before `today`; day -1 is yesterday, the last one."""

    def __init__(self, today: date) -> None:
        self.today = today
        self._entries: dict[str, list[_Entry]] = {}
        self._numbers: Counter[str] = Counter()

    def at(self, day: int, clock: str) -> datetime:
        """A moment in UTC: `at(-1, "16:20")` is yesterday afternoon."""
        return datetime.combine(self.today + timedelta(days=day), time.fromisoformat(clock), UTC)

    @property
    def end(self) -> datetime:
        """The midnight that ends the last day; nothing was sent or received after it."""
        return self.at(0, "00:00")

    def number(self, what: str, first: int = 1) -> int:
        """The next number in a series, as vendors give them to what they hold."""
        self._numbers[what] += 1
        return first + self._numbers[what] - 1

    def add(
        self,
        file: str,
        at: datetime,
        payload: bytes,
        *,
        late: timedelta = timedelta(),
        twice: bool = False,
        count: int = 1,
    ) -> None:
        """One delivery about what happened `at`: `late` by so much, `twice` when the vendor tried again.

        `count`: how many payloads a producer cuts it into. What would arrive after the end did not happen yet.
        """
        if at >= self.end:
            return
        for arrives in (at + late, *([at + late + timedelta(minutes=7)] if twice else [])):
            self._entries.setdefault(file, []).append(_Entry(arrives=arrives, payload=payload, count=count))

    def add_json(self, file: str, at: datetime, content: Any, **how: Any) -> None:
        """As `add`, of a JSON object."""
        self.add(file, at, json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), **how)

    def add_row(self, file: str, at: datetime, row: dict[str, Any], **how: Any) -> None:
        """As `add`, of a row with some of the file's columns."""
        unknown = set(row) - set(COLUMNS[file])
        if unknown:
            raise KeyError(f"{file} has no columns {sorted(unknown)}")
        self.add(file, at, _csv_line([row.get(column, "") for column in COLUMNS[file]]), **how)

    def payloads(self) -> int:
        """How many payloads the files hold."""
        return sum(entry.count for entries in self._entries.values() for entry in entries)

    def files(self) -> dict[str, bytes]:
        """Path in the payloads' folder -> content."""
        found: dict[str, bytes] = {}
        for file, entries in sorted(self._entries.items()):
            payloads = [entry.payload for entry in sorted(entries, key=lambda entry: entry.arrives)]
            if file == SENDGRID:
                payloads = list(_batches(payloads))
            header = [_csv_line(COLUMNS[file])] if file in COLUMNS else []
            found[file] = b"".join(payload.rstrip(b"\n") + _end(file) for payload in [*header, *payloads])
        return found


def _end(file: str) -> bytes:
    return b"\n\n" if file == MAILBOX else b"\n"


def _csv_line(cells: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _batches(payloads: Sequence[bytes]) -> Iterator[bytes]:
    """SendGrid posts arrays; what is no object stays a body of its own."""
    batch: list[bytes] = []
    for payload in payloads:
        whole = payload.startswith(b"{")
        if batch and (not whole or len(batch) == _BATCH):
            yield b"[" + b",".join(batch) + b"]"
            batch = []
        if whole:
            batch.append(payload)
        else:
            yield payload
    if batch:
        yield b"[" + b",".join(batch) + b"]"
