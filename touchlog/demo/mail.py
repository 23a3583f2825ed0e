"""E-mail as it arrives: messages in RFC 5322 form, and SendGrid's reports on what we sent."""

from datetime import datetime, timedelta
from email.utils import format_datetime, formataddr
from typing import Any

from touchlog.demo.archive import MAILBOX, SENDGRID, Archive
from touchlog.demo.people import Person

SUPPORT = "support@acme.example"


class MailThread:
    """Letters to and from our support; `case` stands in the subject as helpdesks write it."""

    def __init__(self, archive: Archive, person: Person, subject: str, *, case: str | None = None) -> None:
        self._archive, self._person = archive, person
        self._subject = f"{subject} [#{case}]" if case else subject
        self._ids: list[str] = []

    def customer(self, at: datetime, text: str) -> None:
        self._message(at, (self._person.name, self._person.email), ("Acme", SUPPORT), text)

    def agent(self, at: datetime, text: str, *, headers: tuple[str, ...] = ()) -> None:
        self._message(at, ("Acme", SUPPORT), (self._person.name, self._person.email), text, headers=headers)

    def _message(
        self, at: datetime, sender: tuple[str, str], to: tuple[str, str], text: str, *, headers: tuple[str, ...] = ()
    ) -> None:
        domain = sender[1].partition("@")[2]
        message_id = f"<{self._archive.number('mail')}.{at:%Y%m%d%H%M}@{domain}>"
        lines = [f"Message-ID: {message_id}", f"Date: {format_datetime(at)}"]
        lines += [f"From: {formataddr(sender)}", f"To: {formataddr(to)}"]
        lines += [f"Subject: {'Re: ' if self._ids else ''}{self._subject}"]
        if self._ids:
            lines += [f"In-Reply-To: {self._ids[-1]}", f"References: {' '.join(self._ids)}"]
        if sender[1] != SUPPORT:
            lines += [f"Authentication-Results: mx.acme.example; dkim=pass header.d={domain}"]
        lines += [*headers, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", text]
        self._ids.append(message_id)
        add_message(self._archive, at, "\n".join(lines), sender[1])


def add_message(archive: Archive, at: datetime, message: str, sender: str) -> None:
    """A message in the mailbox, after the line that separates them there."""
    archive.add(MAILBOX, at, f"From {sender} {at:%a %b %d %H:%M:%S %Y}\n{message}".encode())


def eml(archive: Archive, name: str, at: datetime, message: str) -> None:
    """A message in a file of its own."""
    archive.add(f"email/{name}.eml", at, message.encode())


class Mailing:
    """One mail that we sent through SendGrid, as its webhook tells of it."""

    def __init__(self, archive: Archive, person: Person, subject: str, *, category: str, about: dict[str, str]) -> None:
        self._archive, self._person = archive, person
        self._stem = f"acme{archive.number('sendgrid mail', 100_001)}"
        self._common = {"category": [category], "subject": subject, **about}

    def delivered(self, at: datetime, **how: Any) -> None:
        self._event(at, {"event": "delivered", "response": "250 OK"}, how)

    def opened(self, at: datetime, *, machine: bool, **how: Any) -> None:
        agent = "Mozilla/5.0 (prefetch)" if machine else "Mozilla/5.0 (X11; Linux x86_64)"
        self._event(at, {"event": "open", "sg_machine_open": machine, "useragent": agent, "ip": "192.0.2.7"}, how)

    def clicked(self, at: datetime, path: str, **how: Any) -> None:
        self._event(at, {"event": "click", "url": f"https://acme.example/{path}", "ip": "192.0.2.7"}, how)

    def bounced(self, at: datetime, **how: Any) -> None:
        said = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such mailbox"}
        self._event(at, {"event": "bounce", **said}, how)

    def deferred(self, at: datetime, **how: Any) -> None:
        self._event(at, {"event": "deferred", "response": "451 try again later", "attempt": "1"}, how)

    def complained(self, at: datetime, **how: Any) -> None:
        self._event(at, {"event": "spamreport"}, how)

    def unsubscribed(self, at: datetime, **how: Any) -> None:
        self._event(at, {"event": "group_unsubscribe", "asm_group_id": 7}, how)

    def _event(self, at: datetime, what: dict[str, Any], how: dict[str, Any]) -> None:
        number = self._archive.number("sendgrid event")
        content = {
            "email": self._person.email,
            "timestamp": int(at.timestamp()),
            "sg_event_id": f"ev-{number}",
            "sg_message_id": f"{self._stem}.filterdrecv-5c8-{number % 9}",
            **what,
            **self._common,
        }
        twice = how.pop("twice", False)
        self._archive.add_json(SENDGRID, at, content, **how)
        if twice:
            # A webhook that is delivered again has another sg_event_id, and is the same event.
            late = how.get("late", timedelta()) + timedelta(minutes=7)
            self._archive.add_json(SENDGRID, at, {**content, "sg_event_id": f"ev-{number}-again"}, late=late)
