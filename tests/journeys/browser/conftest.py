"""A browser for the journeys of this folder, where `make test-browser` has brought one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "stage"))

if os.environ.get("COORDHUB_CHROMIUM"):
    from person import window, windows

    __all__ = ["window", "windows"]
else:
    collect_ignore_glob = ["test_*"]


@pytest.fixture
def clock():
    """The hub's time, a little ahead of the world's where a journey moves it."""
    from browser import Clock

    return Clock()
