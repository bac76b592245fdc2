"""Events of Subscriptions told by mail: where to, how often, and nothing of what happened."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from mail_relay import MailRelay
from open_desk import BACKPORT, PATIENCE, RESULTS, TASKS, Desk
from open_hub import Party

from coordhub.errors import FhirError
from coordhub.outbound.relay import Relay
from coordhub.outbound.smtp import Post
from coordhub.record import mailed, subscribing
from coordhub.record.operations import Update
from coordhub.routing import notify, posting
from coordhub.routing.resolve import MAILED, OWN_TYPES
from coordhub.store import parties, subscriptions

BOX = "desk@kitchen.example.org"

Document = dict[str, Any]


@pytest.fixture
async def relay() -> AsyncIterator[MailRelay]:
    async with MailRelay().open() as relay:
        yield relay


@pytest.fixture
async def mail_desk(desk: Desk, relay: MailRelay) -> Desk:
    """The desk, with a mail relay, and a kitchen whose mailbox stands in the directory."""
    post = Post(Relay(f"smtp+plain://127.0.0.1:{relay.port}", "hub@hub.example.org"))
    await reads_at(desk, desk.house.kitchen, BOX)
    return dataclasses.replace(desk, post=post)


async def reads_at(desk: Desk, who: Party, *boxes: str, **more: Any) -> None:
    house, made = desk.house, []
    for box in boxes:
        document = {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": {"system": OWN_TYPES, "code": MAILED},
            "payloadType": [{"text": "any"}],
            "address": f"mailto:{box}",
            **more,
        }
        made.append((await house.create(house.steward, document)).reference)
    document = await house.document(who.reference)
    document = {**document, "endpoint": [{"reference": one} for one in made]}
    await house.commit(house.steward, Update("Organization", document["id"], document))


def by_mail(desk: Desk, topic: str = TASKS, box: str = BOX, level: str = "empty") -> Document:
    wish = desk.wish(topic, level)
    wish["channel"] |= {"type": "email", "endpoint": f"mailto:{box}"}
    del wish["channel"]["header"]
    return wish


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


async def asked(desk: Desk, times: int = 1) -> None:
    for _ in range(times):
        await desk.house.asking(desk.house.kitchen.service)
    await desk.follow()
    await desk.tell()


async def test_given_events_when_told_by_mail_then_their_numbers_once_an_hour_and_nothing_of_what_they_are(
    mail_desk: Desk, relay: MailRelay
) -> None:
    desk, house = mail_desk, mail_desk.house
    made = await house.create(house.kitchen, by_mail(desk))
    await desk.tell()
    assert await desk.status(made.reference) == "active"
    assert relay.taken == [], "the directory has said whose it is"

    await asked(desk)
    [(_, [to], _)] = relay.taken
    [mail] = relay.mails()
    text = text_of(mail)
    assert to == BOX
    assert f"{made.reference}: event 1\n" in text
    assert f"/{made.reference}/$events?eventsSinceNumber=1&eventsUntilNumber=1" in text
    assert TASKS in text
    ids = [one for (one,) in await house.rows("select fhir_id from resource")]
    assert len(ids) > 5
    assert [one for one in ids if one in str(mail) + text] == [made.id], "of nothing else"
    audit = "select organization, request_id from audit where interaction = 'notice'"
    assert len(await house.rows(audit)) == 1

    # Another, and what happens within the hour, waits for the next: one mail of all
    other = await house.create(house.kitchen, by_mail(desk))
    await desk.tell()
    await asked(desk, 3)
    house.clock.ahead += timedelta(minutes=59)
    await asked(desk)
    assert len(relay.taken) == 1
    house.clock.ahead += timedelta(minutes=2)
    await desk.tell()
    [_, second] = relay.mails()
    text = text_of(second)
    assert f"{made.reference}: events 2 to 5\n" in text
    assert f"{other.reference}: events 1 to 4\n" in text
    assert text.startswith("Hello,\n\n8 events ")
    assert second["Message-ID"] != mail["Message-ID"]
    assert await house.rows("select sent, failures, next_at from subscription order by rid") == [
        (5, 0, None),
        (4, 0, None),
    ]

    # Asked for again, and new besides
    number = await house.value("select min(rid) from subscription")
    house.clock.ahead += timedelta(hours=2)
    async with house.engine.pool.acquire() as conn:
        assert await subscriptions.tell_again(conn, number, 2, 3, house.clock())
    await desk.tell()
    assert f"{made.reference}: events 2 to 3, as asked for again" in text_of(relay.mails()[2])
    house.clock.ahead += timedelta(hours=2)
    await desk.tell()
    assert len(relay.taken) == 3
    await reads_at(desk, house.clinic, "own@clinic.example.org")
    await house.create(house.clinic, by_mail(desk, box="own@clinic.example.org"))
    await desk.tell()
    await asked(desk)
    assert len(relay.taken) == 5
    assert await house.value("select count(*) from subscription_mail") == 2
    house.clock.ahead += timedelta(hours=2)
    await house.update(
        house.kitchen, made.id, {**await house.document(made.reference), "status": "off"}
    )
    await house.update(
        house.kitchen, other.id, {**await house.document(other.reference), "status": "off"}
    )
    await asked(desk)
    assert [one for (one,) in await house.rows("select address from subscription_mail")] == [
        "own@clinic.example.org"
    ], "longer than that it is not kept"
    assert desk.listener.heads == []


async def test_given_two_that_are_due_at_once_when_told_by_two_workers_then_in_one_mail(
    mail_desk: Desk, relay: MailRelay
) -> None:
    desk, house = mail_desk, mail_desk.house
    for _ in range(2):
        await house.create(house.kitchen, by_mail(desk))
    await desk.tell()
    await house.asking(house.kitchen.service)
    await desk.follow()
    each = [await notify.due(house.hub) for _ in range(2)]
    await asyncio.gather(
        *(
            notify.tell(house.hub, desk.outbound, one, PATIENCE, desk.post)
            for one in each
            if one is not None
        )
    )
    assert len(each) == 2
    await desk.tell()
    [mail] = relay.mails()
    assert text_of(mail).startswith("Hello,\n\n2 events ")
    assert await house.rows("select event, sent, next_at from subscription") == [(1, 1, None)] * 2


async def test_given_a_relay_that_refuses_when_tried_then_the_same_mail_and_in_the_end_in_error(
    mail_desk: Desk, relay: MailRelay
) -> None:
    desk, house = mail_desk, mail_desk.house
    made = await house.create(house.kitchen, by_mail(desk))
    await desk.tell()
    relay.answers = {"RCPT": "451 later"}
    await asked(desk)
    assert await house.value("select failures from subscription") == 1
    relay.answers = {}
    house.clock.ahead += timedelta(minutes=1)
    await desk.tell()
    assert len(relay.taken) == 1, "what failed has not used up the hour"
    relay.answers = {"RCPT": "550 no such user"}
    for _ in range(PATIENCE.failures):
        house.clock.ahead += timedelta(hours=1, minutes=1)
        await asked(desk)
    assert await desk.status(made.reference) == "error"
    assert (await house.document(made.reference))["error"] == notify.NOT_REACHED
    assert len(relay.taken) == 1


@pytest.mark.parametrize("what", ["no relay", "gone from the directory"])
async def test_given_no_way_by_mail_when_tried_then_its_error_says_so(
    mail_desk: Desk, relay: MailRelay, what: str
) -> None:
    desk, house = mail_desk, mail_desk.house
    made = await house.create(house.kitchen, by_mail(desk))
    if what == "no relay":
        desk = dataclasses.replace(desk, post=None)
    else:
        await reads_at(desk, house.kitchen, "another@kitchen.example.org")
    await desk.tell()
    stored = await house.document(made.reference)
    wanted = posting.NO_RELAY if what == "no relay" else mailed.NOT_ITS
    assert (stored["status"], stored["error"]) == ("error", wanted)
    assert relay.taken == []
    # it may be switched off all the same
    await house.update(house.kitchen, made.id, {**stored, "status": "off"})


async def test_given_an_address_that_the_directory_does_not_vouch_for_when_asked_for_then_refused(
    mail_desk: Desk,
) -> None:
    desk, house = mail_desk, mail_desk.house
    own = "own@clinic.example.org"

    async def refused(who: Party, box: str) -> tuple[int, str, list[str]]:
        with pytest.raises(FhirError) as found:
            await house.create(who, by_mail(desk, box=box))
        [issue] = found.value.issues
        return found.value.status, issue.diagnostics, [issue.expression]

    of_channel = ["Subscription.channel.endpoint"]
    assert await refused(house.kitchen, "a@example.org") == (422, mailed.NOT_ITS, of_channel)
    assert await refused(house.clinic, BOX) == (422, mailed.NOT_ITS, of_channel)
    for more in (
        {"status": "off"},
        {"managingOrganization": {"reference": house.kitchen.reference}},
        {"connectionType": {"code": "secure-email"}},
    ):
        await reads_at(desk, house.clinic, own, **more)
        assert await refused(house.clinic, own) == (422, mailed.NOT_ITS, of_channel)
    await reads_at(desk, house.clinic, own)
    await house.create(house.clinic, by_mail(desk, box=own))
    async with house.engine.pool.acquire() as conn:
        await conn.execute(
            "update party set kind = 'vsp' where organization = $1", house.kitchen.rid
        )
        assert await parties.kind_of(conn, house.kitchen.rid) == "vsp"
    assert await refused(house.kitchen, BOX) == (422, mailed.NOT_BY_MAIL, of_channel)


def _channel(level: str = "empty", **more: Any) -> Document:
    content = {"url": f"{BACKPORT}backport-payload-content", "valueCode": level}
    endpoint = f"mailto:{BOX}"
    return {"type": "email", "endpoint": endpoint, "_payload": {"extension": [content]}} | more


BEAT = {"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": 60}


@pytest.mark.parametrize(
    ("criteria", "channel", "places"),
    [
        (RESULTS, _channel(), []),
        (RESULTS, _channel("id-only"), ["channel.payload"]),
        (RESULTS, _channel("full-resource"), ["channel.payload"]),
        (RESULTS, _channel(_payload={}), ["channel.payload"]),
        ("Observation?code=1", _channel(), ["criteria"]),
        (RESULTS, _channel(header=["Bcc: a@example.org"]), ["channel.header"]),
        (RESULTS, _channel(extension=[BEAT]), ["channel.extension[0]"]),
        (RESULTS, _channel(endpoint=None), ["channel.endpoint"]),
        (RESULTS, _channel(endpoint=BOX), ["channel.endpoint"]),
        (RESULTS, _channel(endpoint=f"mailto:{BOX},b@example.org"), ["channel.endpoint"]),
        (RESULTS, _channel(endpoint=f"mailto:{BOX}?bcc=b@example.org"), ["channel.endpoint"]),
        (RESULTS, _channel(endpoint="https://example.org/hook"), ["channel.endpoint"]),
    ],
)
def test_given_a_wish_for_mail_when_read_then_what_would_not_be_safe_in_it_is_refused(
    criteria: str, channel: Document, places: list[str]
) -> None:
    document = {"status": "requested", "criteria": criteria, "channel": channel}
    found: list[str] = []
    try:
        subscribing.read(document, "S", "http://hub.example.org/fhir", datetime.now(UTC))
    except FhirError as refused:
        found = [one.expression for one in refused.issues]
    assert found == [f"S.{place}" for place in places]
