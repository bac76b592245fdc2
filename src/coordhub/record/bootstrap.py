"""What the hub itself brings: its two Organizations, the definitions of its operations, questionnaires.

The Organizations are the coordination platform and the steward of the directory. All of it is in the
directory, for everyone to read.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.r4 import document as fhir_json
from coordhub.r4.extract import extract
from coordhub.record.commit import apply
from coordhub.record.hub import DIRECTORY_SHARD, Hub, instant
from coordhub.record.operations import Update
from coordhub.store import index, resources
from coordhub.store.engine import Connection, Engine
from coordhub.store.transact import AuditRow, Batch, Write, transact
from coordhub.store.visibility import DIRECTORY, HUB, Viewer

_NAMES = {HUB: "coordhub", DIRECTORY: "coordhub directory"}


async def open_hub(engine: Engine, base: str) -> Hub:
    """The Hub for this database; makes its Organizations when they are not there yet.

    Any number of processes may call it at once.
    """
    bare = Hub(engine, base.rstrip("/"), "", engine.now)
    async with engine.transaction() as conn:
        await conn.execute("select pg_advisory_xact_lock(hashtext('coordhub.bootstrap'))")
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), list(_NAMES))
        for rid, name in _NAMES.items():
            if rid not in known:
                await _found(bare, conn, rid, name)
        for definition in definitions():
            await _define(bare, conn, definition)
        for questionnaire in questionnaires():
            await _define(bare, conn, questionnaire)
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), [HUB])
    return Hub(engine, bare.base, known[HUB].reference, engine.now)


def definitions() -> list[dict[str, Any]]:
    """The OperationDefinitions of the hub's own operations; each is read at its code."""
    data = files("coordhub.record").joinpath("operation_definitions.json").read_bytes()
    listed = msgspec.json.decode(data, type=list[dict[str, Any]])
    return [{**one, "id": one["code"]} for one in listed]


def questionnaires() -> list[dict[str, Any]]:
    """The screenings whose answers are read (referral.screening): their codes, and what wording is free."""
    data = files("coordhub.record").joinpath("questionnaires.json").read_bytes()
    return msgspec.json.decode(data, type=list[dict[str, Any]])


async def _define(hub: Hub, conn: Connection, definition: dict[str, Any]) -> None:
    """Make it, or renew it if it is not what this version of the hub offers."""
    kind, fhir_id = definition["resourceType"], definition["id"]
    known = await resources.read(conn, Viewer(HUB, everything=True), kind, fhir_id)
    if known is not None and known.body is not None:
        stored = fhir_json.parse(known.body.encode())
        if {**stored, "meta": None} == {**definition, "meta": None}:
            return
    steward = Caller("coordhub", DIRECTORY, "", EVERYTHING, update_as_create=True)
    update = Update(kind, fhir_id, definition)
    await apply(hub, conn, steward, [update], interaction="update")


async def _found(hub: Hub, conn: Connection, rid: int, name: str) -> None:
    now = hub.clock()
    fhir_id = hub.new_id(DIRECTORY_SHARD)
    document = fhir_json.with_meta(
        {"resourceType": "Organization", "active": True, "name": name},
        id=fhir_id,
        version=1,
        updated=instant(now),
    )
    batch = Batch(
        writes=[
            Write(
                rid, "Organization", fhir_id, 1, "create", DIRECTORY, DIRECTORY, None,
                fhir_json.encode(document).decode(),
            )
        ],
        add=index.rows_of(
            extract(document), rid=rid, source=DIRECTORY, patient=None, systems={}, targets={}
        ),
        audit=[AuditRow(None, HUB, "create", 201, "Organization", fhir_id, (rid,))],
    )  # fmt: skip
    await transact(conn, batch, now=now)
