"""What happened between us and the customers, one function a story."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from touchlog.demo.archive import Archive
from touchlog.demo.calls import call, call_back, hotline_call
from touchlog.demo.chats import WebChat, login, portal
from touchlog.demo.crm import asks_for_a_call, closes, links_handle, links_instagram, says_on_the_phone
from touchlog.demo.dice import Dice
from touchlog.demo.forms import form
from touchlog.demo.letters import Letter, document
from touchlog.demo.mail import MailThread
from touchlog.demo.networks import DirectMessages, Turn, comment, mention, public_conversation
from touchlog.demo.people import Person
from touchlog.demo.talk import FOLLOW_UPS, TALK, TOPICS

Story = Callable[[Archive, Person, datetime, Dice], None]

_MINUTE = timedelta(minutes=1)
_BY_LETTER = (
    ("letter", "opt out of offers by post", "No more catalogues"),
    ("form", "prefer invoices by email", "Invoices by e-mail, please"),
)


def tell_everything(archive: Archive, people: Sequence[Person]) -> None:
    """Everybody's stories but Ada's, spread over the days; the last days hold what is still open."""
    others = people[1:]
    for person in others:
        _arrival(archive, person)
    for story, often in _STORIES:
        dice = Dice(story.__name__)
        fitting = [person for person in others if _fits(story, person)]
        for number in range(often):
            person = dice.one_of(fitting)
            # Every sixth began in the last three days.
            day = dice.between(-3, -1) if number % 6 == 0 else dice.between(-88, -4)
            at = archive.at(day, "07:30") + timedelta(minutes=dice.between(0, 540), seconds=dice.between(0, 59))
            story(archive, person, at, dice)
    for number in range(12):
        mention(archive, archive.at(-86 + number * 7, "19:20"))


def _arrival(archive: Archive, person: Person) -> None:
    """Most log in to the portal once: from then on account, address and number are one person."""
    dice = person.dice("arrival")
    at = archive.at(-89, "06:00") + timedelta(hours=dice.between(0, 300), minutes=dice.between(0, 59))
    if dice.chance(0.93):
        login(archive, person, at)
    if person.instagram and dice.chance(0.6):
        links_instagram(archive, person, at + 4 * _MINUTE)
    if person.handle and dice.chance(0.6):
        links_handle(archive, person, at + 5 * _MINUTE)


def _fits(story: Story, person: Person) -> bool:
    if story in (direct_message,):
        return person.instagram is not None
    if story in (public_question, from_public_to_mail_to_phone):
        return person.handle is not None
    return True


def _said(dice: Dice) -> tuple[str, str, str]:
    topic = dice.one_of(TOPICS)
    return topic, *dice.one_of(TALK[topic])


def _agent(dice: Dice) -> str:
    return f"agent-{dice.between(1, 12):02}"


def _forgotten(archive: Archive, at: datetime, dice: Dice) -> bool:
    """Whether nobody has answered yet: hardly ever, but for what came in yesterday and the day before."""
    return dice.chance(0.45 if at > archive.end - timedelta(days=3) else 0.02)


def mail_question(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    topic, question, answer = _said(dice)
    thread = MailThread(archive, person, question, case=_case(archive) if dice.chance(0.5) else None)
    thread.customer(at, f"Hello,\n\n{question}\n\n{person.name}")
    if _forgotten(archive, at, dice):
        return
    answered = at + dice.minutes(20, 2600)
    thread.agent(answered, f"{answer}\n\nAcme support, {topic}")
    if dice.chance(0.3):
        more, then = dice.one_of(FOLLOW_UPS)
        again = answered + dice.minutes(30, 1500)
        thread.customer(again, more)
        if not _forgotten(archive, again, dice):
            thread.agent(again + dice.minutes(20, 1500), then)


def web_chat(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    topic, question, answer = _said(dice)
    chat = WebChat(archive, person, topic=topic, agent=dice.between(1, 12), known=dice.chance(0.7))
    chat.begins(at, question, twice=dice.chance(0.05))
    chat.bot(at + timedelta(seconds=2), "A colleague will be with you in a moment.")
    if _forgotten(archive, at, dice):
        return
    answered = at + dice.seconds(10, 150)
    chat.agent(answered, answer, late=timedelta(hours=2) if dice.chance(0.05) else timedelta())
    thanked = answered + dice.seconds(20, 200)
    chat.customer(thanked, "Thank you!")
    chat.agent(thanked + dice.seconds(4, 70), "You are welcome.")
    ended = answered + 6 * _MINUTE
    chat.resolved(ended)
    if dice.chance(0.5):
        score = dice.one_of((1, 2, 3, 4, 4, 5, 5, 5)) if topic != "complaint" else dice.one_of((1, 2, 2, 3))
        chat.survey(ended + 2 * _MINUTE, score, "Quick and friendly" if score == 5 else None)


def phone_call(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    topic, *_ = _said(dice)
    withheld = dice.chance(0.06)
    wait = dice.seconds(2, 120)
    if dice.chance(0.15):
        who = None if withheld else person
        call(archive, who, at, topic=topic, agent="", wait=wait + _MINUTE, outcome="abandoned")
        if not withheld and dice.chance(0.6):
            call(
                archive, person, at + dice.minutes(5, 90), topic=topic, agent=_agent(dice), wait=wait, talk=5 * _MINUTE
            )
        return
    talk = dice.seconds(60, 900)
    call(archive, None if withheld else person, at, topic=topic, agent=_agent(dice), wait=wait, talk=talk)


def hotline(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    number = "anonymous" if dice.chance(0.1) else person.phone
    talk = None if dice.chance(0.2) else dice.seconds(45, 700)
    hotline_call(archive, number, at, wait=dice.seconds(3, 60), talk=talk)


def direct_message(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    _, question, answer = _said(dice)
    messages = DirectMessages(archive, person)
    messages.customer(at, question, twice=dice.chance(0.08))
    if _forgotten(archive, at, dice):
        return
    answered = at + dice.minutes(4, 200)
    messages.us(answered, answer)
    if dice.chance(0.7):
        messages.read(answered + dice.minutes(1, 120))
    if dice.chance(0.25):
        messages.reacted(answered + dice.minutes(2, 130))
    if dice.chance(0.15):
        comment(archive, person, answered + dice.minutes(200, 900), "Good service, thanks")
    if dice.chance(0.8):
        closes(archive, answered + timedelta(days=1), "social", [messages.point], messages.conversation)


def public_question(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    topic, question, answer = _said(dice)
    turns: list[Turn] = [("customer", at, f"@AcmeCare {question}")]
    if not _forgotten(archive, at, dice):
        answered = at + dice.minutes(5, 200)
        turns.append(("agent", answered, f"@{person.handle} {answer}"))
        if dice.chance(0.4):
            more, then = dice.one_of(FOLLOW_UPS)
            turns.append(("customer", answered + 10 * _MINUTE, f"@AcmeCare {more}"))
            turns.append(("agent", answered + dice.minutes(15, 90), f"@{person.handle} {then}"))
    public_conversation(archive, person, turns, topic=topic)


def letter(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    topic, question, _ = _said(dice)
    case = _case(archive)
    document(archive, person, at, "letter", case=case, note=f"Asks by letter: {question}")
    if _forgotten(archive, at, dice):
        return
    reply = Letter(archive, person, f"Our answer about {topic}", about={"content_type": "service", "case": case})
    posted = at + timedelta(days=dice.between(1, 7), hours=3)
    reply.mailed(posted)
    reply.delivered(posted + timedelta(days=2))


def states_a_choice(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """About one channel on another: on the phone, by letter, in the portal."""
    way = dice.between(1, 4)
    if way == 1:
        number = call(archive, person, at, topic="account", agent=_agent(dice), wait=_MINUTE, talk=3 * _MINUTE)
        said = "Wants invoices by post"
        choice = {"kind": "prefer", "content_type": "invoices", "channel": "post"}
        says_on_the_phone(archive, person, at + 2 * _MINUTE, said, number, **choice)
    elif way in {2, 3}:
        kind, statement, note = _BY_LETTER[way - 2]
        scan = document(archive, person, at, kind, statement=statement, note=note)
        closes(archive, at + dice.minutes(300, 4000), "post", [f"account:{person.account}"], scan)
    else:
        choice = {"kind": "prefer", "content_type": "service", "channel": dice.one_of(("phone", "chat", "email"))}
        line = {"id": f"choice-{person.account}-{at:%Y%m%d%H%M}", "from": "customer", "statement": choice}
        portal(archive, person, at, f"portal-{person.account}", line)


def recommends_us(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """The question whether they would recommend us, asked in the portal."""
    score = dice.one_of((10, 10, 9, 9, 9, 8, 8, 7, 6, 5, 3))
    line = {"id": f"nps-{person.account}-{at:%Y%m%d%H%M}", "from": "customer", "survey": "nps", "score": score}
    portal(archive, person, at, f"portal-{person.account}", line)


def from_public_to_mail_to_phone(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """The case number that we gave in public stands in the mail, and is named on the phone."""
    topic, question, answer = _said(dice)
    case = _case(archive)
    replied = at + dice.minutes(6, 90)
    turns: list[Turn] = [
        ("customer", at, f"@AcmeCare {question}"),
        ("agent", replied, f"@{person.handle} Sorry! Please mail us and name case {case}."),
    ]
    public_conversation(archive, person, turns, topic=topic, about={"case": case})
    thread = MailThread(archive, person, question, case=case)
    wrote = replied + dice.minutes(30, 300)
    thread.customer(wrote, f"As asked: {question}")
    if _forgotten(archive, wrote, dice):
        return
    answered = wrote + dice.minutes(60, 1300)
    thread.agent(answered, answer)
    if dice.chance(0.6):
        rang = answered + timedelta(days=1) + dice.minutes(0, 300)
        wait, talk = dice.seconds(2, 90), dice.seconds(100, 800)
        call(archive, person, rang, topic=topic, agent=_agent(dice), wait=wait, talk=talk, about={"case": case})
        if dice.chance(0.3):
            again = rang + dice.minutes(200, 3000)
            thread.customer(again, "It is as before, in spite of what you said on the phone.")
            if not _forgotten(archive, again, dice):
                thread.agent(again + dice.minutes(20, 900), "We are sorry. It is done now.")


def from_chat_to_phone(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """Both know the order: what the chat could not settle is settled on the phone."""
    order = f"A-{archive.number('order', 2_001)}"
    chat = WebChat(archive, person, topic="delivery", agent=dice.between(1, 12), about={"order_id": order})
    chat.begins(at, "My order has not come.")
    answered = at + dice.seconds(20, 180)
    chat.agent(answered, "The carrier has lost track of it. Please call us, and name the order.")
    rang = answered + dice.minutes(20, 300)
    wait, talk = dice.seconds(2, 90), dice.seconds(100, 800)
    call(archive, person, rang, topic="delivery", agent=_agent(dice), wait=wait, talk=talk, about={"order": order})
    if dice.chance(0.5):
        # Rated low: they had to change the channel.
        chat.survey(rang + talk + 10 * _MINUTE, dice.one_of((1, 2, 2, 3, 3, 4)))
    if dice.chance(0.3):
        again = rang + dice.minutes(100, 2000)
        chat.customer(again, "Nobody has called me back about my order.")
        if not _forgotten(archive, again, dice):
            chat.agent(again + dice.seconds(30, 200), "It was found, and comes tomorrow.")
            chat.resolved(again + 20 * _MINUTE)


def call_back_promised(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """A mail, a wish to be called, and our call: answered, not answered, or still to come."""
    _, question, _ = _said(dice)
    case = _case(archive)
    thread = MailThread(archive, person, question, case=case)
    thread.customer(at, question)
    asked = at + dice.minutes(30, 200)
    promised = asked + timedelta(days=dice.between(1, 2))
    asks_for_a_call(archive, person, asked, promised, "Please call me about it", case)
    if promised < archive.end:
        status = dice.one_of(("completed", "no-answer", "busy"))
        call_back(archive, person, promised, status=status, talk=dice.seconds(20, 60))
        if dice.chance(0.9):
            # From the desk, and about the case.
            rang, more = promised + dice.minutes(30, 300), dice.seconds(60, 300)
            about = {"case": case}
            call(archive, person, rang, topic="complaint", agent=_agent(dice), talk=more, outbound=True, about=about)


def _case(archive: Archive) -> str:
    return str(archive.number("case", 31_001))


_STORIES: tuple[tuple[Story, int], ...] = (
    (mail_question, 80),
    (web_chat, 60),
    (phone_call, 110),
    (hotline, 30),
    (direct_message, 40),
    (public_question, 30),
    (letter, 20),
    (states_a_choice, 36),
    (recommends_us, 30),
    (from_public_to_mail_to_phone, 20),
    (from_chat_to_phone, 20),
    (call_back_promised, 16),
    (form, 32),
)
