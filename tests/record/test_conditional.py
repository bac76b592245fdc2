"""Conditional creates and references, and what happens when requests meet."""

from __future__ import annotations

import asyncio

import pytest
from open_hub import House, connect_all, observation, opened, patient

from coordhub.errors import FhirError
from coordhub.r4 import types
from coordhub.record.conditional import criteria_key
from coordhub.record.operations import Create, Delete, Update
from coordhub.store import idempotency

CRITERIA = "identifier=urn:test:mrn|1"


async def test_given_one_that_matches_when_created_conditionally_then_it_answers_unchanged(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    [again] = await house.commit(
        house.clinic, Create("Patient", patient(active=True), if_none_exist=CRITERIA)
    )
    assert (again.status, again.reference, again.body) == (200, made.reference, made.body)


async def test_given_the_same_identity_at_another_organization_when_created_then_each_has_its_own(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    [other] = await house.commit(
        house.stranger, Create("Patient", patient(), if_none_exist=CRITERIA)
    )
    assert other.status == 201
    assert other.reference != made.reference


async def test_given_another_s_that_is_shared_when_created_conditionally_then_one_s_own_is_made(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    assert await house.read(house.kitchen, sent.patient) is not None
    for status in (201, 200):
        [own] = await house.commit(
            house.kitchen, Create("Patient", patient(), if_none_exist=CRITERIA)
        )
        assert own.status == status
        assert own.reference != sent.patient


async def test_given_two_that_match_when_created_conditionally_then_412(house: House) -> None:
    await house.create(house.clinic, patient())
    await house.create(house.clinic, patient())
    with pytest.raises(FhirError) as error:
        await house.commit(house.clinic, Create("Patient", patient(), if_none_exist=CRITERIA))
    assert error.value.status == 412


async def test_given_one_identity_twice_in_a_transaction_when_sent_then_400(house: House) -> None:
    with pytest.raises(FhirError) as error:
        await house.commit(
            house.clinic,
            Create("Patient", patient(), if_none_exist=CRITERIA, at="Bundle.entry[0].resource"),
            Create("Patient", patient(), if_none_exist=CRITERIA, at="Bundle.entry[1].resource"),
        )
    assert error.value.status == 400
    assert "entry[0]" in error.value.issues[0].diagnostics
    assert "entry[1]" in error.value.issues[0].diagnostics


async def test_given_a_matched_patient_when_others_refer_to_its_entry_then_they_lead_to_it(
    house: House,
) -> None:
    known = await house.create(house.clinic, patient())
    _, made = await house.commit(
        house.clinic,
        Create("Patient", patient(), full_url="urn:uuid:p", if_none_exist=CRITERIA),
        Create("Observation", observation("urn:uuid:p")),
    )
    assert (await house.document(made.reference))["subject"]["reference"] == known.reference
    row = await house.rows("select patient, shard from resource where rid = $1", made.rid)
    assert row == [(known.rid, known.rid & 255)]


async def test_given_a_conditional_reference_when_written_then_it_leads_to_the_one_match(
    house: House,
) -> None:
    known = await house.create(house.clinic, patient())
    made = await house.create(house.clinic, observation(f"Patient?{CRITERIA}"))
    assert (await house.document(made.reference))["subject"]["reference"] == known.reference
    row = await house.rows("select patient, shard from resource where rid = $1", made.rid)
    assert row == [(known.rid, known.rid & 255)]


async def test_given_conditional_references_without_one_match_when_written_then_422_names_each(
    house: House,
) -> None:
    await house.create(house.clinic, patient())
    await house.create(house.clinic, patient())
    sent = observation(f"Patient?{CRITERIA}", derivedFrom=[{"reference": "Observation?code=none"}])
    with pytest.raises(FhirError) as error:
        await house.create(house.clinic, sent)
    assert error.value.status == 422
    assert {(one.code, one.expression) for one in error.value.issues} == {
        ("multiple-matches", "Observation.subject.reference"),
        ("not-found", "Observation.derivedFrom[0].reference"),
    }


async def test_given_a_hidden_match_when_referred_to_conditionally_then_as_if_there_was_none(
    house: House,
) -> None:
    await house.create(house.clinic, patient())
    for criteria in (CRITERIA, "identifier=urn:test:mrn|none"):
        with pytest.raises(FhirError) as error:
            await house.create(house.stranger, observation(f"Patient?{criteria}"))
        assert error.value.status == 422
        assert [one.code for one in error.value.issues] == ["not-found"]


def test_given_criteria_that_mean_the_same_when_locked_then_it_is_the_same_lock(
    house: House,
) -> None:
    caller = house.clinic.caller
    one = criteria_key(caller, "Patient", "identifier=urn:a|1&family=x")
    for same in ("family=x&identifier=urn:a|1", "identifier=urn%3Aa%7C1&family=x"):
        assert criteria_key(caller, "Patient", same) == one
    assert criteria_key(caller, "Practitioner", "identifier=urn:a|1&family=x") != one
    assert criteria_key(house.kitchen.caller, "Patient", "identifier=urn:a|1&family=x") != one
    assert criteria_key(caller, "Patient", "identifier=urn:a|1&family=y") != one


# ---- requests that meet


async def test_given_64_equal_conditional_creates_when_at_once_then_one_resource_is_made(
    database_url: str,
) -> None:
    async with opened(database_url, size=24) as house:
        await connect_all(house)
        answers = await asyncio.gather(
            *(
                house.commit(
                    house.clinic,
                    Create(
                        "Patient",
                        patient(),
                        if_none_exist=CRITERIA if number % 2 else CRITERIA.replace("|", "%7C"),
                    ),
                )
                for number in range(64)
            )
        )
        assert len({written.reference for [written] in answers}) == 1
        assert sorted(written.status for [written] in answers) == [200] * 63 + [201]
        kind = types.NUMBER["Patient"]
        assert await house.value("select count(*) from resource where type = $1", kind) == 1


async def test_given_two_updates_of_one_version_when_at_once_then_one_is_told_412(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    for version in range(1, 21):
        answers = await asyncio.gather(
            *(
                house.update(
                    house.clinic,
                    made.id,
                    patient(name=[{"family": f"{version}{letter}"}]),
                    if_match=version,
                )
                for letter in "ab"
            ),
            return_exceptions=True,
        )
        statuses = sorted(
            one.status  # type: ignore[union-attr]
            for one in answers
        )
        assert statuses == [200, 412]


# ---- Idempotency-Key


async def test_given_a_key_used_before_when_sent_again_then_the_first_answer_and_no_new_resource(
    house: House,
) -> None:
    [first] = await house.commit(house.clinic, Create("Patient", patient()), key="k")
    await house.update(house.clinic, first.id, patient(active=True))
    [again] = await house.commit(house.clinic, Create("Patient", patient()), key="k")
    assert again == first, "the version of then, not the one of now"
    [other] = await house.commit(house.stranger, Create("Patient", patient()), key="k")
    assert other.reference != first.reference, "keys are each organization's own"


async def test_given_a_key_used_before_when_sent_with_another_body_then_422_and_nothing_stored(
    house: House,
) -> None:
    await house.commit(house.clinic, Create("Patient", patient()), key="k")
    before = await house.value("select count(*) from change")
    with pytest.raises(FhirError) as error:
        await house.commit(
            house.clinic, Create("Patient", patient("2")), key="k", fingerprint=b"other"
        )
    assert error.value.status == 422
    assert await house.value("select count(*) from change") == before


async def test_given_a_refused_request_when_its_key_is_sent_with_a_better_one_then_that_is_stored(
    house: House,
) -> None:
    for bad in (observation("Patient/none"), {"resourceType": "Observation"}):
        with pytest.raises(FhirError):
            await house.commit(
                house.clinic, Create("Observation", bad), key="k", fingerprint=b"bad"
            )
    [made] = await house.commit(
        house.clinic, Create("Observation", observation()), key="k", fingerprint=b"good"
    )
    assert made.status == 201


async def test_given_the_first_still_under_way_when_sent_again_then_both_get_one_answer(
    house: House,
) -> None:
    for number in range(10):
        answers = await asyncio.gather(
            *(
                house.commit(house.clinic, Create("Patient", patient()), key=f"k{number}")
                for _ in range(4)
            )
        )
        assert len({written.reference for [written] in answers}) == 1
        assert {written.status for [written] in answers} == {201}


async def test_given_the_first_under_way_when_it_is_refused_then_the_second_takes_the_key(
    house: House,
) -> None:
    """The first holds the key in an open transaction; the second waits for its end."""
    first = await house.engine.pool.acquire()
    transaction = first.transaction()
    await transaction.start()
    now = house.hub.clock()
    assert await idempotency.claim(first, house.clinic.rid, "k", b"same", now) is None
    second = asyncio.create_task(house.commit(house.clinic, Create("Patient", patient()), key="k"))
    for _ in range(200):
        waiting = await house.value(
            "select count(*) from pg_locks l where not l.granted and l.locktype = 'transactionid'"
        )
        if waiting:
            break
        await asyncio.sleep(0.01)
    assert waiting == 1
    assert not second.done()
    await transaction.rollback()
    await house.engine.pool.release(first)
    [made] = await second
    assert made.status == 201


async def test_given_a_deletion_under_a_key_when_repeated_then_its_first_answer_again(
    house: House,
) -> None:
    made = await house.create(house.clinic, patient())
    operations = [Delete("Patient", made.id), Delete("Patient", "absent")]
    first = await house.commit(house.clinic, *operations, key="k")
    again = await house.commit(house.clinic, *operations, key="k")
    assert [one.status for one in again] == [one.status for one in first] == [204, 204]


async def test_given_updates_that_cross_when_at_once_then_both_are_stored(house: House) -> None:
    one, other = [await house.create(house.clinic, patient(str(n))) for n in (1, 2)]
    for number in range(10):
        updates = [
            Update("Patient", each.id, patient(name=[{"family": f"N{number}"}]))
            for each in (one, other)
        ]
        await asyncio.gather(
            house.commit(house.clinic, *updates), house.commit(house.clinic, *reversed(updates))
        )
    assert (await house.document(one.reference))["name"][0]["family"] == "N9"
