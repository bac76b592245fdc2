"""A result on its way: called back without content, once per Endpoint, never what was corrected meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, Referral, observation
from open_post import Post

from coordhub.record.operations import Create, Delete, Update, Written

Document = dict[str, Any]


async def reach(post: Post, *parties: Party) -> None:
    """Their Organizations have the partner's Endpoint."""
    for party in parties:
        document = {
            **await post.house.document(party.reference),
            "endpoint": [{"reference": post.endpoint}],
        }
        await post.house.commit(
            post.house.steward, Update("Organization", document["id"], document)
        )


async def with_doctor(house: House, sent: Referral, doctor: Party) -> None:
    who = await house.document(sent.patient)
    named = {**who, "generalPractitioner": [{"reference": doctor.reference}]}
    await house.update(house.clinic, who["id"], named)


async def reported(post: Post, sent: Referral, **elements: Any) -> Written:
    return await post.house.create(
        post.house.pantry,
        observation(sent.patient, basedOn=[{"reference": sent.request}], **elements),
    )


async def denied(house: House, sent: Referral, who: Party) -> None:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    role = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    consent: Document = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": act, "code": "IDSCL"}]}],
        "patient": {"reference": sent.patient},
        "dateTime": house.clock().isoformat(timespec="milliseconds"),
        "policyRule": {"coding": [{"system": act, "code": "OPTIN"}]},
        "provision": {
            "type": "deny",
            "actor": [
                {
                    "role": {"coding": [{"system": role, "code": "IRCP"}]},
                    "reference": {"reference": who.reference},
                }
            ],
        },
    }
    await house.commit(house.clinic, Create("Consent", consent))


async def sent_to_the_doctor(post: Post) -> tuple[Referral, Written]:
    """A result that was delivered to the van, the patient's doctor."""
    house = post.house
    sent = await house.asking(house.pantry.service)
    await reach(post, house.van)
    await with_doctor(house, sent, house.van)
    made = await reported(post, sent, valueString="seven")
    await house.relay()
    await post.deliver()
    assert made.reference in post.partner.named()
    return sent, made


@pytest.mark.parametrize("status", ["corrected", "amended", "entered-in-error", "cancelled"])
async def test_given_a_copy_whose_holder_may_not_see_it_any_more_when_corrected_then_it_is_called_back_without_content(
    post: Post, status: str
) -> None:
    house = post.house
    sent, made = await sent_to_the_doctor(post)
    await denied(house, sent, house.van)
    document = {**await house.document(made.reference), "status": status, "valueString": "eight"}
    await house.update(house.pantry, made.id, document)
    await house.relay()
    await post.deliver()
    assert post.partner.bundles[-1]["entry"] == [
        {"request": {"method": "DELETE", "url": made.reference}}
    ]
    assert "eight" not in str(post.partner.bundles)


async def test_given_a_copy_whose_holder_may_not_see_it_any_more_when_it_only_goes_on_then_nothing_is_said(
    post: Post,
) -> None:
    house = post.house
    sent, made = await sent_to_the_doctor(post)
    await denied(house, sent, house.van)
    document = {**await house.document(made.reference), "note": [{"text": "seen again"}]}
    await house.update(house.pantry, made.id, document)
    await house.relay()
    before = len(post.partner.bundles)
    await post.deliver()
    assert len(post.partner.bundles) == before


async def test_given_one_who_never_had_it_when_deleted_then_it_is_told_nothing(post: Post) -> None:
    house = post.house
    sent = await house.asking(house.pantry.service)
    await reach(post, house.van)
    await with_doctor(house, sent, house.van)
    await denied(house, sent, house.van)
    made = await reported(post, sent)
    await house.commit(house.pantry, Delete("Observation", made.id))
    await house.relay()
    await post.deliver()
    assert post.partner.bundles == []
    assert (house.van.rid, "suppressed") in await post.ledger()


