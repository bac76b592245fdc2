"""The dependency audit sees what is wrong, and the bill of materials holds what is locked."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
HASH = "--hash=sha256:" + "0" * 64


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("inventory", ROOT / ".ci" / "inventory.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


inventory = _module()


def test_given_the_lock_files_when_audited_then_nothing_is_wrong() -> None:
    assert [inventory.faults((ROOT / name).read_text()) for name in inventory.LOCKS] == [[], []]


def test_given_entries_that_are_wrong_when_audited_then_each_is_named() -> None:
    version = metadata.version("jinja2")
    assert inventory.faults(f"jinja2=={version}\n") == ["jinja2: no hash"]
    assert inventory.faults(f"jinja2==0.1 \\\n    {HASH}\n") == [f"jinja2: {version} is installed"]
    assert inventory.faults(f"jinja2>=1 \\\n    {HASH}\n") == ["jinja2: no version is pinned"]
    assert inventory.faults(f"no-such==1 \\\n    {HASH}\n") == ["no-such: is not installed"]
    assert inventory.faults(f'no-such==1 ; python_version < "3" \\\n    {HASH}\n') == []


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("(Apache-2.0 OR MIT) AND BSD-3-Clause", True),
        ("ISC License (ISCL)", True),
        ("AGPL-3.0-only", False),
        ("", False),
    ],
)
def test_given_a_licence_when_judged_then_by_the_list(expression: str, may: bool) -> None:
    assert inventory.is_let_through(expression) is may


def test_given_a_distribution_whose_need_is_not_met_when_checked_then_it_is_named() -> None:
    class Needy:
        requires = ("jinja2>=999", "no-such", 'other; extra == "x"', "pydantic")

    assert inventory.unmet(Needy()) == ["jinja2>=999", "no-such"]


def test_given_the_bill_when_made_then_all_that_is_locked_is_there_and_each_reference_leads_somewhere() -> (
    None
):
    bill = inventory.bill(LOCK)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    refs = {each["bom-ref"] for each in bill["components"]}
    assert len(refs) == len(bill["components"]) == len(inventory.locked(LOCK)) > 40
    assert all(each["licenses"] and each["purl"] == each["bom-ref"] for each in bill["components"])
    depends = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert set(depends) - {bill["metadata"]["component"]["bom-ref"]} == refs
    assert {one for each in depends.values() for one in each} <= refs
    assert len(depends[bill["metadata"]["component"]["bom-ref"]]) > 20
    assert inventory.bill(LOCK) == bill
