"""S28: who is enrolled already, or being referred by another clinic, is not referred again without knowing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.operations import Create
from coordhub.sandbox import demo
from coordhub.sandbox.members import SDOH
from coordhub.store import cards
from coordhub.store.cards import Ordering
from coordhub.store.visibility import DIRECTORY

PROGRAMS = "urn:example:programs"
WIC = {"coding": [{"system": PROGRAMS, "code": "WIC"}]}


def domain(code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": SDOH, "code": code}]}]


async def listed(house, document: dict[str, Any]) -> str:
    """What the steward of the directory writes."""
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    create = Create(document["resourceType"], document)
    done = await commit(house.hub, steward, [create], interaction="create")
    return done.written[0].reference


async def made(sender, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


def order(patient: str, need: str, *performers: str) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": domain(need),
        "code": {"text": "help"},
        "subject": {"reference": patient},
        **({"performer": [{"reference": one} for one in performers]} if performers else {}),
    }


def task(focus: str, patient: str, sender: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": focus},
        "for": {"reference": patient},
        "requester": {"reference": sender},
        **more,
    }


async def refers(sender, patient: str, need: str, *performers: str, **more: Any) -> tuple[str, str]:
    request = await made(sender, order(patient, need, *performers))
    return request, await made(sender, task(request, patient, sender.reference, **more))


async def permits(house, patient: str, *who) -> str:
    moment = house.hub.clock().isoformat(timespec="milliseconds")
    names = [one.reference for one in who]
    return await made(
        house.riverside, demo.consent(patient, house.riverside.reference, names, moment)
    )


async def route(sender, request: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What is told of duplicates, by code; and of each candidate its findings, by recipient."""
    answered = await sender.ask("GET", f"/{request}/$route")
    assert answered.status_code == 200, answered.text
    duplicates, candidates = {}, {}
    for one in answered.json()["parameter"]:
        parts = {part["name"]: part for part in one.get("part", [])}
        if one["name"] == "duplicate":
            duplicates[parts["code"]["valueCode"]] = parts
        elif one["name"] == "candidate":
            candidates[parts["recipient"]["valueReference"]["reference"]] = [
                tuple(each["valueCode"] for each in part["part"])
                for part in one["part"]
                if part["name"] == "finding"
            ]
    return duplicates, candidates


async def given_one_who_is_served(house) -> tuple[str, str, str, str]:
    """A patient of Riverside's, enrolled in WIC as Lakeside has it, and referred by Lakeside to the pantry."""
    riverside, lakeside = house.riverside, house.lakeside
    office = await house.joins("wic")
    wic = await listed(
        house,
        {
            "resourceType": "HealthcareService",
            "providedBy": {"reference": office.reference},
            "category": domain("food-insecurity"),
            "program": [WIC],
        },
    )
    pantry = await house.service_of(house.mounds)
    patient = await made(riverside, {"resourceType": "Patient", "name": [{"family": "Example"}]})
    await permits(house, patient, riverside, lakeside, house.mounds, office)
    enrolment = await made(
        lakeside,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": WIC,
            "subject": {"reference": patient},
            "focus": [{"reference": wic}],
            "effectiveDateTime": "2026-10-01",
            "valueCodeableConcept": {"coding": [{"system": SDOH, "code": "enrolled"}]},
        },
    )
    await refers(lakeside, patient, "food-insecurity", pantry)
    await house.settled()
    return patient, enrolment, wic, pantry


