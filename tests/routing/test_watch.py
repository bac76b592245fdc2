"""What is owed, as those who watch the hub see it."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import httpx2
import pytest
from open_post import Post
from typer.testing import CliRunner

from coordhub import telemetry
from coordhub.admin import restoring
from coordhub.admin.acts import Operator
from coordhub.cli import cli
from coordhub.routing import watch
from coordhub.store import backlog, invariants


def shown(name: str, **labels: str) -> float | None:
    return telemetry.REGISTRY.get_sample_value(name, labels)


async def test_given_what_is_owed_when_measured_then_the_gauges_say_how_much_and_since_when(
    post: Post,
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    house.clock.ahead += timedelta(seconds=90)
    await watch.measure(house.hub)
    endpoint = post.endpoint.partition("/")[2]
    assert shown("coordhub_owed_deliveries", endpoint=endpoint) == 1
    oldest = shown("coordhub_oldest_delivery_seconds", endpoint=endpoint)
    assert oldest is not None
    assert 90 <= oldest < 150
    assert shown("coordhub_owed_deliveries", endpoint="inbox") == 1
    due = shown("coordhub_oldest_due_delivery_seconds", endpoint=endpoint)
    assert due is not None
    assert 90 <= due < 150
    assert shown("coordhub_oldest_unrelayed_change_seconds") == 0
    assert shown("coordhub_sending_paused") == 0

    await post.deliver()
    await house.refer(house.kitchen.service)
    house.clock.ahead += timedelta(seconds=30)
    await watch.measure(house.hub)
    assert shown("coordhub_owed_deliveries", endpoint=endpoint) is None
    waiting = shown("coordhub_oldest_unrelayed_change_seconds")
    assert waiting is not None
    assert 30 <= waiting < 90


async def test_given_more_endpoints_than_are_told_apart_when_measured_then_the_rest_are_others(
    post: Post,
) -> None:
    house = post.house
    await house.rows(
        "insert into delivery (id, shard, change, episode, organization, endpoint, rid, version, state, created_at,"
        " next_at) select gen_random_uuid(), 0, n, 0, 0, 256 * n, 0, 1, 'queued', $1, $1 from generate_series(1, 60) n",
        house.clock(),
    )
    async with house.engine.pool.acquire() as conn:
        owed = await backlog.backlog(conn, house.clock())
    assert len(owed.waiting) == backlog.MOST + 1
    [others] = [one for one in owed.waiting if one.endpoint is None]
    assert others.count == 60 - backlog.MOST


async def test_given_late_timers_and_errands_and_a_pause_when_measured_then_each_is_counted(
    post: Post,
) -> None:
    house = post.house
    now = house.clock()
    await house.asking(house.kitchen.service)
    late = await house.value(
        "select count(*) from timer where fired_at is null and stood_at is null"
    )
    await house.rows("update timer set due_at = $1", now - timedelta(minutes=5))
    await house.rows(
        "insert into errand (task, shard, episode, kind, owner, subject, opened_at)"
        " select id, 0, id, 'review', 0, id, $1 from episode", now,
    )  # fmt: skip
    await restoring.pause(house.engine, Operator("rosa"), "network work", now)
    await watch.measure(house.hub)
    assert late >= 1
    assert shown("coordhub_late_timers") == late
    assert shown("coordhub_open_errands", kind="review") == 1
    assert shown("coordhub_open_errands", kind="abort") == 0
    assert shown("coordhub_sending_paused") == 1
    assert await post.deliver() == 0
    await restoring.resume(house.engine, Operator("rosa"), "operator", "done", now)
    assert await post.deliver() == 2


async def test_given_what_was_given_up_and_who_is_left_alone_when_measured_then_it_is_counted(
    post: Post,
) -> None:
    house = post.house
    attempts = shown("coordhub_delivery_attempts_total", channel="hl7-fhir-rest", result="refused")
    post.partner.answer = ("422 Unprocessable", b"")
    await house.asking(house.kitchen.service)
    await post.deliver()
    post.partner.answer = ("403 Forbidden", b"")
    await house.asking(house.kitchen.service)
    await post.deliver()
    await watch.measure(house.hub)
    assert shown("coordhub_dead_deliveries") == 1
    assert shown("coordhub_circuits", state="open") == 1
    assert shown("coordhub_circuits", state="recovering") == 0
    after = shown("coordhub_delivery_attempts_total", channel="hl7-fhir-rest", result="refused")
    assert after == (attempts or 0) + 2


async def test_given_a_ledger_with_a_hole_when_checked_then_it_is_counted_and_logged(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    house = post.house
    await house.asking(house.kitchen.service)
    assert await watch.check(house.hub) == []
    assert shown("coordhub_invariants_violated") == 0
    await house.by_owner("delete from delivery where seq = (select max(seq) from delivery)")
    found = await watch.check(house.hub)
    assert [text for text in found if "everyone concerned" in text] != []
    assert shown("coordhub_invariants_violated") == len(found)
    assert "invariant.violated" in caplog.text


async def test_given_a_database_that_fails_when_watched_then_it_is_said_and_watched_on(
    post: Post, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, looks = asyncio.Event(), 0

    async def fails(*_: object) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            stop.set()
        raise RuntimeError("no")

    monkeypatch.setattr(watch, "measure", fails)
    async with asyncio.timeout(60):
        await watch.watch(post.house.hub, stop, timedelta(milliseconds=1))
    assert looks == 3
    assert caplog.text.count("watch.failed") == 3


async def test_given_two_who_look_at_once_when_one_is_at_it_then_the_other_leaves_it(
    post: Post,
) -> None:
    house = post.house
    async with house.engine.pool.acquire() as mine, house.engine.pool.acquire() as theirs:
        await mine.execute("select pg_advisory_lock($1)", invariants._LOOKING)
        assert await invariants.violations_alone(theirs, house.hub.clock()) is None
        await mine.execute("select pg_advisory_unlock($1)", invariants._LOOKING)
        assert await invariants.violations_alone(theirs, house.hub.clock()) == []


async def test_given_an_operator_when_checking_then_the_command_says_what_is_not_so(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = post.house
    monkeypatch.setenv("DATABASE_URL", house.url)
    await house.asking(house.kitchen.service)
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["check"])
    assert (done.exit_code, done.stdout) == (0, "")
    await house.by_owner("update delivery set version = version + 1")
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["check"])
    assert done.exit_code == 1
    assert "every delivery is of a relayed change" in done.stdout


async def test_given_a_port_when_metrics_are_served_then_they_are_read_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    telemetry.serve_metrics("127.0.0.1", port)
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    assert "coordhub_dead_deliveries" in answer.text
