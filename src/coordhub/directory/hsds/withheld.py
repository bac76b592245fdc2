"""What of a feed is about victim service providers: of them nothing is taken, and nobody is told which.

45 CFR 1370.4(g): the place of a shelter is not made public. A public feed may list it all the same, and
a copy here would keep it when the feed has forgotten it.

A service is withheld by a taxonomy term, a mark, or words in its name (withheld.json), and when its
organization is one that the hub knows for such a provider. With it goes where it is given and who works
there, and an organization that does nothing else. What is left does not tell of them: no other row keeps
their addresses, telephones or names, wherever in it they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from coordhub.directory.hsds.rows import Row, Tables
from coordhub.referral import same_kind

LEAST: Final = 5
"""Letters and digits of an address or a name that is looked for in other rows; fewer occur by chance."""


class _Lists(msgspec.Struct, forbid_unknown_fields=True):
    """terms: codes, and all below them. kinds: domains of SDOH Clinical Care. marks: attributes that say it."""

    terms: list[str]
    kinds: list[str]
    marks: list[str]
    words: list[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What the hub knows victim service providers by: names and telephones, as `folded` leaves them."""

    names: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()


@dataclass(slots=True)
class Withheld:
    """Ids of rows that are not taken. told: what no other row may say, folded."""

    services: set[str] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)
    parting: set[str] = field(default_factory=set)
    """Organizations that give other services too: their names stay, who works there does not."""
    told: set[str] = field(default_factory=set)

    def is_told(self, value: str) -> bool:
        return bool(self.told) and _any_of(frozenset(self.told)).search(folded(value)) is not None


def find(tables: Tables, known: Known = Known()) -> Withheld:
    found = Withheld()
    for organization in tables.rows["organizations"].values():
        if _is_providers(tables, organization, known):
            found.organizations.add(organization.id)
    given: dict[str, list[Row]] = {}
    for service in tables.rows["services"].values():
        given.setdefault(service.text("organization_id"), []).append(service)
        program = tables.rows["programs"].get(service.text("program_id"))
        if (
            service.text("organization_id") in found.organizations
            or _is_providers(tables, service, known)
            or (program is not None and _says_words(program))
        ):
            found.services.add(service.id)
    for organization_id, services in given.items():
        theirs = sum(one.id in found.services for one in services)
        if theirs == len(services):
            found.organizations.add(organization_id)
        elif theirs:
            found.parting.add(organization_id)
    for one in tables.rows["service_at_locations"].values():
        if one.text("service_id") in found.services:
            found.locations.add(one.text("location_id"))
    for location in tables.rows["locations"].values():
        if location.text("organization_id") in found.organizations or _says_words(location):
            found.locations.add(location.id)
    for owner in _theirs(tables, found):
        found.told.update(_telling(tables, owner))
    return found


def _is_providers(tables: Tables, row: Row, known: Known) -> bool:
    if _says_words(row) or any(_is_term(tables, one) for one in tables.attributes(row)):
        return True
    names = {folded(row.text("name")), folded(row.text("alternate_name"))} - {""}
    if names & known.names:
        return True
    phones = {digits(one.text("number")) for one in tables.of("phones", row)} - {""}
    return bool(phones & known.phones)


def _says_words(row: Row) -> bool:
    name = f"{row.text('name')} {row.text('alternate_name')}".casefold()
    return any(word in name for word in _lists().words)


def _is_term(tables: Tables, attribute: Row) -> bool:
    lists = _lists()
    stated = {attribute.text(name).casefold() for name in ("value", "link_type", "label")}
    if stated & set(lists.marks):
        return True
    seen: set[str] = set()
    term = tables.rows["taxonomy_terms"].get(attribute.text("taxonomy_term_id"))
    while term is not None and term.id not in seen:
        seen.add(term.id)
        code, name = term.text("code") or term.id, term.text("name").casefold()
        if any(code == one or code.startswith((f"{one}-", f"{one}.")) for one in lists.terms):
            return True
        if code in lists.kinds or any(domain in lists.kinds for domain in _domains(code)):
            return True
        if name in lists.marks or any(word in name for word in lists.words):
            return True
        term = tables.rows["taxonomy_terms"].get(term.text("parent_id"))
    return False


def _domains(code: str) -> frozenset[str]:
    """By the operator's file of kinds, whatever system the feed says the code is of."""
    same = same_kind.in_use()
    return frozenset().union(
        *(same_kind.domains(all_) for (_, one), all_ in same.items() if one == code)
    )


def _theirs(tables: Tables, found: Withheld) -> Iterator[Row]:
    for table, ids in (
        ("services", found.services),
        ("organizations", found.organizations),
        ("locations", found.locations),
    ):
        for one in ids:
            if (row := tables.rows[table].get(one)) is not None:
                yield row
    for row in tables.rows["service_at_locations"].values():
        if row.text("service_id") in found.services or row.text("location_id") in found.locations:
            yield row


def _telling(tables: Tables, owner: Row) -> Iterator[str]:
    """Their addresses, their people; telephones are told by their digits."""
    stated: list[str] = []
    for address in tables.of("addresses", owner):
        stated += [address.text("address_1"), address.text("address_2")]
    for contact in tables.of("contacts", owner):
        stated += [contact.text("name"), contact.text("email")]
        stated += [one.text("number") for one in tables.of("phones", contact)]
    if owner.table == "organizations":
        stated += [owner.text("name"), owner.text("alternate_name")]
    for text in stated:
        plain = folded(text)
        if len(plain.replace(" ", "")) >= LEAST:
            yield plain


@lru_cache(maxsize=4)
def _any_of(told: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(re.escape(one) for one in sorted(told))})\b")


@cache
def _lists() -> _Lists:
    data = files("coordhub.directory.hsds").joinpath("withheld.json").read_bytes()
    return msgspec.json.decode(data, type=_Lists)


def folded(text: str) -> str:
    """Words alone, in small letters."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def digits(text: str) -> str:
    """The last ten of a telephone number; "" of less than seven."""
    found = re.sub(r"\D", "", text)
    return found[-10:] if len(found) >= 7 else ""


def without(withheld: Withheld, row: Row) -> Row:
    """The row without what tells of them."""
    kept = {
        name: value
        for name, value in row.values.items()
        if not (isinstance(value, str) and withheld.is_told(value))
    }
    return row if len(kept) == len(row.values) else Row(row.table, row.id, kept, row.file, row.row)
