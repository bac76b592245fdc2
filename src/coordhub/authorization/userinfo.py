"""Who signed in, told once more to the app that has a token of theirs.

https://openid.net/specs/openid-connect-core-1_0.html#UserInfo
"""

from __future__ import annotations

from typing import Any

from coordhub.access import wishes
from coordhub.access.token import OPAQUE, digest
from coordhub.access.wishes import FHIR_USER, OPENID
from coordhub.authorization import identity
from coordhub.authorization.context import Context
from coordhub.store import clients


async def answer(
    context: Context, authorization: str | None, certificate: bytes | None = None
) -> dict[str, Any] | None:
    """None for every token that does not allow it, and for what is none. certificate: as in Asked."""
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip().startswith(OPAQUE):
        return None
    async with context.engine.pool.acquire() as conn:
        found = await clients.presenting(conn, digest(text.strip()), context.clock())
        if found is None or found.by_person is None:
            return None
        own = await identity.own_record(conn, found.by_person, found.client.organization)
    if found.thumbprint not in (None, certificate):
        return None
    words = wishes.read(found.scopes).words
    if OPENID not in words:
        return None
    told = {"sub": found.by_person}
    if FHIR_USER in words and own is not None:
        told["fhirUser"] = f"{context.base}/{own}"
    return told
