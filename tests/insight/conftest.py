"""The stage that these tests play on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_hub import house

__all__ = ["house"]
