"""Social networks as they arrive: Instagram's webhooks, and public conversations with our care account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from touchlog.demo.archive import CONVERSATIONS, INSTAGRAM, Archive
from touchlog.demo.people import Person

OURS = "17841499999999999"
"""Our Instagram account."""
COMPANY = "AcmeCare"

Turn = tuple[Literal["customer", "agent"], datetime, str]


class DirectMessages:
    """Direct messages with one person on Instagram."""

    def __init__(self, archive: Archive, person: Person) -> None:
        if person.instagram is None:
            raise ValueError(f"person {person.number} is not on Instagram")
        self._archive, self._theirs = archive, person.instagram
        self._last = ""
        self.point = f"social:instagram:{OURS}:{self._theirs}"
        self.conversation = f"instagram/{OURS}/{self._theirs}"

    def customer(self, at: datetime, text: str, **how: Any) -> None:
        self._send(at, self._theirs, OURS, {"message": {"mid": self._mid(), "text": text}}, how)

    def us(self, at: datetime, text: str, **how: Any) -> None:
        self._last = self._mid()
        self._send(at, OURS, self._theirs, {"message": {"mid": self._last, "text": text, "is_echo": True}}, how)

    def read(self, at: datetime, **how: Any) -> None:
        self._send(at, self._theirs, OURS, {"read": {"mid": self._last}}, how)

    def reacted(self, at: datetime, **how: Any) -> None:
        reaction = {"mid": self._last, "action": "react", "reaction": "love", "emoji": "❤"}
        self._send(at, self._theirs, OURS, {"reaction": reaction}, how)

    def _mid(self) -> str:
        return f"m_{self._archive.number('instagram message'):08}"

    def _send(self, at: datetime, sender: str, recipient: str, item: dict[str, Any], how: dict[str, Any]) -> None:
        millis = int(at.timestamp() * 1000)
        messaging = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": millis, **item}
        entry = {"id": OURS, "time": millis, "messaging": [messaging]}
        self._archive.add_json(INSTAGRAM, at, {"object": "instagram", "entry": [entry]}, **how)


def comment(archive: Archive, person: Person, at: datetime, text: str) -> None:
    """A comment below a picture of ours."""
    number = f"1800{archive.number('instagram comment'):013}"
    about = {"id": number, "text": text, "from": {"id": person.instagram, "username": f"sample{person.number}"}}
    change = {"field": "comments", "value": {**about, "media": {"id": "17900000000000001"}}}
    entry = {"id": OURS, "time": int(at.timestamp()), "changes": [change]}
    archive.add_json(INSTAGRAM, at, {"object": "instagram", "entry": [entry]})


def mention(archive: Archive, at: datetime) -> None:
    """Somebody mentioned us; Instagram does not say who."""
    value = {"media_id": f"1790{archive.number('instagram mention'):013}"}
    entry = {"id": OURS, "time": int(at.timestamp()), "changes": [{"field": "mentions", "value": value}]}
    archive.add_json(INSTAGRAM, at, {"object": "instagram", "entry": [entry]})


def public_conversation(
    archive: Archive, person: Person, turns: Sequence[Turn], *, topic: str, about: dict[str, str] | None = None
) -> None:
    """A conversation that everybody can read, as exported when it is over; an agent's last turn closes it."""
    turns = [turn for turn in turns if turn[1] < archive.end]
    if not turns:
        return
    first, last = turns[0][1], turns[-1][1]
    closed = turns[-1][0] == "agent"
    messages = [
        {
            "id": _snowflake(archive, at),
            "at": at.isoformat(),
            "author": author,
            "handle": _handle(author, person),
            "text": text,
        }
        for author, at, text in (turns[:-1] if closed else turns)
    ]
    hours, rest = divmod(int((last - first).total_seconds()), 3600)
    content: dict[str, Any] = {
        "company": COMPANY,
        "session": f"s{archive.number('public conversation'):05}",
        "started": first.isoformat(),
        "duration": f"{hours:02}:{rest // 60:02}:{rest % 60:02}.0",
        "topic": topic,
        **(about or {}),
        "messages": messages,
    }
    if closed:
        content["closing_reply"] = {"id": _snowflake(archive, last), "text": turns[-1][2]}
    archive.add_json(CONVERSATIONS, first, content, late=last - first, count=len(turns))


def _handle(author: str, person: Person) -> str | None:
    return person.handle if author == "customer" else COMPANY


def _snowflake(archive: Archive, at: datetime) -> str:
    """An id as Twitter makes them: milliseconds since 2010-11-04T01:42:54.657Z, and a serial number."""
    return str((int(at.timestamp() * 1000) - 1_288_834_974_657 << 22) + archive.number("snowflake") % 4096)
