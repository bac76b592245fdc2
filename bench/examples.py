"""Runner over HL7's official examples of R4: each accepted and equal, or refused for its real defect.

    npm pack hl7.fhir.r4.examples@4.0.1
    python bench/examples.py hl7.fhir.r4.examples-4.0.1.tgz > docs/r4-examples.md

http://hl7.org/fhir/R4/examples.html

Each example goes through the reading and the check that every write goes through, and what would be
stored is compared with what came, numbers by their digits. References are not resolved: the
examples name each other across files. The answer is the Markdown page with both tables. What is
listed in `DEFECTS` was looked at; a refusal that is not there makes the runner fail.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coordhub.errors import FhirError, Issue
from coordhub.r4 import document, structure

_EMPTY_NARRATIVE = "the narrative is an empty `<div>`, as its generator made nothing of it"
_NO_BASE = "a search parameter that applies to no type: `base`, required, is missing"
_NO_NAME = "`name` and `status`, required, are missing"
_NO_BREAK_SPACE = "three codes end with, or are, a no-break space"
_LOGICAL = "a logical model that is not abstract and has no `baseDefinition`"

DEFECTS = {
    "ActivityDefinition-blood-tubes-supply": _EMPTY_NARRATIVE,
    "ActivityDefinition-heart-valve-replacement": _EMPTY_NARRATIVE,
    "Bundle-dataelements": "fullUrls such as `de-Quantity.value` occur three times",
    "Bundle-v2-valuesets": f"in its CodeSystem v2-0550 {_NO_BREAK_SPACE}",
    "CodeSystem-v2-0550": _NO_BREAK_SPACE,
    "DeviceMetric-example": "`parent` is a Device; the example names a DeviceDefinition",
    "DeviceUseStatement-example": "`reasonReference` is no Procedure in R4",
    "EventDefinition-example": _EMPTY_NARRATIVE,
    "ImplementationGuide-fhir": _NO_NAME,
    "MedicationRequest-medrx0301": (
        "`dispenseRequest.performer` is an Organization; the example names a Practitioner"
    ),
    "Observation-clinical-gender": "`performer` is nobody: the example names an Encounter",
    "Questionnaire-qs1": "items without `linkId`, which is required",
    "Questionnaire-zika-virus-exposure-assessment": _EMPTY_NARRATIVE,
    "SearchParameter-codesystem-extensions-CodeSystem-author": _NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-effective": _NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-end": _NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-keyword": _NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-workflow": _NO_BASE,
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject": (
        "its id has 67 characters, of 64 allowed"
    ),
    "SearchParameter-valueset-extensions-ValueSet-author": _NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-effective": _NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-end": _NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-keyword": _NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-workflow": _NO_BASE,
    "StructureDefinition-Definition": _LOGICAL,
    "StructureDefinition-Event": _LOGICAL,
    "StructureDefinition-FiveWs": _LOGICAL,
    "StructureDefinition-Request": _LOGICAL,
    "ig-r4": _NO_NAME,
}


def examples(package: Path) -> Iterator[tuple[str, bytes]]:
    """Name and text of each resource of the package, in order of their names."""
    with tarfile.open(package) as archive:
        for member in sorted(archive, key=lambda each: each.name):
            path = Path(member.name)
            if path.suffix != ".json" or path.name in ("package.json", ".index.json"):
                continue
            content = archive.extractfile(member)
            assert content is not None
            yield path.stem, content.read()


def issues(sent: bytes) -> list[Issue]:
    try:
        parsed = document.parse(sent)
    except FhirError as refused:
        return list(refused.issues)
    found = structure.check(parsed)
    if not found and _spelled(document.encode(parsed)) != _spelled(sent):
        raise AssertionError("what would be stored is not what was sent")
    return found


def _spelled(text: bytes) -> object:
    return json.loads(text, parse_float=lambda digits: f"number {digits}")


def page(accepted: Counter[str], refused: dict[str, list[Issue]]) -> str:
    total = accepted.total() + len(refused)
    lines = [
        "# HL7's examples of R4",
        "",
        (
            "Made by `bench/examples.py` from the package `hl7.fhir.r4.examples` 4.0.1. Of "
            f"{total:,} examples {accepted.total():,} are accepted and kept as they came, decimals "
            f"by their digits; {len(refused)} are refused."
        ),
        "",
        "## Refused",
        "",
        "| example | issues | the first | what is wrong with the example |",
        "|---|---|---|---|",
    ]
    for name, found in sorted(refused.items()):
        first = found[0]
        says = first.diagnostics if len(first.diagnostics) <= 90 else first.diagnostics[:87] + "..."
        says = says.replace("|", "\\|")
        lines.append(
            f"| {name} | {len(found)} | `{first.expression}` {says} | {DEFECTS.get(name, '?')} |"
        )
    lines += ["", "## Accepted and equal", "", "| type | examples |", "|---|---|"]
    lines += [f"| {kind} | {number:,} |" for kind, number in sorted(accepted.items())]
    return "\n".join(lines)


def main(package: Path) -> int:
    accepted: Counter[str] = Counter()
    refused: dict[str, list[Issue]] = {}
    for name, sent in examples(package):
        found = issues(sent)
        if found:
            refused[name] = found
        else:
            accepted[json.loads(sent)["resourceType"]] += 1
    print(page(accepted, refused))
    unexplained = sorted(refused.keys() ^ DEFECTS.keys())
    if unexplained:
        print("not as listed in DEFECTS:", *unexplained, file=sys.stderr)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
