"""Chat transcripts as JSON lines, one message or event a line, of whatever system: the form to export to.

    {"conversation": "c-17", "id": "m-1", "at": "2026-03-02T09:14:05Z", "from": "customer",
     "contact": {"email": "ada@example.org", "account": "C-1001"}, "text": "Where is my invoice?", "topic": "billing"}

| field | other spellings | meaning |
|---|---|---|
| conversation | conversation_id, conversationId, session, session_id, thread, thread_id, chat_id | required |
| from | author, role, speaker, sender_type | customer, agent, bot, system, and their usual synonyms |
| type | event, event_type | an event type of the chat channel; without it, who wrote says which |
| at | time, timestamp, ts, date, sent_at, created_at | when; without it the event stands at observed_at |
| id | message_id, messageId, msg_id | of the message; without it the event's id rests on who, when and what |
| contact | customer, user (objects) | `email:…`; or an object, kind -> value or values; or the kinds at the top |
| assurance | | attested, asserted (default), claimed or inferred, of all contact points of the line |
| text | message, content, body | becomes the summary |
| agent | agent_id, agentId, operator | id of the person or team on our side |
| in_reply_to | answers, reply_to | id of the message answered |
| topic, content_type, purpose, page_url, step | page; url | as in the contract |
| case, order, invoice, case_refs | producers.subjects.case_refs | references across channels |
| rating, score | csat | a survey's answer with `survey` (csat, nps, ces; csat) and `scale_max` (5, 10, 7) |
| statement | | an object as in the contract; its type is `preference.stated` |
| attributes | | an object of anything else; unknown fields of the line are kept there as well |

Kinds of contact are those of the contract; mail and e-mail, tel, mobile and sms, user_id and customer_id, visitor_id
and device are read too. A line that names nobody is nobody's: `anonymous:chat:<conversation>`. References are scoped:
`transcript/<account>/<conversation>` and `…/message/<id>` within it, as many exports number the messages of each
conversation. Without id and time, equal messages of one conversation are one.
"""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeVar

from producers.format import Format, Options
from producers.reading import (
    LONGEST_CONTACT_POINT,
    Fields,
    attributes,
    case_refs,
    content_type_of,
    event_of,
    json_payloads,
    json_sample,
    point,
    purpose_of,
    source,
)
from schemas.contact_points import parse_contact
from schemas.errors import InvalidEvent
from schemas.event_types import EVENT_TYPES
from schemas.models import (
    Assurance,
    Author,
    ContactPoint,
    ContentType,
    Direction,
    Event,
    Kind,
    Purpose,
    Role,
    Survey,
    SurveyKind,
)

_Names = TypeVar("_Names", bound=StrEnum)

VENDOR = "transcript"

CONVERSATION = (
    *("conversation", "conversation_id", "conversationId", "session", "session_id", "thread", "thread_id", "chat_id"),
)
WRITER = ("from", "author", "role", "speaker", "sender_type")
_TYPE = ("type", "event", "event_type")
_TIME = ("at", "time", "timestamp", "ts", "date", "sent_at", "created_at")
_ID = ("id", "message_id", "messageId", "msg_id")
_TEXT = ("text", "message", "content", "body")
_AGENT = ("agent", "agent_id", "agentId", "operator")
_ANSWERS = ("in_reply_to", "answers", "reply_to")
_CONTACT = ("contact", "customer", "user")
_SCORE = ("rating", "score", "csat")
_CASES = (
    *("case", "case_ref", "case_id", "case_number", "ticket", "ticket_id", "ticket_number", "case_refs"),
    *("order", "order_ref", "order_id", "order_number"),
    *("invoice", "invoice_ref", "invoice_id", "invoice_number"),
)
_OTHERS = ("assurance", "topic", "content_type", "purpose", "page_url", "page", "url", "step")
_LAST = ("survey", "scale_max", "statement", "attributes")

