"""What we send to everybody, and what they make of it: newsletters, offers, catalogues, invoices."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from touchlog.demo.archive import Archive
from touchlog.demo.crm import paid, scanned_code
from touchlog.demo.dice import Dice
from touchlog.demo.letters import Catalogue, Letter
from touchlog.demo.mail import Mailing
from touchlog.demo.people import Habit, Person

NEWSLETTERS = (-84, -63, -42, -21)
OFFERS = (-70, -40, -12)
CATALOGUES = (-75, -30)
INVOICES = (-78, -48, -18)

_OPENS: dict[Habit, float] = {"mail": 0.7, "mixed": 0.4, "paper": 0.1}
_DEAD = 77
_COMPLAINS = 91
_MOVED = (34, 150)
_UNSUBSCRIBES = (12, 58, 103, 166, 231, 280)


def send_everything(archive: Archive, people: Sequence[Person]) -> None:
    """All sendings of the 90 days; Ada's too, as she likes them (Ada is the first)."""
    for person in people:
        if person.reads_news:
            for number, day in enumerate(NEWSLETTERS, 1):
                _newsletter(archive, person, day, number)
        if person.gets_offers:
            for number, day in enumerate(OFFERS, 1):
                _offer(archive, person, day, number)
        if person.gets_catalogue:
            for day in CATALOGUES:
                _catalogue(archive, person, day)
        _invoices(archive, person)


def _newsletter(archive: Archive, person: Person, day: int, number: int) -> None:
    dice = person.dice(f"newsletter {number}")
    mailing = Mailing(archive, person, f"News from Acme, no. {number}", category="newsletter", about={})
    at = archive.at(day, "06:30") + dice.minutes(0, 50)
    if person.number == _DEAD:
        if number == 1:
            mailing.bounced(at)
        return
    share = 1.0 if person.number == 1 else _OPENS[person.habit]
    _answered(mailing, person, dice, at, share, "news", clicks=0.25)


def _offer(archive: Archive, person: Person, day: int, number: int) -> None:
    dice = person.dice(f"offer {number}")
    if person.number in _UNSUBSCRIBES and number == 3:
        return
    if person.number in (1, _DEAD) and number > 1 + (person.number == 1):
        return
    mailing = Mailing(archive, person, f"Offer no. {number}: a tenth off", category="offers", about={})
    at = archive.at(day, "08:00") + dice.minutes(0, 90)
    _answered(mailing, person, dice, at, _OPENS[person.habit] * 0.8, "offers", clicks=0.3)
    if person.number in _UNSUBSCRIBES and number == 2:
        mailing.unsubscribed(at + dice.minutes(20, 600))
    if person.number == 1 and number == 2:
        mailing.unsubscribed(at + timedelta(hours=3, minutes=4), twice=True)
    if person.number == _COMPLAINS and number == 2:
        mailing.complained(at + timedelta(minutes=41))


def _answered(
    mailing: Mailing, person: Person, dice: Dice, at: datetime, opens: float, path: str, *, clicks: float
) -> None:
    """Delivered; opened by a mail reader that hides its owner, or by the owner; and perhaps clicked."""
    if dice.chance(0.03):
        mailing.deferred(at)
        at += timedelta(minutes=25)
    mailing.delivered(at, twice=dice.chance(0.03))
    if person.private:
        mailing.opened(at + timedelta(seconds=dice.between(1, 9)), machine=True)
    if dice.chance(opens):
        opened = at + dice.minutes(3, 1500)
        # A webhook that failed is tried again for a day: it arrives after later ones.
        late = timedelta(hours=dice.between(5, 23)) if dice.chance(0.04) else timedelta()
        if not person.private:
            mailing.opened(opened, machine=False, late=late, twice=dice.chance(0.03))
        if dice.chance(clicks):
            mailing.clicked(opened + dice.seconds(5, 120), path, twice=dice.chance(0.03))


def _catalogue(archive: Archive, person: Person, day: int) -> None:
    dice = person.dice(f"catalogue {day}")
    piece = Catalogue(archive, person)
    posted = archive.at(day, "17:00")
    piece.posted(posted)
    if person.number in _MOVED:
        piece.returned(posted + timedelta(days=9, hours=2))
        return
    delivered = posted + timedelta(days=dice.between(1, 3), hours=dice.between(-8, -3))
    # The carrier hands in some of its scans days later.
    piece.delivered(delivered, late=timedelta(days=4) if dice.chance(0.08) else timedelta())
    if dice.chance({"paper": 0.5, "mixed": 0.25, "mail": 0.08}[person.habit]):
        scanned_code(archive, person, delivered + dice.minutes(60, 4000), piece.piece)


def _invoices(archive: Archive, person: Person) -> None:
    """By mail, on paper, or both: what each of them answers to shows in what they do."""
    dice = person.dice("invoices")
    for number, day in enumerate(INVOICES, 1):
        invoice = f"{90_000 + person.number * 10 + number}"
        on_paper = {"mail": False, "paper": True, "mixed": dice.chance(0.4)}[person.habit]
        if not on_paper or (person.habit == "paper" and number < 3):
            _by_mail(archive, person, day, invoice, dice)
        if on_paper:
            _by_post(archive, person, day, invoice, dice)
    if person.habit == "mail" and dice.chance(0.5):
        _by_post(archive, person, -60, f"{90_000 + person.number * 10 + 1}", dice, reminder=True)


def _by_mail(archive: Archive, person: Person, day: int, invoice: str, dice: Dice) -> None:
    subject = f"Your invoice {invoice}"
    mailing = Mailing(archive, person, subject, category="invoices", about={"invoice": invoice})
    at = archive.at(day, "05:00") + dice.minutes(0, 40)
    if person.number == _DEAD:
        mailing.bounced(at)
        return
    _answered(mailing, person, dice, at, min(1.0, _OPENS[person.habit] * 1.2), f"pay/{invoice}", clicks=0.75)


def _by_post(archive: Archive, person: Person, day: int, invoice: str, dice: Dice, *, reminder: bool = False) -> None:
    what = "Reminder" if reminder else "Invoice"
    letter = Letter(archive, person, f"{what} {invoice}", about={"content_type": "invoice", "invoice": invoice})
    mailed = archive.at(day, "15:00") + dice.minutes(0, 60)
    if person.number == 1:
        letter.created(mailed - timedelta(hours=20))
    letter.mailed(mailed, twice=dice.chance(0.04))
    if person.number in _MOVED:
        letter.returned(mailed + timedelta(days=8))
        return
    delivered = mailed + timedelta(days=dice.between(1, 4), hours=-5)
    letter.delivered(delivered)
    if not reminder and (person.number == 1 or dice.chance(0.35)):
        letter.viewed(delivered + dice.minutes(30, 900))
    if not reminder and (person.number == 1 or dice.chance(0.75)):
        paid(archive, person, delivered + dice.minutes(600, 9000), letter.piece, invoice)
