"""What the hub is made of: `audit` fails where something locked is not as it should be, `sbom` lists it.

Neither asks the network: whether a version has a known hole is said by advisories, which are looked up where they can
be reached (docs/development.md). https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
LICENCES = {
    "0BSD", "Apache-2.0", "Apache Software License", "BSD-2-Clause", "BSD-3-Clause", "BSD License", "CC0-1.0",
    "ISC", "ISC License (ISCL)", "MIT", "MIT-0", "MIT License", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License", "Unlicense", "Zlib",
}  # fmt: skip
"""As SPDX or a classifier names it: those that let the hub be given away under Apache-2.0."""


def locked(text: str) -> list[tuple[Requirement, list[str]]]:
    """Each entry of a lock file, with its hashes; markers that do not hold here are passed over."""
    found = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        stated, *rest = entry.replace("\\\n", "\n").split("\n")
        requirement = Requirement(stated.strip())
        if requirement.marker is None or requirement.marker.evaluate():
            found.append(
                (requirement, re.findall(r"--hash=sha256:([0-9a-f]{64})\b", " ".join(rest)))
            )
    return found


def licence(of: metadata.PackageMetadata) -> list[str]:
    """What it says that it is under; each must be let through, of `OR` one."""
    if expression := of.get("License-Expression"):
        return [expression]
    named = [one for one in of.get_all("Classifier") or [] if one.startswith("License :: ")]
    named = [one.rpartition(" :: ")[2] for one in named if not one.endswith(":: OSI Approved")]
    return [" OR ".join(named)] if named else [(of.get("License") or "").strip()[:60]]


def is_let_through(expression: str) -> bool:
    def each(part: str) -> bool:
        return any(LICENCES & {one.strip(), one.strip("() ")} for one in part.split(" OR "))

    return all(each(part) for part in expression.split(" AND "))


def faults(text: str) -> list[str]:
    """What is wrong with what a lock file names, as it is installed here."""
    found = []
    for requirement, hashes in locked(text):
        if [one.operator for one in requirement.specifier] != ["=="] or requirement.url:
            found.append(f"{requirement.name}: no version is pinned")
        if not hashes:
            found.append(f"{requirement.name}: no hash")
        try:
            there = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(f"{requirement.name}: is not installed")
            continue
        if not requirement.specifier.contains(there.version, prereleases=True):
            found.append(f"{requirement.name}: {there.version} is installed")
        found += [
            f"{requirement.name}: its licence is {one or 'not said'}"
            for one in licence(there.metadata)
            if not is_let_through(one)
        ]
        found += [f"{requirement.name}: needs {one}" for one in unmet(there)]
    return found


def needs(of: metadata.Distribution) -> list[Requirement]:
    return [
        one
        for one in map(Requirement, of.requires or [])
        if one.marker is None or one.marker.evaluate({"extra": ""})
    ]


def unmet(of: metadata.Distribution) -> list[str]:
    """What it needs and is not installed, or not as it needs it; as `pip check` says it."""
    missing = []
    for one in needs(of):
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            missing.append(str(one))
        else:
            if not one.specifier.contains(version, prereleases=True):
                missing.append(str(one))
    return missing


def bill(text: str) -> dict[str, object]:
    """The bill of materials of what a lock file names: the same for the same lock file."""
    distributions = [metadata.distribution(one.name) for one, _ in locked(text)]
    refs = {canonicalize_name(each.name): purl(each.name, each.version) for each in distributions}
    own = metadata.distribution("coordhub")
    root = purl("coordhub", own.version)
    components = [
        {
            "type": "library",
            "bom-ref": refs[canonicalize_name(each.name)],
            "name": each.name,
            "version": each.version,
            "purl": refs[canonicalize_name(each.name)],
            "licenses": [_licence(one) for one in licence(each.metadata)],
        }
        for each in distributions
    ]
    graph = [
        {
            "ref": ref,
            "dependsOn": sorted({refs[name] for one in needs(each) if (name := canonicalize_name(one.name)) in refs}),
        }
        for ref, each in [(root, own), *((refs[canonicalize_name(each.name)], each) for each in distributions)]
    ]  # fmt: skip
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "coordhub",
                "version": own.version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": graph,
    }


def purl(name: str, version: str) -> str:
    return f"pkg:pypi/{canonicalize_name(name)}@{version}"


def _licence(expression: str) -> dict[str, object]:
    spdx = re.fullmatch(r"[A-Za-z0-9.-]+(?: (?:OR|AND) [A-Za-z0-9.-]+)*", expression)
    if spdx and "License" not in expression:
        return {"expression": expression}
    return {"license": {"name": expression}}


def main(what: str) -> int:
    if what == "sbom":
        sys.stdout.write(json.dumps(bill((ROOT / LOCKS[0]).read_text()), indent=1) + "\n")
        return 0
    found = [f"{name}: {one}" for name in LOCKS for one in faults((ROOT / name).read_text())]
    sys.stderr.write("".join(f"{one}\n" for one in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
