"""A made population with the errors of real registrations, and who in it is who.

The rates below were set before anything was matched, and are not to be changed for the sake of a figure. One
seed (HELD_OUT) is looked at once, when the matcher is done.

Names are made of syllables and of a short list of common ones, frequencies falling as those of names do:
nobody is meant by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

SEEDS: Final = (1, 2, 3)
HELD_OUT: Final = 31415927

SECOND_RECORD: Final = 0.6
"""Persons with a record at a second organization; of these every third has a third."""

ORGANIZATIONS: Final = 8
"""Each has a person once: duplicates within one organization are not made."""

RATES: Final = {
    # of each further record
    "birth swapped": 0.015,
    "birth one digit off": 0.02,
    "birth missing": 0.01,
    "family misspelt": 0.03,
    "family changed": 0.03,
    "family joined": 0.015,
    "earlier family stated": 0.4,
    "given misspelt": 0.025,
    "given familiar": 0.06,
    "given initial only": 0.01,
    "middle left out": 0.5,
    "moved": 0.15,
    "other phone": 0.25,
    "phone missing": 0.1,
    "e-mail stated": 0.35,
    "insurance stated": 0.5,
    "social stated": 0.25,
    "sex wrong": 0.005,
    # of each household or person
    "twins": 0.015,
    "junior": 0.03,
    "junior says so": 0.5,
    "newborn unnamed": 0.01,
    "no fixed address": 0.01,
    "shared by a family: phone": 0.5,
}
"""How often what goes wrong; each on its own."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is. number: of the person, whatever record it is in."""

    number: int
    given: str
    middle: str
    family: str
    born: date
    sex: str
    phone: str
    street: str
    area: str
    email: str
    member: str
    social: str
    suffix: str = ""
    multiple: bool = False
    unhoused: bool = False
    earlier: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """organization: number of who wrote it."""

    person: int
    organization: int
    patient: dict[str, Any]


_FAMILIAR = {
    "robert": "bob", "william": "bill", "elizabeth": "liz", "margaret": "peggy", "james": "jim",
    "katherine": "kate", "michael": "mike", "jennifer": "jenny", "thomas": "tom", "patricia": "pat",
    "richard": "rick", "joseph": "joe", "susan": "sue", "daniel": "dan", "christina": "tina",
    "christopher": "chris", "anthony": "tony", "edward": "ted", "deborah": "debbie", "samuel": "sam",
}  # fmt: skip
_MALE = ("robert", "william", "james", "michael", "thomas", "richard", "joseph", "daniel", "anthony", "edward",
         "samuel", "christopher", "paul", "mark", "kevin", "brian", "jason", "luis", "carlos", "omar")  # fmt: skip
_FEMALE = ("elizabeth", "margaret", "katherine", "jennifer", "patricia", "susan", "christina", "deborah", "ana", "anna",
           "laura", "karen", "linda", "amina", "rosa", "lucia", "grace", "helen", "ruth", "emma")  # fmt: skip
_FIRST = (
    "ba", "be", "bo", "ca", "da", "de", "do", "fa", "ga", "go", "ha", "he", "jo", "ka", "ke", "la",
    "le", "lo", "ma", "me", "mo", "na", "ne", "pa", "pe", "ra", "re", "ro", "sa", "se", "ta", "te",
    "va", "wa", "ya",
)  # fmt: skip
_LAST = (
    "ber", "der", "dez", "dor", "fer", "gan", "ger", "kin", "kos", "lan", "ler", "lez", "man",
    "mer", "min", "ner", "nez", "ria", "ris", "ron", "sen", "ski", "son", "ter", "ton", "vic",
    "wicz", "zal",
)  # fmt: skip


def persons(seed: int, size: int) -> list[Person]:
    """At least `size` persons, in households."""
    made: list[Person] = []
    chance = Random(seed)
    while len(made) < size:
        made.extend(_household(chance, len(made)))
    return made


