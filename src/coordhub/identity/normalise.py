"""What of a Patient can be compared, and the keys by which records worth comparing are found.

http://hl7.org/fhir/R4/patient.html

Written the same way by whoever wrote it: without case, marks, punctuation; numbers by their digits. What
says nothing about who somebody is, is left out: the name of a newborn that has none yet, a Social Security
number of nines, a post-office box that hundreds share.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from coordhub.identity.likeness import root, soundex

Document = dict[str, Any]
Nothing: Final[frozenset[str]] = frozenset()

SSN: Final = "http://hl7.org/fhir/sid/us-ssn"


@dataclass(frozen=True, slots=True)
class Traits:
    """birth: eight digits, or None where the day is not known. families: of all names, earlier ones too.
    given: first names. middles: the names after these. suffixes: jr, sr, ii ... phones: digits. streets: house number,
    street and area; areas: the first five of postal codes. members: of an insurance, families share them.
    socials: the last four. identifiers: values by system. multiple: one of twins or more. linked: system and
    value of the records that Patient.link names by their numbers; nothing is compared by it.
    """

    birth: str | None = None
    families: frozenset[str] = Nothing
    given: frozenset[str] = Nothing
    middles: frozenset[str] = Nothing
    suffixes: frozenset[str] = Nothing
    sex: str | None = None
    phones: frozenset[str] = Nothing
    emails: frozenset[str] = Nothing
    streets: frozenset[str] = Nothing
    areas: frozenset[str] = Nothing
    members: frozenset[str] = Nothing
    socials: frozenset[str] = Nothing
    identifiers: dict[str, frozenset[str]] = field(default_factory=dict)
    multiple: bool = False
    linked: frozenset[str] = Nothing


def traits(patient: Document) -> Traits:
    names = [each for each in _dicts(patient.get("name")) if each.get("use") != "anonymous"]
    firsts: set[str] = set()
    middles: set[str] = set()
    for name in names:
        words = [word for text in _texts(name.get("given")) for word in _folded(text).split()]
        if words and words[0] not in _UNNAMED:
            firsts.add(words[0])
            middles |= set(words[1:])
    birth = re.sub(r"\D", "", _text(patient.get("birthDate")))
    gender = _text(patient.get("gender"))
    streets, areas = _places(_dicts(patient.get("address")))
    members, socials, identifiers = _numbers(_dicts(patient.get("identifier")))
    multiple = patient.get("multipleBirthBoolean") is True or "multipleBirthInteger" in patient
    return Traits(
        birth=birth if len(birth) == 8 else None,
        families=frozenset(
            text for name in names if (text := _family(name)) and text not in _UNNAMED
        ),
        given=frozenset(firsts),
        middles=frozenset(middles),
        suffixes=frozenset(_suffixes(names)),
        sex=gender if gender in ("male", "female") else None,
        phones=frozenset(_phones(_telecom(patient, "phone", "sms"))),
        emails=frozenset(
            text.strip().casefold() for text in _telecom(patient, "email") if "@" in text
        ),
        streets=streets,
        areas=areas,
        members=members,
        socials=socials,
        identifiers=identifiers,
        multiple=multiple,
        linked=frozenset(_linked(_dicts(patient.get("link")))),
    )


BLOCKS: Final = {
    "birth": 1,
    "family": 2,
    "phone": 3,
    "place": 4,
    "identifier": 5,
    "name": 6,
    "street": 7,
    "email": 8,
    "given": 9,
    "surname": 10,
    "dated": 11,
    "undated": 12,
}
"""Kinds of keys by number. Records of which one has a key that the other seeks (`sought`) are compared; by the
others it is counted how many have a value."""

SOUGHT: Final = ("birth", "family", "phone", "place", "identifier", "street", "email", "dated")
"""Kinds that a record has and seeks. The name alone (`name`) many have: it is sought by who says no birth, and
as `undated` by who says one among those who say none."""


def keys(of: Traits) -> set[tuple[int, int]]:
    """Number of the kind and digest of the value, of every key of a record.

    Digests, so that no table has one more copy of who somebody is; they are short, not secret: who has the
    table and a name can look whether it is there.
    """
    found: set[tuple[str, str]] = set()
    year = of.birth[:4] if of.birth else ""
    if of.birth:  # day and month in either order
        found.add(("birth", year + "".join(sorted((of.birth[4:6], of.birth[6:])))))
    sounds, named = _sounds(of), _named(of)
    firsts = {root(each) for each in of.given}
    if of.birth:  # one digit is wrong either in the year or in the day
        found |= {("dated", f"{each} {part}") for each in named for part in (year, of.birth[4:])}
        found |= {("family", f"{sound} {year} {first[0]}") for sound in sounds for first in firsts}
    else:
        found |= {("undated", each) for each in named}
    found |= {("phone", each[-7:]) for each in of.phones}
    found |= {("place", f"{area} {first} {sound}") for area in of.areas for first in firsts
              for sound in sounds}  # fmt: skip
    found |= {("identifier", f"{system} {value}") for system, values in of.identifiers.items()
              for value in values}  # fmt: skip
    found |= {("identifier", f"member {each}") for each in of.members}
    found |= {("identifier", each) for each in of.linked}
    found |= {("name", each) for each in named}
    found |= {("street", each) for each in of.streets}
    found |= {("email", each) for each in of.emails}
    found |= {("given", each) for each in of.given}
    found |= {("surname", each) for each in of.families}
    return {key(kind, text) for kind, text in found}


def key(kind: str, text: str) -> tuple[int, int]:
    digest = blake2b(text.encode(), digest_size=8, person=kind.encode()).digest()
    return BLOCKS[kind], int.from_bytes(digest, "big", signed=True)


def sought(of: Traits) -> set[tuple[int, int]]:
    """The keys by which records that may be of the same person are looked for."""
    numbers = {BLOCKS[kind] for kind in (*SOUGHT, *(() if of.birth else ("name",)))}
    found = {each for each in keys(of) if each[0] in numbers}
    if of.birth:
        found |= {key("undated", each) for each in _named(of)}
    return found


def _named(of: Traits) -> set[str]:
    """First name and the sound of the family's, each with each."""
    firsts = {root(each) for each in of.given}
    return {f"{first} {sound}" for first in firsts for sound in _sounds(of)}


