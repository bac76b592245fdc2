"""A link is opened: by who holds it and knows the access code, once.

What is not known, was used, has run out, is somebody else's or was tried too often is one answer: nobody
learns by trying which links there are.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from coordhub.access import codes
from coordhub.record.hub import Hub
from coordhub.store import links
from coordhub.store.links import Visit

VISIT: Final = timedelta(minutes=30)
"""So long an opened page can be answered."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Opened:
    """token: what the browser holds from now on."""

    token: str


@dataclass(frozen=True, slots=True)
class Closed:
    """unusable: the link opens nothing (any more). wrong: the code is not right. locked: too many wrong ones.
    no-code: its organization has none yet. left: tries with this link."""

    why: Literal["unusable", "wrong", "locked", "no-code"]
    left: int = 0
    organization: int | None = None


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def open_link(hub: Hub, token: str, code: str) -> Opened | Closed:
    if not _TOKEN.fullmatch(token):
        return Closed("unusable")
    now = hub.clock()
    async with hub.engine.pool.acquire() as conn:
        meant = await links.try_link(conn, hashed(token), now)
        if meant is None:
            return Closed("unusable")
        secret = await links.try_code(conn, meant.organization, now)
        if secret is None:
            known = await links.has_code(conn, meant.organization)
            return Closed("locked" if known else "no-code", organization=meant.organization)
    if not await asyncio.to_thread(codes.is_right, code, secret.salt, secret.hash):
        return Closed("wrong" if meant.left else "unusable", meant.left, meant.organization)
    visit = secrets.token_urlsafe(32)
    async with hub.engine.pool.acquire() as conn:
        used = await links.use(conn, hashed(token), hashed(visit), now, now + VISIT)
    return Opened(visit) if used else Closed("unusable")


async def visit_of(hub: Hub, token: str) -> Visit | None:
    """Who is there with this, and for which Task."""
    if not _TOKEN.fullmatch(token):
        return None
    async with hub.engine.pool.acquire() as conn:
        return await links.visit(conn, hashed(token), hub.clock())


async def leave(hub: Hub, token: str) -> None:
    async with hub.engine.pool.acquire() as conn:
        await links.leave(conn, hashed(token))


def seal(token: str) -> str:
    """What a form of this visit holds, which no page of another origin can know."""
    return hashlib.sha256(b"form " + token.encode()).hexdigest()[:32]
