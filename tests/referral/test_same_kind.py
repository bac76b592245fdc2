"""Codes that mean the same kind of service, as shipped and as an operator adds them."""

from __future__ import annotations

import pytest

from coordhub.referral import same_kind
from coordhub.referral.same_kind import SDOHCC

FOOD = (SDOHCC, "food-insecurity")
TAXONOMY = "urn:example:taxonomy"


def test_given_a_code_when_read_then_it_stands_for_all_of_its_kind_and_no_other() -> None:
    found = same_kind.kinds([FOOD])
    assert ("http://terminology.hl7.org/CodeSystem/service-type", "548") in found
    assert not found & same_kind.kinds([(SDOHCC, "homelessness")])
    assert same_kind.domains(found) == {"food-insecurity"}


def test_given_what_stands_beside_a_kind_when_read_then_it_is_none() -> None:
    us_core = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
    assert (
        same_kind.kinds([(us_core, "sdoh"), ("http://snomed.info/sct", "3457005")]) == frozenset()
    )
    assert same_kind.kinds([("", "own")]) == {("", "own")}


def test_given_an_operator_s_codes_when_read_then_they_are_added_to_the_shipped_ones() -> None:
    found = same_kind.read(
        b'[{"kind": "food-insecurity", "codes": ["urn:example:taxonomy|BD-1800"]},'
        b' {"kind": "legal aid", "codes": ["urn:example:taxonomy|F", "urn:example:other|law"]}]'
    )
    assert FOOD in found[TAXONOMY, "BD-1800"]
    assert (TAXONOMY, "BD-1800") in found[FOOD]
    assert found[TAXONOMY, "F"] == {(TAXONOMY, "F"), ("urn:example:other", "law")}


@pytest.mark.parametrize(
    "text",
    [b"{", b"{}", b'[{"kind": "x", "codes": ["no-bar"]}]', b'[{"codes": []}]', b'[{"kind": "x", "codes": ["a|"]}]'],
)  # fmt: skip
def test_given_kinds_that_cannot_be_when_read_then_refused(text) -> None:
    with pytest.raises(same_kind.UnusableKindsError):
        same_kind.read(text)
