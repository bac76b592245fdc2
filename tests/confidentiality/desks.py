"""What somebody of an organization, who works at every desk of the portal, finds on pages, beside the oracle.

A page names nothing that the oracle hides from the organization, and what is hidden has the page of what is not
there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from uuid import uuid4

from oracle import Held, Oracle, codings
from paths import Difference
from world import Actor, Opened

from coordhub.admin import people
from coordhub.portal import signing_in
from coordhub.store import accounts
from coordhub.store.accounts import Person, Secret

LISTS = (
    "worklist", "worklist?show=active", "worklist?show=done", "board", "board?show=open", "board?show=done",
    "patients", "patients?who=Water", "results", "privacy", "privacy?who=Water", "screening?who=Water",
    "deliveries", "figures", "explore?type=Patient&query=_count=200", "explore?type=Task&query=_count=200",
)  # fmt: skip
OF_PATIENT = (
    "patients/{id}", "privacy/{id}", "privacy/{id}/disclosures.csv", "screening/{id}", "refer/{id}",
)  # fmt: skip
OF_TASK = ("tasks/{id}", "referrals/{id}")
ABSENT = "00000000-0000-4000-8000-000000000000"
_SEAL = re.compile(r'name="(seal|number)" value="[^"]*"')


async def signed_in(opened: Opened, actor: Actor) -> str:
    """The cookie of a person with every role."""
    hub = opened.hub
    email = f"{uuid4().hex}@example.org"
    person = Person(uuid4().hex, actor.rid, email, "Pat Pantry", tuple(people.ROLES), True)
    nothing = Secret(b"\0" * 16, hashlib.sha256(b"").digest())
    async with hub.engine.pool.acquire() as conn:
        assert await accounts.add(conn, person, nothing, hub.clock())
    begun = await signing_in.begin(hub, person, signing_in.name_of(email), None)
    return f"coordhub_session={begun.token}"


async def by_desks(
    opened: Opened, oracle: Oracle, actor: Actor, held: list[Held], cookie: str
) -> AsyncIterator[Difference]:
    """held: all there is of one patient."""
    shown = {one.reference: oracle.sees(actor.reference, one.reference) for one in held}
    hidden = [one for one in held if shown[one.reference] is None]
    canaries = {one.id for one in hidden} | _said(hidden) - _said(
        [one for one in held if shown[one.reference]]
    )

    async def asked(path: str) -> tuple[int, str]:
        found = await opened.http.get(f"/portal/{path}", headers={"Cookie": cookie})
        return found.status_code, _SEAL.sub("", found.text)

    for path in LISTS:
        status, text = await asked(path)
        yield path, status, 200
        yield f"{path} says", {one for one in canaries if one in text}, set()
    for one in hidden:
        status, text = await asked(f"explore?path={one.reference}")
        absent = await asked(f"explore?path={one.type}/{ABSENT}")
        told = text.replace(one.id, ABSENT)
        yield f"explore {one.reference}", (status, told), absent
    for kind, paths in (("Patient", OF_PATIENT), ("Task", OF_TASK)):
        for path in paths:
            absent = await asked(path.format(id=ABSENT))
            for one in held:
                if one.type != kind:
                    continue
                status, text = await asked(path.format(id=one.id))
                told = text.replace(one.id, ABSENT)
                if shown[one.reference] is None:
                    yield f"{path} of {one.reference}", (status, told), absent
                else:
                    found = {each for each in canaries if each in text}
                    yield f"{path} of {one.reference} says", found, set()


def _said(these: list[Held]) -> set[str]:
    """What nobody writes by chance: names of persons, and codes of conditions."""
    told: set[str] = set()
    for one in these:
        for document in one.versions:
            if document is not None and one.type == "Patient":
                told |= {str(name["family"]) for name in document.get("name", ())}
            if document is not None and one.type == "Condition":
                told |= {str(code) for _, code in codings(document.get("code")) if code}
    return told
