"""The hl7-fhir-rest channel: what each answer of a partner comes to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest

from coordhub.outbound.client import Outbound
from coordhub.routing.channels.channel import Delivered, Message, Outcome, Refused, Unreachable
from coordhub.routing.channels.hl7_fhir_rest import (
    HL7FhirRest,
    permanence,
    retry_after,
    understand,
)

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DELIVERY = UUID("00000000-0000-4000-8000-000000000001")


def response(*entries: Any) -> bytes:
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": [{"response": entry} for entry in entries],
        }
    ).encode()


@contextlib.asynccontextmanager
async def partner(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A partner at the socket: its address, and the requests it got."""
    requests: list[bytes] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            serving.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        requests.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir", requests
    finally:
        server.close()
        await asyncio.gather(*serving, return_exceptions=True)


async def deliver(address: str) -> Outcome:
    async with Outbound(allowed_networks=[ip_network("127.0.0.0/8")]) as outbound:
        channel = HL7FhirRest(outbound, lambda: NOW)
        return await channel.send(Message(DELIVERY, address, {"X-Own": "1"}, b"{}", "request-1"))


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_given_a_partner_that_takes_it_when_sent_then_delivered_with_its_ids() -> None:
    body = response(
        {"status": "201 Created", "location": "Task/abc/_history/1"},
        {"status": "200", "location": "https://p.example/fhir/Patient/p-1"},
        {"status": "201"},
    )
    async with partner(http("200 OK", body)) as (address, requests):
        outcome = await deliver(address)
    assert outcome == Delivered(200, ("Task/abc", "Patient/p-1", ""))
    [request] = requests
    assert request.startswith(b"POST /fhir HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n{}")
    head = request.lower()
    for header in (
        b"content-type: application/fhir+json",
        b"idempotency-key: 00000000-0000-4000-8000-000000000001",
        b"x-request-id: request-1",
        b"prefer: return=minimal",
        b"x-own: 1",
    ):
        assert header in head


async def test_given_a_busy_partner_when_sent_then_its_retry_after_is_kept() -> None:
    async with partner(http("429 Too Many", b"", "Retry-After: 7")) as (address, _):
        outcome = await deliver(address)
    assert outcome == Refused(429, "transient", timedelta(seconds=7), "status 429")


async def test_given_a_lost_answer_when_sent_then_unknown() -> None:
    async with partner(b"") as (address, _):
        outcome = await deliver(address)
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.sent_unknown) == ("reset", True)


async def test_given_nobody_there_when_sent_then_surely_not_sent() -> None:
    async with partner(b"") as (address, _):
        pass
    outcome = await deliver(address)
    assert isinstance(outcome, Unreachable)
    assert (outcome.kind, outcome.sent_unknown) == ("refused", False)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_given_a_success_without_a_body_when_read_then_delivered(status: int) -> None:
    assert understand(status, b" \n") == Delivered(status)


def test_given_a_refused_entry_when_read_then_permanent_and_named() -> None:
    body = response(
        {"status": "201 Created", "location": "Task/1"}, {"status": "422 Unprocessable"}
    )
    assert understand(200, body) == Refused(
        422, "permanent", None, "entry[1] answered 422, 1 of 2 taken", 1, ("Task/1", "")
    )


@pytest.mark.parametrize(
    ("status", "lasting"),
    [
        (401, "permanent"),
        (404, "gone"),
        (409, "conflict"),
        (410, "gone"),
        (412, "conflict"),
        (429, "transient"),
    ],
)
def test_given_a_refused_entry_when_read_then_its_class_is_that_of_the_entry(
    status: int, lasting: str
) -> None:
    outcome = understand(200, response({"status": str(status)}))
    assert outcome == Refused(status, lasting, None, f"entry[0] answered {status}", 0, ("",))  # type: ignore[arg-type]


def test_given_several_refused_entries_when_read_then_the_final_one_counts() -> None:
    outcome = understand(200, response({"status": "503"}, {"status": "422"}))
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.permanence, outcome.entry) == (422, "permanent", 1)


async def test_given_a_refusal_that_names_an_entry_when_sent_then_its_position_is_known() -> None:
    issue = {"severity": "error", "code": "conflict", "expression": ["Bundle.entry[2].resource"]}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    async with partner(http("409 Conflict", body)) as (address, _):
        outcome = await deliver(address)
    assert outcome == Refused(409, "conflict", None, "status 409 for entry[2]", 2)


def test_given_an_entry_that_failed_for_now_when_read_then_transient() -> None:
    outcome = understand(200, response({"status": "503"}))
    assert outcome == Refused(503, "transient", None, "entry[0] answered 503", 0, ("",))


def test_given_an_error_outcome_in_a_success_when_read_then_permanent() -> None:
    body = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}'
    assert understand(200, body) == Refused(
        200, "permanent", None, "status 200 with an error outcome"
    )


@pytest.mark.parametrize("code", ["transient", "throttled", "lock-error", "timeout"])
def test_given_an_outcome_that_may_pass_when_read_then_transient(code: str) -> None:
    issue = {"severity": "error", "code": code}
    outcome = understand(
        200, json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    )
    assert isinstance(outcome, Refused)
    assert outcome.permanence == "transient"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"resourceType":"Bundle","type":"transaction-response","entry":[{"resp',
        b'{"resourceType":"Bundle","type":"searchset"}',
        b'{"resourceType":"Bundle","type":"transaction-response","entry":{}}',
        b'{"resourceType":"Bundle","type":"transaction-response","entry":[1]}',
        b'{"resourceType":"OperationOutcome","issue":[{"severity":"information"}]}',
        response(None),
        response({}),
        response({"status": 201}),
        response({"status": "fine"}),
        response({"status": "2011"}),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_given_a_body_that_says_nothing_when_read_then_transient_and_never_delivered(
    body: bytes,
) -> None:
    assert understand(200, body) == Refused(
        200, "transient", None, "status 200, answer not understood"
    )


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([408, 425, 429, 500, 502, 503, 504, 507], "transient"),
        ([401, 403], "auth"),
        ([409, 412], "conflict"),
        ([404, 410], "gone"),
        ([400, 405, 413, 415, 422, 451, 501], "permanent"),
        ([301, 302, 307, 308], "config"),
    ],
)
def test_given_a_status_when_classed_then_as_the_table_says(
    statuses: list[int], expected: str
) -> None:
    assert {permanence(status) for status in statuses} == {expected}


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta()),
        ("Sun, 22 Nov 2026 10:05:00 GMT", timedelta(minutes=5)),
        ("Sun, 22 Nov 2026 09:00:00 GMT", timedelta()),
        ("Sun, 22 Nov 2026 10:05:00", timedelta(minutes=5)),
        ("-5", None),
        ("soon", None),
        ("1e3", None),
        ("9" * 40, None),
    ],
)
def test_given_retry_after_when_read_then_a_wait(value: str | None, wait: timedelta | None) -> None:
    assert retry_after(value, NOW) == wait
