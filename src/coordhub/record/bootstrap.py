"""What the hub itself brings: its two Organizations and the definitions of its operations.

The Organizations are the coordination platform and the steward of the directory. All of it is in the
directory, for everyone to read.
"""

from __future__ import annotations

from typing import Any

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
    bare = Hub(engine, base.rstrip("/"), "")
    async with engine.transaction() as conn:
        await conn.execute("select pg_advisory_xact_lock(hashtext('coordhub.bootstrap'))")
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), list(_NAMES))
        for rid, name in _NAMES.items():
            if rid not in known:
                await _found(bare, conn, rid, name)
        for definition in _DEFINITIONS:
            await _define(bare, conn, definition)
        known = await resources.read_rids(conn, Viewer(HUB, everything=True), [HUB])
    return Hub(engine, bare.base, known[HUB].reference)


_DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "OperationDefinition",
        "name": "BreakGlass",
        "title": "Open a record in an emergency",
        "status": "active",
        "kind": "operation",
        "affectsState": True,
        "description": "Opens one patient's record for an hour to who treats it in an emergency; written down, and "
        "told to the organization that holds the record.",
        "code": "break-glass",
        "resource": ["Patient"],
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [
            {"name": "identifier", "use": "in", "min": 0, "max": "1", "type": "Identifier"},
            {"name": "birthDate", "use": "in", "min": 0, "max": "1", "type": "date"},
            {"name": "patient", "use": "in", "min": 0, "max": "1", "type": "Reference"},
            {"name": "purpose", "use": "in", "min": 1, "max": "1", "type": "code"},
            {"name": "reason", "use": "in", "min": 1, "max": "1", "type": "string"},
            {"name": "practitioner", "use": "in", "min": 1, "max": "1", "type": "Reference"},
            {
                "name": "emergency",
                "use": "in",
                "min": 0,
                "max": "1",
                "type": "string",
                "documentation": "Nature of the medical emergency; required for ETREAT.",
            },
            {"name": "patient", "use": "out", "min": 1, "max": "1", "type": "Reference"},
            {"name": "until", "use": "out", "min": 1, "max": "1", "type": "instant"},
            {"name": "notice", "use": "out", "min": 1, "max": "1", "type": "Reference"},
            {
                "name": "part2",
                "use": "out",
                "min": 1,
                "max": "1",
                "type": "boolean",
                "documentation": "Whether what is under 42 CFR Part 2 is open, too.",
            },
        ],
    },
    {
        "resourceType": "OperationDefinition",
        "name": "AccountingOfDisclosures",
        "title": "Who saw what of this chart?",
        "status": "active",
        "kind": "operation",
        "affectsState": False,
        "description": "What of a patient's chart was sent to others or looked at by them, told to the "
        "organization whose Patient it is.",
        "code": "accounting-of-disclosures",
        "resource": ["Patient"],
        "system": False,
        "type": False,
        "instance": True,
        "parameter": [
            {"name": "start", "use": "in", "min": 0, "max": "1", "type": "dateTime"},
            {"name": "end", "use": "in", "min": 0, "max": "1", "type": "dateTime"},
            {"name": "patient", "use": "out", "min": 1, "max": "1", "type": "Reference"},
            {"name": "start", "use": "out", "min": 1, "max": "1", "type": "instant"},
            {"name": "end", "use": "out", "min": 1, "max": "1", "type": "instant"},
            {
                "name": "disclosure",
                "use": "out",
                "min": 0,
                "max": "*",
                "part": [
                    {"name": "date", "use": "out", "min": 1, "max": "1", "type": "instant"},
                    {"name": "recipient", "use": "out", "min": 0, "max": "1", "type": "Reference"},
                    {"name": "how", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "what", "use": "out", "min": 1, "max": "*", "type": "Reference"},
                    {"name": "purpose", "use": "out", "min": 0, "max": "1", "type": "Coding"},
                    {"name": "rule", "use": "out", "min": 0, "max": "*", "type": "code"},
                    {"name": "event", "use": "out", "min": 0, "max": "1", "type": "Reference"},
                ],
            },
        ],
    },
    {
        "resourceType": "OperationDefinition",
        "name": "LowerLabel",
        "title": "Lower a label",
        "status": "active",
        "kind": "operation",
        "affectsState": True,
        "description": "Takes a sensitivity class from a resource, for the privacy officer of the organization that "
        "wrote it.",
        "code": "lower-label",
        "resource": ["Resource"],
        "system": False,
        "type": False,
        "instance": True,
        "parameter": [
            {"name": "class", "use": "in", "min": 1, "max": "1", "type": "code"},
            {"name": "reason", "use": "in", "min": 1, "max": "1", "type": "string"},
            {"name": "return", "use": "out", "min": 1, "max": "1", "type": "Meta"},
        ],
    },
    {
        "resourceType": "OperationDefinition",
        "name": "StatusOfReferral",
        "title": "Where is my referral?",
        "status": "active",
        "kind": "operation",
        "affectsState": False,
        "description": "How far a referral went, told to the organization that sent it.",
        "code": "status-of-referral",
        "resource": ["ServiceRequest", "Task"],
        "system": False,
        "type": False,
        "instance": True,
        "parameter": [
            {"name": "task", "use": "out", "min": 1, "max": "1", "type": "Reference"},
            {"name": "status", "use": "out", "min": 1, "max": "1", "type": "code"},
            {
                "name": "businessStatus",
                "use": "out",
                "min": 0,
                "max": "1",
                "type": "CodeableConcept",
            },
            {"name": "sent", "use": "out", "min": 1, "max": "1", "type": "instant"},
            {"name": "closed", "use": "out", "min": 0, "max": "1", "type": "instant"},
            {
                "name": "asked",
                "use": "out",
                "min": 0,
                "max": "*",
                "documentation": "One recipient that was asked, and how far it went there.",
                "part": [
                    {"name": "recipient", "use": "out", "min": 1, "max": "1", "type": "Reference"},
                    {"name": "status", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "asked", "use": "out", "min": 1, "max": "1", "type": "instant"},
                    {"name": "delivered", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "seen", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "accepted", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "ended", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "delivery", "use": "out", "min": 0, "max": "1", "type": "code"},
                    {"name": "attempts", "use": "out", "min": 0, "max": "1", "type": "integer"},
                    {"name": "nextAttempt", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "trouble", "use": "out", "min": 0, "max": "1", "type": "string"},
                ],
            },
        ],
    },
    {
        "resourceType": "OperationDefinition",
        "name": "Why",
        "title": "Why is it shown to this organization, or not?",
        "status": "active",
        "kind": "operation",
        "affectsState": False,
        "description": "What is decided about a resource and a recipient, what decided it, and what was sent; told "
        "to the organization that wrote the resource.",
        "code": "why",
        "resource": ["Resource"],
        "system": False,
        "type": False,
        "instance": True,
        "parameter": [
            {
                "name": "recipient",
                "use": "in",
                "min": 1,
                "max": "1",
                "type": "string",
                "documentation": "Type/id of who would see it.",
            },
            {"name": "recipient", "use": "out", "min": 1, "max": "1", "type": "Reference"},
            {"name": "decision", "use": "out", "min": 1, "max": "1", "type": "code"},
            {"name": "rule", "use": "out", "min": 0, "max": "1", "type": "code"},
            {
                "name": "ruling",
                "use": "out",
                "min": 0,
                "max": "1",
                "documentation": "What the patient's rules say, and of them the one that decides.",
                "part": [
                    {"name": "says", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "rule", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "because", "use": "out", "min": 0, "max": "1", "type": "Reference"},
                    {"name": "since", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "until", "use": "out", "min": 0, "max": "1", "type": "instant"},
                ],
            },
            {
                "name": "grant",
                "use": "out",
                "min": 0,
                "max": "*",
                "documentation": "What a referral shares of it.",
                "part": [
                    {"name": "rule", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "because", "use": "out", "min": 0, "max": "1", "type": "Reference"},
                    {"name": "since", "use": "out", "min": 0, "max": "1", "type": "instant"},
                ],
            },
            {"name": "whole", "use": "out", "min": 0, "max": "1", "type": "boolean"},
            {"name": "absent", "use": "out", "min": 0, "max": "1", "type": "string"},
            {"name": "label", "use": "out", "min": 0, "max": "*", "type": "Coding"},
            {"name": "withheld", "use": "out", "min": 0, "max": "1", "type": "string"},
            {
                "name": "delivery",
                "use": "out",
                "min": 0,
                "max": "*",
                "documentation": "What was to be sent because it changed, newest first.",
                "part": [
                    {"name": "version", "use": "out", "min": 1, "max": "1", "type": "id"},
                    {"name": "state", "use": "out", "min": 1, "max": "1", "type": "code"},
                    {"name": "attempts", "use": "out", "min": 1, "max": "1", "type": "integer"},
                    {"name": "planned", "use": "out", "min": 1, "max": "1", "type": "instant"},
                    {"name": "settled", "use": "out", "min": 0, "max": "1", "type": "instant"},
                    {"name": "reason", "use": "out", "min": 0, "max": "1", "type": "string"},
                ],
            },
            {
                "name": "shown",
                "use": "out",
                "min": 0,
                "max": "*",
                "documentation": "When content of it left for the recipient, newest first.",
                "part": [
                    {"name": "at", "use": "out", "min": 1, "max": "1", "type": "instant"},
                    {"name": "how", "use": "out", "min": 1, "max": "1", "type": "code"},
                ],
            },
        ],
    },
)
"""Each is read at OperationDefinition/<its code>."""


async def _define(hub: Hub, conn: Connection, definition: dict[str, Any]) -> None:
    """Make it, or renew it if it is not what this version of the hub offers."""
    steward = Caller("coordhub", DIRECTORY, "", EVERYTHING, update_as_create=True)
    update = Update(
        "OperationDefinition", definition["code"], {**definition, "id": definition["code"]}
    )
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
