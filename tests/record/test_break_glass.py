"""A record opened in an emergency: to whom, for what, for how long, and who is told."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import House, Party, connect_all, observation, patient

from coordhub.access.caller import Caller
from coordhub.errors import FhirError
from coordhub.record.break_glass import Emergency, Named, Opened, open_record
from coordhub.record.hub import Safeguards

V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
MRN = "urn:test:mrn"
BORN = "1980-02-03"


def labelled(subject: str, code: str, system: str = V3) -> dict[str, Any]:
    return observation(subject, meta={"security": [{"system": system, "code": code}]})


async def chart(house: House, value: str = "7", by: Party | None = None) -> dict[str, str]:
    by = by or house.clinic
    who = (await house.create(by, patient(value, birthDate=BORN))).reference
    made = {"patient": who, "plain": (await house.create(by, observation(who))).reference}
    for code in ("HIV", "PSY", "SEX", "SDV", "SUD"):
        made[code] = (await house.create(by, labelled(who, code))).reference
    shelter = labelled(who, "VSP", "urn:coordhub:sensitivity")
    made["VSP"] = (await house.create(by, shelter)).reference
    return made


def allowed(who: Party) -> Caller:
    return dataclasses.replace(who.caller, break_glass=True)


async def doctor(house: House) -> str:
    return (await house.create(house.kitchen, {"resourceType": "Practitioner"})).reference


def named(value: str = "7", birth_date: str = BORN) -> Named:
    return Named((MRN, value), birth_date, None)


async def emergency(house: House, **other: Any) -> Emergency:
    given: dict[str, Any] = {
        "purpose": "ETREAT", "reason": "SECRET-REASON", "practitioner": await doctor(house),
        "nature": "SECRET-NATURE",
    }  # fmt: skip
    return Emergency(**(given | other))


async def breaks(house: House, whom: Named, what: Emergency) -> Opened | None:
    return await open_record(house.hub, allowed(house.kitchen), whom, what)


async def seen(house: House, who: Party, made: dict[str, str]) -> set[str]:
    return {name for name, one in made.items() if await house.read(who, one) is not None}


async def test_given_an_emergency_when_the_glass_is_broken_then_all_but_a_shelters_is_seen(
    house: House,
) -> None:
    made, other = await chart(house), await chart(house, "8")
    assert await seen(house, house.kitchen, made) == set()
    opened = await breaks(house, named(), await emergency(house))
    assert opened is not None
    assert opened.patient == made["patient"]
    assert await seen(house, house.kitchen, made) == made.keys() - {"VSP"}
    assert await seen(house, house.kitchen, other) == set()
    assert await seen(house, house.stranger, made) == set()


async def test_given_no_stated_medical_emergency_when_broken_then_part_2_stays_closed(
    house: House,
) -> None:
    made = await chart(house)
    opened = await breaks(house, named(), await emergency(house, purpose="BTG"))
    assert opened is not None
    assert not opened.covers_part2
    assert await seen(house, house.kitchen, made) == made.keys() - {"VSP", "SUD"}


async def test_given_a_denial_to_everyone_when_broken_then_the_emergency_goes_first(
    house: House,
) -> None:
    made = await chart(house)
    denial = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"code": "OPTOUT"}]},
        "patient": {"reference": made["patient"]},
        "dateTime": "2026-01-01T00:00:00Z",
        "provision": {"type": "deny"},
    }
    await house.create(house.clinic, denial)
    await breaks(house, named(), await emergency(house))
    assert await seen(house, house.kitchen, made) == made.keys() - {"VSP"}


async def test_given_its_hour_when_over_then_the_record_is_closed(house: House) -> None:
    made = await chart(house)
    opened = await breaks(house, named(), await emergency(house))
    assert opened is not None
    [(since, until)] = await house.rows("select since, until from access_rule")
    assert until - since == timedelta(hours=1)
    assert until == opened.until
    await house.rows("update access_rule set until = now()")
    assert await seen(house, house.kitchen, made) == set()


async def test_given_a_reference_when_broken_then_it_names_the_patient(house: House) -> None:
    made = await chart(house)
    what = await emergency(house)
    assert await breaks(house, Named(None, "1980-02-04", made["patient"]), what) is None
    for birth_date in (None, BORN):
        assert await breaks(house, Named(None, birth_date, made["patient"]), what) is not None


async def test_given_nobody_several_or_a_shelters_patient_when_broken_then_nothing_and_a_row(
    house: House,
) -> None:
    made = await chart(house)
    await chart(house, "8")
    await chart(house, "8", house.pantry)
    vsp = await chart(house, "9", house.van)
    await house.rows(
        "insert into party (organization, kind) values ($1, 'vsp')"
        " on conflict (organization) do update set kind = 'vsp'",
        house.van.rid,
    )
    held = dataclasses.replace(house.pantry.caller, reference_policy="quarantine")
    nowhere = {"reference": "Organization/nowhere"}
    await house.create(held, patient("10", birthDate=BORN, managingOrganization=nowhere))
    assert await house.value("select count(*) from resource where quarantined") == 1
    what = await emergency(house)
    for whom in (
        named("10"), named("none"), named("7", "1980-02-04"), named("8"), named("9"), named("7|"), named("7,8"),
        Named(None, None, "Patient/none"), Named(None, None, vsp["patient"]),
        Named(None, None, made["plain"]),
    ):  # fmt: skip
        assert await breaks(house, whom, what) is None, whom
    assert await house.value("select count(*) from access_rule") == 0
    rows = await house.rows(
        "select outcome, fhir_id, rids from audit where interaction = '$break-glass'"
    )
    assert rows == [(404, None, [])] * 10


async def test_given_own_record_of_the_same_person_when_broken_then_the_others_is_meant(
    house: House,
) -> None:
    made = await chart(house)
    await chart(house, "7", house.kitchen)
    opened = await breaks(house, named(), await emergency(house))
    assert opened is not None
    assert opened.patient == made["patient"]


async def test_given_who_may_not_when_it_tries_then_403(house: House) -> None:
    await chart(house)
    what = await emergency(house)
    with pytest.raises(FhirError) as caught:
        await open_record(house.hub, house.kitchen.caller, named(), what)
    assert caught.value.status == 403
    await house.rows("update party set kind = 'social' where organization = $1", house.kitchen.rid)
    with pytest.raises(FhirError) as caught:
        await breaks(house, named(), what)
    assert caught.value.status == 403
    unseen = await house.create(house.clinic, {"resourceType": "Practitioner"})
    await house.rows("update party set kind = 'treatment'")
    for text in (unseen.reference, "Practitioner/none", house.kitchen.reference, "x"):
        with pytest.raises(FhirError) as caught:
            await breaks(house, named(), await emergency(house, practitioner=text))
        assert caught.value.status == 422


async def test_given_more_tries_than_an_hour_has_when_made_at_once_then_no_more_are_looked_into(
    house: House,
) -> None:
    await chart(house)
    hub = dataclasses.replace(house.hub, safeguards=Safeguards(break_glass_attempts=3))
    what = await emergency(house)
    await connect_all(house)
    ends = await asyncio.gather(
        *(open_record(hub, allowed(house.kitchen), named("none"), what) for _ in range(6)),
        return_exceptions=True,
    )
    assert ends.count(None) == 3
    refused = [one for one in ends if isinstance(one, FhirError)]
    assert [one.status for one in refused] == [429] * 3
    assert refused[0].headers["Retry-After"] == "3600"
    # another organization is not held up, and the next hour neither
    assert await open_record(hub, allowed(house.clinic), named("none"), dataclasses.replace(
        what, practitioner=(await house.create(house.clinic, {"resourceType": "Practitioner"})).reference
    )) is None  # fmt: skip
    house.clock.ahead = timedelta(hours=2)
    assert await open_record(hub, allowed(house.kitchen), named(), what) is not None


async def test_given_a_broken_glass_when_told_then_holder_and_caller_see_a_notice_without_the_reason(
    house: House,
) -> None:
    made = await chart(house)
    what = await emergency(house)
    opened = await breaks(house, named(), what)
    assert opened is not None
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": made["patient"]},
        "participant": [{"member": {"reference": house.pantry.reference}}],
    }
    await house.create(house.clinic, team)
    for who, told in (
        (house.clinic, True), (house.kitchen, True), (house.pantry, False), (house.stranger, False),
    ):  # fmt: skip
        assert (await house.read(who, opened.notice) is not None) is told, who.name
    notice = await house.document(opened.notice)
    assert notice["reasonCode"][0]["coding"][0]["code"] == "ETREAT"
    assert [one["reference"] for one in notice["recipient"]] == [
        house.clinic.reference, house.kitchen.reference,
    ]  # fmt: skip
    bodies = await house.rows(
        "select body from resource union all select body from resource_version"
    )
    assert not [body for (body,) in bodies if body and "SECRET" in body]
    [(query, rids, client)] = await house.rows(
        "select query, rids, client from audit where interaction = '$break-glass'"
    )
    said = parse_qs(query)
    assert said["reason"] == ["SECRET-REASON"]
    assert said["emergency"] == ["SECRET-NATURE"]
    assert said["practitioner"] == [what.practitioner]
    assert opened.rid in rids
    assert client == "kitchen"