async def test_s28_given_who_is_served_already_when_riverside_refers_then_it_knows_before_it_sends(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    patient, enrolment, wic, pantry = await given_one_who_is_served(house)

    # When Riverside is about to refer to WIC and to the pantry
    request = await made(riverside, order(patient, "food-insecurity"))
    before = await house.stored()
    duplicates, candidates = await route(riverside, request)
    # Then: already enrolled since 1 October, and an open referral by Lakeside, and since when
    assert duplicates.keys() == {"already-enrolled", "open-referral"}
    enrolled, opened = duplicates["already-enrolled"], duplicates["open-referral"]
    assert enrolled["evidence"]["valueReference"]["reference"] == enrolment
    assert enrolled["service"]["valueReference"]["reference"] == wic
    assert enrolled["since"]["valueInstant"].startswith("2026-10-01")
    assert opened["by"]["valueReference"]["reference"] == lakeside.reference
    assert "since" in opened
    assert ("duplicate", "unknown", "already-enrolled") in candidates[wic]
    assert ("duplicate", "unknown", "open-referral") in candidates[pantry]
    # Nobody was asked, and that it was told is written down
    assert await house.stored() == before
    asked = await house.value(
        "select query from audit where interaction = '$route' order by seq desc limit 1"
    )
    assert asked == "duplicate=already-enrolled&duplicate=open-referral"

    # And the ledger has it: of whom, for what; whether Riverside went on all the same is seen by what it sends
    [told] = await house.rows("select id, kind, code, question, patient from card")
    assert (told["kind"], told["code"]) == ("service", "food-insecurity")
    async with house.hub.engine.pool.acquire() as conn:
        view = viewer.as_organization(
            await house.value(
                "select rid from resource where fhir_id = $1",
                riverside.reference.partition("/")[2],
            )
        )
        asked_for = Ordering(
            told["id"], [told["patient"]], [(SDOH, "food-insecurity")],
            house.hub.clock() - timedelta(minutes=5), house.hub.clock() + timedelta(days=30), True,
        )  # fmt: skip
        others = asked_for._replace(since=house.hub.clock())
        assert await cards.ordered(conn, view, [asked_for]) == {told["id"]}, "Lakeside's is seen"
        assert await cards.ordered(conn, view, [others]) == set()
        await made(riverside, task(request, patient, riverside.reference))
        assert await cards.ordered(conn, view, [others]) == {told["id"]}


async def test_s28_given_no_consent_or_a_need_of_violence_when_asked_then_no_warning_tells_of_it(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    patient, _, _, _ = await given_one_who_is_served(house)
    request = await made(riverside, order(patient, "food-insecurity"))
    assert len((await route(riverside, request))[0]) == 2

    # When the patient no longer lets Riverside see what others wrote
    moment = house.hub.clock().isoformat(timespec="milliseconds")
    denial = demo.consent(patient, riverside.reference, [riverside.reference], moment)
    denial["provision"]["type"] = "deny"
    denial["policyRule"]["coding"][0]["code"] = "OPTOUT"
    await made(riverside, denial)
    # Then what it may not see is as if it were not there
    assert (await route(riverside, request))[0] == {}

    # Given a referral of Lakeside's for what is never told, and Riverside may see all else
    await permits(house, patient, riverside, lakeside, house.harbor)
    hotline = await house.service_of(house.harbor)
    await refers(lakeside, patient, "intimate-partner-violence", hotline)
    await house.settled()
    same = await made(riverside, order(patient, "intimate-partner-violence"))
    duplicates, candidates = await route(riverside, same)
    assert duplicates == {}
    assert hotline in candidates
    assert not [one for each in candidates.values() for one in each if one[0] == "duplicate"]


async def test_s28_given_the_warning_when_riverside_goes_on_all_the_same_then_it_is_kept_with_the_referral(
    house,
):
    riverside = house.riverside
    patient, _, wic, pantry = await given_one_who_is_served(house)
    # When Riverside goes on, and says why
    reason = {"text": "moved to another household"}
    _, sent = await refers(riverside, patient, "food-insecurity", pantry, wic, reasonCode=reason)
    await house.settled()
    # Then it is asked for, and what was known stands with it, in codes
    assert (await riverside.read(sent))["reasonCode"] == reason
    kept = {
        row["recipient"]: row["findings"]
        for row in await house.rows(
            "select p.recipient, p.findings from prospect p join resource r on r.rid = p.episode"
            " where r.fhir_id = $1",
            sent.partition("/")[2],
        )
    }
    assert '"code":"already-enrolled"' in kept[wic]
    assert '"code":"open-referral"' in kept[pantry]


async def test_given_nobody_named_when_riverside_refers_then_the_hub_finds_who_can_help(house):
    riverside = house.riverside
    patient = await made(riverside, {"resourceType": "Patient", "name": [{"family": "Example"}]})
    await permits(house, patient, house.mounds)
    request, sent = await refers(riverside, patient, "food-insecurity")
    await house.settled()
    asked = await house.mounds.find(f"Task?part-of={sent}")
    assert len(asked) == 1
    pantry = await house.service_of(house.mounds)
    assert house.target(asked[0]["owner"]) == pantry
    # And it is whom the dry run names first
    _, candidates = await route(riverside, request)
    assert next(iter(candidates)) == pantry


async def test_given_violence_when_nobody_is_named_then_the_hotline_is_found_and_who_may_not_know_learns_nothing(
    house, safe
):
    riverside = house.riverside
    patient = await made(riverside, {"resourceType": "Patient", "name": [{"family": "Example"}]})
    await permits(house, patient, safe, house.mounds, house.lakeside)
    _, sent = await refers(riverside, patient, "intimate-partner-violence")
    await house.settled()
    assert len(await safe.find(f"Task?part-of={sent}")) == 1
    security = (await riverside.read(sent))["meta"]["security"]
    assert "SDV" in {one["code"] for one in security}
    assert not await house.lakeside.sees(sent)
    # For anything else it is not found, nor named among those who are out
    request, other = await refers(riverside, patient, "food-insecurity")
    await house.settled()
    assert await safe.find(f"Task?part-of={other}") == []
    _, candidates = await route(riverside, request)
    assert await house.service_of(safe) not in candidates
