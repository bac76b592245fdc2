"""What is said about a referral: who hears it, in which order, and who does not."""

from __future__ import annotations

from typing import Any

import pytest
from open_hub import House, Party, Referral

from coordhub.record.operations import Written

Document = dict[str, Any]


def message(text: str, **elements: Any) -> Document:
    named = {
        name: [{"reference": one} for one in ([value] if isinstance(value, str) else value)]
        for name, value in elements.items()
        if name in ("about", "basedOn", "inResponseTo", "recipient")
    }
    return {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentString": text}],
        **elements,
        **named,
    }


async def says(house: House, who: Party, text: str, **elements: Any) -> Written:
    return await house.create(who, message(text, **elements))


async def heard_by(house: House, said: Written) -> list[str]:
    """Names of the organizations that it was planned for, in order."""
    rows = await house.rows(
        "select r.body::jsonb ->> 'name' from delivery d join resource r on r.rid = d.organization"
        " where d.rid = $1 order by d.seq",
        said.rid,
    )
    return [row[0] for row in rows]


async def seen_by(house: House, reference: str) -> set[str]:
    return {
        one.name
        for one in (house.clinic, house.kitchen, house.pantry, house.van, house.stranger)
        if await house.read(one, reference) is not None
    }


async def accepted(house: House, *asked: Party) -> Referral:
    sent = await house.asking(*(one.service for one in asked or (house.kitchen,)))
    await sent.answer(house.kitchen, "accepted")
    return sent


