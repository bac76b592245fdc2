"""Subscriptions that an operation is about: those of the caller's organization, and nobody else's.

Of those of other clients, only what tells of types that the caller's scopes let it read something of: that
something happened is told, too.

http://hl7.org/fhir/uv/subscriptions-backport
"""

from __future__ import annotations

from coordhub import errors
from coordhub.access import viewer
from coordhub.fhir.context import Asked
from coordhub.store import resources, subscriptions
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.subscriptions import Subscribed


async def own(conn: Connection, asked: Asked, ids: list[str]) -> list[tuple[Version, Subscribed]]:
    """The caller's organization's subscriptions; of these ids, if there are any: 403 for what is not its to hear."""
    view = viewer.of(asked.caller)
    held = {
        one.rid: one for one in await subscriptions.of_organization(conn, asked.caller.organization)
    }
    found = await resources.read_rids(conn, view, list(held))
    named = [
        (found[rid], one)
        for rid, one in held.items()
        if rid in found and (not ids or found[rid].id in ids)
    ]
    if not ids:
        scopes = asked.caller.scopes
        return [pair for pair in named if all(scopes.allow(kind, "r") for kind in pair[1].kinds)]
    for _, one in named:
        for kind in one.kinds:
            asked.caller.require(kind, "read")
    return named


async def the_one(conn: Connection, asked: Asked) -> tuple[Version, Subscribed]:
    """The one that the address names; 404 if there is none of the caller's, 410 if it is deleted."""
    found = await own(conn, asked, [asked.target.id or ""])
    if not found:
        raise errors.not_found(asked.target.reference)
    version, _ = found[0]
    if version.body is None:
        raise errors.gone(version.reference, version.version)
    return found[0]
