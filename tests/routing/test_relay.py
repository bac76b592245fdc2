"""Changes become deliveries once, in order, with any number of workers; and leave when they may."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest

from coordhub.outbound.client import Outbound, Timeouts
from coordhub.record.operations import Create, Update
from coordhub.routing import deliver, expire, relay, resolve, retry
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.store import deliveries
from coordhub.store.deliveries import Claimed
from open_hub import House, Party, observation, opened, patient

LEASE = timedelta(seconds=60)
TAKEN = b'{"resourceType":"Bundle","type":"transaction-response"}'

Document = dict[str, Any]


@dataclass(slots=True)
class Partner:
    """A FHIR server at the socket. answer: status line and body; None: hangs up without a word."""

    address: str = ""
    answer: tuple[str, bytes] | None = ("200 OK", TAKEN)
    bundles: list[Document] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    before: Callable[[], Any] | None = None

    def named(self, number: int = -1) -> dict[str, Document]:
        """The resources of one Bundle by `Type/id`."""
        entries = self.bundles[number]["entry"]
        return {entry["request"]["url"]: entry["resource"] for entry in entries}

    def types(self, number: int = -1) -> list[str]:
        return sorted(reference.partition("/")[0] for reference in self.named(number))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].split("\r\n")[0])
            self.bundles.append(json.loads(await reader.readexactly(length)))
            self.keys.append(head.partition("idempotency-key: ")[2].split("\r\n")[0])
            if self.before is not None:
                await self.before()
            if self.answer is not None:
                status, body = self.answer
                lines = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(lines.encode() + body)
                await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True)
class Post:
    """The house, its worker's hands, and the kitchen's server."""

    house: House
    sending: deliver.Sending
    partner: Partner
    endpoint: str

    async def claim(self, limit: int = 10) -> list[Claimed]:
        async with self.house.engine.pool.acquire() as conn:
            return await deliveries.claim(conn, self.house.hub.clock(), limit, LEASE)

    async def deliver(self) -> int:
        """All that is due, one after the other; how many attempts were made."""
        attempts = 0
        while held := await self.claim(1):
            await deliver.deliver(self.sending, held[0])
            attempts += 1
        return attempts

    async def ledger(self) -> list[tuple[Any, ...]]:
        """(organization, state) of all deliveries, in order."""
        return await self.house.rows("select organization, state from delivery order by seq")

    async def set_endpoint(self, **elements: Any) -> None:
        document = {**await self.house.document(self.endpoint), **elements}
        await self.house.commit(self.house.steward, Update("Endpoint", document["id"], document))


@pytest.fixture
async def post(house: House) -> AsyncIterator[Post]:
    partner = Partner()
    server = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    partner.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    endpoint = await house.create(house.steward, endpoint_at(partner.address))
    await name_endpoint(house, house.kitchen, endpoint.reference)
    async with Outbound(
        allowed_networks=[ip_network("127.0.0.0/8")], timeouts=Timeouts(total=timedelta(seconds=5))
    ) as outbound:
        channels = {resolve.SERVED: HL7FhirRest(outbound, house.hub.clock)}
        sending = deliver.Sending(house.hub, channels, retry.RetryPolicy(), lambda: 0.5)
        yield Post(house, sending, partner, endpoint.reference)
    server.close()
    await server.wait_closed()


def endpoint_at(address: str) -> Document:
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [{"text": "any"}],
        "address": address,
    }


async def name_endpoint(house: House, party: Party, endpoint: str) -> None:
    document = {**await house.document(party.service), "endpoint": [{"reference": endpoint}]}
    await house.commit(house.steward, Update("HealthcareService", document["id"], document))


# ---- planning


async def test_given_a_referral_when_relayed_by_two_at_once_then_it_is_asked_and_planned_once(
    house: House,
) -> None:
    async with opened(house.url, size=4) as other:
        for _ in range(8):
            await house.refer(house.kitchen.service, house.pantry.service)
            await asyncio.gather(
                *(relay.relay(one.hub, uuid4) for one in (house, other, house, other))
            )
        await house.relay()
        counts = await house.rows(
            "select e.id, (select count(*) from candidate c where c.episode = e.id),"
            " (select count(*) from delivery d where d.episode = e.id) from episode e"
        )
        assert [row[1:] for row in counts] == [(2, 3)] * 8, "two are asked, the sender is told"
        twice = "select count(*) from (select 1 from delivery group by change, organization"
        assert await house.value(f"{twice} having count(*) > 1) t") == 0
        assert await relay.relay(house.hub, uuid4) is False
        left = "select count(*) from change where relayed_at is null and episode is not null"
        assert await house.value(left) == 0


async def test_given_an_answer_when_relayed_then_the_sender_is_told_and_not_who_answered(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    before = await house.value("select max(seq) from delivery")
    await sent.answer(house.kitchen, "accepted")
    await house.relay()
    told = await house.rows(
        "select organization, rid = episode from delivery where seq > $1", before
    )
    assert told == [(house.clinic.rid, True)]


async def test_given_a_withdrawal_when_relayed_then_who_was_asked_is_told_and_not_the_sender(
    house: House,
) -> None:
    sent = await house.asking(house.kitchen.service)
    before = await house.value("select max(seq) from delivery")
    await sent.withdraw()
    await house.relay()
    told = await house.rows("select organization from delivery where seq > $1", before)
    assert told == [(house.kitchen.rid,)]


# ---- what a delivery carries


async def test_given_a_referral_when_delivered_then_the_bundle_has_what_is_needed_and_no_more(
    post: Post,
) -> None:
    house = post.house
    hidden = await house.create(house.stranger, observation())
    own = await house.create(house.kitchen, observation(code="1-1"))
    await house.create(house.clinic, patient("another"))
    sent = await house.asking(house.kitchen.service)
    await post.deliver()
    [bundle] = post.partner.bundles
    named = post.partner.named()
    asked = (await sent.tasks())["kitchen"]
    order = named[asked]["focus"]["reference"]
    assert next(iter(named)) == asked, "what changed comes first"
    assert set(named) == {
        asked, order, sent.patient, sent.result, house.clinic.reference, house.kitchen.service,
    }  # fmt: skip
    assert sent.task not in named
    assert sent.request not in named
    assert hidden.reference not in named
    assert own.reference not in named
    assert bundle["type"] == "transaction"
    assert bundle["identifier"]["value"] == post.partner.keys[0]
    assert all(
        entry["request"]
        == {"method": "PUT", "url": entry["fullUrl"].removeprefix(house.hub.base + "/")}
        for entry in bundle["entry"]
    )
    for reference, document in named.items():
        assert document == await house.document(reference)


async def test_given_a_report_in_the_referral_when_delivered_then_its_members_travel_along(
    post: Post,
) -> None:
    house = post.house
    who, member, other, report = await house.commit(
        house.clinic,
        Create("Patient", patient(), full_url="urn:uuid:p"),
        Create("Observation", observation("urn:uuid:p"), full_url="urn:uuid:o"),
        Create("Observation", observation("urn:uuid:p", code="2-2")),
        Create(
            "DiagnosticReport",
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "panel"},
                "subject": {"reference": "urn:uuid:p"},
                "result": [{"reference": "urn:uuid:o"}],
            },
        ),
    )
    sent = await house.asking(
        house.kitchen.service,
        input=[
            {"type": {"text": "report"}, "valueReference": {"reference": report.reference}},
        ],
    )
    await post.deliver()
    named = post.partner.named()
    assert {report.reference, member.reference, sent.patient} <= set(named)
    assert other.reference not in named
    assert who.reference not in named, "another record: the report's subject is not followed"


async def test_given_a_result_when_delivered_to_the_sender_then_its_task_and_the_result_only(
    post: Post,
) -> None:
    house = post.house
    await name_endpoint(house, house.clinic, post.endpoint)
    organization = {
        **await house.document(house.clinic.reference),
        "endpoint": [{"reference": post.endpoint}],
    }
    await house.commit(house.steward, Update("Organization", organization["id"], organization))
    sent = await house.asking(house.pantry.service)
    await sent.answer(house.pantry, "accepted")
    made = await house.create(
        house.pantry, observation(sent.patient, basedOn=[{"reference": sent.request}])
    )
    output = [{"type": {"text": "result"}, "valueReference": {"reference": made.reference}}]
    await sent.answer(house.pantry, "completed", output=output)
    await house.relay()
    await post.deliver()
    directory = {house.clinic.reference, house.pantry.reference, house.pantry.service}
    assert [set(post.partner.named(number)) - directory for number in range(4)] == [
        {sent.task},
        {sent.task},
        {made.reference},
        {sent.task, made.reference},
    ]
    assert len(post.partner.bundles) == 4
    statuses = [
        each["status"]
        for number in range(4)
        for reference, each in post.partner.named(number).items()
        if reference == sent.task
    ]
    assert statuses == ["accepted", "in-progress", "completed"], "each version as it was, in order"


# ---- order, leases


async def test_given_two_changes_of_one_referral_when_claimed_then_only_the_first_is_due(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await sent.withdraw()
    await house.relay()
    async with opened(house.url, size=3) as other:
        mine = [one for one in await post.claim() if one.organization == house.kitchen.rid]
        async with other.engine.pool.acquire() as conn:
            theirs = await deliveries.claim(conn, house.hub.clock(), 10, LEASE)
    assert [one.version for one in mine] == [1]
    assert [one for one in theirs if one.organization == house.kitchen.rid] == []
    await deliver.deliver(post.sending, mine[0])
    [second] = await post.claim()
    assert (second.rid, second.version) == (mine[0].rid, 2)


async def test_given_two_referrals_when_one_cannot_be_delivered_then_the_other_is(
    post: Post,
) -> None:
    house = post.house
    for _ in range(2):
        await house.asking(house.kitchen.service)
    mine = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert len({one.episode for one in mine}) == 2


async def test_given_two_workers_when_claiming_at_once_then_each_delivery_is_held_by_one(
    post: Post,
) -> None:
    house = post.house
    for _ in range(6):
        await house.asking(house.kitchen.service, house.pantry.service)
    async with opened(house.url, size=4) as other:

        async def some(which: House) -> list[Claimed]:
            async with which.engine.pool.acquire() as conn:
                return await deliveries.claim(conn, house.hub.clock(), 4, LEASE)

        many = await asyncio.gather(*(some(each) for each in (house, other, house, other)))
    taken = [one for each in many for one in each]
    assert len(taken) >= 12
    assert len({one.id for one in taken}) == len(taken)


async def test_given_a_worker_that_died_when_its_lease_ran_out_then_another_delivers_the_same_id(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    [dead] = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert await post.claim() == []
    house.clock.ahead += LEASE + timedelta(seconds=1)
    [again] = [one for one in await post.claim() if one.organization == house.kitchen.rid]
    assert (again.id, again.attempt) == (dead.id, dead.attempt + 1)
    await deliver.deliver(post.sending, again)
    await deliver.deliver(post.sending, dead)  # it was not dead, only slow: what it says is late
    assert post.partner.keys == [str(dead.id)] * 2
    rows = await house.rows("select number, outcome from attempt where delivery = $1", dead.id)
    assert rows == [(2, "delivered")]


async def test_given_a_partner_that_is_spoken_to_when_looked_at_then_no_transaction_is_open(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    open_then: list[int] = []

    async def look() -> None:
        open_then.append(
            await house.value(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and state like 'idle in transaction%'"
            )
        )

    post.partner.before = look
    await post.deliver()
    assert open_then == [0]


# ---- what may go wrong


async def test_given_a_grant_that_was_removed_when_it_is_sent_then_it_is_suppressed_instead(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await house.rows("delete from access_grant where organization = $1", house.kitchen.rid)
    await post.deliver()
    assert post.partner.bundles == []
    assert (house.kitchen.rid, "suppressed") in await post.ledger()
    told = await house.value(
        "select count(*) from audit where interaction = 'disclosure' and organization = $1",
        house.kitchen.rid,
    )
    assert told == 0


async def test_given_a_part_whose_grant_was_removed_when_sent_then_the_rest_goes_without_it(
    post: Post,
) -> None:
    house = post.house
    sent = await house.asking(house.kitchen.service)
    await house.rows(
        "delete from access_grant g using resource r where r.rid = g.rid and r.fhir_id = $1",
        sent.result.removeprefix("Observation/"),
    )
    await post.deliver()
    assert sent.result not in post.partner.named()
    assert sent.patient in post.partner.named()


async def test_given_an_endpoint_off_when_due_then_parked_and_sent_once_it_is_on_again(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.set_endpoint(status="suspended")
    await post.deliver()
    assert (house.kitchen.rid, "parked") in await post.ledger()
    assert await post.claim() == [], "not before its time"
    await post.set_endpoint(status="active")
    house.clock.ahead += timedelta(minutes=16)
    await post.deliver()
    assert (house.kitchen.rid, "delivered") in await post.ledger()
    assert len(post.partner.bundles) == 1


async def test_given_no_endpoint_when_due_then_it_is_in_the_inbox_and_noted_as_delivered(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.pantry.service)
    await post.deliver()
    assert await post.ledger() == [
        (house.pantry.rid, "delivered"),
        (house.clinic.rid, "delivered"),
    ]
    assert await house.value("select delivered_at is not null from candidate")
    assert await house.rows("select distinct detail, status from attempt") == [("inbox", None)]


async def test_given_a_delivery_when_taken_then_the_disclosure_is_audited_with_what_and_which(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.deliver()
    [(rids, delivery)] = await house.rows(
        "select rids, delivery from audit where interaction = 'disclosure' and organization = $1",
        house.kitchen.rid,
    )
    assert str(delivery) == post.partner.keys[0]
    named = post.partner.named()
    known = await house.rows(
        "select rid from resource where fhir_id = any($1)",
        [reference.partition("/")[2] for reference in named],
    )
    assert sorted(rids) == sorted(rid for (rid,) in known)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, "queued"),
        (("500 Broken", b""), "queued"),
        (("200 OK", b"<html>"), "queued"),
        (("403 Forbidden", b""), "parked"),
        (("422 Unprocessable", b""), "dead"),
    ],
)
async def test_given_a_body_that_has_left_when_not_taken_then_the_disclosure_is_audited_all_the_same(
    post: Post, answer: tuple[str, bytes] | None, state: str
) -> None:
    post.partner.answer = answer
    await post.house.asking(post.house.kitchen.service)
    await post.deliver()
    assert (post.house.kitchen.rid, state) in await post.ledger()
    told = await post.house.rows(
        "select delivery::text from audit where interaction = 'disclosure' and organization = $1",
        post.house.kitchen.rid,
    )
    assert told == [(post.partner.keys[0],)]


async def test_given_an_address_where_nobody_listens_when_tried_then_nothing_was_disclosed(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    await post.set_endpoint(address="http://127.0.0.1:9/fhir")
    await post.deliver()
    assert (house.kitchen.rid, "queued") in await post.ledger()
    told = "select count(*) from audit where interaction = 'disclosure' and organization = $1"
    assert await house.value(told, house.kitchen.rid) == 0
    outcomes = await house.rows("select outcome from attempt where status is null")
    assert ("unreachable",) in outcomes


async def test_given_a_partner_that_fails_when_it_recovers_then_it_gets_the_same_delivery_again(
    post: Post,
) -> None:
    house = post.house
    post.partner.answer = ("503 Later", b"")
    await house.asking(house.kitchen.service)
    await post.deliver()
    post.partner.answer = ("200 OK", TAKEN)
    house.clock.ahead += timedelta(minutes=5)
    await post.deliver()
    assert len(post.partner.keys) == 2
    assert len(set(post.partner.keys)) == 1
    assert post.partner.bundles[0]["entry"] == post.partner.bundles[1]["entry"]
    assert (house.kitchen.rid, "delivered") in await post.ledger()


# ---- timers


async def test_given_no_answer_in_time_when_two_workers_look_then_the_request_expires_once(
    house: House,
) -> None:
    end = (house.hub.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    sent = await house.asking(house.kitchen.service, restriction={"period": {"end": end}})
    assert await expire.fire(house.hub) is False
    house.clock.ahead += timedelta(hours=2)
    async with opened(house.url, size=4) as other:
        other.clock.ahead = house.clock.ahead
        fired = await asyncio.gather(
            *(expire.fire(one.hub) for one in (house, other, house, other))
        )
    assert sorted(fired) == [False, False, False, True]
    asked = await house.document((await sent.tasks())["kitchen"])
    assert asked["status"] == "cancelled"
    assert asked["statusReason"]["coding"][0]["code"] == "expired"
    assert await sent.status() == "rejected"
    assert await house.rows("select state from episode") == [("closed",)]
    assert await house.value("select count(*) from timer where fired_at is null") == 0
    await house.relay()
    told = await house.rows(
        "select distinct organization from delivery where rid = $1 and version = 2",
        (await house.rows("select task from candidate"))[0][0],
    )
    assert told == [(house.kitchen.rid,)]


async def test_given_an_answer_in_time_when_the_timer_fires_then_nothing_changes(
    house: House,
) -> None:
    end = (house.hub.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    sent = await house.asking(house.kitchen.service, restriction={"period": {"end": end}})
    await sent.answer(house.kitchen, "accepted")
    house.clock.ahead += timedelta(hours=2)
    assert await expire.fire(house.hub) is True
    assert await expire.fire(house.hub) is False
    assert await sent.status((await sent.tasks())["kitchen"]) == "accepted"
