"""S17, small: the sender's server is away, then busy, then back; the worker dies meanwhile."""

from __future__ import annotations

from collections import defaultdict

REFERRALS = 5


async def test_s17_given_a_server_that_is_away_when_it_returns_then_nothing_is_lost_and_order_is_kept(
    house,
):
    riverside, lakeside, northgate = house.riverside, house.lakeside, house.northgate

    # Given Riverside's server wants every state, and hangs up on everyone
    await house.agree(riverside, each_state=True)
    await riverside.behaves({"mode": "down"})
    asked = []
    for number in range(REFERRALS):
        recipient = (lakeside, northgate)[number % 2]
        asked.append((recipient, *await house.given_asked(riverside, recipient)))

    # When its referrals go on, others are served as ever
    for recipient, sent, task in asked:
        for status in ("accepted", "in-progress"):
            await recipient.answers(task, status)
        await recipient.reports(sent.patient, sent.order)
    for recipient, _, task in asked:
        await house.until(lambda recipient=recipient, task=task: recipient.holds(task))
    others = await house.value(
        "select max(extract(epoch from d.settled_at - d.created_at)) from delivery d"
        " join candidate c on c.task = d.rid and c.organization = d.organization"
    )
    assert others < 2
    assert await house.value("select count(*) from delivery where state = 'delivered'") == REFERRALS

    # And the worker dies while it tries, the server is back but busy, the worker dies again
    await house.routing.die()
    await riverside.behaves(
        {"mode": "rate", "retry_after": 1, "until_count": REFERRALS},
        {"mode": "slow", "delay_ms": 400, "until_count": REFERRALS},
    )
    house.routing.start()

    async def some_arrived():
        return any(entry["applied"] for entry in await riverside.received())

    await house.until(some_arrived)
    await house.routing.die()
    await riverside.behaves({"mode": "ok"})
    for recipient, _, task in asked:
        await recipient.answers(task, "completed")
    house.routing.start()
    await house.settled(within=60)

    # Then everything arrived, of each referral in the order in which it was committed
    assert await house.value("select count(*) from delivery where state <> 'delivered'") == 0
    received = await riverside.received()
    for _, sent, _ in asked:
        assert (await riverside.read(sent.task))["status"] == "completed"
        assert await riverside.statuses_received(sent.task) == [
            "accepted",
            "in-progress",
            "completed",
        ]
        fhir_id = sent.task.partition("/")[2]
        arrived = [
            int(resource["sourceVersion"])
            for entry in received
            if entry["applied"]
            for resource in entry["resources"]
            if resource.get("sourceId") == fhir_id
        ]
        committed = await house.rows(
            "select c.version from change c join resource r on r.rid = c.rid"
            " where r.fhir_id = $1 and c.author <> r.source order by c.seq",
            fhir_id,
        )
        assert arrived == [row["version"] for row in committed]

    # And what was sent twice says so by its id, and was the same
    attempts = defaultdict(list)
    for entry in received:
        if entry["deliveryId"] is not None:
            attempts[entry["deliveryId"]].append(entry)
    assert len(attempts) == await house.value(
        "select count(*) from delivery d join resource r on r.rid = d.organization"
        " where r.fhir_id = $1",
        riverside.id,
    )
    for entries in attempts.values():
        assert sum(entry["applied"] for entry in entries) == 1
        assert not any(entry["duplicate"] for entry in entries[:-1])
    print(f"\n{len(received)} attempts at Riverside for {len(attempts)} deliveries")


async def test_s17_given_a_recipient_that_is_away_when_it_is_tried_then_its_sender_is_told_so(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    await lakeside.behaves({"mode": "down"})
    sent, _ = await house.given_asked(riverside, lakeside)

    async def tried_twice():
        return await house.value(
            "select count(*) > 1 from attempt a join delivery d on d.id = a.delivery"
            " join candidate c on c.task = d.rid and c.organization = d.organization"
        )

    await house.until(tried_twice)
    outcomes = await house.rows("select distinct outcome, detail from attempt where status is null")
    assert {row["outcome"] for row in outcomes} == {"unreachable"}
    told, (asked,) = await riverside.whereabouts(sent)
    assert told["status"] == "accepted"
    assert asked["delivery"] in ("queued", "leased")
    assert asked["attempts"] > 1
    assert "delivered" not in asked
    assert asked["trouble"]

    await lakeside.behaves()
    await house.settled()
    _, (asked,) = await riverside.whereabouts(sent)
    assert asked["delivery"] == "delivered"
    assert "trouble" not in asked
