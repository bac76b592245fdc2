"""The stage that these tests play on."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from ehr import EHR
from open_door import doors
from open_hub import House, house

from coordhub.store import clients

__all__ = ["house"]


@pytest.fixture
async def ehr(house: House) -> AsyncIterator[EHR]:
    """Of the kitchen, which treats; registered with its key."""
    async with doors(house) as [http]:
        made = EHR("kitchen", house.hub.base, http)
        async with house.engine.pool.acquire() as conn:
            assert await clients.set_keys(conn, "kitchen", json.dumps(made.keys), None)
        yield made
