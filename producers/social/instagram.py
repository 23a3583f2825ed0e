"""Meta's webhooks for Instagram, and for Messenger, which has the same shape (object `page`).

Fields: https://developers.facebook.com/docs/instagram-platform/webhooks/examples and the fixtures in Chatwoot's MIT
licensed code. A webhook holds several entries, an entry several items; `webhook_items` cuts it so that every payload
is a webhook with one item, which can be read again as it stands.

| item | event |
|---|---|
| message; is_echo; is_deleted; a story that mentions us | dm.received; dm.sent; message.deleted; post.mentioned |
| message_edit | message.edited |
| postback | dm.received, its title as the summary |
| reaction: react, unreact | reaction.added, reaction.removed |
| read: mid or watermark | dm.read; the watermark is read_up_to |
| delivery | dm.delivered, one for each message named |
| pass_thread_control, take_thread_control, request_thread_control | conversation.transferred (the last: unknown) |
| account_linking: linked | account.linked |
| comments, live_comments: theirs; ours | comment.received; reply.published |
| mentions | post.mentioned; who did it is not told: `anonymous:instagram:<media or comment>` |

The customer is `social:instagram:<entry id>:<scoped id>` (`facebook:` for pages), asserted: the network says so.
Threads are `instagram/<entry id>/<scoped id>`, or the first comment's; ids of messages and comments are written
`instagram/<id>`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from producers.format import Format, Options, Payload
from producers.reading import Fields, attributes, cut_payloads, event_of, json_payloads, json_sample, point
from schemas.errors import InvalidEvent
from schemas.models import Author, ContactPoint, Direction, Event, Kind

NETWORKS = {"instagram": "instagram", "page": "facebook"}
_LISTS = ("messaging", "standby", "changes")
_COMMENTS = frozenset({"comments", "live_comments"})
_HANDOVER = ("pass_thread_control", "take_thread_control", "request_thread_control")


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
            yield from _messaging(item, entry.required("id"), network, options)
        for change in changes:
            yield from _change(change, entry, network, options)


def _odd(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in _LISTS if name in entry and not isinstance(entry[name], list)}


def _messaging(item: Fields, ours: str, network: str, options: Options) -> Iterator[Event]:
    sender, recipient = item.required("sender.id"), item.ref("recipient.id")
    message = item.within("message")
    by_us = message.flag("is_echo") is True or sender == ours
    customer = (recipient if by_us else sender) or ""
    if not customer:
        raise InvalidEvent(f"{item.where('recipient.id')}: missing")
    direction = Direction.OUTBOUND if by_us else Direction.INBOUND
    common: dict[str, Any] = {
        "occurred_at": item.time("timestamp", options=options),
        "contact_points": _person(customer, ours, network, options),
        "conversation_ref": f"{network}/{ours}/{customer}",
        "public": False,
        "author": None if by_us else Author.CUSTOMER,
        "direction": direction,
    }
    known = list(_meanings(item, network, by_us=by_us, options=options))
    if not known:
        kinds = sorted(str(name) for name in item.content if name not in ("sender", "recipient", "timestamp"))
        known = [{"type": "unknown", "reference": common["conversation_ref"], "noted": {"item": " ".join(kinds)}}]
    for meaning in known:
        fields = {**common, **meaning}
        noted = fields.pop("noted", {})
        yield event_of(
            "social",
            options,
            vendor=network,
            network=network,
            attributes=attributes(noted, standby="true" if ".standby." in f".{item.path}." else None),
            **fields,
        )


def _meanings(item: Fields, network: str, *, by_us: bool, options: Options) -> Iterator[dict[str, Any]]:
    """What one item says, as the fields that differ; nothing for what is not known."""
    if item.has("message"):
        yield _message(item.within("message"), network, by_us=by_us)
    elif item.has("message_edit"):
        edit = item.within("message_edit")
        times = edit.text("num_edit")
        yield _about(edit, network, type="message.edited", summary=edit.text("text"), discriminator=times)
    elif item.has("postback"):
        postback = item.within("postback")
        given = item.value("timestamp")
        yield {
            "type": "dm.received",
            "reference": f"{network}/{postback.ref('mid') or item.required('sender.id')}",
            "discriminator": postback.text("payload") if given else None,
            "message_ref": f"{network}/{postback.ref('mid')}" if postback.has("mid") else None,
            "summary": postback.text("title"),
            "noted": attributes(postback=postback.value("payload"), referral=postback.value("referral")),
        }
    elif item.has("reaction"):
        yield _reaction(item.within("reaction"), network)
    elif item.has("read"):
        read = item.within("read")
        mid, watermark = read.ref("mid"), read.time("watermark", options=options)
        yield {
            "type": "dm.read",
            "reference": f"{network}/{mid or item.required('sender.id')}",
            "discriminator": None if watermark is None else watermark.isoformat(),
            "message_ref": f"{network}/{mid}" if mid else None,
            "read_up_to": watermark,
        }
    elif item.has("delivery"):
        for mid in item.within("delivery").texts("mids"):
            about = f"{network}/{mid}"
            yield {
                "type": "dm.delivered",
                "direction": Direction.REPORT,
                "author": None,
                "reference": about,
                "message_ref": about,
            }
    elif item.within("account_linking").text("status") == "linked":
        yield {"type": "account.linked", "reference": f"{network}/{item.required('sender.id')}"}
    else:
        yield from _handover(item, network)


def _handover(item: Fields, network: str) -> Iterator[dict[str, Any]]:
    for name in _HANDOVER:
        if item.has(name):
            yield {
                "type": "unknown" if name.startswith("request") else "conversation.transferred",
                "reference": f"{network}/{item.required('sender.id')}",
                "discriminator": name,
                "direction": Direction.OUTBOUND,
                "author": None,
                "noted": {"item": name, **attributes(item.within(name).content)},
            }


def _message(message: Fields, network: str, *, by_us: bool) -> dict[str, Any]:
    kinds = [found for item in message.each("attachments") if (found := item.text("type"))]
    answered = message.ref("reply_to.mid")
    fields = _about(
        message,
        network,
        type="dm.sent" if by_us else "dm.received",
        summary=message.text("text"),
        answers_ref=f"{network}/{answered}" if answered else None,
    )
    if message.flag("is_deleted"):
        fields["type"] = "message.deleted"
    elif "story_mention" in kinds and not by_us and not message.has("text"):
        fields |= {"type": "post.mentioned", "public": True}
    elif by_us and message.flag("is_echo") is None:
        fields["type"] = "dm.sent"
    fields["noted"] = attributes(
        attachments=", ".join(kinds),
        story=message.value("reply_to.story.id"),
        story_url=message.value("reply_to.story.url"),
        quick_reply=message.value("quick_reply.payload"),
        app_id=message.value("app_id"),
        referral=message.value("referral"),
        is_unsupported=message.value("is_unsupported"),
        metadata=message.value("metadata"),
    )
    return fields


def _reaction(reaction: Fields, network: str) -> dict[str, Any]:
    removed = (reaction.text("action") or "react").lower() == "unreact"
    return _about(
        reaction,
        network,
        type="reaction.removed" if removed else "reaction.added",
        summary=reaction.text("emoji", "reaction"),
        discriminator=reaction.text("emoji", "reaction"),
        noted=attributes(reaction=reaction.value("reaction")),
    )


def _about(item: Fields, network: str, **fields: Any) -> dict[str, Any]:
    """The fields of an event about the message that the item names."""
    ref = f"{network}/{item.required('mid')}"
    return {"reference": ref, "message_ref": ref, "source_event_id": item.ref("mid"), **fields}


def _change(change: Fields, entry: Fields, network: str, options: Options) -> Iterator[Event]:
    field, value = change.required("field"), change.within("value")
    occurred_at = value.time("timestamp", "created_time", options=options) or entry.time("time", options=options)
    if field in _COMMENTS:
        yield _comment(value, field, entry.required("id"), network, options, occurred_at=occurred_at)
    elif field == "mentions":
        yield _mention(value, network, options, occurred_at=occurred_at)
    else:
        raise InvalidEvent(f"{change.where('field')}: not comments, live_comments or mentions")


def _comment(value: Fields, field: str, ours: str, network: str, options: Options, **fields: Any) -> Event:
    number, media = value.required("id", "comment_id"), value.ref("media.id", "media_id")
    parent, writer = value.ref("parent_id"), value.required("from.id")
    root = f"{network}/{parent or number}"
    by_us = writer == ours or value.ref("from.self_ig_scoped_id") == ours
    return event_of(
        "social",
        options,
        vendor=network,
        type="reply.published" if by_us else "comment.received",
        reference=f"{network}/{number}",
        source_event_id=number,
        direction=Direction.OUTBOUND if by_us else Direction.INBOUND,
        author=None if by_us else Author.CUSTOMER,
        contact_points=_nobody(root, options) if by_us else _person(writer, ours, network, options),
        conversation_ref=root,
        message_ref=f"{network}/{number}",
        answers_ref=f"{network}/{parent}" if parent else None,
        parent_ref=f"{network}/{parent or media}" if parent or media else None,
        network=network,
        public=True,
        summary=value.text("text"),
        attributes=attributes(
            media_id=media,
            media_product_type=value.value("media.media_product_type"),
            ad_id=value.value("media.ad_id"),
            username=value.value("from.username"),
            live="true" if field == "live_comments" else None,
        ),
        **fields,
    )


def _mention(value: Fields, network: str, options: Options, **fields: Any) -> Event:
    comment, media = value.ref("comment_id"), value.required("media_id", "comment_id")
    place = f"{network}/{comment or media}"
    return event_of(
        "social",
        options,
        vendor=network,
        type="post.mentioned",
        reference=place,
        direction=Direction.INBOUND,
        author=Author.CUSTOMER,
        contact_points=_nobody(place, options),
        conversation_ref=place,
        message_ref=place,
        parent_ref=f"{network}/{media}",
        network=network,
        public=True,
        attributes=attributes(media_id=media, comment_id=comment),
        **fields,
    )


def _person(customer: str, ours: str, network: str, options: Options) -> list[ContactPoint]:
    return [point(Kind.SOCIAL, f"{network}:{ours}:{customer}", options)]


def _nobody(place: str, options: Options) -> list[ContactPoint]:
    return [point(Kind.ANONYMOUS, place.replace("/", ":", 1), options)]


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
