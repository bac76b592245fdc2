"""S24: prior results that a person at the holder releases, or does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coordhub.record.hub import system_clock
from coordhub.sandbox import demo
from coordhub.store import invariants

HREX = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
QUERY = "Observation?code=4548-4,2160-0&date=ge2026-05-22"


def coded(code):
    return {"coding": [{"system": HREX, "code": code}]}


async def patient_of(organization, number):
    document = {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:{organization.key}:mrn", "value": number}],
        "name": [{"family": "Doe", "given": ["Jane"]}],
        "birthDate": "1961-04-02",
    }
    made = await organization.ask("POST", "/Patient", document)
    assert made.status_code == 201, made.text
    return f"Patient/{made.json()['id']}"


def request(patient, owner, **elements):
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": coded("data-request"),
        "for": {"reference": patient},
        "owner": {"reference": owner.reference},
        "reasonCode": {"text": "Treatment"},
        "input": [{"type": coded("data-query"), "valueString": QUERY}],
        **elements,
    }


async def asks(organization, document):
    made = await organization.ask("POST", "/Task", document)
    assert made.status_code == 201, made.text
    return f"Task/{made.json()['id']}"


async def says(organization, task, status, **elements):
    """Whatever the hub says to that."""
    document = {**await organization.read(task), "status": status, **elements}
    document = {name: value for name, value in document.items() if value}
    return await organization.ask("PUT", f"/{task}", document)


def released(*references):
    return [{"type": coded("data-value"), "valueReference": {"reference": r}} for r in references]


async def test_s24_given_a_holder_when_its_clerk_releases_one_of_two_results_then_that_one_is_seen_until_taken_back(
    house,
):
    endo, hospital = house.lakeside, house.riverside
    hers, theirs = await patient_of(endo, "E-552"), await patient_of(hospital, "R-1")
    given = await hospital.reports(theirs, None)
    withheld = await hospital.reports(theirs, None, "8.1")
    task = await asks(endo, request(hers, hospital))
    # the hub brings it to the hospital's server, with whom it is about
    await house.settled()
    assert (await hospital.holds(task))["input"][0]["valueString"] == QUERY
    assert (await hospital.holds(hers))["birthDate"] == "1961-04-02"

    # a clerk looks, and tells when
    waits = {"text": "Results will be reviewed for release on Monday"}
    done = await says(hospital, task, "in-progress", businessStatus=waits)
    assert done.status_code == 200, done.text
    await house.settled()
    assert (await endo.holds(task))["businessStatus"] == waits
    assert not await endo.sees(given)

    # nothing is released by the way, nor without saying what, nor another's
    another = await hospital.reports(await patient_of(hospital, "R-2"), None)
    for status, output, at in (
        ("in-progress", released(given), "output"),
        ("completed", [], "output"),
        ("completed", released(hers), "output[0].valueReference"),
        ("completed", released(given, another), "output[0].valueReference"),
    ):
        refused = await says(hospital, task, status, output=output)
        assert refused.status_code in (409, 422), refused.text
        assert refused.json()["issue"][0]["expression"] == [f"Task.{at}"]
    # once it is known whose record is the same person's, what is of another is told apart
    link = {"other": {"reference": hers}, "type": "seealso"}
    linked = {**await hospital.read(theirs), "link": [link]}
    done = await hospital.ask("PUT", f"/{theirs}", linked)
    assert done.status_code == 200, done.text
    refused = await says(hospital, task, "completed", output=released(given, another))
    assert [one["expression"] for one in refused.json()["issue"]] == [
        ["Task.output[1].valueReference"]
    ]
    assert not await endo.sees(given)

    done = await says(hospital, task, "completed", output=released(given))
    assert done.status_code == 200, done.text
    await house.settled()
    held = await endo.holds(task)
    assert [house.target(one["valueReference"]) for one in held["output"]] == [given]
    assert (await endo.holds(given))["status"] == "final"
    assert (await endo.read(given))["subject"]["reference"] == theirs
    assert await endo.sees(theirs)
    assert not await endo.sees(withheld)
    assert [one["id"] for one in await endo.find(f"Observation?patient={theirs}")] == [
        given.partition("/")[2]
    ]
    # to show more it has to be asked again; taken back it is seen no more
    refused = await says(hospital, task, "completed", output=released(given, withheld))
    assert refused.status_code == 409, refused.text
    done = await says(hospital, task, "completed", output=released())
    assert done.status_code == 200, done.text
    assert [await endo.sees(one) for one in (given, theirs)] == [False, False]
    async with house.hub.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, house.hub.clock()) == []


async def test_s24_given_a_request_when_it_is_refused_or_cancelled_then_nothing_is_shown_and_the_reason_is(
    house,
):
    endo, hospital = house.lakeside, house.riverside
    hers, theirs = await patient_of(endo, "E-1"), await patient_of(hospital, "R-1")
    result = await hospital.reports(theirs, None)
    task = await asks(endo, request(hers, hospital))
    # who asks does not answer itself, nor changes what it has asked
    for status, elements, said in (
        ("completed", {"output": released(hers)}, "who holds the data"),
        ("requested", {"input": None}, "asked and stands"),
    ):
        refused = await says(endo, task, status, **elements)
        assert refused.status_code == 409, refused.text
        assert said in refused.text
    refused = await says(hospital, task, "rejected")
    assert refused.status_code == 422
    assert "Say why" in refused.text
    why = {"text": "nothing that may be released"}
    done = await says(hospital, task, "rejected", statusReason=why)
    assert done.status_code == 200, done.text
    assert (await endo.read(task))["statusReason"] == why
    assert not await endo.sees(result)
    assert not await hospital.sees(hers), "what it was told to find her by, it is told no more"
    refused = await says(hospital, task, "completed", output=released(result))
    assert refused.status_code == 409, refused.text
    assert (await endo.ask("DELETE", f"/{task}")).status_code == 409

    again = await asks(endo, request(hers, hospital))
    assert (await says(endo, again, "cancelled")).status_code == 200
    assert (await says(hospital, again, "completed", output=released(result))).status_code == 409
    assert not await endo.sees(result)

    nobody = await endo.ask("POST", "/Task", request(hers, endo))
    assert nobody.status_code == 422
    assert nobody.json()["issue"][0]["expression"] == ["Task.owner"]
    for lacking in ("for", "input", "owner"):
        document = request(hers, hospital)
        del document[lacking]
        refused = await endo.ask("POST", "/Task", document)
        assert refused.status_code == 422, refused.text
        assert refused.json()["issue"][0]["expression"] == [f"Task.{lacking}"]


async def test_s24_given_a_consent_by_which_it_was_asked_when_that_ends_then_nobody_is_asked_nor_shown_any_more(
    house, clock
):
    endo, agency, hospital = house.lakeside, await house.joins("agency"), house.riverside
    hers, theirs = await patient_of(endo, "E-1"), await patient_of(hospital, "R-1")
    moment = house.hub.clock().isoformat(timespec="milliseconds")
    consent = demo.consent(hers, endo.reference, [agency.reference], moment)
    made = await endo.ask("POST", "/Consent", consent)
    task = await asks(endo, request(hers, agency))
    other = await asks(endo, request(hers, hospital))
    assert await agency.sees(hers)
    ended = {**made.json(), "status": "inactive"}
    assert (await endo.ask("PUT", f"/Consent/{ended['id']}", ended)).status_code == 200
    held = await endo.read(task)
    assert held["status"] == "cancelled"
    assert held["statusReason"]["coding"][0]["code"] == "consent-withdrawn"
    assert not await agency.sees(hers)
    refused = await says(agency, task, "rejected", statusReason={"text": "too late"})
    assert refused.status_code == 409, refused.text
    assert (await endo.read(other))["status"] == "requested", "who treats is asked as before"

    # What was released is hidden by a Consent about that record, and after its time in any case
    given = await hospital.reports(theirs, None)
    assert (await says(hospital, other, "completed", output=released(given))).status_code == 200
    assert await endo.sees(given)
    denial = demo.consent(theirs, hospital.reference, [endo.reference], moment)
    denial["provision"]["type"] = "deny"
    denial["policyRule"]["coding"][0]["code"] = "OPTOUT"
    made = await hospital.ask("POST", "/Consent", denial)
    assert not await endo.sees(given)
    ended = {**made.json(), "status": "inactive"}
    assert (await hospital.ask("PUT", f"/Consent/{ended['id']}", ended)).status_code == 200
    assert await endo.sees(given)
    async with house.hub.engine.pool.acquire() as conn:
        ends = await conn.fetchval(
            "select max(g.until) from access_grant g join resource r on r.rid = g.rid"
            " where r.fhir_id = $1 and g.rule = 'result'",
            given.partition("/")[2],
        )
    assert timedelta(days=29) < ends - house.hub.clock() <= timedelta(days=30)


async def test_s24_given_a_victim_service_provider_when_asked_then_it_is_as_with_one_that_never_answers(
    house, safe
):
    endo = house.lakeside
    hers = await patient_of(endo, "E-1")
    refused = await endo.ask("POST", "/Task", request(hers, safe))
    other = await house.joins("another")  # a social service: it is not told without a Consent
    alike = await endo.ask("POST", "/Task", request(hers, other))
    assert refused.status_code == alike.status_code == 409
    assert refused.json()["issue"] == alike.json()["issue"]
    assert await safe.find("Task?code=data-request") == []


class Clock:
    ahead = timedelta()

    def __call__(self):
        return system_clock() + self.ahead


@pytest.fixture
def clock():
    return Clock()


async def test_s24_given_a_holder_that_is_silent_when_its_time_is_over_then_nobody_waits_for_it(
    house, clock
):
    endo, hospital = house.lakeside, house.riverside
    task = await asks(endo, request(await patient_of(endo, "E-1"), hospital))
    await house.settled()
    clock.ahead = timedelta(days=15)
    ended = await house.until(lambda: has_failed(endo, task))
    assert ended["statusReason"]["coding"][0]["code"] == "expired"


async def has_failed(organization, task):
    document = await organization.read(task)
    return document if document["status"] == "failed" else None
