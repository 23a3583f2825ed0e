"""Meta's webhooks for Instagram, and for Messenger and pages, which have the same shape (object `page`).

Fields: https://developers.facebook.com/docs/instagram-platform/webhooks/examples,
https://developers.facebook.com/docs/messenger-platform/reference/webhook-events,
https://developers.facebook.com/docs/graph-api/webhooks/reference/page and the fixtures in Chatwoot's MIT licensed code.
A webhook holds several entries, an entry several items; `webhook_items` cuts it so that every payload is a webhook
with one item, which can be read again as it stands.

| item of messaging or standby | event |
|---|---|
| message; is_echo; is_deleted; a story that mentions us | dm.received; dm.sent; message.deleted; post.mentioned |
| message_edit | message.edited |
| postback | dm.received, its title as the summary |
| reaction: react, unreact | reaction.added, reaction.removed; ours: unknown |
| read: mid or watermark | dm.read; the watermark is read_up_to |
| delivery | dm.delivered, one for each message named |
| optin of notification_messages: given, stopped, resumed | preference.stated; its topic, else news and offers |
| messaging_feedback: csat, nps, ces | survey.answered, one for each question |
| pass_thread_control, take_thread_control | conversation.transferred |
| account_linking: linked | account.linked |
| request_thread_control, referral, optin for one message, anything else | unknown |

| change in public | event |
|---|---|
| comments, live_comments: theirs; ours | comment.received; reply.published |
| mentions | post.mentioned; who did it is not told: `anonymous:instagram:<media or comment>` |
| feed: a comment added; edited; removed | comment.received, ours reply.published; message.edited; message.deleted |
| feed: a post on our page, mention: a post that names us | post.mentioned; our own post: unknown |
| feed: a reaction or like added, changed; removed | reaction.added; reaction.removed |
| feed: a like of the page itself | follow.started, follow.stopped |
| ratings | review.received |

The customer is `social:instagram:<entry id>:<scoped id>` (`facebook:` for pages), asserted: the network says so.
Threads are `instagram/<entry id>/<scoped id>`, or the first comment's; ids of messages and comments are written
`instagram/<id>`. Messages are private; comments, posts and reviews are public, unless hidden or not published.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.format import Format, Options, Payload
from producers.reading import Fields, cut_payloads, json_payloads, json_sample
from producers.social.meta_changes import comment_events, feed_events, mention_event
from producers.social.meta_messages import messaging_events
from schemas.errors import InvalidEvent
from schemas.models import Event

NETWORKS = {"instagram": "instagram", "page": "facebook"}
_LISTS = ("messaging", "standby", "changes")
_COMMENTS = frozenset({"comments", "live_comments"})
_FEEDS = frozenset({"feed", "mention", "ratings"})


def webhook_items(content: Any) -> list[Any]:
    """A webhook as webhooks of one item each; nothing when it is of another shape. Never raises."""
    if not isinstance(content, Mapping) or not isinstance(content.get("entry"), list):
        return []
    found: list[Any] = []
    for entry in content["entry"]:
        if not isinstance(entry, Mapping):
            found.append({**content, "entry": [entry]})
            continue
        about = {name: value for name, value in entry.items() if name not in _LISTS}
        items = [(name, item) for name in _LISTS if isinstance(entry.get(name), list) for item in entry[name]]
        # A comment may stand in its entry without a list around it.
        if "field" in entry or not items:
            found.append({**content, "entry": [{**about, **_odd(entry)}]})
        found += [{**content, "entry": [{**about, name: [item]}]} for name, item in items]
    return found


def instagram_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of a webhook, whole or cut. Raises InvalidEvent."""
    payload = Fields.of(content)
    network = NETWORKS.get(payload.required("object"))
    if network is None:
        raise InvalidEvent("object: neither instagram nor page")
    entries = payload.each("entry")
    if not entries:
        raise InvalidEvent("entry: missing")
    for entry in entries:
        changes = [entry] if entry.has("field") else entry.each("changes")
        items = [*entry.each("messaging"), *entry.each("standby")]
        if not changes and not items:
            raise InvalidEvent("entry.0: neither messaging nor changes")
        for item in items:
            yield from messaging_events(item, entry.required("id"), network, options)
        for change in changes:
            yield from _change(change, entry, network, options)


def _odd(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in _LISTS if name in entry and not isinstance(entry[name], list)}


def _change(change: Fields, entry: Fields, network: str, options: Options) -> Iterator[Event]:
    field, value, ours = change.required("field"), change.within("value"), entry.required("id")
    if value.has("sender", "recipient"):
        yield from messaging_events(value, ours, network, options)
        return
    occurred_at = value.time("timestamp", "created_time", options=options) or entry.time("time", options=options)
    if field in _COMMENTS:
        yield comment_events(value, field, ours, network, options, occurred_at=occurred_at)
    elif field == "mentions":
        yield mention_event(value, network, options, occurred_at=occurred_at)
    elif field in _FEEDS:
        yield from feed_events(value, field, ours, network, options, occurred_at=occurred_at)
    else:
        raise InvalidEvent(f"{change.where('field')}: about the account, not about a customer")


def instagram_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """Webhooks, each cut into webhooks of one item."""
    return cut_payloads(json_payloads(stream, options), webhook_items)


def is_instagram(head: bytes) -> bool:
    """Whether a file begins with Meta's webhooks."""
    return any(found.get("object") in list(NETWORKS) and "entry" in found for found in json_sample(head)[:5])


FORMAT = Format(
    name="instagram",
    channel="social",
    title="Meta's webhooks for Instagram and Messenger (JSON)",
    example="""\
{"object": "instagram", "entry": [{"id": "17841400000000001", "time": 1772443000000, "messaging": [
 {"sender": {"id": "7001"}, "recipient": {"id": "17841400000000001"}, "timestamp": 1772443000000,
  "message": {"mid": "m-1", "text": "Where is my parcel?"}}]}]}
""",
    recognises=is_instagram,
    payloads=instagram_payloads,
    events=instagram_events,
)
