"""S17 as it is written: a server away from nine to eleven, then busy, then back; and twenty that are well.

Small by default. `make outage` is the whole: 500 referrals, looked at every minute of those hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import socket
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import random
from statistics import quantiles

import pytest

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.record.commit import commit
from coordhub.record.operations import Create, Update
from coordhub.routing.breaker import BreakerPolicy
from coordhub.routing.deliver import Sending
from coordhub.routing.resolve import SERVED
from coordhub.routing.retry import RetryPolicy
from coordhub.routing.worker import Pace
from coordhub.store import invariants
from coordhub.store.visibility import DIRECTORY

REFERRALS = int(os.environ.get("COORDHUB_S17_REFERRALS", "24"))
"""Sent while the server is away; and half as many again before."""
STEP = timedelta(minutes=1 if REFERRALS >= 100 else 10)
WELL = 20
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
ELEVEN, BACK = NINE + timedelta(hours=2), NINE + timedelta(hours=2, minutes=5)
RESPONSE = "HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}"


@dataclass
class Moving:
    """The hub's time: it goes on by itself, and further when it is moved."""

    at: datetime = NINE - timedelta(minutes=30)
    since: float = field(default_factory=time.monotonic)

    def __call__(self):
        return self.at + timedelta(milliseconds=int((time.monotonic() - self.since) * 1000))

    def move(self, to):
        self.at, self.since = max(to, self()), time.monotonic()


@pytest.fixture
def clock():
    return Moving()


@dataclass
class Server:
    """One server for any number of partners, told apart by path. answer: status line, headers."""

    clock: Moving
    held: socket.socket = field(default_factory=socket.socket)
    answer: tuple[str, str] = ("200 OK", "")
    got: list = field(default_factory=list)
    listening: asyncio.Server | None = None
    port: int = 0

    def __post_init__(self):
        self.hold()
        self.port = self.held.getsockname()[1]

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def leave(self):
        """Its port is held and nobody listens: who calls is refused."""
        self.listening.close()
        self.held = socket.socket()
        self.hold()

    def hold(self):
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("127.0.0.1", self.port))

    async def listen(self):
        self.listening = await asyncio.start_server(self.serve, sock=self.held)

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(re.search(r"(?i)content-length: (\d+)", head)[1])
            bundle = json.loads(await reader.readexactly(length))
            key = re.search(r"(?i)idempotency-key: (\S+)", head)[1]
            status, headers = self.answer
            self.got.append((self.clock(), status[:3], key, bundle["entry"]))
            taken = [{"response": {"status": "200"}} for _ in bundle["entry"]]
            body = json.dumps(
                {"resourceType": "Bundle", "type": "transaction-response", "entry": taken}
            )
            writer.write(RESPONSE.format(status, len(body), headers, body).encode())
            await writer.drain()
        writer.close()


async def reached_at(house, organization, address):
    steward = Caller(None, DIRECTORY, "Organization/directory", EVERYTHING)
    endpoint = {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"code": SERVED},
        "payloadType": [{"text": "any"}],
        "address": address,
    }
    made = await commit(house.hub, steward, [Create("Endpoint", endpoint)], interaction="create")
    known = await organization.read(organization.reference)
    document = {**known, "endpoint": [{"reference": made.written[0].reference}]}
    update = Update("Organization", organization.id, document)
    await commit(house.hub, steward, [update], interaction="update")


@dataclass
class Day:
    house: object
    clock: Moving
    away: object
    well: list
    sent: list = field(default_factory=list)
    hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))

    async def referrals(self, count):
        """So many, each taken up, begun and completed by one that is well."""
        first = len(self.sent)
        await asyncio.gather(*(self.one(first + number) for number in range(count)))

    async def one(self, number):
        recipient = self.well[number % WELL]
        async with self.hands:
            sent, task = await self.house.given_asked(self.away, recipient)
            self.sent.append(sent)
            for status in ("accepted", "in-progress", "completed"):
                await recipient.answers(task, status)

    async def quiet(self):
        """Until all is done that can be done at this time."""

        async def nothing_due():
            return not await self.house.value(
                "select exists (select from change where relayed_at is null and episode is not null)"
                " or exists (select from delivery d where state = 'leased' or d.state = 'queued'"
                "   and not exists (select from circuit c where c.endpoint = d.endpoint))"
                " or exists (select from circuit where state = 'recovering'"
                "   or state in ('open', 'probing') and probe_at <= $1)",
                self.clock(),
            )

        await self.house.until(nothing_due, within=120)

    async def latencies(self, since, until):
        """p95 of the seconds from commit to acknowledgement, of all that are well."""
        rows = await self.house.rows(
            "select extract(epoch from d.settled_at - c.at)::float as took from delivery d"
            " join change c on c.seq = d.change join resource o on o.rid = d.organization"
            " where o.fhir_id <> $1 and d.endpoint <> 0 and c.at between $2 and $3",
            self.away.id, since, until,
        )  # fmt: skip
        took = [row["took"] for row in rows]
        return len(took), quantiles(took, n=20)[-1]


@pytest.fixture
async def day(house, clock):
    await house.routing.end()
    house.routing._sending = Sending(
        house.hub, house.routing._sending.channels, RetryPolicy(), random, BreakerPolicy()
    )
    house.routing._pace = Pace(timedelta(milliseconds=100), timedelta(seconds=60))
    house.routing.start()
    servers = {"away": Server(clock), "well": Server(clock)}
    members = []
    for number in range(WELL + 1):
        organization = await house.joins(f"partner-{number}", treats=True)
        server = servers["well" if number else "away"]
        await reached_at(house, organization, f"{server.address}/{number}/fhir")
        members.append(organization)
    await house.agree(members[0], each_state=True)
    await servers["well"].listen()
    yield Day(house, clock, members[0], members[1:]), servers["away"]
    for server in servers.values():
        if server.listening is not None:
            server.listening.close()
        server.held.close()


