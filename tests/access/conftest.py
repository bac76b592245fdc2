"""A hub that is open, with its organizations."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from open_hub import House

if "open_hub" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "open_hub", Path(__file__).parents[1] / "open_hub.py"
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["open_hub"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["open_hub"])


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    from open_hub import opened

    async with opened(database_url) as house:
        yield house
