"""S23: what may not be done to a Task, and that trying changes nothing."""

from __future__ import annotations

import pytest

from coordhub.admin.acts import Operator, agree_on_profile
from coordhub.r4 import document as fhir_json


async def test_s23_given_a_request_when_its_recipient_skips_states_then_409_names_the_legal_ones(
    house,
):
    riverside, mounds = house.riverside, house.mounds
    sent, t2 = await house.given_asked(riverside, mounds)
    before = await house.stored()
    for status in ("completed", "in-progress", "on-hold", "failed", "ready"):
        refused = await mounds.tries(t2, status)
        assert refused.status_code == 409, (status, refused.text)
        (issue,) = refused.json()["issue"]
        assert issue["code"] == "business-rule"
        assert issue["expression"] == ["Task.status"]
        said = "Legal for you now, in profile r4: received, accepted, rejected, cancelled."
        assert said in issue["diagnostics"], issue["diagnostics"]
    await house.settled()
    assert {**await house.stored(), "delivery": 0} == {**before, "delivery": 0}
    assert (await mounds.read(t2))["meta"]["versionId"] == "1"
    assert (await riverside.read(sent.task))["status"] == "accepted"


async def test_s23_given_its_own_task_when_the_requester_answers_itself_then_409(house):
    riverside = house.riverside
    sent, t2 = await house.given_asked(riverside, house.mounds)
    for status in ("in-progress", "completed", "rejected", "requested"):
        refused = await riverside.tries(sent.task, status)
        assert refused.status_code == 409, (status, refused.text)
        (issue,) = refused.json()["issue"]
        assert (issue["code"], issue["expression"]) == ("business-rule", ["Task.status"])
        assert "cancelled" in issue["diagnostics"]
        assert "You may set status to cancelled" in issue["diagnostics"]
    # Nor may it answer for its recipient, whose Task it does not see
    assert not await riverside.sees(t2)


async def test_s23_given_one_who_may_answer_when_it_rewrites_the_request_then_403_names_each(
    house,
):
    mounds = house.mounds
    _, t2 = await house.given_asked(house.riverside, mounds)
    task = await mounds.read(t2)
    refused = await mounds.ask(
        "PUT",
        f"/{t2}",
        {**task, "status": "accepted", "description": "more", "priority": "stat"},
    )
    assert refused.status_code == 403, refused.text
    assert [issue["expression"] for issue in refused.json()["issue"]] == [
        ["Task.description"],
        ["Task.priority"],
    ]
    order = house.target(task["focus"])
    document = await mounds.read(order)
    refused = await mounds.ask("PUT", f"/{order}", {**document, "status": "completed"})
    assert refused.status_code == 422, "it is shown a part of it"
    del document["meta"]
    refused = await mounds.ask("PUT", f"/{order}", {**document, "status": "completed"})
    assert refused.status_code == 403, refused.text
    assert (await mounds.read(t2))["status"] == "requested"


async def test_s23_given_another_organization_when_it_asks_for_the_task_then_there_is_none(
    house,
):
    mounds, other = house.mounds, house.eastside
    _, t2 = await house.given_asked(house.riverside, mounds)
    task = await mounds.read(t2)
    absent = f"Task/{t2[5:7]}000000-0000-4000-8000-000000000000"
    assert (await other.ask("GET", f"/{t2}")).status_code == 404
    operations = fhir_json.encode([{"op": "replace", "path": "/status", "value": "accepted"}])
    for reference in (t2, absent):
        patched = await other.hub.patch(
            f"/fhir/{reference}",
            content=operations,
            headers={
                "Authorization": f"Bearer {other.token}",
                "Content-Type": "application/json-patch+json",
            },
        )
        assert patched.status_code == 404, patched.text
    for headers in ({}, {"If-Match": 'W/"1"'}):
        on_hidden = await other.ask(
            "PUT", f"/{t2}", {**task, "status": "accepted"}, headers=headers
        )
        on_absent = await other.ask(
            "PUT",
            f"/{absent}",
            {**task, "id": absent.partition("/")[2], "status": "accepted"},
            headers=headers,
        )
        assert on_hidden.status_code == on_absent.status_code
        assert 400 <= on_hidden.status_code < 500
        assert on_hidden.text.replace(t2, absent) == on_absent.text
    assert (await mounds.read(t2))["meta"]["versionId"] == "1"


async def test_s23_given_a_stale_version_when_it_is_put_then_412_and_no_change(house):
    riverside, lakeside = house.riverside, house.lakeside
    sent, t2 = await house.given_asked(riverside, lakeside)
    old = await lakeside.read(t2)
    await lakeside.answers(t2, "accepted")
    await house.settled()
    before = await house.stored()
    refused = await lakeside.ask(
        "PUT", f"/{t2}", {**old, "status": "rejected"}, headers={"If-Match": 'W/"1"'}
    )
    assert refused.status_code == 412, refused.text
    assert refused.headers["etag"] == 'W/"2"'
    (issue,) = refused.json()["issue"]
    assert issue["code"] == "conflict"
    assert (
        "It is accepted now. Legal for you now, in profile r4: rejected, cancelled, in-progress, on-hold, "
        "failed, completed." in issue["diagnostics"]
    )
    assert await house.stored() == before
    assert (await lakeside.read(t2))["status"] == "accepted"
    assert (await riverside.read(sent.task))["status"] == "in-progress"


@pytest.mark.parametrize(
    ("profile", "answered"),
    [("r4", 409), ("sdoh-cc", 409), ("360x", 409), ("bser", 200), ("cow", 200)],
)
async def test_s23_given_a_profile_when_ready_is_sent_then_only_bser_and_cow_may(
    house, profile, answered
):
    lakeside = house.lakeside
    await agree_on_profile(
        house.hub.engine, Operator("rosa"), lakeside.reference, profile, house.hub.clock()
    )
    _, t2 = await house.given_asked(house.riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    ready = await lakeside.tries(t2, "ready")
    assert ready.status_code == answered, ready.text
    if answered == 409:
        (issue,) = ready.json()["issue"]
        assert issue["code"] == "business-rule"
        assert f"profile {profile} does not send the status ready" in issue["diagnostics"]
        assert "Legal for you now" in issue["diagnostics"]
        assert (await lakeside.read(t2))["status"] == "accepted"
    else:
        assert (await lakeside.read(t2))["status"] == "ready"
        assert (await lakeside.tries(t2, "in-progress")).status_code == 200


async def test_s23_given_a_partner_of_gravity_when_it_rejects_what_it_began_then_failed_is_its_word(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    await agree_on_profile(
        house.hub.engine, Operator("rosa"), lakeside.reference, "sdoh-cc", house.hub.clock()
    )
    sent, t2 = await house.given_asked(riverside, lakeside)
    await lakeside.answers(t2, "accepted")
    await lakeside.answers(t2, "in-progress")
    refused = await lakeside.tries(t2, "rejected")
    assert refused.status_code == 409, refused.text
    assert "Say failed" in refused.json()["issue"][0]["diagnostics"]
    await lakeside.answers(t2, "failed")
    assert (await riverside.read(sent.task))["status"] == "failed"
