"""How notifications go out: their identity, their signature, sent again, of deletions, within bounds."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from open_desk import KEY, RESULTS, TASKS, Desk, events, said
from open_hub import patient
from standardwebhooks import Webhook

from coordhub.errors import FhirError
from coordhub.record.commit import commit
from coordhub.record.operations import Create, Delete
from coordhub.routing import notify
from coordhub.store import sealed, subscription_secrets, subscriptions

SECRETS = (b"first secret, 24 bytes !", b"second secret, of 32 bytes at it")


async def rid(desk: Desk, reference: str) -> int:
    found: int = await desk.house.value(
        "select rid from resource where fhir_id = $1", reference.partition("/")[2]
    )
    return found


async def observation(desk: Desk, **more: Any) -> str:
    who = await desk.house.create(desk.house.clinic, patient())
    made = await desk.house.create(
        desk.house.clinic,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": who.reference},
            **more,
        },
    )
    return made.reference


async def test_given_a_message_that_was_not_taken_when_tried_again_then_it_is_the_same_message(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.clinic, RESULTS)
    await observation(desk)
    await desk.follow()
    desk.listener.status = "503 Busy"
    await desk.tell()
    await observation(desk)
    await desk.follow()
    desk.listener.status = "200 OK"
    house.clock.ahead += timedelta(minutes=1)
    await desk.tell()
    handshake, first, again, next_one = (desk.listener.headers(at)["webhook-id"] for at in range(4))
    assert first == again
    assert len({handshake, first, next_one}) == 3
    assert [int(one["event-number"]) for one in events(desk.listener.bodies[2])] == [1]
    assert [int(one["event-number"]) for one in events(desk.listener.bodies[3])] == [2]
    stamps = [int(desk.listener.headers(at)["webhook-timestamp"]) for at in (1, 2)]
    assert stamps[1] >= stamps[0] + 60, "of the attempt, so that a receiver may refuse what is old"


async def test_given_a_secret_that_is_replaced_when_told_then_either_verifies_until_the_old_one_ends(
    desk: Desk,
) -> None:
    house = desk.house
    reference = await desk.subscribed(house.clinic, RESULTS)
    assert "webhook-signature" not in desk.listener.headers(0)
    number = await rid(desk, reference)
    for secret in SECRETS:
        async with house.engine.transaction() as conn:
            await subscription_secrets.replace(
                conn, number, secret, house.clock(), house.clock() + timedelta(hours=1)
            )
    kept = [secret for (secret,) in await house.rows("select secret from subscription_secret")]
    assert not any(secret in stored for secret in SECRETS for stored in kept)
    signatures = []
    for _ in range(2):
        await observation(desk)
        await desk.follow()
        await desk.tell()
        signatures.append(desk.listener.headers(-1)["webhook-signature"].split())
        house.clock.ahead += timedelta(hours=2)
    assert [len(each) for each in signatures] == [2, 1]
    for secret in SECRETS:
        webhook = Webhook("whsec_" + b64encode(secret).decode())
        webhook.verify(desk.listener.sent[1].decode(), desk.listener.headers(1))
    # another key of the hub, and the one before named as that: sealed anew as it is used
    sealed.use(sealed.Box([b"the key that came after this one", KEY]))
    async with house.engine.pool.acquire() as conn:
        assert await subscription_secrets.seal_anew(conn) == 0
        sealed.use(sealed.Box([b"the key that came after this one"]))
        assert await subscription_secrets.valid(conn, number, house.clock()) == [SECRETS[1]]
        sealed.use(sealed.Box([KEY]))
        with pytest.raises(sealed.UnreadableError):
            await subscription_secrets.valid(conn, number, house.clock())
        assert await subscription_secrets.seal_anew(conn) == len(kept)


async def test_given_headers_of_its_own_when_told_then_a_subscriber_cannot_write_the_hubs(
    desk: Desk,
) -> None:
    wish = desk.wish()
    wish["channel"]["header"] = ["Webhook-Id: mine", "X-Own: yes"]
    await desk.house.create(desk.house.clinic, wish)
    await desk.tell()
    sent = desk.listener.headers(0)
    assert (sent["x-own"], sent["webhook-id"] == "mine") == ("yes", False)


async def test_given_events_when_asked_for_again_then_they_come_with_their_numbers_as_they_may_be_seen_now(
    desk: Desk,
) -> None:
    house = desk.house
    reference = await desk.subscribed(house.kitchen, TASKS, "full-resource")
    for _ in range(3):
        await house.asking(house.kitchen.service)
        await desk.follow()
        await desk.tell()
    assert desk.listener.numbers() == [1, 2, 3]
    number = await rid(desk, reference)
    await house.rows(
        "delete from access_grant g using subscription_event e where e.rid = g.rid and e.number = 2"
    )
    async with house.engine.pool.acquire() as conn:
        assert await subscriptions.tell_again(conn, number, 2, 3, house.clock())
        assert not await subscriptions.tell_again(conn, number, 1, 1, house.clock()), (
            "one at a time"
        )
    before = len(desk.listener.bodies)
    await desk.tell()
    [body] = desk.listener.bodies[before:]
    told = events(body)
    assert [(one["event-number"], "focus" in one) for one in told] == [("2", False), ("3", True)]
    assert (said(body)["type"], len(body["entry"])) == ("event-notification", 2)
    await house.asking(house.kitchen.service)
    await desk.follow()
    await desk.tell()
    assert desk.listener.numbers()[-1] == 4
    assert await house.rows("select sent, again_from, again_until from subscription") == [
        (4, None, None)
    ]


async def test_given_a_deletion_when_it_was_seen_and_asked_for_then_it_is_told_without_content(
    desk: Desk,
) -> None:
    house = desk.house
    final = RESULTS, "full-resource", "Observation?status=final"
    await desk.subscribed(house.clinic, *final)
    await desk.subscribed(house.clinic, RESULTS, "full-resource", "Observation?status=amended")
    await desk.subscribed(house.stranger, *final)
    reference = await observation(desk, note=[{"text": "nobody's business"}])
    await house.commit(house.clinic, Delete("Observation", reference.partition("/")[2]))
    assert len(await house.rows("select from subscription_deletion")) == 1
    await desk.follow()
    await desk.tell()
    [body] = desk.listener.bodies[3:]
    [event] = events(body)
    address = f"{house.hub.base}/{reference}"
    assert event["focus"] == {"reference": address}
    assert body["entry"][1:] == [
        {
            "fullUrl": address,
            "request": {"method": "DELETE", "url": reference},
            "response": {"status": "204"},
        }
    ]
    assert "nobody" not in desk.listener.sent[-1].decode()
    assert await house.rows("select from subscription_deletion") == []


async def test_given_many_who_ask_when_something_changes_then_each_organization_is_asked_for_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    for who in (house.clinic, house.kitchen):
        for code in range(6):
            await desk.subscribed(who, TASKS, "id-only", f"Task?priority=routine,{code}")
        await desk.subscribed(who, TASKS)
        await desk.subscribed(who, TASKS)
    asked: list[str] = []
    async with house.engine.transaction() as conn:
        kind = type(conn)
    fetch = kind.fetch

    async def counted(self: Any, query: str, *arguments: Any, **more: Any) -> Any:
        asked.append(query)
        return await fetch(self, query, *arguments, **more)

    monkeypatch.setattr(kind, "fetch", counted)
    await house.asking(house.kitchen.service)
    asked.clear()
    await desk.follow()
    matching = [query for query in asked if "from change c join resource r" in query]
    assert len(matching) == 2
    counted_by = await house.rows("select event > 0 from subscription order by rid")
    assert (
        [one for (one,) in counted_by][6:8] == [one for (one,) in counted_by][14:] == [True, True]
    )


async def test_given_as_many_as_are_allowed_when_another_is_wished_for_then_it_is_refused_until_one_is_off(
    desk: Desk,
) -> None:
    house = desk.house
    hub = dataclasses.replace(house.hub, most_subscriptions=2)

    async def create() -> Any:
        wish = Create("Subscription", desk.wish())
        return await commit(hub, house.clinic.caller, [wish], interaction="create")

    [first] = (await create()).written
    await create()
    with pytest.raises(FhirError) as refused:
        await create()
    assert (refused.value.status, refused.value.issues[0].code) == (422, "too-costly")
    await house.create(house.kitchen, desk.wish())
    document = {**await house.document(first.reference), "status": "off"}
    await house.update(house.clinic, document["id"], document)
    await create()


async def test_given_addresses_that_fail_in_different_ways_when_tried_then_their_subscribers_read_the_same(
    desk: Desk,
) -> None:
    house = desk.house
    said_of = set()
    closed = desk.listener.address.replace("127.0.0.1", "127.0.0.2")
    private = "http://10.1.2.3/hook"
    for address, status in (
        (desk.listener.address, "403 No"),
        (desk.listener.address, "500 Broken"),
        (closed, ""),
        (private, ""),
    ):
        desk.listener.status = status
        wish = desk.wish()
        wish["channel"]["endpoint"] = address
        made = await house.create(house.clinic, wish)
        await desk.tell()
        said_of.add((await house.document(made.reference))["error"])
    assert said_of == {notify.NOT_REACHED}
    reasons = await house.rows("select distinct reason from subscription")
    assert reasons == [(notify.NOT_REACHED,)], "nothing of it where an operation could show it"
