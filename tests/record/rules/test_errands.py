"""An errand of the hub: who it is for sees and answers it, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Referral

from coordhub.access import caller
from coordhub.errors import FhirError
from coordhub.record import errands
from coordhub.record.operations import Create
from coordhub.referral import task_machine as machine


async def errand(house: House, sent: Referral) -> dict[str, Any]:
    """Kitchen is asked to stop."""
    [written] = await house.commit(
        caller.hub(house.hub.organization),
        Create(
            "Task",
            errands.document(
                kind="abort",
                owner=house.kitchen.service,
                subject=(await sent.tasks())["kitchen"],
                requester=house.hub.organization,
                now=house.clock(),
                reason=machine.REASONS["consent-withdrawn"],
            ),
        ),
    )
    return await house.document(written.reference)


async def test_given_an_errand_when_its_owner_answers_then_it_is_closed_and_stays_so(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    made = await errand(house, sent)
    reference = f"Task/{made['id']}"
    rows = "select kind, owner, episode is not null, closed_at is null from errand"
    assert await house.rows(rows) == [("abort", house.kitchen.rid, True, True)]
    assert await house.read(house.kitchen, reference) is not None
    for other in (house.pantry, house.clinic, house.stranger):
        assert await house.read(other, reference) is None
    await house.relay()
    told = (
        "select organization from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1"
    )
    assert await house.rows(told, made["id"]) == [(house.kitchen.rid,)]

    await house.update(house.kitchen, made["id"], {**made, "status": "completed"})
    assert await house.rows(rows) == [("abort", house.kitchen.rid, True, False)]
    with pytest.raises(FhirError) as error:
        await house.update(house.kitchen, made["id"], {**made, "status": "rejected"})
    assert error.value.status == 409
    assert "it is completed, and that stands" in error.value.issues[0].diagnostics
    answer = {"output": [{"type": {"text": "x"}, "valueString": "more"}]}
    with pytest.raises(FhirError) as error:
        await house.update(house.kitchen, made["id"], {**made, "status": "completed", **answer})
    assert error.value.issues[0].expression == "Task.output"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"status": "cancelled"}, 409),
        ({"status": "completed", "focus": {"display": "something else"}}, 403),
        ({"status": "completed", "owner": {"display": "somebody else"}}, 403),
    ],
)
async def test_given_an_errand_when_its_owner_does_more_than_answer_then_it_is_refused(
    house: House, change: dict[str, Any], status: int
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await errand(house, sent)
    with pytest.raises(FhirError) as error:
        await house.update(house.kitchen, made["id"], {**made, **change})
    assert error.value.status == status
    assert await house.value("select count(*) from errand where closed_at is null") == 1


async def test_given_an_errand_when_somebody_else_answers_then_it_is_not_there(
    house: House,
) -> None:
    made = await errand(house, await house.asking(house.kitchen.service))
    with pytest.raises(FhirError) as error:
        await house.update(house.pantry, made["id"], {**made, "status": "completed"})
    assert error.value.status == 405
