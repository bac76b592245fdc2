"""S06, S09, S10, S14: who has a mailbox and no server is told that something waits, and answers by a link."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2
import pytest

from coordhub.admin import admitting, offboarding
from coordhub.admin.acts import Operator
from coordhub.routing.mailing import TOLD, link_base
from coordhub.store import mailboxes
from coordhub.store.mailboxes import Link

MONDAY = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
BOX = "desk@mounds.example.org"
SAFE_BOX = "desk@harbor.example.org"
LINK = re.compile(r"http://\S+/links/[A-Za-z0-9_-]{43}\b")


@dataclass
class WallClock:
    """The hub's time, which stands until it is set."""

    now: datetime

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return WallClock(MONDAY)


@pytest.fixture
async def mounds(house, relay):
    await house.is_reached_at(house.mounds, BOX)
    return house.mounds


@pytest.fixture
async def code(house, mounds):
    return await admitting.new_code(house.hub.engine, Operator("rosa"), mounds.reference)


@pytest.fixture
async def browser(house):
    """Somebody's, at the food bank: it follows no redirect unless it is told to."""
    async with httpx2.AsyncClient(timeout=30) as client:
        yield client


async def links_in(house, relay):
    """Of all mails so far, the newest last."""
    return [LINK.findall(mail.get_content()) for mail in relay.mails()]


async def opens(browser, link, code):
    done = await browser.post(link, data={"code": code})
    if done.status_code == 303:
        return await browser.get(link.rpartition("/")[0] + "/task")
    return done


async def presses(browser, page, act, **more):
    """A button of the page."""
    hidden = dict(re.findall(r'name="(seal|seen)" value="([^"]*)"', page.text))
    address = str(page.url).rpartition("/")[0] + "/task"
    done = await browser.post(address, data={**hidden, "act": act, **more})
    return await browser.get(address) if done.status_code == 303 else done


async def test_s06_given_a_food_bank_with_a_mailbox_when_it_is_asked_then_it_accepts_by_a_link(
    house, relay, mounds, code, browser
):
    riverside = house.riverside
    sent = await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()

    # It is told that something waits, and nothing of whom, by whom, for what
    [(sender, [to], _)] = relay.taken
    assert (sender, to) == ("hub@hub.example.org", BOX)
    [mail] = relay.mails()
    words = (mail["Subject"] + mail.get_content()).lower()
    whom = await riverside.read(sent.patient)
    order = await riverside.read(sent.order)
    secrets = [
        whom["name"][0]["family"], whom["name"][0]["given"][0], whom["birthDate"], "riverside",
        "mounds", order["code"]["coding"][0]["code"], "hba1c", sent.patient, sent.task, "referral",
    ]  # fmt: skip
    assert [one for one in secrets if one.lower() in words] == []
    notice = await house.value("select d.key from link l join delivery d on d.id = l.delivery")
    assert mail["Message-ID"] == f"<{notice}@hub.example.org>"

    # The transport has it; nobody has opened it, and nobody has answered
    assert await house.value("select delivered_at from candidate") is not None
    assert await house.value("select seen_at from candidate") is None
    assert await house.value("select status from candidate") == "requested"
    assert (await riverside.read(sent.task))["status"] == "accepted"

    # A machine that reads mail opens what is in it, and uses nothing up
    [[link]] = await links_in(house, relay)
    offered = await browser.get(link)
    assert offered.status_code == 200
    other = await browser.get(link[:-1] + ("A" if link[-1] != "A" else "B"))
    assert offered.text == other.text
    assert "script" not in offered.text
    assert offered.headers["content-security-policy"].startswith("default-src 'none'")
    assert offered.headers["referrer-policy"] == "no-referrer"
    assert (await browser.head(link)).status_code in (200, 405)
    style = await browser.get(link.rpartition("/")[0] + "/style.css")
    assert style.headers["content-type"].startswith("text/css")

    # Nobody gets in without the code of the organization
    wrong = await opens(browser, link, "0000-0000-0000")
    assert wrong.status_code == 403
    assert whom["name"][0]["family"] not in wrong.text
    assert await house.value("select seen_at from candidate") is None

    # With it, once: that is when it was opened
    page = await opens(browser, link, f" {code.lower()} ")
    assert page.status_code == 200, page.text
    assert whom["name"][0]["family"] in page.text
    assert "Riverside" in page.text
    assert "HbA1c" not in page.text
    assert await house.value("select seen_at from candidate") is not None
    assert (
        await house.value(
            "select count(*) from audit where client = 'link' and interaction = 'read'"
        )
        == 1
    )
    again = await browser.post(link, data={"code": code})
    unknown = await browser.post(link[:-3] + "AAA", data={"code": code})
    assert (
        (again.status_code, again.text) == (unknown.status_code, unknown.text) == (404, again.text)
    )

    # It accepts, and the sender hears of it
    accepted = await presses(browser, page, "accept")
    assert accepted.status_code == 200
    assert "You have accepted" in accepted.text
    begun = await presses(browser, accepted, "start")
    assert "at work" in begun.text
    await house.settled()
    assert (await riverside.read(sent.task))["status"] == "in-progress"
    _, [asked] = await riverside.whereabouts(sent)
    assert asked["status"] == "in-progress"

    # A form that another page made does nothing, and who has left is out
    forged = await browser.post(str(begun.url), data={"act": "decline", "reason": "no-capacity"})
    assert forged.status_code == 404
    left = await presses(browser, begun, "leave")
    assert left.status_code == 200
    assert (await browser.get(str(begun.url))).status_code == 404


