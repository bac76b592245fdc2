"""The hub's own two Organizations: the coordination platform, and the steward of the directory."""

from __future__ import annotations

from coordhub.r4 import document as fhir_json
from coordhub.record.hub import DIRECTORY_SHARD, Hub, instant
from coordhub.store import resources
from coordhub.store.engine import Connection, Engine
from coordhub.store.index import IndexRows
from coordhub.store.transact import AuditRow, Batch, Write, transact
from coordhub.store.visibility import DIRECTORY, HUB, Viewer

_NAMES = {HUB: "coordhub", DIRECTORY: "coordhub directory"}


async def open_hub(engine: Engine, base: str) -> Hub:
    """The Hub for this database; makes its Organizations when they are not there yet.

    Any number of processes may call it at once.
    """
    bare = Hub(engine, base.rstrip("/"), "")
    async with engine.transaction() as conn:
        await conn.execute("select pg_advisory_xact_lock(hashtext('coordhub.bootstrap'))")
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), list(_NAMES))
        for rid, name in _NAMES.items():
            if rid not in known:
                await _found(bare, conn, rid, name)
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), [HUB])
    return Hub(engine, bare.base, known[HUB].reference)


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
        add=IndexRows(),
        audit=[AuditRow(None, HUB, "create", 201, "Organization", fhir_id, (rid,))],
    )  # fmt: skip
    await transact(conn, batch, now=now)
