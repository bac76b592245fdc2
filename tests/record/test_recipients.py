"""Minimum necessary: what a recipient that does not treat is shown, and finds."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Referral, observation, patient, service_request, task

from coordhub.r4 import datasets, search
from coordhub.r4 import document as fhir_json
from coordhub.r4.search_result import Include
from coordhub.record.operations import Create, Update
from coordhub.store import include
from coordhub.store.search import search as find

TYPE = "http://terminology.hl7.org/CodeSystem/service-type"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


async def made_social(house: House, who: Any, code: str) -> None:
    """The directory says of an organization that it does not treat, and of its service what it is."""
    organization = await house.document(who.reference)
    organization.pop("type", None)
    service = await house.document(who.service)
    service["type"] = [{"coding": [{"system": TYPE, "code": code}]}]
    await house.commit(
        house.steward,
        Update("Organization", organization["id"], organization),
        Update("HealthcareService", service["id"], service),
    )


async def referred(house: House, *asked: str) -> tuple[Referral, str, str]:
    """A referral for Ada with a diagnosis as its reason, her household and a lab result beside it."""
    who = "urn:uuid:patient"
    condition = {
        "resourceType": "Condition", "subject": {"reference": who},
        "code": {"coding": [{"system": ICD, "code": "E11.9"}], "text": "secret diagnosis"},
    }  # fmt: skip
    order = service_request(
        who, house.clinic.reference, *asked,
        reasonReference=[{"reference": "urn:uuid:why"}],
        reasonCode=[{"text": "secret reason"}],
        supportingInfo=[{"reference": "urn:uuid:size"}, {"reference": "urn:uuid:lab"}],
        note=[{"text": "secret note"}],
    )  # fmt: skip
    written = await house.commit(
        house.clinic,
        Create("Patient", patient(birthDate="1961-04-02", communication=[{"language": {"text": "es"}}]),
               full_url=who),
        Create("Condition", condition, full_url="urn:uuid:why"),
        Create("Observation", observation(who, "63512-8", valueInteger=4), full_url="urn:uuid:size"),
        Create("Observation", observation(who, "4548-4"), full_url="urn:uuid:lab"),
        Create("ServiceRequest", order, full_url="urn:uuid:order"),
        Create("Task", task("urn:uuid:order", who, house.clinic.reference, description="secret words")),
    )  # fmt: skip
    for one in written:
        assert one.status == 201
    # Ada agrees: what the deployment's policy is where she says nothing is not the matter here
    await house.rows(
        "insert into access_rule (actor, patient, permit, precedence, since, because, rule)"
        " values (0, $1, true, 1, now() - interval '1 day', $1, 'consent')",
        written[0].rid,
    )
    await house.relay()
    who, why, size, lab, order_, task_ = (one.reference for one in written)
    return Referral(house, who, lab, order_, task_), why, size


async def test_given_a_food_bank_when_asked_then_it_is_shown_its_data_set_and_no_more(
    house: House,
) -> None:
    await made_social(house, house.kitchen, "548")
    sent, why, size = await referred(house, house.kitchen.service)
    seen: dict[str, dict[str, Any]] = {}
    for reference in (sent.patient, size, sent.request, (await sent.tasks())["kitchen"]):
        version = await house.read(house.kitchen, reference)
        assert version is not None, reference
        assert version.body is not None
        seen[reference] = fhir_json.parse(version.body.encode())
    assert set(seen[sent.patient]) == {"resourceType", "id", "meta", "name", "communication"}
    assert seen[size]["valueInteger"] == 4
    assert "secret" not in str(seen)
    for hidden in (why, sent.result):
        assert await house.read(house.kitchen, hidden) is None


async def test_given_a_food_bank_when_asked_then_what_the_hub_makes_for_it_holds_no_more_either(
    house: House,
) -> None:
    await made_social(house, house.kitchen, "548")
    for name, whole in (("kitchen", False), ("pantry", True)):
        party = getattr(house, name)
        sent, _, _ = await referred(house, party.service)
        asked = await house.document((await sent.tasks())[name])
        order = await house.document(asked["focus"]["reference"])
        assert ("reasonCode" in order) is whole, name
        assert ("description" in asked) is whole, name
        assert "tag" not in asked["meta"], "it can be read, changed and sent back"
        assert order["performer"] == [{"reference": party.service}]
        assert (await sent.answer(party, "accepted")).status == 200


async def test_given_two_that_compete_when_one_accepts_then_its_task_says_what_its_data_set_has(
    house: House,
) -> None:
    await made_social(house, house.kitchen, "548")
    for name, whole in (("kitchen", False), ("pantry", True)):
        sent, _, _ = await referred(house, house.kitchen.service, house.pantry.service)
        tasks = await sent.tasks()
        assert "description" not in await house.document(tasks[name])
        shown = await house.read(getattr(house, name), tasks[name])
        assert shown is not None
        assert shown.body is not None
        task = fhir_json.parse(shown.body.encode())
        assert ("for" in task) is whole, "who treats has the whole chart by her Consent"
        accepted = {**task, "status": "accepted"}
        assert (await house.update(getattr(house, name), task["id"], accepted)).status == 200
        assert ("description" in await house.document(tasks[name])) is whole, name
        # It could not name whom it was not told of; the Task is in that patient's record all the same
        records = await house.rows(
            "select r.patient = p.rid from resource r, resource p where r.fhir_id = $1 and p.fhir_id = $2",
            tasks[name].removeprefix("Task/"),
            sent.patient.removeprefix("Patient/"),
        )
        assert records == [(True,)], name


async def test_given_who_treats_when_asked_then_it_is_shown_the_whole(house: House) -> None:
    sent, why, _ = await referred(house, house.pantry.service)
    version = await house.read(house.pantry, sent.patient)
    assert version is not None
    assert version.body is not None
    assert "birthDate" in version.body
    assert await house.read(house.pantry, why) is not None


@pytest.mark.parametrize(
    ("kind", "query", "kitchen", "clinic"),
    [
        ("Patient", [("name", "Water")], 1, 1),
        ("Patient", [("birthdate", "1961-04-02")], 0, 1),
        ("Patient", [("name", "Water"), ("_sort", "birthdate")], 0, 1),
        ("Patient", [("name", "Water"), ("_sort", "_id")], 1, 1),
        ("Patient", [("identifier:missing", "false")], 0, 1),
        ("ServiceRequest", [("patient.name", "Water"), ("intent", "order")], 1, 1),
        ("ServiceRequest", [("patient.birthdate", "1961-04-02"), ("intent", "order")], 0, 1),
        ("Observation", [("patient.name", "Water")], 1, 2),
        ("Observation", [("code", "63512-8")], 0, 1),
        ("Patient", [("_has:ServiceRequest:patient:intent", "order")], 1, 1),
        ("Patient", [("_has:Observation:patient:code", "63512-8")], 0, 1),
    ],
)
async def test_given_a_food_bank_when_it_searches_then_it_finds_by_what_it_is_shown_only(
    house: House, kind: str, query: list[tuple[str, str]], kitchen: int, clinic: int
) -> None:
    await made_social(house, house.kitchen, "548")
    await referred(house, house.kitchen.service)
    asked = search.parse_query(kind, query)
    async with house.engine.searches.acquire() as conn:
        for who, count in ((house.kitchen, kitchen), (house.clinic, clinic)):
            page = await find(conn, house.engine, who.viewer, asked, limit=10)
            assert len(page.versions) == count, who.name


async def test_given_a_hidden_element_when_included_by_then_nothing_comes_along(
    house: House,
) -> None:
    await made_social(house, house.kitchen, "548")
    sent, _, size = await referred(house, house.kitchen.service)
    known = datasets.parameters("ServiceRequest")
    order = await house.read(house.kitchen, sent.request)
    assert order is not None
    async with house.engine.searches.acquire() as conn:
        by_patient = [Include(known["patient"].id, 0, False, False)]
        by_all = [Include(0, 0, False, False)]
        shown = await include.included(conn, house.kitchen.viewer, [order], by_patient, most=9)
        through_hidden = await include.included(conn, house.kitchen.viewer, [order], by_all, most=9)
        whole = await include.included(conn, house.clinic.viewer, [order], by_all, most=9)
    assert [each.reference for each in shown or []] == [sent.patient]
    assert through_hidden == []
    assert size not in [each.reference for each in whole or []], "no parameter names it"
    assert sent.patient in [each.reference for each in whole or []]
