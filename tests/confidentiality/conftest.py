"""Modules of this folder and of the stage, and a database for all tests of one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / "stage"), str(Path(__file__).parent)]


@pytest.fixture(scope="module")
def lasting_url(postgres, _template) -> Iterator[str]:
    """DSN of a migrated database that the tests of one file share."""
    url = postgres.create(_template)
    yield url
    postgres.drop(url)
