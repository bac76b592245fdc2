"""Partners come on board: registered among test data, checked, approved by a second person; suspended, ended.

What a registered client acts for is an organization of the sandbox, made in the place of the one of the
directory that it is to act for. All that it writes there is test data, seen by organizations of the sandbox
only (store.visibility); nothing of it is taken along when the client is approved and acts for the real one.

http://hl7.org/fhir/R4/security-labels.html#hcs (HTEST)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.admin import registering
from coordhub.admin.acts import NothingDone, NotKnown, Operator, note
from coordhub.admin.registering import Keys
from coordhub.directory.bases import SERVED
from coordhub.r4.sensitivity import TEST
from coordhub.record import commit, parties
from coordhub.record.hub import Hub
from coordhub.record.operations import Create, Operation, Update
from coordhub.store import apps, clients, onboarding, resources, sandboxes, tokens
from coordhub.store.engine import Connection
from coordhub.store.onboarding import Partner
from coordhub.store.resources import Version
from coordhub.store.visibility import DIRECTORY, EVERYONE

CONNECTION_TYPES: Final = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
PAYLOAD_TYPES: Final = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """A partner's own: its FHIR base, and the headers (`Name: value`) that let the hub in."""

    address: str
    headers: tuple[str, ...] = ()


def server_of(address: str, headers: Sequence[str] = ()) -> Server:
    """NothingDone says what is wrong with it."""
    parts = registering.web_address(address)
    if parts is None or parts.username or parts.query:
        raise NothingDone("the partner's server is an https address: the base of its FHIR API.")
    kept = tuple(line.strip() for line in headers if line.strip())
    for line in kept:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip() or not line.isprintable():
            raise NothingDone("a header is a line like 'Authorization: Bearer ...'.")
    return Server(address.rstrip("/"), kept)


@dataclass(frozen=True, slots=True)
class Registration:
    """organization: `Organization/id` of the directory that it is to act for. scope: the most it may ask for."""

    client: str
    organization: str
    keys: Keys
    scope: str = "system/*.cruds"
    server: Server | None = None
    software: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partner is, by references. last_check: when, and how many items were failed."""

    client: str
    state: str
    organization: str
    sandbox: str
    endpoint: str | None
    registered_by: str
    registered_at: datetime
    software: str | None
    checked_at: datetime | None
    failed: int | None
    approved_by: str | None
    approved_at: datetime | None
    reason: str | None


class TooMany(NothingDone):
    """So many of the same organization wait to be approved."""


async def register(
    hub: Hub, by: Operator, asked: Registration, *, most: int | None = None
) -> Standing:
    """Make the client, in the sandbox. most: clients by a software statement that may wait for one organization."""
    allowed, now = registering.stated(asked.scope), hub.clock()
    if not _NAME.fullmatch(asked.client):
        raise NothingDone(
            "a partner's client is named by up to 64 letters, digits, and any of . _ ~ - behind the first."
        )
    if asked.keys == Keys():
        raise NothingDone("a client has keys: a JSON Web Key Set, or the https address of one.")
    async with hub.engine.transaction() as conn:
        await onboarding.one_by_one(conn)
        meant = await _organization(conn, asked.organization)
        if most is not None and await onboarding.waiting(conn, meant.rid) >= most:
            raise TooMany(
                f"{most} clients of {asked.organization} wait to be approved. Ask the hub's operator to approve or "
                "end one."
            )
        place = await _place(hub, conn, meant)
        said = await registering.make(conn, asked.client, place.rid, allowed, asked.keys, now)
        endpoint = None
        if asked.server is not None:
            [made] = await _write(hub, conn, [_endpoint(place.reference, asked.server)], test=True)
            endpoint = made.rid
            await _lead(hub, conn, place, made.reference, test=True)
        await onboarding.register(
            conn,
            Partner(
                asked.client, meant.rid, place.rid, endpoint, "registered", by.account, now,
                asked.software,
            ),
        )  # fmt: skip
        said |= {"organization": asked.organization, "sandbox": place.reference}
        if asked.server is not None:
            said["endpoint"] = asked.server.address
        if asked.software is not None:
            said["software"] = asked.software
        await note(conn, by, "partner-registered", now, said)
        return await standing(conn, asked.client)


async def standing(conn: Connection, client: str) -> Standing:
    """NothingDone where nobody of that name came on board here."""
    found = await onboarding.read(conn, client)
    if found is None:
        raise NotKnown(unknown(client))
    [told] = await _told(conn, [found])
    return told


async def listed(conn: Connection) -> list[Standing]:
    return await _told(conn, await onboarding.everyone(conn))


async def suspend(hub: Hub, by: Operator, client: str, reason: str) -> Standing:
    """Let it in no longer, for now."""
    return await _switch(
        hub, by, client, "suspended", reason, ("registered", "checked", "approved")
    )


async def resume(hub: Hub, by: Operator, client: str, reason: str) -> Standing:
    """Let one that is suspended in again, where it was."""
    return await _switch(hub, by, client, "", reason, ("suspended",))


async def end(hub: Hub, by: Operator, client: str, reason: str) -> Standing:
    """Let it in no longer, for good. What its organization has here is `coordhub offboard`'s to end."""
    return await _switch(
        hub, by, client, "ended", reason, ("registered", "checked", "approved", "suspended")
    )


