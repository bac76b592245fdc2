"""A person signs in: by password and a code of its telephone, or for the first time.

https://pages.nist.gov/800-63-4/sp800-63b.html, https://www.rfc-editor.org/rfc/rfc6265 (cookies)

What `sign_in` gives is a session, and that is all that the pages know of how somebody came in: another
way of signing in ends in `begin`, too. Who is not known, may come in no more, or names a wrong password
or code hears one answer, after the same work.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from coordhub.access import codes, passwords, totp
from coordhub.record.hub import Hub
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret

LONGEST: Final = timedelta(hours=12)
"""A session ends then, however much it is used; unused after `store.accounts.IDLE`."""

ISSUER: Final = "coordhub"

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """token: what the browser holds from now on. whole: with a second factor; else it is set up first."""

    token: str
    person: Person
    whole: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """person: who it would have been, for the audit and nobody else."""

    why: Literal["wrong", "locked"]
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody is there. factor: that has to be set up before anything is shown. since: of the sign-in."""

    token: str
    person: Person
    factor: bytes | None
    since: datetime

    @property
    def seal(self) -> str:
        """What a form of this session holds, which no page of another origin can know."""
        return hashlib.sha256(b"form " + self.token.encode()).hexdigest()[:32]


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def name_of(email: str) -> bytes:
    """By which tries are counted."""
    return hashlib.sha256(email.encode("utf-8", "replace")).digest()


async def sign_in(
    hub: Hub, keys: Sequence[bytes], email: str, password: str, code: str
) -> SignedIn | Refused:
    """keys: of the hub, and those that it had before."""
    now, meant = hub.clock(), email.strip().lower()[:320]
    name = name_of(meant)
    async with hub.engine.pool.acquire() as conn:
        if not await accounts.try_to_sign_in(conn, name, now):
            return Refused("locked")
        found = await accounts.by_email(conn, meant) if "\0" not in meant else None
    person, secret = found or (None, Secret(passwords.NOBODYS_SALT, b""))
    right = await asyncio.to_thread(passwords.is_right, password, secret.salt, secret.hash)
    if person is None or not right or not person.active:
        return Refused("wrong", person)
    if person.factor is None:
        if person.password_until is None or person.password_until <= now:
            return Refused("wrong", person)
        return await begin(hub, person, name, totp.new_factor())
    made = [totp.secret_of(person.factor, key) for key in keys]
    step = totp.step_of(code, made, now, person.step)
    if step is None:
        return Refused("wrong", person)
    async with hub.engine.pool.acquire() as conn:
        if not await accounts.use_code(conn, person.id, step):
            return Refused("wrong", person)
    return await begin(hub, person, name, None)


async def begin(hub: Hub, person: Person, name: bytes, factor: bytes | None) -> SignedIn:
    """A session of who has shown who it is, in whatever way; factor: that it still has to set up."""
    token, now = secrets.token_urlsafe(32), hub.clock()
    async with hub.engine.pool.acquire() as conn:
        await accounts.begin(conn, person.id, name, hashed(token), factor, now, now + LONGEST)
    return SignedIn(token, person, factor is None)


async def session_of(hub: Hub, token: str) -> Session | None:
    if not _TOKEN.fullmatch(token):
        return None
    async with hub.engine.pool.acquire() as conn:
        found = await accounts.session(conn, hashed(token), hub.clock())
    if found is None:
        return None
    person, factor, until = found
    return Session(token, person, factor, until - LONGEST)


async def set_up(
    hub: Hub, key: bytes, session: Session, password: str, again: str, code: str
) -> Literal["short", "differ", "code", "gone"] | SignedIn:
    """Its own password, and a code that shows that the telephone has the secret."""
    if not passwords.SHORTEST <= len(password) <= passwords.LONGEST:
        return "short"
    if password != again:
        return "differ"
    assert session.factor is not None
    step = totp.step_of(code, [totp.secret_of(session.factor, key)], hub.clock())
    if step is None:
        return "code"
    salt, token, now = codes.new_salt(), secrets.token_urlsafe(32), hub.clock()
    secret = Secret(salt, await asyncio.to_thread(passwords.hashed, password, salt))
    async with hub.engine.pool.acquire() as conn:
        done = await accounts.set_up(
            conn, session.person.id, hashed(session.token), hashed(token), secret, session.factor,
            step, now + LONGEST, now,
        )  # fmt: skip
    return SignedIn(token, session.person, True) if done else "gone"


async def sign_out(hub: Hub, token: str) -> None:
    async with hub.engine.pool.acquire() as conn:
        await accounts.end(conn, hashed(token))
