"""The events of what happens in public: comments and mentions on Instagram, a page's feed, mentions and reviews."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from producers.fields import Fields
from producers.format import Options
from producers.reading import attributes, event_of
from producers.social.meta_people import nobody, person
from schemas.models import Author, Direction, Event

_VERBS = {"add": "add", "edit": "edit", "edited": "edit", "update": "edit", "remove": "remove", "delete": "remove"}
_POSTS = frozenset({"post", "status", "photo", "video", "share", "album", "link", "note", "event", "reel"})
_MODERATED = frozenset({"hide", "unhide", "block", "unblock", "lock", "unlock"})
_LEFT_OUT = frozenset({"from", "message", "created_time", "verb", "item", "sender_id", "sender_name"})
_LEFT_OUT |= {"review_text", "post"}


def comment_events(value: Fields, field: str, ours: str, network: str, options: Options, **fields: Any) -> Event:
    """A comment on Instagram, theirs or ours."""
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
        contact_points=nobody(root, options) if by_us else person(writer, ours, network, options),
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


def mention_event(value: Fields, network: str, options: Options, **fields: Any) -> Event:
    """Somebody named us on Instagram, in a comment or a caption; who is not told."""
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
        contact_points=nobody(place, options),
        conversation_ref=place,
        message_ref=place,
        parent_ref=f"{network}/{media}",
        network=network,
        public=True,
        attributes=attributes(media_id=media, comment_id=comment),
        **fields,
    )


def feed_events(
    value: Fields, field: str, ours: str, network: str, options: Options, *, occurred_at: datetime | None
) -> Iterator[Event]:
    """One change of a page's feed, mentions or ratings: a comment, a post, a reaction, a review; theirs or ours."""
    item, given = (value.text("item") or field).lower(), (value.text("verb") or "add").lower()
    verb = _VERBS.get(given, given)
    writer = value.ref("from.id", "sender_id", "reviewer_id", "user_id")
    # Hidden or locked: that is our doing, whoever wrote it.
    by_us, moderated = writer == ours, verb in _MODERATED
    about = value.ref("comment_id") if item == "comment" else None
    about = about or _target(value, item)
    type_ = _feed_type(value, field, item, verb, by_us=by_us)
    parent = value.ref("parent_id")
    post = value.ref("post_id", "open_graph_story_id")
    in_thread = parent if parent and parent != post else None
    root = f"{network}/{in_thread or about or f'{ours}/{item}'}"
    yield event_of(
        "social",
        options,
        vendor=network,
        type=type_,
        reference=f"{network}/{about or f'{ours}/{item}'}",
        source_event_id=about,
        discriminator=" ".join(part for part in (item, given, value.text("reaction_type")) if part),
        occurred_at=occurred_at,
        direction=Direction.OUTBOUND if by_us or moderated else Direction.INBOUND,
        author=None if by_us or moderated else Author.CUSTOMER,
        contact_points=person(writer, ours, network, options) if writer and not by_us else nobody(root, options),
        conversation_ref=root if about and item not in ("reaction", "like") else None,
        message_ref=f"{network}/{about}" if about else None,
        answers_ref=f"{network}/{in_thread}" if in_thread and item == "comment" else None,
        parent_ref=f"{network}/{parent or post}" if (parent or post) and (parent or post) != about else None,
        network=network,
        public=value.flag("published") is not False and value.flag("is_hidden") is not True,
        summary=value.text("message", "review_text", "title") or value.text("reaction_type"),
        attributes=attributes(
            {
                name: part
                for name, part in value.content.items()
                if name not in _LEFT_OUT and not isinstance(part, dict)
            },
            item=item,
            verb=given,
            name=value.value("from.name", "sender_name"),
        ),
    )


def _feed_type(value: Fields, field: str, item: str, verb: str, *, by_us: bool) -> str:
    if item in ("reaction", "like"):
        return _reaction_type(value, item, verb, by_us=by_us)
    if verb not in ("add", "edit", "remove"):
        return "unknown"
    if verb != "add":
        return "message.edited" if verb == "edit" else "message.deleted"
    if item == "comment":
        return "reply.published" if by_us else "comment.received"
    if by_us:
        # A post to everybody reaches nobody in particular.
        return "unknown"
    if field == "ratings":
        return "review.received" if item == "rating" else "unknown"
    return "post.mentioned" if field == "mention" or item in _POSTS else "unknown"


def _reaction_type(value: Fields, item: str, verb: str, *, by_us: bool) -> str:
    if by_us or verb not in ("add", "edit", "remove"):
        return "unknown"
    if item == "like" and not value.has("post_id", "comment_id", "parent_id"):
        # Liking the page itself is following it.
        return "follow.stopped" if verb == "remove" else "follow.started"
    return "reaction.removed" if verb == "remove" else "reaction.added"


def _target(value: Fields, item: str) -> str | None:
    """The id of what the change is about: the comment or the post reacted to, the post, the review."""
    if item in ("reaction", "like"):
        return value.ref("comment_id", "post_id", "parent_id")
    return value.ref("post_id", "comment_id", "open_graph_story_id", "video_id", "photo_id", "share_id", "parent_id")