def records(seed: int, people: list[Person]) -> Iterator[Record]:
    """One record of each person as it is, and further ones with what goes wrong."""
    chance = Random(seed + 1_000_003)
    for person in people:
        further = 0
        if chance.random() < SECOND_RECORD:
            further = 2 if chance.random() < 1 / 3 else 1
        first, *others = chance.sample(range(ORGANIZATIONS), 1 + further)
        yield Record(person.number, first, _patient(chance, person, first, first=True))
        for organization in others:
            erred = _erred(chance, person)
            yield Record(person.number, organization, _patient(chance, erred, organization))


def _household(chance: Random, number: int) -> list[Person]:
    family, area = _family(chance), f"{74000 + int(chance.paretovariate(0.5)) % 400:05d}"
    street = (
        f"{chance.randrange(1, 4000)} {_name(chance)} {chance.choice(('st', 'ave', 'rd', 'ln'))}"
    )
    phone, member = _phone(chance), f"W{chance.randrange(10**8):08d}"
    shared = _happens(chance, "shared by a family: phone")
    unhoused = _happens(chance, "no fixed address")
    members: list[Person] = []

    def join(born: date, given: str | None = None, sex: str | None = None, **other: Any) -> Person:
        sex = sex or chance.choice(("male", "female"))
        person = Person(
            number + len(members),
            given or _given(chance, sex),
            _given(chance, sex),
            family,
            born,
            sex,
            phone if shared or not members else _phone(chance),
            street,
            area,
            f"p{chance.randrange(10**9)}@example.org",
            member,
            f"{chance.randrange(1, 900):03d}{chance.randrange(1, 100):02d}{chance.randrange(1, 10_000):04d}",
            unhoused=unhoused,
            **other,
        )
        members.append(person)
        return person

    today = date(2026, 11, 26)
    adult = join(today - timedelta(days=chance.randrange(19 * 365, 90 * 365)))
    if chance.random() < 0.5:
        join(adult.born + timedelta(days=chance.randrange(-2000, 2000)))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        born = adult.born + timedelta(days=chance.randrange(19 * 365, 42 * 365))
        if born > today:
            continue
        if _happens(chance, "junior"):
            says = _happens(chance, "junior says so")
            join(born, adult.given, adult.sex, suffix="Jr" if says else "")
            if says:
                members[0] = replace(members[0], suffix="Sr")
        elif _happens(chance, "twins"):
            stated = chance.random() < 0.5
            one = join(born, multiple=stated)
            alike = chance.random() < 0.3
            join(born, _misspelt(chance, one.given) if alike else None, multiple=stated)
        elif _happens(chance, "newborn unnamed"):
            join(born, "baby")
        else:
            join(born)
    return members


def _erred(chance: Random, person: Person) -> Person:
    """The person as another organization has it."""
    wrong: dict[str, Any] = {}
    if _happens(chance, "birth swapped") and person.born.day <= 12:
        wrong["born"] = person.born.replace(month=person.born.day, day=person.born.month)
    elif _happens(chance, "birth one digit off"):
        wrong["born"] = _digit_off(chance, person.born)
    if _happens(chance, "family misspelt"):
        wrong["family"] = _misspelt(chance, person.family)
    elif person.sex == "female" and _happens(chance, "family changed"):
        wrong["family"] = _family(chance)
        if _happens(chance, "earlier family stated"):
            wrong["earlier"] = person.family
    elif _happens(chance, "family joined"):
        wrong["family"] = f"{person.family}-{_family(chance)}"
    if person.given in _FAMILIAR and _happens(chance, "given familiar"):
        wrong["given"] = _FAMILIAR[person.given]
    elif _happens(chance, "given misspelt"):
        wrong["given"] = _misspelt(chance, person.given)
    elif _happens(chance, "given initial only"):
        wrong["given"] = person.given[0]
    if person.given == "baby":  # it has a name by now
        wrong["given"] = _given(chance, person.sex)
    if _happens(chance, "moved"):
        wrong["street"] = f"{chance.randrange(1, 4000)} {_name(chance)} st"
        wrong["area"] = f"{74000 + chance.randrange(400):05d}"
    if _happens(chance, "other phone"):
        wrong["phone"] = _phone(chance)
    if _happens(chance, "sex wrong"):
        wrong["sex"] = "male" if person.sex == "female" else "female"
    return replace(person, **wrong)