_KINDS: dict[str, Kind] = {
    **{str(kind): kind for kind in Kind},
    **dict.fromkeys(("mail", "e-mail", "e_mail", "email_address"), Kind.EMAIL),
    **dict.fromkeys(("tel", "telephone", "mobile", "sms", "phone_number"), Kind.PHONE),
    **dict.fromkeys(("user_id", "customer_id", "account_id", "account_number"), Kind.ACCOUNT),
    **dict.fromkeys(("visitor_id", "device", "device_id", "cookie"), Kind.VISITOR),
}
_READ = frozenset(
    {*CONVERSATION, *WRITER, *_TYPE, *_TIME, *_ID, *_TEXT, *_AGENT, *_ANSWERS, *_CONTACT, *_SCORE, *_CASES}
    | {*_OTHERS, *_LAST, *_KINDS}
)
WRITERS: dict[str, Author] = {
    **dict.fromkeys(
        ("customer", "client", "user", "visitor", "contact", "end_user", "enduser", "guest"), Author.CUSTOMER
    ),
    **dict.fromkeys(("agent", "human", "operator", "employee", "staff", "support", "admin", "advisor"), Author.HUMAN),
    **dict.fromkeys(("bot", "assistant", "ai", "chatbot", "virtual_agent", "virtual agent"), Author.BOT),
    **dict.fromkeys(("template", "campaign"), Author.TEMPLATE),
    **dict.fromkeys(("system", "machine", "automation", "event"), Author.MACHINE),
}
_SCALES = {SurveyKind.CSAT: 5, SurveyKind.NPS: 10, SurveyKind.CES: 7}
_BY_THE_CUSTOMER = frozenset(
    name for name, meaning in EVENT_TYPES["chat"].items() if meaning.customer and name != "message.read"
)
_REPORTS = frozenset({"message.delivered", "message.read", "message.failed"})


