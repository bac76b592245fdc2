"""The sight of patients and of those who act for them, on the record as it is stored."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import House, observation, patient

from coordhub.access import scopes, viewer
from coordhub.access.caller import Caller
from coordhub.access.proxy import ROLE_CODE
from coordhub.admin.acts import NothingDone, Operator, bind_person
from coordhub.record.operations import Delete

HIV_TEST = "75622-1"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
BY = Operator("rosa")


def labelled(subject: str, code: str) -> dict[str, Any]:
    return observation(subject, meta={"security": [{"system": V3, "code": code}]})


def mother(subject: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": subject},
        "relationship": [{"coding": [{"system": ROLE_CODE, "code": "MTH"}]}],
        **elements,
    }


async def person(house: House, reference: str) -> Caller:
    await bind_person(house.hub, BY, f"app-of-{reference}", reference, "system/*.cruds")
    rid = await house.value("select organization from client where id = $1", f"app-of-{reference}")
    return Caller(f"app-of-{reference}", rid, reference, scopes.EVERYTHING, role="person")


async def sees(house: House, who: Caller, *references: str) -> list[bool]:
    view = viewer.of(who)
    return [await house.read(view, one) is not None for one in references]


async def chart(house: House, birth_date: str) -> list[str]:
    """A patient of the clinic's, a plain result, one each of HIV, SDV and VSP."""
    who = (await house.create(house.clinic, patient(birthDate=birth_date))).reference
    plain = (await house.create(house.clinic, observation(who))).reference
    hiv = (await house.create(house.clinic, observation(who, HIV_TEST))).reference
    violence = (await house.create(house.clinic, labelled(who, "SDV"))).reference
    shelter = observation(
        who, meta={"security": [{"system": "urn:coordhub:sensitivity", "code": "VSP"}]}
    )
    vsp = (await house.create(house.clinic, shelter)).reference
    return [who, plain, hiv, violence, vsp]


async def test_given_a_patient_when_it_looks_then_it_sees_its_record_but_for_a_shelters(
    house: House,
) -> None:
    references = await chart(house, "1990-01-01")
    other = (await house.create(house.clinic, patient("2"))).reference
    ada = await person(house, references[0])
    assert await sees(house, ada, *references, other) == [True, True, True, True, False, False]


async def test_given_a_denial_to_everyone_when_the_patient_looks_then_it_still_sees_its_own(
    house: House,
) -> None:
    who, plain, *_ = await chart(house, "1990-01-01")
    ada = await person(house, who)
    await house.create(house.clinic, consent(who, "deny"))
    assert await sees(house, ada, who, plain) == [True, True]


async def test_given_a_permit_to_everyone_when_the_app_of_another_looks_then_it_is_nobodys_record(
    house: House,
) -> None:
    references = await chart(house, "1990-01-01")
    await house.create(house.clinic, consent(references[0], "permit"))
    assert await sees(house, house.stranger.caller, *references[:2]) == [True, True]
    other = (await house.create(house.clinic, patient("2"))).reference
    made = await house.create(house.clinic, mother(other))
    for someone in (other, made.reference):
        assert await sees(house, await person(house, someone), *references) == [False] * 5


def consent(subject: str, kind: str, **provision: Any) -> dict[str, Any]:
    return {
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
        "policyRule": {"coding": [{"code": "OPTIN"}]},
        "patient": {"reference": subject},
        "dateTime": "2026-01-01T00:00:00Z",
        "provision": {"type": kind, **provision},
    }


@pytest.mark.parametrize(
    ("birth_date", "expected"),
    [
        ("2022-01-01", [True, True, True, False, False]),
        ("2011-01-01", [True, True, False, False, False]),
        ("1990-01-01", [False, False, False, False, False]),
    ],
)
async def test_given_a_parent_when_it_looks_then_age_decides_and_violence_stays_hidden(
    house: House, birth_date: str, expected: list[bool]
) -> None:
    references = await chart(house, birth_date)
    made = await house.create(house.clinic, mother(references[0]))
    app = await person(house, made.reference)
    assert await sees(house, app, *references) == expected
    kitchen = {"role": {"text": "x"}, "reference": {"reference": house.kitchen.reference}}
    given = await house.create(house.clinic, consent(references[0], "permit", actor=[kitchen]))
    assert await sees(house, app, given.reference) == [False]


