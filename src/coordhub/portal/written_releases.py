"""The rooms of a victim service provider's written releases: what is told to whom, a new one, its withdrawal.

34 USC 12291(b)(2)

For its program staff, who hear the person, and its privacy officers; for all others there is no such page.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.errors import FhirError
from coordhub.portal import desks, forms, guests, leave, officer, released
from coordhub.portal.guests import Guest
from coordhub.portal.released import Asked
from coordhub.store import vsp

_DAY: Final = re.compile(r"2[0-9]{3}-[01][0-9]-[0-3][0-9]")

LACKS: Final = {
    "day": "Say until which day.",
    "signed": "Say that the person has signed the release.",
    "how": "Choose how the person has taken it back.",
    "over": "This is so no longer: look at it as it is now.",
}


def add(app: FastAPI) -> None:
    """Hang these rooms."""

    @app.get("/portal/written-releases", include_in_schema=False)
    async def every(request: Request) -> Response:
        guest = await _at(request)
        if isinstance(guest, Response):
            return guest
        hub = guests.context_of(request).hub
        async with hub.engine.pool.acquire() as conn:
            found = await released.every(hub, conn, guest.own.rid)
        await guests.looked(
            request, guest, "search-type", None, tuple(one.task.rid for one in found)
        )
        return guests.room(
            request, guest, "written_releases", 200, here=_here(guest), found=found,
            parts=await officer.parts(request, guest) if _here(guest) == "privacy" else None,
            days=hub.safeguards.longest_release.days, most=released.MOST,
            **await guests.times(request, guest),
        )  # fmt: skip

    @app.get("/portal/written-releases/{fhir_id}", include_in_schema=False)
    async def one(request: Request, fhir_id: str) -> Response:
        guest = await _at(request)
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, await _found(request, guest, fhir_id))

    @app.post("/portal/written-releases/{fhir_id}", include_in_schema=False)
    async def done(request: Request, fhir_id: str) -> Response:
        form = await forms.fields(request)
        guest = await _at(request)
        if isinstance(guest, Response):
            return guest
        asked = await _found(request, guest, fhir_id)
        if asked is None or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _act(request, guest, asked, form)


async def _at(request: Request) -> Guest | Response:
    """Who hears persons, or answers for their records, at a victim service provider."""
    guest = await guests.staff(request)
    if guest is None:
        return guests.go(request, "/sign-in")
    if not await is_apart(request, guest) or not _here(guest):
        return guests.room(request, guest, "missing", 404)
    return guest


async def is_apart(request: Request, guest: Guest) -> bool:
    """Whether its organization is marked as a victim service provider."""
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        return guest.own.rid in await vsp.marked(conn)


def _here(guest: Guest) -> str:
    """The desk at which the guest works on it; "": at none."""
    has = desks.of(guest.session.person.roles)
    return next((one for one in ("worklist", "privacy") if one in has), "")


async def _found(request: Request, guest: Guest, fhir_id: str) -> Asked | None:
    if not leave.ID.fullmatch(fhir_id):
        return None
    hub = guests.context_of(request).hub
    async with hub.engine.pool.acquire() as conn:
        return await released.one_of(hub, conn, guest.own.rid, fhir_id)


async def _page(
    request: Request,
    guest: Guest,
    asked: Asked | None,
    refused: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    if asked is None:
        return guests.room(request, guest, "missing", 404)
    hub = guests.context_of(request).hub
    await guests.looked(request, guest, "read", asked.id, (asked.task.rid,))
    today = hub.clock().astimezone(hub.zone or UTC).date()
    last = today + hub.safeguards.longest_release - timedelta(days=1)
    return guests.room(
        request, guest, "written_release", status, here=_here(guest), asked=asked, refused=refused,
        ways=list(released.SAID.items()), first=today.isoformat(), last=last.isoformat(),
        days=hub.safeguards.longest_release.days,
        action=f"{guests.home(request)}/written-releases/{asked.id}",
        **await guests.times(request, guest),
    )  # fmt: skip


async def _act(request: Request, guest: Guest, asked: Asked, form: dict[str, str]) -> Response:
    hub = guests.context_of(request).hub
    caller = released.caller(guest, request.state.request_id)
    lacking = _lacks(asked, form)
    if lacking is not None:
        status = 409 if lacking == LACKS["over"] else 422
        return await _page(request, guest, asked, (lacking,), status)
    try:
        if form.get("act") == "release":
            await released.release(hub, caller, asked, form["until"])
        elif asked.holds is not None:
            await released.withdraw(hub, caller, asked.holds, released.SAID[form["reason"]])
    except FhirError as error:
        return await _page(request, guest, asked, guests.refused(error), error.status)
    return guests.go(request, f"/written-releases/{asked.id}")


def _lacks(asked: Asked, form: dict[str, str]) -> str | None:
    """What has to be said before this can be."""
    act = form.get("act")
    if act not in ("release", "withdraw") or (act == "release") is (asked.holds is not None):
        return LACKS["over"]
    if act == "withdraw":
        return None if form.get("reason") in released.SAID else LACKS["how"]
    if not _DAY.fullmatch(form.get("until", "")):
        return LACKS["day"]
    return None if form.get("signed") == "on" else LACKS["signed"]
