"""One random event at a time, from a village of six people who share more than is good for them.

Every choice goes through `pick(options)`, which returns one of a sequence; the plainest option stands first, so
that hypothesis shrinks towards it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import uuid5

from schemas.event import NAMESPACE, build_event
from schemas.event_types import EVENT_TYPES, OUR_STEPS
from schemas.models import (
    AnsweredBy,
    BounceClass,
    Channel,
    ContactPoint,
    ContentType,
    DeliveryBasis,
    Event,
    Purpose,
    Statement,
    StatementKind,
    Survey,
)
from tests.habits import NOW, Habits

Pick = Callable[[Sequence[Any]], Any]

_STEPS_OF_TIME = (0, 0, 0, 0.000001, 0.999999, 5, 20, 20.5, 21, 60, 61, 3_600, 3_601, 86_400)
_SEEN_AFTER = tuple(timedelta(hours=hours) for hours in (0, 0, 2, 72, -12))

_TEXTS = (
    None,
    "",
    "Hello",
    'O\'Example said "no"',
    "back\\slash \\n \\u0041",
    "line\nbreak\ttab\r\n",
    "\x01\x1f\x7f\u0085",
    "Grüße, 漢字, العربية, 🎉, e\u0301",
    "\u202eright to left",
    "null",
    '{"a": [1, "b"]}',
    "'; DROP TABLE interactions; --",
    "%s {} $1 ?",
    "long " * 60,
)
_TOPICS = (None, None, None, "delivery", "Delivery ", "  billing\t", "Ärger", "", "  \n", 'quo"te')
_ATTRIBUTES: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"plan": "gold"},
    {"hold_s": "90"},
    {"hold_s": "soon"},
    {"": "", 'quo"te': "back\\slash\n", "ü": "🎉"},
    {f"field{number}": "x" * number * 10 for number in range(40)},
)
_SURVEYS = (("csat", 5), ("nps", 10), ("nps", 10), ("nps", 5), ("ces", 7))
_PEOPLE = range(6)


def drafted(pick: Pick, *, village: int, habits: Habits) -> dict[str, Any]:
    """The arguments of `build_event` for one event, but for its id."""
    channel = pick(habits.channels)
    event_type = pick(habits.types[str(channel)])
    occurred_at = pick(habits.moments) + timedelta(seconds=pick(_STEPS_OF_TIME))
    draft = {
        "channel": str(channel),
        "type": event_type,
        "occurred_at": occurred_at,
        "observed_at": occurred_at + pick(_SEEN_AFTER),
        "contact_points": _contact_points(pick, village, str(channel), habits),
        "direction": _direction(pick, str(channel), event_type),
        "source": "test/village",
        "source_event_id": pick((None, "vendor-1")),
        "summary": pick(_TEXTS),
        "attributes": pick(_ATTRIBUTES),
        "topic": pick(_TOPICS),
    }
    if channel == "identity":
        draft["reason"] = pick(_TEXTS)
        if pick((False,) * 9 + (True,)):
            draft |= _stated(pick, village, habits)
        return draft
    return (
        draft
        | _references(pick, village, habits, answers=EVENT_TYPES[str(channel)][event_type].item == "answered")
        | _stated(pick, village, habits)
        | _written(pick, habits)
        | _own(pick, str(channel))
    )


def built(draft: dict[str, Any], *, name: str) -> Event:
    """The event of a draft; its id comes from `name` alone, and has nothing to do with its time."""
    event_id = uuid5(NAMESPACE, f"village event {name}")
    return build_event(**draft, reference=name, event_id=event_id)


def repeated(event: Event) -> Event:
    """The same event, told once more two hours later."""
    return event.model_copy(update={"observed_at": event.observed_at + timedelta(hours=2)})


def point(key: str, *, normalised: bool = True, assurance: str = "asserted", role: str = "self") -> ContactPoint:
    """A contact point by its key."""
    kind, _, value = key.partition(":")
    return ContactPoint(kind=kind, value=value, normalised=normalised, assurance=assurance, role=role)


def _direction(pick: Pick, channel: str, event_type: str) -> str:
    meaning = EVENT_TYPES[channel][event_type]
    if meaning.customer or channel == "identity":
        natural = "inbound"
    elif meaning.item in OUR_STEPS and not meaning.touchpoint:
        natural = "report"
    else:
        natural = "outbound"
    return str(pick((natural,) * 9 + ("inbound", "outbound", "report")))


def _own_keys(person: int, village: int) -> tuple[str, ...]:
    number = village * 10 + person
    return (
        f"email:person{number}@example.org",
        f"account:ACC{number}",
        f"phone:+4670{number:07}",
        f"social:x:touchlog:{number}",
        f"postal:SE|11122|STOCKHOLM|STORGATAN {number}",
        f"visitor:browser-{number}",
        f"email:person{number}@example.com",
        f"anonymous:call-{number}",
    )


_KIND_INDEX = {"email": 0, "phone": 2, "social": 3, "post": 4, "chat": 5, "identity": 0}
_SWITCHBOARD = "phone:+46800000000"
"""Everybody's, in whatever village."""
_BLOCKED = ("email:noreply@example.org", "phone:+266696687", "visitor:0000", "account:TEST", "account:n/a")


