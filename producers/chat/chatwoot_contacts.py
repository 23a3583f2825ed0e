"""Who the customer of a Chatwoot webhook is."""

from producers.fields import Fields
from producers.format import Options
from producers.reading import point
from schemas.errors import InvalidEvent
from schemas.models import Assurance, ContactPoint, Kind

_SOCIAL = {
    "Channel::FacebookPage": "facebook",
    "Channel::Instagram": "instagram",
    "Channel::TwitterProfile": "twitter",
    "Channel::Telegram": "telegram",
    "Channel::Line": "line",
    "Channel::Tiktok": "tiktok",
}
_BY_PHONE = frozenset({"Channel::TwilioSms", "Channel::Sms", "Channel::Whatsapp"})


def account_of(payload: Fields, options: Options) -> str:
    """Id of the Chatwoot account; older webhooks about conversations have it only in their last message."""
    given = payload.ref("account.id", "account_id", "conversation.account_id")
    messages = payload.each("messages") or payload.within("conversation").each("messages")
    return given or next((found for message in messages if (found := message.ref("account_id"))), options.account)


def contact_points(payload: Fields, conversation: Fields, account: str, options: Options) -> list[ContactPoint]:
    """The customer's contact points: the inbox's own first, then those of the contact's card.

    `payload` has the message or the widget (`sender`, `contact`), `conversation` the conversation. Raises
    InvalidEvent when there is none.
    """
    inbox = conversation.within("contact_inbox")
    verified = inbox.flag("hmac_verified") or conversation.within("meta").flag("hmac_verified") or False
    found: list[ContactPoint] = []
    source_id = inbox.ref("source_id")
    if source_id is not None:
        found.append(_of_inbox(source_id, account, conversation, options))
    assurance = Assurance.ATTESTED if verified else Assurance.CLAIMED
    cards = [payload.within("contact"), conversation.within("meta.sender")]
    sender = payload.within("sender")
    if (sender.text("type") or "contact").lower() == "contact" and _is_incoming(payload):
        cards.insert(0, sender)
    content = payload.within("content_attributes")
    submitted = content.ref("submitted_email")
    if submitted is not None:
        found.append(point(Kind.EMAIL, submitted, options, assurance=Assurance.CLAIMED))
    for card in cards:
        for kind, name in ((Kind.ACCOUNT, "identifier"), (Kind.EMAIL, "email"), (Kind.PHONE, "phone_number")):
            value = card.ref(name)
            if value is not None:
                found.append(point(kind, value, options, assurance=assurance))
    if not found:
        number = next((card.ref("id") for card in cards if card.has("id")), None) or inbox.ref("contact_id")
        if number is None:
            raise InvalidEvent("contact_inbox.source_id: missing, and the contact has no address and no id")
        found.append(point(Kind.VISITOR, f"chatwoot/{account}/contact/{number}", options))
    return found


def _of_inbox(source_id: str, account: str, conversation: Fields, options: Options) -> ContactPoint:
    channel = conversation.text("channel") or ""
    if channel in _BY_PHONE:
        number = source_id.removeprefix("whatsapp:")
        return point(Kind.PHONE, number if number.startswith("+") else f"+{number}", options)
    if channel == "Channel::Email":
        return point(Kind.EMAIL, source_id, options)
    if channel in _SOCIAL:
        inbox = conversation.ref("inbox_id") or "inbox"
        return point(Kind.SOCIAL, f"{_SOCIAL[channel]}:chatwoot/{account}/{inbox}:{source_id}", options)
    return point(Kind.VISITOR, f"chatwoot/{account}/{source_id}", options)


def _is_incoming(payload: Fields) -> bool:
    return (payload.text("message_type") or "incoming").lower() in ("incoming", "0")
