"""Under which numbers somebody is known, as far as the asker sees the records that say so.

https://profiles.ihe.net/ITI/PIXm/ITI-83.html

A number that only a hidden record has is not known, and neither is its system: hidden and absent are the same.
A record whose source says that another has replaced it leads to the person, and its numbers are given no more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from coordhub.r4.search import Query, parse_query
from coordhub.record import merges, parties
from coordhub.record.hub import Hub
from coordhub.store import persons, resources, search
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer

MOST: Final = 50
"""Records that have one number."""


class Reference(NamedTuple):
    """A record of the person, and its numbers with their systems."""

    version: Version
    identifiers: Sequence[dict[str, Any]]


class Person(NamedTuple):
    """records: of one person. one_person: whether those that have the number are of one, as far as is known."""

    records: Sequence[Reference]
    one_person: bool


async def by_number(hub: Hub, view: Viewer, system: str, value: str) -> Person | None:
    """Whose number it is; None: nobody's that is known."""
    async with hub.engine.searches.acquire() as conn:
        page = await search.search(conn, hub.engine, view, _asked(system, value), limit=MOST)
        found = [each for each in page.versions if (system, value) in numbers(each)]
        return await _person(conn, view, found) if found else None


async def by_id(hub: Hub, view: Viewer, fhir_id: str) -> Person | None:
    """Whose record it is; None: none that is known."""
    async with hub.engine.searches.acquire() as conn:
        found = await resources.read(conn, view, "Patient", fhir_id)
        if found is None or found.body is None:
            return None
        return await _person(conn, view, [found])


async def knows(hub: Hub, view: Viewer, systems: Collection[str]) -> set[str]:
    """Of these systems those in which a record that the asker sees has a number."""
    known = set()
    async with hub.engine.searches.acquire() as conn:
        for system in sorted(systems):
            page = await search.search(conn, hub.engine, view, _asked(system, ""), limit=MOST)
            if any(system in {each for each, _ in numbers(one)} for one in page.versions):
                known.add(system)
    return known


def numbers(version: Version) -> set[tuple[str, str]]:
    """System and value of each identifier, of what is shown of the record."""
    return {(each["system"], each["value"]) for each in _identifiers(version)}


async def _person(conn: Connection, view: Viewer, found: Sequence[Version]) -> Person:
    same = await persons.together(conn, [each.rid for each in found])
    beside = await persons.beside(conn, view, [each.id for each in found])
    others = await resources.read_names(
        conn, view, sorted({("Patient", each) for ids in beside.values() for each in ids})
    )
    records = {each.rid: each for each in (*found, *others.values()) if each.body is not None}
    current = [each for each in records.values() if not merges.is_replaced(parties.document(each))]
    told = [Reference(each, _identifiers(each)) for each in sorted(current, key=_rid)]
    return Person(told, len(set(same.values())) <= 1)


def _asked(system: str, value: str) -> Query:
    return parse_query("Patient", [("identifier", f"{_escaped(system)}|{_escaped(value)}")])


def _escaped(text: str) -> str:
    """As a value of a search: what has a meaning there is meant as itself."""
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _identifiers(version: Version) -> list[dict[str, Any]]:
    stated = parties.document(version).get("identifier")
    return [
        each
        for each in (stated if isinstance(stated, list) else ())
        if isinstance(each, dict)
        and isinstance(each.get("system"), str)
        and isinstance(each.get("value"), str)
    ]


def _rid(version: Version) -> int:
    return version.rid
