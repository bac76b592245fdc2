"""The walls of the house: import contracts, as `pyproject.toml` states them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LINT = "from sys import argv; from importlinter.cli import lint_imports as lint; "
_LINT += "raise SystemExit(lint(config_filename=argv[1], no_cache=True))"


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in `folder`, which holds the package `coordhub` itself, so that it is found first."""
    return subprocess.run(
        [sys.executable, "-c", _LINT, str(ROOT / "pyproject.toml")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_given_this_checkout_when_linted_then_all_imports_point_down() -> None:
    answer = _lint(ROOT / "src")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("store/one.py", "import coordhub.record.commit", "imports point down"),
        ("routing/one.py", "import coordhub.fhir.http", "imports point down"),
        ("record/one.py", "import sqlalchemy", "SQL is spoken in store only"),
        ("fhir/one.py", "import asyncpg", "SQL is spoken in store only"),
        ("record/one.py", "import fastapi", "the web framework stands at the doors only"),
        ("routing/one.py", "import httpx2", "the world is called from outbound only"),
        ("fhir/one.py", "import fhir.resources.task", "fhir.resources is imported by r4 only"),
        ("fhir/one.py", "import coordhub.settings", "settings are read by app and cli only"),
        (
            "fhir/interactions/one.py",
            "import coordhub.fhir.interactions.two",
            "interactions do not know their siblings",
        ),
        (
            "record/rules/one.py",
            "import coordhub.record.rules.two",
            "rules do not know their siblings",
        ),
        (
            "routing/channels/one.py",
            "import coordhub.routing.channels.two",
            "channels know the channel protocol, not their siblings",
        ),
    ],
)
def test_given_an_import_through_a_wall_when_linted_then_its_contract_breaks(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    for name in (
        "app.py",
        "settings.py",
        "fhir/http.py",
        "fhir/interactions/two.py",
        "record/commit.py",
        "record/rules/two.py",
        "routing/channels/two.py",
        "store/tables.py",
        module,
    ):
        path = tmp_path / "coordhub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for folder in [tmp_path / "coordhub", *(tmp_path / "coordhub").rglob("*")]:
        if folder.is_dir():
            (folder / "__init__.py").touch()
    assert _lint(tmp_path).returncode == 0
    (tmp_path / "coordhub" / module).write_text(line + "\n")
    answer = _lint(tmp_path)
    assert answer.returncode == 1
    assert f"{contract} BROKEN" in answer.stdout
