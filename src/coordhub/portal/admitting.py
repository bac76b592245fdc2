"""The admin's room: who works for its organization here, as what, and by what it signs in.

https://www.rfc-editor.org/rfc/rfc9110, https://pages.nist.gov/800-63-4/sp800-63b.html#sec4

It does what `coordhub people` does, by the same functions, within its own organization: nobody of another is there. A
first password is shown once, in answer to what made it, and is on no page again.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI, Request, Response

from coordhub.admin import people
from coordhub.admin.acts import NothingDone, NotKnown, Operator
from coordhub.portal import answering, forms, guests
from coordhub.portal.guests import Guest
from coordhub.store import accounts, passkeys
from coordhub.store.accounts import Person

TITLES: Final = {
    "program-staff": "Program staff",
    "coordinator": "Coordinator",
    "clinician": "Clinician",
    "privacy-officer": "Privacy officer",
    "integration-engineer": "Integration engineer",
    "admin": "Admin",
}
NO_ROLE: Final = "Choose at least one thing that the person does."
UNFIT: Final = "Give a name and an e-mail address. An address that has an account already cannot be given again."
UNDONE: Final = "This is so no longer: look at the page as it is now."

_ID: Final = re.compile(r"[0-9a-f-]{32,36}")
_LONGEST: Final = 200


def add(app: FastAPI) -> None:
    """Hang this room."""

    @app.get("/portal/people", include_in_schema=False)
    async def listed(request: Request) -> Response:
        guest = await guests.at(request, "people")
        return guest if isinstance(guest, Response) else await _list(request, guest)

    @app.post("/portal/people", include_in_schema=False)
    async def added(request: Request) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "people")
        if isinstance(guest, Response):
            return guest
        if form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _add(request, guest, form)

    @app.get("/portal/people/{person}", include_in_schema=False)
    async def shown(request: Request, person: str) -> Response:
        guest = await guests.at(request, "people")
        if isinstance(guest, Response):
            return guest
        one = await _one(request, guest, person)
        if one is None:
            return guests.room(request, guest, "missing", 404)
        return await _page(request, guest, one)

    @app.post("/portal/people/{person}", include_in_schema=False)
    async def changed(request: Request, person: str) -> Response:
        form = await forms.fields(request)
        guest = await guests.at(request, "people")
        if isinstance(guest, Response):
            return guest
        one = await _one(request, guest, person)
        if one is None or form is None or form.get("seal") != guest.session.seal:
            return guests.room(request, guest, "missing", 404)
        return await _change(request, guest, one, form)


async def _one(request: Request, guest: Guest, person: str) -> Person | None:
    if not _ID.fullmatch(person):
        return None
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        return await accounts.one_of(conn, guest.own.rid, person)


async def _list(
    request: Request,
    guest: Guest,
    trouble: str | None = None,
    status: int = 200,
    form: dict[str, str] | None = None,
) -> Response:
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        everyone = await accounts.of(conn, guest.own.rid)
    everyone.sort(key=lambda one: (not one.active, one.name.casefold(), one.email))
    if trouble is None:
        await guests.noted(request, guest.session.person, "people", 200)
    return guests.room(
        request, guest, "people", status, here="people", everyone=everyone, trouble=trouble,
        titles=TITLES, does=people.ROLES, form=form or {}, state=_state,
    )  # fmt: skip


def _state(one: Person) -> str:
    if not one.active:
        return "May not come in"
    return "Comes in" if one.password_until is None else "Has not come yet"


async def _page(
    request: Request,
    guest: Guest,
    one: Person,
    trouble: str | None = None,
    status: int = 200,
    password: str | None = None,
) -> Response:
    async with guests.context_of(request).hub.engine.pool.acquire() as conn:
        keys = await passkeys.of(conn, one.id)
    return guests.room(
        request, guest, "person", status, here="people", one=one, keys=keys, trouble=trouble,
        password=password, titles=TITLES, does=people.ROLES, state=_state(one),
        **await guests.times(request, guest),
    )  # fmt: skip


async def _add(request: Request, guest: Guest, form: dict[str, str]) -> Response:
    engine, now = guests.context_of(request).hub.engine, guests.context_of(request).hub.clock()
    email, name = form.get("email", "")[:320], form.get("name", "")[:_LONGEST]
    roles = _roles(form)
    if not roles:
        return await _list(request, guest, NO_ROLE, 422, form)
    if not (email + name).isprintable():
        return await _list(request, guest, UNFIT, 422, form)
    try:
        password = await people.add(
            engine, _by(guest), guest.own.reference, email, name, roles, now
        )
    except NothingDone:
        return await _list(request, guest, UNFIT, 422, form)
    async with engine.pool.acquire() as conn:
        found = await accounts.by_email(conn, people.as_kept(email))
    assert found is not None
    return await _page(request, guest, found[0], password=password)


async def _change(request: Request, guest: Guest, one: Person, form: dict[str, str]) -> Response:
    engine, now = guests.context_of(request).hub.engine, guests.context_of(request).hub.clock()
    by, within, password = _by(guest), guest.own.rid, None
    try:
        match form.get("act"):
            case "roles":
                if not (roles := _roles(form)):
                    return await _page(request, guest, one, NO_ROLE, 422)
                await people.take_on(engine, by, one.email, roles, now, within)
            case "reset":
                password = await people.reset(engine, by, one.email, now, within)
            case "passkeys":
                await people.remove_passkeys(engine, by, one.email, now, within)
            case "end":
                await people.deactivate(engine, by, one.email, now, within)
            case _:
                return guests.room(request, guest, "missing", 404)
    except NotKnown:
        return guests.room(request, guest, "missing", 404)
    except NothingDone as error:
        said = people.LAST_ADMIN if str(error) == people.LAST_ADMIN else UNDONE
        return await _page(request, guest, one, said, 409)
    if password is None:
        return guests.go(request, f"/people/{one.id}")
    changed = await _one(request, guest, one.id)
    return await _page(request, guest, changed or one, password=password)


def _roles(form: dict[str, str]) -> list[str]:
    return [role for role in TITLES if form.get(f"role-{role}") == "on"]


def _by(guest: Guest) -> Operator:
    return Operator(answering.PERSON + guest.session.person.id)
