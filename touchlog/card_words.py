"""The words of the card: states, deeds, times and addresses as a person would say them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

from schemas.models import Channel, ContentType
from touchlog.render import duration, one_line

STATES = {
    "waiting_on_us": ("waiting for us", "bold yellow"),
    "waiting_on_customer": ("waiting for them", ""),
    "snoozed": ("put aside", ""),
    "new": ("new", "bold yellow"),
}
STATED = {
    "opt_out": "opted out of",
    "do_not_contact": "not to be contacted about",
    "pause": "paused",
}
SIDES = {"inbound": "they", "outbound": "we"}
SAYS_ITSELF = ("item", "message.received", "message.sent", "dm.received", "dm.sent", "item.posted")
DID = {
    "call.initiated": "called",
    "callback.attempted": "tried to call back",
    "callback.requested": "asked to be called back",
    "comment.received": "commented",
    "conversation.abandoned": "gave up waiting",
    "dm.received": "wrote",
    "dm.sent": "wrote",
    "follow.started": "began to follow us",
    "follow.stopped": "stopped following us",
    "invoice.paid": "paid",
    "item": "sent",
    "item.posted": "posted",
    "item.viewed": "looked at it",
    "link.clicked": "clicked a link",
    "message.complained": "complained of spam",
    "message.complaint_withdrawn": "took the complaint back",
    "message.received": "wrote",
    "message.sent": "wrote",
    "post.mentioned": "mentioned us",
    "preference.stated": "stated a preference",
    "reaction.added": "reacted",
    "reply.published": "replied in public",
    "reply.received": "replied by post",
    "review.received": "wrote a review",
    "subscription.opted_in": "opted in",
    "subscription.opted_out": "opted out",
    "survey.answered": "answered a survey",
    "task.abandoned": "gave up a task",
    "task.completed": "completed a task",
    "task.started": "began a task",
    "visit.recorded": "came to us",
    "voicemail.left": "left a voicemail",
}


class Clock:
    """Times as a person says them, seen from now."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self._zone = zone
        self._now = now

    def at(self, text: str) -> str:
        """`2 Mar 09:14`, or `2 Mar 2025` when it is another year."""
        moment = self._local(text)
        day = self._day(moment)
        return day if len(day) > len("12 Mar") else f"{day} {moment:%H:%M}"

    def day(self, text: str) -> str:
        return self._day(self._local(text))

    def since(self, text: str) -> str:
        """`3 h`: how long ago."""
        return duration((self._now - datetime.fromisoformat(text)).total_seconds())

    def _local(self, text: str) -> datetime:
        return datetime.fromisoformat(text).astimezone(self._zone)

    def _day(self, moment: datetime) -> str:
        year = "" if moment.year == self._now.astimezone(self._zone).year else f" {moment.year}"
        return f"{moment.day:2} {moment:%b}{year}"


def shown_point(point: Mapping[str, Any]) -> str:
    """As a person would write it: an address in the order of an envelope."""
    value = one_line(point["value"])
    if point["kind"] == "postal" and value.count("|") == 3:
        country, code, city, street = value.split("|")
        return f"{street.title()}, {code} {city.title()}, {country}"
    if point["kind"] == "phone":
        return _spaced(value)
    return value


def _spaced(number: str) -> str:
    """`+46 70 000 00 01`: as it is read aloud in its country."""
    try:
        return format_number(parse(number), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return number


def shown_key(key: str) -> str:
    """As `shown_point`, of `kind:value`."""
    kind, _, value = key.partition(":")
    return shown_point({"kind": kind, "value": value})


def reason(row: Mapping[str, Any]) -> str:
    """`email for news: opened 6 of 8` without what stands beside it anyway."""
    return one_line(row["reason"].removeprefix(f"{row['channel']} for {row['content_type']}: "))


def times(number: int) -> str:
    """`once`, `3 times`."""
    return "once" if number == 1 else f"{number} times"


def words(name: str | None) -> str:
    """`item.returned` -> `item returned`."""
    return one_line((name or "").replace(".", " ").replace("_", " "))


def all_or(found: set[str], known: type[Channel] | type[ContentType], everything: str) -> str:
    """`news, offers and service`, or the word for all of them."""
    *others, last = [str(one) for one in known if one in found]
    if len(others) + 1 == len(known):
        return everything
    return f"{', '.join(others)} and {last}" if others else last
