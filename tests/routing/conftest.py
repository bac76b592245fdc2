"""The stage that these tests play on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_desk import desk
from open_hub import house
from open_post import post

__all__ = ["desk", "house", "post"]
