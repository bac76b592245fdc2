"""An admin says on pages who works for its organization: for its own, never without an admin, and nobody else does."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from authenticator import Authenticator
from open_app import account
from open_door import OPERATOR
from open_hub import House, patient
from window import ORIGIN, RP, Opens, windows

from coordhub.admin import people

__all__ = ["windows"]


def _first(page: str) -> str:
    [password] = re.findall(r"<code>([^<]+)</code>", page)
    return str(password)


async def _audited(house: House, act: str) -> list[str]:
    rows = await house.rows("select query from audit where interaction = $1", act)
    return [row[0] for row in rows]


async def test_given_an_admin_when_it_says_who_works_here_then_it_is_so_within_its_organization(
    house: House, windows: Opens
) -> None:
    ann = await account(house, "ann@clinic.example", house.clinic.rid, "admin")
    window = windows()
    await window.signs_in(ann)
    assert (await window.opens("/portal/people")).status_code == 200
    said = {"name": "Bo Clerk", "email": "Bo@Clinic.example"}
    assert (await window.sends("/portal/people", **said)).status_code == 422, "no role"
    await window.opens("/portal/people")
    page = await window.sends("/portal/people", **said, **{"role-coordinator": "on"})
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    first = _first(page.text)
    await window.opens("/portal/people")
    assert first not in window.page.text
    assert "Has not come yet" in window.page.text
    [path] = re.findall(r'href="(/portal/people/[0-9a-f]{32})">Bo Clerk', window.page.text)
    assert (await window.sends("/portal/people", **said, **{"role-admin": "on"})).status_code == 422
    form = {"email": "bo@clinic.example", "password": first, "code": ""}
    bo = windows()
    assert (await bo.http.post("/portal/sign-in", data=form)).status_code == 303
    await bo.opens("/portal/set-up")
    key, shown = Authenticator(ORIGIN, RP), bo.page
    options = (await bo.sends("/portal/you/passkey")).json()
    bo.page = shown
    await bo.sends("/portal/you/passkeys", credential=key.makes(options), name="Laptop")
    assert await bo.is_in()

    assert "Laptop" in (await window.opens(path)).text
    assert (await window.sends(path, act="passkeys")).status_code == 303
    assert not await bo.is_in()
    assert await windows().enters(key) == 401
    await window.opens(path)
    assert (await window.sends(path, act="passkeys")).status_code == 409, "none is left"
    await window.opens(path)
    assert _first((await window.sends(path, act="reset")).text) != first
    await window.opens(path)
    roles = {"role-clinician": "on", "role-admin": "on"}
    assert (await window.sends(path, act="roles", **roles)).status_code == 303
    found = await house.value("select roles from person where email = 'bo@clinic.example'")
    assert found == ["clinician", "admin"]
    await window.opens(path)
    assert (await window.sends(path, act="end")).status_code == 303
    assert "May not come in" in (await window.opens(path)).text

    # The last admin stays one
    own = f"/portal/people/{ann.id}"
    for fields in ({"act": "end"}, {"act": "roles", "role-clinician": "on"}):
        await window.opens(own)
        kept = await window.sends(own, **fields)
        assert (kept.status_code, "no admin" in kept.text) == (409, True), fields
    assert await window.is_in()
    for act in ("added", "reset", "roles", "passkeys-removed", "deactivated"):
        [row] = await _audited(house, f"person-{act}")
        assert f"by=person%3A{ann.id}" in row


async def test_given_who_is_not_its_own_or_no_admin_when_it_tries_then_nothing_is_there(
    house: House, windows: Opens
) -> None:
    ann = await account(house, "ann@clinic.example", house.clinic.rid, "admin")
    cleo = await account(house, "cleo@clinic.example", house.clinic.rid, "clinician")
    other = await account(house, "zed@food.example", house.pantry.rid, "admin")
    someone = await house.create(house.clinic, patient())
    ill = await account(house, "jane@home.example", someone.rid, "patient")
    window = windows()
    await window.signs_in(ann)
    await window.opens("/portal/people")
    shown = window.page
    assert shown is not None
    assert (shown.status_code, "cleo@clinic.example" in shown.text) == (200, True)
    assert "zed@food.example" not in shown.text
    assert "jane@home.example" not in shown.text
    unknown = "0" * 32
    heard = set()
    for person in (other.id, ill.id, unknown, "x"):
        told = await window.http.get(f"/portal/people/{person}")
        assert told.status_code == 404, person
        heard.add(told.text.replace(person, unknown))
        for act in ("roles", "reset", "passkeys", "end"):
            window.page = shown
            fields = {"act": act, "role-admin": "on"}
            assert (await window.sends(f"/portal/people/{person}", **fields)).status_code == 404
    engine, now = house.engine, house.clock()
    for within in (house.clinic.rid, someone.rid):
        for email in (other.email, ill.email, "nobody@clinic.example"):
            with pytest.raises(people.NotKnown):
                await people.reset(engine, OPERATOR, email, now, within)
    # Without the seal of this session, by a link, or by who is no admin
    mine = f"/portal/people/{cleo.id}"
    for seal in ("", "0" * 32):
        for path in (mine, "/portal/people"):
            forged = {
                "seal": seal,
                "act": "end",
                "role-admin": "on",
                "name": "X",
                "email": "x@x.xx",
            }
            assert (await window.http.post(path, data=forged)).status_code == 404
    assert (await window.http.get(f"{mine}?act=end")).status_code == 200
    clinician = windows()
    house.clock.ahead += timedelta(seconds=30)
    await clinician.signs_in(cleo)
    await clinician.opens("/portal/you")
    for path in ("/portal/people", mine, f"/portal/people/{ann.id}"):
        kept = clinician.page
        assert (await clinician.http.get(path)).status_code == 404
        told = await clinician.sends(path, act="roles", **{"role-admin": "on"})
        assert told.status_code == 404
        clinician.page = kept
    everyone = await house.rows("select email, roles, active from person order by email")
    assert [(row[0], list(row[1]), row[2]) for row in everyone] == [
        ("ann@clinic.example", ["admin"], True),
        ("cleo@clinic.example", ["clinician"], True),
        ("jane@home.example", ["patient"], True),
        ("zed@food.example", ["admin"], True),
    ]
