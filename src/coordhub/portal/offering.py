"""What the directory says of a service, for a page: whose it is, what, where, when, for whom, and if it has places.

http://hl7.org/fhir/R4/healthcareservice.html, http://docs.openreferral.org (HSDS)

Of entries that everyone may be told of alone (directory.finding): none of a victim service provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordhub.directory.finding import Listed
from coordhub.directory.hsds.offers import COST, STATUS
from coordhub.portal import candidates, moments, opening_hours
from coordhub.portal.language import Words
from coordhub.portal.occurrences import Wall
from coordhub.portal.opening_hours import Told
from coordhub.portal.reasons import REASONS
from coordhub.portal.sheets import words
from coordhub.r4 import document as fhir_json
from coordhub.record import parties
from coordhub.referral import weights as weighing
from coordhub.referral.matching import Known, Offered, Wanted, judge
from coordhub.store import resources
from coordhub.store.engine import Connection
from coordhub.store.visibility import EVERYONE

Document = Mapping[str, Any]

LANGUAGES: Final = {
    "en": "English", "es": "Spanish", "ase": "American Sign Language", "ar": "Arabic", "zh": "Chinese",
    "fr": "French", "ht": "Haitian Creole", "pt": "Portuguese", "ru": "Russian", "so": "Somali", "uk": "Ukrainian",
    "vi": "Vietnamese",
}  # fmt: skip
SEXES: Final = {"female": "women", "male": "men", "other": "other", "unknown": "not known"}

PAUSED: Final = "temporarily closed"


@dataclass(frozen=True, slots=True)
class Contact:
    """href: tel: or mailto: or an address of the web; "" where there is none."""

    value: str
    href: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """All in words of the reader's language, but for what the directory says itself.

    provider: rid of the organization. room: what it said of its places, said: how long ago that was; "" where it
    says nothing. tone: good, open or bad.
    whom: for whom it is. updated: when the entry was changed last. needs: keys of what may be asked of it.
    """

    rid: int
    id: str
    name: str
    organization: str
    provider: int
    kinds: tuple[str, ...]
    about: str
    details: str
    contacts: tuple[Contact, ...]
    places: tuple[str, ...]
    afar: bool
    areas: tuple[str, ...]
    hours: Told | None
    remarks: str
    by_appointment: bool
    room: str
    said: str
    tone: str
    paused: bool
    active: bool
    languages: tuple[str, ...]
    whom: tuple[str, ...]
    costs: tuple[str, ...]
    updated: str
    needs: tuple[str, ...]


def pauses(entry: Listed) -> bool:
    """Closed for a time, as its feed says; not ended, nor told of elsewhere."""
    document = fhir_json.parse(entry.service.text.encode())
    stated = {each.get("valueCode") for each in _of(document, "extension", STATUS)}
    return not entry.offered.active and PAUSED in stated


async def sheets(conn: Connection, entries: Sequence[Listed], wall: Wall) -> dict[int, Sheet]:
    """By rid of the service."""
    owners = await resources.read_rids(
        conn, EVERYONE, sorted({one.service.organization for one in entries})
    )
    areas = await resources.read_rids(
        conn, EVERYONE, sorted({rid for one in entries for rid in one.service.areas})
    )
    told = {rid: one.body for rid, one in areas.items() if one.body is not None}
    return {
        one.service.rid: _sheet(
            one,
            parties.document(owner) if owner is not None and owner.body is not None else {},
            [fhir_json.parse(told[rid].encode()) for rid in one.service.areas if rid in told],
            wall,
        )
        for one in entries
        for owner in [owners.get(one.service.organization)]
    }


def _sheet(entry: Listed, owner: Document, areas: Sequence[Document], wall: Wall) -> Sheet:
    t, offered = wall.t, entry.offered
    document = fhir_json.parse(entry.service.text.encode())
    places = [fhir_json.parse(one.encode()) for one in entry.places]
    room, said, tone = _room(offered, wall)
    contacts = [*_contacts(document)] or [*_contacts(*places)] or [*_contacts(owner)]
    kinds = (*_list(document, "type"), *_list(document, "category"), *_list(document, "specialty"))
    return Sheet(
        entry.service.rid,
        entry.service.reference.partition("/")[2],
        str(document.get("name") or "") or str(owner.get("name") or "") or t("A service"),
        str(owner.get("name") or ""),
        entry.service.organization,
        tuple(dict.fromkeys(t(each) for one in kinds if (each := words(one)))),
        str(document.get("comment") or ""),
        str(document.get("extraDetails") or ""),
        tuple(dict.fromkeys(contacts)),
        tuple(dict.fromkeys(text for one in places if (text := _address(one)))),
        offered.virtual,
        tuple(dict.fromkeys(text for one in areas if (text := _area(one)))),
        opening_hours.told(offered.hours, wall.now, t) if offered.hours is not None else None,
        str(document.get("availabilityExceptions") or ""),
        offered.by_appointment,
        room, said, tone,
        pauses(entry),
        offered.active and entry.service.organization_active,
        tuple(_languages(document, offered, t)),
        tuple(_whom(document, offered, t)),
        tuple(text for one in _of(document, "extension", COST) if (text := _cost(one))),
        wall.dated(entry.service.updated),
        tuple(
            key for key, kind in candidates.kinds().items()
            if candidates.codes(kind) & offered.kinds
        ),
    )  # fmt: skip


def _room(offered: Offered, wall: Wall) -> tuple[str, str, str]:
    """(what it said, how long ago, tone), as a referral takes it."""
    stated = offered.capacity
    if stated is None:
        return "", "", ""
    asked = Wanted(kinds=offered.kinds, now=wall.now)
    found = judge(asked, offered, Known(), weighing.in_use()).findings
    one = next(each for each in found if each.criterion == "capacity")
    tone = {"met": "good", "failed": "bad"}.get(one.outcome, "open")
    if one.code not in REASONS:
        return "", "", ""
    ago = wall.t("said {span} ago", span=moments.span(wall.now - stated.since, wall.t))
    return REASONS[one.code], ago, tone


def _contacts(*documents: Document) -> Iterator[Contact]:
    for document in documents:
        for one in _list(document, "telecom"):
            value, system = str(one.get("value") or ""), one.get("system")
            if not value or one.get("use") in ("home", "old"):
                continue
            if system in ("phone", "sms"):
                digits = "".join(each for each in value if each.isdigit() or each == "+")
                yield Contact(value.removeprefix("tel:"), f"tel:{digits}" if digits else "")
            elif system == "email":
                yield Contact(value, f"mailto:{value}")
            elif system == "url":
                yield Contact(value, value if value.startswith(("https://", "http://")) else "")


def _address(place: Document) -> str:
    address = place.get("address")
    if not isinstance(address, Mapping):
        return ""
    town = " ".join(
        str(address[name]) for name in ("city", "state", "postalCode") if address.get(name)
    )
    lines = [*(address.get("line") or []), town]
    return ", ".join(str(one) for one in lines if one) or str(address.get("text") or "")


def _area(area: Document) -> str:
    address = area.get("address")
    stated = address if isinstance(address, Mapping) else {}
    parts = [stated.get(name) for name in ("city", "district", "postalCode", "state")]
    return str(area.get("name") or "") or ", ".join(str(one) for one in parts if one)


def _languages(document: Document, offered: Offered, t: Words) -> Iterator[str]:
    for one in _list(document, "communication"):
        codes = [str(each.get("code")) for each in _list(one, "coding")]
        known = next((LANGUAGES[code] for code in codes if code in LANGUAGES), None)
        if said := t(known) if known else words(one):
            yield said
    if offered.interpreters:
        yield t("interpreters")


def _whom(document: Document, offered: Offered, t: Words) -> Iterator[str]:
    if offered.years is not None:
        low, high = offered.years.least, offered.years.most
        if low is not None and high is not None:
            yield t("{low} to {high} years old", low=low, high=high)
        elif low is not None:
            yield t("{low} years or older", low=low)
        elif high is not None:
            yield t("up to {high} years old", high=high)
    if offered.genders:
        yield ", ".join(t(SEXES[one]) for one in sorted(offered.genders) if one in SEXES)
    for one in _list(document, "eligibility"):
        said = str(one.get("comment") or "")
        if said or not any(each.get("system") for each in _list(one.get("code") or {}, "coding")):
            yield from [said] if said else []
        elif not offered.genders:
            yield words(one.get("code"))


def _cost(extension: Document) -> str:
    parts = {str(one.get("url")): one for one in _list(extension, "extension")}
    money = parts.get("amount", {}).get("valueMoney")
    amount = (
        f"{money.get('value')} {money.get('currency', '')}".strip()
        if isinstance(money, Mapping)
        else ""
    )
    said = [
        str(parts[name].get("valueString") or "")
        for name in ("option", "amount_description")
        if name in parts
    ]
    return ", ".join(one for one in (*said, amount) if one)


def _of(document: Document, name: str, url: str) -> Iterable[Document]:
    return (one for one in _list(document, name) if one.get("url") == url)


def _list(document: Document, name: str) -> list[dict[str, Any]]:
    value = document.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
