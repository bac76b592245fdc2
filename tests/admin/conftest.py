from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stage"))

from open_hub import house

if TYPE_CHECKING:
    from open_hub import House

__all__ = ["house"]

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def ledger(house: House) -> dict[str, UUID]:
    """A delivery in each state, planned an hour after the other, to the kitchen's inbox."""
    sent = await house.asking(house.kitchen.service)
    rid = await house.value(
        "select rid from resource where fhir_id = $1", sent.task.partition("/")[2]
    )
    made = {}
    for number, state in enumerate(("dead", "parked", "queued", "delivered", "suppressed")):
        made[state] = uuid4()
        await house.rows(
            "insert into delivery (id, shard, change, episode, organization, endpoint, rid, version, state,"
            " created_at, next_at, settled_at, reason) values ($1, $6, $2, $5, $3, 0, $5, 1, $4::text,"
            " $7, $7, case when $4::text in ('dead', 'delivered', 'suppressed') then $7::timestamptz end, 'why')",
            made[state], 10_000 + number, house.kitchen.rid, state, rid, rid & 255,
            NOW + timedelta(hours=number),
        )  # fmt: skip
    return made
