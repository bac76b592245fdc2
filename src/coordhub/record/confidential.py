"""By what a victim service provider's place and staff are known: terms, and whether a document tells one.

Taken from what the provider keeps in its own account (Location, Organization, Practitioner,
PractitionerRole): address lines, coordinates, names of staff, phones that are not its public hotline.
Whoever else writes one of these, in whatever element, free text, narrative or text attachment, has it
seen by nobody but itself. Nothing of this is ever said: not by an error, a warning or a label.

What is in pictures, PDFs or other than UTF-8 text is not looked into.

https://www.ecfr.gov/current/title-45/part-1370/section-1370.4
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Words = tuple[str, ...]

_SHORT: Final = {
    "street": "st", "avenue": "ave", "road": "rd", "lane": "ln", "drive": "dr", "boulevard": "blvd",
    "court": "ct", "place": "pl", "square": "sq", "highway": "hwy", "parkway": "pkwy",
    "north": "n", "south": "s", "east": "e", "west": "w",
}  # fmt: skip
_TAGS: Final = re.compile(r"<[^>]*>")
_WORD: Final = re.compile(r"[^\W_]+")
_PHONE: Final = re.compile(r"\+?\d[\d\s().\-/]{5,}\d")
_PAIR: Final = re.compile(r"(-?\d{1,3}\.\d{2,})[\s,;/]+(-?\d{1,3}\.\d{2,})")
_LEAST_DIGITS: Final = 7
_DECIMALS: Final = 2
"""Of a coordinate: about a kilometre."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Of each term, whose it is (rid of the provider).

    phrases: whole address lines and names. streets: lines without their number, which tell only
    beside the postal code, the second value. phones: by their last digits, whole. places: latitude and
    longitude, rounded.
    """

    phrases: Mapping[Words, int] = field(default_factory=dict)
    streets: Mapping[Words, tuple[int, Words]] = field(default_factory=dict)
    phones: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    places: Mapping[tuple[float, float], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.phrases or self.phones or self.places)

    def told_by(self, document: Mapping[str, Any]) -> int | None:
        """The provider of which this document tells a term; None: of none."""
        if not self:
            return None
        whole: list[str] = []
        for node in _objects(document):
            place = _place(node.get("latitude"), node.get("longitude"))
            if place is not None and place in self.places:
                return self.places[place]
            texts = list(_texts(node))
            for text in texts:
                found = self._by_numbers(text)
                if found is not None:
                    return found
            words = _words(" ".join(texts))
            for length in {len(phrase) for phrase in self.phrases}:
                for at in range(len(words) - length + 1):
                    found = self.phrases.get(words[at : at + length])
                    if found is not None:
                        return found
            whole += [*words, ""]
        return self._by_street(tuple(whole))

    def tells(self, text: str) -> bool:
        """Whether one text tells a term by itself."""
        return self.told_by({"text": text}) is not None

    def _by_numbers(self, text: str) -> int | None:
        for match in _PHONE.finditer(text):
            digits = _digits(match.group())
            known = self.phones.get(digits[-_LEAST_DIGITS:])
            if known is not None and (known[0].endswith(digits) or digits.endswith(known[0])):
                return known[1]
        for match in _PAIR.finditer(text):
            place = _place(*match.groups())
            if place is not None and place in self.places:
                return self.places[place]
        return None

    def _by_street(self, words: Words) -> int | None:
        for street, (owner, postal) in self.streets.items():
            if _within(street, words) and _within(postal, words):
                return owner
        return None


NO_TERMS: Final = Terms()


def taken_from(entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Terms:
    """The terms in what providers (rid) keep in their own accounts."""
    phrases: dict[Words, int] = {}
    streets: dict[Words, tuple[int, Words]] = {}
    phones: dict[str, tuple[str, int]] = {}
    places: dict[tuple[float, float], int] = {}
    for owner, document in entries:
        kind = document.get("resourceType")
        for node in _objects(document):
            place = _place(node.get("latitude"), node.get("longitude"))
            if place is not None:
                places[place] = owner
            for address in _dicts(node.get("address")):
                _add_address(address, owner, phrases, streets)
        private = [document] if kind != "Organization" else _dicts(document.get("contact"))
        for holder in private:
            for telecom in _dicts(holder.get("telecom")):
                digits = _digits(str(telecom.get("value", "")))
                if len(digits) >= _LEAST_DIGITS:
                    phones[digits[-_LEAST_DIGITS:]] = (digits, owner)
            for name in _dicts(holder.get("name")):
                for phrase in _names(name):
                    phrases[phrase] = owner
    return Terms(phrases, streets, phones, places)


def _add_address(
    address: Mapping[str, Any],
    owner: int,
    phrases: dict[Words, int],
    streets: dict[Words, tuple[int, Words]],
) -> None:
    lines = [each for each in address.get("line") or () if isinstance(each, str)]
    if not lines and isinstance(address.get("text"), str):
        lines = [re.split(r"[,\n]", address["text"])[0]]
    postal = _words(str(address.get("postalCode", "")))
    for line in lines:
        words = _words(line)
        if len(words) >= 3 or (len(words) == 2 and any(each[0].isdigit() for each in words)):
            phrases[words] = owner
        street = tuple(each for each in words if not each[0].isdigit())
        if street and postal and street != words:
            streets[street] = (owner, postal)


def _names(name: Mapping[str, Any]) -> Iterator[Words]:
    family = _words(str(name.get("family", "")))
    given = [_words(each) for each in name.get("given") or () if isinstance(each, str)]
    if family and given:
        yield given[0] + family
        yield family + given[0]
    text = _words(str(name.get("text", "")))
    if len(text) >= 2:
        yield text


def _within(few: Words, many: Words) -> bool:
    return any(many[at : at + len(few)] == few for at in range(len(many) - len(few) + 1))


def _words(text: str) -> Words:
    """Folded, without marks and points, usual parts of addresses shortened."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    return tuple(_SHORT.get(word, word) for word in _WORD.findall(plain))


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdigit())


def _place(latitude: Any, longitude: Any) -> tuple[float, float] | None:
    try:
        return round(float(latitude), _DECIMALS), round(float(longitude), _DECIMALS)
    except (TypeError, ValueError, OverflowError):
        return None


def _texts(node: Mapping[str, Any]) -> Iterator[str]:
    """The texts of an object itself: what stands in its inner objects is theirs."""
    for name, value in node.items():
        for one in value if isinstance(value, list) else (value,):
            if not isinstance(one, str):
                continue
            if name == "data":
                yield _decoded(one)
            elif name == "div":
                yield html.unescape(_TAGS.sub(" ", one))
            else:
                yield one


def _decoded(data: str) -> str:
    try:
        return _TAGS.sub(" ", base64.b64decode(data).decode())
    except (binascii.Error, ValueError):
        return ""


def _objects(document: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting.extend(
                reversed([each for each in node.values() if isinstance(each, Mapping | list)])
            )
        else:
            waiting.extend(reversed([each for each in node if isinstance(each, Mapping | list)]))


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, Mapping)]
