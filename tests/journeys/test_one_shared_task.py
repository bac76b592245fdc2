"""Two organizations that treat patients have agreed to share one Task: what is sent is what is answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from coordhub.admin import sharing
from coordhub.admin.acts import Operator
from coordhub.cli import cli
from coordhub.record import vsp_acts
from coordhub.record.hub import system_clock
from coordhub.record.label_acts import Act
from coordhub.record.reproject import reproject
from coordhub.store import vault
from coordhub.store.invariants import violations

BY = Operator("an operator")


class Clock:
    """The hub's time, which can be ahead of the world's."""

    ahead = timedelta()

    def __call__(self):
        return system_clock() + self.ahead


@pytest.fixture
def clock():
    return Clock()


async def given_agreed(house):
    one, other = house.riverside.reference, house.lakeside.reference
    await sharing.agree(house.hub.engine, BY, one, other, yes=True)
    assert await sharing.agree(house.hub.engine, BY, other, one, yes=True) == (True, True)


async def given_shared(house):
    """A referral whose own Task asks lakeside, which has got it."""
    await given_agreed(house)
    riverside, lakeside = house.riverside, house.lakeside
    sent = await riverside.refers(house.referral(riverside, lakeside.reference))
    await house.settled()
    assert await house.value("select count(*) from candidate where task = episode") == 1
    return sent


def says(task):
    codings = task.get("businessStatus", {}).get("coding", [])
    return task["status"], [one["code"] for one in codings]


async def is_sound(house):
    """What is projected is what the Tasks say, and all that must be true of the database is."""
    assert {each.differences async for each in reproject(house.hub, mend=False)} == {()}
    async with house.hub.engine.pool.acquire() as conn:
        assert await violations(conn, house.hub.clock()) == []


async def test_given_two_that_have_agreed_when_one_refers_to_the_other_then_one_task_is_sent_and_answered(
    house,
):
    sent = await given_shared(house)
    riverside, lakeside = house.riverside, house.lakeside
    # It is the sender's own, there is no other, and who is asked sees what it is about
    assert await lakeside.asked(sent) is None
    [asked] = await lakeside.find(f"Task?owner={lakeside.reference}&status=requested")
    assert f"Task/{asked['id']}" == sent.task
    assert says(asked) == ("requested", ["awaiting-recipient"])
    assert await lakeside.sees(sent.order)
    assert await lakeside.sees(sent.patient)
    assert await lakeside.sees(sent.prior)
    assert not await house.metrolab.sees(sent.task)
    assert await house.value("select count(*) from resource r where r.source = 256"
                             " and r.type in (select type from change c where c.rid = r.rid)"
                             " and r.body like '%filler-order%'") == 0  # fmt: skip
    assert says(await lakeside.holds(sent.task)) == ("requested", ["awaiting-recipient"])
    assert await lakeside.holds(sent.order)

    # Each may say what its part is
    refused = await riverside.tries(sent.task, "accepted")
    assert refused.status_code == 409
    accepted = await lakeside.answers(sent.task, "accepted")
    assert says(accepted) == ("accepted", ["matched"])
    assert says(await riverside.read(sent.task)) == ("accepted", ["matched"])
    stale = await riverside.tries(sent.task, "cancelled", match='W/"1"')
    assert stale.status_code == 412
    late = await lakeside.tries(sent.task, "requested")
    assert late.status_code == 409

    # Its sender adds to the order; who has taken it on is asked to confirm
    order = await riverside.read(sent.order)
    order["note"] = [{"text": "she prefers mornings"}]
    assert (await riverside.ask("PUT", f"/{sent.order}", order)).status_code == 200
    await house.settled()
    assert (await lakeside.holds(sent.order))["note"] == order["note"]
    [confirm] = await lakeside.find("Task?code=re-confirm&status=requested")
    assert house.target(confirm["focus"]) == sent.task
    await lakeside.answers(f"Task/{confirm['id']}", "completed")

    await lakeside.answers(sent.task, "in-progress")
    result = await lakeside.reports(sent.patient, sent.order)
    await lakeside.answers(sent.task, "completed", output=result)
    await house.settled()
    mine = await riverside.read(sent.task)
    assert says(mine) == ("completed", ["fulfilled"])
    assert [house.target(one["valueReference"]) for one in mine["output"]] == [result]
    assert await riverside.sees(result)
    assert says(await riverside.holds(sent.task)) == ("completed", ["fulfilled"])
    received = await riverside.statuses_received(sent.task)
    assert (received[0], received[-1]) == ("requested", "completed")
    assert await house.value("select state from need") == "met"
    told = await riverside.told(sent.task)
    assert [one["status"] for one in told.asked] == ["completed"]
    assert [one["what"] for one in told.events if one["what"] != "status"] == [
        "sent", "asked", "delivered", "opened", "accepted", "errand", "errand-done", "seen", "result",
        "completed", "closed",
    ]  # fmt: skip
    theirs = await lakeside.told(sent.task)
    assert [one["status"] for one in theirs.asked] == ["completed"]
    await is_sound(house)


@pytest.mark.parametrize("said", ["rejected", "expired", "undeliverable"])
async def test_given_a_shared_task_when_nobody_takes_it_on_then_it_ends_and_its_sender_asks_anew(
    house, clock, said
):
    riverside, lakeside = house.riverside, house.lakeside
    if said == "undeliverable":
        await lakeside.behaves({"mode": "reject"})
    sent = await given_shared(house) if said != "undeliverable" else None
    if sent is None:
        await given_agreed(house)
        sent = await riverside.refers(house.referral(riverside, lakeside.reference))
    if said == "rejected":
        task = await lakeside.read(sent.task)
        task |= {"status": "rejected", "statusReason": {"text": "at capacity"}}
        assert (await lakeside.ask("PUT", f"/{sent.task}", task)).status_code == 200
    if said == "expired":
        due = await house.value("select due_at from timer where kind = 'accept-by'")
        clock.ahead += due - house.hub.clock()

    async def ended():
        return await house.value("select state = 'closed' from episode")

    await house.until(ended)
    await house.settled()
    task = await riverside.read(sent.task)
    assert says(task) == ("rejected", ["no-provider-available"])
    reason = {"rejected": "no-capacity"}.get(said, said)
    assert [one["code"] for one in task["statusReason"]["coding"]] == [reason]
    assert await house.value("select state from need") == "unmet"
    assert await house.value("select status from candidate") == "rejected"
    assert await riverside.find("Task?code=find-provider") == []
    assert not await lakeside.sees(sent.patient)
    assert (await lakeside.tries(sent.task, "accepted")).status_code == 409
    await is_sound(house)


async def test_given_a_shared_task_when_its_sender_cancels_then_at_once_or_by_asking_who_has_begun(
    house,
):
    riverside, lakeside = house.riverside, house.lakeside
    sent = await given_shared(house)
    done = await riverside.tries(sent.task, "cancelled")
    assert done.status_code == 200, done.text
    assert says(done.json()) == ("cancelled", ["withdrawn"])
    await house.settled()
    assert (await lakeside.holds(sent.task))["status"] == "cancelled"
    assert await house.value("select state from need") == "withdrawn"
    assert (await lakeside.tries(sent.task, "accepted")).status_code == 409

    begun = await riverside.refers(house.referral(riverside, lakeside.reference))
    await house.settled()
    await lakeside.answers(begun.task, "accepted")
    await lakeside.answers(begun.task, "in-progress")
    asked = await riverside.tries(begun.task, "cancelled")
    assert asked.status_code == 200, asked.text
    assert says(asked.json()) == ("in-progress", ["cancellation-requested"])
    assert "asked to stop" in asked.headers["warning"]
    await house.settled()
    assert says(await lakeside.holds(begun.task)) == ("in-progress", ["cancellation-requested"])
    [errand] = await lakeside.find("Task?code=abort&status=requested")
    assert house.target(errand["focus"]) == begun.task
    await lakeside.answers(f"Task/{errand['id']}", "completed")
    assert says(await riverside.read(begun.task)) == ("cancelled", ["withdrawn"])
    # What was done all the same is stored
    late = await lakeside.answers(begun.task, "completed")
    assert says(late) == ("completed", ["delivered-after-cancellation"])
    await house.settled()
    await is_sound(house)


async def test_given_a_shared_task_when_the_patient_withdraws_then_its_recipient_is_stopped(house):
    riverside, lakeside = house.riverside, house.lakeside
    sent = await given_shared(house)
    await lakeside.answers(sent.task, "accepted")
    denied = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": sent.patient},
        "dateTime": house.hub.clock().isoformat(timespec="seconds"),
        "organization": [{"reference": riverside.reference}],
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                   "code": "OPTIN"}]},
        "provision": {"type": "deny", "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                 "code": "IRCP"}]},
            "reference": {"reference": lakeside.reference}}]},
    }  # fmt: skip
    made = await riverside.ask("POST", "/Consent", denied)
    assert made.status_code == 201, made.text
    await house.settled()
    task = await riverside.read(sent.task)
    assert says(task) == ("accepted", ["cancellation-requested"])
    assert task["statusReason"]["text"] == "withdrawn by patient"
    assert not await lakeside.sees(sent.patient)
    assert not await lakeside.sees(sent.order)
    [errand] = await lakeside.find("Task?code=abort&status=requested")
    await lakeside.answers(f"Task/{errand['id']}", "completed")
    await house.settled()
    assert says(await riverside.read(sent.task)) == ("cancelled", ["withdrawn"])
    assert says(await riverside.holds(sent.task)) == ("cancelled", ["withdrawn"])
    await is_sound(house)


async def test_given_an_agreement_when_one_of_the_two_takes_it_back_then_what_was_sent_stands_and_nothing_more(
    house, database_url, monkeypatch
):
    riverside, lakeside = house.riverside, house.lakeside
    sent = await given_shared(house)
    monkeypatch.setenv("DATABASE_URL", database_url)
    words = ["share", lakeside.reference, riverside.reference]
    done = await asyncio.to_thread(CliRunner().invoke, cli, [*words, "--no"])
    assert done.stdout.splitlines() == [
        f"{lakeside.reference} says no", f"{riverside.reference} says yes", "a Task for each",
    ]  # fmt: skip
    assert (await lakeside.answers(sent.task, "accepted"))["status"] == "accepted"
    _, t2 = await house.given_asked(riverside, lakeside)
    assert await house.value("select count(*) from candidate where task <> episode") == 1
    assert (await lakeside.read(t2))["partOf"]

    # nor with who has not said so, nor of two that are asked, nor of what speaks of violence
    await given_agreed(house)
    for recipients in ([lakeside.reference, house.metrolab.reference], [house.metrolab.reference]):
        await riverside.refers(house.referral(riverside, *recipients))
    await house.settled()
    assert await house.value("select count(*) from candidate where task = episode") == 1
    await is_sound(house)


async def test_given_a_shared_task_under_way_when_its_recipient_is_marked_then_it_is_refused(
    house, operators, tmp_path
):
    sent = await given_shared(house)
    vault.use(vault.Vault(tmp_path / "keys"))
    act = Act("A. Operator", "keeps its place confidential")
    await vsp_acts.new_key(operators, act, house.lakeside.reference)
    with pytest.raises(vsp_acts.CannotMarkError, match="shares with who has sent them"):
        await vsp_acts.mark(operators, act, house.lakeside.reference, others_know_after=0)
    assert (await house.riverside.tries(sent.task, "cancelled")).status_code == 200
    await house.settled()
    await vsp_acts.mark(operators, act, house.lakeside.reference, others_know_after=0)
    vault.use(vault.Vault())
    # what was its sender's stays that
    assert (await house.riverside.read(sent.task))["status"] == "cancelled"
    assert await house.riverside.sees(sent.order)
    assert await house.value("select count(*) from sharing") == 0
