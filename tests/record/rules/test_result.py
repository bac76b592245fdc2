"""Results find the way to whoever asked, and nothing else does."""

from __future__ import annotations

import pytest
from open_hub import House, Party, Referral, observation

from coordhub.record.operations import Written


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
