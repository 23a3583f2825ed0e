"""Public conversations as JSON lines, one conversation a line, as in IBM's Twitter customer care data.

    {"company": "AcmeCare", "session": "s1", "started": "2020-04-01T17:31:32Z", "duration": "01:26:55.0",
     "messages": [{"id": "1", "at": "2020-04-01T17:31:32Z", "author": "customer", "handle": "ada", "text": "…"}],
     "closing_reply": {"id": "2", "text": "…"}}

Every message is a payload of its own, with what it needs of its line: a bad one costs only itself. A customer's
message is `post.mentioned`, an agent's and the closing reply `reply.published`, which answers the customer's last one
before it. `network` is twitter unless the line says so. The customer is `social:<network>:handle:<handle>`: names are
the network's own, and the same for every company.

The closing reply may have no time of its own. An id of Twitter's tells when it was made (its upper bits are
milliseconds since 2010-11-04T01:42:54.657Z, as Twitter published for its Snowflake ids), and is asked first: in the
data named above `duration` has lost its whole days, and is even negative, in one conversation of five, while the
times in the ids agree with all times given. Elsewhere it is started + duration.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from producers.format import Format, Options, Payload
from producers.reading import Fields, attributes, case_refs, cut_payloads, event_of, json_payloads, json_sample, point
from schemas.errors import InvalidEvent
from schemas.models import Author, Direction, Event, Kind

VENDOR = "conversations"
NETWORK = "twitter"

_SNOWFLAKE_EPOCH = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1_288_834_974_657)
_DURATION = re.compile(r"(?:(\d{1,6}) days?,? )?(\d{1,6}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?", re.ASCII)
_AUTHORS = {
    **dict.fromkeys(("customer", "user", "client"), Author.CUSTOMER),
    **dict.fromkeys(("agent", "company", "support", "human"), Author.HUMAN),
    "bot": Author.BOT,
}


def conversation_messages(content: Any) -> list[Any]:
    """One line as lines of one message each; nothing when it is of another shape. Never raises."""
    if not isinstance(content, Mapping) or not isinstance(content.get("messages"), list):
        return []
    context = {name: value for name, value in content.items() if name not in ("messages", "closing_reply")}
    found: list[Any] = []
    for message in content["messages"]:
        found.append({**context, "messages": [message]})
        author = message.get("author") if isinstance(message, Mapping) else None
        if isinstance(author, str) and _AUTHORS.get(author.lower()) is Author.CUSTOMER:
            context = {**context, "customer": message.get("handle"), "answers": message.get("id")}
    if content.get("closing_reply") is not None:
        found.append({**context, "messages": [], "closing_reply": content["closing_reply"]})
    return found


def conversation_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of a line, whole or cut. Raises InvalidEvent."""
    whole = Fields.of(content)
    parts = [Fields.of(part) for part in conversation_messages(content)]
    if not parts:
        raise InvalidEvent(f"{whole.where('messages')}: missing or empty, and so is closing_reply")
    for line in parts:
        for item in line.content["messages"]:
            yield _message(line, Fields.of(item, "messages.0"), options)
        if not line.content["messages"]:
            yield _closing_reply(line, options)


def _message(line: Fields, message: Fields, options: Options) -> Event:
    author = _AUTHORS.get((message.required("author")).lower())
    if author is None:
        raise InvalidEvent(f"{message.where('author')}: neither customer nor agent")
    by_customer = author is Author.CUSTOMER
    return _event(
        line,
        message,
        options,
        author=author,
        handle=message.required("handle") if by_customer else _customer(line),
        agent=None if by_customer else message.ref("handle") or line.ref("company"),
        occurred_at=message.required_time("at", "time", "created_at", options=options),
    )


