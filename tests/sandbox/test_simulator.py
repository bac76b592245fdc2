"""The partner simulator over real HTTP, reached through the hub's own client and channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest

from coordhub.outbound.client import Answer, Outbound, Timeouts
from coordhub.r4 import document
from coordhub.routing.channels.channel import Delivered, Message, Outcome, Refused, Unreachable
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
from coordhub.sandbox.simulator import serve, serving

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
FIRST = UUID("00000000-0000-4000-8000-000000000001")
SECOND = UUID("00000000-0000-4000-8000-000000000002")

PATIENT = "urn:uuid:10000000-0000-4000-8000-000000000001"


def referral(status: str = "requested") -> bytes:
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Task",
                        "id": "t2",
                        "meta": {"versionId": "4"},
                        "status": status,
                        "for": {"reference": PATIENT},
                    },
                    "request": {"method": "PUT", "url": "Task/t2"},
                },
                {
                    "fullUrl": PATIENT,
                    "resource": {
                        "resourceType": "Patient",
                        "identifier": [{"system": "http://x", "value": "1"}],
                    },
                    "request": {
                        "method": "POST",
                        "url": "Patient",
                        "ifNoneExist": "identifier=http://x|1",
                    },
                },
            ],
        }
    ).encode()


class Partner:
    """One partner, spoken to as the hub does and looked at as a developer does."""

    def __init__(self, outbound: Outbound, base: str) -> None:
        self.outbound = outbound
        self.base = base
        self.channel = HL7FhirRest(outbound, lambda: NOW)

    async def deliver(self, delivery: UUID = FIRST, body: bytes | None = None) -> Outcome:
        body = referral() if body is None else body
        return await self.channel.send(
            Message(delivery, f"{self.base}/fhir", {}, body, f"request-{delivery}")
        )

    async def ask(self, method: str, path: str, value: Any = None, **headers: str) -> Answer:
        body = b"" if value is None else json.dumps(value).encode()
        answer = await self.outbound.send(method, f"{self.base}/{path}", headers, body)
        assert isinstance(answer, Answer), answer
        return answer

    async def received(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = json.loads((await self.ask("GET", "received")).body)
        return shown

    async def behave(self, **habit: Any) -> None:
        answer = await self.ask("PUT", "behaviour", habit)
        assert answer.status == 200, answer.body


@pytest.fixture
async def partner() -> AsyncIterator[Partner]:
    quick = Timeouts(timedelta(seconds=10), timedelta(seconds=1.5), timedelta(seconds=10))
    async with (
        serving("127.0.0.1", 0, seed=1) as address,
        Outbound(allowed_networks=[ip_network("127.0.0.0/8")], timeouts=quick) as outbound,
    ):
        yield Partner(outbound, f"{address}/partners/lakeside")


async def test_given_a_referral_when_delivered_then_held_resolved_and_shown(
    partner: Partner,
) -> None:
    outcome = await partner.deliver()
    assert isinstance(outcome, Delivered)
    task, patient = outcome.partner_ids
    assert task == "Task/t2"
    held = document.parse((await partner.ask("GET", "fhir/Task/t2")).body)
    assert held["for"] == {"reference": patient}
    assert held["meta"]["versionId"] == "1"
    [entry] = await partner.received()
    assert entry["deliveryId"] == str(FIRST)
    assert entry["requestId"] == f"request-{FIRST}"
    assert (entry["sequence"], entry["status"], entry["mode"]) == (1, 200, "ok")
    assert (entry["duplicate"], entry["applied"]) == (False, True)
    assert entry["resources"] == [
        {
            "type": "Task",
            "id": "t2",
            "version": 1,
            "status": "requested",
            "sourceId": "t2",
            "sourceVersion": "4",
            "identifiers": [],
        },
        {
            "type": "Patient",
            "id": patient.partition("/")[2],
            "version": 1,
            "identifiers": ["http://x|1"],
        },
    ]


async def test_given_a_second_delivery_when_taken_then_versions_grow_and_none_is_made_twice(
    partner: Partner,
) -> None:
    first = await partner.deliver(FIRST)
    second = await partner.deliver(SECOND, referral("cancelled"))
    assert isinstance(first, Delivered)
    assert isinstance(second, Delivered)
    assert first.partner_ids == second.partner_ids
    found = json.loads((await partner.ask("GET", "fhir/Patient?identifier=http://x|1")).body)
    assert found["total"] == 1
    versions = [
        json.loads((await partner.ask("GET", f"fhir/Task/t2/_history/{n}")).body)["status"]
        for n in (1, 2)
    ]
    assert versions == ["requested", "cancelled"]
    assert (await partner.ask("GET", "fhir/Task/t2/_history/3")).status == 404


async def test_given_a_repeated_key_when_sent_then_marked_and_applied_once(
    partner: Partner,
) -> None:
    assert await partner.deliver() == await partner.deliver()
    await partner.deliver(FIRST, referral("cancelled"))
    entries = await partner.received()
    assert [entry["duplicate"] for entry in entries] == [False, True, True]
    assert [entry["applied"] for entry in entries] == [True, False, False]
    assert [entry.get("differs", False) for entry in entries] == [False, False, True]
    assert json.loads((await partner.ask("GET", "fhir/Task/t2")).body)["meta"]["versionId"] == "1"


async def test_given_a_forgetful_partner_when_repeated_then_applied_twice(
    partner: Partner,
) -> None:
    await partner.behave(idempotent=False)
    await partner.deliver()
    await partner.deliver()
    assert [entry["applied"] for entry in await partner.received()] == [True, True]
    assert json.loads((await partner.ask("GET", "fhir/Task/t2")).body)["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    ("habit", "outcome"),
    [
        ({"mode": "error"}, Refused(500, "transient", None, "status 500")),
        (
            {"mode": "rate", "retry_after": 7},
            Refused(429, "transient", timedelta(seconds=7), "status 429"),
        ),
        ({"mode": "reject"}, Refused(422, "permanent", None, "status 422")),
    ],
)
async def test_given_a_partner_that_refuses_when_sent_then_nothing_is_held(
    partner: Partner, habit: dict[str, Any], outcome: Outcome
) -> None:
    await partner.behave(**habit)
    assert await partner.deliver() == outcome
    assert (await partner.ask("GET", "fhir/Task/t2")).status == 404
    [entry] = await partner.received()
    assert (entry["applied"], entry["mode"]) == (False, habit["mode"])
    assert [shown["type"] for shown in entry["resources"]] == ["Task", "Patient"]


@pytest.mark.parametrize(
    ("mode", "applied", "kind"),
    [("down", False, "reset"), ("lost", True, "reset"), ("half", True, "reset")],
)
async def test_given_a_partner_that_hangs_up_when_sent_then_the_socket_really_closes(
    partner: Partner, mode: str, applied: bool, kind: str
) -> None:
    await partner.behave(mode=mode, until_count=1)
    outcome = await partner.deliver()
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.sent_unknown) == (kind, True)
    [entry] = await partner.received()
    assert (entry["applied"], entry["status"]) == (applied, None)
    assert isinstance(await partner.deliver(), Delivered)
    assert [shown["duplicate"] for shown in await partner.received()] == [False, applied]


async def test_given_a_partner_that_answers_garbage_when_sent_then_not_delivered_but_held(
    partner: Partner,
) -> None:
    await partner.behave(mode="garbage")
    assert await partner.deliver() == Refused(
        200, "transient", None, "status 200, answer not understood"
    )
    assert (await partner.ask("GET", "fhir/Task/t2")).status == 200


async def test_given_a_slow_partner_when_the_hub_gives_up_waiting_then_it_was_taken_all_the_same(
    partner: Partner,
) -> None:
    await partner.behave(mode="slow", delay_ms=2000, until_count=1)
    outcome = await partner.deliver()
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.sent_unknown) == ("timeout", True)
    async with asyncio.timeout(60):
        while not await partner.received():
            await asyncio.sleep(0.05)
    assert isinstance(await partner.deliver(), Delivered)
    assert [shown["duplicate"] for shown in await partner.received()] == [False, True]


def bundle(*entries: Any, kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


GOOD = {"resource": {"resourceType": "Task"}, "request": {"method": "POST", "url": "Task"}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'"x"', 400),
        (b'{"resourceType":"Patient"}', 400),
        (bundle(kind="batch"), 400),
        (bundle(GOOD, {"resource": {"resourceType": "Task"}}), 400),
        (bundle(GOOD, 7), 400),
        (bundle(GOOD, {"request": {"method": "PATCH", "url": "Task/1"}}), 400),
        (bundle(GOOD, {"request": {"method": "PUT", "url": "Task"}, "resource": {}}), 422),
        (bundle(GOOD, {**GOOD, "request": {"method": "PUT", "url": "Task/1"}}), 422),
        (bundle(GOOD, {**GOOD, "request": {"method": "POST", "url": "Patient"}}), 422),
        (
            bundle(
                GOOD,
                {
                    "resource": {"resourceType": "Task", "for": {"reference": "urn:uuid:0"}},
                    "request": {"method": "POST", "url": "Task"},
                },
            ),
            422,
        ),
        (
            bundle(
                GOOD,
                {
                    "resource": {"resourceType": "Task", "for": {"reference": "Patient?_id=0"}},
                    "request": {"method": "POST", "url": "Task"},
                },
            ),
            412,
        ),
    ],
)
async def test_given_one_bad_entry_when_sent_then_all_is_refused(
    partner: Partner, body: bytes, status: int
) -> None:
    outcome = await partner.deliver(body=body)
    assert isinstance(outcome, Refused)
    assert outcome.status == status
    found = json.loads((await partner.ask("GET", "fhir/Task")).body)
    assert found["total"] == 0


async def test_given_single_resources_when_posted_and_put_then_created_and_updated(
    partner: Partner,
) -> None:
    created = await partner.ask("POST", "fhir/Task", {"resourceType": "Task", "status": "draft"})
    assert created.status == 201
    id_ = created.headers["location"].split("/")[-3]
    changed = {"resourceType": "Task", "id": id_, "status": "requested"}
    updated = await partner.ask("PUT", f"fhir/Task/{id_}", changed)
    assert (updated.status, updated.headers["etag"]) == (200, 'W/"2"')
    assert [entry["interaction"] for entry in await partner.received()] == ["POST Task", "PUT Task"]


async def test_given_several_partners_when_looked_at_then_each_by_itself_and_forgotten_on_request(
    partner: Partner,
) -> None:
    other = Partner(partner.outbound, partner.base.replace("lakeside", "metro"))
    await partner.deliver()
    await partner.deliver()
    await other.behave(mode="down")
    overview = json.loads((await partner.ask("GET", "../../partners")).body)
    assert [
        (shown["name"], shown["received"], shown["deliveries"], shown["applied"])
        for shown in overview
    ] == [("lakeside", 2, 1, 1), ("metro", 0, 0, 0)]
    assert (await partner.ask("DELETE", "received")).status == 204
    assert await partner.received() == []
    assert (await partner.ask("GET", "fhir/Task/t2")).status == 404


async def test_given_a_habit_that_has_ended_when_told_again_then_it_shows_again(
    partner: Partner,
) -> None:
    for _ in range(2):
        await partner.behave(mode="error", until_count=1)
        assert isinstance(await partner.deliver(), Refused)
        assert isinstance(await partner.deliver(), Delivered)


async def test_given_nonsense_as_behaviour_when_put_then_told_what_there_is(
    partner: Partner,
) -> None:
    answer = await partner.ask("PUT", "behaviour", {"mode": "sad"})
    assert answer.status == 400
    assert "garbage" in json.loads(answer.body)["modes"]


async def test_given_a_running_simulator_when_cancelled_then_its_port_is_free_again() -> None:
    async with serving("127.0.0.1", 0) as address:
        port = int(address.rpartition(":")[2])
    running = asyncio.create_task(serve("127.0.0.1", port))
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                break
    writer.close()
    await writer.wait_closed()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
