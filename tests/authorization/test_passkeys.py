"""People sign in by passkeys: what was made here, used here, by who it was made for, once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from authenticator import UP, Authenticator, raw, text
from open_app import PASSWORD, account
from open_door import OPERATOR
from open_hub import House
from window import ORIGIN, RP, Opens, windows

from coordhub.access import passkeys
from coordhub.access.passkeys import Place
from coordhub.admin import people

__all__ = ["windows"]


async def test_given_a_passkey_when_made_used_and_removed_then_it_lets_in_as_long_as_it_is_there(
    house: House, windows: Opens
) -> None:
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    window, phone, tablet = windows(), Authenticator(ORIGIN, RP, uses=1), Authenticator(ORIGIN, RP)
    await window.signs_in(ana)
    for one in (phone, tablet):
        assert (await window.adds(one)).headers["location"] == "/portal/you"
    page = await window.opens("/portal/you")
    assert page.text.count("<strong>Phone</strong>") == 2
    assert "script-src 'self'; connect-src 'self'" in page.headers["content-security-policy"]

    other = windows()
    for one in (phone, tablet, tablet):
        other = windows()
        one.uses += one is phone
        assert await other.enters(one) == 303
        assert await other.is_in()
    assert await windows().enters(phone) == 401, "it has not counted on: there are two of it"

    house.clock.ahead += timedelta(minutes=11)
    page = await other.opens("/portal/you")
    assert "sign out and in again" in page.text
    assert (await other.adds(Authenticator(ORIGIN, RP))).status_code == 403, "it was left open"
    # What another has is nobody's to remove
    bea = await account(house, "bea@food.example", house.pantry.rid)
    stranger = windows()
    await stranger.signs_in(bea)
    await stranger.opens("/portal/you")
    await stranger.sends("/portal/you/remove", passkey=phone.id.hex())
    assert (await stranger.adds(phone)).status_code == 422, "it is somebody's"
    await other.opens("/portal/you")
    assert (await other.sends("/portal/you/remove", passkey=phone.id.hex())).status_code == 303
    phone.uses += 1
    assert await windows().enters(phone) == 401
    assert await windows().enters(tablet) == 303

    await people.deactivate(house.engine, OPERATOR, ana.email, house.clock())
    assert await windows().enters(tablet) == 401
    await people.reset(house.engine, OPERATOR, ana.email, house.clock())
    assert await windows().enters(tablet) == 401
    said = await house.rows(
        "select interaction, count(*) from audit where client = $1 group by 1", f"person:{ana.id}"
    )
    assert dict(said) == {
        "signed-in": 5, "passkey-added": 2, "passkey-removed": 1, "unauthenticated": 2,
    }  # fmt: skip


async def test_given_a_first_day_when_begun_by_a_passkey_then_no_password_is_left_and_the_last_way_in_stays(
    house: House, windows: Opens
) -> None:
    first = await people.add(
        house.engine, OPERATOR, house.pantry.reference, "pat@food.example", "Pat", ["admin"],
        house.clock(),
    )  # fmt: skip
    window, key = windows(), Authenticator(ORIGIN, RP)
    form = {"email": "pat@food.example", "password": first, "code": ""}
    assert (await window.http.post("/portal/sign-in", data=form)).status_code == 303
    await window.opens("/portal/set-up")
    shown = window.page
    wrong = Authenticator("https://hub.example.evil", RP)
    options = (await window.sends("/portal/you/passkey")).json()
    window.page = shown
    refused = await window.sends("/portal/you/passkeys", credential=wrong.makes(options))
    assert (refused.status_code, "No passkey was added" in refused.text) == (422, True)
    options = (await window.sends("/portal/you/passkey")).json()
    window.page = shown
    assert (
        await window.sends("/portal/you/passkeys", credential=key.makes(options))
    ).status_code == 303
    assert await window.is_in()
    for password in (first, PASSWORD, ""):
        again = await windows().http.post("/portal/sign-in", data={**form, "password": password})
        assert again.status_code == 401
    assert await windows().enters(key) == 303
    await window.opens("/portal/you")
    kept = await window.sends("/portal/you/remove", passkey=key.id.hex())
    assert (kept.status_code, "only way in" in kept.text) == (409, True)
    assert await windows().enters(key) == 303


def _with(**changed: Any) -> Callable[[Authenticator, dict[str, Any]], str]:
    def lies(one: Authenticator, options: dict[str, Any]) -> str:
        return dataclasses.replace(one, **changed).uses_it(options)

    return lies


def _altered(**changed: Any) -> Callable[[Authenticator, dict[str, Any]], str]:
    """What was signed is not what is sent."""

    def lies(one: Authenticator, options: dict[str, Any]) -> str:
        said = json.loads(one.uses_it(options))
        for name, change in changed.items():
            said["response"][name] = text(change(raw(said["response"][name])))
        return json.dumps(said)

    return lies


USED: list[tuple[str, Callable[[Authenticator, dict[str, Any]], str]]] = [
    ("other origin", _with(origin="https://hub.example.evil")),
    ("by http", _with(origin="http://hub.example")),
    ("other port", _with(origin="https://hub.example:8443")),
    ("part of the domain", _with(origin="https://www.hub.example")),
    ("other RP", _with(rp="evil.example")),
    ("in a frame", _with(client={"crossOrigin": True})),
    ("in a frame of", _with(client={"topOrigin": "https://evil.example"})),
    ("not verified", _with(flags=UP)),
    ("nobody there", _with(flags=0)),
    ("made, not used", _with(client={"type": "webauthn.create"})),
    ("another challenge", _with(client={"challenge": text(b"x" * 32)})),
    ("no challenge", _with(client={"challenge": ""})),
    ("another key", _with(key=Authenticator(ORIGIN, RP).key)),
    ("nobody's", _with(id=b"nobody")),
    ("no person", _with(person=b"")),
    ("another person", _with(person=b"f" * 32)),
    ("flags after", _altered(authenticatorData=lambda data: data[:32] + b"\x45" + data[33:])),
    ("counter after", _altered(authenticatorData=lambda data: data[:33] + b"\0\0\1\0")),
    ("cut", _altered(signature=lambda data: data[:-1])),
    ("no JSON", lambda one, options: one.uses_it(options)[:-5]),
    ("nothing", lambda one, options: ""),
    ("a list", lambda one, options: "[]"),
    ("deep", lambda one, options: "[" * 10_000),
]  # fmt: skip


async def test_given_an_answer_that_was_not_asked_for_when_shown_then_nobody_is_in_and_all_hear_the_same(
    house: House, windows: Opens
) -> None:
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    key, window = Authenticator(ORIGIN, RP), windows()
    await window.signs_in(ana)
    await window.adds(key)
    heard = set()
    for name, lies in USED:
        other = windows()
        form = {"credential": lies(key, await other.asked())}
        page = await other.http.post("/portal/sign-in/with-passkey", data=form)
        assert (page.status_code, await other.is_in()) == (401, False), name
        heard.add(page.text)
    assert len(heard) == 1
    # A challenge is of one browser, answered once, within minutes
    mine, theirs = windows(), windows()
    answer = key.uses_it(await mine.asked())
    assert await theirs.shows(answer) == 401
    await theirs.asked()
    assert await theirs.shows(answer) == 401, "it was asked of another"
    assert await mine.shows(answer) == 303
    assert await mine.shows(answer) == 401, "once"
    late = key.uses_it(await mine.asked())
    house.clock.ahead += timedelta(minutes=3)
    assert await mine.shows(late) == 401
    # A wrong answer uses it up, too
    answer = key.uses_it(await mine.asked())
    assert await mine.shows("{}") == 401
    assert await mine.shows(answer) == 401


def test_given_an_answer_that_is_broken_when_read_then_it_is_none_and_no_fault_of_ours() -> None:
    chance, place, key = Random(7), Place(RP, ORIGIN), Authenticator(ORIGIN, RP, person=b"ana")
    options = {"challenge": text(b"x" * 32), "userVerification": "required"}
    good = key.uses_it(options)
    made = passkeys.made(place, b"x" * 32, key.makes(_making(options)))
    assert made is not None
    assert made.id == key.id
    one = passkeys.shown(good)
    assert one is not None
    assert passkeys.uses_of(place, b"x" * 32, one, made.key, 0) == 0
    for _ in range(300):
        at = chance.randrange(len(good))
        broken = good[:at] + chance.choice('"{}[],:Aa0_-\0é') + good[at + chance.randrange(3) :]
        found = passkeys.shown(broken)
        if found is not None and (found.person, found.id) != (one.person, one.id):
            assert passkeys.uses_of(place, b"y" * 32, found, made.key, 0) is None
        elif found is not None:
            assert passkeys.uses_of(place, b"x" * 32, found, made.key, 0) in (0, None)
        passkeys.made(place, b"x" * 32, broken)


def _making(options: dict[str, Any]) -> dict[str, Any]:
    chosen = {"userVerification": "required", "residentKey": "required"}
    user = {"id": text(b"ana")}
    return {**options, "rp": {"id": RP}, "user": user, "authenticatorSelection": chosen}


async def test_given_a_page_that_is_not_ours_when_it_has_one_made_then_none_is(
    house: House, windows: Opens
) -> None:
    ana = await account(house, "ana@clinic.example", house.clinic.rid)
    window, key = windows(), Authenticator(ORIGIN, RP)
    await window.signs_in(ana)
    page = await window.opens("/portal/you")
    for seal in ("", "0" * 32):
        for path in ("/portal/you/passkey", "/portal/you/passkeys", "/portal/you/remove"):
            assert (await window.http.post(path, data={"seal": seal})).status_code == 404
    wrong = [
        dataclasses.replace(key, **changed)
        for changed in (
            {"origin": "https://evil.example"},
            {"flags": UP},
            {"flags": 0},
            {"client": {"crossOrigin": True}},
            {"client": {"challenge": text(b"x" * 32)}},
            {"client": {"type": "webauthn.get"}},
            {"id": b""},
        )
    ]
    for one in wrong:
        assert (await window.adds(one)).status_code == 422, one
    window.page = page
    options = (await window.sends("/portal/you/passkey")).json()
    house.clock.ahead += timedelta(minutes=4)
    window.page = page
    late = await window.sends("/portal/you/passkeys", credential=key.makes(options))
    assert late.status_code == 422
    other = windows()
    house.clock.ahead += timedelta(seconds=30)
    await other.signs_in(ana)
    await other.opens("/portal/you")
    unasked = await other.sends("/portal/you/passkeys", credential=key.makes(options))
    assert unasked.status_code == 422, "it was asked of another session"
    assert await house.value("select count(*) from person_passkey") == 0


@pytest.mark.parametrize(
    ("base", "place"),
    [
        ("https://hub.example/fhir", Place("hub.example", "https://hub.example")),
        ("https://Hub.example:8443/a/fhir", Place("hub.example", "https://hub.example:8443")),
        ("http://localhost:8000/fhir", Place("localhost", "http://localhost:8000")),
        ("http://hub.example/fhir", None),
        ("http://127.0.0.1:8000/fhir", None),
        ("https://192.0.2.7/fhir", None),
        ("https://[2001:db8::1]/fhir", None),
    ],
)
def test_given_the_address_of_a_hub_when_looked_at_then_browsers_have_passkeys_for_it_or_not(
    base: str, place: Place | None
) -> None:
    assert Place.of(base) == place
