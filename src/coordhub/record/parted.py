"""Whoever was shown the charts of two persons as one's is told that they are two.

http://hl7.org/fhir/R4/communication.html

A Communication for each organization, which it finds as its own and nobody else does: it is in no patient's
chart, since who sees one record need not know of the other. It names the two records, and no content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordhub.access import caller
from coordhub.r4.sensitivity import ALL, VSP
from coordhub.record.commit import apply
from coordhub.record.hub import Hub, instant
from coordhub.record.operations import Create
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.transact import Batch, Grant, transact

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


async def tell(
    hub: Hub, conn: Connection, one: Version, other: Version, saw: Sequence[Version]
) -> None:
    """In the transaction that parts them. saw: Organizations."""
    if not saw:
        return
    notices = [Create("Communication", _notice(hub, one, other, each)) for each in saw]
    me = caller.hub(hub.organization)
    written, _ = await apply(hub, conn, me, notices, interaction="transaction")
    grants = [
        Grant(organization.rid, notice.rid, notice.rid, "party", ALL & ~VSP)
        for organization, notice in zip(saw, written, strict=True)
    ]
    await transact(conn, Batch(grants=grants), now=hub.clock())


def _notice(hub: Hub, one: Version, other: Version, organization: Version) -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "status": "completed",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/communication-category",
                        "code": "alert",
                    }
                ],
                "text": "Two records are not of one person",
            }
        ],
        "priority": "urgent",
        "about": [{"reference": each.reference} for each in (one, other)],
        "sent": instant(hub.clock()),
        "recipient": [{"reference": organization.reference}],
        "sender": {"reference": hub.organization},
        "payload": [
            {
                "contentString": f"{one.reference} and {other.reference} were linked as one person's, and are not. "
                "Your organization was shown both: look whether anything of one was taken into the other's chart."
            }
        ],
    }