def _contact_points(pick: Pick, village: int, channel: str, habits: Habits) -> tuple[ContactPoint, ...]:
    own = _own_keys(pick(habits.people), village)
    natural = own[_KIND_INDEX[channel]]
    match pick(habits.company):
        case "alone" if channel != "identity":
            keys = [pick((natural, natural, natural, *own))]
        case "alone" | "account":
            keys = [natural, own[1]]
        case "household":
            keys = [pick(_household(village)), own[1]]
        case "house":
            keys = [pick(_household(village))]
        case "switchboard":
            keys = [_SWITCHBOARD, *pick(((), own[1:2], own[1:2]))]
        case "foreign":
            keys = [natural, _foreign_key(pick, village)]
        case _:
            keys = [pick((natural, *own)) for _ in range(pick((2, 3)))]
    return tuple(_with_qualities(pick, key) for key in keys)


def _foreign_key(pick: Pick, village: int) -> str:
    """A point of another person, of a household, of everybody, of nobody."""
    other = _own_keys(pick(_PEOPLE), village)
    return str(pick((*other, *_household(village), _SWITCHBOARD, *_BLOCKED)))


def _household(village: int) -> tuple[str, ...]:
    return (f"email:family{village}@example.org", f"phone:+4680{village:07}", f"visitor:library-{village}")


def _with_qualities(pick: Pick, key: str) -> ContactPoint:
    if pick((False,) * 19 + (True,)):
        odd = pick((key, "email:Ada at Example", 'phone:ring me, "soon"', "postal:Storgatan\n1"))
        return point(odd, normalised=False)
    assurance = pick(("asserted",) * 4 + ("attested",) * 4 + ("claimed", "inferred"))
    role = pick(("self",) * 16 + ("on_behalf_of", "cc", "mentioned"))
    return point(key, assurance=assurance, role=role)


def _references(pick: Pick, village: int, habits: Habits, *, answers: bool) -> dict[str, Any]:
    def local(reference: str | None) -> str | None:
        return None if reference is None else f"{reference}.{village}"

    thread, cases = pick(habits.threads), pick(habits.cases)
    return {
        "conversation_ref": local(thread),
        "message_ref": local(pick((*habits.items, *habits.items, None))),
        "answers_ref": local(_answered(pick, habits, answers=answers, in_a_thread=bool(thread or cases))),
        "case_refs": tuple(f"{case}.{village}" for case in cases),
        "read_up_to": pick((None, None, None, NOW - timedelta(days=1))),
        "promised_at": pick(habits.promises),
    }


def _answered(pick: Pick, habits: Habits, *, answers: bool, in_a_thread: bool) -> str | None:
    """Seldom something in a thread: a few replies join the threads of a village, more would make them all one."""
    if not answers and pick((True,) * 9 + (False,)):
        return None
    seldom = (None,) * (16 if in_a_thread else 1)
    return cast("str | None", pick((*seldom, *habits.items)))


def _written(pick: Pick, habits: Habits) -> dict[str, Any]:
    return {
        "content_type": pick(habits.content_types),
        "purpose": pick((None, None, *Purpose)),
        "author": pick(habits.authors),
        "machine": pick((None,) * 8 + (False, True)),
        "agent": pick((None, None, None, "agent-1", "agent-2", "")),
    }


def _stated(pick: Pick, village: int, habits: Habits) -> dict[str, Any]:
    return {
        "statement": _statement(pick, village) if pick(habits.states) else None,
        "survey": _survey(pick) if pick((False,) * 5 + (True,)) else None,
    }


def _statement(pick: Pick, village: int) -> Statement:
    about = pick((*_own_keys(pick(_PEOPLE), village), f"email:family{village}@example.org", "email:unseen@example.org"))
    return Statement(
        kind=pick((*StatementKind, StatementKind.PREFER)),
        content_type=pick((None, "news", *ContentType)),
        channel=pick((None, "email", *Channel)),
        about=pick((None, None, None, about)),
        until=pick((None, None, NOW, NOW + timedelta(microseconds=1), NOW - timedelta(days=5))),
    )


def _survey(pick: Pick) -> Survey:
    kind, scale = pick(_SURVEYS)
    return Survey(kind=kind, score=pick(range(scale + 1)), scale_max=scale)


def _own(pick: Pick, channel: str) -> dict[str, Any]:
    """The channel's own fields, mostly left out."""
    text, number = pick(_TEXTS), pick((None, 0, 1, 2**31 - 1))
    match channel:
        case "email":
            bounce = pick((None, None, *BounceClass))
            return {"subject": text, "bounce_class": bounce, "url": pick((None, "https://example.org/?a=1&b='2'"))}
        case "chat":
            return {"page_url": text, "step": pick((None, "basket", "payment"))}
        case "phone":
            answered_by = pick((None, None, *AnsweredBy))
            return {
                "wait_s": number,
                "ivr_path": text,
                "queue": pick((None, "sales", "service", "")),
                "answered_by": answered_by,
                "disposition": pick((None, "sold", "Wrong_number")),
            }
        case "post":
            basis = pick((None, None, *DeliveryBasis))
            return {"piece": text, "delivery_basis": basis, "return_reason": pick((None, None, "moved", ""))}
        case _:
            return {"network": text, "public": pick((None, False, True))}
