"""What becomes of a delivery when it is tried, and what is put on record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from open_post import TAKEN, Post

from coordhub.access import viewer
from coordhub.admin import letters
from coordhub.routing import proving
from coordhub.store import timeline
from coordhub.store.visibility import EVERYONE


async def test_given_a_grant_that_was_removed_when_it_is_sent_then_it_is_suppressed_instead(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await house.rows("delete from access_grant where organization = $1", house.kitchen.rid)
    await post.deliver()
    assert post.partner.bundles == []
    assert (house.kitchen.rid, "suppressed") in await post.ledger()
    told = await house.value(
        "select count(*) from audit where interaction = 'disclosure' and organization = $1",
        house.kitchen.rid,
    )
    assert told == 0


async def test_given_a_part_whose_grant_was_removed_when_sent_then_the_rest_goes_without_it(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await house.rows(
        "delete from access_grant g using resource r where r.rid = g.rid and r.fhir_id = $1",
        sent.result.removeprefix("Observation/"),
    )
    await post.deliver()
    assert sent.result not in post.partner.named()
    assert sent.patient in post.partner.named()


async def test_given_an_endpoint_off_when_due_then_parked_and_sent_once_it_is_on_again(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.set_endpoint(status="suspended")
    await post.deliver()
    assert (house.kitchen.rid, "parked") in await post.ledger()
    assert await post.claim() == [], "not before its time"
    await post.set_endpoint(status="active")
    house.clock.ahead += timedelta(minutes=16)
    await post.deliver()
    assert (house.kitchen.rid, "delivered") in await post.ledger()
    assert len(post.partner.bundles) == 1


async def test_given_an_endpoint_that_stays_off_when_the_budget_is_spent_then_it_is_dead(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.set_endpoint(status="off")
    await post.deliver()
    house.clock.ahead += timedelta(hours=73)
    await post.deliver()
    assert (house.kitchen.rid, "dead") in await post.ledger()


async def test_given_a_changed_endpoint_when_due_then_nothing_is_sent_before_it_has_answered_a_handshake(
    post: Post,
) -> None:
    house, partner = post.house, post.partner
    await house.asking(house.kitchen.service)
    partner.speaks = False
    await post.set_endpoint(header=["Authorization: Bearer another"])
    await post.deliver()
    assert partner.bundles == []
    assert "authorization: bearer another" in partner.greeted[0]
    [reason] = await house.rows("select reason from delivery where state = 'parked'")
    assert reason == (proving.REASON,)
    [(named, waits)] = await letters.unproved(house.engine)
    assert (named, waits.failures) == (post.endpoint, 1)

    # Asked again in a while, and not for each delivery
    house.clock.ahead += timedelta(minutes=16)
    partner.speaks = True
    await post.deliver()
    assert (house.kitchen.rid, "delivered") in await post.ledger()
    assert len(partner.greeted) == 2
    assert await letters.unproved(house.engine) == []

    # What proved itself need not again, until it is changed once more; what is said of it changes nothing
    await post.set_endpoint(name="another name")
    await house.asking(house.kitchen.service)
    await post.deliver()
    assert (len(partner.bundles), len(partner.greeted)) == (2, 2)


async def test_given_no_endpoint_when_due_then_it_is_in_the_inbox_and_noted_as_delivered(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.pantry.service)
    await post.deliver()
    assert await post.ledger() == [
        (house.pantry.rid, "delivered"),
        (house.clinic.rid, "delivered"),
    ]
    assert await house.value("select delivered_at is not null from candidate")
    assert await house.rows("select distinct detail, status from attempt") == [("inbox", None)]


async def test_given_a_delivery_when_taken_then_the_disclosure_is_audited_with_what_and_which(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.deliver()
    [(rids, delivery)] = await house.rows(
        "select rids, delivery from audit where interaction = 'disclosure' and organization = $1",
        house.kitchen.rid,
    )
    key = await house.value("select key::text from delivery where id = $1", delivery)
    assert key == post.partner.keys[0]
    named = post.partner.named()
    known = await house.rows(
        "select rid from resource where fhir_id = any($1)",
        [reference.partition("/")[2] for reference in named],
    )
    assert sorted(rids) == sorted(rid for (rid,) in known)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, "queued"),
        (("500 Broken", b""), "queued"),
        (("200 OK", b"<html>"), "queued"),
        (("403 Forbidden", b""), "parked"),
        (("422 Unprocessable", b""), "dead"),
    ],
)
async def test_given_a_body_that_has_left_when_not_taken_then_the_disclosure_is_audited_all_the_same(
    post: Post, answer: tuple[str, bytes] | None, state: str
) -> None:
    post.partner.answer = answer
    await post.house.asking(post.house.kitchen.service)
    await post.deliver()
    assert (post.house.kitchen.rid, state) in await post.ledger()
    told = await post.house.rows(
        "select d.key::text from audit a join delivery d on d.id = a.delivery"
        " where a.interaction = 'disclosure' and a.organization = $1",
        post.house.kitchen.rid,
    )
    assert told == [(post.partner.keys[0],)]


async def test_given_an_address_where_nobody_listens_when_tried_then_nothing_was_disclosed(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.moves_to("http://127.0.0.1:9/fhir")
    await post.deliver()
    assert (house.kitchen.rid, "queued") in await post.ledger()
    told = "select count(*) from audit where interaction = 'disclosure' and organization = $1"
    assert await house.value(told, house.kitchen.rid) == 0
    outcomes = await house.rows("select outcome from attempt where status is null")
    assert ("unreachable",) in outcomes


async def test_given_a_partner_that_fails_when_it_recovers_then_it_gets_the_same_delivery_again(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("503 Later", b"")
    await house.asking(house.kitchen.service)
    await post.deliver()
    post.partner.answer = ("200 OK", TAKEN)
    house.clock.ahead += timedelta(minutes=5)
    await post.deliver()
    assert len(post.partner.keys) == 2
    assert len(set(post.partner.keys)) == 1
    assert post.partner.bundles[0]["entry"] == post.partner.bundles[1]["entry"]
    assert (house.kitchen.rid, "delivered") in await post.ledger()


async def test_given_a_partner_that_failed_when_the_next_attempt_is_under_way_then_its_sender_sees_why(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("503 Later", b"")
    await house.asking(house.kitchen.service)
    await post.deliver()
    house.clock.ahead += timedelta(minutes=5)
    assert await post.claim()
    episode = await house.value("select id from episode")
    async with house.engine.pool.acquire() as conn:
        told = await timeline.told(conn, viewer.as_organization(house.clinic.rid), episode)
    assert told is not None
    (asked,) = told.asked
    assert (asked.delivery, asked.attempts, asked.trouble) == ("leased", 2, "status 503")


async def test_given_headers_that_let_the_hub_in_when_others_look_then_only_the_partner_gets_them(
    post: Post,
) -> None:
    house = post.house
    await post.set_endpoint(header=["Authorization: Bearer not for all"])
    await house.asking(house.kitchen.service)
    await post.deliver()
    assert "authorization: bearer not for all" in post.partner.heads[-1]

    for who in (house.kitchen, house.stranger):
        seen = await house.read(who, post.endpoint)
        assert seen is not None
        assert seen.body is not None
        assert "not for all" not in seen.body
        assert post.partner.address in seen.body
    steward = await house.read(EVERYONE, post.endpoint)
    assert steward is not None
    assert "not for all" in str(steward.body)
