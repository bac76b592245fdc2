"""A partner whose server gives its own ids: it and the hub speak of the same, each in its own ids."""

from __future__ import annotations

import httpx2
import pytest

from coordhub.admin import exchanging
from coordhub.admin.acts import UNNAMED
from coordhub.routing.translate import SYSTEM


class Theirs:
    """What the server of an organization has, by what it is at the hub."""

    def __init__(self, organization) -> None:
        self._organization = organization

    async def of(self, ours: str) -> dict:
        kind = ours.partition("/")[0]
        found: httpx2.Response = await self._organization.hub.get(
            f"{self._organization.own}/fhir/{kind}?identifier={SYSTEM}%7C{ours}"
        )
        (entry,) = found.json()["entry"]
        return entry["resource"]


@pytest.fixture
async def lakeside(house):
    """Lakeside, with whom it was agreed that its server gives its own ids."""
    await exchanging.agree(house.hub.engine, UNNAMED, house.lakeside.reference, own_ids=True)
    return house.lakeside


async def test_given_a_server_that_gives_ids_when_asked_then_it_has_all_under_its_own_and_linked(
    house, lakeside
):
    sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()

    theirs = Theirs(lakeside)
    task = await theirs.of(t2)
    patient, prior = await theirs.of(sent.patient), await theirs.of(sent.prior)
    order = await theirs.of(house.target((await lakeside.read(t2))["focus"]))
    assert task["id"] != t2.partition("/")[2]
    assert task["focus"]["reference"] == f"ServiceRequest/{order['id']}"
    assert order["subject"]["reference"] == f"Patient/{patient['id']}"
    assert order["supportingInfo"][0]["reference"] == f"Observation/{prior['id']}"
    # What it was not sent is named where it can be had.
    assert task["partOf"][0]["reference"] == f"{house.hub.base}/{sent.task}"


async def test_given_a_server_that_gives_ids_when_it_answers_in_them_then_the_hub_knows_what_is_meant(
    house, lakeside
):
    sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()
    theirs = Theirs(lakeside)
    task, patient = await theirs.of(t2), await theirs.of(sent.patient)
    order = house.target((await lakeside.read(t2))["focus"])
    own_order = await theirs.of(order)

    # It accepts by its own Task, as it has it
    accepted = await lakeside.ask("PUT", f"/Task/{task['id']}", {**task, "status": "accepted"})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["id"] == t2.partition("/")[2]
    assert (await house.riverside.read(sent.task))["status"] == "in-progress"

    # and reports with its own references: as at home, and by its own address
    result = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": f"{lakeside.own}/fhir/Patient/{patient['id']}"},
        "basedOn": [{"reference": f"ServiceRequest/{own_order['id']}"}],
        "performer": [{"reference": lakeside.reference}],
    }
    made = await lakeside.ask("POST", "/Observation", result)
    assert made.status_code == 201, made.text
    assert made.json()["subject"]["reference"] == sent.patient
    assert made.json()["basedOn"] == [{"reference": order}]
    assert await house.riverside.sees(f"Observation/{made.json()['id']}")


async def test_given_a_server_that_gives_ids_when_told_again_then_its_own_copy_is_changed(
    house, lakeside
):
    sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()
    before = await Theirs(lakeside).of(t2)

    assert (await house.riverside.tries(sent.task, "cancelled")).status_code == 200
    await house.settled()

    after = await Theirs(lakeside).of(t2)
    assert (after["id"], after["status"]) == (before["id"], "cancelled")
    assert after["focus"] == before["focus"]
    ids = {
        (each["type"], each["id"]) for one in await lakeside.received() for each in one["resources"]
    }
    assert len([one for one in ids if one[0] == "Task"]) == 1


async def test_given_an_answer_that_is_lost_when_sent_again_then_nothing_is_there_twice(
    house, lakeside
):
    await lakeside.behaves({"mode": "lost", "until_count": 1, "idempotent": False})
    await house.given_asked(house.riverside, lakeside)
    await house.settled()
    entries = await lakeside.received()
    assert [one["applied"] for one in entries] == [True, True]
    first, second = ({(each["type"], each["id"]) for each in one["resources"]} for one in entries)
    assert first == second


async def test_given_another_organization_when_it_names_such_an_id_then_it_means_nothing(
    house, lakeside
):
    sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()
    own = await Theirs(lakeside).of(sent.patient)
    await lakeside.answers(t2, "accepted")
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{own['id']}"},
    }
    refused = await house.metrolab.ask("POST", "/Observation", observation)
    assert refused.status_code == 422
    taken = await lakeside.ask("POST", "/Observation", observation)
    assert taken.status_code == 201
