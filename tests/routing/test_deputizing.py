"""Who is away: whoever stands in is sent what it would be, and answers; nobody else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from open_hub import House, Party

from coordhub.directory.deputies import DEPUTY
from coordhub.errors import FhirError
from coordhub.record.hub import instant

Document = dict[str, Any]


def role(of: Party, **elements: Any) -> Document:
    return {
        "resourceType": "PractitionerRole",
        "active": True,
        "organization": {"reference": of.reference},
        **elements,
    }


def away(house: House, deputy: str | None, days: int = 7) -> Document:
    now = house.hub.clock()
    named = [{"url": DEPUTY, "valueReference": {"reference": deputy}}] if deputy else []
    return {
        "notAvailable": [
            {
                "description": "on leave",
                "during": {
                    "start": instant(now - timedelta(days=1)),
                    "end": instant(now + timedelta(days=days)),
                },
                **({"extension": named} if named else {}),
            }
        ]
    }


async def sent_to(house: House) -> list[tuple[str, int]]:
    """Name of the organization and Endpoint of each delivery of the hub's Tasks, in order."""
    rows = await house.rows(
        "select r.body::jsonb ->> 'name', d.endpoint from delivery d join candidate c on c.task = d.rid"
        " join resource r on r.rid = d.organization order by d.seq"
    )
    return [(row[0], row[1]) for row in rows]


async def endpoint(house: House, name: str) -> tuple[str, int]:
    made = await house.create(
        house.steward,
        {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": {
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                "code": "hl7-fhir-rest",
            },
            "payloadType": [{"text": "any"}],
            "address": f"https://{name}.example/fhir",
        },
    )
    return made.reference, made.rid


async def test_given_a_role_that_is_away_when_asked_then_its_colleague_is_sent_it(
    house: House,
) -> None:
    at, number = await endpoint(house, "colleague")
    colleague = await house.create(house.steward, role(house.kitchen, endpoint=[{"reference": at}]))
    absent = await house.create(
        house.steward, role(house.kitchen, **away(house, colleague.reference))
    )
    sent = await house.asking(absent.reference)
    assert await sent_to(house) == [("kitchen", number)]
    await sent.answer(house.kitchen, "accepted")
    assert await sent.status() == "in-progress"


async def test_given_another_organization_that_stands_in_when_asked_then_it_sees_and_answers_until_then(
    house: House,
) -> None:
    absent = await house.create(
        house.steward, role(house.kitchen, **away(house, house.pantry.service))
    )
    sent = await house.asking(absent.reference)
    assert [name for name, _ in await sent_to(house)] == ["kitchen", "pantry"]
    [mine] = (await sent.tasks()).values()
    document = await house.document(mine)
    for reference in (mine, document["focus"]["reference"], sent.patient, sent.result):
        assert await house.read(house.pantry, reference) is not None
        assert await house.read(house.van, reference) is None
    await house.update(house.pantry, document["id"], {**document, "status": "accepted"})
    assert await sent.status() == "in-progress"
    await house.relay()
    assert [name for name, _ in await sent_to(house)] == ["kitchen", "pantry", "kitchen"]
    # and not once it is over
    await house.by_owner("update access_grant set until = now() where rule = 'deputy'")
    assert await house.read(house.pantry, mine) is None
    document = await house.document(mine)
    with pytest.raises(FhirError):
        await house.update(house.pantry, document["id"], {**document, "status": "in-progress"})


@pytest.mark.parametrize("why", ["not away", "no deputy", "another kind", "each other"])
async def test_given_nobody_who_may_stand_in_when_asked_then_only_who_was_addressed_is(
    house: House, why: str
) -> None:
    elements = away(house, house.pantry.service)
    if why == "not away":
        elements["notAvailable"][0]["during"] = {"end": "2020-01-01"}
    elif why == "no deputy":
        elements = away(house, None)
    elif why == "another kind":
        await house.by_owner(
            f"update party set kind = 'social' where organization = {house.pantry.rid}"
        )
    absent = await house.create(house.steward, role(house.kitchen, **elements))
    if why == "each other":
        other = await house.create(
            house.steward, role(house.pantry, **away(house, absent.reference))
        )
        changed = {**role(house.kitchen, **away(house, other.reference)), "id": absent.id}
        await house.update(house.steward, absent.id, changed)
    sent = await house.asking(absent.reference)
    assert [name for name, _ in await sent_to(house)] == ["kitchen"]
    [mine] = (await sent.tasks()).values()
    assert await house.read(house.pantry, mine) is None


async def test_given_a_deputy_that_is_shown_less_when_the_patient_permits_it_then_it_stands_in_for_nobody(
    house: House,
) -> None:
    await house.by_owner(
        f"update party set kind = 'social' where organization = {house.pantry.rid}"
    )
    absent = await house.create(
        house.steward, role(house.kitchen, **away(house, house.pantry.service))
    )
    sent = await house.refer(absent.reference)
    code = "http://terminology.hl7.org/CodeSystem/"
    actor = {
        "role": {"coding": [{"system": f"{code}v3-ParticipationType", "code": "IRCP"}]},
        "reference": {"reference": house.pantry.reference},
    }
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": f"{code}consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{code}v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": sent.patient},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": f"{code}v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "actor": [actor]},
    }
    await house.create(house.clinic, consent)
    await house.relay()
    assert [name for name, _ in await sent_to(house)] == ["kitchen"]
    [mine] = (await sent.tasks()).values()
    assert await house.read(house.pantry, mine) is None


async def test_given_what_is_sensitive_when_who_is_asked_is_away_then_its_deputy_is_not_shown_it(
    house: House,
) -> None:
    """The sender has told it to whom it addressed; to whom that one hands it on the patient has to say."""
    absent = await house.create(
        house.steward, role(house.kitchen, **away(house, house.pantry.service))
    )
    sent = await house.refer(absent.reference)
    order = await house.document(sent.request)
    coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}
    order["reasonCode"] = [{"coding": [coding]}]
    await house.update(house.clinic, order["id"], order)
    await house.relay()
    [mine] = (await sent.tasks()).values()
    focus = (await house.document(mine))["focus"]["reference"]
    for reference in (mine, focus):
        assert await house.read(house.kitchen, reference) is not None
        assert await house.read(house.pantry, reference) is None
