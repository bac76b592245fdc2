"""What docs/privacy.md claims it claims with a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "privacy.md").read_text()
CLAIMS = [
    " ".join(claim.split())
    for claim in re.findall(r"^- (\*\*.*?)(?=^- \*\*|^#|^Not |\Z)", TEXT, re.DOTALL | re.MULTILINE)
]


def _paths(claim: str) -> list[str]:
    """Files named in a claim; one named without its folder lies in that of the one before."""
    found: list[str] = []
    for name in re.findall(r"`([\w/.-]+\.(?:py|json|md))`", claim):
        folder = found[-1].rpartition("/")[0] + "/" if "/" not in name and found else ""
        path = (
            name
            if name.startswith(("src/", "tests/", "docs/")) or folder
            else f"src/coordhub/{name}"
        )
        found.append(folder + path)
    return found


def test_given_the_page_when_read_then_it_makes_claims() -> None:
    assert len(CLAIMS) > 10


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[2:40])
def test_given_a_claim_when_looked_up_then_its_test_is_there(claim: str) -> None:
    paths = _paths(claim)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert any(path.startswith("tests/") for path in paths), "no test is named"