def _closing_reply(line: Fields, options: Options) -> Event:
    reply = line.within("closing_reply")
    given = reply.time("at", "time", "created_at", options=options)
    made = _time_in_id(reply.ref("id") or "", line.time("started", options=options)) if _is_twitter(line) else None
    return _event(
        line,
        reply,
        options,
        author=Author.HUMAN,
        handle=_customer(line),
        agent=reply.ref("handle") or line.ref("company"),
        occurred_at=given or made or _end(line, options),
        noted={"closing_reply": "true", "time_from": "at" if given else "id" if made else "duration"},
    )


def _event(
    line: Fields,
    message: Fields,
    options: Options,
    *,
    author: Author,
    handle: str,
    agent: str | None,
    occurred_at: datetime,
    noted: Mapping[str, str] | None = None,
) -> Event:
    network = _network(line)
    company, session, number = line.required("company"), line.required("session"), message.required("id")
    by_customer = author is Author.CUSTOMER
    answered = message.ref("in_reply_to") or (None if by_customer else line.ref("answers"))
    return event_of(
        "social",
        options,
        vendor=network,
        type="post.mentioned" if by_customer else "reply.published",
        reference=f"{network}/{number}",
        source_event_id=number,
        occurred_at=occurred_at,
        direction=Direction.INBOUND if by_customer else Direction.OUTBOUND,
        author=author,
        contact_points=[point(Kind.SOCIAL, f"{network}:handle:{handle}", options)],
        conversation_ref=f"{network}/{company}/{session}",
        message_ref=f"{network}/{number}",
        answers_ref=f"{network}/{answered}" if answered else None,
        parent_ref=f"{network}/{answered}" if answered else None,
        case_refs=case_refs(line, message),
        topic=message.ref("topic") or line.ref("topic"),
        agent=agent,
        network=network,
        public=True,
        summary=message.text("text"),
        attributes=attributes(noted or {}, company=company, session=session),
    )


def _network(line: Fields) -> str:
    return (line.ref("network") or NETWORK).lower()


def _customer(line: Fields) -> str:
    handle = line.ref("customer")
    if handle is None:
        raise InvalidEvent(f"{line.where('messages')}: an answer with no customer's message before it")
    return handle


def _is_twitter(line: Fields) -> bool:
    return _network(line) in (NETWORK, "x")


def _time_in_id(number: str, started: datetime | None) -> datetime | None:
    """When a Snowflake id was made; None for what is none: a time before the conversation gives it away."""
    if not re.fullmatch(r"\d{15,19}", number, re.ASCII):
        return None
    made = _SNOWFLAKE_EPOCH + timedelta(milliseconds=int(number) >> 22)
    return made if started is not None and made >= started else None


def _end(line: Fields, options: Options) -> datetime:
    started = line.required_time("started", options=options)
    return started + _duration(line)


def _duration(line: Fields) -> timedelta:
    """`01:26:55.0`, `2 days, 01:26:55` or seconds."""
    given = line.required("duration")
    found = _DURATION.fullmatch(given)
    if found is None:
        if ":" in given:
            raise InvalidEvent(f"{line.where('duration')}: negative, or not hours:minutes:seconds")
        seconds = line.number("duration") or 0.0
        if not 0 <= seconds <= 10**9:
            raise InvalidEvent(f"{line.where('duration')}: negative, or beyond all measure")
        return timedelta(seconds=seconds)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    micros = int((found[5] or "0").ljust(6, "0"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)


def conversation_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Conversations, each cut into its messages."""
    return cut_payloads(json_payloads(stream, options), conversation_messages)


def is_conversations(head: bytes) -> bool:
    """Whether a file begins with conversations of a company."""
    return any({"company", "session", "messages"} <= set(found) for found in json_sample(head)[:5])


FORMAT = Format(
    name="conversations",
    channel="social",
    title="public conversations (JSON lines, one conversation a line)",
    example="""\
{"company": "AcmeCare", "session": "s1", "started": "2026-03-02T17:31:32Z", "duration": "00:26:55.0",
 "messages": [{"id": "1", "at": "2026-03-02T17:31:32Z", "author": "customer", "handle": "ada", "text": "No signal."}]}
""",
    recognises=is_conversations,
    payloads=conversation_payloads,
    events=conversation_events,
)
