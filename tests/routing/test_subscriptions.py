"""Subscriptions: what is asked for, counted without gaps, and told to whom it may be told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from open_desk import BACKPORT, PATIENCE, RESULTS, TASKS, Desk, events, said
from open_hub import opened, patient

from coordhub.errors import FhirError
from coordhub.record.operations import Delete, Update
from coordhub.routing import notice, notify
from coordhub.routing.herald import Herald
from coordhub.store import subscription_events

Document = dict[str, Any]


async def test_given_a_wish_when_its_address_answers_then_it_is_active_after_a_handshake(
    desk: Desk,
) -> None:
    reference = await desk.subscribed(desk.house.clinic)
    assert await desk.status(reference) == "active"
    [body] = desk.listener.bodies
    assert said(body) == {
        "subscription": {"reference": f"{desk.house.hub.base}/{reference}"},
        "topic": TASKS,
        "status": "active",
        "type": "handshake",
        "events-since-subscription-start": "0",
    }
    assert (body["type"], body["entry"][0]["response"]["status"]) == ("history", "200")
    assert "authorization: bearer secret" in desk.listener.heads[0].lower()


async def test_given_an_address_that_refuses_when_tried_then_the_subscription_is_in_error(
    desk: Desk,
) -> None:
    desk.listener.status = "500 Broken"
    reference = await desk.subscribed(desk.house.clinic)
    stored = await desk.house.document(reference)
    assert (stored["status"], stored["error"]) == ("error", notify.NOT_REACHED)
    desk.listener.status = "200 OK"
    stored |= {"status": "requested"}
    del stored["error"]
    await desk.house.update(desk.house.clinic, stored["id"], stored)
    await desk.tell()
    assert await desk.status(reference) == "active"


async def test_given_changes_when_followed_then_each_is_one_event_in_the_order_of_commits(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.clinic)
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    await desk.follow()
    await desk.follow()
    await desk.tell()
    assert desk.listener.kinds() == ["handshake", "event-notification"]
    told = events(desk.listener.bodies[-1])
    assert [int(one["event-number"]) for one in told] == list(range(1, len(told) + 1))
    versions = await house.rows(
        "select e.version from subscription_event e join resource r on r.rid = e.rid"
        " where r.fhir_id = $1 order by e.number",
        sent.task.partition("/")[2],
    )
    assert versions == [(1,), (2,), (3,)]
    assert told[0]["focus"] == {"reference": f"{house.hub.base}/{sent.task}"}


async def test_given_one_that_cannot_be_asked_any_more_when_followed_then_it_is_off_and_others_go_on(
    desk: Desk,
) -> None:
    house = desk.house
    broken = await desk.subscribed(house.kitchen)
    await desk.subscribed(house.clinic)
    sql = "update subscription set config = replace(config, 'Task?', 'Task?colour=red&')"
    assert "colour" not in str(await house.rows("select config from subscription"))
    await house.by_owner(f"{sql} where organization = {house.kitchen.rid}")
    await house.asking(house.kitchen.service)
    await desk.follow()
    await desk.tell()
    assert desk.listener.kinds() == ["handshake", "handshake", "event-notification"]
    document = await house.document(broken)
    assert document["status"] == "off"
    assert document["error"] == "its criteria cannot be asked here any more"


async def test_given_filters_when_something_changes_then_only_what_they_leave_is_told(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(
        house.kitchen,
        TASKS,
        "id-only",
        f"Task?owner={house.kitchen.service}",
        "Task?status=accepted",
    )
    sent = await house.asking(house.kitchen.service)
    await desk.follow()
    assert await desk.tell() == 0
    await sent.answer(house.kitchen, "accepted")
    await desk.follow()
    await desk.tell()
    assert desk.listener.numbers() == [1]


async def test_given_who_may_not_see_it_when_something_changes_then_nothing_is_counted(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.stranger)
    await desk.subscribed(house.stranger, RESULTS)
    await house.asking(house.kitchen.service)
    await house.create(house.clinic, patient())
    await desk.follow()
    assert await desk.tell() == 0
    assert await house.rows("select distinct event from subscription") == [(0,)]


async def test_given_an_event_that_may_not_be_seen_any_more_when_told_then_its_number_is_and_no_more(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.kitchen, TASKS, "full-resource")
    await house.asking(house.kitchen.service)
    await desk.follow()
    await house.rows("delete from access_grant where organization = $1", house.kitchen.rid)
    await desk.tell()
    [event] = events(desk.listener.bodies[-1])
    assert (event["event-number"], "focus" in event) == ("1", False)
    assert len(desk.listener.bodies[-1]["entry"]) == 1


@pytest.mark.parametrize(
    ("level", "focus", "entries"),
    [("empty", False, 1), ("id-only", True, 1), ("full-resource", True, 2)],
)
async def test_given_a_level_when_told_then_no_more_is_said_than_was_agreed(
    desk: Desk, level: str, focus: bool, entries: int
) -> None:
    house = desk.house
    await desk.subscribed(house.kitchen, TASKS, level)
    sent = await house.asking(house.kitchen.service)
    await desk.follow()
    await desk.tell()
    body = desk.listener.bodies[-1]
    [event] = events(body)
    assert ("focus" in event, len(body["entry"])) == (focus, entries)
    assert ("topic" in said(body)) == (level != "empty")
    assert sent.patient not in json.dumps(body) or level == "full-resource"
    if level == "full-resource":
        shown = body["entry"][1]["resource"]
        assert shown["resourceType"] == "Task"
        assert shown["owner"]["reference"] == house.kitchen.service
    audited = await house.value("select count(*) from audit where request_id like 'subscription %'")
    assert audited == (level != "empty")


async def test_s26_given_notifications_that_failed_when_asked_for_then_the_gap_is_filled_and_45_follows(
    desk: Desk,
) -> None:
    house = desk.house
    reference = await desk.subscribed(house.clinic, RESULTS)
    who = await house.create(house.clinic, patient())

    async def result() -> None:
        await house.create(
            house.clinic,
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": who.reference},
            },
        )

    for _ in range(41):
        await result()
    await desk.follow()
    await desk.tell()
    assert desk.listener.numbers() == list(range(1, 42))
    desk.listener.status = "503 Busy"
    for _ in range(3):
        await result()
        await desk.follow()
        await desk.tell()
        house.clock.ahead += timedelta(minutes=11)
    assert await desk.status(reference) == "error"
    assert await house.rows("select state, event, sent from subscription") == [("error", 44, 41)]

    desk.listener.status = "200 OK"
    stored = await house.document(reference)
    stored |= {"status": "requested"}
    del stored["error"]
    await house.update(house.clinic, stored["id"], stored)
    before = len(desk.listener.bodies)
    await desk.tell()
    await result()
    await desk.follow()
    await desk.tell()
    after = desk.listener.bodies[before:]
    assert [said(body)["type"] for body in after] == ["handshake", "event-notification"]
    assert [one["event-number"] for one in events(after[-1])] == ["45"]
    assert await desk.status(reference) == "active"


async def test_given_a_heartbeat_when_nothing_happens_then_it_is_told_that_and_that_nothing_was_missed(
    desk: Desk,
) -> None:
    house = desk.house
    wish = desk.wish()
    wish["channel"]["extension"] = [
        {"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": 60}
    ]
    await house.create(house.clinic, wish)
    await desk.tell()
    assert await desk.tell() == 0
    house.clock.ahead += timedelta(seconds=61)
    assert await desk.tell() == 1
    assert desk.listener.kinds() == ["handshake", "heartbeat"]


async def test_given_an_end_when_it_has_come_then_it_is_off_and_a_deletion_ends_it_too(
    desk: Desk,
) -> None:
    house = desk.house
    end = (house.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    ending = await desk.subscribed(house.clinic, end=end)
    deleted = await desk.subscribed(house.clinic)
    house.clock.ahead += timedelta(hours=2)
    await desk.tell()
    assert await desk.status(ending) == "off"
    await house.commit(house.clinic, Delete("Subscription", deleted.partition("/")[2]))
    assert await house.rows("select distinct state from subscription") == [("off",)]
    heard = len(desk.listener.bodies)
    await house.asking(house.kitchen.service)
    await desk.follow()
    assert await desk.tell() == 0
    assert len(desk.listener.bodies) == heard


async def test_given_criteria_of_r4_when_something_matches_then_it_is_told_that_there_is_something(
    desk: Desk,
) -> None:
    house = desk.house
    wish = desk.wish()
    wish |= {"criteria": "Task?status=requested"}
    wish["channel"] = {"type": "rest-hook", "endpoint": desk.listener.address}
    del wish["_criteria"]
    await house.create(house.kitchen, wish)
    await desk.tell()
    await house.asking(house.kitchen.service)
    await desk.follow()
    await desk.tell()
    assert desk.listener.bodies == [{}, {}]


async def test_given_criteria_and_a_payload_when_something_matches_then_it_is_put_at_the_address(
    desk: Desk,
) -> None:
    house = desk.house
    wish = desk.wish()
    wish |= {"criteria": "Task?status=requested"}
    wish["channel"] = {
        "type": "rest-hook", "endpoint": desk.listener.address, "payload": "application/fhir+json",
    }  # fmt: skip
    del wish["_criteria"]
    await house.create(house.kitchen, wish)
    await desk.tell()
    for _ in range(2):
        await house.asking(house.kitchen.service)
    await desk.follow()
    await desk.tell()
    lines = [head.split("\r\n")[0].split()[:2] for head in desk.listener.heads[1:]]
    assert lines == [["PUT", f"/hook/Task/{body['id']}"] for body in desk.listener.bodies[1:]]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("change", "status", "expression"),
    [
        ({"status": "active"}, 422, "Subscription.status"),
        ({"criteria": "urn:nobody:knows"}, 422, "Subscription.criteria"),
        ({"criteria": "Observation?colour=red"}, 422, "Subscription.criteria"),
        (
            {"channel": {"type": "sms", "endpoint": "tel:1"}},
            422,
            "Subscription.channel.type",
        ),
        (
            {"channel": {"type": "rest-hook", "endpoint": "file:///etc"}},
            422,
            "Subscription.channel.endpoint",
        ),
        ({"end": "2001-01-01T00:00:00Z"}, 422, "Subscription.end"),
    ],
)
async def test_given_what_cannot_be_honoured_when_sent_then_it_is_refused_with_where_it_stands(
    desk: Desk, change: Document, status: int, expression: str
) -> None:
    with pytest.raises(FhirError) as refused:
        await desk.house.create(desk.house.clinic, {**desk.wish(), **change})
    assert refused.value.status == status
    assert expression in [issue.expression for issue in refused.value.issues]


async def test_given_a_filter_for_anothers_when_sent_then_it_is_refused_and_so_is_an_unknown_one(
    desk: Desk,
) -> None:
    house = desk.house
    theirs = desk.wish(TASKS, "id-only", f"Task?owner={house.kitchen.reference}")
    with pytest.raises(FhirError) as refused:
        await house.create(house.clinic, theirs)
    assert refused.value.status == 403
    with pytest.raises(FhirError) as refused:
        await house.create(house.clinic, desk.wish(TASKS, "id-only", "Task?modified=2026"))
    assert refused.value.issues[0].expression == "Subscription.criteria.extension[0].valueString"
    narrow = house.clinic.with_scopes("system/Subscription.cruds system/Patient.rs")
    with pytest.raises(FhirError) as refused:
        await house.create(narrow, desk.wish())
    assert refused.value.status == 403


async def test_given_an_active_one_when_its_address_is_changed_then_it_has_to_be_tried_first(
    desk: Desk,
) -> None:
    house = desk.house
    reference = await desk.subscribed(house.clinic)
    stored = await house.document(reference)
    stored["channel"] = {**stored["channel"], "endpoint": "https://elsewhere.example/hook"}
    with pytest.raises(FhirError) as refused:
        await house.commit(house.clinic, Update("Subscription", stored["id"], stored))
    assert refused.value.issues[0].expression == "Subscription.status"


async def test_given_transactions_that_end_late_when_followed_then_none_is_passed_over(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.clinic, "urn:coordhub:subscription-topic:referrals")
    async with opened(house.url, size=2) as other:
        slow = await other.engine.pool.acquire()
        try:
            held = slow.transaction()
            await held.start()
            await slow.fetchval("select pg_current_xact_id()")  # begins before, ends after
            await house.refer(house.kitchen.service)
            await desk.follow()
            assert await house.value("select max(event) from subscription") == 0
            await held.commit()
        finally:
            await other.engine.pool.release(slow)
    await desk.follow()
    assert await house.value("select max(event) from subscription") == 1


@pytest.mark.parametrize("together", [500, 1])
async def test_given_a_transaction_that_began_before_one_it_waited_for_when_followed_then_versions_are_in_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """Whoever waits for a lock has its number already: its newer version stands before the older one."""
    house = desk.house
    await desk.subscribed(house.clinic)
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    of_task = f"(select rid from resource where fhir_id = '{sent.task.partition('/')[2]}')"
    await house.by_owner(
        "update change c set xid = o.xid from change o where c.rid = o.rid and c.version + o.version = 5"
        f" and c.version in (2, 3) and c.rid = {of_task}"
    )
    monkeypatch.setattr(subscription_events, "FOLLOWED", together)
    await desk.follow()
    versions = await house.rows(
        f"select version from subscription_event where rid = {of_task} order by number"
    )
    assert versions == [(1,), (2,), (3,)]


async def test_given_two_heralds_when_much_happens_then_every_number_comes_once_and_in_order(
    desk: Desk,
) -> None:
    house = desk.house
    await desk.subscribed(house.clinic)
    stop = asyncio.Event()
    async with opened(house.url, size=5) as other:
        poll = timedelta(milliseconds=20)
        heralds = [
            asyncio.create_task(Herald(hub, desk.outbound, poll, PATIENCE).run(stop))
            for hub in (house.hub, other.hub)
        ]
        for _ in range(8):
            await house.asking(house.kitchen.service)
        async with asyncio.timeout(60):
            while await house.value("select sent < 16 or sent < event from subscription"):
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*heralds)
    numbers = desk.listener.numbers()
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 16


async def test_given_a_herald_that_is_killed_when_another_goes_on_then_no_number_is_missing_or_twice(
    desk: Desk,
) -> None:
    """Once while it numbers events, once between its claim and the telling."""
    house = desk.house
    await desk.subscribed(house.clinic)
    rid = await house.value("select rid from subscription")
    await house.asking(house.kitchen.service)
    async with opened(house.url, size=2) as other:
        dying = await other.engine.pool.acquire()
        await dying.transaction().start()
        followed = await subscription_events.follow(dying, for_nobody=False)
        assert followed
        told = [(rid, one.seq) for one in followed]
        await subscription_events.record(dying, told, house.clock())
        assert not await notice.follow(house.hub), "another is at it"
        dying.terminate()
        await other.engine.pool.release(dying)
    async with asyncio.timeout(30):
        while await house.value("select max(event) from subscription") == 0:
            await desk.follow()
    killed = await notify.due(house.hub)
    assert killed is not None
    assert await notify.due(house.hub) is None, "it is held"
    await house.asking(house.kitchen.service)
    await desk.follow()
    assert await desk.tell() == 0
    house.clock.ahead += notify.LEASE
    await desk.tell()
    last = await house.value("select event from subscription")
    assert desk.listener.numbers() == list(range(1, last + 1))
    assert desk.listener.bodies[1]["id"] == str(killed.message), "it is the same message"
    assert killed.trying is not None
    assert killed.trying < last, "what came meanwhile is told by the next"


@pytest.mark.parametrize(
    "query", ["patient={patient}", "patient.family=Water", "subject={patient}"]
)
async def test_given_who_is_not_told_for_whom_when_it_subscribes_by_that_then_nothing_is_counted(
    desk: Desk, query: str
) -> None:
    house = desk.house
    sent = await house.refer(house.kitchen.service, house.pantry.service)
    criteria = f"Task?{query.format(patient=sent.patient)}"
    blind = await desk.subscribed(house.kitchen, criteria)
    open_to_it = await desk.subscribed(house.clinic, criteria)
    await house.relay()
    assert len(await house.rows("select from candidate")) == 2
    await desk.follow()
    counted = dict(
        await house.rows(
            "select r.fhir_id, s.event from subscription s join resource r on r.rid = s.rid"
        )
    )
    assert counted[blind.partition("/")[2]] == 0, "it would tell for whom"
    assert counted[open_to_it.partition("/")[2]] > 0


async def test_given_nobody_who_may_act_for_it_any_more_when_something_changes_then_it_is_not_told(
    desk: Desk,
) -> None:
    """An operator has stopped the last client of the organization: its address is told nothing either."""
    house = desk.house
    await desk.subscribed(house.kitchen, TASKS, "full-resource")
    sent = await house.asking(house.kitchen.service)
    await desk.follow()
    await house.by_owner(
        f"update client set active = false where organization = {house.kitchen.rid}"
    )
    await sent.withdraw()
    await desk.follow()
    await desk.tell()
    assert desk.listener.kinds() == ["handshake"]
    assert await house.rows("select event from subscription") == [(1,)], "nothing more is counted"
    await house.by_owner(
        f"update client set active = true where organization = {house.kitchen.rid}"
    )
    await desk.tell()
    assert desk.listener.numbers() == [1]
