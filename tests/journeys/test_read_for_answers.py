"""Where it was agreed that a partner answers on its own copy: the hub reads that.

SDOH Clinical Care, flow 3: http://hl7.org/fhir/us/sdoh-clinicalcare
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from coordhub.access.caller import hub
from coordhub.admin import exchanging
from coordhub.admin.acts import UNNAMED
from coordhub.r4 import document as fhir_json
from coordhub.record.commit import commit
from coordhub.record.operations import Update


@pytest.fixture(params=[False, True], ids=["the hub's ids", "its own ids"])
async def lakeside(house, request):
    """Lakeside, which never speaks to the hub: it is read."""
    await exchanging.agree(
        house.hub.engine, UNNAMED, house.lakeside.reference, own_ids=request.param,
        answers_every=timedelta(seconds=10),
    )  # fmt: skip
    return house.lakeside


class Copy:
    """Its copy of the Task that asks it, on its own server."""

    def __init__(self, house, lakeside) -> None:
        self.house = house
        self.lakeside = lakeside

    async def _all(self, kind: str) -> list[dict]:
        found = await self.lakeside.hub.get(f"{self.lakeside.own}/fhir/{kind}")
        bundle = fhir_json.parse(found.content)
        return [entry["resource"] for entry in bundle.get("entry", [])]

    async def task(self) -> dict:
        (found,) = await self._all("Task")
        return found

    async def patient(self) -> dict:
        (found,) = await self._all("Patient")
        return found

    async def keeps(self, document: dict) -> None:
        name = f"{document['resourceType']}/{document['id']}"
        url = f"{self.lakeside.own}/fhir/{name}"
        put = await self.lakeside.hub.put(url, content=fhir_json.encode(document))
        assert put.status_code in (200, 201), put.text

    async def sets(self, **elements: object) -> None:
        await self.keeps({**await self.task(), **elements})

    async def is_read(self) -> None:
        """Now, not in ten seconds; until it has been."""
        await self.house.rows("update fetching set next_at = now() - interval '1 hour'")

        async def done():
            return await self.house.value(
                "select bool_and(state in ('done', 'dead') or state <> 'leased' and next_at > now())"
                " from fetching"
            )

        await self.house.until(done)


async def test_given_a_partner_that_answers_at_home_when_read_then_the_loop_closes(house, lakeside):
    sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()
    copy = Copy(house, lakeside)
    await copy.is_read()
    assert (await lakeside.read(t2))["meta"]["versionId"] == "1", "nothing new, nothing written"

    await copy.sets(status="accepted")
    await copy.is_read()
    assert (await lakeside.read(t2))["status"] == "accepted"
    assert (await house.riverside.read(sent.task))["status"] == "in-progress"
    assert await house.value(
        "select author = (select organization from candidate) from resource where fhir_id = $1",
        t2.partition("/")[2],
    ), "as if it had put it"

    # It is done, and its output is a result that is on its own server only
    patient = await copy.patient()
    await copy.keeps(
        {
            "resourceType": "Observation",
            "id": "our-result",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
            "subject": {"reference": f"Patient/{patient['id']}"},
        }
    )
    output = {"type": {"text": "result"}, "valueReference": {"reference": "Observation/our-result"}}
    await copy.sets(status="in-progress")
    await copy.is_read()
    await copy.sets(status="completed", output=[output])
    await copy.is_read()
    mine = await house.riverside.read(sent.task)
    assert mine["status"] == "completed"
    result = await house.riverside.read(mine["output"][0]["valueReference"]["reference"])
    assert result["subject"]["reference"] == sent.patient
    assert result["meta"]["source"] == f"{lakeside.own}/fhir/Observation/our-result"
    await house.settled()

    # What has ended is read no more

    async def over():
        await house.rows(
            "update fetching set next_at = now() where kind = 'answer' and state = 'queued'"
        )
        return await house.value("select state = 'done' from fetching where kind = 'answer'")

    await house.until(over)


async def test_given_an_answer_that_is_not_legal_when_read_then_it_is_not_taken_and_not_again(
    house, lakeside
):
    _sent, t2 = await house.given_asked(house.riverside, lakeside)
    await house.settled()
    copy = Copy(house, lakeside)
    await copy.sets(status="completed")
    await copy.is_read()
    assert (await lakeside.read(t2))["status"] == "requested"
    assert "status: business-rule" in await house.value("select reason from fetching")
    await copy.is_read()
    assert (await lakeside.read(t2))["status"] == "requested"
    # Not its business: what else it changes on its copy
    await copy.sets(status="accepted", priority="stat", owner={"display": "somebody"})
    await copy.is_read()
    now = await lakeside.read(t2)
    assert (now["status"], now["priority"]) == ("accepted", "routine")


async def test_given_something_newer_on_its_way_when_read_then_the_older_copy_undoes_nothing(
    house, lakeside
):
    _sent, t2 = await house.given_asked(house.riverside, lakeside)

    async def hub_says(text: str) -> None:
        task = {**await lakeside.read(t2), "statusReason": {"text": text}}
        update = Update("Task", task["id"], task)
        await commit(house.hub, hub(house.hub.organization), [update], interaction="update")

    await hub_says("first")
    await house.settled()
    copy = Copy(house, lakeside)
    assert (await copy.task())["statusReason"] == {"text": "first"}
    await lakeside.behaves({"mode": "down"})
    await hub_says("second")
    await copy.is_read()
    assert (await lakeside.read(t2))["statusReason"] == {"text": "second"}


async def test_given_no_agreement_when_asked_then_nothing_is_read(house):
    await house.given_asked(house.riverside, house.lakeside)
    await house.settled()
    assert await house.value("select count(*) from fetching") == 0
    assert (await house.lakeside.hub.get(f"{house.lakeside.own}/read")).json() == []
    # Agreed on later, what was asked already is read too
    await exchanging.agree(
        house.hub.engine, UNNAMED, house.lakeside.reference, answers_every=timedelta(seconds=10)
    )
    assert await house.value("select count(*) from fetching where kind = 'answer'") == 1
