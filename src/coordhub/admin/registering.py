"""Clients that ask for their tokens themselves: registered, given other keys, listed.

http://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from coordhub.access import keys, scopes, wishes
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.store import clients, launches, resources, tokens
from coordhub.store.engine import Connection, Engine
from coordhub.store.visibility import EVERYONE


@dataclass(frozen=True, slots=True)
class Keys:
    """A client's public keys, jwks, or where it keeps them, jwks_uri."""

    jwks: str | None = None
    jwks_uri: str | None = None

    def said(self) -> dict[str, str]:
        """For the audit: where, or the ids."""
        if self.jwks_uri is not None:
            return {"jwks_uri": self.jwks_uri}
        return {"kids": " ".join(key.kid for key in keys.read(self.jwks or ""))}


def keys_of(text: str) -> Keys:
    """text: an address, or a JSON Web Key Set. NothingDone says what is wrong with it."""
    if text.lstrip().startswith("{"):
        try:
            return Keys(jwks=keys.registered(text))
        except keys.UnusableKeysError as error:
            raise NothingDone(str(error)) from error
    parts = web_address(text)
    if parts is None or parts.username:
        raise NothingDone(
            "the keys are a file with a JSON Web Key Set, or an https address of one."
        )
    return Keys(jwks_uri=text)


def web_address(text: str) -> SplitResult | None:
    """Its parts; None for what cannot be asked."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # which is read only now
    except ValueError:
        return None
    plain = text.isascii() and text.isprintable() and " " not in text
    return parts if plain and parts.scheme in ("https", "http") and parts.hostname else None


@dataclass(frozen=True, slots=True)
class App:
    """title: what people are told that it is called. redirect_uris: where they come back to, each exactly."""

    title: str
    redirect_uris: tuple[str, ...]
    launch_uri: str | None = None


def app_of(title: str, redirect_uris: Sequence[str], launch_uri: str | None = None) -> App:
    """NothingDone says what is wrong. launch_uri: where it begins when it is opened out of a record."""
    if not 0 < len(title.strip()) <= 100 or not title.isprintable():
        raise NothingDone("an app has a title of up to 100 printable characters (--title).")
    for each in (*redirect_uris, *(() if launch_uri is None else (launch_uri,))):
        parts = urlsplit(each)
        is_own = parts.scheme == "https" and parts.hostname
        is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        is_private = "." in parts.scheme  # of an app on a telephone: RFC 8252, 7.1
        printable = each.isascii() and each.isprintable() and not set(each) & set(" #;,'\"<>")
        if not (is_own or is_here or is_private) or parts.username or not printable:
            raise NothingDone(
                f"{each} cannot be come back to: give an https address, http on 127.0.0.1, or "
                "a scheme like org.example.app:/back, without a fragment."
            )
    return App(title.strip(), tuple(dict.fromkeys(redirect_uris)), launch_uri)


def stated(scope: str, app: App | None = None) -> str:
    """The scope as it is kept; NothingDone says what is wrong with it."""
    faults = scopes.faults(scope, scopes.SYSTEM if app is None else scopes.APP)
    if faults:
        raise NothingDone(f"{faults[0]}.")
    if app is not None:
        wish = wishes.read(scope)
        if not wish:
            raise NothingDone(
                "the scope allows nothing; write it like 'launch/patient patient/*.rs'."
            )
        return wish.stated()
    allowed = scopes.parse(scope)
    if not allowed:
        raise NothingDone("the scope allows nothing; write it like system/Task.cruds.")
    return allowed.stated()


async def register(
    engine: Engine,
    by: Operator,
    client: str,
    organization: str,
    scope: str,
    given: Keys,
    now: datetime,
    app: App | None = None,
) -> None:
    """Make a client of an Organization (`Organization/id`) of the directory; scope: the most it may ask for.

    app: it is one, which people sign in to, and which may go without keys; the organization answers for it.
    """
    allowed = stated(scope, app)
    if app is None and given == Keys():
        raise NothingDone("a client that is no app has keys: give --jwks.")
    if not 0 < len(client) <= 255 or not client.isprintable() or client.strip() != client:
        raise NothingDone("a client's name is of up to 255 printable characters.")
    kind, _, fhir_id = organization.partition("/")
    async with engine.transaction() as conn:
        found = await resources.read(conn, EVERYONE, "Organization", fhir_id)
        if kind != "Organization" or found is None or found.body is None:
            raise NothingDone(f"there is no {organization} here. Name it as Organization/id.")
        said = await make(conn, client, found.rid, allowed, given, now)
        if app is not None:
            await clients.set_app(conn, client, app.redirect_uris, app.title)
            said["redirect_uris"] = " ".join(app.redirect_uris)
            if app.launch_uri is not None:
                await launches.begin_at(conn, client, app.launch_uri)
                said["launch_uri"] = app.launch_uri
        await note(conn, by, "client-registered", now, {"organization": organization, **said})


async def make(
    conn: Connection, client: str, organization: int, allowed: str, given: Keys, now: datetime
) -> dict[str, str]:
    """A client that was not there, of an organization (rid); what the audit is to say of it."""
    if await clients.read(conn, client) is not None:
        raise NothingDone(
            f"the client {client} is there already. Choose another name, or give it other keys "
            "(coordhub clients keys)."
        )
    await clients.register(conn, client, organization, allowed, update_as_create=False, now=now)
    await clients.set_keys(conn, client, given.jwks, given.jwks_uri)
    return {"client": client, "scope": allowed, **given.said()}


async def change_keys(
    engine: Engine, by: Operator, client: str, given: Keys, now: datetime
) -> None:
    """From now on only these keys count; what it got by others is taken back, and it asks again."""
    async with engine.transaction() as conn:
        if not await clients.set_keys(conn, client, given.jwks, given.jwks_uri):
            raise NothingDone(f"the client {client} is not known.")
        await tokens.revoke_all(conn, [client])
        await note(conn, by, "client-keys-changed", now, {"client": client, **given.said()})


async def listed(conn: Connection) -> list[tuple[str, ...]]:
    """Of each client: its name, for whom it acts, whether it may, its keys, its scopes."""
    return [
        (
            one.id,
            one.reference,
            "active" if one.active else "disabled",
            one.jwks_uri
            or " ".join(key.kid for key in keys.read(one.jwks or ""))
            or ("public" if one.is_public else "-"),
            one.scopes,
        )
        for one in await clients.of_all(conn)
    ]
