"""Tokens from the command line, for clients known or new.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from coordhub.access import scopes, viewer
from coordhub.access.token import Tokens
from coordhub.admin.acts import UNNAMED, Operator, note
from coordhub.sandbox import place
from coordhub.store import clients, embedded, migrate, resources, roles
from coordhub.store.engine import Connection, Engine
from coordhub.store.postgres_binaries import PostgresUnavailableError


@dataclass(frozen=True, slots=True)
class Asked:
    """client: its name; None: named like its organization.

    organization: id of an Organization (with or without `Organization/`), or key of the sample
    community, for a client that is not known yet.
    by: who asks.
    """

    client: str | None
    organization: str | None
    scope: str
    lifetime: timedelta
    by: Operator = UNNAMED


class CannotIssue(Exception):
    """There is no such client or organization, or nothing to ask; the text says what to do."""


async def issue(home: Path, database_url: str | None, key: bytes | None, asked: Asked) -> str:
    """The token. Raises CannotIssue.

    database_url, key: None stands for those of the development mode in `home`.
    """
    allowed = scopes.parse(asked.scope)
    if not allowed:
        raise CannotIssue("the scope allows nothing; write it like system/Task.cruds.")
    if key is None and not (home / place.TOKEN_KEY).exists():
        raise CannotIssue(
            f"set COORDHUB_TOKEN_KEY, with which the hub signs; {home} holds none of a development "
            "mode either. To start one: make run"
        )
    async with engine_of(home, database_url) as engine:
        now = engine.now()
        async with engine.transaction() as conn:
            name = await _client(conn, asked, now)
            expires = (now + asked.lifetime).isoformat(timespec="seconds")
            said = {"client": name, "scope": asked.scope, "expires": expires}
            await note(conn, asked.by, "token-issued", now, said)
        tokens = Tokens(key or place.token_key(home), engine)
        return tokens.issue(name, asked.scope, now=now, lifetime=asked.lifetime)


async def _client(conn: Connection, asked: Asked, now: datetime) -> str:
    """Name of the client, registered if need be."""
    organization = (asked.organization or "").removeprefix("Organization/")
    name = asked.client or organization
    known = await clients.read(conn, name)
    bound = await _organization(conn, organization) if organization else None
    if known is None:
        if bound is None:
            raise CannotIssue(
                f"the client {name} is not known. Name the Organization it is to act for "
                "with --organization <id>."
            )
        await clients.register(conn, name, bound, asked.scope, update_as_create=False, now=now)
        said = {"client": name, "scope": asked.scope}
        await note(conn, asked.by, "client-registered", now, said)
    elif not known.active:
        raise CannotIssue(f"the client {name} was deactivated.")
    elif bound is not None and bound != known.organization:
        raise CannotIssue(f"the client {name} acts for {known.reference}. Choose another name.")
    return name


async def _organization(conn: Connection, key: str) -> int | None:
    """rid of the Organization with this id, or of the member of the sample community."""
    found = await resources.read(conn, viewer.deciding(), "Organization", key)
    if found is not None and not found.deleted:
        return found.rid
    member = await clients.read(conn, key)
    return None if member is None else member.organization


@contextlib.asynccontextmanager
async def engine_of(home: Path, database_url: str | None) -> AsyncIterator[Engine]:
    """The database at this address, or else of the development mode in `home`. Raises CannotIssue."""
    async with contextlib.AsyncExitStack() as stack:
        if database_url is None:
            try:
                server = await stack.enter_async_context(await embedded.start(home))
            except PostgresUnavailableError as error:
                raise CannotIssue(str(error)) from None
            database_url = server.url
            await migrate.upgrade(database_url)
        engine = await Engine.open(await roles.application(database_url), size=2)
        stack.push_async_callback(engine.close)
        yield engine
