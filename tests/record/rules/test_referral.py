"""A referral by the rules: it opens, is asked, answered, withdrawn, and whoever is first has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from open_hub import BASE, House, Referral, patient, referral, service_request, task

from coordhub.errors import FhirError
from coordhub.record.operations import Create, Delete, Operation, Update
from coordhub.store.visibility import HUB


async def refused(work: Any) -> FhirError:
    with pytest.raises(FhirError) as error:
        await work
    return error.value


def places(error: FhirError) -> list[str]:
    return [issue.expression.rpartition(".")[2] for issue in error.issues]


async def reason(sent: Referral, reference: str) -> str:
    document = await sent.house.document(reference)
    return str(document["statusReason"]["coding"][0]["code"])


# ---- opening


async def test_given_a_requested_task_when_created_then_a_referral_opens_and_is_asked_once(
    house: House,
) -> None:
    sent = await house.refer(house.kitchen.service)
    assert await house.rows("select state, planned_at from episode") == [("open", None)]
    await house.relay()
    tasks = await sent.tasks()
    assert list(tasks) == ["kitchen"]
    asked = await house.document(tasks["kitchen"])
    order = await house.document(asked["focus"]["reference"])
    assert asked["partOf"] == [{"reference": sent.task}]
    assert asked["requester"] == {"reference": house.hub.organization}
    assert asked["owner"] == {"reference": house.kitchen.service}
    assert asked["for"] == {"reference": sent.patient}
    assert (asked["status"], order["intent"]) == ("requested", "filler-order")
    assert order["basedOn"] == [{"reference": sent.request}]
    assert await sent.status() == "accepted"


async def test_given_a_draft_when_it_becomes_requested_then_it_opens_then_and_not_before(
    house: House,
) -> None:
    sent = await house.refer(house.kitchen.service, status="draft")
    assert await house.value("select count(*) from episode") == 0
    document = {**await house.document(sent.task), "status": "requested"}
    await house.update(house.clinic, document["id"], document)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]


@pytest.mark.parametrize("named", ["somebody else", "nobody"])
async def test_given_a_task_for_another_than_its_order_when_sent_then_nobody_is_asked(
    house: House, named: str
) -> None:
    sent = await house.refer(house.kitchen.service)
    other = await house.create(house.clinic, patient())
    task_of = await house.document(sent.task)
    again = {name: value for name, value in task_of.items() if name not in ("id", "meta", "for")}
    if named == "somebody else":
        again["for"] = {"reference": other.reference}
    error = await refused(house.create(house.clinic, again))
    assert (error.status, places(error)) == (422, ["for"])
    assert sent.patient in error.issues[0].diagnostics
    assert await house.value("select count(*) from episode") == 1


@pytest.mark.parametrize("status", ["draft", "revoked", "completed", "entered-in-error"])
async def test_given_an_order_that_is_not_in_force_when_sent_then_nobody_is_asked_for_it(
    house: House, status: str
) -> None:
    about = await house.create(house.clinic, patient())
    order = service_request(
        about.reference, house.clinic.reference, house.kitchen.service, status=status
    )
    made = await house.create(house.clinic, order)
    sent = task(made.reference, about.reference, house.clinic.reference)
    error = await refused(house.create(house.clinic, sent))
    assert (error.status, places(error)) == (422, ["focus"])
    order = {**await house.document(made.reference), "status": "active"}
    await house.update(house.clinic, made.id, order)
    await house.create(house.clinic, sent)
    assert await house.value("select count(*) from episode") == 1


@pytest.mark.parametrize("status", ["requested", "received"])
async def test_given_one_of_several_when_it_writes_and_has_not_won_then_the_answer_tells_not_for_whom(
    house: House, status: str
) -> None:
    sent = await house.asking(
        house.kitchen.service, house.pantry.service, kind="transportation-insecurity"
    )
    answered = await sent.answer(house.kitchen, status)
    assert answered.body is not None
    assert sent.patient not in answered.body
    seen = await house.read(house.kitchen, answered.reference)
    assert seen is not None
    assert seen.body == answered.body
    won = await sent.answer(house.kitchen, "accepted")
    assert won.body is not None
    assert sent.patient in won.body


async def test_given_a_recipient_when_it_says_that_it_is_asked_to_stop_then_that_is_the_hubs_to_say(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    system = "urn:coordhub:business-status"
    said = {"coding": [{"system": system, "code": "cancellation-requested"}]}
    error = await refused(sent.answer(house.kitchen, "accepted", businessStatus=said))
    assert (error.status, places(error)) == (409, ["businessStatus"])


@pytest.mark.parametrize("named", ["owner", "restriction", "performer"])
async def test_given_a_recipient_in_any_of_three_places_when_sent_then_it_is_asked(
    house: House, named: str
) -> None:
    one = {"reference": house.kitchen.service}
    elements = {
        "owner": {"owner": one},
        "restriction": {"restriction": {"recipient": [{"reference": house.kitchen.reference}]}},
        "performer": {},
    }[named]
    performers = [one["reference"]] if named == "performer" else []
    sent = await house.asking(*performers, **elements)
    assert list(await sent.tasks()) == ["kitchen"]


@pytest.mark.parametrize("prefix", ["", f"{BASE}/"])
async def test_given_the_hub_as_owner_when_sent_then_the_performer_is_asked(
    house: House, prefix: str
) -> None:
    owner = {"reference": f"{prefix}{house.hub.organization}"}
    sent = await house.asking(house.kitchen.service, owner=owner)
    assert list(await sent.tasks()) == ["kitchen"]


@pytest.mark.parametrize(
    "element",
    [
        {"intent": "proposal"},
        {"code": {"coding": [{"code": "abort"}]}},
        {"status": "accepted"},
        {"status": "completed"},
    ],
)
async def test_given_a_task_that_asks_for_something_else_when_created_then_no_referral_opens(
    house: House, element: dict[str, Any]
) -> None:
    await house.refer(house.kitchen.service, **element)
    assert await house.value("select count(*) from episode") == 0


async def test_given_nobody_or_someone_unknown_named_when_sent_then_422_and_nothing_is_stored(
    house: House,
) -> None:
    before = await house.value("select count(*) from change")
    error = await refused(house.refer())
    assert (error.status, places(error)) == (422, ["owner"])
    person = await house.create(house.clinic, patient())
    hidden = await house.create(
        house.clinic, {"resourceType": "Organization", "name": "not of the directory"}
    )
    before = await house.value("select count(*) from change")
    error = await refused(house.refer(house.kitchen.service, hidden.reference))
    assert error.status == 422
    assert [issue.expression for issue in error.issues] == ["Bundle.entry[2].resource.performer"]
    assert hidden.reference in error.issues[0].diagnostics
    error = await refused(house.refer(owner={"reference": person.reference}))
    assert error.status == 422
    assert await house.value("select count(*) from change") == before


async def test_given_a_task_for_another_s_order_when_created_then_no_referral_opens(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    order = (await house.document((await sent.tasks())["kitchen"]))["focus"]["reference"]
    await house.create(
        house.kitchen,
        task(
            order,
            sent.patient,
            house.kitchen.reference,
            owner={"reference": house.pantry.service},
        ),
    )
    await house.relay()
    assert await house.value("select count(*) from episode") == 1


# ---- several are asked


async def test_given_several_named_when_one_accepts_then_the_others_are_cancelled_not_selected(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, house.van.service)
    tasks = await sent.tasks()
    assert list(tasks) == ["kitchen", "pantry", "van"]
    assert len({(await house.document(one))["focus"]["reference"] for one in tasks.values()}) == 1
    await sent.answer(house.pantry, "accepted")
    assert [await sent.status(one) for one in tasks.values()] == [
        "cancelled",
        "accepted",
        "cancelled",
    ]
    assert await reason(sent, tasks["kitchen"]) == "not-selected"
    error = await refused(sent.answer(house.kitchen, "accepted"))
    assert error.status == 409
    assert "already taken" in error.issues[0].diagnostics
    assert "pantry" not in error.issues[0].diagnostics
    assert house.pantry.service not in error.issues[0].diagnostics
    assert await house.rows("select status from candidate order by ordinal") == [
        ("cancelled",),
        ("accepted",),
        ("cancelled",),
    ]


async def test_given_two_that_accept_at_once_when_repeated_then_always_one_200_and_one_409(
    house: House,
) -> None:
    for _ in range(30):
        sent = await house.asking(house.kitchen.service, house.pantry.service)
        tasks = await sent.tasks()
        documents = {name: await house.document(one) for name, one in tasks.items()}
        parties = {"kitchen": house.kitchen, "pantry": house.pantry}
        answers = await asyncio.gather(
            *(
                house.update(parties[name], one["id"], {**one, "status": "accepted"})
                for name, one in documents.items()
            ),
            return_exceptions=True,
        )
        assert sorted(one.status for one in answers) == [200, 409]  # type: ignore[union-attr]
        won = [await sent.status(one) for one in tasks.values()]
        assert sorted(won) == ["accepted", "cancelled"]
    tangled = await house.value(
        "select count(*) from episode e where (select count(*) from candidate c"
        " where c.episode = e.id and c.status = 'accepted') <> 1"
    )
    assert tangled == 0


async def test_given_one_organization_asked_twice_when_it_accepts_both_at_once_then_409(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.kitchen.reference)
    tasks = await house.rows(
        "select r.fhir_id from candidate c join resource r on r.rid = c.task order by c.ordinal"
    )
    updates = [
        Update("Task", fhir_id, {**await house.document(f"Task/{fhir_id}"), "status": "accepted"})
        for (fhir_id,) in tasks
    ]
    error = await refused(house.commit(house.kitchen, *updates))
    assert error.status == 409
    await house.commit(house.kitchen, updates[0])
    assert [await sent.status(f"Task/{fhir_id}") for (fhir_id,) in tasks] == [
        "accepted",
        "cancelled",
    ]


async def test_given_an_acceptance_and_a_withdrawal_when_at_once_then_they_have_one_order(
    house: House,
) -> None:
    for _ in range(10):
        sent = await house.asking(house.kitchen.service)
        answers = await asyncio.gather(
            sent.answer(house.kitchen, "accepted"), sent.withdraw(), return_exceptions=True
        )
        statuses = [one.status for one in answers]  # type: ignore[union-attr]
        assert sorted(statuses) in ([200, 200], [200, 409])
        asked, asking = await sent.status((await sent.tasks())["kitchen"]), await sent.status()
        if statuses[1] == 409:  # what the sender had read is not how things stand any more
            assert (asked, asking) == ("accepted", "in-progress")
        else:
            assert (asked, asking) == ("cancelled", "cancelled")


async def test_given_a_referral_that_is_locked_when_answered_then_it_waits_before_any_resource(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    reference = (await sent.tasks())["kitchen"]
    fhir_id = reference.removeprefix("Task/")
    async with house.engine.pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute("select id from episode for update")
            answering = asyncio.create_task(sent.answer(house.kitchen, "accepted"))
            for _ in range(500):
                if await house.value("select count(*) from pg_locks where not granted"):
                    break
                await asyncio.sleep(0.01)
            assert not answering.done()
            locked = "select 1 from resource where fhir_id = $1 for update nowait"
            assert await conn.fetchval(locked, fhir_id) == 1
        assert (await answering).status == 200


async def test_given_one_that_declines_when_another_is_left_then_the_referral_stays_open(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await sent.answer(house.kitchen, "rejected")
    assert await house.value("select state from episode") == "open"
    await sent.answer(house.pantry, "rejected")
    assert await house.value("select state from episode") == "open", (
        "a person is to look for others"
    )


async def test_given_the_only_one_asked_when_it_declines_then_the_referral_is_rejected(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "rejected")
    assert await sent.status() == "rejected"
    assert await house.value("select state from episode") == "closed"


# ---- the sender's Task

EDITS: dict[str, object] = {
    "focus": {"reference": "http://elsewhere.example/ServiceRequest/1"},
    "for": {"reference": "http://elsewhere.example/Patient/1"},
    "owner": {"reference": "http://elsewhere.example/Organization/1"},
    "requester": {"reference": "http://elsewhere.example/Organization/1"},
    "intent": "plan",
    "code": {"text": "another"},
    "partOf": [{"reference": "http://elsewhere.example/Task/1"}],
    "restriction": {"repetitions": 3},
    "input": [{"type": {"text": "a"}, "valueString": "b"}],
    "status": "completed",
    "statusReason": {"text": "because"},
    "businessStatus": {"text": "odd"},
    "output": [{"type": {"text": "a"}, "valueString": "b"}],
}


async def test_given_a_sent_referral_when_its_sender_edits_it_then_409_names_each_element(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    document = await house.document(sent.task)
    for element, value in EDITS.items():
        error = await refused(
            house.update(house.clinic, document["id"], {**document, element: value})
        )
        assert (error.status, places(error)) == (409, [element])
    error = await refused(house.update(house.clinic, document["id"], {**document, **EDITS}))
    assert set(places(error)) == set(EDITS)
    noted = {**document, "note": [{"text": "call after noon"}]}
    assert (await house.update(house.clinic, document["id"], noted)).status == 200


async def test_given_a_referral_when_cancelled_before_anybody_began_then_all_ends(
    house: House,
) -> None:
    for answers in ({}, {"kitchen": "accepted"}):
        sent = await house.asking(house.kitchen.service, house.pantry.service)
        for name, status in answers.items():
            await sent.answer(getattr(house, name), status)
        await sent.withdraw()
        tasks = await sent.tasks()
        assert {await sent.status(one) for one in tasks.values()} == {"cancelled"}
        assert await reason(sent, tasks["kitchen"]) == "requester-cancelled"
        assert await sent.status() == "cancelled"
    assert await house.rows("select distinct state from episode") == [("closed",)]


async def test_given_its_own_copy_without_what_the_hub_computed_when_the_sender_cancels_then_it_ends(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    document = await house.document(sent.task)
    own = {name: value for name, value in document.items() if name != "businessStatus"}
    await house.update(house.clinic, own["id"], {**own, "status": "cancelled"})
    assert await sent.status() == "cancelled"
    withdrawn = (await house.document(sent.task))["businessStatus"]["coding"][0]["code"]
    assert withdrawn == "withdrawn"


@pytest.mark.parametrize("end", ["rejected", "withdrawn"])
async def test_given_a_task_that_ended_unstarted_when_its_recipient_looks_then_the_patient_is_gone(
    house: House, end: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    asked = (await sent.tasks())["kitchen"]
    assert await house.read(house.kitchen, sent.patient) is not None
    await (sent.answer(house.kitchen, "rejected") if end == "rejected" else sent.withdraw())
    assert await house.read(house.kitchen, sent.patient) is None
    assert await house.read(house.kitchen, asked) is not None


async def test_given_a_referral_when_cancelled_before_the_hub_asked_then_nobody_is_asked(
    house: House,
) -> None:
    sent = await house.refer(house.kitchen.service)
    await sent.withdraw()
    await house.relay()
    assert await sent.tasks() == {}
    assert await house.value("select count(*) from delivery") == 0
    assert await sent.status() == "cancelled"


async def test_given_work_that_began_when_cancelled_by_the_sender_then_its_owner_is_asked_to_stop(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "accepted")
    await sent.answer(house.kitchen, "in-progress")
    await sent.withdraw()
    assert await sent.status() == "in-progress"
    assert await sent.status((await sent.tasks())["kitchen"]) == "in-progress"
    assert await house.rows("select kind, owner, closed_at from errand") == [
        ("abort", house.kitchen.rid, None)
    ]


# ---- the recipient's Task


async def test_given_the_task_that_asks_when_its_owner_edits_it_then_403_names_each_element(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    document = await house.document((await sent.tasks())["kitchen"])
    foreign = {
        "priority": "stat",
        "description": "something else",
        "authoredOn": "2020-01-01",
        **{
            name: EDITS[name]
            for name in ("focus", "for", "owner", "requester", "intent", "code", "partOf")
        },
        "restriction": EDITS["restriction"],
        "input": EDITS["input"],
    }
    for element, value in foreign.items():
        error = await refused(
            house.update(house.kitchen, document["id"], {**document, element: value})
        )
        assert (error.status, places(error)) == (403, [element])
    error = await refused(house.update(house.kitchen, document["id"], {**document, **foreign}))
    assert set(places(error)) == set(foreign)
    short = {name: value for name, value in document.items() if name != "focus"}
    error = await refused(house.update(house.kitchen, document["id"], short))
    assert (error.status, places(error)) == (403, ["focus"])


async def test_given_the_task_that_asks_when_answered_then_only_on_legal_ways_that_are_named(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    error = await refused(sent.answer(house.kitchen, "completed"))
    assert (error.status, places(error)) == (409, ["status"])
    for legal in ("received", "accepted", "rejected"):
        assert legal in error.issues[0].diagnostics
    await sent.answer(house.kitchen, "accepted")
    done = await sent.answer(house.kitchen, "completed")
    assert done.status == 200
    error = await refused(sent.answer(house.kitchen, "in-progress"))
    assert error.status == 409
    assert "final" in error.issues[0].diagnostics


async def test_given_the_task_that_asks_when_the_sender_or_a_stranger_answers_it_then_refused(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    reference = (await sent.tasks())["kitchen"]
    document = {**await house.document(reference), "status": "accepted"}
    for who in (house.clinic, house.pantry, house.stranger):
        error = await refused(house.update(who, document["id"], document))
        assert error.status == 405, f"{who.name} does not see it"
    assert await sent.status(reference) == "requested"


async def test_given_an_answer_when_stored_then_the_recipient_wrote_it_and_the_hub_keeps_it(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    written = await sent.answer(house.kitchen, "accepted")
    assert await house.rows("select author, source from resource where rid = $1", written.rid) == [
        (house.kitchen.rid, HUB)
    ]
    [(author, source)] = await house.rows(
        "select author, source from resource where fhir_id = $1", sent.task.removeprefix("Task/")
    )
    assert (author, source) == (HUB, house.clinic.rid)


# ---- deleting


async def test_given_what_belongs_to_a_referral_when_deleted_then_it_stays(house: House) -> None:
    sent = await house.asking(house.kitchen.service)
    for reference in (sent.task, sent.request):
        kind, _, fhir_id = reference.partition("/")
        error = await refused(house.commit(house.clinic, Delete(kind, fhir_id)))
        assert error.status == 409
    asked = (await sent.tasks())["kitchen"]
    order = (await house.document(asked))["focus"]["reference"]
    for reference in (asked, order):
        kind, _, fhir_id = reference.partition("/")
        error = await refused(house.commit(house.kitchen, Delete(kind, fhir_id)))
        assert error.status == 403, "it is the hub's"
        assert await house.document(reference)


# ---- who sees what


async def test_given_a_referral_when_asked_then_the_recipient_sees_what_it_names_and_no_more(
    house: House,
) -> None:
    other = await house.create(house.clinic, patient("2"))
    unnamed = await house.commit(
        house.clinic, *referral([house.van.service], requester=house.clinic.reference)
    )
    sent = await house.asking(house.kitchen.service)
    asked = (await sent.tasks())["kitchen"]
    order = (await house.document(asked))["focus"]["reference"]
    for reference in (asked, order, sent.patient, sent.result, sent.request):
        assert await house.read(house.kitchen, reference) is not None, reference
        assert await house.read(house.pantry, reference) is None, reference
    for reference in (sent.task, other.reference, *(one.reference for one in unnamed)):
        assert await house.read(house.kitchen, reference) is None, reference
    assert await house.read(house.clinic, asked) is None, "the sender has its own Task"


async def test_given_a_report_that_is_named_when_asked_then_its_results_are_shared_with_it(
    house: House,
) -> None:
    made = await house.commit(
        house.clinic,
        Create("Patient", patient(), full_url="urn:uuid:p"),
        Create(
            "Observation",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "a"},
                "subject": {"reference": "urn:uuid:p"},
            },
            full_url="urn:uuid:o",
        ),
        Create(
            "DiagnosticReport",
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "r"},
                "subject": {"reference": "urn:uuid:p"},
                "result": [{"reference": "urn:uuid:o"}],
            },
        ),
    )
    who, member, report = made
    operations: list[Operation] = [
        Create(
            "ServiceRequest",
            service_request(
                who.reference,
                house.clinic.reference,
                house.kitchen.service,
                supportingInfo=[{"reference": report.reference}],
            ),
            full_url="urn:uuid:s",
        ),
        Create("Task", task("urn:uuid:s", who.reference, house.clinic.reference)),
    ]
    await house.commit(house.clinic, *operations)
    await house.relay()
    assert await house.read(house.kitchen, report.reference) is not None
    assert await house.read(house.kitchen, member.reference) is not None
