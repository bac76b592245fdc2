"""Published and hand-made resources, where they lie beside the checkout."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordhub.errors import FhirError, Issue
from coordhub.r4 import document, structure

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the example data is not here")

NOT_STRUCTURE = {
    # What the structure of R4 does not say: narratives, invariants, targets of references.
    "xhtml with script",
    "xhtml not xml",
    "invariant obs-6 dataAbsentReason+value",
    "invariant per-1 start>end",
    "reference target type: subject Medication",
}

DEFECTS = {
    # Published examples that R4 does not allow, with the first thing that is wrong.
    "fhir-r4-core/bundle-questionnaire.json": "Questionnaire.item[0].item[0].linkId",
    "us-core/diagnosticreport-cbc.json": "DiagnosticReport.text.div",
    "sdoh-clinicalcare-stu3/Observation-SDOHCC-ObservationEthnicityOMBExample.json": (
        "Observation.component[1].code"
    ),
    "sdoh-clinicalcare-stu3/Observation-SDOHCC-ObservationRaceOMBExample.json": (
        "Observation.component[1].code"
    ),
    "sdoh-clinicalcare-stu3/SearchParameter-Task-output-reference.json": "SearchParameter.url",
}


def cases(name: str) -> Iterator[tuple[str, bytes]]:
    for line in (DATA / "r4-inputs" / name).read_text("utf-8").splitlines():
        case = json.loads(line)
        yield case["case"], case["body"].encode()


def issues(data: bytes) -> list[Issue]:
    try:
        return structure.check(document.parse(data))
    except FhirError as error:
        return list(error.issues)


def spelled(data: bytes) -> object:
    return json.loads(data, parse_float=lambda text: f"number {text}")


def test_given_bad_inputs_when_checked_then_all_that_structure_can_tell_are_refused() -> None:
    accepted = {case for case, body in cases("bad.ndjson") if not issues(body)}
    assert accepted == NOT_STRUCTURE


def test_given_good_inputs_when_checked_then_all_are_accepted_and_come_back_as_sent() -> None:
    for case, body in cases("good.ndjson"):
        assert issues(body) == [], case
        assert spelled(document.encode(document.parse(body))) == spelled(body), case


@pytest.mark.parametrize(
    "folder",
    ["fhir-r4-core", "us-core", "bundles", "sdoh-clinicalcare-stu3", "bser", "hsd", "synthea"],
)
def test_given_published_examples_when_checked_then_only_defective_ones_are_refused(
    folder: str,
) -> None:
    refused: dict[str, str] = {}
    for path in sorted((DATA / folder).rglob("*.json*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in data.splitlines() if ".ndjson" in path.name else [data]:
            found = issues(line)
            if found:
                refused[str(path.relative_to(DATA))] = found[0].expression
            else:
                assert spelled(document.encode(document.parse(line))) == spelled(line), path
    assert refused == {name: at for name, at in DEFECTS.items() if name.startswith(f"{folder}/")}
