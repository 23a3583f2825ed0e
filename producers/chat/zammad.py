"""Zammad's default webhook: a ticket as it is now, and the article that set the trigger off, if one did.

Fields: https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html and app/jobs/trigger_webhook_job,
app/models/ticket, db/seeds/ticket_article_types.rb and ticket_states.rb of zammad/zammad.

An article is an event of its own channel, whatever the ticket began as:

| article type | channel | from the customer; from us |
|---|---|---|
| email | email | message.received (message.auto_replied); message.sent, once for each recipient |
| sms, chat, web, note | chat | message.received; message.sent |
| phone: somebody's note of a call | phone | call.initiated and call.answered; call.initiated |
| fax | post | reply.received; item.posted |
| twitter status, facebook feed post | social, public | post.mentioned; reply.published |
| facebook feed comment | social, public | comment.received; reply.published |
| twitter, facebook direct-message, telegram personal-message, whatsapp message | social | dm.received; dm.sent |
| another type; any internal article and any note of ours | chat (or its own) | unknown; its text is left out |

What we sent and Zammad could not deliver (preferences.delivery_status) is message.failed. An article from System is a
template's.

The webhook does not say what changed. So what the ticket is in is told each time, and has one id for one change:

| ticket | event, on the channel that the ticket began on |
|---|---|
| closed, merged | conversation.resolved, at last_close_at |
| open again after last_close_at | conversation.reopened, at the customer's article, else updated_at |
| pending reminder, pending close | conversation.snoozed; pending_time is promised_at |
| owner | conversation.assigned, at last_owner_update_at |
| a state of one's own; none of these, and no article | unknown |

The thread is `zammad/<account>/<ticket>`, and `case:<number>` joins it with the other channels. message_ref is the
Message-ID of a mail, `twitter|facebook|whatsapp/<id>` of what came from there, else `zammad/<account>/article/<id>`;
ids are unique within one installation only, so `options.account` is part of them.

The ticket's customer is `visitor:zammad/<account>/user/<id>` with the e-mail address of the card, asserted: it is the
helpdesk's record. Telephone numbers of the card are claimed, but the one that WhatsApp or an SMS came from is asserted.
A mail from an address that is not the customer's is its sender's, on behalf of the customer.
"""

from collections.abc import Iterator
from typing import Any

from producers.chat.zammad_articles import article_events
from producers.chat.zammad_tickets import Ticket, state_events
from producers.fields import Fields
from producers.format import Format, Options
from producers.reading import json_payloads, json_sample
from schemas.models import Event


def zammad_events(content: Any, options: Options) -> Iterator[Event]:
    """The events of one webhook: those of its article, then what the ticket is in. Raises InvalidEvent."""
    payload = Fields.of(content)
    ticket = Ticket.of(payload.within("ticket"), options)
    article = payload.within("article")
    if article.has("id"):
        yield from article_events(article, ticket)
    yield from state_events(ticket, article)


def is_zammad(head: bytes) -> bool:
    """Whether a file begins with Zammad's webhooks."""
    return any(
        isinstance(ticket := found.get("ticket"), dict) and "number" in ticket and "article" in found
        for found in json_sample(head)[:5]
    )


FORMAT = Format(
    name="zammad",
    channel="chat",
    title="Zammad's webhooks (JSON), with the articles of every channel",
    example="""\
{"ticket": {"id": 81, "number": "10081", "title": "Parcel", "state": "open", "create_article_type": "web",
  "customer": {"id": 8, "email": "ada@example.org"}, "updated_at": "2026-03-02T09:14:06Z"},
 "article": {"id": 104, "ticket_id": 81, "type": "web", "sender": "Customer", "internal": false,
  "body": "Where is my parcel?", "content_type": "text/plain", "created_at": "2026-03-02T09:14:05.318Z"}}
""",
    recognises=is_zammad,
    payloads=json_payloads,
    events=zammad_events,
)
