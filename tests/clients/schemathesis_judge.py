"""schemathesis against a running hub: all operations of the OpenAPI document, tag by tag.

https://schemathesis.readthedocs.io

All its checks but one: no fault of the hub; no status, media type, header or shape that the document
does not name; nothing taken that it forbids; 405 with Allow, 401 without a token; what was made is
there, what was deleted is not. That all that fits a schema is taken is not asked.

COORDHUB_BASE and COORDHUB_TOKEN say where and as whom, COORDHUB_DOCUMENT names the document,
COORDHUB_FUZZ how many random cases each operation gets. Nothing is left to chance: the same document
and number give the same cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from narrowed import narrowed, operations, tags

SETTINGS = """
[generation]
max-examples = {fuzz}

[phases.stateful]
max-steps = 4

# R4 asks for more than JSON Schema says: a date parameter is a string, an invariant is no schema.
[checks]
positive_data_acceptance.enabled = false

# What is wrong with a body is what $validate is asked, so that it takes any.
[[operations]]
include-path-regex = '/\\$validate$'
checks.negative_data_rejection.enabled = false
"""
PHASES = ("examples", "coverage", "fuzzing")
IN_SEQUENCE = ("Patient", "Other types")
"""Tags whose calls are also played one after another, each with what the last one answered: of the
other types what is made at random is hardly ever taken, so that nothing follows."""
SECONDS = 600
SHOWN = 20_000

document: dict[str, Any] = json.loads(Path(os.environ["COORDHUB_DOCUMENT"]).read_text())
fuzz = int(os.environ["COORDHUB_FUZZ"])
work = Path("schemathesis")
program = Path(sys.executable).with_name("schemathesis")


class Wrong(Exception):
    """What is wrong with the hub, or with the run."""


def judge(tag: str) -> tuple[str, Wrong | None]:
    """What was done with the operations of one tag."""
    part = narrowed(document, tag)
    name = tag.lower().replace(" ", "-")
    (work / f"{name}.json").write_text(json.dumps(part))
    try:
        phases = (*PHASES, "stateful") if tag in IN_SEQUENCE else PHASES
        return f"{tag}: {_done(name, phases, len(operations(part)))}", None
    except (Wrong, subprocess.TimeoutExpired) as wrong:
        return tag, wrong if isinstance(wrong, Wrong) else Wrong(f"not done within {SECONDS} s")


def _done(name: str, phases: tuple[str, ...], expected: int) -> str:
    report = work / f"{name}-report.json"
    report.unlink(missing_ok=True)
    ran = subprocess.run(
        [
            program, "--config-file", work / "schemathesis.toml", "run", work / f"{name}.json",
            "--url", os.environ["COORDHUB_BASE"].removesuffix("/fhir"),
            "--header", f"Authorization: Bearer {os.environ['COORDHUB_TOKEN']}",
            "--phases", ",".join(phases),
            "--generation-deterministic", "--no-shrink", "--continue-on-failure",
            "--suppress-health-check", "all", "--warnings", "off", "--no-color",
            "--report", "json", "--report-json-path", report,
        ],
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    if ran.returncode or not report.exists():
        raise Wrong((ran.stdout + ran.stderr)[-SHOWN:])
    said = json.loads(report.read_text())
    met, cases = said["operations"], said["test_cases"]
    if not said["complete"] or said["stop_reason"] != "completed":
        raise Wrong(f"It stopped early: {said['stop_reason']}.")
    if (met["tested"], met["errored"], cases["errored"]) != (expected, 0, 0):
        raise Wrong(f"Of {expected} operations {met['tested']} were tried: {met}, {cases}")
    skipped = [phase for phase in phases if said["phases"][phase]["status"] == "skip"]
    left_out = f", no case for {' and '.join(skipped)}" if skipped else ""
    return f"{expected} operations, {cases['generated']} cases{left_out}"


def main() -> None:
    work.mkdir(exist_ok=True)
    (work / "schemathesis.toml").write_text(SETTINGS.format(fuzz=fuzz))
    every = tags(document)
    tried = set().union(*(operations(narrowed(document, tag)) for tag in every))
    assert tried == operations(document), "no operation is left out"
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        for told, wrong in pool.map(judge, every):
            if wrong is not None:
                print(wrong)
            print(f"{'not ok' if wrong else 'ok'} - {told}", flush=True)


if __name__ == "__main__":
    main()
