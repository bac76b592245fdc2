"""A stay in hospital and a plan of care are told to those around the patient, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, patient

from coordhub.record.operations import Delete, Written
from coordhub.referral.stays import ACT_CODES

Document = dict[str, Any]

SDOH = {
    "coding": [
        {"system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "code": "sdoh"}
    ]
}


def stay(subject: str, status: str = "in-progress", **elements: Any) -> Document:
    return {
        "resourceType": "Encounter",
        "status": status,
        "class": {"system": ACT_CODES, "code": "IMP"},
        "subject": {"reference": subject},
        **elements,
    }


def team(subject: str, *members: Party, **elements: Any) -> Document:
    return {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": subject},
        "participant": [{"member": {"reference": one.reference}} for one in members],
        **elements,
    }


def goal(subject: str, **elements: Any) -> Document:
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "category": [SDOH],
        "description": {"text": "food for the month"},
        "subject": {"reference": subject},
        **elements,
    }


def plan(subject: str, teams: list[str], goals: list[str], **elements: Any) -> Document:
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "category": [SDOH],
        "subject": {"reference": subject},
        "careTeam": [{"reference": one} for one in teams],
        **({"goal": [{"reference": one} for one in goals]} if goals else {}),
        "note": [{"text": "not for everyone"}],
        **elements,
    }


async def told(house: House, written: Written) -> list[str]:
    await house.relay()
    rows = await house.rows(
        "select r.body::jsonb ->> 'name' from delivery d join resource r on r.rid = d.organization"
        " where d.rid = $1 and d.version = $2 order by 1",
        written.rid,
        written.version,
    )
    return [row[0] for row in rows]


async def seen_by(house: House, reference: str) -> set[str]:
    return {
        one.name
        for one in (house.clinic, house.kitchen, house.pantry, house.van, house.stranger)
        if await house.read(one, reference) is not None
    }


async def a_social(house: House) -> Party:
    """The pantry, which does not treat."""
    await house.by_owner(
        f"update party set kind = 'social' where organization = {house.pantry.rid}"
    )
    return house.pantry


async def test_given_a_team_and_one_at_work_when_somebody_is_admitted_and_discharged_then_they_are_told(
    house: House,
) -> None:
    sent = await house.asking(house.van.service)
    await sent.answer(house.van, "accepted")
    await house.create(house.clinic, team(sent.patient, house.clinic, house.kitchen))
    made = await house.create(house.kitchen, stay(sent.patient))
    assert await told(house, made) == ["clinic", "van"]
    same = {
        **await house.document(made.reference),
        "hospitalization": {"origin": {"display": "ward"}},
    }
    assert await told(house, await house.update(house.kitchen, made.id, same)) == []
    gone = {**same, "status": "finished"}
    assert await told(house, await house.update(house.kitchen, made.id, gone)) == ["clinic", "van"]
    wrong = {**same, "status": "entered-in-error"}
    assert await told(house, await house.update(house.kitchen, made.id, wrong)) == ["clinic", "van"]
    assert await seen_by(house, made.reference) == {"clinic", "kitchen", "van"}
    assert (
        await house.value(
            "select count(*) from change where relayed_at is null and episode is not null"
        )
        == 0
    )


async def test_given_a_visit_of_a_day_when_written_then_nobody_is_told(house: House) -> None:
    who = (await house.create(house.clinic, patient())).reference
    await house.create(house.clinic, team(who, house.kitchen))
    visit = stay(who, **{"class": {"system": ACT_CODES, "code": "AMB"}})
    assert await told(house, await house.create(house.clinic, visit)) == []


async def test_given_one_who_only_sees_a_name_when_it_writes_a_stay_then_nobody_is_told(
    house: House,
) -> None:
    sent = await house.asking(house.van.service)
    await house.create(house.clinic, team(sent.patient, house.kitchen))
    made = await house.create(house.van, stay(sent.patient))
    assert await told(house, made) == []


async def test_given_a_team_that_does_not_treat_when_somebody_is_admitted_then_it_is_not_told(
    house: House,
) -> None:
    pantry = await a_social(house)
    who = (await house.create(house.clinic, patient())).reference
    await house.create(house.clinic, team(who, pantry, house.kitchen))
    made = await house.create(house.clinic, stay(who))
    assert await told(house, made) == ["kitchen"]


async def test_given_a_plan_when_its_team_is_named_then_it_sees_it_and_who_does_not_treat_its_part(
    house: House,
) -> None:
    pantry = await a_social(house)
    who = (await house.create(house.clinic, patient())).reference
    await permit(house, who, pantry)
    circle = (await house.create(house.clinic, team(who, pantry, house.kitchen))).reference
    aim = (await house.create(house.clinic, goal(who))).reference
    medical = (await house.create(house.clinic, goal(who, category=[{"text": "diet"}]))).reference
    made = await house.create(house.clinic, plan(who, [circle], [aim, medical]))
    assert await told(house, made) == ["kitchen", "pantry"]
    assert await seen_by(house, made.reference) == {"clinic", "kitchen", "pantry"}
    assert await seen_by(house, aim) == {"clinic", "kitchen", "pantry"}
    assert await seen_by(house, medical) == {"clinic", "kitchen"}
    shown = await house.read(pantry, made.reference)
    assert shown is not None
    assert shown.body is not None
    assert "food" not in shown.body
    assert "not for everyone" not in shown.body


@pytest.mark.parametrize("how", ["the plan ends", "the member leaves", "the team is deleted"])
async def test_given_a_shared_plan_when_it_or_the_membership_ends_then_the_sight_of_it_ends(
    house: House, how: str
) -> None:
    pantry = await a_social(house)
    who = (await house.create(house.clinic, patient())).reference
    await permit(house, who, pantry)
    circle = await house.create(house.clinic, team(who, pantry))
    aim = (await house.create(house.clinic, goal(who))).reference
    made = await house.create(house.clinic, plan(who, [circle.reference], [aim]))
    assert "pantry" in await seen_by(house, aim)
    if how == "the plan ends":
        ended = {**await house.document(made.reference), "status": "completed"}
        await house.update(house.clinic, made.id, ended)
    elif how == "the member leaves":
        left = team(who, house.kitchen, id=circle.id)
        await house.update(house.clinic, circle.id, left)
    else:
        await house.commit(house.clinic, Delete("CareTeam", circle.id))
    for reference in (made.reference, aim):
        assert "pantry" not in await seen_by(house, reference)
    # and comes again with what it came with
    if how == "the plan ends":
        again = {**await house.document(made.reference), "status": "active"}
        await house.update(house.clinic, made.id, again)
        assert "pantry" in await seen_by(house, aim)


async def test_given_a_team_of_one_s_own_making_when_a_plan_names_it_then_it_shares_nothing(
    house: House,
) -> None:
    pantry = await a_social(house)
    sent = await house.asking(house.van.service)
    await sent.answer(house.van, "accepted")
    await permit(house, sent.patient, pantry)
    own = (await house.create(house.van, team(sent.patient, pantry))).reference
    made = await house.create(house.van, plan(sent.patient, [own], []))
    assert "pantry" not in await seen_by(house, made.reference)


async def permit(house: House, who: str, party: Party) -> None:
    """The patient agrees that this one sees what is shared with it."""
    code = "http://terminology.hl7.org/CodeSystem/"
    consent: Document = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": f"{code}consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{code}v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": who},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": f"{code}v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "actor": [
                {
                    "role": {"coding": [{"system": f"{code}v3-ParticipationType", "code": "IRCP"}]},
                    "reference": {"reference": party.reference},
                }
            ],
        },
    }
    await house.create(house.clinic, consent)
