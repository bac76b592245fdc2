"""Who of a directory of many services is found for what is asked, and why not the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import open_hub
import pytest
from open_hub import House, Party

from coordhub.directory.matching import prospects
from coordhub.record.operations import Create
from coordhub.referral.matching import Prospect
from coordhub.referral.offered import CAPACITY_STATUS
from coordhub.store.offers import AFFILIATION
from coordhub.store.resources import Version

SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
NEED = {
    "resourceType": "ServiceRequest",
    "category": [{"coding": [{"system": SDOH, "code": "food-insecurity"}]}],
}
PATIENT = {"resourceType": "Patient", "address": [{"postalCode": "74101", "state": "OK"}]}


async def matched(
    house: House, request: Any = NEED, policy: str = "opt-out", **given: Any
) -> dict[str, Prospect]:
    """By recipient, in their order. policy: what absent consent means."""
    given = {"sender": house.clinic.rid, "now": house.clock(), **given}
    async with house.engine.pool.acquire() as conn, conn.transaction():
        await conn.execute("select set_config('coordhub.consent_policy', $1, true)", policy)
        found = await prospects(conn, request, given.pop("patient", PATIENT), **given)
    return {one.recipient: one for one in found}


async def service(
    house: House, of: Party, domain: str | None = "food-insecurity", **more: Any
) -> str:
    if domain is not None:
        more["category"] = [{"coding": [{"system": SDOH, "code": domain}]}]
    document = {
        "resourceType": "HealthcareService",
        "providedBy": {"reference": of.reference},
        **more,
    }
    return (await house.create(house.steward, document)).reference  # fmt: skip


async def area(house: House, **address: str) -> list[dict[str, str]]:
    made = await house.create(house.steward, {"resourceType": "Location", "address": address})
    return [{"reference": made.reference}]


async def test_given_services_when_matched_then_those_of_the_kind_and_those_that_do_not_say(
    house: House,
) -> None:
    pantry = await service(house, house.pantry)
    shelter = await service(house, house.kitchen, "homelessness")
    unsaid = await service(house, house.van, None, name="Helping hands")
    found = await matched(house)
    assert pantry in found
    assert shelter not in found
    assert found[unsaid].verdict == "in"
    assert "kind-not-stated" in {one.code for one in found[unsaid].findings}
    assert list(found).index(pantry) < list(found).index(unsaid)
    assert await matched(house, {"resourceType": "ServiceRequest", "code": {"text": "help"}}) == {}


async def test_given_an_area_that_is_not_the_patient_s_when_matched_then_out_and_it_says_so(
    house: House,
) -> None:
    here = await service(house, house.pantry, coverageArea=await area(house, postalCode="74101"))
    away = await service(house, house.kitchen, coverageArea=await area(house, postalCode="90210"))
    unsaid = await service(house, house.van)
    found = await matched(house)
    assert [found[one].verdict for one in (here, unsaid, away)] == ["in", "in", "out"]
    assert found[away].reasons == ("out-of-area",)
    order = list(found)
    assert order.index(here) < order.index(unsaid) < order.index(away)


async def test_given_what_a_member_wrote_itself_and_what_is_deleted_when_matched_then_neither(
    house: House,
) -> None:
    mine = await house.create(
        house.clinic,
        {
            "resourceType": "HealthcareService",
            "category": NEED["category"],
            "providedBy": {"reference": house.kitchen.reference},
        },
    )
    assert mine.reference not in await matched(house)


async def test_given_an_organization_that_is_not_active_when_matched_then_its_service_is_out(
    house: House,
) -> None:
    made = await service(house, house.pantry)
    document = {**await house.document(house.pantry.reference), "active": False}
    await house.update(house.steward, document["id"], document)
    assert (await matched(house))[made].reasons == ("inactive",)


async def agreement(house: House, takes: Party, of: Party, **more: Any) -> None:
    system, code = AFFILIATION
    await house.create(
        house.steward,
        {
            "resourceType": "OrganizationAffiliation",
            "organization": {"reference": takes.reference},
            "participatingOrganization": {"reference": of.reference},
            "code": [{"coding": [{"system": system, "code": code}]}],
            **more,
        },
    )


async def test_given_who_takes_referrals_of_some_only_when_matched_then_out_for_all_others(
    house: House,
) -> None:
    open_to_all = await service(house, house.kitchen)
    by_agreement = await service(house, house.pantry)
    beside = await service(house, house.van)
    limited = await service(house, house.van)
    await agreement(house, house.pantry, house.stranger)
    await agreement(house, house.van, house.stranger, healthcareService=[{"reference": limited}])
    await agreement(house, house.kitchen, house.stranger, period={"end": "2020-01-01"})
    await agreement(house, house.kitchen, house.stranger, active=False)
    found = await matched(house)
    assert found[by_agreement].reasons == ("no-agreement",)
    assert found[limited].reasons == ("no-agreement",)
    assert (found[open_to_all].verdict, found[beside].verdict) == ("in", "in")
    theirs = await matched(house, sender=house.stranger.rid)
    assert (theirs[by_agreement].verdict, theirs[limited].verdict) == ("in", "in")
    await agreement(house, house.pantry, house.clinic)
    assert (await matched(house))[by_agreement].verdict == "in"


async def test_given_something_waits_to_be_delivered_when_matched_then_its_recipient_is_out(
    house: House,
) -> None:
    made = await service(house, house.pantry)
    await house.asking(house.pantry.service)
    assert (await matched(house))[made].verdict == "in"
    await house.by_owner(
        "update delivery set state = 'queued', settled_at = null, attempts = 3,"
        f" created_at = now() - interval '5 hours' where organization = {house.pantry.rid}"
    )
    assert (await matched(house))[made].reasons == ("unreachable",)


async def test_given_a_patient_who_denies_one_when_matched_then_that_one_is_out_and_why(
    house: House,
) -> None:
    sent = await house.refer(house.pantry.service)
    version = await house.read(house.clinic, sent.patient)
    assert isinstance(version, Version)
    made = [await service(house, one) for one in (house.pantry, house.kitchen, house.van)]
    for kind, who in (("permit", house.kitchen), ("deny", house.pantry)):
        await house.commit(
            house.clinic, Create("Consent", consent(sent.patient, kind, who.reference))
        )
    found = await matched(house, policy="opt-in", subject=version.rid)
    assert found[made[0]].reasons == ("patient-declined",)
    assert found[made[1]].verdict == "in"
    assert found[made[2]].reasons == ("consent-missing",)
    by_default = await matched(house, policy="opt-out", subject=version.rid)
    assert [by_default[one].verdict for one in made] == ["out", "in", "in"]
    nobody = await matched(house, policy="opt-in")
    assert [nobody[one].verdict for one in made] == ["in", "in", "in"]


def consent(patient: str, kind: str, who: str) -> dict[str, Any]:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    role = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
        ]
    }
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": patient},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": act, "code": "OPTIN" if kind == "permit" else "OPTOUT"}]},
        "provision": {"type": kind, "actor": [{"role": role, "reference": {"reference": who}}]},
    }  # fmt: skip


@pytest.mark.parametrize("domain", ["food-insecurity", "intimate-partner-violence"])
async def test_given_a_victim_service_provider_when_matched_then_for_what_is_theirs_only(
    house: House, domain
) -> None:
    safe = await service(
        house, house.kitchen, domain, coverageArea=await area(house, postalCode="90210")
    )
    await house.by_owner(
        f"insert into party (organization, kind) values ({house.kitchen.rid}, 'vsp')"
        " on conflict (organization) do update set kind = 'vsp'"
    )
    request = {**NEED, "category": [{"coding": [{"system": SDOH, "code": domain}]}]}
    found = await matched(house, request)
    if domain == "food-insecurity":
        assert safe not in found
    else:
        assert found[safe].verdict == "in"
        assert {one.criterion for one in found[safe].findings} == {"kind", "area"}


async def refused(house: House, who: Party, recipient: str, domain: str, reason: str) -> None:
    """`who`, addressed so, is asked for what is of this domain, and declines for this reason."""
    operations = open_hub.referral([recipient], requester=house.clinic.reference)
    category = [{"coding": [{"system": SDOH, "code": domain}]}]
    order = operations[2]
    assert isinstance(order, Create)
    operations[2] = replace(order, document={**order.document, "category": category})
    written = await house.commit(house.clinic, *operations)
    sent = open_hub.Referral(house, *(one.reference for one in written))
    await house.relay()
    coding = {"system": "urn:coordhub:task-status-reason", "code": reason}
    await sent.answer(who, "rejected", statusReason={"coding": [coding], "text": reason})


async def test_given_a_refusal_for_want_of_capacity_when_matched_then_that_service_is_out_for_a_day(
    house: House,
) -> None:
    full = await service(house, house.pantry)
    beside = await service(house, house.pantry)
    other = await service(house, house.kitchen)
    await refused(house, house.pantry, full, "food-insecurity", "no-capacity")
    await refused(house, house.kitchen, other, "food-insecurity", "not-eligible")
    found = await matched(house)
    assert found[full].reasons == ("no-capacity-refused",)
    assert (found[beside].verdict, found[other].verdict) == ("in", "in")
    house.clock.ahead = timedelta(hours=24)
    later = await matched(house)
    assert later[full].verdict == "in"
    assert "capacity-out-of-date" in {one.code for one in later[full].findings}


async def test_given_an_organization_that_refused_when_matched_then_its_services_of_that_kind_are_out(
    house: House,
) -> None:
    food, shelter = await service(house, house.pantry), await service(house, house.pantry, "stress")
    await refused(house, house.pantry, house.pantry.reference, "food-insecurity", "no-capacity")
    assert (await matched(house))[food].verdict == "out"
    stress = {**NEED, "category": [{"coding": [{"system": SDOH, "code": "stress"}]}]}
    assert (await matched(house, stress))[shelter].verdict == "in"


async def test_given_a_victim_service_provider_that_refused_when_matched_then_nothing_shows_it(
    house: House,
) -> None:
    safe = await service(house, house.kitchen, "intimate-partner-violence")
    need = {
        **NEED,
        "category": [{"coding": [{"system": SDOH, "code": "intimate-partner-violence"}]}],
    }
    await refused(house, house.kitchen, safe, "intimate-partner-violence", "no-capacity")
    assert (await matched(house, need))[safe].verdict == "out"
    await house.by_owner(
        f"insert into party (organization, kind) values ({house.kitchen.rid}, 'vsp')"
        " on conflict (organization) do update set kind = 'vsp'"
    )
    assert (await matched(house, need))[safe].verdict == "in"


async def test_given_a_statement_of_the_directory_when_matched_then_it_counts_until_it_is_old(
    house: House,
) -> None:
    status = {"coding": [{"system": SDOH, "code": "no-capacity"}]}
    part = {"url": "capacityStatus", "valueCodeableConcept": status}
    made = await service(
        house, house.pantry, extension=[{"url": CAPACITY_STATUS, "extension": [part]}]
    )
    assert (await matched(house))[made].reasons == ("no-capacity",)
    house.clock.ahead = timedelta(hours=73)
    assert (await matched(house))[made].verdict == "in"


async def test_given_two_who_answered_when_matched_then_who_accepts_more_comes_first(
    house: House,
) -> None:
    never = await service(house, house.pantry)
    always = await service(house, house.kitchen)
    for who, status in ((house.pantry, "rejected"), (house.kitchen, "accepted")):
        await house.by_owner(
            "insert into candidate (episode, ordinal, shard, organization, recipient, task, request, status,"
            " need, wave, asked_at, accepted_at, ended_at)"
            f" select {who.rid}, n, 0, {who.rid}, 'x', {who.rid} * 100 + n, 0, '{status}', 0, 1,"
            " now() - interval '9 days', case when '{0}' = 'accepted' then now() - interval '9 days' end,"
            " case when '{0}' = 'rejected' then now() end from generate_series(1, 12) n".format(status)
        )  # fmt: skip
    found = await matched(house)
    assert list(found).index(always) < list(found).index(never)
    assert found[always].score > found[never].score


async def test_given_many_services_when_matched_then_with_as_many_statements_as_for_few(
    house: House,
) -> None:
    async def statements() -> int:
        said: list[object] = []
        async with house.engine.pool.acquire() as conn:
            with conn.query_logger(said.append):
                await prospects(
                    conn, NEED, PATIENT, sender=house.clinic.rid, now=house.clock(), subject=patient
                )
        await asyncio.sleep(0)  # the connection tells of the last in the next turn of the loop
        return len(said)

    sent = await house.refer(house.pantry.service)
    patient = await house.value(
        "select rid from resource where fhir_id = $1", sent.patient.partition("/")[2]
    )
    await service(house, house.pantry, coverageArea=await area(house, postalCode="74101"))
    few = await statements()
    for number in range(40):
        await service(
            house, house.kitchen, coverageArea=await area(house, postalCode=f"{74101 + number}")
        )
    assert await statements() == few == 4