async def test_s17_given_a_server_away_for_two_hours_when_it_is_back_then_all_is_there_in_order(
    house, clock, day
):
    day, server = day

    # Before: it is well
    await server.listen()
    await day.referrals(REFERRALS // 2)
    await day.quiet()
    server.leave()

    # From nine to eleven: away. One of the others asks something of it besides
    clock.move(NINE)
    steps = (ELEVEN - NINE) // STEP
    for step in range(steps):
        await day.referrals(REFERRALS * (step + 1) // steps - REFERRALS * step // steps)
        if step == steps // 4:
            asking = await day.well[0].refers(house.referral(day.well[0], day.away.reference))
        await day.quiet()
        if step == steps // 2:
            _, [asked] = await day.well[0].whereabouts(asking)
            assert asked["delivery"] == "queued"
            since = datetime.fromisoformat(asked["unreachableSince"])
            assert NINE <= since < NINE + timedelta(minutes=1)
            assert asked["trouble"]
        clock.move(NINE + STEP * (step + 1))
    assert await house.value("select state from circuit") == "open"

    # Until five past: busy; then well, and the worker dies twice while all that waited goes
    server.answer = ("503 Service Unavailable", "Retry-After: 120\r\n")
    await server.listen()
    while clock() < BACK:
        await day.quiet()
        clock.move(clock() + timedelta(seconds=20))
    server.answer = ("200 OK", "")
    before = len(server.got)
    deaths = [REFERRALS // 2, REFERRALS * 2]
    open_ones = "select count(*) from delivery where state in ('queued', 'leased', 'parked')"
    while await house.value(open_ones):
        seen = len(server.got)
        if deaths and seen - before >= deaths[0]:
            deaths.pop(0)
            await house.routing.die()
            house.routing.start()
        await asyncio.sleep(0.1)
        if len(server.got) == seen:
            clock.move(clock() + timedelta(seconds=15))
    assert not deaths

    # Then the others did not notice
    count, usual = await day.latencies(NINE - timedelta(hours=1), NINE)
    during_count, during = await day.latencies(NINE, ELEVEN)
    # Who waits for the one away waits for its time to be moved, minutes; seconds are this machine's.
    assert during < usual * 3 + 5
    # And it was left alone
    attempts = await house.rows(
        "select a.at, a.status from attempt a join delivery d on d.id = a.delivery"
        " join resource o on o.rid = d.organization where o.fhir_id = $1 and a.at >= $2 order by 1",
        day.away.id, NINE,
    )  # fmt: skip
    # (once it is back, an attempt of the worker that died may have no status either)
    away = [row["at"] for row in attempts if row["status"] is None and row["at"] < BACK]
    # what was under way at the fifth failure besides, however slowly, and then probes alone
    later = [at for at in away if at > away[4] + timedelta(minutes=1)]
    opening = len(away) - len(later)
    minutes = Counter((at - NINE) // timedelta(minutes=1) for at in later)
    probes = max(minutes.values())
    assert opening <= Pace().at_once + 5
    assert probes <= 1, minutes
    # as they came: an attempt is dated when it is settled, which may be later
    busy = [at for at, status, *_ in server.got if status == "503"]
    assert busy
    assert all(b - a >= timedelta(seconds=120) for a, b in itertools.pairwise(busy))
    # And all that waited went within fifteen minutes
    last = await house.value("select max(settled_at) from delivery")
    assert last - BACK < timedelta(minutes=15)
    # And nothing is lost
    states = await house.rows("select state, count(*) from delivery group by 1")
    assert [row["state"] for row in states] == ["delivered"]
    async with house.hub.engine.pool.acquire() as conn:
        assert await invariants.violations(conn, clock()) == []
    # And the order of each referral is that of its commits
    arrived, by_key = defaultdict(list), defaultdict(list)
    for _, status, key, entries in server.got:
        if status == "200":
            by_key[key].append(entries)
            first = entries[0]["resource"]
            version = int(first["meta"]["versionId"])
            if version not in arrived[first["id"]]:
                arrived[first["id"]].append(version)
    for sent in day.sent:
        fhir_id = sent.task.partition("/")[2]
        committed = await house.rows(
            "select c.version from change c join resource r on r.rid = c.rid"
            " where r.fhir_id = $1 and c.author <> r.source order by c.seq",
            fhir_id,
        )
        assert arrived[fhir_id] == [row["version"] for row in committed]
    # And what came twice came under one key, and was the same
    owed = await house.value(
        "select count(*) from delivery d join resource o on o.rid = d.organization"
        " where o.fhir_id = $1", day.away.id,
    )  # fmt: skip
    assert len(by_key) == owed
    assert all(one == copies[0] for copies in by_key.values() for one in copies)
    repeats = sum(len(copies) - 1 for copies in by_key.values())
    print(
        f"\n{len(day.sent)} referrals, {owed} events for the one away, of these {REFERRALS} referrals"
        f" in its two hours; {WELL} others: p95 {usual * 1000:.0f} ms of {count} before,"
        f" {during * 1000:.0f} ms of {during_count} during; {opening} attempts as it opened, then"
        f" at most {probes} a minute, {len(later)} in all; {len(busy)} while busy;"
        f" all arrived {(last - BACK).total_seconds():.0f} s after it was back, {repeats} of them twice"
    )