async def test_given_a_recipient_when_it_asks_about_its_task_then_the_sender_hears_and_nobody_else(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    about = (await sent.tasks())["kitchen"]
    said = await says(house, house.kitchen, "how many are they?", about=about)
    await house.relay()
    assert await heard_by(house, said) == ["clinic"]
    assert await seen_by(house, said.reference) == {"clinic", "kitchen"}


@pytest.mark.parametrize("about", ["the Task", "the order"])
async def test_given_one_who_has_accepted_when_the_sender_speaks_then_it_hears_and_reads(
    house: House, about: str
) -> None:
    sent = await accepted(house, house.kitchen, house.pantry)
    place = {"about": sent.task} if about == "the Task" else {"basedOn": sent.request}
    said = await says(house, house.clinic, "four", **place)
    await house.relay()
    assert await heard_by(house, said) == ["kitchen"]
    assert await seen_by(house, said.reference) == {"clinic", "kitchen"}


async def test_given_several_asked_when_the_sender_speaks_then_none_hears_for_whom_it_is(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    said = await says(house, house.clinic, "it is for her", about=sent.task)
    await house.relay()
    assert await heard_by(house, said) == []
    assert await seen_by(house, said.reference) == {"clinic"}


async def test_given_a_question_when_answered_by_what_it_answers_alone_then_the_answer_finds_it(
    house: House,
) -> None:
    sent = await accepted(house)
    asked = await says(house, house.kitchen, "how many?", about=(await sent.tasks())["kitchen"])
    answer = await says(house, house.clinic, "four", inResponseTo=asked.reference)
    await house.relay()
    assert await heard_by(house, answer) == ["kitchen"]


async def test_given_a_message_when_it_is_withdrawn_then_who_heard_it_hears_that(
    house: House,
) -> None:
    sent = await accepted(house)
    said = await says(house, house.clinic, "four", about=sent.task)
    document = {**await house.document(said.reference), "status": "entered-in-error"}
    await house.update(house.clinic, said.id, document)
    await house.relay()
    assert await heard_by(house, said) == ["kitchen", "kitchen"]


async def test_given_a_message_that_is_being_written_when_stored_then_nobody_hears_it(
    house: House,
) -> None:
    sent = await accepted(house)
    said = await says(house, house.clinic, "fo", about=sent.task, status="preparation")
    await house.relay()
    assert await heard_by(house, said) == []
    assert await seen_by(house, said.reference) == {"clinic"}
    document = {**await house.document(said.reference), "status": "completed"}
    await house.update(house.clinic, said.id, document)
    await house.relay()
    assert await heard_by(house, said) == ["kitchen"]


async def test_given_one_who_declined_when_named_then_it_hears_nothing_and_the_sender_is_warned(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await sent.answer(house.kitchen, "rejected")
    said = await says(
        house, house.clinic, "why?", about=sent.task, recipient=house.kitchen.reference
    )
    assert [issue.code for issue in said.warnings] == ["business-rule"]
    await house.relay()
    assert await heard_by(house, said) == []
    assert await seen_by(house, said.reference) == {"clinic"}


async def test_given_a_message_with_a_document_when_heard_then_the_document_is_seen_with_it(
    house: House,
) -> None:
    sent = await accepted(house)
    note: Document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": sent.patient},
        "content": [{"attachment": {"title": "form"}}],
    }
    for speaker, hearer, about in (
        (house.kitchen, "clinic", (await sent.tasks())["kitchen"]),
        (house.clinic, "kitchen", sent.task),
    ):
        form = await house.create(speaker, note)
        said = await says(
            house,
            speaker,
            "see the form",
            about=about,
            payload=[{"contentReference": {"reference": form.reference}}],
        )
        assert await seen_by(house, said.reference) == {speaker.name, hearer}
        assert await seen_by(house, form.reference) == {"clinic", "kitchen"}


async def test_given_a_stranger_when_it_speaks_about_what_it_sees_then_nobody_hears(
    house: House,
) -> None:
    sent = await accepted(house)
    await house.value(
        "insert into access_grant (shard, organization, rid, because, rule, since) values"
        " (0, $1, (select rid from resource where fhir_id = $2), 1, 'party', now()) returning 1",
        house.stranger.rid,
        sent.task.removeprefix("Task/"),
    )
    said = await says(house, house.stranger, "hello", about=sent.task)
    await house.relay()
    assert await heard_by(house, said) == []
    assert await seen_by(house, said.reference) == {"stranger"}


QUESTION = {"coding": [{"system": "urn:coordhub:business-status", "code": "awaiting-information"}]}


async def stands(house: House, reference: str) -> tuple[str, str]:
    """Status and business status of a Task."""
    document = await house.document(reference)
    return document["status"], document["businessStatus"]["coding"][0]["code"]


@pytest.mark.parametrize(
    ("answered", "waits", "parent"),
    [
        ([], "received", "accepted"),
        (["received"], "received", "accepted"),
        (["accepted"], "accepted", "in-progress"),
        (["accepted", "in-progress"], "on-hold", "on-hold"),
    ],
)
async def test_given_a_question_when_asked_then_the_tasks_wait_until_the_sender_answers(
    house: House, answered: list[str], waits: str, parent: str
) -> None:
    sent = await house.asking(house.kitchen.service)
    for status in answered:
        await sent.answer(house.kitchen, status)
    mine = (await sent.tasks())["kitchen"]
    asked = await says(house, house.kitchen, "which diet?", about=mine, topic=QUESTION)
    assert await stands(house, mine) == (waits, "awaiting-information")
    assert await stands(house, sent.task) == (parent, "awaiting-information")
    # something else that is said does not answer for the other side
    await says(house, house.kitchen, "and when?", about=mine)
    assert await stands(house, mine) == (waits, "awaiting-information")
    await says(house, house.clinic, "none", about=sent.task, inResponseTo=asked.reference)
    assert await stands(house, mine) == (waits, "information-received")
    await house.relay()
    order = await house.rows(
        "select t.fhir_id, d.version from delivery d join resource t on t.rid = d.rid"
        " join resource o on o.rid = d.organization where o.rid = $1 order by d.seq",
        house.kitchen.rid,
    )
    assert [row[0] for row in order].count(mine.removeprefix("Task/")) >= 2
    again = await sent.answer(house.kitchen, "accepted" if parent == "accepted" else "in-progress")
    assert again.status == 200


async def test_given_a_question_of_one_who_is_done_when_asked_then_its_task_stays_as_it_is(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    for status in ("accepted", "completed"):
        await sent.answer(house.kitchen, status)
    mine = (await sent.tasks())["kitchen"]
    await says(house, house.kitchen, "how was it?", about=mine, topic=QUESTION)
    assert await sent.status(mine) == "completed"
    assert await sent.status() == "completed"


async def test_given_one_who_is_asked_again_when_it_declines_again_then_it_reads_nothing_that_was_said(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await sent.answer(house.pantry, "accepted")  # and the kitchen was not selected
    await sent.answer(house.pantry, "rejected")  # so it is asked again
    await house.relay()
    again = await house.value(
        "select r.fhir_id from candidate c join resource r on r.rid = c.task"
        " where c.status = 'requested' and c.organization = $1",
        house.kitchen.rid,
    )
    said = await says(house, house.clinic, "four", about=sent.task)
    await house.relay()
    assert await seen_by(house, said.reference) == {"clinic", "kitchen"}
    document = {**await house.document(f"Task/{again}"), "status": "rejected"}
    await house.update(house.kitchen, document["id"], document)
    assert await seen_by(house, said.reference) == {"clinic"}
