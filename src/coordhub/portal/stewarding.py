"""The room of who keeps the directory: notes on services to look after, and services that two feeds tell of.

https://www.rfc-editor.org/rfc/rfc9110, docs/directory.md

It is there for admins of whoever runs the hub, or is the directory's steward; for all others there is no such page.
What is decided is what the commands decide (record.twins, record.service_notes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.directory import finding
from coordhub.portal import answering, community, forms, guests, offering, patients, remarks
from coordhub.portal.guests import Guest
from coordhub.portal.occurrences import Wall
from coordhub.portal.offering import Sheet
from coordhub.record import service_notes, twins
from coordhub.record.hub import Hub
from coordhub.referral.matching import Wanted

MOST: Final = 50
"""Pairs of a page."""

BECAUSE: Final = {
    "name": "the same name",
    "name-alike": "names that are alike",
    "organization": "organizations of the same name",
    "organization-alike": "organizations whose names are alike",
    "phone": "the same telephone",
    "address": "the same address",
    "near": "places next to each other",
    "kind": "the same kind of service",
    "steward": "a steward said so",
}
OVER: Final = (
    "This was decided meanwhile, or cannot be: one of these is merged with another already."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """kept: the one that stays, or would. state: proposed or merged. because: what both say, in English."""

    kept: Sheet
    other: Sheet
    state: str
    because: tuple[str, ...]


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/community/steward", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "community")
        return guest if isinstance(guest, Response) else await _page(request, guest)

    @app.post("/portal/community/steward", include_in_schema=False)
    async def decided(request: Request) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "community")
        if isinstance(guest, Response):
            return guest
        if (
            not community.keeps(guest)
            or form is None
            or form.get("seal") != guest.session.seal
            or form.get("act") not in ("merged", "apart", "corrected", "nothing")
        ):
            return guests.room(request, guest, "missing", 404)
        return await _decide(request, guest, form)


async def _page(
    request: Request, guest: Guest, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    if not community.keeps(guest):
        return guests.room(request, guest, "missing", 404)
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        wall = await patients.wall_of(request, guest, conn)
        notes = await remarks.waiting(hub, conn, guest.own.rid, wall)
    pairs = await _pairs(hub, wall)
    rids = {one.rid for one in notes} | {s.rid for one in pairs for s in (one.kept, one.other)}
    await guests.looked(request, guest, "search-type", None, tuple(sorted(rids)), community.SERVICE)
    return guests.room(
        request, guest, "steward", status, here="community", tab="community/steward",
        tabs=community.tabs(guest), refused=refused, notes=notes,
        waiting=[one for one in pairs if one.state == "proposed"][:MOST],
        merged=[one for one in pairs if one.state == "merged"][:MOST],
    )  # fmt: skip


async def _pairs(hub: Hub, wall: Wall) -> list[Pair]:
    """Whose entries are there; none of a victim service provider's is."""
    found = await twins.listed(hub, ["proposed", "merged"])
    rids = sorted({rid for pair, *_ in found for rid in (pair.kept, pair.other)})
    anything = Wanted(kinds=frozenset(), now=wall.now)
    async with hub.engine.pool.acquire() as conn:
        entries = await finding.listed(conn, rids, anything, hub.zone) if rids else []
        sheets = await offering.sheets(conn, [one for one, _ in entries], wall)
    return [
        Pair(
            sheets[pair.kept], sheets[pair.other], pair.state,
            tuple(BECAUSE[one] for one in pair.because.split() if one in BECAUSE),
        )
        for pair, *_ in found
        if pair.kept in sheets and pair.other in sheets
    ]  # fmt: skip


async def _decide(request: Request, guest: Guest, form: dict[str, str]) -> Response:
    hub, act = guests.context_of(request).hub, form["act"]
    by = answering.PERSON + guest.session.person.id
    if act in ("corrected", "nothing"):
        async with hub.engine.pool.acquire() as conn:
            view = viewer.as_organization(guest.own.rid)
            done = await service_notes.settle(
                hub, conn, view, form.get("note", ""), corrected=act == "corrected"
            )
    else:
        one, other = (f"HealthcareService/{form.get(name, '')}" for name in ("kept", "other"))
        try:
            await twins.decide(hub, one, other, act, by)
            done = True
        except twins.CannotMergeError:
            done = False
    await guests.noted(request, guest.session.person, f"directory-{act}", 200 if done else 409)
    if not done:
        return await _page(request, guest, (OVER,), 409)
    return guests.go(request, "/community/steward")
