"""S18: a sender that did not hear the answer sends again, and so does the hub."""

from __future__ import annotations

import asyncio

import pytest


async def test_s18_given_a_bundle_with_an_identifier_when_sent_again_then_no_key_is_needed(house):
    riverside, lakeside = house.riverside, house.lakeside
    named = {"system": "urn:example:sent", "value": "7"}
    bundle = {**house.referral(riverside, lakeside.reference, run="named"), "identifier": named}
    async with house.another_server() as other:
        elsewhere = riverside.through(other)
        answers = await asyncio.gather(
            *(each.ask("POST", "", bundle) for each in (riverside, elsewhere) * 2)
        )
    later = await riverside.ask("POST", "", {**bundle, "timestamp": "2026-11-22T09:00:00-05:00"})
    assert {answer.status_code for answer in (*answers, later)} == {200}
    assert len({tuple(locations(answer)) for answer in (*answers, later)}) == 1
    await house.settled()
    assert await house.value("select count(*) from episode") == 1

    before = await house.stored()
    other_body = house.referral(riverside, lakeside.reference, run="named-otherwise")
    refused = await riverside.ask("POST", "", {**other_body, "identifier": named})
    assert refused.status_code == 422, refused.text
    assert refused.json()["issue"][0]["code"] == "duplicate"
    assert await house.stored() == before
    alone = {
        "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient"},
    }
    theirs = await lakeside.ask("POST", "", {**other_body, "identifier": named, "entry": [alone]})
    assert theirs.status_code == 200, theirs.text


