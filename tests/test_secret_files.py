"""Secrets that stand in files, and are read again when they change, by whoever runs."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2
import pytest
from pydantic import ValidationError

from coordhub import secret_files
from coordhub.access import scopes
from coordhub.access.caller import Caller
from coordhub.access.token import Tokens
from coordhub.app import build
from coordhub.authorization.identity import new_keys
from coordhub.commands import running
from coordhub.record.bootstrap import open_hub
from coordhub.secret_files import Looking, UnreadableError
from coordhub.settings import Settings
from coordhub.store import clients, seals
from coordhub.store.engine import Engine
from coordhub.store.visibility import DIRECTORY

OLD, NEW = "an old key of thirty-two letters..", "a new key of thirty-two letters..."

Put = Callable[[str, str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Writes the file of a variable, and names it."""

    def written(variable: str, text: str) -> Path:
        path = tmp_path / variable
        path.write_text(text)
        monkeypatch.setenv(variable, str(path))
        return path

    return written


def test_given_secrets_in_files_when_read_then_they_are_as_the_files_say(put: Put) -> None:
    put("COORDHUB_TOKEN_KEY_FILE", f"{NEW}\n")
    put("COORDHUB_FORMER_TOKEN_KEYS_FILE", f"{OLD}, and one before it that is long\n")
    put("DATABASE_URL_FILE", "postgresql://hub:open-sesame@db/hub")
    settings = Settings()
    assert settings.token_key is not None
    assert settings.token_key.get_secret_value() == NEW
    assert settings.former_token_keys[0].get_secret_value() == OLD
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("@db/hub")
    assert sorted(settings.files()) == [
        "COORDHUB_FORMER_TOKEN_KEYS_FILE", "COORDHUB_TOKEN_KEY_FILE", "DATABASE_URL_FILE",
    ]  # fmt: skip