async def test_given_a_consent_that_names_the_caregiver_when_it_looks_then_what_it_names_is_seen(
    house: House,
) -> None:
    references = await chart(house, "1990-01-01")
    made = await house.create(house.clinic, mother(references[0]))
    app = await person(house, made.reference)
    role = {"coding": [{"code": "IRCP"}]}
    permit = consent(
        references[0],
        "permit",
        actor=[{"role": role, "reference": {"reference": made.reference}}],
        securityLabel=[{"system": V3, "code": code} for code in ("HIV", "SDV")],
    )
    given = await house.create(house.clinic, permit)
    assert await sees(house, app, *references) == [False, False, True, False, False]
    assert await sees(house, app, given.reference) == [False]
    ada = await person(house, references[0])
    assert await sees(house, ada, given.reference) == [True]


async def test_given_a_caregiver_when_it_is_made_inactive_or_deleted_then_nothing_is_seen(
    house: House,
) -> None:
    who, plain, *_ = await chart(house, "2011-01-01")
    made = await house.create(house.clinic, mother(who))
    app = await person(house, made.reference)
    assert await sees(house, app, who, plain) == [True, True]
    await house.update(house.clinic, made.id, mother(who, id=made.id, active=False))
    assert await sees(house, app, who, plain) == [False, False]
    await house.update(house.clinic, made.id, mother(who, id=made.id))
    assert await sees(house, app, who, plain) == [True, True]
    await house.commit(house.clinic, Delete("RelatedPerson", made.id))
    assert await sees(house, app, who, plain) == [False, False]


async def test_given_another_birth_date_when_it_is_corrected_then_the_parent_sees_by_that(
    house: House,
) -> None:
    who, plain, *_ = await chart(house, "2011-01-01")
    made = await house.create(house.clinic, mother(who))
    app = await person(house, made.reference)
    fhir_id = who.partition("/")[2]
    await house.update(house.clinic, fhir_id, patient(id=fhir_id, birthDate="1980-01-01"))
    assert await sees(house, app, who, plain) == [False, False]
    await house.update(house.clinic, fhir_id, patient(id=fhir_id, birthDate="2012-01-01"))
    assert await sees(house, app, who, plain) == [True, True]


async def test_given_a_caregiver_of_another_organization_when_written_then_it_sees_nothing(
    house: House,
) -> None:
    who, plain, *_ = await chart(house, "2011-01-01")
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": who},
        "participant": [{"member": {"reference": house.kitchen.reference}}],
    }
    await house.create(house.clinic, team)
    made = await house.create(house.kitchen, mother(who))
    with pytest.raises(NothingDone, match="organization that holds"):
        await person(house, made.reference)
    app = Caller("x", made.rid, made.reference, scopes.EVERYTHING, role="person")
    await house.rows("insert into party (organization, kind) values ($1, 'person')", made.rid)
    assert await sees(house, app, who, plain) == [False, False]


async def test_given_nobody_or_another_when_bound_then_it_is_refused_and_said(house: House) -> None:
    who, *_ = await chart(house, "2011-01-01")
    for text in ("Patient/none", "Organization/none", house.clinic.reference, "x"):
        with pytest.raises(NothingDone, match="Name a Patient"):
            await bind_person(house.hub, BY, "app", text, "")
    with pytest.raises(NothingDone, match="acts for"):
        await bind_person(house.hub, BY, "clinic", who, "")
    before = await house.value("select count(*) from client where role = 'person'")
    await bind_person(house.hub, BY, "app", who, "system/*.rs")
    await bind_person(house.hub, BY, "app", who, "system/Task.r")
    assert await house.value("select count(*) from client where role = 'person'") == before + 1
    standing = "select count(*) from access_rule where rule = 'proxy' and until is null"
    assert await house.value(standing) == 1
    said = await house.rows("select query from audit where interaction = 'client-registered'")
    assert len(said) == 2
    assert "by=rosa" in said[0][0]


async def test_given_an_age_of_confidentiality_when_set_then_it_decides(house: House) -> None:
    who, _, hiv, *_ = await chart(house, "2011-01-01")
    later = dataclasses.replace(house.hub.safeguards, confidential_age=18)
    elsewhere = dataclasses.replace(house, hub=dataclasses.replace(house.hub, safeguards=later))
    made = await elsewhere.create(house.clinic, mother(who))
    assert await sees(house, await person(elsewhere, made.reference), hiv) == [True]
