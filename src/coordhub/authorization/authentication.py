"""Which client asks: `private_key_jwt`, each assertion once.

https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
"""

from __future__ import annotations

import hashlib
from typing import Final

from coordhub.access import keys
from coordhub.authorization import assertion
from coordhub.authorization.assertion import LEEWAY, Assertion
from coordhub.authorization.context import Asked, Context
from coordhub.authorization.refusal import OAuthError, invalid_client
from coordhub.store import clients, tokens
from coordhub.store.clients import Client

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def authenticate(context: Context, asked: Asked, *addresses: str) -> Client:
    """The client that signed the assertion of the form; `invalid_client` in every other case.

    addresses: that it may be made out to, besides the token endpoint.
    """
    form = asked.form
    read = assertion.read(form.get("client_assertion", ""))
    if read is None or form.get("client_assertion_type") != TYPE:
        raise invalid_client()
    if form.get("client_id", read.client) != read.client:
        raise invalid_client()
    client, proven = await _proven(context, read, (context.audience, *addresses))
    if client is None or not proven:
        raise _of(client)
    return client


async def signer(context: Context, text: str, *addresses: str) -> Client | None:
    """The client that signed a JWT for one of these addresses, each once; None in every other case.

    https://cds-hooks.hl7.org/2.0/#trusting-cds-clients
    """
    read = assertion.read(text, of_itself=False)
    if read is None:
        return None
    client, proven = await _proven(context, read, addresses)
    return client if proven else None


async def _proven(
    context: Context, read: Assertion, audiences: tuple[str, ...]
) -> tuple[Client | None, bool]:
    """The client that it names, and whether that signed it, for here, for now, for the first time."""
    async with context.engine.pool.acquire() as conn:
        client = await clients.read(conn, read.client)
    now = context.clock()
    is_signed = await _is_signed(context, client, read)
    expires = assertion.expiry(read, audiences, now)
    if client is None or not client.active or not is_signed or expires is None:
        return client, False
    jti = hashlib.sha256(str(read.claims["jti"]).encode("utf-8", "surrogatepass")).digest()
    async with context.engine.pool.acquire() as conn:
        return client, await tokens.spend(conn, client.id, jti, expires + LEEWAY, now)


async def identify(
    context: Context, asked: Asked, *addresses: str, implied: str | None = None
) -> Client:
    """The same for apps, too: of one that has no key its name is enough, as what it shows was given to it.

    implied: its name where it says none, as an app without a key need not (RFC 6749, 3.2.1 and 6).
    """
    form = asked.form
    if "client_assertion" in form or "client_assertion_type" in form:
        return await authenticate(context, asked, *addresses)
    name = form.get("client_id", implied or "")
    if not 0 < len(name) <= 255 or not name.isprintable():
        raise invalid_client()
    async with context.engine.pool.acquire() as conn:
        client = await clients.read(conn, name)
    if client is None or not client.active or not client.is_public:
        raise _of(client)
    return client


async def _is_signed(context: Context, client: Client | None, read: Assertion) -> bool:
    known: tuple[keys.PublicKey, ...] = ()
    if client is not None and client.active:
        if client.jwks is not None:
            known = keys.read(client.jwks)
        elif client.jwks_uri is not None:
            known = await context.key_sets.at(client.jwks_uri, read.kid)
        if read.key_set is not None and read.key_set != client.jwks_uri:
            known = ()
    return assertion.is_signed(read, known)


def _of(client: Client | None) -> OAuthError:
    refused = invalid_client()
    if client is not None:
        refused.client, refused.organization = client.id, client.organization
    return refused
