"""A Consent decides from the moment it is written, and no longer than it stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from open_hub import PROVIDER, Document, House, Party, observation, patient

from coordhub.errors import FhirError
from coordhub.record.operations import Create, Delete, Written

ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def consent(about: str, *actors: str, kind: str = "permit", **elements: Any) -> Document:
    provision: Document = {"type": kind}
    if actors:
        provision["actor"] = [
            {
                "role": {"coding": [{"system": ROLE, "code": "IRCP"}]},
                "reference": {"reference": one},
            }
            for one in actors
        ]
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                  "code": "IDSCL"}]}],
        "patient": {"reference": about},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                   "code": "OPTIN" if kind == "permit" else "OPTOUT"}]},
        "provision": provision,
        **elements,
    }  # fmt: skip


async def record(house: House) -> tuple[str, str]:
    """A patient of the clinic's and a result, as references."""
    who = await house.create(house.clinic, patient())
    result = await house.create(house.clinic, observation(who.reference))
    return who.reference, result.reference


async def sees(house: House, who: Party, reference: str) -> bool:
    return await house.read(who, reference) is not None


async def test_given_a_consent_when_written_then_the_chart_is_open_to_whom_it_names_and_no_other(
    house: House,
) -> None:
    who, result = await record(house)
    assert not await sees(house, house.kitchen, result)
    await house.create(house.clinic, consent(who, house.kitchen.reference))
    assert await sees(house, house.kitchen, result)
    assert await sees(house, house.kitchen, who)
    assert not await sees(house, house.pantry, result)
    later = await house.create(house.clinic, observation(who))
    assert await sees(house, house.kitchen, later.reference)


@pytest.mark.parametrize("end", ["inactive", "rejected", "entered-in-error", "deleted", "narrowed"])
async def test_given_a_consent_when_it_ends_then_the_next_read_is_refused(
    house: House, end: str
) -> None:
    who, result = await record(house)
    document = consent(who, house.kitchen.reference)
    made = await house.create(house.clinic, document)
    assert await sees(house, house.kitchen, result)
    if end == "deleted":
        await house.commit(house.clinic, Delete("Consent", made.id))
    elif end == "narrowed":
        await house.update(house.clinic, made.id, consent(who, house.van.reference))
    else:
        await house.update(house.clinic, made.id, {**document, "status": end})
    assert not await sees(house, house.kitchen, result)
    assert await house.value("select count(*) from access_rule where until is null") == (
        1 if end == "narrowed" else 0
    )


async def test_given_a_later_denial_when_written_then_it_decides_until_it_ends(
    house: House,
) -> None:
    who, result = await record(house)
    await house.create(house.clinic, consent(who, house.kitchen.reference))
    later = {"dateTime": "2026-01-01T10:00:01Z"}
    denial = consent(who, house.kitchen.reference, kind="deny", **later)
    made = await house.create(house.clinic, denial)
    assert not await sees(house, house.kitchen, result)
    await house.update(house.clinic, made.id, {**denial, "status": "inactive"})
    assert await sees(house, house.kitchen, result)


async def test_given_dimensions_when_written_then_the_store_goes_by_each(house: House) -> None:
    who, result = await record(house)
    other = await house.create(
        house.clinic, observation(who, code="718-7", effectiveDateTime="2020-01-01")
    )
    tree = consent(who, house.kitchen.reference)

    async def after(**elements: Any) -> tuple[bool, bool, bool]:
        document = {**tree, "provision": {**tree["provision"], **elements}}
        made = await house.create(house.clinic, document)
        seen = [await sees(house, house.kitchen, one) for one in (who, result, other.reference)]
        await house.commit(house.clinic, Delete("Consent", made.id))
        return seen[0], seen[1], seen[2]

    types = "http://hl7.org/fhir/resource-types"
    reasons = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    assert await after() == (True, True, True)
    assert await after(**{"class": [{"system": types, "code": "Patient"}]}) == (True, False, False)
    code = [{"coding": [{"system": "http://loinc.org", "code": "718-7"}]}]
    assert await after(code=code) == (False, False, True)
    data = [{"meaning": "instance", "reference": {"reference": result}}]
    assert await after(data=data) == (False, True, False)
    assert await after(dataPeriod={"end": "2021"}) == (False, False, True)
    assert await after(purpose=[{"system": reasons, "code": "HRESCH"}]) == (False, False, False)
    assert await after(purpose=[{"system": reasons, "code": "TREAT"}]) == (True, True, True)
    assert await after(period={"end": "2026-01-02"}) == (False, False, False)
    assert await after(period={"start": "2999"}) == (False, False, False)
    deny = [{"type": "deny", "code": code}]
    assert await after(provision=deny) == (True, True, False)


