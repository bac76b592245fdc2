"""Journeys in a real browser: `make test-browser`.

Installs what requirements.txt and package-lock.json pin into `.browser/`, which may be removed, and runs
the journeys of this folder in the Chromium of the machine. What was seen is kept in `.browser/seen/`.
What is said after `--` goes to pytest.

https://playwright.dev/python/docs/library, https://github.com/dequelabs/axe-core
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WORK = ROOT / ".browser"
PACKAGES = WORK / "packages"
SEEN = WORK / "seen"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def main(words: list[str]) -> int:
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        print(f"Nothing is tried in a browser: there is none of {', '.join(NAMES)}.")
        return 0
    if shutil.which("npm") is None:
        print("Nothing is tried in a browser: npm, which brings axe-core, is missing.")
        return 0
    WORK.mkdir(exist_ok=True)
    once("python", install_python, HERE / "requirements.txt")
    once("node", install_node, HERE / "package-lock.json")
    shutil.rmtree(SEEN, ignore_errors=True)
    given = {
        **os.environ,
        "PYTHONPATH": str(PACKAGES),
        "COORDHUB_CHROMIUM": browser,
        "COORDHUB_AXE": str(WORK / "node_modules" / "axe-core" / "axe.min.js"),
        "COORDHUB_SEEN": str(SEEN),
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE), *words], env=given, check=False
    ).returncode


def once(name: str, make: Callable[[], None], *sources: Path) -> None:
    """Make it unless it has been made from these sources."""
    stamp = WORK / f"{name}.stamp"
    said = b"".join(source.read_bytes() for source in sources) + sys.version.encode()
    now = hashlib.sha256(said).hexdigest()
    if not stamp.exists() or stamp.read_text() != now:
        make()
        stamp.write_text(now)


def install_python() -> None:
    shutil.rmtree(PACKAGES, ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--target", str(PACKAGES), "--requirement", str(HERE / "requirements.txt"),
        ],
        check=True,
    )  # fmt: skip


def install_node() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy2(HERE / name, WORK / name)
    words = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(words, check=True, cwd=WORK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
