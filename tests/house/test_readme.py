"""README's generated parts equal what they are generated from."""

from __future__ import annotations

import re
from pathlib import Path

from coordhub import settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_given_the_settings_when_tabled_then_readme_shows_that_table() -> None:
    shown = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", README, re.DOTALL)
    assert shown is not None, "README has lost its markers <!-- settings --> and <!-- /settings -->"
    assert shown.group(1).strip() == settings.table().strip(), "run `make format`"


def test_given_a_make_target_in_readme_when_looked_up_then_the_makefile_has_it() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets
