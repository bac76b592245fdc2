"""The next step of each need, with a real hub: one after the other, in waves, and when nobody is left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from open_hub import patient

from coordhub.access import scopes, viewer
from coordhub.access.caller import Caller
from coordhub.admin.acts import Operator, bind_person
from coordhub.errors import FhirError
from coordhub.record.operations import Delete
from coordhub.referral import strategies
from coordhub.referral import task_machine as machine
from coordhub.store import deliveries

if TYPE_CHECKING:
    from open_hub import House, Party, Referral

SHELTER = "homelessness"


@pytest.fixture
def going_by() -> Iterator[Any]:
    """Have the process go by a file of strategies."""
    before = strategies.in_use()
    yield lambda text: strategies.use(strategies.read(text))
    strategies.use(before)


def only(*recipients: str) -> dict[str, Any]:
    """Task.restriction that leaves it to nobody to look for others."""
    return {"recipient": [{"reference": one} for one in recipients]}


async def answers(house: House, sent: Referral, who: Party, status: str, code: str = "") -> None:
    reason = {"coding": [{"system": "urn:coordhub:task-status-reason", "code": code}]}
    elements = {"statusReason": reason} if code else {}
    await sent.answer(who, status, **elements)
    await house.relay()


async def business(house: House, sent: Referral) -> str:
    document = await house.document(sent.task)
    return str(document["businessStatus"]["coding"][0]["code"])


async def errand(house: House, kind: str) -> dict[str, Any]:
    [(fhir_id,)] = await house.rows(
        "select r.fhir_id from errand x join resource r on r.rid = x.task where kind = $1", kind
    )
    return await house.document(f"Task/{fhir_id}")


async def finds(house: House, *names: str, status: str = "completed") -> None:
    asked = await errand(house, "find-provider")
    outputs = [{"type": {"text": "found"}, "valueReference": {"reference": one}} for one in names]
    given = {"output": outputs} if names else {}
    await house.update(house.clinic, asked["id"], {**asked, "status": status, **given})
    await house.relay()


async def test_given_several_in_order_when_one_declines_then_the_next_is_asked_and_nobody_before(
    house: House,
) -> None:
    sent = await house.asking(
        house.kitchen.service, house.pantry.service, house.van.service, kind=SHELTER
    )
    assert await house.rows("select kind, strategy, state, wave from need") == [
        (SHELTER, "sequential", "open", 1)
    ]
    assert list(await sent.tasks()) == ["kitchen"]
    for who in (house.pantry, house.van):
        assert await house.read(who, sent.patient) is None
    await answers(house, sent, house.kitchen, "rejected", "no-capacity")
    assert list(await sent.tasks()) == ["kitchen", "pantry"]
    assert (await sent.status(), await business(house, sent)) == ("in-progress", "re-referring")
    await answers(house, sent, house.pantry, "accepted")
    assert list(await sent.tasks()) == ["kitchen", "pantry"]
    assert await house.rows("select need, wave, reason, status from candidate order by ordinal") == [
        (0, 1, "no-capacity", "rejected"), (0, 2, None, "accepted"),
    ]  # fmt: skip
    assert await house.rows("select state, wave from need") == [("won", 2)]


async def test_given_the_next_one_when_asked_then_its_question_tells_nothing_of_the_first(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await answers(house, sent, house.kitchen, "rejected")
    tasks = await sent.tasks()
    task = await house.document(tasks["pantry"])
    order = await house.document(task["focus"]["reference"])
    assert house.kitchen.service not in str((task, order))
    assert task["for"] == {"reference": sent.patient}, "it is asked alone"
    first = await house.document(tasks["kitchen"])
    assert first["focus"] != task["focus"]
    assert first["groupIdentifier"] == task["groupIdentifier"]
    assert order["requisition"] == task["groupIdentifier"]


@pytest.mark.parametrize("end", [("failed", "cannot-contact"), ("rejected", "not-eligible")])
async def test_given_a_winner_when_it_gives_up_before_it_began_then_the_next_is_asked(
    house: House, end: tuple[str, str]
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await answers(house, sent, house.kitchen, "accepted")
    await answers(house, sent, house.kitchen, *end)
    assert list(await sent.tasks()) == ["kitchen", "pantry"]
    assert await house.value("select state from need") == "open"


async def test_given_a_winner_that_began_when_it_fails_then_that_is_the_outcome(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    for status in ("accepted", "in-progress", "failed"):
        await answers(house, sent, house.kitchen, status)
    assert list(await sent.tasks()) == ["kitchen"]
    assert (await sent.status(), await business(house, sent)) == ("failed", "not-fulfilled")
    assert await house.value("select state from need") == "unmet"


async def test_given_a_winner_of_several_when_it_gives_up_then_those_not_selected_are_asked_again(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, house.van.service)
    await answers(house, sent, house.van, "rejected", "not-eligible")
    await answers(house, sent, house.kitchen, "accepted")
    await answers(house, sent, house.kitchen, "rejected", "no-capacity")
    rows = await house.rows("select organization, wave, status from candidate order by ordinal")
    assert rows[3:] == [(house.pantry.rid, 2, "requested")]
    assert len(rows) == 4


async def test_given_nobody_is_left_when_the_last_declines_then_a_person_is_asked_to_find_somebody(
    house: House,
) -> None:
    sent = await house.asking(
        kind=SHELTER, restriction=only(house.kitchen.reference, house.pantry.reference)
    )
    await answers(house, sent, house.kitchen, "rejected")
    await answers(house, sent, house.pantry, "rejected", "no-capacity")
    assert (await sent.status(), await business(house, sent)) == (
        "in-progress", "no-provider-available",
    )  # fmt: skip
    assert await house.value("select state from need") == "queued"
    asked = await errand(house, "find-provider")
    assert asked["owner"] == {"reference": house.clinic.reference}
    assert asked["focus"] == {"reference": sent.request}
    assert "for" not in asked

    with pytest.raises(FhirError) as error:
        await finds(house)
    assert (error.value.status, error.value.issues[0].expression) == (422, "Task.output")
    with pytest.raises(FhirError) as error:
        await finds(house, house.kitchen.reference)
    assert "asked for this already" in error.value.issues[0].diagnostics
    with pytest.raises(FhirError) as error:
        await finds(house, sent.patient)
    assert error.value.status == 422

    await finds(house, house.van.service)
    assert list(await sent.tasks()) == ["kitchen", "pantry", "van"]
    assert await business(house, sent) == "re-referring"
    assert await house.value("select count(*) from errand where closed_at is null") == 0
    await answers(house, sent, house.van, "accepted")
    assert await business(house, sent) == "matched"


async def test_given_others_in_the_directory_when_the_named_ones_decline_then_they_are_asked(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await answers(house, sent, house.kitchen, "rejected")
    assert await house.value("select count(*) from prospect") == 2
    await answers(house, sent, house.pantry, "rejected")
    asked = await house.rows("select organization from candidate order by ordinal")
    assert asked[:2] == [(house.kitchen.rid,), (house.pantry.rid,)]
    assert len(asked) == 3
    assert asked[2][0] in (house.van.rid, house.stranger.rid)
    found = await house.rows(
        "select organization, verdict, findings, asked is not null from prospect order by rank"
    )
    assert [row[0] for row in found[:2]] == [house.kitchen.rid, house.pantry.rid]
    assert {row[0] for row in found[2:]} == {house.van.rid, house.stranger.rid}
    assert [row[3] for row in found].count(True) == 3
    assert all('"matched"' in row[2] for row in found[2:])


async def test_given_nobody_named_when_a_code_says_the_kind_then_the_hub_looks_for_somebody(
    house: House,
) -> None:
    await house.asking(kind=SHELTER)
    assert await house.rows("select strategy, wave, state from need") == [("sequential", 1, "open")]
    assert await house.value("select count(*) from candidate") == 1
    assert await house.value("select count(*) from prospect where verdict = 'in'") == 4


async def test_given_only_who_has_no_place_when_asked_for_again_then_a_person_looks(
    house: House,
) -> None:
    everybody = {one.rid: one for one in (house.kitchen, house.pantry, house.van, house.stranger)}
    full = machine.concept(machine.REASONS["no-capacity"])
    asked = (
        "select c.organization, 'Task/' || r.fhir_id from candidate c"
        " join resource r on r.rid = c.task where c.status = 'requested'"
    )
    await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    while waiting := await house.rows(asked):
        for organization, task in waiting:
            said = {**await house.document(task), "status": "rejected", "statusReason": full}
            await house.update(everybody[organization], said["id"], said)
        await house.relay()
    for named in ((), (house.kitchen.service, house.pantry.service)):
        sent = await house.asking(*named, kind=SHELTER)
        assert await sent.tasks() == {}
        assert (await sent.status(), await business(house, sent)) == (
            "accepted", "no-provider-available",
        )  # fmt: skip
    looked_for = "select count(*) from errand where kind = 'find-provider' and closed_at is null"
    assert await house.value(looked_for) == 3


async def test_given_no_consent_for_some_when_asked_then_they_are_passed_over_and_not_told(
    house: House,
) -> None:
    await house.rows("update party set kind = 'social' where organization = $1", house.kitchen.rid)
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    assert list(await sent.tasks()) == ["pantry"]
    assert await house.rows("select verdict, findings from prospect order by rank limit 1") == [
        ("out", '[{"criterion":"consent","outcome":"failed","code":"consent-missing"}]')
    ]


async def test_given_a_person_finds_nobody_when_it_says_so_then_the_referral_ends_so(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await answers(house, sent, house.kitchen, "rejected")
    await answers(house, sent, house.pantry, "rejected", "no-capacity")
    await finds(house, status="rejected")
    assert (await sent.status(), await business(house, sent)) == ("failed", "no-provider-available")
    assert await house.rows("select state, reason from need") == [
        ("unmet", "no-provider-available")
    ]
    assert await house.value("select state from episode") == "closed"


async def test_given_a_person_looks_when_the_sender_withdraws_then_it_need_not_any_longer(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service)
    await answers(house, sent, house.kitchen, "rejected")
    await answers(house, sent, house.pantry, "rejected")
    await sent.withdraw()
    assert (await errand(house, "find-provider"))["status"] == "cancelled"
    assert await house.value("select count(*) from errand where closed_at is null") == 0
    assert await house.value("select state from need") == "withdrawn"
    with pytest.raises(FhirError) as error:
        await finds(house, house.van.service)
    assert error.value.status == 409


async def test_given_waves_when_their_time_comes_then_the_next_one_is_asked_besides(
    house: House, going_by: Any
) -> None:
    going_by(b'{"default": {"strategy": "waves", "waves": [1, 2], "wave-hours": 2}}')
    sent = await house.asking(
        house.kitchen.service, house.pantry.service, house.van.service, kind=SHELTER
    )
    assert list(await sent.tasks()) == ["kitchen"]
    house.clock.ahead = timedelta(hours=1, minutes=59)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    house.clock.ahead = timedelta(hours=2, minutes=1)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen", "pantry", "van"]
    assert await house.rows("select wave from candidate order by ordinal") == [(1,), (2,), (2,)]
    assert "for" not in await shown(house, house.pantry, sent)
    await answers(house, sent, house.pantry, "accepted")
    assert [await sent.status(one) for one in (await sent.tasks()).values()] == [
        "cancelled", "accepted", "cancelled",
    ]  # fmt: skip
    assert (await shown(house, house.pantry, sent))["for"] == {"reference": sent.patient}
    house.clock.ahead = timedelta(days=1)
    await house.relay()
    assert len(await sent.tasks()) == 3
    assert await house.value("select next_at from need") is None


async def shown(house: House, who: Party, sent: Referral) -> dict[str, Any]:
    """The Task that asks `who`, as it sees it."""
    from coordhub.r4 import document as fhir_json

    version = await house.read(who, (await sent.tasks())[who.name])
    assert version is not None
    assert version.body is not None
    return fhir_json.parse(version.body.encode())


async def dead(house: House, sent: Referral, who: Party) -> None:
    """What asks `who` could not be delivered, and nobody tries it any more."""
    fhir_id = (await sent.tasks())[who.name].removeprefix("Task/")
    await house.rows(
        "update delivery d set state = 'leased', lease_until = now(), attempts = 1 from resource r"
        " where r.rid = d.rid and r.fhir_id = $1",
        fhir_id,
    )
    async with house.engine.pool.acquire() as conn:
        [row] = await conn.fetch(
            "select d.id, d.key, d.episode, d.organization, d.endpoint, d.rid, d.version, d.attempts, d.created_at"
            " from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1",
            fhir_id,
        )
        await deliveries.settle(
            conn, deliveries.Claimed(*row), "dead", now=house.clock(), reason="refused"
        )


async def test_given_a_question_that_cannot_be_delivered_when_it_is_dead_then_the_next_is_asked(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await dead(house, sent, house.kitchen)
    await house.relay()
    tasks = await sent.tasks()
    assert list(tasks) == ["kitchen", "pantry"]
    first = await house.document(tasks["kitchen"])
    assert first["status"] == "cancelled"
    assert first["statusReason"]["coding"][0]["code"] == "undeliverable"
    assert await house.value("select next_at from need") is None


async def test_given_the_only_one_named_when_it_cannot_be_reached_then_its_sender_is_told(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    await dead(house, sent, house.kitchen)
    await house.relay()
    document = await house.document(sent.task)
    assert (document["status"], document["statusReason"]["coding"][0]["code"]) == (
        "rejected", "undeliverable",
    )  # fmt: skip


async def test_given_one_that_has_read_its_question_when_its_delivery_is_dead_then_it_is_waited_for(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await house.rows("update candidate set seen_at = now()")
    await dead(house, sent, house.kitchen)
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]
    assert await sent.status((await sent.tasks())["kitchen"]) == "requested"


async def test_given_a_dead_question_that_is_tried_again_when_due_then_it_is_waited_for(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service, house.pantry.service, kind=SHELTER)
    await dead(house, sent, house.kitchen)
    await house.rows("update delivery set state = 'queued', settled_at = null, reason = null")
    await house.relay()
    assert list(await sent.tasks()) == ["kitchen"]


CHOOSE = b'{"default": {"strategy": "broadcast-choose", "wave-hours": 2}}'


async def chooses(
    house: House, *names: str, status: str = "completed", who: Party | None = None
) -> None:
    asked = await errand(house, "choose")
    outputs = [{"type": {"text": "chosen"}, "valueReference": {"reference": one}} for one in names]
    given = {"output": outputs} if names else {}
    await house.update(who or house.clinic, asked["id"], {**asked, "status": status, **given})
    await house.relay()


async def offered(house: House, going_by: Any) -> Referral:
    """Three are asked for offers; kitchen and van offer, pantry declines."""
    going_by(CHOOSE)
    sent = await house.asking(
        kind=SHELTER,
        restriction=only(house.kitchen.reference, house.pantry.reference, house.van.reference),
    )
    await answers(house, sent, house.kitchen, "accepted")
    assert await house.value("select count(*) from errand") == 0, "others may still offer"
    await answers(house, sent, house.pantry, "rejected")
    await answers(house, sent, house.van, "accepted")
    return sent


async def test_given_offers_when_one_is_chosen_then_it_alone_has_won_and_is_told_for_whom(
    house: House, going_by: Any
) -> None:
    sent = await offered(house, going_by)
    assert (await sent.status(), await business(house, sent)) == ("in-progress", "offers-received")
    assert await house.value("select state from need") == "open"
    for who in (house.kitchen, house.van):
        assert await house.read(who, sent.patient) is None
        assert "for" not in await shown(house, who, sent)
    asked = await errand(house, "choose")
    assert asked["focus"] == {"reference": sent.request}
    assert [one["valueReference"]["reference"] for one in asked["input"]] == [
        house.kitchen.reference, house.van.reference,
    ]  # fmt: skip

    with pytest.raises(FhirError) as error:
        await sent.answer(house.van, "in-progress")
    assert error.value.status == 409
    order = (await house.document((await sent.tasks())["van"]))["focus"]
    visit = {
        "resourceType": "Appointment",
        "status": "booked",
        "basedOn": [order],
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T09:30:00Z",
        "participant": [{"actor": {"reference": house.van.service}, "status": "accepted"}],
    }
    with pytest.raises(FhirError) as error:  # it has not been chosen yet
        await house.create(house.van, visit)
    assert error.value.status == 409
    for names in ((), (house.pantry.reference,), (house.kitchen.reference, house.van.reference)):
        with pytest.raises(FhirError) as error:
            await chooses(house, *names)
        assert (error.value.status, error.value.issues[0].expression) == (422, "Task.output")

    await chooses(house, house.van.reference)
    tasks = await sent.tasks()
    assert [await sent.status(one) for one in tasks.values()] == [
        "cancelled",
        "rejected",
        "accepted",
    ]
    won = await shown(house, house.van, sent)
    assert won["for"] == {"reference": sent.patient}
    assert won["businessStatus"]["coding"][0]["code"] == "selected"
    assert await house.read(house.van, sent.patient) is not None
    assert await house.read(house.kitchen, sent.patient) is None
    assert await business(house, sent) == "matched"
    assert await house.rows("select state from need") == [("won",)]
    await answers(house, sent, house.van, "in-progress")
    await answers(house, sent, house.van, "completed")
    assert await sent.status() == "completed"


@pytest.mark.parametrize("who", ["patient", "sender"])
async def test_given_that_the_patient_chooses_when_there_are_offers_then_it_or_who_referred_says_which(
    house: House, going_by: Any, who: str
) -> None:
    going_by(CHOOSE.replace(b"2}", b'2, "chooser": "patient"}'))
    names = (house.kitchen.reference, house.van.reference)
    sent = await house.asking(kind=SHELTER, restriction=only(*names))
    await answers(house, sent, house.kitchen, "accepted")
    await answers(house, sent, house.van, "accepted")
    asked = await errand(house, "choose")
    assert (asked["status"], asked["owner"]) == ("ready", {"reference": sent.patient})
    assert asked["for"] == asked["owner"]
    assert [one["valueReference"]["reference"] for one in asked["input"]] == list(names)
    told = (
        "select organization from delivery d join resource r on r.rid = d.rid where r.fhir_id = $1"
    )
    assert (house.clinic.rid,) in await house.rows(told, asked["id"])

    await bind_person(house.hub, Operator("rosa"), "ada", sent.patient, "system/*.cruds")
    other = (await house.create(house.clinic, patient("2"))).reference
    await bind_person(house.hub, Operator("rosa"), "bea", other, "system/*.cruds")
    callers = {
        name: Caller(name, rid, reference, scopes.EVERYTHING, role="person")
        for name, rid, reference in (
            ("ada", await person(house, "ada"), sent.patient),
            ("bea", await person(house, "bea"), other),
        )
    }
    output = [{"type": {"text": "chosen"}, "valueReference": {"reference": names[1]}}]
    answer = {**asked, "status": "completed", "output": output}
    for stranger in (callers["bea"], house.kitchen.caller, house.stranger.caller):
        with pytest.raises(FhirError) as error:
            await house.update(stranger, asked["id"], answer)
        assert error.value.status == 405, "to it, this is not there"
    by = callers["ada"] if who == "patient" else house.clinic.caller
    assert await house.read(viewer.of(by), f"Task/{asked['id']}") is not None
    await house.update(by, asked["id"], answer)
    await house.relay()
    assert [await sent.status(one) for one in (await sent.tasks()).values()] == [
        "cancelled", "accepted",
    ]  # fmt: skip
    assert await business(house, sent) == "matched"


async def person(house: House, client: str) -> int:
    found: int = await house.value("select organization from client where id = $1", client)
    return found


async def test_given_offers_when_none_is_wanted_then_all_are_let_go_and_a_person_looks(
    house: House, going_by: Any
) -> None:
    sent = await offered(house, going_by)
    await chooses(house, status="rejected")
    tasks = await sent.tasks()
    assert [await sent.status(one) for one in tasks.values()] == [
        "cancelled",
        "rejected",
        "cancelled",
    ]
    first = await house.document(tasks["kitchen"])
    assert first["statusReason"]["coding"][0]["code"] == "not-wanted"
    assert await house.rows("select kind from errand where closed_at is null") == [
        ("find-provider",)
    ]
    assert await house.value("select count(*) from candidate") == 3


async def test_given_an_offer_when_its_time_is_over_then_it_may_be_chosen_without_the_others(
    house: House, going_by: Any
) -> None:
    going_by(CHOOSE)
    sent = await house.asking(
        kind=SHELTER, restriction=only(house.kitchen.reference, house.pantry.reference)
    )
    await answers(house, sent, house.kitchen, "accepted")
    house.clock.ahead = timedelta(hours=2, minutes=1)
    await house.relay()
    await chooses(house, house.kitchen.reference)
    assert [await sent.status(one) for one in (await sent.tasks()).values()] == [
        "accepted", "cancelled",
    ]  # fmt: skip


async def test_given_all_offers_taken_back_when_a_person_was_to_choose_then_it_need_not(
    house: House, going_by: Any
) -> None:
    sent = await offered(house, going_by)
    await answers(house, sent, house.kitchen, "rejected")
    with pytest.raises(FhirError) as error:
        await chooses(house, house.kitchen.reference)
    assert error.value.status == 422
    await answers(house, sent, house.van, "rejected")
    assert await house.rows("select kind from errand where closed_at is null") == [
        ("find-provider",)
    ]


@pytest.mark.parametrize("again", [False, True], ids=["not asked yet", "to be asked again"])
async def test_given_one_that_has_left_the_directory_when_it_would_be_next_then_it_is_passed_over(
    house: House, going_by: Any, *, again: bool
) -> None:
    strategy = b"broadcast" if again else b"sequential"
    going_by(b'{"kind": {"": {"default": {"strategy": "%s"}}}}' % strategy)
    services = [house.kitchen.service, house.pantry.service, house.van.service]
    sent = await house.asking(*services[:2] if again else services)
    if again:
        await answers(house, sent, house.kitchen, "accepted")
    kind, _, fhir_id = house.pantry.service.partition("/")
    await house.commit(house.steward, Delete(kind, fhir_id))
    await answers(house, sent, house.kitchen, "cancelled" if again else "rejected", "no-capacity")
    asked = [house.kitchen.name, house.pantry.name] if again else ["kitchen", "van"]
    assert list(await sent.tasks()) == asked
    [why] = await house.rows("select verdict, findings from prospect where rank = 1")
    assert why[0] == "out"
    assert "recipient-unknown" in why[1]
    if again:
        assert (await errand(house, "find-provider"))["status"] == "requested"
