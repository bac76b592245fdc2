"""A result that does not refer to its order finds it by a number, or somebody is asked; nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from open_hub import LOINC, House, Party, Referral, observation, patient, service_request, task

from coordhub.errors import FhirError
from coordhub.record.operations import Create, Delete, Update, Written
from coordhub.record.reproject import reproject

Document = dict[str, Any]

LAB = "urn:lab:orders"
PLACER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}
HBA1C = {"coding": [{"system": LOINC, "code": "4548-4"}]}


async def ordered(house: House, asked: Party, **order: Any) -> Referral:
    """The clinic orders from `asked`; `order`: elements of its ServiceRequest."""
    who, request = "urn:uuid:p", "urn:uuid:o"
    document = service_request(who, house.clinic.reference, asked.service, **order)
    written = await house.commit(
        house.clinic,
        Create("Patient", patient(uuid4().hex), full_url=who),
        Create("ServiceRequest", document, full_url=request),
        Create("Task", task(request, who, house.clinic.reference)),
    )
    await house.relay()
    return Referral(house, written[0].reference, "", written[1].reference, written[2].reference)


def number(value: str, system: str | None = LAB, **more: Any) -> Document:
    return {"type": PLACER, "value": value, **({"system": system} if system else {}), **more}


async def errands(house: House, who: Party) -> list[Document]:
    """What `who` is asked about results and has not answered."""
    rows = await house.rows(
        "select r.fhir_id from errand x join resource r on r.rid = x.task"
        " where x.kind = 'match-result' and x.owner = $1 and x.closed_at is null order by x.task",
        who.rid,
    )
    return [await house.document(f"Task/{row[0]}") for row in rows]


async def sees(house: House, who: Party, made: Written) -> bool:
    return await house.read(who, made.reference) is not None


def reasons(documents: Sequence[Document]) -> list[str]:
    return [one["statusReason"]["coding"][0]["code"] for one in documents]


def proposed(errand: Document) -> list[tuple[str, str]]:
    return [
        (one["valueReference"]["reference"], one["type"]["text"]) for one in errand.get("input", [])
    ]


@pytest.mark.parametrize("where", ["identifier", "basedOn"])
async def test_given_the_number_of_an_order_when_a_result_states_it_then_it_is_that_order_s(
    house: House, where: str
) -> None:
    sent = await ordered(house, house.kitchen, identifier=[number("A1")])
    await ordered(house, house.kitchen, identifier=[number("A2")])
    stated = [number("A1")] if where == "identifier" else [{"identifier": number("A1")}]
    made = await house.create(house.kitchen, observation(sent.patient, **{where: stated}))
    assert await sees(house, house.clinic, made)
    assert await errands(house, house.kitchen) == []
    assert await house.value("select how from result where rid = $1", made.rid) == "identifier"


async def test_given_the_filler_s_number_on_its_task_when_a_result_states_it_then_it_is_that_order_s(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen)
    filler = {
        "type": {"coding": [{**PLACER["coding"][0], "code": "FILL"}]},
        "system": "urn:kitchen",
        "value": "77",
    }
    await sent.answer(house.kitchen, "accepted", identifier=[filler])
    made = await house.create(house.kitchen, observation(sent.patient, identifier=[filler]))
    assert await sees(house, house.clinic, made)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ([number("A9")], "order-unknown"),
        ([number("A1", "urn:other:orders")], "order-unknown"),
        ([number("A1", None)], "order-unknown"),
        ([number("SAME")], "order-ambiguous"),
    ],
)
async def test_given_a_number_of_no_order_or_of_several_when_stated_then_its_writer_is_asked_and_nobody_told(
    house: House, stated: list[Document], reason: str
) -> None:
    group = {"type": {"coding": [{**PLACER["coding"][0], "code": "PGN"}]}}
    of_both = {**number("SAME"), **group}
    sent = await ordered(house, house.kitchen, identifier=[number("A1"), of_both], code=HBA1C)
    await ordered(house, house.kitchen, identifier=[of_both])
    made = await house.create(house.kitchen, observation(sent.patient, identifier=stated))
    assert not await sees(house, house.clinic, made)
    assert await sees(house, house.kitchen, made), "never lost"
    [errand] = await errands(house, house.kitchen)
    assert reasons([errand]) == [reason]
    assert errand["focus"] == {"reference": made.reference}
    [mine] = (await sent.tasks()).values()
    assert proposed(errand) == [(mine, "same patient, same code, ordered before it")]
    assert await house.read(house.kitchen, f"Task/{errand['id']}") is not None
    for other in (house.clinic, house.pantry, house.stranger):
        assert await house.read(other, f"Task/{errand['id']}") is None


async def test_given_a_number_without_system_when_its_assigner_is_named_then_it_means_that_one_s_order(
    house: House,
) -> None:
    bare = {"type": PLACER, "value": "A1"}
    sent = await ordered(house, house.kitchen, identifier=[bare])
    by = {**bare, "assigner": {"reference": house.clinic.reference}}
    made = await house.create(house.kitchen, observation(sent.patient, identifier=[by]))
    assert await sees(house, house.clinic, made)
    other = {**bare, "assigner": {"reference": house.pantry.reference}}
    lost = await house.create(house.kitchen, observation(sent.patient, identifier=[other]))
    assert not await sees(house, house.clinic, lost)


async def test_given_the_number_of_an_order_that_another_was_asked_with_when_stated_then_it_says_nothing(
    house: House,
) -> None:
    await ordered(house, house.kitchen, identifier=[number("A1")])
    mine = await ordered(house, house.pantry)
    made = await house.create(house.pantry, observation(mine.patient, identifier=[number("A1")]))
    assert not await sees(house, house.clinic, made)
    [errand] = await errands(house, house.pantry)
    assert [one for one, _ in proposed(errand)] == list((await mine.tasks()).values())


async def test_given_no_order_named_when_one_of_the_same_patient_asks_for_it_then_its_writer_is_asked(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen, code=HBA1C)
    likely = await house.create(house.kitchen, observation(sent.patient))
    assert reasons(await errands(house, house.kitchen)) == ["order-unnamed"]
    await house.create(house.kitchen, observation(sent.patient, code="2345-7"))
    own = await house.create(house.kitchen, patient("own"))
    await house.create(house.kitchen, observation(own.reference))
    assert len(await errands(house, house.kitchen)) == 1, "these are its own records"
    assert not await sees(house, house.clinic, likely)


async def answer(house: House, errand: Document, status: str, *named: str) -> Written:
    output = [{"type": {"text": "order"}, "valueReference": {"reference": one}} for one in named]
    document = {**errand, "status": status, **({"output": output} if output else {})}
    return await house.update(house.kitchen, errand["id"], document)


async def test_given_an_errand_when_answered_with_the_order_then_the_result_goes_its_way(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen)
    made = await house.create(
        house.kitchen, observation(sent.patient, identifier=[number("unknown")])
    )
    [errand] = await errands(house, house.kitchen)
    [mine] = (await sent.tasks()).values()
    await answer(house, errand, "completed", mine)
    assert await sees(house, house.clinic, made)
    assert await errands(house, house.kitchen) == []
    await house.relay()
    told = "select organization, version from delivery where rid = $1"
    assert await house.rows(told, made.rid) == [(house.clinic.rid, 1)]
    assert [one.differences async for one in reproject(house.hub, mend=False)] == [()]
    # and it stays so
    document = {**await house.document(made.reference), "status": "amended"}
    await house.update(house.kitchen, made.id, document)
    await house.relay()
    assert await house.rows(told, made.rid) == [(house.clinic.rid, 1), (house.clinic.rid, 2)]
    assert await errands(house, house.kitchen) == []


async def test_given_an_errand_when_answered_without_an_order_of_one_s_own_then_it_is_refused(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen)
    foreign = await ordered(house, house.pantry)
    await house.create(house.kitchen, observation(sent.patient, identifier=[number("unknown")]))
    [errand] = await errands(house, house.kitchen)
    with pytest.raises(FhirError) as refused:
        await answer(house, errand, "completed")
    assert refused.value.status == 422
    with pytest.raises(FhirError) as refused:
        await answer(house, errand, "completed", *(await foreign.tasks()).values())
    assert refused.value.status == 422
    other = await ordered(house, house.kitchen)
    with pytest.raises(FhirError) as refused:
        await answer(house, errand, "completed", *(await other.tasks()).values())
    assert refused.value.status == 409, "of another patient"
    assert len(await errands(house, house.kitchen)) == 1


async def test_given_an_errand_when_rejected_then_the_result_stays_its_writer_s_and_is_not_asked_about_again(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen)
    made = await house.create(
        house.kitchen, observation(sent.patient, identifier=[number("unknown")])
    )
    [errand] = await errands(house, house.kitchen)
    await answer(house, errand, "rejected")
    document = {**await house.document(made.reference), "status": "amended"}
    await house.update(house.kitchen, made.id, document)
    assert await errands(house, house.kitchen) == []
    assert not await sees(house, house.clinic, made)
    # but if it says another number, it is
    document["identifier"] = [number("other")]
    await house.update(house.kitchen, made.id, document)
    assert len(await errands(house, house.kitchen)) == 1


async def test_given_a_record_of_one_s_own_of_the_same_person_when_its_number_is_the_same_then_its_orders_are_listed(
    house: House,
) -> None:
    sent = await ordered(house, house.kitchen, code=HBA1C)
    numbers = (await house.document(sent.patient))["identifier"]
    own = await house.create(house.kitchen, {**patient(), "identifier": numbers})
    made = await house.create(
        house.kitchen, observation(own.reference, identifier=[number("unknown")])
    )
    [errand] = await errands(house, house.kitchen)
    [mine] = (await sent.tasks()).values()
    assert [one for one, _ in proposed(errand)] == [mine]
    await answer(house, errand, "completed", mine)
    assert await sees(house, house.clinic, made)


@pytest.mark.parametrize("by", ["basedOn", "number", "output", "deletion", "withdrawal"])
async def test_given_an_errand_when_the_result_finds_its_order_or_goes_then_nobody_is_asked_any_more(
    house: House, by: str
) -> None:
    sent = await ordered(house, house.kitchen, identifier=[number("A1")])
    made = await house.create(
        house.kitchen, observation(sent.patient, identifier=[number("unknown")])
    )
    assert len(await errands(house, house.kitchen)) == 1
    document = await house.document(made.reference)
    if by == "output":
        output = [{"type": {"text": "result"}, "valueReference": {"reference": made.reference}}]
        await sent.answer(house.kitchen, "accepted")
        await sent.answer(house.kitchen, "completed", output=output)
    elif by == "deletion":
        await house.commit(house.kitchen, Delete("Observation", made.id))
    else:
        changed: dict[str, Document] = {
            "basedOn": {"basedOn": [{"reference": sent.request}]},
            "number": {"identifier": [number("A1")]},
            "withdrawal": {"status": "entered-in-error"},
        }
        update = Update("Observation", made.id, {**document, **changed[by]})
        await house.commit(house.kitchen, update)
    assert await errands(house, house.kitchen) == []
    assert await sees(house, house.clinic, made) == (by in ("basedOn", "number", "output"))


async def also_asks(house: House, asked: Party, who: str) -> None:
    """The clinic asks `asked` alone for something else for this patient, whom it sees from then on."""
    document = service_request(who, house.clinic.reference, asked.service)
    request = "urn:uuid:o"
    await house.commit(
        house.clinic,
        Create("ServiceRequest", document, full_url=request),
        Create("Task", task(request, who, house.clinic.reference)),
    )
    await house.relay()


async def said_to(house: House, who: Party, document: Document) -> tuple[list[str], list[Any]]:
    """The warnings, and what the errands say, of a result that `who` writes."""
    before = len(await errands(house, who))
    made = await house.create(who, document)
    new = (await errands(house, who))[before:]
    said = [issue.diagnostics.split(" lists ")[0].split(". ")[0] for issue in made.warnings]
    return said, [(reasons([one]), len(proposed(one))) for one in new]


@pytest.mark.parametrize("how", ["by its order", "by a number", "by a record of one's own"])
async def test_given_one_of_several_who_is_not_told_for_whom_when_it_writes_results_then_none_tells_it(
    house: House, how: str
) -> None:
    """Whoever it writes about, and whatever it guesses: the answer is the same for the one and the other."""
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    other = await house.create(house.clinic, patient("2"))
    await also_asks(house, house.kitchen, sent.patient)
    await also_asks(house, house.kitchen, other.reference)
    for who in (sent.patient, other.reference):
        assert await house.read(house.kitchen, who) is not None
    asked = await house.rows(
        "select r.fhir_id, t.fhir_id from candidate c join resource r on r.rid = c.request"
        " join resource t on t.rid = c.task join resource e on e.rid = c.episode"
        " where e.fhir_id = $1 and c.organization = $2",
        sent.task.partition("/")[2], house.kitchen.rid,
    )  # fmt: skip
    [(request, mine)] = asked
    answers = []
    for value, known in (("1", sent.patient), ("2", other.reference)):
        who = known
        if how == "by its order":
            named = {"basedOn": [{"reference": f"ServiceRequest/{request}"}]}
        elif how == "by a number":
            named = {"basedOn": [{"identifier": number(sent.task.partition("/")[2],
                                                       "urn:coordhub:referral")}]}  # fmt: skip
        else:
            who = (await house.create(house.kitchen, patient(value))).reference
            named = {"basedOn": [{"identifier": number("nobody's")}]}
        answers.append(await said_to(house, house.kitchen, observation(who, **named)))
    assert answers[0] == answers[1]
    for errand in await errands(house, house.kitchen):
        assert f"Task/{mine}" not in str(errand.get("input"))
