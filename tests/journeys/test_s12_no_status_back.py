"""S12: a victim service provider answers, and who referred learns nothing of it without a release."""

from __future__ import annotations

import pytest

SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"


def referral(house, safe):
    bundle = house.referral(house.riverside, safe.reference)
    order = next(
        each["resource"]
        for each in bundle["entry"]
        if each["resource"]["resourceType"] == "ServiceRequest"
    )
    order["orderDetail"] = [{"coding": [{"system": SDOH, "code": "contacting-subject-prohibited"}]}]
    return bundle


async def accepts_and_completes(safe, task):
    await safe.answers(task, "accepted")
    await safe.answers(task, "in-progress")
    await safe.answers(task, "completed")


async def declines(safe, task):
    await safe.answers(task, "rejected")


async def accepts(safe, task):
    await safe.answers(task, "accepted")


async def does_not_answer(safe, task):
    await safe.read(task)


OUTCOMES = (accepts_and_completes, declines, accepts, does_not_answer)


async def seen_by_sender(house, sent):
    """All that the sender can read of its referral, texts as they come."""
    riverside = house.riverside
    kind, _, fhir_id = sent.task.partition("/")
    paths = (
        f"/{sent.task}", f"/{sent.task}/_history", f"/{sent.task}/$status-of-referral",
        f"/{sent.order}/_history", f"/Task?_id={fhir_id}", f"/Task?part-of={sent.task}",
        f"/Task?_id={fhir_id}&_revinclude=Task:part-of&_include=*", f"/{sent.patient}/$everything",
        f"/Procedure?patient={sent.patient}", "/Task?_summary=count", "/Procedure?_summary=count",
        "/Consent?_summary=count", f"/Task?_lastUpdated=ge2020-01-01&_id={fhir_id}",
        f"/Provenance?patient={sent.patient}",
    )  # fmt: skip
    answers = []
    for path in paths:
        answered = await riverside.ask("GET", path)
        assert answered.status_code in (200, 404), answered.text
        headers = {
            name: answered.headers.get(name) for name in ("etag", "last-modified", "content-length")
        }
        answers.append((path, answered.status_code, headers, answered.content))
    return answers


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_s12_given_whatever_the_provider_does_when_the_sender_looks_then_it_is_what_it_was(
    house, safe, outcome
):
    sent = await house.riverside.refers(referral(house, safe))
    task = await house.until(lambda: safe.asked(sent))
    await house.settled()
    before = await seen_by_sender(house, sent)
    told = len(await house.riverside.received())

    await outcome(safe, task)
    await house.settled()

    after = await seen_by_sender(house, sent)
    for then, now in zip(before, after, strict=True):
        if "/$everything" in then[0] or "_summary" in then[0] or "?" in then[0]:
            assert _timeless(now[3]) == _timeless(then[3]), then[0]
        else:
            assert now == then
    assert len(await house.riverside.received()) == told
    mine = await house.riverside.read(sent.task)
    assert mine["status"] == "accepted"
    assert mine["businessStatus"]["coding"][0]["code"] == "delivered-to-service"
    _, (asked,) = await house.riverside.whereabouts(sent)
    assert asked["status"] == "requested"
    assert not {"seen", "accepted", "ended"} & asked.keys()


def _timeless(body):
    """A Bundle without the ids and times that each answer has of its own."""
    import re

    text = body.decode()
    text = re.sub(r'^\{"resourceType":"Bundle","id":"[^"]*"', "{", text)
    text = re.sub(r'"meta":\{"lastUpdated":"[^"]*"\},"type"', '"type"', text)
    return re.sub(r"(_page|_at|__t)=[^\"&]*", "", text)