async def test_given_a_link_when_its_time_is_over_or_tried_too_often_then_it_opens_nothing(
    house, relay, mounds, code, browser, clock
):
    riverside = house.riverside
    for _ in range(2):
        await riverside.refers(house.referral(riverside, mounds.reference))
        await house.settled()
        clock.now += timedelta(minutes=16)
        house.hub.engine.wake()
    [[first], [second]] = await links_in(house, relay)
    for left in (4, 3, 2, 1):
        tried = await browser.post(first, data={"code": "AAAA-AAAA-AAAA"})
        assert tried.status_code == 403
        assert f"{left} tr" in tried.text
    last = await browser.post(first, data={"code": "AAAA-AAAA-AAAA"})
    assert last.status_code == 404
    assert (await browser.post(first, data={"code": code})).text == last.text
    # What was guessed too often for the organization stays shut for a while, whatever the link
    await house.value("update access_code set failures = 10 returning 1")
    assert (await browser.post(second, data={"code": code})).status_code == 429
    clock.now += timedelta(hours=73)
    late = await browser.post(second, data={"code": code})
    assert (late.status_code, late.text) == (404, last.text)


async def test_given_much_that_waits_when_told_then_in_one_mail_and_not_at_night(
    house, relay, mounds, clock
):
    riverside = house.riverside

    async def refers():
        return await riverside.refers(house.referral(riverside, mounds.reference))

    await refers()
    await house.settled()
    assert len(relay.taken) == 1
    # Two more within the quarter of an hour wait, and are told together
    await refers()
    await refers()
    await house.until(
        lambda: house.value(
            "select count(*) = 2 from delivery d where d.state = 'queued' and d.next_at = $1",
            MONDAY + timedelta(minutes=15),
        )
    )
    assert len(relay.taken) == 1
    clock.now += timedelta(minutes=15)
    house.hub.engine.wake()
    await house.settled()
    [_, links] = await links_in(house, relay)
    assert len(links) == 2
    assert "2 things wait for you" in relay.mails()[1].get_content()
    assert await house.value("select count(*) from attempt where detail = $1", TOLD) == 1

    # By night what is urgent is told at once, and all else in the morning
    clock.now = MONDAY.replace(hour=23)
    await refers()
    await house.until(
        lambda: house.value(
            "select exists (select from delivery where state = 'queued' and next_at = $1)",
            datetime(2026, 10, 6, 8, tzinfo=UTC),
        )
    )
    assert len(relay.taken) == 2
    bundle = house.referral(riverside, mounds.reference)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] in ("ServiceRequest", "Task"):
            entry["resource"]["priority"] = "urgent"
    await riverside.refers(bundle)
    await house.until(lambda: _taken(relay, 3))
    urgent = relay.mails()[2]
    assert urgent["Subject"].startswith("Urgent: ")
    assert "2 things wait for you, 1 of them urgent" in urgent.get_content()
    await house.settled()
    assert len(relay.taken) == 3


async def _taken(relay, number):
    return len(relay.taken) == number


async def test_s14_given_consent_withdrawn_when_the_link_is_opened_then_it_is_no_longer_available(
    house, relay, mounds, code, browser
):
    riverside = house.riverside
    sent = await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()
    [[link]] = await links_in(house, relay)
    whom = await riverside.read(sent.patient)
    [consent] = await riverside.find(f"Consent?patient={sent.patient}")
    ended = await riverside.ask(
        "PUT", f"/Consent/{consent['id']}", {**consent, "status": "inactive"}
    )
    assert ended.status_code == 200, ended.text
    page = await opens(browser, link, code)
    assert page.status_code == 410
    assert "No longer available" in page.text
    assert whom["name"][0]["family"] not in page.text


