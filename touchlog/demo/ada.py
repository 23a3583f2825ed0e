"""Ada Example, who is on all five channels: the card that the demo shows is hers."""

from datetime import timedelta

from touchlog.demo.archive import Archive
from touchlog.demo.calls import call
from touchlog.demo.chats import WebChat, login, portal
from touchlog.demo.crm import closes, links_handle, links_instagram, says_on_the_phone, tell
from touchlog.demo.mail import Mailing, MailThread
from touchlog.demo.networks import DirectMessages, public_conversation
from touchlog.demo.people import Person

CASE, ORDER = "48213", "A-1042"

_SECOND = timedelta(seconds=1)


def tell_ada(archive: Archive, ada: Person) -> None:
    """Her 90 days, but for what we send to everybody."""
    _is_known(archive, ada)
    _asked_before(archive, ada)
    _prefers(archive, ada)
    _follows_an_order(archive, ada)
    _waits(archive, ada)


def _is_known(archive: Archive, ada: Person) -> None:
    login(archive, ada, archive.at(-88, "09:12"))
    links_instagram(archive, ada, archive.at(-84, "18:02"))
    links_handle(archive, ada, archive.at(-70, "18:09"))


def _asked_before(archive: Archive, ada: Person) -> None:
    messages = DirectMessages(archive, ada)
    messages.customer(archive.at(-85, "17:40"), "Do you ship to Uppsala?")
    messages.us(archive.at(-85, "17:58"), "We do, in two days.")
    messages.read(archive.at(-85, "18:01"))
    closes(archive, archive.at(-84, "18:00"), "social", [messages.point], messages.conversation)
    chat = WebChat(archive, ada, topic="billing", agent=7)
    began = archive.at(-72, "10:15")
    chat.begins(began, "My invoice shows a fee that I do not know.", twice=True)
    chat.agent(began + 41 * _SECOND, "That is the gift wrapping. Shall I take it off?")
    chat.customer(began + 80 * _SECOND, "No, it is right then. Thank you!")
    chat.agent(began + 95 * _SECOND, "You are welcome.")
    chat.resolved(began + 300 * _SECOND)
    chat.survey(began + 400 * _SECOND, 5, "Quick and friendly")


def _prefers(archive: Archive, ada: Person) -> None:
    """Said on the phone, about post."""
    at = archive.at(-60, "13:05")
    number = call(archive, ada, at, topic="billing", agent="agent-03", wait=35 * _SECOND, talk=190 * _SECOND)
    choice = {"kind": "prefer", "content_type": "invoices", "channel": "post"}
    says_on_the_phone(archive, ada, at + 120 * _SECOND, "Wants invoices by post", number, **choice)


def _follows_an_order(archive: Archive, ada: Person) -> None:
    """Notes on an order: by mail she lets them lie, in the portal's chat she answers."""
    for day, what in ((-33, "confirmed"), (-31, "packed")):
        subject = f"Your order {ORDER} is {what}"
        note = Mailing(archive, ada, subject, category="order-notification", about={"order": ORDER})
        note.delivered(archive.at(day, "07:45"))
    for day, text, reply in (
        (-30, "Your order was handed to the carrier.", "Good, will it come before noon?"),
        (-27, "Your order waits at the service point.", "Thank you, I will fetch it today."),
    ):
        at, conversation = archive.at(day, "08:30"), f"order-{ORDER}{day}"
        note_id = f"note{day}"
        line = {"id": note_id, "from": "template", "text": text, "content_type": "service", "topic": "delivery"}
        portal(archive, ada, at, conversation, line)
        portal(archive, ada, at + 300 * _SECOND, conversation, {"id": note_id, "type": "message.read"})
        answer = {"id": f"answer{day}", "from": "customer", "text": reply, "in_reply_to": note_id, "topic": "delivery"}
        portal(archive, ada, at + 330 * _SECOND, conversation, answer)
        thanks = {
            "id": f"thanks{day}",
            "from": "agent",
            "agent": "agent-05",
            "text": "Yes, and thank you for telling us.",
        }
        portal(archive, ada, at + 375 * _SECOND, conversation, thanks)
        portal(archive, ada, at + 600 * _SECOND, conversation, {"id": f"end{day}", "type": "conversation.resolved"})


def _waits(archive: Archive, ada: Person) -> None:
    """In public, by mail, on the phone, by mail again: one conversation, and it is our turn."""
    public_conversation(
        archive,
        ada,
        [
            (
                "customer",
                archive.at(-9, "09:30"),
                "@AcmeCare my second parcel has not come, and nobody can tell me why",
            ),
            ("agent", archive.at(-9, "09:52"), f"@{ada.handle} Sorry! Please mail us and name case {CASE}."),
        ],
        topic="delivery",
        about={"case": CASE},
    )
    thread = MailThread(archive, ada, "My second parcel has not come", case=CASE)
    thread.customer(archive.at(-8, "07:20"), "Hello,\n\nthe second parcel of my order is missing.\n\nAda Example")
    thread.agent(archive.at(-8, "12:41"), "We have asked the carrier and will come back to you.")
    rang = archive.at(-2, "14:05")
    about = {"case": CASE}
    call(archive, ada, rang, topic="delivery", agent="agent-07", wait=95 * _SECOND, talk=412 * _SECOND, about=about)
    tell(
        archive,
        rang + 600 * _SECOND,
        "phone",
        "call.wrapped_up",
        [f"account:{ada.account}", f"phone:{ada.phone}"],
        direction="outbound",
        agent="agent-07",
        author="human",
        case_refs=[f"case:{CASE}"],
        promised_at=archive.at(1, "10:00").isoformat(),
        summary="Promised to call when the carrier has answered",
    )
    thread.customer(archive.at(-1, "16:20"), "Any news? It is still missing, and the gift is for Sunday.")
