"""IHE PIXm and PDQm over HTTP: other numbers of a patient, and patients by what is known of them.

https://profiles.ihe.net/ITI/PIXm/ITI-83.html, https://profiles.ihe.net/ITI/PDQm/ITI-78.html
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from coordhub.record import linking

JANE: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Mohr", "given": ["Jane"]}],
    "birthDate": "1961-04-02",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+1-918-555-0101"}],
}


def numbered(*numbers: str, **elements: Any) -> dict[str, Any]:
    """numbers: system|value of each."""
    pairs = [dict(zip(("system", "value"), each.split("|"), strict=True)) for each in numbers]
    return {**JANE, "identifier": pairs, **elements}


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


async def opened(house: Any, patient: str) -> None:
    """near lets far see its record."""
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": patient},
        "participant": [{"member": {"reference": house.far.reference}}],
    }
    await made(house.near, team)


async def linked(house: Any) -> None:
    while await linking.link(house.context.hub):
        pass


async def asked(sender: Any, source: str, *targets: str) -> Any:
    query = "".join(f"&targetSystem={quote(each)}" for each in targets)
    return await sender.ask("GET", f"/Patient/$ihe-pix?sourceIdentifier={quote(source)}{query}")


async def told(sender: Any, source: str, *targets: str) -> tuple[set[str], set[str]]:
    """Patients, and numbers as system|value."""
    answered = await asked(sender, source, *targets)
    assert answered.status_code == 200, answered.text
    assert answered.json()["resourceType"] == "Parameters"
    parameters = answered.json().get("parameter", [])
    ids = [each["valueReference"]["reference"] for each in parameters if each["name"] == "targetId"]
    values = [each["valueIdentifier"] for each in parameters if each["name"] == "targetIdentifier"]
    assert len(ids) + len(values) == len(parameters)
    return set(ids), {f"{each['system']}|{each['value']}" for each in values}


async def refused(sender: Any, source: str, *targets: str) -> tuple[int, str, str]:
    answered = await asked(sender, source, *targets)
    [issue] = answered.json()["issue"]
    return answered.status_code, issue["code"], issue["diagnostics"]


async def test_given_a_linked_record_when_another_number_is_asked_for_then_who_sees_it_is_told_and_nobody_else(
    house: Any,
) -> None:
    mine = await made(house.far, numbered("urn:far|F-1", "urn:plan|77"))
    theirs = await made(house.near, numbered("urn:near|N,1"))
    await linked(house)
    unseen = ({mine}, {"urn:plan|77"})
    assert await told(house.far, "urn:far|F-1") == unseen
    assert await refused(house.far, "urn:far|F-1", "urn:near") == (
        403, "code-invalid", "targetSystem not found",
    )  # fmt: skip
    hidden = await refused(house.far, "urn:near|N\\,1")
    assert hidden == (400, "code-invalid", "sourceIdentifier Assigning Authority not found")
    assert hidden == await refused(house.far, "urn:never|1")
    await opened(house, theirs)
    assert await told(house.far, "urn:far|F-1") == ({mine, theirs}, {"urn:plan|77", "urn:near|N,1"})
    assert await told(house.far, "urn:far|F-1", "urn:near") == ({theirs}, {"urn:near|N,1"})
    assert await told(house.far, "urn:near|N\\,1", "urn:far") == ({mine}, {"urn:far|F-1"})
    base = house.context.hub.base
    assert await told(house.far, f"{base}|{mine}", base) == ({theirs}, set())
    assert await refused(house.far, "urn:far|F-2") == (
        404, "not-found", "sourceIdentifier Patient Identifier not found",
    )  # fmt: skip
    assert (await refused(house.near, f"{base}|{mine}"))[:2] == (404, "not-found")
    # near sees its own record only
    assert await told(house.near, "urn:near|N\\,1") == ({theirs}, set())


async def test_given_a_number_of_two_persons_when_asked_for_then_neither_is_given(
    house: Any,
) -> None:
    await made(house.near, numbered("urn:plan|77"))
    other = {"name": [{"family": "Poe", "given": ["Otto"]}], "birthDate": "1999-12-12"}
    await made(house.near, numbered("urn:plan|77", **other))
    assert (await refused(house.near, "urn:plan|77"))[:2] == (409, "multiple-matches")


@pytest.mark.parametrize(
    "query",
    [
        "", "?sourceIdentifier=1", "?sourceIdentifier=urn:a%7C", "?sourceIdentifier=%7C1",
        "?sourceIdentifier=urn:a%7C1&sourceIdentifier=urn:a%7C2", "?sourceIdentifier=urn:a%7C1,urn:a%7C2",
        "?sourceIdentifier=urn:a%7C1&targetSystem=", "?sourceIdentifier=urn:a%7C1&other=1",
    ],
)  # fmt: skip
async def test_given_a_question_that_names_no_one_number_when_asked_then_the_outcome_says_what_to_send(
    house: Any, query: str
) -> None:
    answered = await house.near.ask("GET", f"/Patient/$ihe-pix{query}")
    assert answered.status_code == 400, answered.text
    assert answered.json()["resourceType"] == "OperationOutcome"


async def test_given_a_feed_that_resolves_a_duplicate_when_asked_by_either_number_then_one_stays(
    house: Any,
) -> None:
    """ITI-104: a conditional update of the record that another has replaced."""

    async def fed(number: str, document: dict[str, Any]) -> str:
        address = f"/Patient?identifier={quote(number)}"
        answered = await house.near.ask("PUT", address, document)
        assert answered.status_code in (200, 201), answered.text
        return f"Patient/{answered.json()['id']}"

    stays = await fed("urn:near|1", numbered("urn:near|1"))
    maiden = {"name": [{"family": "Maiden", "given": ["J"]}], "birthDate": "1960-01-01"}
    goes = await fed("urn:near|m1", numbered("urn:near|m1", **maiden))
    await linked(house)
    assert await told(house.near, "urn:near|m1") == ({goes}, set())
    link = {
        "other": {"identifier": {"system": "urn:near", "value": "1"}},
        "type": "replaced-by",
    }
    replaced = numbered("urn:near|m1", **maiden, active=False, link=[link])
    assert await fed("urn:near|m1", replaced) == goes
    await linked(house)
    assert await told(house.near, "urn:near|m1") == ({stays}, {"urn:near|1"})
    assert await told(house.near, "urn:near|1") == ({stays}, set())
    await fed("urn:near|m1", numbered("urn:near|m1", **maiden))  # it was none
    await linked(house)
    assert await told(house.near, "urn:near|m1") == ({goes}, set())


PDQM = {
    "family=mohr&given=jane&active=true&gender=female": 1,
    "family=mohr&gender=female": 1,
    "birthdate=1961-04-02&family:exact=Mohr": 1,
    "birthdate=ge1961-04-01&birthdate=le1961-04-30": 2,
    "birthdate=1961-04-02&family:exact=mohr": 0,
    "telecom=%2B1-918-555-0101&given=jane,otto": 2,
    "address-city=mounds&address-state=ok&address-postalcode=74047&address-country=us": 1,
    "address=1%20elm": 1,
    "identifier=urn:near%7C1": 1,
    "identifier=urn:near%7C,urn:lab%7C": 2,
    "identifier=urn:near%7C1&identifier=urn:plan%7C77": 1,
    "identifier=urn:near%7C1&identifier=urn:lab%7C5": 0,
    "mothersMaidenName=roe": 1,
}


async def test_given_what_pdqm_asks_by_when_patients_are_searched_then_those_that_match_it_all_are_found(
    house: Any,
) -> None:
    maiden = "http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName"
    home = {"line": ["1 Elm St"], "city": "Mounds", "state": "OK", "postalCode": "74047", "country": "US"}  # fmt: skip
    await made(house.near, numbered("urn:near|1", "urn:plan|77", active=True, address=[home],
                                    extension=[{"url": maiden, "valueString": "Roe"}]))  # fmt: skip
    otto = [{"family": "Roe", "given": ["Otto"]}]
    await made(house.near, numbered("urn:lab|5", name=otto, gender="male"))
    for query, number in PDQM.items():
        answered = await house.near.ask("GET", f"/Patient?{query}&_total=accurate")
        assert (answered.status_code, answered.json()["total"]) == (200, number), query
        if not number:
            assert "entry" not in answered.json()
