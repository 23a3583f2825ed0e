"""The cast: three hundred invented people, and how each of them likes to be reached."""

from dataclasses import dataclass, replace
from typing import Literal

from touchlog.demo.dice import Dice

PEOPLE = 300
FAMILIES = ((40, 41), (120, 121), (200, 201))
"""Two people each with one e-mail address and one home."""

Habit = Literal["mail", "paper", "mixed"]

_FIRST = (
    *("Ada", "Bo", "Cleo", "Dag", "Edda", "Finn", "Greta", "Hugo", "Ines", "Jon", "Kaia", "Liv", "Milo", "Nora"),
    *("Otto", "Pia", "Quinn", "Runa", "Sven", "Tilda", "Ulf", "Vera", "Wim", "Xenia", "Yara", "Zeno", "Alma"),
    *("Bruno", "Clara", "Dora", "Emil", "Freja", "Gilda", "Holger", "Irma", "Juno", "Karl", "Lotte", "Mads", "Nell"),
)
_LAST = ("Example", "Sample", "Specimen", "Placeholder", "Pattern", "Model")
_CITIES = (
    ("111 22", "Stockholm"),
    ("411 03", "Göteborg"),
    ("211 20", "Malmö"),
    ("753 10", "Uppsala"),
    ("222 21", "Lund"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """One customer. `handle` and `instagram` are None for who is not there; `private` mail readers open for them."""

    number: int
    name: str
    account: str
    email: str
    phone: str
    street: str
    postal_code: str
    city: str
    handle: str | None
    instagram: str | None
    visitor: str
    habit: Habit
    private: bool
    reads_news: bool
    gets_offers: bool
    gets_catalogue: bool

    def dice(self, what: str) -> Dice:
        """Dice for one side of this person."""
        return Dice(what, self.number)


def cast() -> list[Person]:
    """Everybody, Ada first."""
    people = [_person(number) for number in range(1, PEOPLE + 1)]
    for one, other in FAMILIES:
        first = people[one - 1]
        shared = f"family.{first.name.split()[1].lower()}{one}@example.org"
        for member in (one, other):
            people[member - 1] = replace(
                people[member - 1],
                email=shared,
                street=first.street,
                postal_code=first.postal_code,
                city=first.city,
            )
    return people


def _person(number: int) -> Person:
    dice = Dice("person", number)
    first = _FIRST[(number - 1) % len(_FIRST)]
    last = "Example" if number == 1 else _LAST[(number - 1) // len(_FIRST) % len(_LAST)]
    login = f"{first}.{last}{number}".lower()
    postal_code, city = dice.one_of(_CITIES)
    habits: tuple[Habit, ...] = ("mail", "mail", "mail", "mail", "paper", "paper", "paper", "mixed", "mixed", "mixed")
    person = Person(
        number=number,
        name=f"{first} {last}",
        account=f"C-{1000 + number}",
        email=f"{login}@{dice.one_of(('example.org', 'example.com'))}",
        phone=f"+4670000{number:04}",
        street=f"Sample Street {number}",
        postal_code=postal_code,
        city=city,
        handle=login.replace(".", "_") if dice.chance(0.25) else None,
        instagram=f"1784140000{number:07}" if dice.chance(0.35) else None,
        visitor=f"c0ffee00-0000-4000-8000-{number:012}",
        habit=dice.one_of(habits),
        private=dice.chance(0.3),
        reads_news=dice.chance(0.25),
        gets_offers=dice.chance(0.25),
        gets_catalogue=dice.chance(0.19),
    )
    if number == 1:
        return replace(
            person,
            email="ada@example.org",
            handle="ada_example",
            instagram="17841400000000001",
            habit="paper",
            private=False,
            reads_news=True,
            gets_offers=True,
            gets_catalogue=False,
        )
    return person