def _sounds(of: Traits) -> set[str]:
    return {sound for each in of.families for word in each.split() if (sound := soundex(word))}


_UNNAMED = frozenset({
    "baby", "babyboy", "babygirl", "boy", "girl", "newborn", "infant", "twin", "unknown", "unk", "none",
    "na", "test", "anonymous", "male", "female",
})  # fmt: skip
_SUFFIX = {"jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "ii", "iii": "iii", "iv": "iv"}  # fmt: skip


def _family(name: Document) -> str:
    words = _folded(_text(name.get("family"))).split()
    while len(words) > 1 and words[-1] in _SUFFIX:
        words.pop()
    return " ".join(words)


def _suffixes(names: Iterable[Document]) -> Iterator[str]:
    for name in names:
        words = [word for text in _texts(name.get("suffix")) for word in _folded(text).split()]
        for word in (*words, *_folded(_text(name.get("family"))).split()[1:]):
            if word in _SUFFIX:
                yield _SUFFIX[word]


def _telecom(patient: Document, *systems: str) -> Iterator[str]:
    for each in _dicts(patient.get("telecom")):
        if each.get("system") in systems:
            yield _text(each.get("value"))


def _phones(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        digits = re.sub(r"\D", "", text).removeprefix("00")[-10:]
        if len(digits) >= 7 and len(set(digits)) > 1:
            yield digits


_STREET = {
    "street": "st", "avenue": "ave", "av": "ave", "road": "rd", "drive": "dr", "lane": "ln", "boulevard": "blvd",
    "court": "ct", "place": "pl", "north": "n", "south": "s", "east": "e", "west": "w", "terrace": "ter",
    "circle": "cir", "highway": "hwy", "parkway": "pkwy", "apartment": "apt", "suite": "ste",
}  # fmt: skip
_UNHOUSED = re.compile(
    r"\bp ?o ?box\b|\bpost office\b|\bgeneral delivery\b|\bhomeless\b|\bno (fixed|address)\b|\bunknown\b|\bunhoused\b"
)
_INSIDE = frozenset({"apt", "unit", "ste", "floor", "fl", "room", "rm", "lot"})


def _places(addresses: Iterable[Document]) -> tuple[frozenset[str], frozenset[str]]:
    """Streets and areas; none of a box or of who has no home."""
    streets, areas = set(), set()
    for address in addresses:
        text = _folded(" ".join(_texts(address.get("line"))))
        if _UNHOUSED.search(text):
            continue
        area = re.sub(r"[^0-9a-z]", "", _text(address.get("postalCode")).casefold())[:5]
        if area:
            areas.add(area)
        words = [_STREET.get(word, word) for word in text.split()]
        inside = next((at for at, word in enumerate(words) if word in _INSIDE), len(words))
        place = area or _folded(_text(address.get("city")))
        if inside > 1 and place and any(word[:1].isdigit() for word in words[:inside]):
            streets.add(f"{' '.join(words[:inside])} {place}")
    return frozenset(streets), frozenset(areas)


_MADE_UP = frozenset({"123456789", "078051120", "987654321"})


def _numbers(
    identifiers: Iterable[Document],
) -> tuple[frozenset[str], frozenset[str], dict[str, frozenset[str]]]:
    members: set[str] = set()
    socials: set[str] = set()
    others: dict[str, set[str]] = {}
    for each in identifiers:
        system = _text(each.get("system"))
        value = re.sub(r"[^0-9A-Z]", "", _text(each.get("value")).upper())
        kind = each.get("type")
        codes = {
            _text(coding.get("code"))
            for coding in _dicts(kind.get("coding") if isinstance(kind, dict) else None)
        }
        if not value or each.get("use") == "temp":
            continue
        if system == SSN or "SS" in codes:
            if len(set(value)) > 1 and value not in _MADE_UP:
                socials.add(value[-4:])
        elif codes & {"MB", "SN"}:
            members.add(value)
        elif system:
            others.setdefault(system, set()).add(value)
    kept = {system: frozenset(values) for system, values in others.items()}
    return frozenset(members), frozenset(socials), kept


def _linked(links: Iterable[Document]) -> Iterator[str]:
    for link in links:
        other = link.get("other")
        identifier = other.get("identifier") if isinstance(other, dict) else None
        if isinstance(identifier, dict):
            _, _, numbers = _numbers([identifier])
            yield from (
                f"{system} {value}" for system, values in numbers.items() for value in values
            )


def _folded(text: str) -> str:
    """Lower case, without marks; all that is neither letter nor digit is a space, an apostrophe is nothing."""
    plain = unicodedata.normalize("NFKD", text.replace("'", "").replace("\u2019", "")).casefold()
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(re.sub(r"[\W_]+", " ", plain).split())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _dicts(value: object) -> list[Document]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