@pytest.fixture
async def boxed(house, relay):
    await house.is_reached_at(house.harbor, SAFE_BOX)


async def test_s13_given_a_victim_service_provider_with_a_mailbox_when_it_is_asked_then_no_mail_says_so_nor_a_look(
    house, relay, boxed, safe, browser
):
    """A mail may be read on its way. Whoever has a link all the same looks and answers, and nobody hears of it."""
    riverside = house.riverside
    code = await admitting.new_code(house.hub.engine, Operator("rosa"), safe.reference)
    sent = await riverside.refers(house.referral(riverside, safe.reference))
    await house.settled()
    assert relay.taken == []
    token, task = "A" * 43, await safe.asked(sent)
    hub, rid = house.hub, "select rid from resource where fhir_id = $1"
    link = Link(
        hashlib.sha256(token.encode()).digest(),
        await house.value(rid, safe.id),
        await house.value(rid, task.partition("/")[2]),
        UUID(int=1),
    )
    async with hub.engine.pool.acquire() as conn:
        await mailboxes.issue(conn, [link], hub.clock(), timedelta(hours=1))

    async def heard():
        told = await riverside.ask("GET", f"/{sent.task}/$status-of-referral")
        audit = await riverside.find(f"AuditEvent?entity={sent.task}&_count=100")
        looks = [one for one in audit if "link" in str(one) or safe.reference in str(one)]
        return told.text, looks, await riverside.read(sent.task), await riverside.read(sent.order)

    before = await heard()
    page = await opens(browser, f"{link_base(hub.base)}/{token}", code)
    assert page.status_code == 200, page.text
    assert await heard() == before
    accepted = await presses(browser, page, "accept")
    assert "You have accepted" in accepted.text
    await house.settled()
    assert await house.value("select count(*) from candidate where seen_at is not null") == 0
    assert await heard() == before
    assert relay.taken == []


async def test_s36_given_an_organization_that_leaves_when_its_links_are_opened_then_nobody_gets_in(
    house, relay, mounds, code, browser, clock
):
    riverside = house.riverside
    for _ in range(2):
        await riverside.refers(house.referral(riverside, mounds.reference))
        await house.settled()
        clock.now += timedelta(minutes=16)
        house.hub.engine.wake()
    [[first], [second]] = await links_in(house, relay)
    page = await opens(browser, first, code)
    assert page.status_code == 200, page.text
    await offboarding.offboard(
        house.hub, Operator("rosa"), mounds.reference, "contract ended", withdraw=False
    )
    assert (await browser.get(str(page.url))).status_code == 404
    assert (await browser.post(second, data={"code": code})).status_code == 404


async def test_s09_given_another_was_first_when_accepted_by_a_link_then_already_filled_without_a_person(
    house, relay, mounds, code, browser
):
    riverside, other = house.riverside, house.rides
    sent = await riverside.refers(house.referral(riverside, mounds.reference, other.reference))
    [_, theirs] = await house.all_asked([mounds, other], sent)
    await house.until(lambda: _taken(relay, 1))
    [[link]] = await links_in(house, relay)
    page = await opens(browser, link, code)
    assert page.status_code == 200, page.text
    await other.answers(theirs, "accepted")
    late = await presses(browser, page, "accept")
    assert late.status_code == 410
    assert "Already filled" in late.text
    whom = await riverside.read(sent.patient)
    assert whom["name"][0]["family"] not in late.text


async def test_given_a_decline_when_pressed_then_its_reason_is_told_and_without_one_it_is_asked_for(
    house, relay, mounds, code, browser
):
    riverside = house.riverside
    await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()
    [[link]] = await links_in(house, relay)
    page = await opens(browser, link, code)
    asked = await presses(browser, page, "decline")
    assert asked.status_code == 422
    assert "Choose why" in asked.text
    done = await presses(
        browser, asked, "decline", reason="no-capacity", words="<b>full</b> until May"
    )
    assert "You have declined" in done.text
    [task] = await mounds.find(f"Task?owner={mounds.reference}")
    assert task["status"] == "rejected"
    assert task["statusReason"]["coding"][0]["code"] == "no-capacity"
    assert task["statusReason"]["text"] == "at capacity: <b>full</b> until May"


async def test_given_a_relay_that_does_not_know_the_mailbox_when_told_then_the_next_is_asked(
    house, relay, mounds
):
    relay.answers = {"RCPT": "550 no such user"}
    riverside = house.riverside
    await riverside.refers(house.referral(riverside, mounds.reference))
    await house.settled()
    assert (
        await house.value("select reason from delivery where state = 'dead'") == "RCPT answered 550"
    )
    assert await house.value("select seen_at from candidate") is None
