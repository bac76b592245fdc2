"""Each item of OWASP's list stands in docs/security.md with a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ITEMS = re.split(r"^## ", (ROOT / "docs" / "security.md").read_text(), flags=re.MULTILINE)[1:]


def test_given_the_page_when_read_then_all_ten_items_are_there_in_order() -> None:
    assert [item.split()[0] for item in ITEMS[:10]] == [f"API{number}" for number in range(1, 11)]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.splitlines()[0])
def test_given_an_item_when_looked_up_then_its_tests_are_there(item: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", item)
    assert named, "no test is named"
    for path, test in named:
        text = (ROOT / path).read_text()
        assert re.search(rf"^(async )?def {test or 'test_'}", text, re.MULTILINE), test
