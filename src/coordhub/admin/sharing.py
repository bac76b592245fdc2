"""Agreements of two organizations that a referral of one to the other is one Task, made by operators.

Each says yes for itself, and may take that back; agreed is what both say. What was asked before stands.
"""

from __future__ import annotations

from coordhub.access import viewer
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.store import parties, resources, sharing
from coordhub.store.engine import Connection, Engine
from coordhub.store.resources import Version


async def agree(
    engine: Engine, by: Operator, organization: str, other: str, *, yes: bool | None = None
) -> tuple[bool, bool]:
    """What the two (`Organization/id`) say from now on: the first, the other. yes: what the first says now;
    None: as before."""
    async with engine.transaction() as conn:
        one, two = await _named(conn, organization), await _named(conn, other)
        if one.rid == two.rid:
            raise NothingDone("name two organizations: nobody shares a Task with itself.")
        if yes:
            for each in (one, two):
                if await parties.kind_of(conn, each.rid) != "treatment":
                    raise NothingDone(
                        f"{each.reference} does not treat patients: its type in the directory is not prov. "
                        "It is asked by a Task of the hub's."
                    )
            await sharing.say(conn, one.rid, two.rid, engine.now())
        elif yes is False:
            await sharing.take_back(conn, one.rid, two.rid)
        if yes is not None:
            said = {"organization": organization, "other": other, "agrees": "yes" if yes else "no"}
            await note(conn, by, "sharing-agreed", engine.now(), said)
        return await sharing.said(conn, one.rid, two.rid)


async def _named(conn: Connection, organization: str) -> Version:
    kind, _, fhir_id = organization.partition("/")
    found = None
    if kind == "Organization":
        found = await resources.read(conn, viewer.deciding(), kind, fhir_id)
    if found is None or found.body is None:
        raise NothingDone(f"{organization} is not in the directory. Name it as Organization/id.")
    return found
