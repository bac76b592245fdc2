"""Through a pooler: nothing that the hub relies on is lost in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pooler
import pytest
from open_hub import House, opened
from typer.testing import CliRunner

from coordhub.cli import cli
from coordhub.store import invariants
from coordhub.store.engine import Engine
from coordhub.store.pooling import NotInForceError, Pooled
from coordhub.store.roles import APPLICATION

Logins = tuple[tuple[str, str], str]


@pytest.fixture
async def logins(database_url: str) -> AsyncIterator[Logins]:
    async with pooler.two_logins(database_url) as made:
        yield made


async def prepared(monkeypatch: pytest.MonkeyPatch, url: str, names: tuple[str, str]) -> str:
    """What `coordhub pooler` says of these logins, run as the owner."""
    monkeypatch.setenv("DATABASE_URL", url)
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["pooler", *names])
    assert done.exit_code == 0, done.output
    return done.stdout


def by(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(
        parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port or 5432}")
    )


async def test_given_logins_that_have_no_settings_when_opened_then_it_is_said_what_is_lost_and_none_is_used(
    database_url: str, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hub, searches), password = logins
    url = by(database_url, hub, password)
    pooled = Pooled(by(database_url, searches, password), database_url)
    with pytest.raises(NotInForceError, match=r"coordhub\.consent_policy is not set.*role is none"):
        await Engine.open(url, pooled=pooled)

    said = await prepared(monkeypatch, database_url, (hub, searches))
    assert said.count("coordhub.consent_policy = 'by-purpose'") == 2
    with pytest.raises(NotInForceError, match="statement_timeout is 30000, not 5000"):
        await Engine.open(url, pooled=pooled, statement_timeout_ms=5000)
    with pytest.raises(NotInForceError, match="plan_cache_mode is force_generic_plan"):
        await Engine.open(url, pooled=Pooled(url, database_url))
    engine = await Engine.open(url, pooled=pooled)
    async with engine.pool.acquire() as conn:
        assert await conn.fetchval("select current_user::text") == APPLICATION
    await engine.close()


async def test_given_pgbouncer_that_keeps_no_statements_when_opened_then_it_is_refused(
    database_url: str, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = pooler.found()
    names, _ = logins
    await prepared(monkeypatch, database_url, names)
    with (
        pooler.running(program, database_url, *logins, max_prepared_statements=0) as through,
        pytest.raises(NotInForceError, match="max_prepared_statements"),
    ):
        await Engine.open(through.url, pooled=through.pooled)


async def test_given_pgbouncer_when_a_referral_goes_through_it_then_all_is_as_without(
    database_url: str, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = pooler.found()
    names, _ = logins
    await prepared(monkeypatch, database_url, names)
    with pooler.running(program, database_url, *logins) as through:
        async with opened(through.url, pooled=through.pooled) as house:
            await _referred_and_answered(house)
            await _woken(house)
            async with house.engine.session() as conn:
                assert await invariants.violations_alone(conn, house.clock()) == []

        conn = await asyncpg.connect(database_url)
        await conn.execute(f"alter role {names[0]} in database {_name(database_url)} reset all")
        await conn.close()
    with (
        pooler.running(program, database_url, *logins) as anew,
        pytest.raises(NotInForceError, match="consent_policy"),
    ):
        await Engine.open(anew.url, pooled=anew.pooled)


async def _referred_and_answered(house: House) -> None:
    """Sixteen at once over three connections, so that nobody keeps the one that it had."""
    sent = await asyncio.gather(*(house.refer(house.kitchen.service) for _ in range(16)))
    await house.relay()
    await asyncio.gather(*(one.answer(house.kitchen, "accepted") for one in sent))
    await house.relay()
    assert {await one.status() for one in sent} == {"in-progress"}
    assert await house.read(house.stranger, sent[0].patient) is None


async def _woken(house: House) -> None:
    """LISTEN goes by the direct address, NOTIFY through the pooler."""
    woken = asyncio.Event()
    async with house.engine.listening(woken.set), asyncio.timeout(30):
        house.engine.wake()
        await woken.wait()


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
