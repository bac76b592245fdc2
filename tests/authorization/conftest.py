"""The stage that these tests play on, and keys, which take time to make."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

sys.path.append(str(Path(__file__).parents[1] / "stage"))

from open_door import Backend
from open_hub import House, house

__all__ = ["house"]

RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-384")


@pytest.fixture
def ehr(house: House) -> Backend:
    return Backend(house, "ehr", RSA, "RS384")


@pytest.fixture
def lab(house: House) -> Backend:
    return Backend(house, "lab", EC, "ES384")