async def test_given_two_recipients_at_one_endpoint_when_told_then_it_is_sent_once(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.pantry.service)
    await reach(post, house.van, house.kitchen, house.clinic)
    await with_doctor(house, sent, house.van)
    made = await reported(post, sent)
    await house.relay()
    await post.deliver()
    carrying = [
        n for n in range(len(post.partner.bundles)) if made.reference in post.partner.named(n)
    ]
    assert len(carrying) == 1
    states = await house.rows(
        "select organization, state, reason from delivery where rid = $1 order by seq", made.rid
    )
    assert states == [
        (house.clinic.rid, "delivered", None),
        (house.van.rid, "suppressed", "another recipient is reached at the same Endpoint"),
    ]


async def test_given_a_preliminary_result_when_it_becomes_final_then_both_are_sent_in_order(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await reach(post, house.clinic)
    based = {"basedOn": [{"reference": sent.request}]}
    made = await house.create(
        house.kitchen, {**observation(sent.patient, **based), "status": "preliminary"}
    )
    document = await house.document(made.reference)
    await house.update(house.kitchen, made.id, {**document, "status": "final"})
    await house.relay()
    await post.deliver()
    told = [
        post.partner.named(number)[made.reference]["status"]
        for number in range(len(post.partner.bundles))
        if made.reference in post.partner.named(number)
    ]
    assert told == ["preliminary", "final"]


async def test_given_a_result_named_as_output_later_when_relayed_then_who_is_told_of_results_is_told_of_it(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.pantry.service)
    await with_doctor(house, sent, house.van)
    await sent.answer(house.pantry, "accepted")
    made = await house.create(house.pantry, observation(sent.patient))
    await house.relay()
    output = [{"type": {"text": "result"}, "valueReference": {"reference": made.reference}}]
    await sent.answer(house.pantry, "completed", output=output)
    await house.relay()
    told = "select organization, version from delivery where rid = $1 order by seq"
    assert await house.rows(told, made.rid) == [(house.clinic.rid, 1), (house.van.rid, 1)]
    # and its next version goes the same way, without being named again
    document = {**await house.document(made.reference), "status": "amended"}
    await house.update(house.pantry, made.id, document)
    await house.relay()
    assert await house.rows(told, made.rid) == [
        (house.clinic.rid, 1),
        (house.van.rid, 1),
        (house.clinic.rid, 2),
        (house.van.rid, 2),
    ]


@pytest.mark.parametrize("how", ["corrected", "deleted", "declined before"])
async def test_given_what_was_sent_along_with_a_referral_when_it_was_wrong_then_who_has_it_is_told(
    post: Post, how: str
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    assert sent.result in post.partner.named()
    if how == "declined before":
        await sent.answer(house.kitchen, "rejected")
        await house.relay()
        assert await house.read(house.kitchen, sent.result) is None
    kind, _, fhir_id = sent.result.partition("/")
    if how == "deleted":
        await house.commit(house.clinic, Delete(kind, fhir_id))
    else:
        document = {**await house.document(sent.result), "status": "corrected"}
        await house.update(house.clinic, fhir_id, {**document, "valueString": "eight"})
    await house.relay()
    await post.deliver()
    [entry] = [
        one for one in post.partner.bundles[-1]["entry"] if one["request"]["url"] == sent.result
    ]
    if how == "corrected":
        assert entry["resource"]["valueString"] == "eight"
    else:
        assert entry == {"request": {"method": "DELETE", "url": sent.result}}
    assert [one for one, _ in await post.ledger()].count(house.clinic.rid) <= 2, "not its author"


async def test_given_what_was_sent_along_when_it_only_goes_on_then_nobody_is_told(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    before = len(await post.ledger())
    document = {**await house.document(sent.result), "note": [{"text": "seen"}]}
    await house.update(house.clinic, sent.result.partition("/")[2], document)
    await house.relay()
    assert len(await post.ledger()) == before


async def test_given_a_copy_for_a_service_when_only_the_service_has_an_endpoint_then_it_goes_there(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.pantry.service)
    await house.create(
        house.clinic,
        {
            "resourceType": "CommunicationRequest",
            "status": "active",
            "subject": {"reference": sent.patient},
            "basedOn": [{"reference": sent.request}],
            "recipient": [{"reference": house.kitchen.service}],
        },
    )
    made = await reported(post, sent)
    await house.relay()
    await post.deliver()
    assert made.reference in post.partner.named()
