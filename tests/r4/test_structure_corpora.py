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

DEFECTS = {
    # Published examples that R4 does not allow, with the first thing that is wrong.
    "bser/Bundle-bundle-bser-referral-feedback-document-bundle-eve-everywoman.json": (
        "Bundle.entry[0].resource.section[0]"
    ),
    "bser/Composition-composition-bser-referral-feedback-arthritis-everywoman.json": (
        "Composition.section[0]"
    ),
    "bser/Composition-composition-bser-referral-feedback-nutrition-everybaby.json": (
        "Composition.section[0]"
    ),
    "bundles/bser-arthritis-referral.json": "Bundle.entry[1].resource.entry[0].resource.section[0]",
    "fhir-r4-core/bundle-questionnaire.json": "Questionnaire.item[0].item[0].linkId",
    "fhir-r4-core/codesystem-example.json": "CodeSystem",
    "fhir-r4-core/devicemetric-example.json": "DeviceMetric.parent.reference",
    "fhir-r4-core/deviceusestatement-example.json": (
        "DeviceUseStatement.reasonReference[0].reference"
    ),
    "fhir-r4-core/medicationrequest0301.json": "MedicationRequest.dispenseRequest.performer.reference",
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


def test_given_bad_inputs_when_checked_then_all_are_refused() -> None:
    assert [case for case, body in cases("bad.ndjson") if not issues(body)] == []


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
