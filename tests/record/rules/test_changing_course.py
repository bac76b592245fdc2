"""A referral changes its course: it is amended, stopped by a Task, handed on, its patient dies or moves."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, Referral, observation

from coordhub.errors import FhirError
from coordhub.record import reproject


async def refused(work: Any) -> FhirError:
    with pytest.raises(FhirError) as error:
        await work
    return error.value


async def changes(house: House, who: Party, reference: str, **elements: Any) -> Any:
    document = {**await house.document(reference), **elements}
    return await house.update(who, document["id"], document)


async def errands(house: House, kind: str) -> list[dict[str, Any]]:
    """Those of this kind, as their Tasks stand."""
    rows = await house.rows(
        "select r.fhir_id from errand x join resource r on r.rid = x.task where x.kind = $1"
        " order by x.task",
        kind,
    )
    return [await house.document(f"Task/{fhir_id}") for (fhir_id,) in rows]


async def drift(house: House) -> list[str]:
    """What the projections say otherwise than the resources."""
    found = reproject.reproject(house.hub, mend=False)
    return [text async for one in found for text in one.differences]


async def order_of(house: House, task: str) -> str:
    found: str = (await house.document(task))["focus"]["reference"]
    return found


# ---- the sender amends what it has sent


async def test_given_a_sent_order_when_amended_then_who_is_asked_has_it_and_its_task_says_so(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    asked = (await sent.tasks())["kitchen"]
    order = await order_of(house, asked)
    more = await house.create(house.clinic, observation(sent.patient, "2-2"))
    assert await house.read(house.kitchen, more.reference) is None
    known = [{"reference": sent.result}, {"reference": more.reference}]
    await changes(
        house, house.clinic, sent.request, priority="urgent", supportingInfo=known,
        note=[{"text": "needs a ramp"}],
    )  # fmt: skip
    stands = await house.document(order)
    assert stands["priority"] == "urgent"
    assert stands["supportingInfo"] == known
    assert stands["intent"] == "filler-order", "it is the hub's"
    assert stands["basedOn"] == [{"reference": sent.request}]
    task = await house.document(asked)
    assert task["status"] == "requested"
    assert [one["text"] for one in task["note"]] == [
        "The request was changed: note, priority, supportingInfo."
    ]
    assert await house.read(house.kitchen, more.reference) is not None
    assert await errands(house, "re-confirm") == [], "it has not answered yet"
    await house.relay()
    told = (
        "select count(*) from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1"
        " and d.organization = $2"
    )
    fhir_id = asked.removeprefix("Task/")
    assert await house.value(told, fhir_id, house.kitchen.rid) == 2


@pytest.mark.parametrize(
    ("begun", "answer", "status"),
    [
        ([], "completed", "accepted"),
        ([], "rejected", "rejected"),
        (["in-progress"], "rejected", "failed"),
        (["in-progress"], "received", "in-progress"),
    ],
)
async def test_given_who_has_taken_it_on_when_amended_then_it_confirms_or_gives_it_back(
    house: House, begun: list[str], answer: str, status: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    for step in ["accepted", *begun]:
        await sent.answer(house.kitchen, step)
    asked = (await sent.tasks())["kitchen"]
    await changes(house, house.clinic, sent.request, priority="urgent")
    await changes(house, house.clinic, sent.request, priority="asap")
    [errand] = await errands(house, "re-confirm")
    assert errand["focus"] == {"reference": asked}
    assert (await house.read(house.kitchen, f"Task/{errand['id']}")) is not None
    await changes(house, house.kitchen, f"Task/{errand['id']}", status=answer)
    task = await house.document(asked)
    assert task["status"] == status
    if answer == "rejected":
        assert task["statusReason"]["coding"][0]["code"] == "changed-request"
    assert await drift(house) == []


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("code", {"text": "shelter"}),
        ("performer", []),
        ("category", [{"text": "other"}]),
        ("intent", "plan"),
    ],
)
async def test_given_a_sent_order_when_it_would_be_another_one_then_409_says_what_to_do(
    house: House, element: str, value: Any
) -> None:
    sent = await house.asking(house.kitchen.service)
    elements = {element: value} if value else {}
    document = {**await house.document(sent.request), **elements}
    if not value:
        del document[element]
    error = await refused(house.update(house.clinic, document["id"], document))
    assert error.status == 409
    (issue,) = error.issues
    assert issue.expression.endswith(f".{element}")
    assert f"Set the status of {sent.task} to cancelled" in issue.diagnostics
    assert "replaces" in issue.diagnostics
    # Before and after the referral it is the sender's to change
    await sent.withdraw()
    await house.update(house.clinic, document["id"], document)


async def test_given_a_sent_order_when_revoked_or_completed_then_nobody_is_told_and_the_first_is_warned(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    asked = (await sent.tasks())["kitchen"]
    done = await changes(house, house.clinic, sent.request, status="revoked")
    (warning,) = done.warnings
    assert f"Set the status of {sent.task} to cancelled" in warning.diagnostics
    done = await changes(house, house.clinic, sent.request, status="completed")
    assert done.warnings == ()
    assert "note" not in await house.document(asked)


async def test_given_several_asked_when_amended_then_who_has_not_won_is_shown_no_more_than_before(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    more = await house.create(house.clinic, observation(sent.patient, "2-2"))
    await changes(house, house.clinic, sent.request, supportingInfo=[{"reference": more.reference}])
    for one in (house.kitchen, house.pantry):
        assert await house.read(one, more.reference) is None
    await sent.answer(house.kitchen, "accepted")
    assert await house.read(house.kitchen, more.reference) is not None
    assert await house.read(house.pantry, more.reference) is None


# ---- the sender asks to stop by a Task


def abort(focus: str, requester: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]
        },
        "focus": {"reference": focus},
        "requester": {"reference": requester},
        **elements,
    }


@pytest.mark.parametrize("named", ["task", "request"])
@pytest.mark.parametrize("begun", [False, True])
async def test_given_a_partner_that_asks_to_stop_by_a_task_when_sent_then_as_if_it_had_cancelled(
    house: House, named: str, begun: bool
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    if begun:
        await sent.answer(house.kitchen, "in-progress")
    focus = sent.task if named == "task" else sent.request
    made = await house.create(house.clinic, abort(focus, house.clinic.reference))
    stands = await house.document(made.reference)
    asked = (await sent.tasks())["kitchen"]
    if begun:
        assert stands["status"] == "accepted"
        assert await sent.status() == "in-progress"
        assert len(await errands(house, "abort")) == 1
        await sent.answer(house.kitchen, "cancelled")
    else:
        assert stands["status"] == "completed"
        assert await errands(house, "abort") == []
    assert await sent.status(asked) == await sent.status() == "cancelled"
    assert await house.value("select state from episode") == "closed"
    again = await refused(house.create(house.clinic, abort(focus, house.clinic.reference)))
    assert again.status == 409
    assert "nothing to stop" in again.issues[0].diagnostics
    assert await drift(house) == []


async def test_given_somebody_else_that_asks_to_stop_when_sent_then_it_is_its_own_and_changes_nothing(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    asked = (await sent.tasks())["kitchen"]
    await house.create(house.kitchen, abort(asked, house.kitchen.reference, intent="proposal"))
    await house.create(house.clinic, abort(sent.task, house.clinic.reference, intent="proposal"))
    assert await sent.status(asked) == "requested"


# ---- a recipient hands it on


async def test_given_a_task_when_its_owner_hands_it_on_inside_its_house_then_status_and_history_stay(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    asked = (await sent.tasks())["kitchen"]
    role = await house.create(
        house.steward,
        {
            "resourceType": "PractitionerRole",
            "active": True,
            "organization": {"reference": house.kitchen.reference},
        },
    )
    await changes(house, house.kitchen, asked, owner={"reference": role.reference})
    task = await house.document(asked)
    assert (task["owner"], task["status"]) == ({"reference": role.reference}, "accepted")
    assert await drift(house) == []
    await sent.answer(house.kitchen, "in-progress")
    assert await sent.status() == "in-progress"

    elsewhere = {"reference": house.pantry.service}
    error = await refused(changes(house, house.kitchen, asked, owner=elsewhere))
    assert error.status == 403
    assert "suggested-service" in error.issues[0].diagnostics
    assert error.issues[0].expression.endswith(".owner")
    await sent.answer(house.kitchen, "completed")
    back = {"reference": house.kitchen.service}
    assert (await refused(changes(house, house.kitchen, asked, owner=back))).status == 409


# ---- the patient


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"deceasedBoolean": True}, "patient-died"),
        ({"deceasedDateTime": "2026-01-02"}, "patient-died"),
        ({"address": [{"postalCode": "74103", "city": "Tulsa"}]}, "patient-moved"),
        ({"link": [{"type": "replaced-by"}]}, "patient-merged"),
    ],
)
async def test_given_open_referrals_when_their_patient_dies_moves_or_is_merged_then_each_is_looked_at(
    house: House, elements: dict[str, Any], reason: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    if "link" in elements:
        other = await house.create(house.clinic, {"resourceType": "Patient"})
        elements = {"link": [{"type": "replaced-by", "other": {"reference": other.reference}}]}
    await changes(house, house.clinic, sent.patient, **elements)
    [errand] = await errands(house, "review")
    assert errand["focus"] == {"reference": sent.task}
    assert errand["owner"] == {"reference": house.clinic.reference}
    assert errand["statusReason"]["coding"][0]["code"] == reason
    assert "for" not in errand
    assert await house.read(house.kitchen, f"Task/{errand['id']}") is None
    assert await sent.status() == "accepted", "nothing ends by itself"

    # Once, and not for what tells nothing new
    await changes(house, house.clinic, sent.patient, gender="female")
    if reason == "patient-moved":
        await changes(house, house.clinic, sent.patient, deceasedBoolean=True)
    assert len(await errands(house, "review")) == 1
    await changes(house, house.clinic, f"Task/{errand['id']}", status="completed")
    assert await house.value("select closed_at is not null from errand where kind = 'review'")
    assert await drift(house) == []


async def test_given_no_open_referral_when_the_patient_moves_then_nobody_is_asked(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.withdraw()
    await changes(house, house.clinic, sent.patient, deceasedBoolean=True)
    assert await errands(house, "review") == []


async def test_given_a_referral_of_another_patient_when_one_dies_then_only_its_own_is_looked_at(
    house: House,
) -> None:
    first = await house.asking(house.kitchen.service)
    second: Referral = await house.asking(house.pantry.service)
    await changes(house, house.clinic, second.patient, deceasedBoolean=True)
    [errand] = await errands(house, "review")
    assert errand["focus"] == {"reference": second.task}
    assert first.task != second.task


# ---- two referrals for the same


def duplicate_of(task: str) -> dict[str, Any]:
    code = {"system": "urn:coordhub:task-status-reason", "code": "duplicate-service"}
    kind = {"coding": [{"system": "urn:coordhub:output", "code": "duplicate-of"}]}
    return {
        "statusReason": {"coding": [code], "text": "already served"},
        "output": [{"type": kind, "valueReference": {"reference": task}}],
    }


async def twice(house: House, second: Party) -> tuple[Referral, Referral]:
    """The clinic and a second sender refer to the kitchen, in this order."""
    older = await house.asking(house.kitchen.service)
    newer = await house.asking(house.kitchen.service, who=second)
    return older, newer


@pytest.mark.parametrize("answer", ["rejected", "cancelled"])
@pytest.mark.parametrize("one_sender", [True, False])
async def test_given_two_referrals_for_the_same_when_merged_then_the_older_goes_on_and_both_are_told(
    house: House, answer: str, one_sender: bool
) -> None:
    older, newer = await twice(house, house.clinic if one_sender else house.van)
    kept, ended = (await older.tasks())["kitchen"], (await newer.tasks())["kitchen"]
    await house.relay()
    await changes(house, house.kitchen, ended, status=answer, **duplicate_of(kept))
    task = await house.document(newer.task)
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == (
        "cancelled",
        "withdrawn",
    )
    assert task["statusReason"]["coding"][0]["code"] == "duplicate-service"
    assert await older.status() == "accepted"
    assert await older.status(kept) == "requested"
    said = [(await house.document(one.task))["note"][0]["text"] for one in (newer, older)]
    assert "an earlier referral, which goes on" in said[0]
    assert "was merged into this one" in said[1]
    for text, other in zip(said, (older.task, newer.task), strict=True):
        assert (other in text) == one_sender, "of another sender's it is not told"
    await house.relay()
    told = (
        "select distinct d.organization from delivery d join resource r on r.rid = d.rid"
        " where r.fhir_id = any($1) order by 1"
    )
    sent = [one.task.removeprefix("Task/") for one in (older, newer)]
    senders = {house.clinic.rid, (house.clinic if one_sender else house.van).rid}
    assert {row[0] for row in await house.rows(told, sent)} == senders
    assert await drift(house) == []


async def test_given_what_is_no_duplicate_when_said_to_be_one_then_it_says_what_to_name(
    house: House,
) -> None:
    older, newer = await twice(house, house.van)
    kept, ended = (await older.tasks())["kitchen"], (await newer.tasks())["kitchen"]
    for named in (ended, older.request, house.kitchen.reference):
        error = await refused(
            changes(house, house.kitchen, ended, status="rejected", **duplicate_of(named))
        )
        assert error.status == 422, named
        assert error.issues[0].expression.endswith(".output")
    wrong_way = changes(house, house.kitchen, kept, status="rejected", **duplicate_of(ended))
    error = await refused(wrong_way)
    assert error.status == 409
    assert "is the newer of the two" in error.issues[0].diagnostics
    assert await older.status(kept) == await newer.status(ended) == "requested"


# ---- what has ended is asked again


async def test_given_a_referral_that_has_ended_when_asked_again_then_by_a_new_task_and_not_before(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    old = await house.document(sent.task)
    names = ("resourceType", "intent", "code", "focus", "for", "requester")
    again = {name: old[name] for name in names} | {
        "status": "requested",
        "basedOn": [{"reference": sent.task}],
    }
    error = await refused(house.create(house.clinic, again))
    assert error.status == 409
    assert error.issues[0].expression.endswith(".basedOn")
    await sent.answer(house.kitchen, "rejected")
    assert await sent.status() == "rejected"
    back = await refused(changes(house, house.clinic, sent.task, status="requested"))
    assert back.status == 409
    made = await house.create(house.clinic, again)
    await house.relay()
    assert await sent.status(made.reference) == "accepted"
    assert await sent.status() == "rejected", "what has ended stays so"
    assert await house.value("select count(*) from episode where state = 'open'") == 1


async def test_given_one_who_was_cancelled_when_it_says_what_it_has_done_then_the_ledger_agrees(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    await sent.withdraw()
    await sent.answer(house.kitchen, "completed")
    assert await sent.status() == "cancelled"
    assert await drift(house) == []


# ---- a need is added


async def several(house: House) -> tuple[Referral, str]:
    """A referral whose order has a requisition, and another order of it."""
    sent = await house.refer(house.kitchen.service)
    number = {"system": "urn:test:requisition", "value": "7"}
    order = {**await house.document(sent.request), "requisition": number}
    await house.update(house.clinic, order["id"], order)
    await house.relay()
    other = {
        **{name: order[name] for name in order if name not in ("id", "meta")},
        "performer": [{"reference": house.pantry.service}],
        "code": {"text": "shelter"},
    }
    made = await house.create(house.clinic, other)
    return sent, made.reference


def inputs(*orders: str) -> list[dict[str, Any]]:
    return [{"type": {"text": "also"}, "valueReference": {"reference": order}} for order in orders]


async def test_given_an_open_referral_when_a_need_is_added_then_it_is_asked_for_beside_the_first(
    house: House,
) -> None:
    sent, other = await several(house)
    await sent.answer(house.kitchen, "accepted")
    await changes(house, house.clinic, sent.task, input=inputs(other))
    await house.relay()
    assert await house.rows("select ordinal, state from need order by 1") == [
        (0, "won"),
        (1, "open"),
    ]
    assert list(await sent.tasks()) == ["kitchen", "pantry"]
    await sent.answer(house.kitchen, "completed")
    assert await sent.status() == "in-progress", "the other need is open"
    await sent.answer(house.pantry, "accepted")
    await sent.answer(house.pantry, "completed")
    assert await sent.status() == "completed"
    assert await drift(house) == []


async def test_given_an_open_referral_when_anything_else_is_added_or_it_has_ended_then_409(
    house: House,
) -> None:
    sent, other = await several(house)
    alone = await house.document(other)
    foreign = await house.create(
        house.clinic, {name: alone[name] for name in alone if name not in ("id", "requisition")}
    )
    for named in (foreign.reference, sent.result, sent.request):
        error = await refused(changes(house, house.clinic, sent.task, input=inputs(named)))
        assert error.status == 409, named
        assert error.issues[0].expression.endswith(".input")
    await sent.answer(house.kitchen, "rejected")
    error = await refused(changes(house, house.clinic, sent.task, input=inputs(other)))
    assert error.status == 409


async def test_given_one_need_begun_and_one_that_nobody_is_asked_for_when_cancelled_then_nobody_is(
    house: House,
) -> None:
    sent, other = await several(house)
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "in-progress")
    await changes(house, house.clinic, sent.task, input=inputs(other))
    await sent.withdraw()
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    assert await sent.status() == "in-progress"
    await sent.answer(house.kitchen, "cancelled")
    assert await sent.status() == "cancelled"
    assert await house.value("select state from episode") == "closed"
    assert await drift(house) == []