def transcript_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one line. Raises InvalidEvent."""
    line = Fields.of(content)
    conversation = line.required(*CONVERSATION)
    scope = source(VENDOR, options)
    writer = _writer(line)
    survey = _survey(line)
    type_ = _type(line, writer, survey)
    direction = _direction(type_, writer)
    number, text = line.ref(*_ID), line.text(*_TEXT)
    answered = line.ref(*_ANSWERS)
    content_type = content_type_of(line.texts("content_type"))
    yield event_of(
        "chat",
        options,
        vendor=VENDOR,
        type=type_,
        reference=f"{scope}/{conversation}/{number or _fingerprint(line)}",
        occurred_at=line.time(*_TIME, options=options),
        source_event_id=number,
        direction=direction,
        author=writer,
        contact_points=_contact_points(line, conversation, options),
        conversation_ref=f"{scope}/{conversation}",
        message_ref=f"{scope}/{conversation}/message/{number}" if number else None,
        answers_ref=f"{scope}/{conversation}/message/{answered}" if answered else None,
        agent=line.ref(*_AGENT),
        case_refs=case_refs(line),
        content_type=content_type,
        purpose=_purpose(line, content_type),
        topic=line.ref("topic"),
        page_url=line.text("page_url", "page", "url"),
        step=line.ref("step"),
        survey=survey,
        statement=dict(line.within("statement").content) or None,
        summary=text,
        attributes=_attributes(line),
    )


def _writer(line: Fields) -> Author | None:
    given = line.text(*WRITER)
    if given is None:
        return None
    author = WRITERS.get(given.lower())
    if author is None:
        raise InvalidEvent(f"{line.where(*WRITER)}: not one of customer, agent, bot, template, system")
    return author


def _type(line: Fields, writer: Author | None, survey: Survey | None) -> str:
    given = line.text(*_TYPE)
    if given in EVENT_TYPES["chat"]:
        return given
    if given is not None and given.lower() not in ("message", "text", "chat", "msg"):
        raise InvalidEvent(f"{line.where(*_TYPE)}: no such event type on chat; docs/event-types.md lists them")
    if line.has("statement"):
        return "preference.stated"
    if survey is not None:
        return "survey.answered"
    if writer is None:
        raise InvalidEvent("from: missing, and so is type")
    if writer is Author.CUSTOMER:
        return "message.received"
    return "unknown" if writer is Author.MACHINE else "message.sent"


def _direction(type_: str, writer: Author | None) -> Direction:
    if type_ in _REPORTS:
        return Direction.REPORT
    if writer is not None:
        return Direction.INBOUND if writer is Author.CUSTOMER else Direction.OUTBOUND
    return Direction.INBOUND if type_ in _BY_THE_CUSTOMER else Direction.OUTBOUND


def _contact_points(line: Fields, conversation: str, options: Options) -> list[ContactPoint]:
    assurance = _one_of(Assurance, line, "assurance") or Assurance.ASSERTED
    found: list[ContactPoint] = []
    given = line.value("contact")
    if given is not None and not isinstance(given, dict):
        found += [_written(text, assurance, options) for text in line.texts("contact")]
    for fields in (*(line.within(name) for name in _CONTACT if isinstance(line.value(name), dict)), line):
        for name, kind in _KINDS.items():
            if name not in fields.content:
                continue
            if isinstance(fields.value(name), dict) and kind is Kind.POSTAL:
                found.append(point(kind, _address(fields.within(name)), options, assurance=assurance))
                continue
            found += [point(kind, value, options, assurance=assurance, role=Role.SELF) for value in fields.texts(name)]
    return found or [point(Kind.ANONYMOUS, f"chat:{conversation}", options)]


def _written(text: str, assurance: Assurance, options: Options) -> ContactPoint:
    """`ada@example.org`, `+46700000001` or `account:C-1001`; a name alone is no contact point."""
    parsed = parse_contact(text[:LONGEST_CONTACT_POINT], region=options.region)
    if parsed.kind is Kind.ACCOUNT and not text.lower().startswith("account:"):
        raise InvalidEvent("contact: neither an address nor a kind and a value, such as account:C-1001")
    return point(parsed.kind, parsed.value, options, assurance=assurance)


def _address(fields: Fields) -> dict[str, str]:
    # One by one: a reason must not name a part that the contract does not know.
    parts = ((str(name), Fields({"part": part}, fields.path).text("part")) for name, part in fields.content.items())
    return {name: text for name, text in parts if text}


def _survey(line: Fields) -> Survey | None:
    score = line.whole(*_SCORE)
    if score is None:
        return None
    kind = _one_of(SurveyKind, line, "survey") or SurveyKind.CSAT
    scale = line.whole("scale_max") or _SCALES[kind]
    if not 0 <= score <= scale <= 100:
        raise InvalidEvent(f"{line.where(*_SCORE)}: not a score of at most scale_max, at most 100")
    return Survey(kind=kind, score=score, scale_max=scale)


def _purpose(line: Fields, content_type: ContentType | None) -> Purpose | None:
    return _one_of(Purpose, line, "purpose") or purpose_of(content_type)


def _one_of(names: type[_Names], line: Fields, field: str) -> _Names | None:
    given = line.text(field)
    try:
        return None if given is None else names(given.lower())
    except ValueError:
        raise InvalidEvent(f"{line.where(field)}: not one of {', '.join(names)}") from None


def _attributes(line: Fields) -> dict[str, str]:
    rest = {name: value for name, value in line.content.items() if name not in _READ or _is_name(name, value)}
    return attributes(rest, line.within("attributes").content)


def _is_name(field: str, value: Any) -> bool:
    """`customer` or `user` may hold a name or an id of the vendor's, which is worth keeping."""
    return field in ("customer", "user") and not isinstance(value, dict)


def _fingerprint(line: Fields) -> str:
    """Tells messages without an id apart, by everything in them that a system would write again the same."""
    told = (line.text(*WRITER), line.text(*_TYPE), line.text(*_TEXT), line.text("step"), line.text(*_SCORE))
    return hashlib.sha256("\x1f".join(part or "" for part in told).encode()).hexdigest()[:32]


def is_transcript(head: bytes) -> bool:
    """Whether a file begins with lines of a transcript."""
    return any(
        any(isinstance(found.get(name), str | int) for name in CONVERSATION)
        and any(isinstance(found.get(name), str) for name in (*WRITER, "type"))
        for found in json_sample(head)[:5]
    )


FORMAT = Format(
    name="transcript",
    channel="chat",
    title="chat transcripts (JSON lines, one message a line)",
    example="""\
{"conversation": "c-17", "id": "m-1", "at": "2026-03-02T09:14:05Z", "from": "customer",
 "contact": {"email": "ada@example.org"}, "text": "Where is my invoice?", "topic": "billing"}
""",
    recognises=is_transcript,
    payloads=json_payloads,
    events=transcript_events,
)
