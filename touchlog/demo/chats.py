"""Chat as it arrives: Chatwoot's webhooks, and the lines that our customers' portal writes."""

from datetime import datetime
from typing import Any

from touchlog.demo.archive import CHATWOOT, PORTAL, Archive
from touchlog.demo.people import Person


class WebChat:
    """One conversation in Chatwoot's widget. `known`: the visitor is logged in, and our site vouches for them."""

    def __init__(
        self,
        archive: Archive,
        person: Person,
        *,
        topic: str,
        agent: int,
        known: bool = True,
        about: dict[str, str] | None = None,
    ) -> None:
        self._archive, self._person, self._agent, self._known = archive, person, agent, known
        self._number = archive.number("chatwoot conversation", 401)
        self._topic, self._about = topic, about or {}
        self._status = "open"

    def begins(self, at: datetime, text: str, **how: Any) -> None:
        """The customer's first message."""
        first = self._archive.number("chatwoot message", 9_001)
        created = {
            "event": "conversation_created",
            **self._conversation(at),
            "messages": [{"id": first, "account_id": 1, "message_type": 0, "created_at": _unix(at), "content": text}],
            "created_at": _unix(at),
        }
        self._archive.add_json(CHATWOOT, at, created, **how)
        self._message(at, first, text, "incoming", self._sender(), how)

    def customer(self, at: datetime, text: str, **how: Any) -> None:
        self._message(at, self._archive.number("chatwoot message", 9_001), text, "incoming", self._sender(), how)

    def agent(self, at: datetime, text: str, **how: Any) -> None:
        sender = {"id": self._agent, "name": f"Agent {self._agent}", "type": "user"}
        self._message(at, self._archive.number("chatwoot message", 9_001), text, "outgoing", sender, how)

    def bot(self, at: datetime, text: str, **how: Any) -> None:
        sender = {"id": 2, "name": "Bot", "type": "agent_bot"}
        self._message(at, self._archive.number("chatwoot message", 9_001), text, "outgoing", sender, how)

    def resolved(self, at: datetime, **how: Any) -> None:
        changed = {"status": {"previous_value": self._status, "current_value": "resolved"}}
        self._status = "resolved"
        content = {"event": "conversation_status_changed", **self._conversation(at), "changed_attributes": [changed]}
        self._archive.add_json(CHATWOOT, at, content, **how)

    def survey(self, at: datetime, rating: int, comment: str | None = None) -> None:
        """How satisfied the customer was, 1-5."""
        answer = {"rating": rating, "feedback_message": comment}
        content = {
            "event": "message_updated",
            "id": self._archive.number("chatwoot message", 9_001),
            "content": "Please rate the conversation",
            "message_type": "template",
            "content_type": "input_csat",
            "content_attributes": {"submitted_values": {"csat_survey_response": answer}},
            "created_at": at.isoformat(),
            "account": {"id": 1, "name": "Acme"},
            "conversation": self._conversation(at),
        }
        self._archive.add_json(CHATWOOT, at, content)

    def _message(
        self, at: datetime, number: int, text: str, kind: str, sender: dict[str, Any], how: dict[str, Any]
    ) -> None:
        content = {
            "event": "message_created",
            "id": number,
            "content": text,
            "message_type": kind,
            "content_type": "text",
            "private": False,
            "created_at": at.isoformat(),
            "sender": sender,
            "inbox": {"id": 3, "name": "Web"},
            "account": {"id": 1, "name": "Acme"},
            "conversation": self._conversation(at),
        }
        self._archive.add_json(CHATWOOT, at, content, **how)

    def _conversation(self, at: datetime) -> dict[str, Any]:
        inbox = {"source_id": self._person.visitor, "contact_id": self._person.number, "inbox_id": 3}
        return {
            "id": self._number,
            "account_id": 1,
            "inbox_id": 3,
            "channel": "Channel::WebWidget",
            "status": self._status,
            "labels": [self._topic],
            "custom_attributes": self._about,
            "contact_inbox": {**inbox, "hmac_verified": self._known},
            "meta": {"sender": self._sender(), "assignee": {"id": self._agent, "name": f"Agent {self._agent}"}},
            "updated_at": _unix(at),
        }

    def _sender(self) -> dict[str, Any]:
        known = {"email": self._person.email, "identifier": self._person.account} if self._known else {}
        return {"id": self._person.number, "name": self._person.name, **known, "type": "contact"}


def portal(archive: Archive, person: Person, at: datetime, conversation: str, line: dict[str, Any], **how: Any) -> None:
    """One line of the portal's: whoever is logged in is known by account, address and number."""
    contact = {"account": person.account, "email": person.email, "phone": person.phone}
    content = {"conversation": conversation, "at": at.isoformat(), **line, "contact": contact, "assurance": "attested"}
    archive.add_json(PORTAL, at, content, **how)


def login(archive: Archive, person: Person, at: datetime) -> None:
    """The customer logged in: who they are is sure from here."""
    portal(archive, person, at, f"portal-{person.account}", {"type": "visitor.identified", "id": f"login-{at:%Y%m%d}"})


def _unix(at: datetime) -> int:
    return int(at.timestamp())
