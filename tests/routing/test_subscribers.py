"""What a Subscription tells is bounded by the client that asked for it: its token then, its registration now."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import uuid4

import pytest
from open_desk import RESULTS, TASKS, Desk, events
from open_hub import observation, patient

from coordhub.access import scopes
from coordhub.record.operations import Delete
from coordhub.store import apps, clients
from coordhub.store.apps import Code, Permission

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LABORATORY = f"system/Observation.rs?category={CATEGORY}|laboratory"
OTHERS = "system/Subscription.cru system/DiagnosticReport.rs system/DocumentReference.rs"


def of_category(subject: str, code: str) -> dict[str, Any]:
    return observation(subject, category=[{"coding": [{"system": CATEGORY, "code": code}]}])


async def registered(desk: Desk, scope: str, *, active: bool = True) -> None:
    clinic, house = desk.house.clinic, desk.house
    async with house.engine.pool.acquire() as conn:
        await clients.register(
            conn, clinic.name, clinic.rid, scope, update_as_create=False, now=house.clock()
        )
        await clients.change(conn, clinic.name, active, None, None, None)


async def told(desk: Desk) -> list[tuple[int, bool]]:
    """Numbers of the events that come now, and whether they say of what."""
    before = len(desk.listener.bodies)
    await desk.follow()
    await desk.tell()
    return [
        (int(one["event-number"]), "focus" in one)
        for body in desk.listener.bodies[before:]
        for one in events(body)
    ]


async def test_given_a_granular_token_when_it_subscribed_then_only_what_fits_is_told_and_deleted(
    desk: Desk,
) -> None:
    house = desk.house
    caller = house.clinic.with_scopes(f"{OTHERS} {LABORATORY}")
    await house.create(caller, desk.wish(RESULTS, "full-resource"))
    await desk.tell()
    who = await house.create(house.clinic, patient())
    for code in ("vital-signs", "laboratory"):
        made = await house.create(house.clinic, of_category(who.reference, code))
        assert await told(desk) == ([(1, True)] if code == "laboratory" else [])
        sent = desk.listener.sent[-1]
        assert (b"laboratory" in sent, b"vital-signs" in sent) == (code == "laboratory", False)
        await house.commit(house.clinic, Delete("Observation", made.id))
        # whether what is gone fitted, cannot be asked any more: that it went was decided before
        assert await told(desk) == ([(2, False)] if code == "laboratory" else [])


async def test_given_a_registration_that_was_narrowed_or_ended_when_events_come_then_subscriptions_follow(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.clinic, RESULTS, "full-resource")
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, of_category(who.reference, "vital-signs"))
    await desk.follow()
    await registered(desk, LABORATORY)
    sent = len(desk.listener.sent)
    assert await told(desk) == [(1, False)], "at the moment it is told"
    await house.create(house.clinic, of_category(who.reference, "vital-signs"))
    assert await told(desk) == [], "at the moment it happens"
    await house.create(house.clinic, of_category(who.reference, "laboratory"))
    assert await told(desk) == [(2, True)]
    assert not any(b"vital-signs" in one for one in desk.listener.sent[sent:])
    await registered(desk, "system/*.cruds", active=False)
    await house.create(house.clinic, of_category(who.reference, "laboratory"))
    assert await told(desk) == []
    await registered(desk, "system/*.cruds")
    await house.create(house.clinic, of_category(who.reference, "vital-signs"))
    assert await told(desk) == [(3, True)]


async def test_given_another_client_that_asks_for_it_anew_when_told_then_bounded_by_that_one(
    desk: Desk,
) -> None:
    house = desk.house
    reference = await desk.subscribed(house.clinic, RESULTS, "full-resource")
    stored = {**await house.document(reference), "status": "requested"}
    caller = house.clinic.with_scopes(f"{OTHERS} {LABORATORY}")
    caller = dataclasses.replace(caller, client="second")
    async with house.engine.pool.acquire() as conn:
        await clients.register(
            conn, "second", house.clinic.rid, "system/*.cruds", update_as_create=False,
            now=house.clock(),
        )  # fmt: skip
    await house.update(caller, stored["id"], stored)
    await desk.tell()
    who = await house.create(house.clinic, patient())
    await house.create(house.clinic, of_category(who.reference, "vital-signs"))
    assert await told(desk) == []


@pytest.mark.parametrize("is_ended", [False, True])
async def test_given_an_app_that_a_person_let_in_when_that_is_taken_back_then_it_is_told_no_more(
    desk: Desk, is_ended: bool
) -> None:
    house, app = desk.house, f"app-{is_ended}"
    words = "user/Subscription.c user/Task.rs"
    async with house.engine.transaction() as conn:
        await clients.register(
            conn, app, house.clinic.rid, words, update_as_create=False, now=house.clock()
        )
        one = Permission(uuid4(), app, "ana", house.clinic.rid, None, words, words, house.clock())
        await apps.allow(conn, one, uuid4().bytes, Code(one.id, "", "", None, house.clock()))
    caller = dataclasses.replace(
        house.clinic.caller, client=app, permission=one.id, scopes=scopes.parse(words, scopes.APP)
    )
    await house.create(caller, desk.wish(TASKS))
    await desk.tell()
    if is_ended:
        async with house.engine.transaction() as conn:
            await apps.end(conn, [one.id], house.clock())
    await house.asking(house.kitchen.service)
    assert [focus for _, focus in await told(desk)] == ([] if is_ended else [True, True])
