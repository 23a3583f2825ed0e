"""Social networks: Meta's webhooks, public conversations."""

import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from producers.social.conversations import conversation_events, conversation_messages
from producers.social.instagram import instagram_events, webhook_items
from schemas.errors import InvalidEvent
from schemas.models import Author, Direction, SocialEvent
from tests.producers.golden import OBSERVED_AT, OPTIONS, SAMPLES, events_of, expected, format_of, outcome, samples
from tests.producers.mutations import mutated
from tests.producers.wire import check_outcome, read_back

WEBHOOKS = SAMPLES / "social" / "instagram" / "webhooks.jsonl"
REAL = SAMPLES / "social" / "conversations" / "twitter-customer-care.jsonl"
SYNTHETIC = SAMPLES / "social" / "conversations" / "synthetic.jsonl"


def parsed(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}") and line != '{"object":"instagram"']


@pytest.mark.parametrize("path", samples("social"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_gives_the_events_written_beside_it(path: Path) -> None:
    assert outcome(path) == expected(path)


@pytest.mark.parametrize("path", [*samples("social"), REAL], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_ids_do_not_depend_on_when_it_was_read(path: Path) -> None:
    later = replace(OPTIONS, observed_at=OBSERVED_AT + timedelta(days=30))
    first, second = events_of(path), events_of(path, later)
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert [read_back(event) for event in first] == first


def test_every_message_of_real_conversations_is_published() -> None:
    lines = [json.loads(line) for line in REAL.read_text(encoding="utf-8").splitlines()]
    messages = [message for line in lines for message in (*line["messages"], line["closing_reply"])]
    found = outcome(REAL)
    assert len(lines) == 20
    assert len(found) == len(messages) == sum(len(item.get("events", ())) for item in found)
    by_author = Counter(message.get("author", "closing") for message in messages)
    types = Counter(event["type"] for item in found for event in item["events"])
    assert types == {"post.mentioned": by_author["customer"], "reply.published": by_author["agent"] + len(lines)}
    # A message that stands in two conversations of the data is one event.
    assert len({event.event_id for event in events_of(REAL)}) == len({message["id"] for message in messages})


def test_real_replies_stand_after_what_they_answer() -> None:
    by_ref = {event.message_ref: event for event in events_of(REAL)}
    replies = [event for event in by_ref.values() if event.type == "reply.published"]
    assert any("-" in json.loads(line)["duration"] for line in REAL.read_text(encoding="utf-8").splitlines())
    for reply in replies:
        answered = by_ref[reply.answers_ref]
        assert answered.author is Author.CUSTOMER
        assert answered.primary == reply.primary
        assert answered.conversation_ref == reply.conversation_ref
        assert answered.occurred_at < reply.occurred_at


def test_the_time_in_an_id_agrees_with_the_time_given() -> None:
    for line in (json.loads(line) for line in REAL.read_text(encoding="utf-8").splitlines()):
        for message in line["messages"]:
            whole = {**line, "messages": line["messages"][:1], "closing_reply": {"id": message["id"], "text": "x"}}
            told = list(conversation_events(whole, OPTIONS))[-1].occurred_at
            assert timedelta(0) <= told - datetime.fromisoformat(message["at"]) <= timedelta(seconds=1)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("01:26:55.0", 5_215), ("00:00:00.25", 0.25), ("2 days, 01:00:00", 176_400), ("90", 90), (90.5, 90.5)],
)
def test_a_reply_without_time_or_telling_id_stands_at_the_end(duration: Any, seconds: float) -> None:
    started = datetime(2026, 3, 1, 18, tzinfo=UTC)
    line = {**parsed(SYNTHETIC)[1], "duration": duration}
    *_, reply = conversation_events(line, OPTIONS)
    assert reply.occurred_at == started + timedelta(seconds=seconds)
    assert reply.attributes["time_from"] == "duration"
    telling = {**line, "closing_reply": {"id": "9", "text": "x", "at": "2026-03-01T19:00:00Z"}}
    assert list(conversation_events(telling, OPTIONS))[-1].occurred_at == datetime(2026, 3, 1, 19, tzinfo=UTC)


@pytest.mark.parametrize("duration", ["-12:14:20.", "soon", -1, "1:99", float("nan"), 10**30])
def test_an_end_before_the_beginning_is_refused(duration: Any) -> None:
    line = {**parsed(SYNTHETIC)[1], "duration": duration}
    with pytest.raises(InvalidEvent, match="duration"):
        list(conversation_events(line, OPTIONS))


@pytest.mark.parametrize("path", [*samples("social"), REAL], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_part_that_was_kept_can_be_read_again(path: Path) -> None:
    """What the rejects file keeps is a payload of the same format, with the same events and errors."""
    cut = format_of(path).payloads
    with path.open("rb") as stream:
        payloads = list(cut(stream, OPTIONS))
    for payload in payloads:
        (again,) = cut(io.BytesIO(payload.raw), OPTIONS)
        assert (again.content, again.error) == (payload.content, payload.error)


def test_one_bad_item_costs_only_itself() -> None:
    first = [item for item in outcome(WEBHOOKS) if item["line"] == 1]
    entries = parsed(WEBHOOKS)[0]["entry"]
    assert len(first) == sum(len(entry.get("messaging", ())) + len(entry.get("changes", ())) for entry in entries)
    assert [item["item"] for item in first if "reject" in item] == [3, 7]


def test_a_whole_webhook_gives_the_same_events_as_its_parts() -> None:
    for webhook in parsed(WEBHOOKS)[1:5]:
        parts = [event for part in webhook_items(webhook) for event in instagram_events(part, OPTIONS)]
        assert list(instagram_events(webhook, OPTIONS)) == parts


def test_a_whole_conversation_gives_the_same_events_as_its_parts() -> None:
    for line in (json.loads(line) for line in REAL.read_text(encoding="utf-8").splitlines()):
        parts = [event for part in conversation_messages(line) for event in conversation_events(part, OPTIONS)]
        assert list(conversation_events(line, OPTIONS)) == parts


def direct(item: dict[str, Any], webhook_object: str = "instagram") -> list[SocialEvent]:
    whole = {"sender": {"id": "501"}, "recipient": {"id": "1789"}, "timestamp": 1772443000123, **item}
    webhook = {"object": webhook_object, "entry": [{"id": "1789", "time": 1, "messaging": [whole]}]}
    return [event for event in instagram_events(webhook, OPTIONS) if isinstance(event, SocialEvent)]


@pytest.mark.parametrize(
    ("item", "type_", "direction"),
    [
        ({"message": {"mid": "1", "text": "Hi"}}, "dm.received", Direction.INBOUND),
        ({"message": {"mid": "1", "is_deleted": True}}, "message.deleted", Direction.INBOUND),
        ({"reaction": {"mid": "1", "action": "react"}}, "reaction.added", Direction.INBOUND),
        ({"reaction": {"mid": "1", "action": "unreact"}}, "reaction.removed", Direction.INBOUND),
        ({"read": {"mid": "1"}}, "dm.read", Direction.INBOUND),
        ({"delivery": {"mids": ["1"]}}, "dm.delivered", Direction.REPORT),
        ({"postback": {"title": "Start"}}, "dm.received", Direction.INBOUND),
        ({"account_linking": {"status": "unlinked"}}, "unknown", Direction.INBOUND),
        ({"request_thread_control": {"metadata": "x"}}, "unknown", Direction.OUTBOUND),
        ({"typing": "on"}, "unknown", Direction.INBOUND),
    ],
)
def test_an_item_says_what_happened(item: dict[str, Any], type_: str, direction: Direction) -> None:
    (event,) = direct(item)
    assert (event.type, event.direction, event.public) == (type_, direction, False)


def test_an_echo_is_ours_and_belongs_to_the_customers_thread() -> None:
    echo = {
        "sender": {"id": "1789"},
        "recipient": {"id": "501"},
        "message": {"mid": "2", "text": "Hi", "is_echo": True},
    }
    (asked,), (answered,) = direct({"message": {"mid": "1", "text": "Hi"}}), direct(echo)
    assert (answered.type, answered.direction) == ("dm.sent", Direction.OUTBOUND)
    assert (asked.primary, asked.conversation_ref) == (answered.primary, answered.conversation_ref)


def test_the_same_id_on_two_networks_is_two_people() -> None:
    (one,), (other,) = direct({"message": {"mid": "1"}}), direct({"message": {"mid": "1"}}, "page")
    assert (one.primary.value, other.primary.value) == ("instagram:1789:501", "facebook:1789:501")
    assert (one.network, other.network) == ("instagram", "facebook")


@settings(max_examples=400, deadline=None)
@given(mutated(parsed(WEBHOOKS)))
def test_no_broken_webhook_raises_anything_else(webhook: object) -> None:
    check_outcome(instagram_events, webhook, OPTIONS)
    for part in webhook_items(webhook):
        check_outcome(instagram_events, part, OPTIONS)


@settings(max_examples=300, deadline=None)
@given(mutated([*parsed(SYNTHETIC), *parsed(REAL)[:3]]))
def test_no_broken_conversation_raises_anything_else(line: object) -> None:
    check_outcome(conversation_events, line, OPTIONS)
    for part in conversation_messages(line):
        check_outcome(conversation_events, part, OPTIONS)


def in_public(field: str, **value: Any) -> SocialEvent:
    change = {"field": field, "value": {"created_time": 1772443000, **value}}
    webhook = {"object": "page", "entry": [{"id": "900", "time": 1772443001, "changes": [change]}]}
    (event,) = instagram_events(webhook, OPTIONS)
    assert isinstance(event, SocialEvent)
    return event


THEIRS, OURS = {"from": {"id": "702", "name": "Bo Example"}}, {"from": {"id": "900", "name": "Acme"}}


@pytest.mark.parametrize(
    ("field", "value", "type_", "direction"),
    [
        ("feed", {"item": "comment", "verb": "add", **THEIRS}, "comment.received", Direction.INBOUND),
        ("feed", {"item": "comment", "verb": "add", **OURS}, "reply.published", Direction.OUTBOUND),
        ("feed", {"item": "comment", "verb": "edited", **THEIRS}, "message.edited", Direction.INBOUND),
        ("feed", {"item": "comment", "verb": "remove", **THEIRS}, "message.deleted", Direction.INBOUND),
        ("feed", {"item": "comment", "verb": "hide", **THEIRS}, "unknown", Direction.OUTBOUND),
        ("feed", {"item": "post", "verb": "add", **THEIRS}, "post.mentioned", Direction.INBOUND),
        ("feed", {"item": "status", "verb": "add", **OURS}, "unknown", Direction.OUTBOUND),
        ("feed", {"item": "reaction", "verb": "add", **THEIRS}, "reaction.added", Direction.INBOUND),
        ("feed", {"item": "reaction", "verb": "edit", **THEIRS}, "reaction.added", Direction.INBOUND),
        ("feed", {"item": "reaction", "verb": "remove", **THEIRS}, "reaction.removed", Direction.INBOUND),
        ("feed", {"item": "reaction", "verb": "add", **OURS}, "unknown", Direction.OUTBOUND),
        ("feed", {"item": "shopping", "verb": "add", **THEIRS}, "unknown", Direction.INBOUND),
        ("mention", {"item": "post", "verb": "add", "sender_id": "702"}, "post.mentioned", Direction.INBOUND),
        ("ratings", {"item": "rating", "verb": "add", "reviewer_id": "702"}, "review.received", Direction.INBOUND),
    ],
)
def test_a_change_of_a_page_says_what_happened(
    field: str, value: dict[str, Any], type_: str, direction: Direction
) -> None:
    event = in_public(field, post_id="900_1", comment_id="1_10", **value)
    assert (event.type, event.direction, event.public) == (type_, direction, True)
    assert event.primary.key == ("social:facebook:900:702" if value.get("from") != OURS["from"] else event.primary.key)


def test_an_answer_in_public_stands_in_the_thread_of_what_it_answers() -> None:
    asked = in_public(
        "feed", item="comment", verb="add", post_id="900_1", parent_id="900_1", comment_id="1_10", **THEIRS
    )
    answered = in_public(
        "feed", item="comment", verb="add", post_id="900_1", parent_id="1_10", comment_id="1_11", **OURS
    )
    assert answered.conversation_ref == asked.conversation_ref == "facebook/1_10"
    assert (answered.answers_ref, asked.parent_ref) == (asked.message_ref, "facebook/900_1")
    liked = in_public("feed", item="reaction", verb="add", post_id="900_1", comment_id="1_11", **THEIRS)
    assert liked.message_ref == answered.message_ref


def test_liking_the_page_itself_is_following_it() -> None:
    types = [in_public("feed", item="like", verb=verb, user_id=702).type for verb in ("add", "remove")]
    assert types == ["follow.started", "follow.stopped"]


def test_what_is_not_published_is_not_public() -> None:
    draft = in_public("feed", item="photo", verb="add", post_id="900_4", published=0, **OURS)
    assert draft.public is False


@pytest.mark.parametrize(
    ("optin", "stated"),
    [
        ({"title": "Things"}, [("opt_in", "news"), ("opt_in", "offers")]),
        ({"title": "Monthly newsletter"}, [("opt_in", "news")]),
        ({"notification_messages_status": "STOP_NOTIFICATIONS"}, [("opt_out", "news"), ("opt_out", "offers")]),
        ({"notification_messages_status": "RESUME_NOTIFICATIONS"}, [("opt_in", "news"), ("opt_in", "offers")]),
        ({"notification_messages_status": "WAVE"}, []),
        ({"type": "one_time_notif_req", "title": "Things"}, []),
    ],
)
def test_messages_allowed_or_stopped_are_a_choice_about_this_account(
    optin: dict[str, Any], stated: list[tuple[str, str]]
) -> None:
    events = direct(
        {"optin": {"type": "notification_messages", "notification_messages_token": "secret", **optin}}, "page"
    )
    statements = [event.statement for event in events if event.statement]
    assert [(one.kind, one.content_type) for one in statements] == stated
    assert all(one.about == "social:facebook:1789:501" for one in statements)
    assert {event.type for event in events} == {"preference.stated" if stated else "unknown"}
    assert "secret" not in "".join(event.model_dump_json() for event in events)


def test_each_question_of_a_survey_is_an_answer_and_two_surveys_are_two() -> None:
    questions = {"q1": {"type": "csat", "payload": "4"}, "q2": {"type": "nps", "payload": 9}}
    item = {"messaging_feedback": {"feedback_screens": [{"screen_id": 0, "questions": questions}]}}
    first, later = direct(item), direct({**item, "timestamp": 1772450000123})
    assert [(event.survey.kind, event.survey.score) for event in first if event.survey] == [("csat", 4), ("nps", 9)]
    assert len({event.message_ref for event in (*first, *later)}) == 4
    questions["q1"]["payload"] = "6"
    with pytest.raises(InvalidEvent, match="not a score of at most 5"):
        direct(item)


def test_a_test_webhook_has_the_item_where_a_change_stands() -> None:
    item = {"sender": {"id": "501"}, "recipient": {"id": "1789"}, "timestamp": 1772443000123}
    change = {"field": "messages", "value": {**item, "message": {"mid": "1", "text": "Hi"}}}
    webhook = {"object": "instagram", "entry": [{"id": "1789", "time": 1, "changes": [change]}]}
    assert list(instagram_events(webhook, OPTIONS)) == direct({"message": {"mid": "1", "text": "Hi"}})


def test_a_reaction_of_ours_is_nobodys_response() -> None:
    reaction = {"mid": "1", "action": "react", "emoji": "!"}
    (event,) = direct({"sender": {"id": "1789"}, "recipient": {"id": "501"}, "reaction": reaction})
    assert (event.type, event.direction, event.author) == ("unknown", Direction.OUTBOUND, None)
