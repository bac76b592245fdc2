"""What follows when whoever is at work says that it did not reach the person."""

from __future__ import annotations

from typing import Any

from open_hub import House, Party, Referral

from coordhub.r4.types import NUMBER
from coordhub.record.operations import Create, Written
from coordhub.referral.reaching import NOT_DONE

Document = dict[str, Any]

REASONS = "urn:coordhub:task-status-reason"


def attempt(house: House, about: str, by: str | None, **elements: Any) -> Document:
    document: Document = {
        "resourceType": "Communication",
        "status": "not-done",
        "statusReason": {"coding": [{"system": NOT_DONE, "code": "recipient-unavailable"}]},
        "about": [{"reference": about}],
        "sent": house.clock().isoformat(timespec="milliseconds"),
        **elements,
    }
    return document if by is None else {**document, "medium": [{"coding": [{"code": by}]}]}


async def accepted(house: House, *asked: Party, **task: Any) -> tuple[Referral, str]:
    sent = await house.asking(*(one.service for one in asked), **task)
    await sent.answer(house.kitchen, "accepted")
    return sent, (await sent.tasks())["kitchen"]


async def says(house: House, reference: str, element: str) -> str:
    document = await house.document(reference)
    return document[element]["coding"][0]["code"] if element in document else ""


def warned(written: Written) -> list[str]:
    return [str(issue.expression) for issue in written.warnings]


async def errands(house: House) -> list[str]:
    return [row[0] for row in await house.rows("select kind from errand order by task")]


async def test_given_another_who_can_be_asked_when_attempts_come_at_once_then_it_is_and_nobody_else(
    house: House,
) -> None:
    sent, mine = await accepted(house, house.kitchen, house.pantry, priority="stat")
    ways = ("PHONE", "SMSWRIT", "FACE")
    at_once = [Create("Communication", attempt(house, mine, one)) for one in ways]
    await house.commit(house.kitchen, *at_once)
    assert await sent.status(mine) == "failed"
    assert await says(house, mine, "statusReason") == "cannot-contact"
    assert await says(house, sent.task, "businessStatus") == "re-referring"
    before = await house.value("select count(*) from candidate")
    await house.relay()
    assert await house.value("select count(*) from candidate") == before + 1
    assert await errands(house) == []
    heard = "select count(distinct d.rid) from delivery d join change c on c.seq = d.change where c.type = $1"
    assert await house.value(heard, NUMBER["Communication"]) == 3


async def test_given_what_does_not_count_when_said_then_the_writer_is_told_why(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    mine = (await sent.tasks())["kitchen"]
    early = await house.create(house.kitchen, attempt(house, mine, "PHONE"))
    assert warned(early) == ["Communication.about"]
    await sent.answer(house.kitchen, "accepted")
    timeless = await house.create(house.kitchen, attempt(house, mine, "PHONE", sent="2020-01-01"))
    assert warned(timeless) == ["Communication.sent"]
    assert await says(house, mine, "businessStatus") == ""
    without = await house.create(house.kitchen, attempt(house, mine, None))
    assert warned(without) == ["Communication.medium"]
    assert await says(house, mine, "businessStatus") == "contact-attempted"
    # what somebody waits for stands
    waits = {"coding": [{"system": "urn:coordhub:business-status", "code": "visit-complete"}]}
    await sent.answer(house.kitchen, "in-progress", businessStatus=waits)
    await house.create(house.kitchen, attempt(house, mine, "PHONE"))
    assert await says(house, mine, "businessStatus") == "visit-complete"
    # an end of its own, which it may say
    why = {"coding": [{"system": REASONS, "code": "cannot-contact"}]}
    ended = await sent.answer(house.kitchen, "failed", statusReason=why)
    assert warned(ended) == ["Task.statusReason"]
    assert "2 of 3 attempts, on 1 of 3 days, by 1 of 2 ways" in str(ended.warnings)
    assert await errands(house) == ["make-contact"]


async def test_given_somebody_who_has_no_part_when_it_says_so_then_nothing_follows(
    house: House,
) -> None:
    sent, mine = await accepted(house, house.kitchen)
    said = await house.create(house.clinic, attempt(house, sent.task, "PHONE"))
    assert warned(said) == []
    assert await says(house, mine, "businessStatus") == ""
    assert await house.value("select count(*) from change where type = $1 and episode is not null",
                             NUMBER["Communication"]) == 0  # fmt: skip