def _patient(
    chance: Random, person: Person, organization: int, *, first: bool = False
) -> dict[str, Any]:
    """As FHIR has it; what an organization states and leaves out is chance."""
    given = [person.given.title()]
    if first or not _happens(chance, "middle left out"):
        given.append(person.middle.title())
    name: dict[str, Any] = {"family": person.family.title(), "given": given}
    if person.suffix:
        name["suffix"] = [person.suffix]
    names = [name]
    if person.earlier:
        names.append({"use": "maiden", "family": person.earlier.title()})
    found: dict[str, Any] = {
        "resourceType": "Patient",
        "name": names,
        "gender": person.sex,
        "identifier": [
            {
                "system": f"urn:mrn:{organization}",
                "value": f"{organization}-{person.number}",
            }
        ],
    }
    if first or not _happens(chance, "birth missing"):
        found["birthDate"] = person.born.isoformat()
    telecom = []
    if first or not _happens(chance, "phone missing"):
        telecom.append({"system": "phone", "value": person.phone})
    if _happens(chance, "e-mail stated"):
        telecom.append({"system": "email", "value": person.email})
    if telecom:
        found["telecom"] = telecom
    line = "homeless" if person.unhoused else person.street.title()
    found["address"] = [{"line": [line], "postalCode": person.area}]
    if _happens(chance, "insurance stated"):
        found["identifier"].append(
            {"type": {"coding": [{"code": "MB"}]}, "system": "urn:plan", "value": person.member}
        )
    if _happens(chance, "social stated"):
        found["identifier"].append(
            {"system": "http://hl7.org/fhir/sid/us-ssn", "value": person.social}
        )
    if person.multiple:
        found["multipleBirthBoolean"] = True
    return found


def _happens(chance: Random, what: str) -> bool:
    return chance.random() < RATES[what]


def _family(chance: Random) -> str:
    """Of some thousands, few of them common."""
    rank = min(int(chance.paretovariate(0.35)), 40_000)
    return _name(Random(rank))


def _name(chance: Random) -> str:
    middle = chance.choice(_FIRST) if chance.random() < 0.6 else ""
    return chance.choice(_FIRST) + middle + chance.choice(_LAST)


def _given(chance: Random, sex: str) -> str:
    listed = _MALE if sex == "male" else _FEMALE
    if chance.random() < 0.7:
        [name] = chance.choices(listed, [1 / (rank + 3) for rank in range(len(listed))])
        return name
    return _name(Random(100_000 + min(int(chance.paretovariate(0.4)), 3000)))


def _phone(chance: Random) -> str:
    """Of exchanges that are given to nobody."""
    area = chance.choice(("918", "539", "405"))
    return f"+1-{area}-{chance.randrange(200):03d}-{chance.randrange(10_000):04d}"


def _misspelt(chance: Random, name: str) -> str:
    if len(name) < 3:
        return name + "a"
    at = chance.randrange(1, len(name) - 1)
    match chance.randrange(3):
        case 0:
            return name[:at] + name[at + 1 :]
        case 1:
            return name[:at] + name[at] + name[at:]
        case _:
            return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def _digit_off(chance: Random, born: date) -> date:
    """Another day of the month, by its last digit."""
    tens, ones = divmod(born.day, 10)
    others = [tens * 10 + one for one in range(10) if one != ones and 1 <= tens * 10 + one <= 28]
    return born.replace(day=chance.choice(others)) if others else born.replace(day=1)