def test_given_a_file_that_is_of_no_use_when_read_then_it_is_named_and_not_quoted(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("COORDHUB_TOKEN_KEY_FILE", "too short, open sesame")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "sesame" not in str(refused.value)
    assert "token_key" in str(refused.value)
    path.unlink()
    with pytest.raises(ValidationError, match=r"COORDHUB_TOKEN_KEY_FILE: the file cannot be read"):
        Settings()
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(ValidationError, match=r"COORDHUB_TOKEN_KEY_FILE: the file is no text"):
        Settings()
    path.write_text(NEW)
    monkeypatch.setenv("COORDHUB_TOKEN_KEY", OLD)
    with pytest.raises(ValidationError, match=r"COORDHUB_TOKEN_KEY are both set"):
        Settings()


async def test_given_a_file_that_is_being_written_when_looked_at_then_nothing_is_taken_until_it_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, taken, broken = tmp_path / "key", [], [False]
    path.write_text("one")

    async def take(changed: list[str]) -> None:
        if broken[0]:
            raise UnreadableError("cannot be used")
        taken.append((changed, path.read_text()))

    looking = Looking({"KEY_FILE": path}, take)
    for text in ("one", "tw", "two", "two", "two"):
        path.write_text(text)
        await looking.look()
    assert taken == [(["KEY_FILE"], "two")]

    broken[0] = True
    path.write_text("three")
    for _ in range(3):
        await looking.look()
    assert len(taken) == 1
    broken[0] = False
    await looking.look()
    assert taken[1:] == [(["KEY_FILE"], "three")]
    path.unlink()
    broken[0] = True
    await looking.look()
    await looking.look()
    path.write_text("three")
    await looking.look()
    await looking.look()
    assert len(taken) == 2


class Login:
    """A login of the application in the test's database, under a password that may change."""

    def __init__(self, url: str, conn: asyncpg.Connection) -> None:
        self._url, self._conn = url, conn
        self._name = f"hub_{secrets.token_hex(4)}"

    async def exist(self) -> None:
        await self._conn.execute(
            f"create role {self._name} login password 'word' in role coordhub_app"
        )

    async def drop(self) -> None:
        await self._conn.execute(f"drop role {self._name}")

    def by(self) -> str:
        parts = urlsplit(self._url)
        port = parts.port or 5432
        return urlunsplit(parts._replace(netloc=f"{self._name}:word@{parts.hostname}:{port}"))

    async def used(self) -> int:
        """Connections under it."""
        return await self._conn.fetchval(
            "select count(*) from pg_stat_activity where usename = $1", self._name
        )


@pytest.fixture
async def logins(database_url: str) -> AsyncIterator[tuple[Login, Login]]:
    conn = await asyncpg.connect(database_url)
    made = Login(database_url, conn), Login(database_url, conn)
    for login in made:
        await login.exist()
    yield made
    for login in made:
        await login.drop()
    await conn.close()


async def test_given_a_server_when_its_files_change_then_it_goes_by_them_without_a_restart(
    put: Put, logins: tuple[Login, Login], database_url: str
) -> None:
    first, second = logins
    put("COORDHUB_TOKEN_KEY_FILE", OLD)
    put("COORDHUB_FORMER_TOKEN_KEYS_FILE", "")
    put("DATABASE_URL_FILE", first.by())
    put("COORDHUB_IDENTITY_KEYS", new_keys("one"))
    app = build(Settings())
    async with app.router.lifespan_context(app):
        state = app.state
        engine: Engine = state.context.hub.engine
        async with engine.pool.acquire() as conn:
            await clients.register(
                conn, "near", DIRECTORY, "system/*.rs", update_as_create=False, now=engine.now()
            )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:

            async def answered(key: str) -> int:
                tokens = Tokens(key.encode(), engine)
                token = tokens.issue(
                    "near", "system/*.rs", now=engine.now(), lifetime=timedelta(hours=1)
                )
                headers = {"Authorization": f"Bearer {token}"}
                return (await http.get("/fhir/Patient", headers=headers)).status_code

            assert (await answered(OLD), await answered(NEW)) == (200, 401)
            page = state.context.paging.seal(["1"], _caller(), "Patient", [])
            told = state.context.audit_ids.of(7)

            put("COORDHUB_FORMER_TOKEN_KEYS_FILE", f"{NEW},{OLD}")
            await _looked_twice(state.secrets)
            assert (await answered(OLD), await answered(NEW)) == (200, 200)
            put("COORDHUB_TOKEN_KEY_FILE", NEW)
            put("DATABASE_URL_FILE", second.by())
            put("COORDHUB_IDENTITY_KEYS", new_keys("two"))
            await _looked_twice(state.secrets)
            assert (await answered(OLD), await answered(NEW)) == (200, 200)
            assert state.context.paging.open(page, _caller(), "Patient", []) == ["1"]
            assert (state.context.audit_ids.seq(told), state.context.audit_ids.of(7) == told) == (
                7, False,
            )  # fmt: skip
            assert state.portal.now == NEW.encode()
            known = (await http.get("/auth/jwks.json")).json()["keys"]
            assert [key["kid"] for key in known] == ["two"]
            assert await second.used() > 0

            put("COORDHUB_FORMER_TOKEN_KEYS_FILE", "")
            put("DATABASE_URL_FILE", database_url.replace("/test_", "/nowhere_"))
            await _looked_twice(state.secrets)
            assert await answered(OLD) == 200, "what cannot be used changes nothing"
            put("DATABASE_URL_FILE", second.by())
            await _looked_twice(state.secrets)
            assert (await answered(OLD), await answered(NEW)) == (401, 200)


def _caller() -> Caller:
    return Caller("near", DIRECTORY, "Organization/7", scopes.parse("system/*.rs"))


async def _looked_twice(looking: Looking) -> None:
    await looking.look()
    await looking.look()


async def test_given_a_worker_when_its_key_changes_then_it_seals_the_audit_under_the_new_one(
    put: Put, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(secret_files, "EVERY_SECONDS", 0.01)
    put("COORDHUB_TOKEN_KEY_FILE", OLD)
    put("DATABASE_URL_FILE", database_url)
    monkeypatch.setenv("COORDHUB_AUDIT_SEAL_EVERY", "0.02")
    settings, stop = Settings(), asyncio.Event()
    engine = await Engine.open(database_url, size=3)
    hub = await open_hub(engine, settings.base)
    working = asyncio.create_task(running.route(settings, hub, stop, ours=True))
    try:
        for key in (OLD, NEW):
            put("COORDHUB_TOKEN_KEY_FILE", key)
            await _sealed(engine, seals.name_of(seals.sealing_key(key.encode())))
    finally:
        stop.set()
        await working
        with contextlib.suppress(Exception):
            await engine.close()


async def _sealed(engine: Engine, name: str) -> None:
    """Return once a seal is under this key; audits something to seal meanwhile."""
    async with asyncio.timeout(30):
        while True:
            async with engine.pool.acquire() as conn:
                await conn.execute(
                    "insert into audit (at, interaction, outcome, rids) values (now(), 'test', 0, '{}')"
                )
                if await conn.fetchval(
                    "select exists (select from audit_seal where key = $1)", name
                ):
                    return
            await asyncio.sleep(0.02)
