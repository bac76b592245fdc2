"""How the house is furnished: names of rooms, what a module says first, what is locked."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "coordhub"
MODULES = sorted(SOURCE.rglob("*.py"))

_NO_ROOM = {
    "util", "utils", "helper", "helpers", "common", "core", "misc",
    "manager", "managers", "model", "models", "schema", "schemas",
}  # fmt: skip


def _where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_given_the_packages_when_listed_then_none_is_a_room_for_everything() -> None:
    found = [_where(path) for path in MODULES if path.stem in _NO_ROOM]
    found += [_where(path) for path in SOURCE.rglob("*") if path.is_dir() and path.name in _NO_ROOM]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=_where)
def test_given_a_module_when_opened_then_it_says_what_it_is(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said, f"{_where(path)} has no docstring"
    assert said.splitlines()[0].endswith((".", ":")), (
        "the first line is a phrase with its full stop"
    )


def test_given_a_folder_of_modules_when_looked_at_then_it_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert [_where(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_given_the_tests_when_listed_then_none_hides_a_library_behind_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_given_the_lock_files_when_read_then_all_is_pinned_by_hash_and_no_address_named() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert " @ " not in text
        for entry in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[\w.-]+(\[[\w,]+\])?==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


def _locked(name: str) -> dict[str, str]:
    pinned = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", re.MULTILINE)
    return dict(pinned.findall((ROOT / name).read_text()))


def test_given_the_dependencies_when_locked_then_none_is_missing_and_both_files_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked, locked_dev = (_locked(name) for name in ("requirements.lock", "requirements-dev.lock"))
    groups = project["dependency-groups"]
    for wanted, lock in (
        (project["project"]["dependencies"] + groups["build"], locked),
        (groups["dev"], locked_dev),
    ):
        for requirement in wanted:
            name = re.split(r"[\[>=<;\s]", requirement)[0].lower().replace(".", "-")
            assert name in lock, f"run `make lock`: {name}"
    assert {name: locked_dev.get(name) for name in locked} == locked
