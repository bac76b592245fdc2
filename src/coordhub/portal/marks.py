"""The room of marks that are to be taken away from victim service providers: a second person confirms, or refuses.

34 USC 12291(b)(2)

It is there for the privacy officers of whoever runs the hub, and for those of the provider itself; for all others there
is no such page. It is proposed by a command of the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.access import viewer
from coordhub.portal import answering, consented, forms, guests, officer
from coordhub.portal.guests import Guest
from coordhub.portal.officer import Parts
from coordhub.record import vsp_acts
from coordhub.record.label_acts import Act
from coordhub.record.vsp_acts import CannotMarkError
from coordhub.store import resources

LACKS: Final = "Say why."
OVER: Final = (
    "This is so no longer: look at it as it is now. Who has proposed it cannot confirm it."
)


@dataclass(frozen=True, slots=True)
class Removal:
    """organization: id; name: its. by, reason, at: of who proposed it. own: the person who looks has."""

    organization: str
    name: str
    by: str
    reason: str
    at: datetime
    own: bool

    @property
    def until(self) -> datetime:
        return self.at + vsp_acts.WAIT


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/marks", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        return await _page(request, guest, await officer.parts(request, guest))

    @app.post("/portal/marks", include_in_schema=False)
    async def decided(request: Request) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "privacy")
        if isinstance(guest, Response):
            return guest
        parts = await officer.parts(request, guest)
        if not parts.marks or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _decide(request, guest, parts, form)


async def _removals(request: Request, guest: Guest, parts: Parts) -> list[Removal]:
    view = viewer.as_organization(guest.own.rid)
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        rids = [one.organization for one in parts.pending]
        known = await resources.read_rids(conn, view, rids)
    return [
        Removal(
            known[one.organization].id, consented.title(known[one.organization]), one.account,
            one.reason, one.at, vsp_acts.is_same(one.account, _names(guest)),
        )
        for one in parts.pending
        if one.organization in known
    ]  # fmt: skip


def _names(guest: Guest) -> tuple[str, ...]:
    """All by which this person may have proposed it, by a command as well."""
    person = guest.session.person
    return answering.PERSON + person.id, person.name, person.email


async def _page(
    request: Request, guest: Guest, parts: Parts, refused: tuple[str, ...] = (), status: int = 200
) -> Response:
    if not parts.marks:
        return guests.room(request, guest, "missing", 404)
    removals = await _removals(request, guest, parts)
    await guests.noted(request, guest.session.person, "vsp-removals", 200)
    return guests.room(
        request, guest, "marks", status, here="privacy", parts=parts, removals=removals,
        refused=refused, longest=answering.LONGEST, **await guests.times(request, guest),
    )  # fmt: skip


async def _decide(request: Request, guest: Guest, parts: Parts, form: dict[str, str]) -> Response:
    steps = {"confirm": vsp_acts.confirm_release, "refuse": vsp_acts.refuse_release}
    step = steps.get(form.get("act", ""))
    removals = await _removals(request, guest, parts)
    one = next((one for one in removals if one.organization == form.get("organization")), None)
    if step is None or one is None:
        return await _page(request, guest, parts, (OVER,), 409)
    reason = form.get("words", "").strip()[: answering.LONGEST]
    if not reason:
        return await _page(request, guest, parts, (LACKS,), 422)
    by, *others = _names(guest)
    try:
        await step(
            guests.context_of(request).hub, Act(by, reason), f"Organization/{one.organization}",
            also_known_as=others,
        )  # fmt: skip
    except CannotMarkError:
        return await _page(request, guest, await officer.parts(request, guest), (OVER,), 409)
    return guests.go(request, "/privacy")
