"""Every page of every desk, as its people see it: on a telephone and a desk, in both languages, by keys alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
from importlib.resources import files

import httpx2
import scene
from browser import Browser, joins
from every_page import PAGES, WITH_IDS

from coordhub.portal import board, language
from coordhub.record import errands
from coordhub.referral import task_machine as machine
from coordhub.referral.episode import BUSINESS_STATUSES

ONLY = os.environ.get("COORDHUB_PAGES", "")
"""Of which pages alone, by a part of their path; empty: of all."""

MISSING = ("nowhere", "explore?path=Patient/nobody")
RAW = re.compile(r"SDOHCC|\burn:|[\[{]\"|\b(null|undefined|True|False)\b")
IDS = re.compile(r"https?://|[0-9a-f]{8}-[0-9a-f]{4}-")
CODES = {
    one
    for each in (machine.REASONS, BUSINESS_STATUSES, board.LIMITS, errands.KINDS, scene.FAMILY)
    for one in (*each, "in-progress", "on-hold", "entered-in-error", "food-insecurity")
    if "-" in one
} - {"re-confirm"}
TOKEN = re.compile(r"[\w-]+")


def _said() -> dict[str, str]:
    """English -> Spanish, where these differ; each language calls itself by its own name."""
    parts = files("coordhub.portal").joinpath("messages", "es").iterdir()
    told = [json.loads(one.read_text("utf-8")) for one in parts if one.name.endswith(".json")]
    own = language.LANGUAGES.values()
    differ = {en: es for each in told for en, es in each.items() if en != es and en not in own}
    return differ | {"None": ""}


async def test_given_every_page_when_opened_by_whose_it_is_then_it_fits_and_reads_and_is_reached_by_keys(
    house, clock, windows
):
    async with httpx2.AsyncClient(
        base_url=str(house.http.base_url), follow_redirects=True, timeout=30
    ) as http:
        chris = Browser(http, clock)
        await chris.sets_up(
            "chris@riverside.example.org",
            await joins(house, house.riverside, "chris@riverside.example.org", "coordinator"),
        )
        known = await scene.played(house, chris)
    found = [
        fault
        for (member, role), paths in PAGES.items()
        if (chosen := [one for one in paths if ONLY in one])
        for fault in await _desk(house, clock, windows, member, role, chosen, known)
    ]
    assert not found, "\n".join(found)


async def _desk(house, clock, windows, member, role, paths, known) -> list[str]:
    """What there is against these pages of somebody of this role, who signs in once."""
    email = f"{role}@{member}.example.org"
    async with httpx2.AsyncClient(
        base_url=str(house.http.base_url), follow_redirects=True, timeout=30
    ) as http:
        await Browser(http, clock).sets_up(
            email, await joins(house, getattr(house, member), email, role)
        )
        cookie = {
            "name": "coordhub_session", "value": http.cookies["coordhub_session"],
            "domain": "127.0.0.1", "path": "/portal",
        }  # fmt: skip
    people = [await windows("en"), await windows("es")]
    for one in people:
        await one.context.add_cookies([cookie])
        one.name = f"{role}-of-{member}"
    return [
        fault
        for path in paths
        for each in await asyncio.gather(*(_page(one, path, known) for one in people))
        for fault in each
    ]


async def _page(person, path, known) -> list[str]:
    status = await person.opens(f"/portal/{path.format(**known)}")
    faults = [] if status == (404 if path in MISSING else 200) else [f"it is answered {status}"]
    what = re.sub(r"\W+", "-", path).strip("-")
    pieces = await person.pieces()
    faults += _words(pieces, ids=path.startswith(WITH_IDS))
    if person.tag == "en":
        faults += await person.unreached()
    else:
        said = _said()
        faults += [f"it is left in English: {one}" for one in pieces if one in said]
        await person.unfolds()
    faults += await person.faults(what)
    faults += [f"console: {one}" for one in person.complaints]
    person.complaints.clear()
    return [f"{person.name} {person.tag} {path}: {one}" for one in faults]


def _words(pieces, ids) -> list[str]:
    """What is no word for a person."""
    faults = []
    for one in pieces:
        if (raw := RAW.search(one)) or (not ids and (raw := IDS.search(one))):
            faults.append(f"raw: {one[max(0, raw.start() - 20) :][:80]}")
        faults += [f"a bare code: {each}" for each in TOKEN.findall(one) if each in CODES]
    return faults
