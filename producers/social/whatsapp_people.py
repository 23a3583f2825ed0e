"""Who and where: the customer, the thread and the message of an item of WhatsApp's."""

from producers.fields import Fields
from producers.format import Options
from producers.reading import point
from schemas.errors import InvalidEvent
from schemas.models import Assurance, ContactPoint, Kind

NETWORK = "whatsapp"


def account_point(number: str, options: Options) -> ContactPoint:
    """The WhatsApp account of a number: `whatsapp:wa_id:46700000001`."""
    return point(Kind.SOCIAL, f"{NETWORK}:wa_id:{number.lstrip('+')}", options, assurance=Assurance.ATTESTED)


def user_point(user: str, business: str, options: Options) -> ContactPoint:
    """A user by the id that WhatsApp made for this business alone: `whatsapp:<business>:SE.1349…`."""
    return point(Kind.SOCIAL, f"{NETWORK}:{business}:{user}", options, assurance=Assurance.ATTESTED)


def phone_point(number: str, options: Options) -> ContactPoint:
    """The telephone number; WhatsApp writes it without the plus."""
    return point(Kind.PHONE, f"+{number.lstrip('+')}", options)


def people(
    number: str | None, user: str | None, value: Fields, business: str, options: Options
) -> tuple[list[ContactPoint], Fields]:
    """The customer's contact points, the account first, and the card that WhatsApp sent with them, if one.

    `number` and `user` are the item's own (`from` and `from_user_id`, say); what it lacks is on the card. Raises
    InvalidEvent when nobody is named.
    """
    card = _card(number, user, value)
    account = card.ref("wa_id") or number
    number, user = number or card.ref("wa_id"), user or card.ref("user_id")
    found: list[ContactPoint] = []
    if account is not None:
        found.append(account_point(account, options))
    if user is not None:
        found.append(user_point(user, business, options))
    if number is not None:
        found.append(phone_point(number, options))
    if not found:
        raise InvalidEvent(f"{value.where('contacts')}: neither a number nor a user id, and the item has none")
    return found, card


def thread(item: Fields, value: Fields, points: list[ContactPoint]) -> str:
    """`whatsapp/<phone number id>/<customer>`, or the group that it was written in."""
    ours = value.ref("metadata.phone_number_id") or "number"
    group = item.ref("group_id") or (item.ref("recipient_id") if item.text("recipient_type") == "group" else None)
    return f"{NETWORK}/{ours}/{f'group/{group}' if group else points[0].value.rpartition(':')[2]}"


def message_ref(number: str | None) -> str | None:
    """`whatsapp/<wamid>`, or None."""
    return f"{NETWORK}/{number}" if number else None


def _card(number: str | None, user: str | None, value: Fields) -> Fields:
    """The one of `contacts` that is this customer's: by its ids, or the only one when the item names nobody."""
    cards = value.each("contacts")
    for card in cards:
        if (number and card.ref("wa_id") == number) or (user and card.ref("user_id") == user):
            return card
    # A number and its wa_id differ in some countries: then the only card is theirs as well.
    return cards[0] if len(cards) == 1 else Fields({}, value.where("contacts"))
