"""A patient and a parent with apps of their own: what they see, answer and may not do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2

from coordhub.admin.acts import Operator, bind_person
from coordhub.commands.clients import PERSONAL

V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


async def made(sender: Any, document: dict[str, Any]) -> str:
    answered = await sender.ask("POST", f"/{document['resourceType']}", document)
    assert answered.status_code == 201, answered.text
    return f"{document['resourceType']}/{answered.json()['id']}"


def observation(who: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": who},
        **elements,
    }


class App:
    """Software of one person."""

    def __init__(self, house: Any, client: str) -> None:
        self._http: httpx2.AsyncClient = house.http
        self._token = house.tokens.issue(
            client, PERSONAL, now=house.hub.clock(), lifetime=timedelta(hours=1)
        )

    async def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        return await self._http.request(
            method,
            f"/fhir{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/fhir+json",
            },
        )

    async def sees(self, reference: str) -> bool:
        return (await self.ask("GET", f"/{reference}")).status_code == 200


async def app(house: Any, client: str, person: str) -> App:
    await bind_person(house.hub, Operator("rosa"), client, person, PERSONAL)
    return App(house, client)


async def test_given_a_girl_of_fifteen_when_she_and_her_mother_look_then_each_sees_what_is_theirs(
    house,
) -> None:
    riverside = house.riverside
    born = (house.hub.clock() - timedelta(days=15 * 366)).date().isoformat()
    who = await made(riverside, {"resourceType": "Patient", "birthDate": born})
    other = await made(riverside, {"resourceType": "Patient", "birthDate": born})
    plain = await made(riverside, observation(who))
    secret = {"security": [{"system": V3, "code": "SEX"}]}
    private = await made(riverside, observation(who, meta=secret))
    mother = await made(
        riverside,
        {
            "resourceType": "RelatedPerson",
            "active": True,
            "patient": {"reference": who},
            "relationship": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
                            "code": "MTH",
                        }
                    ]
                }
            ],
        },
    )
    girls, mothers = await app(house, "girl", who), await app(house, "mother", mother)
    for reference, by_girl, by_mother in (
        (who, True, True), (plain, True, True), (private, True, False), (other, False, False),
    ):  # fmt: skip
        assert await girls.sees(reference) is by_girl, reference
        assert await mothers.sees(reference) is by_mother, reference
    for each, count in ((girls, 2), (mothers, 1)):
        found = (await each.ask("GET", "/Observation?_total=accurate")).json()
        assert found["total"] == count
    assert private not in (await mothers.ask("GET", f"/{who}/$everything")).text

    # She is asked something, and answers; nothing else of the Task is hers to change
    task = await made(
        riverside,
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"text": "weigh yourself"},
            "for": {"reference": who},
            "owner": {"reference": who},
            "requester": {"reference": riverside.reference},
        },
    )
    document = (await girls.ask("GET", f"/{task}")).json()
    reported = await girls.ask(
        "POST", "/Observation", observation(who, performer=[{"reference": who}])
    )
    assert reported.status_code == 201, reported.text
    result = f"Observation/{reported.json()['id']}"
    refused = await girls.ask("PUT", f"/{task}", {**document, "description": "no"})
    assert refused.status_code == 403, refused.text
    assert refused.json()["issue"][0]["expression"] == ["Task.description"]
    refused = await girls.ask("PUT", f"/{plain}", observation(who, id=plain.partition("/")[2]))
    assert refused.status_code == 403, refused.text
    accepted = await girls.ask("PUT", f"/{task}", {**document, "status": "accepted"})
    assert accepted.status_code == 200, accepted.text
    output = [{"type": {"text": "weight"}, "valueReference": {"reference": result}}]
    done = await girls.ask(
        "PUT", f"/{task}", {**accepted.json(), "status": "completed", "output": output}
    )
    assert done.status_code == 200, done.text
    assert (await riverside.read(task))["status"] == "completed"
    assert await riverside.sees(result)

    # The mother stops acting
    related = await riverside.read(mother)
    ended = await riverside.ask("PUT", f"/{mother}", {**related, "active": False})
    assert ended.status_code == 200, ended.text
    assert not await mothers.sees(plain)
