"""Access codes of organizations that are reached by mail, given by operators."""

from __future__ import annotations

from coordhub.access import codes
from coordhub.admin.acts import NothingDone, Operator, note
from coordhub.record.hub import system_clock
from coordhub.store import links, resources
from coordhub.store.engine import Engine
from coordhub.store.visibility import EVERYONE


async def new_code(engine: Engine, by: Operator, organization: str) -> str:
    """A new access code of `organization` (`Organization/id`); it is told once, and only here."""
    kind, _, fhir_id = organization.partition("/")
    async with engine.transaction() as conn:
        found = (
            await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "Organization" else None
        )
        if found is None or found.body is None:
            raise NothingDone(
                f"{organization} is not in the directory. Name it as Organization/id."
            )
        code, salt, now = codes.new_code(), codes.new_salt(), system_clock()
        await links.set_code(conn, found.rid, salt, codes.hashed(code, salt), now)
        await note(conn, by, "access-code-set", now, {"organization": organization})
    return code
