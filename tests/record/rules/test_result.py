"""Results find the way to whoever asked, and nothing else does."""

from __future__ import annotations

import pytest
from open_hub import House, Party, Referral, observation, patient

from coordhub.record.operations import Create, Written


async def episode_of(house: House, written: Written) -> int | None:
    """The referral that the relay will tell of this write."""
    found: int | None = await house.value(
        "select episode from change where rid = $1 order by seq desc limit 1", written.rid
    )
    return found


async def result(sent: Referral, who: Party, based_on: str) -> Written:
    return await sent.house.create(
        who, observation(sent.patient, basedOn=[{"reference": based_on}])
    )


async def the_hub_s_order(sent: Referral) -> str:
    asked = await sent.house.document((await sent.tasks())["kitchen"])
    return str(asked["focus"]["reference"])


@pytest.mark.parametrize("order", ["the sender's", "the hub's"])
async def test_given_a_result_based_on_either_order_when_written_then_the_sender_may_see_it(
    house: House, order: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    named = sent.request if order == "the sender's" else await the_hub_s_order(sent)
    made = await result(sent, house.kitchen, named)
    assert await house.read(house.clinic, made.reference) is not None
    assert await house.read(house.stranger, made.reference) is None
    assert await episode_of(house, made) is not None


async def test_given_a_result_based_on_no_order_when_written_then_it_stays_its_writer_s(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await house.create(house.kitchen, observation(sent.patient))
    assert await house.read(house.clinic, made.reference) is None
    assert await episode_of(house, made) is None


async def test_given_a_result_of_the_sender_itself_when_written_then_nobody_is_told(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await result(sent, house.clinic, sent.request)
    assert await episode_of(house, made) is None
    assert await house.read(house.kitchen, made.reference) is None


async def test_given_outputs_when_named_then_the_sender_sees_the_recipient_s_own_only(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    own = await house.create(house.kitchen, observation(sent.patient))
    other = await house.create(house.pantry, observation(code="2345-7"))
    await house.value(
        "insert into access_grant (shard, organization, rid, because, rule, since) values"
        " (($2::bigint & 255)::smallint, $1, $2, $2, 'referral', now()) returning 1",
        house.kitchen.rid,
        other.rid,
    )
    assert await house.read(house.kitchen, other.reference) is not None
    await sent.answer(house.kitchen, "accepted")
    named = [
        {"type": {"text": "result"}, "valueReference": {"reference": one.reference}}
        for one in (own, other)
    ]
    await sent.answer(house.kitchen, "completed", output=named)
    assert await house.read(house.clinic, own.reference) is not None
    assert await house.read(house.clinic, other.reference) is None, "not the recipient's to give"
    assert (await house.document(sent.task))["output"] == named
    assert await sent.status() == "completed"


async def test_given_a_result_when_changed_then_the_change_is_told_too(house: House) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await result(sent, house.kitchen, sent.request)
    document = {**await house.document(made.reference), "status": "amended"}
    again = await house.update(house.kitchen, made.id, document)
    assert await episode_of(house, again) is not None
    seen = await house.read(house.clinic, made.reference)
    assert seen is not None
    assert seen.version == 2


async def test_given_a_report_as_output_or_result_when_written_then_its_parts_come_with_it(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    order = await the_hub_s_order(sent)
    parts = [await house.create(house.kitchen, observation(sent.patient)) for _ in range(2)]
    foreign = await house.create(house.pantry, observation(code="2345-7"))
    named, based = [
        await house.create(
            house.kitchen,
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "panel"},
                "subject": {"reference": sent.patient},
                "result": [{"reference": part.reference}],
                **more,
            },
        )
        for part, more in zip(parts, ({}, {"basedOn": [{"reference": order}]}), strict=True)
    ]
    assert await house.read(house.clinic, named.reference) is None
    await sent.answer(house.kitchen, "accepted")
    output = [{"type": {"text": "result"}, "valueReference": {"reference": named.reference}}]
    await sent.answer(house.kitchen, "completed", output=output)
    for one in (named, based, *parts):
        assert await house.read(house.clinic, one.reference) is not None
    assert await house.read(house.clinic, foreign.reference) is None


# ---- to whom else


async def told(house: House, reference: str) -> list[tuple[int, str]]:
    """Organizations that a delivery of this was planned for, and what became of it."""
    await house.relay()
    return await house.rows(
        "select d.organization, d.state from delivery d join resource r on r.rid = d.rid"
        " where r.fhir_id = $1 order by d.seq",
        reference.partition("/")[2],
    )


async def a_doctor_and_a_copy(house: House, sent: Referral) -> None:
    """The pantry is the patient's doctor, the van is to have a copy, and a team of the two."""
    who = await house.document(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": house.pantry.reference}]}
    await house.update(house.clinic, who["id"], named)
    await house.create(
        house.clinic,
        {
            "resourceType": "CommunicationRequest",
            "status": "active",
            "subject": {"reference": sent.patient},
            "about": [{"reference": sent.request}],
            "recipient": [
                {"reference": house.van.service},
                {"reference": house.pantry.reference},
                {"reference": house.kitchen.reference},
            ],
        },
    )


async def test_given_a_doctor_and_a_copy_when_a_result_is_written_then_each_is_told_once_and_the_maker_not(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await a_doctor_and_a_copy(house, sent)
    made = await result(sent, house.kitchen, sent.request)
    assert await told(house, made.reference) == [
        (house.clinic.rid, "queued"),
        (house.pantry.rid, "queued"),
        (house.van.rid, "queued"),
    ]
    for who in (house.pantry, house.van):
        assert await house.read(who, made.reference) is not None
        assert await house.read(who, sent.patient) is not None, "whose it is"
        assert await house.read(who, sent.request) is None
    assert await house.read(house.stranger, made.reference) is None


async def test_given_a_sensitive_result_when_written_then_who_asked_has_it_and_the_copies_wait_for_a_consent(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await a_doctor_and_a_copy(house, sent)
    hiv = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
    made = await house.create(
        house.kitchen,
        observation(sent.patient, basedOn=[{"reference": sent.request}], valueCodeableConcept=hiv),
    )
    assert await told(house, made.reference) == [
        (house.clinic.rid, "queued"),
        (house.pantry.rid, "suppressed"),
        (house.van.rid, "suppressed"),
    ]
    assert await house.read(house.pantry, made.reference) is None


async def test_given_a_care_team_when_a_result_is_written_then_its_members_are_told_while_they_are_one(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    team = await house.create(
        house.clinic,
        {
            "resourceType": "CareTeam",
            "status": "active",
            "subject": {"reference": sent.patient},
            "participant": [{"member": {"reference": house.van.reference}}],
        },
    )
    first = await result(sent, house.kitchen, sent.request)
    assert await told(house, first.reference) == [
        (house.clinic.rid, "queued"),
        (house.van.rid, "queued"),
    ]
    document = {**await house.document(team.reference), "status": "inactive"}
    await house.update(house.clinic, team.id, document)
    second = await result(sent, house.kitchen, sent.request)
    assert await told(house, second.reference) == [(house.clinic.rid, "queued")]


async def test_given_who_was_asked_when_it_names_copies_itself_then_nobody_gets_one(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    request = {
        "resourceType": "CommunicationRequest",
        "status": "active",
        "subject": {"reference": sent.patient},
        "about": [{"reference": sent.request}],
        "recipient": [{"reference": house.van.service}],
    }
    await house.create(house.kitchen, request)
    made = await result(sent, house.kitchen, sent.request)
    assert await told(house, made.reference) == [(house.clinic.rid, "queued")]


async def test_given_a_report_with_its_observations_when_sent_in_one_then_one_delivery_carries_them(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    based = {"basedOn": [{"reference": sent.request}]}
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "panel"},
        "subject": {"reference": sent.patient},
        "result": [{"reference": "urn:uuid:part"}],
        **based,
    }
    made, part = await house.commit(
        house.kitchen,
        Create("DiagnosticReport", report),
        Create("Observation", observation(sent.patient, **based), full_url="urn:uuid:part"),
    )
    assert await told(house, made.reference) == [(house.clinic.rid, "queued")]
    assert await told(house, part.reference) == []
    assert await house.read(house.clinic, part.reference) is not None
    # and what is corrected alone is sent alone
    document = {**await house.document(part.reference), "status": "corrected"}
    await house.update(house.kitchen, part.id, document)
    assert await told(house, part.reference) == [(house.clinic.rid, "queued")]


async def test_given_a_result_that_turns_out_to_be_of_somebody_else_when_corrected_then_it_is_taken_away(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    made = await result(sent, house.kitchen, sent.request)
    other = await house.create(house.kitchen, patient("other"))
    document = await house.document(made.reference)
    moved = {**document, "subject": {"reference": other.reference}}
    await house.update(house.kitchen, made.id, moved)
    assert await house.read(house.clinic, made.reference) is None
    # and brought back, it is theirs again
    await house.update(house.kitchen, made.id, document)
    assert await house.read(house.clinic, made.reference) is not None


async def test_given_a_result_about_another_patient_that_is_known_when_written_then_it_is_not_the_order_s(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    other = await house.asking(house.kitchen.service)
    made = await house.create(
        house.kitchen, observation(other.patient, basedOn=[{"reference": sent.request}])
    )
    assert await episode_of(house, made) is None
    assert await house.read(house.clinic, made.reference) is None


async def test_given_a_person_as_doctor_when_it_works_at_one_place_then_that_is_told_and_of_two_none(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    person = await house.create(house.steward, {"resourceType": "Practitioner"})

    async def works_at(party: Party) -> None:
        role = {
            "resourceType": "PractitionerRole",
            "practitioner": {"reference": person.reference},
            "organization": {"reference": party.reference},
        }
        await house.create(house.steward, role)

    who = await house.document(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": person.reference}]}
    await house.update(house.clinic, who["id"], named)
    await works_at(house.van)
    first = await result(sent, house.kitchen, sent.request)
    assert await told(house, first.reference) == [
        (house.clinic.rid, "queued"),
        (house.van.rid, "queued"),
    ]
    await works_at(house.pantry)
    second = await result(sent, house.kitchen, sent.request)
    assert await told(house, second.reference) == [(house.clinic.rid, "queued")]