@pytest.mark.parametrize(("kind", "seen"), [("permit", (True, False)), ("deny", (False, False))])
async def test_given_a_time_of_care_when_care_reaches_out_of_it_then_it_is_not_shown_either_way(
    house: House, kind: str, seen: tuple[bool, bool]
) -> None:
    who, _ = await record(house)
    periods = ({"start": "2020-02", "end": "2020-03"}, {"start": "2019-12", "end": "2020-03"})
    within, across = [
        await house.create(house.clinic, observation(who, effectivePeriod=period))
        for period in periods
    ]
    tree = consent(who, house.kitchen.reference)
    year = {"type": kind, "dataPeriod": {"start": "2020", "end": "2020"}}
    if kind == "permit":
        tree["provision"] |= year
    else:
        tree["provision"]["provision"] = [year]
    await house.create(house.clinic, tree)
    assert (
        await sees(house, house.kitchen, within.reference),
        await sees(house, house.kitchen, across.reference),
    ) == seen


async def test_given_a_role_when_named_then_its_organization_is_meant(
    house: House,
) -> None:
    who, result = await record(house)
    role = await house.create(
        house.steward,
        {"resourceType": "PractitionerRole", "organization": {"reference": house.van.reference}},
    )
    await house.create(house.clinic, consent(who, role.reference))
    assert await sees(house, house.van, result)


async def test_given_a_care_team_when_named_then_its_members_organizations_are_meant(
    house: House,
) -> None:
    who, result = await record(house)
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": who},
        "participant": [
            {"member": {"reference": one.reference}} for one in (house.kitchen, house.van)
        ],
    }
    made = await house.create(house.clinic, team)
    written = await house.create(house.clinic, consent(who, made.reference))
    assert written.warnings == ()
    assert await sees(house, house.kitchen, result)
    assert await sees(house, house.van, result)
    assert not await sees(house, house.pantry, result)


async def test_given_an_organization_of_one_s_own_when_named_then_it_is_nobody_and_that_is_told(
    house: House,
) -> None:
    who, _ = await record(house)
    own = await house.create(house.clinic, {**PROVIDER, "name": "copy"})
    written = await house.create(house.clinic, consent(who, own.reference))
    [warning] = written.warnings
    assert warning.severity == "warning"
    assert warning.expression == "Consent.provision.actor[0].reference"
    assert await house.value("select count(*) from access_rule") == 0


async def test_given_a_patient_seen_by_referral_when_its_recipient_permits_itself_then_that_is_void(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    assert await sees(house, house.kitchen, sent.patient)
    other = await house.create(house.clinic, observation(sent.patient))
    written = await house.create(house.kitchen, consent(sent.patient, house.kitchen.reference))
    assert [one.code for one in written.warnings] == ["business-rule"]
    assert not await sees(house, house.kitchen, other.reference)
    # What it was told the patient denies counts.
    await house.create(house.kitchen, consent(sent.patient, house.van.reference, kind="deny"))
    rules = await house.rows("select actor, permit from access_rule where rule = 'consent'")
    assert rules == [(house.van.rid, False)]


async def refused(house: House, document: Document, who: Party | None = None) -> FhirError:
    with pytest.raises(FhirError) as caught:
        await house.create(who or house.clinic, document)
    return caught.value


async def test_given_no_patient_or_a_date_to_come_when_written_then_the_element_is_named(
    house: House,
) -> None:
    who, _ = await record(house)
    nobody = consent(who)
    del nobody["patient"]
    nobody["dateTime"] = "2999-01-01T00:00:00Z"
    error = await refused(house, nobody)
    assert error.status == 422
    assert [one.expression for one in error.issues] == ["Consent.patient", "Consent.dateTime"]
    assert all(one.diagnostics for one in error.issues)


async def test_given_a_hidden_patient_when_named_then_it_is_as_absent(house: House) -> None:
    who, _ = await record(house)
    hidden = await refused(house, consent(who), house.stranger)
    absent = await refused(house, consent("Patient/absent"), house.stranger)
    assert hidden.status == absent.status == 422
    assert (
        hidden.issues[0].diagnostics.replace(who, "Patient/absent") == absent.issues[0].diagnostics
    )


async def test_given_too_many_rules_when_written_then_it_is_refused(house: House) -> None:
    who, _ = await record(house)
    document = consent(who, kind="deny")
    document["provision"]["provision"] = [{"type": "permit"}] * 1000
    error = await refused(house, document)
    assert error.status == 422
    assert error.issues[0].expression == "Consent.provision"


async def test_given_a_consent_with_its_patient_in_one_transaction_then_it_counts(
    house: House,
) -> None:
    one: list[Written] = list(
        await house.commit(
            house.clinic,
            Create("Patient", patient(), full_url="urn:uuid:p"),
            Create("Consent", consent("urn:uuid:p", house.kitchen.reference)),
        )
    )
    assert await sees(house, house.kitchen, one[0].reference)


async def test_given_clocks_that_differ_when_a_consent_ends_then_the_next_read_is_refused(
    house: House,
) -> None:
    who, result = await record(house)
    document = consent(who, house.kitchen.reference)
    made = await house.create(house.clinic, document)
    house.clock.ahead = timedelta(hours=1)
    await house.update(house.clinic, made.id, {**document, "status": "inactive"})
    assert not await sees(house, house.kitchen, result)