async def _switch(
    hub: Hub, by: Operator, client: str, state: str, reason: str, out_of: Sequence[str]
) -> Standing:
    if not reason.strip():
        raise NothingDone("say why; it stands in the audit.")
    async with hub.engine.transaction() as conn:
        found = await held(conn, client)
        if found.state not in out_of:
            raise NothingDone(f"{client} is {found.state}, and not {' or '.join(out_of)}.")
        after = state or await _resumed(conn, found)
        await clients.change(conn, client, after not in onboarding.OUT, None, None, None)
        await tokens.revoke_all(conn, [client])
        await apps.end_all(conn, hub.clock(), client=client)
        await onboarding.set_state(conn, client, after, reason.strip())
        said = {"client": client, "state": after, "reason": reason.strip()}
        await note(conn, by, "partner-state-changed", hub.clock(), said)
        return await standing(conn, client)


async def _resumed(conn: Connection, found: Partner) -> str:
    if found.approved_at is not None:
        return "approved"
    report = await onboarding.newest(conn, found.client)
    return "checked" if report is not None and not report.failed else "registered"


async def take_along(hub: Hub, conn: Connection, partner: Partner) -> None:
    """Let the organization that it stands for be reached at the server that it has in the sandbox."""
    known = await resources.read_rids(
        conn, EVERYONE, [partner.stands_for, partner.endpoint or partner.stands_for]
    )
    real, there = known.get(partner.stands_for), known.get(partner.endpoint or 0)
    if real is None or real.body is None or there is None or there.body is None:
        raise NothingDone(f"{partner.client} has no server of its own that could be taken along.")
    document = parties.document(there)
    server = Server(document["address"], tuple(document.get("header", ())))
    [made] = await _write(hub, conn, [_endpoint(real.reference, server)], test=False)
    await _lead(hub, conn, real, made.reference, test=False)


async def held(conn: Connection, client: str) -> Partner:
    """The partner, locked; NothingDone where there is none."""
    found = await onboarding.lock(conn, client)
    if found is None:
        raise NotKnown(unknown(client))
    return found


def unknown(client: str) -> str:
    return f"no partner's client is called {client}. See: coordhub onboard list"


async def _told(conn: Connection, found: Sequence[Partner]) -> list[Standing]:
    rids = {rid for one in found for rid in (one.stands_for, one.sandbox, one.endpoint or 0)}
    known = await resources.read_rids(conn, EVERYONE, sorted(rids))
    references: Mapping[int, str] = {rid: one.reference for rid, one in known.items()}
    told = []
    for one in found:
        report = await onboarding.newest(conn, one.client)
        told.append(
            Standing(
                one.client, one.state, references.get(one.stands_for, ""),
                references.get(one.sandbox, ""), references.get(one.endpoint or 0),
                one.registered_by, one.registered_at, one.software,
                report.at if report else None, report.failed if report else None,
                one.approved_by, one.approved_at, one.reason,
            )
        )  # fmt: skip
    return told


async def _organization(conn: Connection, named: str) -> Version:
    """One of the directory, and outside of the sandbox."""
    kind, _, fhir_id = named.partition("/")
    found = await resources.read(conn, EVERYONE, kind, fhir_id) if kind == "Organization" else None
    if found is None or found.body is None or found.labels & TEST:
        raise NothingDone(f"there is no {named} in the directory. Name it as Organization/id.")
    return found


async def _place(hub: Hub, conn: Connection, meant: Version) -> Version:
    """The organization of the sandbox that stands for this one; made where there is none."""
    rid = await sandboxes.place_of(conn, meant.rid)
    if rid is None:
        real = parties.document(meant)
        document = {
            "resourceType": "Organization",
            "active": True,
            **({"type": real["type"]} if "type" in real else {}),
            "name": f"{real.get('name', 'Organization')} (sandbox)",
        }
        [made] = await _write(hub, conn, [document], test=True)
        rid = made.rid
        await sandboxes.make(conn, rid, meant.rid)
        hub.lists.forget()
    return (await resources.read_rids(conn, EVERYONE, [rid]))[rid]


async def _lead(hub: Hub, conn: Connection, to: Version, endpoint: str, *, test: bool) -> None:
    """Let the organization be reached by this Endpoint before any other that it has."""
    document = parties.document(to)
    others = [one for one in document.get("endpoint", []) if one.get("reference") != endpoint]
    await _write(
        hub,
        conn,
        [{**document, "endpoint": [{"reference": endpoint}, *others]}],
        test=test,
        over=to.id,
    )


def _endpoint(organization: str, server: Server) -> Document:
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": CONNECTION_TYPES, "code": SERVED},
        "managingOrganization": {"reference": organization},
        "payloadType": [{"coding": [{"system": PAYLOAD_TYPES, "code": "any"}]}],
        "payloadMimeType": ["application/fhir+json"],
        "address": server.address,
        **({"header": list(server.headers)} if server.headers else {}),
    }


async def _write(
    hub: Hub,
    conn: Connection,
    documents: Sequence[Document],
    *,
    test: bool,
    over: str | None = None,
) -> Sequence[Version]:
    """In the directory, as its steward; test: of the sandbox. over: the id of what there is to be changed."""
    steward = Caller(None, DIRECTORY, "", EVERYTHING, sandbox=test)
    operations: list[Operation] = [
        Create(one["resourceType"], one) if over is None else Update(one["resourceType"], over, one)
        for one in documents
    ]
    written, _ = await commit.apply(hub, conn, steward, operations, interaction="transaction")
    found = await resources.read_rids(conn, EVERYONE, [one.rid for one in written])
    return [found[one.rid] for one in written]
