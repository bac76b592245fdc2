"""$status and $events of a Subscription, over HTTP: for whose it is, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from coordhub.routing import notice

TASKS = "urn:coordhub:subscription-topic:tasks"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def wish(level: str) -> dict[str, Any]:
    level_extension = {"url": f"{BACKPORT}backport-payload-content", "valueCode": level}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": TASKS,
        "channel": {
            "type": "rest-hook",
            "endpoint": "https://partner.example/hook",
            "payload": "application/fhir+json",
            "_payload": {"extension": [level_extension]},
        },
    }


async def subscribed(house: Any, level: str = "id-only") -> str:
    """A subscription that was reached, as the worker leaves it."""
    made = await house.near.ask("POST", "/Subscription", wish(level))
    assert made.status_code == 201, made.text
    await house.context.hub.engine.pool.execute(
        "update subscription set state = 'active', since = now() - interval '1 h'"
    )
    return f"Subscription/{made.json()['id']}"


@pytest.mark.parametrize("endpoint", ["https://[::1", "https://partner.example:99999/hook"])
async def test_given_no_address_as_its_endpoint_when_it_is_asked_for_then_422_says_so(
    house: Any, endpoint: str
) -> None:
    asked = wish("id-only")
    asked["channel"]["endpoint"] = endpoint
    refused = await house.near.ask("POST", "/Subscription", asked)
    assert (refused.status_code, "absolute https" in refused.text) == (422, True)


async def task(house: Any) -> str:
    made = await house.near.ask(
        "POST",
        "/Task",
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "description": "call back",
        },
    )
    assert made.status_code == 201, made.text
    return f"Task/{made.json()['id']}"


def parameters(resource: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (
            one["name"],
            next(
                (value for name, value in one.items() if name.startswith("value")), one.get("part")
            ),
        )
        for one in resource["parameter"]
    ]


async def test_given_a_subscription_when_asked_how_it_stands_then_its_own_organization_is_told(
    house,
):
    reference = await subscribed(house)
    await task(house)
    while await notice.follow(house.context.hub):
        pass
    told = await house.near.ask("GET", f"/{reference}/$status")
    assert told.status_code == 200, told.text
    [entry] = told.json()["entry"]
    shown = dict(parameters(entry["resource"]))
    assert (shown["status"], shown["type"], shown["topic"]) == ("active", "query-status", TASKS)
    assert shown["events-since-subscription-start"] == "1"
    everything = await house.near.ask("GET", "/Subscription/$status?status=active")
    assert everything.json()["total"] == 1
    assert (await house.near.ask("GET", "/Subscription/$status?status=off")).json()["total"] == 0
    assert (await house.near.ask("GET", "/Subscription/$status?status=x")).status_code == 400
    for path in (f"/{reference}/$status", f"/{reference}/$events"):
        assert (await house.far.ask("GET", path)).status_code == 404
    assert (await house.far.ask("GET", "/Subscription/$status")).json()["total"] == 0


async def test_given_events_when_asked_for_by_number_then_these_come_again(house):
    reference = await subscribed(house)
    made = [await task(house) for _ in range(4)]
    while await notice.follow(house.context.hub):
        pass
    told = await house.near.ask(
        "GET", f"/{reference}/$events?eventsSinceNumber=2&eventsUntilNumber=3"
    )
    assert told.status_code == 200, told.text
    body = told.json()
    found = [
        value
        for name, value in parameters(body["entry"][0]["resource"])
        if name == "notification-event"
    ]
    numbers = [
        part["valueString"] for event in found for part in event if part["name"] == "event-number"
    ]
    named = [
        part["valueReference"]["reference"]
        for event in found
        for part in event
        if part["name"] == "focus"
    ]
    assert numbers == ["2", "3"]
    assert [one.removeprefix("http://hub.example/fhir/") for one in named] == made[1:3]
    assert body["type"] == "history"
    less = await house.near.ask("GET", f"/{reference}/$events?content=empty")
    assert "focus" not in less.text
    more = await house.near.ask("GET", f"/{reference}/$events?content=full-resource")
    assert more.status_code == 400, "never more than was agreed on"
    odd = await house.near.ask("GET", f"/{reference}/$events?eventsSinceNumber=two")
    assert odd.status_code == 400


async def test_given_a_subscription_when_created_then_what_is_the_hubs_to_say_cannot_be_sent(house):
    refused = await house.near.ask("POST", "/Subscription", {**wish("id-only"), "status": "active"})
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Subscription.status"]
    without = wish("id-only")
    del without["channel"]["_payload"]
    refused = await house.near.ask("POST", "/Subscription", without)
    assert refused.json()["issue"][0]["expression"] == ["Subscription.channel.payload"]


async def test_given_a_secret_when_asked_for_then_it_is_shown_this_once_and_never_read(house):
    reference = await subscribed(house)
    made = await house.near.ask("POST", f"/{reference}/$rotate-secret")
    assert made.status_code == 200, made.text
    shown = dict(parameters(made.json()))
    assert shown["secret"].startswith("whsec_")
    assert "formerUntil" not in shown
    sent = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "secret", "valueString": f"whsec_{'QUJD' * 10}"},
            {"name": "overlap", "valueUnsignedInt": 60},
        ],
    }
    handed_in = await house.near.ask("POST", f"/{reference}/$rotate-secret", sent)
    assert handed_in.status_code == 200, handed_in.text
    assert sorted(dict(parameters(handed_in.json()))) == ["formerUntil", "since"]
    for secret in (shown["secret"], "QUJDQUJD"):
        for path in (f"/{reference}", f"/{reference}/_history", f"/{reference}/$status"):
            assert secret not in (await house.near.ask("GET", path)).text
        assert secret not in str(await house.audited())
    assert (await house.far.ask("POST", f"/{reference}/$rotate-secret")).status_code == 404
    for odd in ("my own words", "whsec_QUJD", f"whsec_{'!' * 40}"):
        sent["parameter"][0]["valueString"] = odd
        refused = await house.near.ask("POST", f"/{reference}/$rotate-secret", sent)
        assert (refused.status_code, odd in refused.text) == (400, False)
    narrow = house.near.narrow("system/Subscription.rs", house.context)
    refused = await house.near.ask("POST", f"/{reference}/$rotate-secret", token=narrow)
    assert refused.status_code == 403


async def test_given_events_that_were_sent_when_asked_for_again_then_they_are_due_and_others_are_not(
    house,
):
    reference = await subscribed(house)
    for _ in range(3):
        await task(house)
    while await notice.follow(house.context.hub):
        pass
    path = f"/{reference}/$resend?eventsSinceNumber=2&eventsUntilNumber=3"
    early = await house.near.ask("POST", path)
    assert early.status_code == 422, "none was sent yet"
    assert early.json()["issue"][0]["expression"] == ["http.eventsUntilNumber"]
    await house.context.hub.engine.pool.execute("update subscription set sent = 3")
    due = await house.near.ask("POST", path)
    assert due.status_code == 202, due.text
    assert due.json()["issue"][0]["diagnostics"] == "Events 2 to 3 are sent again."
    assert (await house.near.ask("POST", path)).status_code == 409
    assert (await house.far.ask("POST", path)).status_code == 404
    odd = await house.near.ask("POST", f"/{reference}/$resend?eventsSinceNumber=x")
    assert odd.status_code == 400
    await house.context.hub.engine.pool.execute("update subscription set state = 'error'")
    assert (await house.near.ask("POST", path)).status_code == 422


async def test_given_another_clients_token_when_it_pulls_then_it_is_told_what_its_own_scopes_allow(
    house,
):
    reference = await subscribed(house, "full-resource")
    named = await task(house)
    while await notice.follow(house.context.hub):
        pass

    async def pulls(words: str, path: str) -> Any:
        narrow = house.near.narrow(words, house.context)
        return await house.near.ask("GET", path, token=narrow)

    paths = (
        f"/{reference}/$events",
        f"/{reference}/$status",
        f"/Subscription/$status?id={reference[13:]}",
    )
    for path in (*paths, f"/{reference}/$get-ws-binding-token"):
        refused = await pulls("system/Subscription.rs", path)
        assert refused.status_code == 403, path
        assert 'scope="system/Task.r"' in refused.headers["www-authenticate"]
        assert named not in refused.text
    listed = await pulls("system/Subscription.rs", "/Subscription/$status")
    assert listed.json()["total"] == 0
    part = "system/Subscription.rs system/Task.rs?status="
    for status, is_shown in (("accepted", False), ("requested", True)):
        told = await pulls(f"{part}{status}", paths[0])
        assert told.status_code == 200, told.text
        assert '"event-number","valueString":"1"' in told.text
        assert (named in told.text) is is_shown
        assert len(told.json()["entry"]) == 1 + is_shown