async def test_s18_given_an_order_with_a_number_when_sent_again_then_it_is_the_first_and_needs_no_key(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    bundle = house.referral(riverside, lakeside.reference, run="numbered")
    order, asking = part(bundle, "ServiceRequest"), part(bundle, "Task")
    order["identifier"] = [{"system": "urn:riverside:orders", "value": "4711"}]
    asking["identifier"] = [{"system": "urn:riverside:tasks", "value": "1"}]
    async with house.another_server() as other:
        elsewhere = riverside.through(other)
        answers = await asyncio.gather(
            *(each.ask("POST", "", bundle) for each in (riverside, elsewhere) * 2)
        )
    later = await riverside.ask("POST", "", bundle)
    assert {answer.status_code for answer in (*answers, later)} == {200}
    assert len({tuple(locations(answer)) for answer in (*answers, later)}) == 1
    await house.settled()
    assert await house.value("select count(*) from episode") == 1
    assert len(await lakeside.received()) == 1

    # One by one it is the same
    sent = riverside.made(later)
    stored = await riverside.read(sent.order)
    alone = {
        "resourceType": "ServiceRequest",
        **{name: stored[name] for name in ("status", "intent", "code", "subject")},
        "identifier": [{"system": "urn:riverside:orders", "value": "4712"}],
    }
    made = await riverside.ask("POST", "/ServiceRequest", alone)
    again = await riverside.ask("POST", "/ServiceRequest", alone)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.headers["location"] == again.headers["location"]

    # With other content it is refused, and told which one it was
    before = await house.stored()
    order["priority"] = "stat"
    for body, path in ((bundle, ""), ({**alone, "priority": "stat"}, "/ServiceRequest")):
        refused = await riverside.ask("POST", path, body)
        assert refused.status_code == 422, refused.text
        issue = refused.json()["issue"][0]
        assert issue["code"] == "duplicate"
        assert (sent.order if path == "" else made.json()["id"]) in issue["diagnostics"]
        assert issue["expression"][0].endswith("identifier[0]")
    assert await house.stored() == before


def part(bundle, kind):
    return next(
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind
    )


def locations(answered):
    return [entry["response"]["location"] for entry in answered.json()["entry"]]


async def test_s18_given_a_bundle_when_sent_five_times_through_two_servers_then_one_referral_stands(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    bundle = house.referral(riverside, lakeside.reference, run="again")
    async with house.another_server() as other:
        elsewhere = riverside.through(other)
        # Two of the five at once, through two servers
        first, second = await asyncio.gather(
            riverside.posts(bundle, "key-1"), elsewhere.posts(bundle, "key-1")
        )
        rest = [
            await riverside.posts(bundle, "key-1"),
            await elsewhere.posts(bundle, "key-1"),
            await riverside.posts(bundle, "key-1"),
        ]
    answers = [first, second, *rest]

    # Then all got the same answer
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len({tuple(locations(answer)) for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, "true", "true", "true", "true"]
    # And there is one referral
    await house.settled()
    assert await house.value("select count(*) from episode") == 1
    assert len(await riverside.find("Patient?identifier=demo-again")) == 1
    assert len(await lakeside.received()) == 1

    # When the key comes with another body, it is refused and nothing is changed
    before = await house.stored()
    another = house.referral(riverside, lakeside.reference, run="another")
    refused = await riverside.posts(another, "key-1")
    assert refused.status_code == 422, refused.text
    assert refused.json()["issue"][0]["code"] == "duplicate"
    assert await house.stored() == before

    # And the key of one organization is nothing to another
    theirs = await lakeside.ask(
        "POST",
        "/Patient",
        {"resourceType": "Patient", "active": True},
        headers={"Idempotency-Key": "key-1"},
    )
    assert theirs.status_code == 201, theirs.text


async def test_s18_given_a_refused_bundle_when_it_is_mended_then_its_key_serves_again(house):
    riverside, lakeside = house.riverside, house.lakeside
    bundle = house.referral(riverside, lakeside.reference)
    good = bundle["entry"][3]["resource"]["focus"]
    bundle["entry"][3]["resource"]["focus"] = {"reference": "ServiceRequest/absent"}
    refused = await riverside.posts(bundle, "key-2")
    assert refused.status_code == 422, refused.text
    bundle["entry"][3]["resource"]["focus"] = good
    assert (await riverside.posts(bundle, "key-2")).status_code == 200


@pytest.mark.parametrize("mode", ["lost", "half", "garbage"])
@pytest.mark.parametrize("knows_keys", [True, False])
async def test_s18_given_a_lost_answer_when_the_hub_sends_again_then_the_partner_has_one_task(
    house, mode, knows_keys
):
    riverside, lakeside = house.riverside, house.lakeside
    await lakeside.behaves({"mode": mode, "until_count": 2, "idempotent": knows_keys})
    _, t2 = await house.given_asked(riverside, lakeside)
    await house.settled()

    received = await lakeside.received()
    assert len(received) == 3
    assert len({entry["deliveryId"] for entry in received}) == 1
    assert [entry["duplicate"] for entry in received] == [False, True, True]
    assert not any(entry.get("differs") for entry in received)
    tasks = (await lakeside.hub.get(f"{lakeside.own}/fhir/Task")).json()["entry"]
    assert [entry["resource"]["id"] for entry in tasks] == [t2.partition("/")[2]]
    versions = await lakeside.history_at_own_server(t2)
    assert len(versions) == (1 if knows_keys else 3)
    assert len({version["status"] for version in versions}) == 1
    # What may have arrived is on record as disclosed, at each attempt that may have brought it.
    disclosed = await house.value(
        "select count(*) from audit a join delivery d on d.id = a.delivery"
        " join candidate c on c.task = d.rid where a.interaction = 'disclosure'"
    )
    assert disclosed == 3


async def test_s18_given_a_partner_that_refuses_when_it_was_sent_to_then_what_it_got_is_on_record(
    house,
):
    lakeside = house.lakeside
    await lakeside.behaves({"mode": "error", "until_count": 1}, {"mode": "reject"})
    sent = await house.riverside.refers(house.referral(house.riverside, lakeside.reference))
    await house.settled()
    states = await house.rows(
        "select d.state, d.attempts, (select count(*) from audit a where a.delivery = d.id"
        " and a.interaction = 'disclosure') as disclosed from delivery d"
        " join candidate c on c.task = d.rid and c.organization = d.organization"
    )
    assert states == [{"state": "dead", "attempts": 2, "disclosed": 2}]
    assert not await lakeside.holds(sent.task)
