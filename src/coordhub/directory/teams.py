"""Who belongs to a CareTeam of the directory, as those who can be asked for something.

http://hl7.org/fhir/R4/careteam-definitions.html#CareTeam.participant.member
"""

from __future__ import annotations

from coordhub.directory import services
from coordhub.store.engine import Connection

_ASKED = ("Organization/", "PractitionerRole/", "HealthcareService/")


async def members(conn: Connection, text: str, base: str) -> tuple[str, ...]:
    """The organizations and roles that take part in the CareTeam `text` and lead to an organization, once each.

    Where the team has none of these, or is none: what was named.
    """
    if not text.startswith("CareTeam/"):
        return (text,)
    found = await services.entry(conn, text, base)
    named = [
        member
        for each in (found[1].get("participant") or () if found is not None else ())
        for name in ("onBehalfOf", "member")
        for member in services.references(each.get(name))
        if member.startswith(_ASKED)
    ]
    known = [
        one for one in dict.fromkeys(named) if await services.recipient(conn, one, base) is not None
    ]
    return tuple(known) or (text,)
