"""Written releases of a victim service provider, as its people write them down, and take them back.

34 USC 12291(b)(2), http://hl7.org/fhir/R4/consent.html; what follows from one: `record.release`

A release is a Consent of the provider's: to the agency that referred, that it has accepted or completed, for a time.
A withdrawal, by word of mouth as well, is a version of it that is inactive, with how it was said (`consented.end`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordhub.access import viewer
from coordhub.access.caller import Caller
from coordhub.access.scopes import parse
from coordhub.portal import answering, consented, listed
from coordhub.portal.guests import Guest
from coordhub.record import parties
from coordhub.record.commit import commit
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.referral import data_request
from coordhub.store import desk, resources, vsp
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import Viewer
from coordhub.store.vsp import Released

SCOPES: Final = parse("system/*.rs system/Consent.cu system/Provenance.c")

MOST: Final = 200
"""Requests that are listed."""

SAID: Final = {
    "oral": "Withdrawn by word of mouth",
    "written": "Withdrawn in writing",
}
"""How a person takes its release back, as it can be chosen."""

_TERMS: Final = "http://terminology.hl7.org/CodeSystem"


@dataclass(frozen=True, slots=True)
class Asked:
    """A Task that asks the provider. to: the agency that referred, if it is there. releases: the newest first.

    holds: the one that is in force.
    """

    task: Version
    title: str
    person: str
    to: Version | None
    releases: tuple[Released, ...]
    holds: Released | None

    @property
    def id(self) -> str:
        return self.task.id

    @property
    def told(self) -> str:
        return consented.title(self.to) if self.to is not None else ""


async def every(hub: Hub, conn: Connection, organization: int) -> list[Asked]:
    """Who is told something first, by when it ends; then the newest."""
    view = viewer.as_organization(organization)
    lines = await desk.inbox(conn, view, MOST)
    tasks = [one.task for one in lines if not one.errand and _is_asked(one.task)]
    found = await _asked(hub, conn, view, tasks)
    return sorted(
        found,
        key=lambda one: (one.holds is None, one.holds.end.timestamp() if one.holds else 0),
    )


async def one_of(hub: Hub, conn: Connection, organization: int, fhir_id: str) -> Asked | None:
    """The one with this id, if a referral came by it."""
    view = viewer.as_organization(organization)
    task = await resources.read(conn, view, "Task", fhir_id)
    if task is None or task.body is None:
        return None
    found = await _asked(hub, conn, view, [task])
    return next((one for one in found if one.to is not None), None)


def _is_asked(task: Version) -> bool:
    return task.body is not None and not data_request.asks(parties.document(task))


async def _asked(hub: Hub, conn: Connection, view: Viewer, tasks: list[Version]) -> list[Asked]:
    rids = [one.rid for one in tasks]
    senders = await vsp.asked_by(conn, view.organization, rids)
    releases = await vsp.released(conn, view.organization, rids)
    agencies = await resources.read_rids(conn, view, sorted(set(senders.values())))
    documents = [parties.document(one) for one in tasks]
    known = await listed.named(hub, conn, view, documents)
    now = hub.clock()
    found = []
    for task, document in zip(tasks, documents, strict=True):
        of_it = tuple(one for one in releases if one.task == task.rid)
        holds = next((one for one in of_it if one.end > now), None)
        found.append(
            Asked(
                task, listed.title(document, known, hub.base),
                listed.person(document, known, hub.base), agencies.get(senders.get(task.rid, 0)),
                of_it, holds,
            )
        )  # fmt: skip
    return found


def caller(guest: Guest, request_id: str | None) -> Caller:
    person, own = guest.session.person, guest.own
    return Caller(
        answering.PERSON + person.id, own.rid, own.reference, SCOPES, request_id=request_id
    )


async def release(hub: Hub, caller: Caller, asked: Asked, until: str) -> None:
    """Until the end of that day; FhirError where the hub refuses."""
    assert asked.to is not None
    document: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": f"{_TERMS}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "dateTime": instant(hub.clock()),
        "organization": [{"reference": caller.reference}],
        "policyRule": {"coding": [{"system": f"{_TERMS}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "period": {"end": until},
            "actor": [
                {
                    "role": {
                        "coding": [{"system": f"{_TERMS}/v3-ParticipationType", "code": "IRCP"}]
                    },
                    "reference": {"reference": asked.to.reference},
                }
            ],
            "data": [{"meaning": "instance", "reference": {"reference": asked.task.reference}}],
        },
    }
    await commit(hub, caller, [Create("Consent", document)], interaction="create")


async def withdraw(hub: Hub, caller: Caller, held: Released, how: str) -> bool:
    """Nothing is told any more from now on; False: there is no such release."""
    async with hub.engine.pool.acquire() as conn:
        view = viewer.as_organization(caller.organization)
        found = (await resources.read_rids(conn, view, [held.consent])).get(held.consent)
    if found is None or found.body is None:
        return False
    await consented.end(hub, caller, found, how, None)
    return True
